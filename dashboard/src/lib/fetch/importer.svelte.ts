/** One import of a log from this browser, with a key of its own that ends with it. */
import { LineReader, LineSplitter, type LogFormat } from '../data/accessLog';
import { BATCH_BYTES, BATCH_EVENTS, startCount, withAnswer, withLine, type ImportCount } from '../data/importRun';
import { ApiError } from './api';
import { addKey, revokeKey, sendEvents } from './settings';

const TRIES = 6;
const WAIT_MS = 1_000;

export class LogImport {
  count = $state.raw<ImportCount | null>(null);
  state = $state<'idle' | 'running' | 'done' | 'stopped' | 'failed'>('idle');
  error = $state.raw<ApiError | null>(null);
  #stop: AbortController | null = null;

  constructor(private domain: string) {}

  /** Reads the whole file; what was sent counts, whatever happens then. */
  async run(file: File, format: LogFormat): Promise<void> {
    const stop = new AbortController();
    this.#stop = stop;
    this.count = startCount(file.size);
    this.error = null;
    this.state = 'running';
    let key: { id: number; key: string } | null = null;
    try {
      key = await addKey(`Import of ${file.name.slice(0, 60)}`, ['events:write'], this.domain);
      await this.#send(file, new LineReader(this.domain, format), key.key, stop.signal);
      this.state = 'done';
    } catch (error) {
      if (stop.signal.aborted) this.state = 'stopped';
      else {
        this.state = 'failed';
        this.error = error instanceof ApiError ? error : new ApiError(0, String(error));
      }
    } finally {
      if (key) await revokeKey(key.id).catch(() => undefined);
    }
  }

  stop(): void {
    this.#stop?.abort();
  }

  async #send(file: File, reader: LineReader, key: string, signal: AbortSignal): Promise<void> {
    const splitter = new LineSplitter();
    let batch: { events: string[]; lines: number[]; bytes: number } = { events: [], lines: [], bytes: 0 };
    let line = 0;
    const flush = async () => {
      if (batch.events.length === 0) return;
      const { events, lines } = batch;
      batch = { events: [], lines: [], bytes: 0 };
      const answer = await this.#patiently(() => sendEvents(key, `[${events.join(',')}]`, signal), signal);
      if (this.count) this.count = withAnswer(this.count, answer, lines);
    };
    const take = async (bytes: Uint8Array) => {
      line++;
      const result = reader.read(bytes);
      if (!('event' in result)) {
        if (this.count) this.count = withLine(this.count, line, result);
        return;
      }
      batch.events.push(result.event);
      batch.lines.push(line);
      batch.bytes += result.event.length;
      if (batch.events.length >= BATCH_EVENTS || batch.bytes >= BATCH_BYTES) await flush();
    };
    const zipped = file.name.endsWith('.gz');
    const plain = file.stream().pipeThrough(new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (chunk, out) => {
        if (this.count) this.count = { ...this.count, read: this.count.read + chunk.length };
        out.enqueue(chunk);
      },
    }));
    const chunks = (zipped ? plain.pipeThrough(new DecompressionStream('gzip')) : plain).getReader();
    try {
      for (let next = await chunks.read(); !next.done; next = await chunks.read()) {
        for (const bytes of splitter.push(next.value)) await take(bytes);
        signal.throwIfAborted();
      }
      const last = splitter.end();
      if (last) await take(last);
      await flush();
    } finally {
      void chunks.cancel().catch(() => undefined);
    }
  }

  /** A node that is busy or away is asked again; sending twice counts once. */
  async #patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let i = 1; ; i++) {
      try {
        return await ask();
      } catch (error) {
        const again = error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status === 503);
        if (!again || i === TRIES || signal.aborted) throw error;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, WAIT_MS * 2 ** (i - 1));
          signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
        });
        signal.throwIfAborted();
      }
    }
  }
}
