import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Live, liveOf, type LiveState, type Stream } from './live';

class FakeStream implements Stream {
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  #listeners = new Map<string, (event: MessageEvent<string>) => void>();
  addEventListener(type: 'change' | 'events', listener: (event: MessageEvent<string>) => void): void {
    this.#listeners.set(type, listener);
  }
  say(data: string, type = 'change'): void {
    this.#listeners.get(type)?.(new MessageEvent(type, { data }));
  }
  fail(readyState: number): void {
    this.readyState = readyState;
    this.onerror?.();
  }
  close(): void {
    this.closed = true;
  }
}

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

function follow() {
  const streams: FakeStream[] = [];
  const states: LiveState[] = [];
  const counts: number[] = [];
  const heard: string[] = [];
  const live = new Live(() => {
    const stream = new FakeStream();
    streams.push(stream);
    return stream;
  }, { onChange: (count) => counts.push(count), onEvents: (data) => heard.push(data), onState: (state) => states.push(state) });
  return { live, streams, states, counts, heard };
}

it('tells of changes and of the connection', () => {
  const { streams, states, counts } = follow();
  streams[0]?.onopen?.();
  streams[0]?.say('{"index":7,"live":3}');
  streams[0]?.say('garbage');
  expect(states).toEqual(['connecting', 'live']);
  expect(counts).toEqual([3]);
});

it('hands on the data of a stream of events', () => {
  const { streams, counts, heard } = follow();
  streams[0]?.say('{"events":[]}', 'events');
  expect([heard, counts]).toEqual([['{"events":[]}'], []]);
});

it('leaves a lost connection to the browser', async () => {
  const { streams, states } = follow();
  streams[0]?.onopen?.();
  streams[0]?.fail(0);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(streams).toHaveLength(1);
  expect(states.at(-1)).toBe('reconnecting');
});

it('tries a refused stream again, ever more slowly, until one opens', async () => {
  const { streams, states } = follow();
  streams[0]?.fail(2);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(streams).toHaveLength(2);
  streams[1]?.fail(2);
  await vi.advanceTimersByTimeAsync(3_999);
  expect(streams).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1);
  streams[2]?.onopen?.();
  expect(states.at(-1)).toBe('live');
  streams[2]?.fail(2);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(streams).toHaveLength(4);
});

it('opens nothing once it is closed', async () => {
  const { live, streams } = follow();
  streams[0]?.fail(2);
  live.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(streams).toHaveLength(1);
});

it.each([['{"live":0}', 0], ['{"live":"3"}', null], ['null', null], ['', null]])('%j holds %s', (data, want) => {
  expect(liveOf(data)).toBe(want);
});
