import { mkdirSync, writeFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

// The node serves everything below /assets/ as immutable and everything else
// that wants HTML as index.html, so every built file but that one must carry a
// hash. Nothing is inlined: the content security policy forbids data: scripts
// and inline styles alike.
export default defineConfig({
  plugins: [svelte(), svelteTesting(), graph()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // What several pages share comes in one file: on a phone each further one costs a round trip.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'base', test: /src\/(lib|assets)|node_modules/, minShareCount: 16, priority: 2 }, { name: 'shared', test: /src\/lib/, minShareCount: 7, priority: 1 }] } } },
  },
  server: { proxy: { '/api': target(), '/v1': target(), '/js': target() } },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['src/test/setup.ts'],
  },
});

/** Where `npm run dev` sends API calls: a node that runs on this machine. */
function target(): string {
  return process.env['FOOTFALL_URL'] ?? 'http://127.0.0.1:8080';
}

/** Writes which chunk imports which to build/graph.json, for scripts/budget.mjs. */
function graph(): Plugin {
  return {
    name: 'footfall-graph',
    apply: 'build',
    writeBundle(_options, bundle) {
      const chunks = Object.values(bundle).flatMap((file) =>
        file.type === 'chunk'
          ? [{
              file: file.fileName,
              name: file.name,
              entry: file.isEntry,
              imports: file.imports,
              css: [...(file.viteMetadata?.importedCss ?? [])],
            }]
          : [],
      );
      mkdirSync('build', { recursive: true });
      writeFileSync('build/graph.json', JSON.stringify(chunks, null, 2));
    },
  };
}
