/** One thing that a page shows and gets from the API, with its states. */
import { ApiError } from './api';

export class Slot<T> {
  /** What was last got; stays while something newer is on its way. */
  data = $state.raw<T | null>(null);
  /** Why there is nothing to show, or nothing newer. */
  error = $state.raw<ApiError | null>(null);
  /** Another question than that of data is on its way. */
  busy = $state(false);
  #controller: AbortController | null = null;
  #underWay: Promise<void> = Promise.resolve();

  /** Asks anew; the answer to an earlier question is dropped. */
  async load(ask: (signal: AbortSignal) => Promise<T>): Promise<void> {
    this.busy = true;
    this.#underWay = this.#run(ask);
    await this.#underWay;
  }

  /**
   * Asks the same again, so what is shown stays valid meanwhile. Waits for a
   * load that is under way, because its answer may be older than the change
   * that this is about.
   */
  async refresh(ask: (signal: AbortSignal) => Promise<T>): Promise<void> {
    while (this.busy) await this.#underWay;
    await this.#run(ask);
  }

  /** Forgets everything and drops what is on its way. */
  reset(): void {
    this.#controller?.abort();
    this.#controller = null;
    this.data = null;
    this.error = null;
    this.busy = false;
  }

  async #run(ask: (signal: AbortSignal) => Promise<T>): Promise<void> {
    this.#controller?.abort();
    const controller = new AbortController();
    this.#controller = controller;
    try {
      const data = await ask(controller.signal);
      if (controller.signal.aborted) return;
      this.data = data;
      this.error = null;
    } catch (error) {
      if (controller.signal.aborted) return;
      this.error = error instanceof ApiError ? error : new ApiError(0, String(error));
    }
    this.busy = false;
  }
}
