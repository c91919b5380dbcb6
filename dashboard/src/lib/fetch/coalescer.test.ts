import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Coalescer } from './coalescer';

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

function slowTask() {
  const ends: (() => void)[] = [];
  const task = vi.fn(() => new Promise<void>((resolve) => ends.push(resolve)));
  return { task, finish: async () => { ends.shift()?.(); await vi.advanceTimersByTimeAsync(0); } };
}

it('runs at once, then once more for all that came meanwhile', async () => {
  const { task, finish } = slowTask();
  const coalescer = new Coalescer(task, 500);
  for (let i = 0; i < 10; i++) coalescer.request();
  expect(task).toHaveBeenCalledTimes(1);
  await finish();
  await vi.advanceTimersByTimeAsync(499);
  expect(task).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(task).toHaveBeenCalledTimes(2);
  await finish();
  await vi.advanceTimersByTimeAsync(5000);
  expect(task).toHaveBeenCalledTimes(2);
});

it('never runs twice at a time, however long one takes', async () => {
  const { task, finish } = slowTask();
  const coalescer = new Coalescer(task, 500);
  coalescer.request();
  await vi.advanceTimersByTimeAsync(3000);
  coalescer.request();
  expect(task).toHaveBeenCalledTimes(1);
  await finish();
  expect(task).toHaveBeenCalledTimes(2);
});

it('runs no more once it is stopped', async () => {
  const { task, finish } = slowTask();
  const coalescer = new Coalescer(task, 500);
  coalescer.request();
  coalescer.request();
  await finish();
  coalescer.stop();
  coalescer.request();
  await vi.advanceTimersByTimeAsync(5000);
  expect(task).toHaveBeenCalledTimes(1);
});
