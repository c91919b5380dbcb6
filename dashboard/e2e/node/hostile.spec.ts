/** Strings of strangers, as they come in by paths, referrers and properties: they are text, and the layout holds. */
import { CHROME, expect, test } from '../fixtures/binary';

test.describe.configure({ mode: 'serial' });

const SITE = 'hostile.example';
const SCRIPT = '<script>window.hit=1</script><img src=x onerror="window.hit=1">';
const RTL = '\u202egnp.evil\u202c \u05e9\u05dc\u05d5\u05dd';
const EMOJI = '👩‍👩‍👧‍👦🏳️‍🌈🧦';
const LONG = 'x'.repeat(1900);
const MARKS = `Z${'\u0353\u033a'.repeat(40)}algo`;
const STRINGS = [SCRIPT, RTL, EMOJI, LONG, MARKS, '{{7*7}}${7*7}', "';DROP TABLE--", 'javascript:window.hit=1', '//evil.example/a'];

const PAGES = ['', '/realtime', '/page?period=day', `/page?period=day&page=${encodeURIComponent(`/${SCRIPT}`)}`, `/page?period=day&page=${encodeURIComponent(`/${LONG}`)}`,
  '/journeys?period=day', '/months', '/settings/inspector', '/settings/properties',
  `?period=day&f=is,page,${encodeURIComponent(`/${SCRIPT}`)}`, `?period=day&f=is,page,${encodeURIComponent(`/${LONG}`)}&actions=props&sources=campaigns`];

test.beforeAll(async ({ node, account, browser }) => {
  const context = await browser.newContext({ storageState: account, baseURL: node.address });
  const added = await context.request.post('/v1/sites', { data: { domain: SITE, timezone: 'Europe/Berlin' } });
  expect(added.status(), await added.text()).toBe(201);
  // Whoever looks at the inspector has events listed there from then on.
  await context.request.get(`/v1/sites/${SITE}/inspector`);
  for (const [i, text] of STRINGS.entries()) {
    for (const name of ['pageview', `Tried ${text.slice(0, 40)}`]) {
      const response = await fetch(`${node.address}/api/event`, {
        method: 'POST', headers: { 'Content-Type': 'text/plain', 'User-Agent': CHROME, 'X-Forwarded-For': `203.0.113.${i + 1}` },
        body: JSON.stringify({
          name, domain: SITE, url: `https://${SITE}/${encodeURIComponent(text).slice(0, 1900)}?utm_campaign=${encodeURIComponent(text.slice(0, 60))}`,
          referrer: `https://evil.example/${encodeURIComponent(text).slice(0, 900)}`, props: { note: text.slice(0, 900) },
        }),
      });
      expect(response.status, await response.text()).toBe(202);
    }
  }
  const shown = await context.request.put(`/v1/sites/${SITE}/properties/note`);
  expect(shown.ok(), await shown.text()).toBe(true);
  await context.close();
});

for (const width of [1280, 360]) {
  test(`are text and fit at ${width} pixels`, async ({ page, node, complaints }) => {
    test.setTimeout(90_000);
    await page.setViewportSize({ width, height: 800 });
    const elsewhere: string[] = [];
    page.on('request', (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol !== 'data:' && protocol !== 'blob:' && origin !== node.address) elsewhere.push(request.url());
    });
    page.on('dialog', (dialog) => elsewhere.push(`dialog: ${dialog.message()}`));
    for (const path of PAGES) {
      await page.goto(`/sites/${SITE}${path}`);
      await page.locator('main').waitFor();
      await page.waitForLoadState('load');
      // Rows far below are drawn when somebody comes near them.
      await expect(async () => {
        await page.mouse.wheel(0, 500);
        expect(await page.evaluate(() => window.scrollY + window.innerHeight >= document.documentElement.scrollHeight - 1)).toBe(true);
        expect(await page.locator('main .skeleton').count()).toBe(0);
      }).toPass({ timeout: 15_000, intervals: [50] });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(over, `${path.slice(0, 60)} is wider than the window`).toBeLessThanOrEqual(0);
      expect(await page.evaluate(() => 'hit' in window), path.slice(0, 60)).toBe(false);
      expect(await page.locator('main img[src="x"], main script').count()).toBe(0);
    }
    await page.goto(`/sites/${SITE}?period=day`);
    await page.getByTestId('panel-pages').scrollIntoViewIfNeeded();
    const rows = page.getByTestId('panel-pages').locator('tbody .text');
    await expect(rows.filter({ hasText: '<script>window.hit=1</script>' })).toHaveCount(1);
    await expect(rows.filter({ hasText: EMOJI })).toHaveCount(1);
    // A text that turns direction must not turn what stands beside it.
    await expect(rows.filter({ hasText: 'gnp.evil' }).locator('bdi').first()).toBeVisible();
    expect(elsewhere).toEqual([]);
    expect(complaints).toEqual([]);
  });
}
