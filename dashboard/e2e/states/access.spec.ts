/** Every page holds to WCAG 2.2 AA in light and dark, fits a small phone, and makes the browser complain of nothing. */
import { breaches } from '../fixtures/axe';
import { expect, test } from '../fixtures/fake';

const PAGES = [
  ['the list of sites', '/', '[data-testid="site-card"]'],
  ['a site', '/sites/boots.example?f=is,source,Google', '[data-testid="panel-devices"] tbody tr'],
  ['a site by the hour', '/sites/boots.example?period=day&metric=bounce_rate', '[data-testid="chart-table"]'],
  ['the months', '/sites/boots.example/months', '[data-testid="months-table"]'],
  ['sign-in', '/login', 'form'],
  ['set-up', '/setup/good', 'form'],
  ['a used set-up link', '/setup/used', 'h1'],
  ['an unknown page', '/nowhere', 'h1'],
] as const;

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every page can be used by everybody, ${colorScheme}`, async ({ page, complaints }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [name, path, ready] of PAGES) {
      await page.goto(path);
      await page.locator(ready).first().waitFor({ state: 'attached' });
      await expect(page.locator('main .skeleton')).toHaveCount(0);
      expect(await breaches(page), name).toEqual([]);
    }
    expect(complaints).toEqual([]);
  });
}

test('dialogs and menus can be used by everybody', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await page.goto('/');
  await page.getByRole('button', { name: 'Add site' }).click();
  expect(await breaches(page)).toEqual([]);
  await page.goto('/sites/boots.example');
  await page.getByRole('button', { name: /^Period:/ }).click();
  await page.getByRole('button', { name: 'Custom range' }).click();
  expect(await breaches(page)).toEqual([]);
});

test('every page fits a phone of 360 pixels', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 700 });
  for (const [name, path, ready] of PAGES) {
    await page.goto(path);
    // On a phone rows are drawn when somebody comes near them.
    await expect(async () => {
      await page.mouse.wheel(0, 500);
      expect(await page.locator(ready).count()).toBeGreaterThan(0);
    }).toPass({ intervals: [50] });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wide, name).toBeLessThanOrEqual(0);
  }
});

test('the whole site page is reached by keyboard', async ({ page }) => {
  await page.goto('/sites/boots.example');
  await page.getByTestId('panel-devices').locator('tbody tr').first().waitFor();
  const reached = new Set<string>();
  for (let i = 0; i < 130; i++) {
    await page.keyboard.press('Tab');
    const name = await page.evaluate(() => {
      const at = document.activeElement;
      return at?.getAttribute('aria-label') ?? at?.textContent?.trim() ?? '';
    });
    reached.add(name.replace(/\s+/g, ' '));
  }
  for (const wanted of ['Skip to content', 'Months', 'Period: Last 7 days', 'Comparison: Previous period', 'Show as table', 'Filter', 'Entry pages', 'Show only /products', 'Search in Sources', 'Columns and downloads of Pages', 'Systems']) {
    expect([...reached]).toContain(wanted);
  }
});

test('the chart is read value by value with the arrow keys', async ({ page }) => {
  await page.goto('/sites/boots.example?period=custom&from=2026-03-02&to=2026-03-08');
  const chart = page.getByRole('img', { name: /Visitors/ });
  await chart.locator('canvas').waitFor();
  await chart.focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('.tip')).toContainText('2 Mar 2026');
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('.tip')).toContainText('3 Mar 2026');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/period=day&date=2026-03-03/);
});

test('the theme is chosen and stays chosen', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto('/');
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole('button', { name: 'Theme' }).click();
  await page.getByRole('button', { name: 'Dark' }).click();
  const dark = await ground();
  expect(dark).not.toBe(light);
  await page.reload();
  expect(await ground()).toBe(dark);
});
