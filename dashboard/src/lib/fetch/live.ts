/** The stream of a site's changes, or of its events, kept open as long as somebody looks. */

export type LiveState = 'connecting' | 'live' | 'reconnecting';

export interface LiveHandlers {
  /** Something was counted; live is how many visitors there are now, index how far the site's numbers have come. */
  onChange?(live: number, index: number): void;
  /** The data of a stream of events. */
  onEvents?(data: string): void;
  onState(state: LiveState): void;
}

/** What is needed of an EventSource; tests bring their own. */
export interface Stream {
  readonly readyState: number;
  onopen: (() => void) | null;
  onerror: (() => void) | null;
  addEventListener(type: 'change' | 'events', listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

const CLOSED = 2;
const RETRY_MIN_MS = 2_000;
const RETRY_MAX_MS = 30_000;

/**
 * Opens at once and until close. A browser reconnects by itself after a lost
 * connection but gives up after an answer that is no stream, such as 503 of a
 * node that is just starting; then this tries again, ever more slowly.
 */
export class Live {
  #open: () => Stream;
  #handlers: LiveHandlers;
  #stream: Stream | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MIN_MS;

  constructor(open: () => Stream, handlers: LiveHandlers) {
    this.#open = open;
    this.#handlers = handlers;
    handlers.onState('connecting');
    this.#connect();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = null;
  }

  #connect(): void {
    const stream = this.#open();
    this.#stream = stream;
    stream.onopen = () => {
      this.#retryMs = RETRY_MIN_MS;
      this.#handlers.onState('live');
    };
    stream.onerror = () => {
      if (this.#stream !== stream) return;
      this.#handlers.onState('reconnecting');
      if (stream.readyState === CLOSED) this.#retry();
    };
    stream.addEventListener('change', (event) => {
      const live = liveOf(event.data);
      if (live !== null) this.#handlers.onChange?.(live, numberIn(event.data, 'index') ?? 0);
    });
    stream.addEventListener('events', (event) => this.#handlers.onEvents?.(event.data));
  }

  #retry(): void {
    this.#stream = null;
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
  }
}

/** The number of visitors in a change's data; null when it is malformed. */
export function liveOf(data: string): number | null {
  return numberIn(data, 'live');
}

function numberIn(data: string, name: 'live' | 'index'): number | null {
  try {
    const value = (JSON.parse(data) as Record<string, unknown> | null)?.[name];
    return typeof value === 'number' ? value : null;
  } catch {
    // A line that is not JSON says nothing.
    return null;
  }
}
