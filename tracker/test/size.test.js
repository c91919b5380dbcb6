// The budget: what every visitor of every page downloads.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

for (const [name, max] of /** @type {[string, number][]} */ ([
  ['footfall.js', 1000],
  ['script.js', 1000],
  ['footfall.extras.js', 2000],
  ['pa.js', 2100],
  ['footfall.module.js', 2100],
]))
  test(`${name} is at most ${max} bytes gzip`, async (t) => {
    const size = gzipSync(await readFile(new URL(`../dist/${name}`, import.meta.url)), { level: 9 }).length;
    t.diagnostic(`${name}: ${size} bytes gzip`);
    assert.ok(size <= max, `${name} is ${size} bytes gzip, more than ${max}`);
  });

test('the file with all features has its placeholder once', async () => {
  const text = await readFile(new URL('../dist/footfall.extras.js', import.meta.url), 'utf8');
  assert.equal(text.split('@features@').length, 2);
});
