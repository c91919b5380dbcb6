import { expect, it } from 'vitest';
import { ApiError } from './api';
import { Slot } from './slot.svelte';

function later<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => { resolve = yes; reject = no; });
  return { promise, resolve, reject };
}

it('drops the answer to an earlier question', async () => {
  const slot = new Slot<string>();
  const first = later<string>();
  const loading = slot.load(() => first.promise);
  await slot.load(async () => 'second');
  first.resolve('first');
  await loading;
  expect(slot.data).toBe('second');
  expect(slot.busy).toBe(false);
});

it('keeps what it shows while it asks again and when that fails', async () => {
  const slot = new Slot<string>();
  await slot.load(async () => 'old');
  const again = later<string>();
  const refreshing = slot.refresh(() => again.promise);
  expect([slot.data, slot.busy]).toEqual(['old', false]);
  again.reject(new ApiError(503, 'busy'));
  await refreshing;
  expect(slot.data).toBe('old');
  expect(slot.error?.status).toBe(503);
  await slot.refresh(async () => 'new');
  expect([slot.data, slot.error]).toEqual(['new', null]);
});

it('asks again after a load that a change overtook', async () => {
  const slot = new Slot<string>();
  const load = later<string>();
  void slot.load(() => load.promise);
  let asked = 0;
  const refreshing = slot.refresh(async () => { asked++; return 'newer'; });
  expect(asked).toBe(0);
  load.resolve('older');
  await refreshing;
  expect(slot.data).toBe('newer');
});

it('forgets all on reset', async () => {
  const slot = new Slot<string>();
  const load = later<string>();
  const loading = slot.load(() => load.promise);
  slot.reset();
  load.resolve('late');
  await loading;
  expect([slot.data, slot.busy]).toEqual([null, false]);
});
