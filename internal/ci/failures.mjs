// Prints what `go test -json` said of tests and packages that failed.
import { readFileSync } from 'node:fs';

const texts = new Map();
const packages = new Map(); // the last of everything a package printed, whoever printed it
for (const line of readFileSync(process.argv[2], 'utf8').split('\n')) {
  if (!line.startsWith('{')) continue;
  const e = JSON.parse(line);
  const key = `${e.Package ?? e.ImportPath ?? ''} ${e.Test ?? ''}`;
  if (e.Action === 'output' || e.Action === 'build-output') {
    texts.set(key, (texts.get(key) ?? '') + e.Output);
    packages.set(e.Package, ((packages.get(e.Package) ?? '') + e.Output).slice(-8000));
  }
  if (e.Action === 'fail' || e.Action === 'build-fail') {
    const text = e.Test ? texts.get(key) : packages.get(e.Package) ?? texts.get(key);
    console.log(`--- ${key}\n${(text ?? '').slice(-8000)}`);
  }
}
