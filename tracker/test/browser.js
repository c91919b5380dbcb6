// Chromium for tests, looking like anybody's Chrome.
import { chromium } from 'playwright-core';

const version = '140.0.0.0';

/** What an ordinary Chrome calls itself; "HeadlessChrome" is a bot. */
const userAgent = `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version} Safari/537.36`;

/** Starts Chromium; every host below .test is this machine. The caller closes it. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // A context's user agent is not that of requests that outlive their page.
      `--user-agent=${userAgent}`,
      '--host-resolver-rules=MAP *.test 127.0.0.1',
    ],
  });
}

/**
 * Opens a page of a visitor of their own. In it window.hide(true) makes the page
 * hidden and window.hide(false) visible again, window.blurred(true) takes the
 * focus away, as a headless browser has no other windows to do it with. With
 * clock, time stands still but for page.clock.runFor; natural leaves hidden and
 * focus to the browser.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {{ robot?: boolean, hidden?: boolean, clock?: boolean, natural?: boolean }} [options]
 */
export async function visitor(browser, { robot = false, hidden = false, clock = false, natural = false } = {}) {
  const context = await browser.newContext({
    locale: 'de-DE',
    viewport: { width: 1200, height: 800 },
    screen: { width: 1200, height: 900 },
  });
  await context.addInitScript(
    ({ robot, hidden, natural }) => {
      const w = /** @type {any} */ (window);
      Object.defineProperty(Navigator.prototype, 'webdriver', { get: () => robot });
      if (natural) return;
      let away = false;
      Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true });
      Object.defineProperty(document, 'hasFocus', { value: () => !hidden && !away, configurable: true });
      w.hide = (/** @type {boolean} */ to) => {
        hidden = to;
        document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
      };
      w.blurred = (/** @type {boolean} */ to) => {
        away = to;
        window.dispatchEvent(new Event(to ? 'blur' : 'focus'));
      };
    },
    { robot, hidden, natural },
  );
  const page = await context.newPage();
  if (clock) {
    await page.clock.install({ time: new Date('2026-03-04T05:06:07Z') });
    await page.clock.pauseAt(new Date('2026-03-04T05:06:08Z'));
  }
  return page;
}
