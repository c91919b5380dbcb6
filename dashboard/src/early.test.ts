import { afterEach, expect, test, vi } from 'vitest';
import { askEarly, early } from './early';

afterEach(() => vi.unstubAllGlobals());

const ask = (path: string, method = 'GET') => early(new Request(new URL(path, location.origin), { method }));

test('an answer is there once, for the same question', async () => {
  vi.stubGlobal('fetch', vi.fn(async () => new Response('boots')));
  askEarly('/v1/sites/boots.example');
  expect(await ask('/v1/sites/other.example')).toBeNull();
  expect(await ask('/v1/sites/boots.example', 'DELETE')).toBeNull();
  expect(await (await ask('/v1/sites/boots.example'))?.text()).toBe('boots');
  expect(await ask('/v1/sites/boots.example')).toBeNull();
});

test('what failed early is asked again', async () => {
  vi.stubGlobal('fetch', vi.fn(async () => { throw new TypeError('offline'); }));
  askEarly('/v1/sites/boots.example');
  expect(await ask('/v1/sites/boots.example')).toBeNull();
});
