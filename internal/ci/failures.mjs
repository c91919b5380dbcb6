// Prints what `go test -json` said of tests and packages that failed.
import { readFileSync } from 'node:fs';

const texts = new Map();
for (const line of readFileSync(process.argv[2], 'utf8').split('\n')) {
  if (!line.startsWith('{')) continue;
  const e = JSON.parse(line);
  const key = `${e.Package ?? e.ImportPath ?? ''} ${e.Test ?? ''}`;
  if (e.Action === 'output' || e.Action === 'build-output') texts.set(key, (texts.get(key) ?? '') + e.Output);
  if (e.Action === 'fail' || e.Action === 'build-fail') {
    console.log(`--- ${key}\n${(texts.get(key) ?? '').slice(-8000)}`);
  }
}
