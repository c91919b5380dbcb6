// Measures what the first load of a page costs, compressed, and fails above the
// budget. The site's page is the heaviest, so it sets the limit.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

// Signing in brings what the pages after it share, so that they come at once.
const LIMITS_KB = { Site: 150, Months: 138, Sites: 130, Login: 125 };

if (!existsSync('build/graph.json')) {
  console.error('build/graph.json is missing: run `npm run build` first');
  process.exit(1);
}
const chunks = JSON.parse(readFileSync('build/graph.json', 'utf8'));
const byFile = new Map(chunks.map((chunk) => [chunk.file, chunk]));
const entry = chunks.find((chunk) => chunk.entry);
// The entry gets it at once, beside the page.
const start = chunks.find((chunk) => chunk.name === 'start');

/** What comes with a chunk: itself, what it imports, and their styles. */
function closure(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  const chunk = byFile.get(file);
  for (const css of chunk?.css ?? []) found.add(css);
  for (const imported of chunk?.imports ?? []) closure(imported, found);
  return found;
}

/** Bytes on the wire; a font is compressed already. */
function size(file) {
  const raw = readFileSync(`dist/${file}`);
  return file.endsWith('.woff2') ? raw.length : gzipSync(raw, { level: 9 }).length;
}

const always = ['index.html', ...readdirSync('dist/assets').filter((file) => file.endsWith('.woff2')).map((file) => `assets/${file}`)];
// Readers of another language get one file of texts more; the longest counts.
const texts = chunks.filter((chunk) => ['de', 'fr', 'es', 'pt', 'ja'].includes(chunk.name)).map((chunk) => chunk.file);
const longest = texts.sort((a, b) => size(b) - size(a)).slice(0, 1);
let failed = false;
for (const [name, limit] of Object.entries(LIMITS_KB)) {
  const page = chunks.find((chunk) => chunk.name === name);
  if (!entry || !start || !page) {
    console.error(`budget: no chunk for page ${name}, or none to start with`);
    process.exit(1);
  }
  const files = [...new Set([...always, ...longest, ...closure(entry.file), ...closure(start.file), ...closure(page.file)])];
  const kb = files.reduce((sum, file) => sum + size(file), 0) / 1000;
  const verdict = kb <= limit ? 'ok' : 'TOO LARGE';
  console.log(`${name.padEnd(7)} ${kb.toFixed(1).padStart(6)} KB of ${limit} KB gzip  ${verdict}`);
  failed ||= kb > limit;
}
process.exit(failed ? 1 : 0);
