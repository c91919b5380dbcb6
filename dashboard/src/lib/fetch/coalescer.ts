/**
 * Runs a task on request, one at a time and not more often than once per gap.
 * A request during a run or a gap leads to exactly one more run, so the last
 * change is always seen.
 */
export class Coalescer {
  #task: () => Promise<void>;
  #gapMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #wanted = false;
  #stopped = false;
  #startedAt = -Infinity;

  constructor(task: () => Promise<void>, gapMs: number) {
    this.#task = task;
    this.#gapMs = gapMs;
  }

  request(): void {
    if (this.#stopped) return;
    this.#wanted = true;
    this.#plan();
  }

  /** No run begins after this; one that goes on is left to its own signal. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #plan(): void {
    if (this.#running || this.#timer !== undefined || !this.#wanted || this.#stopped) return;
    const wait = this.#startedAt + this.#gapMs - Date.now();
    if (wait <= 0) {
      void this.#run();
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#run();
    }, wait);
  }

  async #run(): Promise<void> {
    this.#running = true;
    this.#wanted = false;
    this.#startedAt = Date.now();
    try {
      await this.#task();
    } finally {
      this.#running = false;
      this.#plan();
    }
  }
}
