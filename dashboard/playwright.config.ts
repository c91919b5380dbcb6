import { defineConfig } from '@playwright/test';

// states: the built pages against a small server that can be told to fail.
// node: the built pages inside the real binary, with real events.
// screens: pictures of every page, not a test.
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  fullyParallel: true,
  workers: 2,
  // Generous, because other suites may have the machine at the same time; nothing waits unless it fails.
  timeout: 180_000,
  expect: { timeout: 20_000 },
  forbidOnly: true,
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync'],
    },
  },
  projects: [
    { name: 'states', testMatch: 'states/*.spec.ts' },
    { name: 'node', testMatch: 'node/*.spec.ts' },
    { name: 'screens', testMatch: 'screens/*.spec.ts' },
  ],
});
