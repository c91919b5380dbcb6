// Builds the files of dist, all from the one source. esbuild joins the modules
// and sets the constants; terser makes smaller files than esbuild does.
import { build } from 'esbuild';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { minify } from 'terser';

const root = fileURLToPath(new URL('.', import.meta.url));

/** @type {{ entry: string, out: string, extras?: boolean, legacy?: boolean, init?: boolean, format?: 'iife' | 'esm' }[]} */
const files = [
  { entry: 'base', out: 'footfall' },
  { entry: 'base', out: 'script', legacy: true },
  { entry: 'extras', out: 'footfall.extras', extras: true },
  { entry: 'pa', out: 'pa', extras: true, init: true },
  { entry: 'module', out: 'footfall.module', extras: true, init: true, format: 'esm' },
];

await mkdir(`${root}/dist`, { recursive: true });
for (const { entry, out, extras = false, legacy = false, init = false, format = 'iife' } of files) {
  const joined = await build({
    absWorkingDir: root,
    entryPoints: [`src/${entry}.js`],
    bundle: true,
    minify: true,
    write: false,
    format,
    target: 'es2021',
    define: { EXTRAS: String(extras), LEGACY: String(legacy), INIT: String(init) },
    tsconfigRaw: {},
    logLevel: 'warning',
  });
  const small = await minify(joined.outputFiles[0].text, {
    ecma: 2020,
    module: format == 'esm',
    toplevel: true,
    compress: { passes: 3, unsafe_arrows: true },
    format: { comments: false },
  });
  await writeFile(`${root}/dist/${out}.js`, small.code ?? '');
}

// The npm package's types: what its users meet, and its two functions.
const types = await readFile(`${root}/src/types.d.ts`, 'utf8');
await writeFile(
  `${root}/dist/module.d.ts`,
  `${types}
/** Begins to count in a browser; calls after the first change nothing. */
export declare const init: (options: Options) => void;
/** Counts an event. Before init nothing is counted, and the callback gets an error. */
export declare const track: Track;
`,
);
