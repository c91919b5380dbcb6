/** The list of sites, the figures and the chart, the periods, the keys, the languages. */
import { readFile } from 'node:fs/promises';
import type { Page } from '@playwright/test';
import { breaches } from '../fixtures/axe';
import { expect, test } from '../fixtures/fake';

const WEEK = '/sites/boots.example?period=custom&from=2026-03-02&to=2026-03-08';

async function domains(page: Page): Promise<string[]> {
  return page.getByTestId('sites').locator('[data-testid="site-card"] .domain').allTextContents();
}

async function chartReady(page: Page): Promise<void> {
  await page.locator('.u-over').waitFor();
  await page.getByTestId('panel-devices').locator('tbody tr').first().waitFor();
}

test('sites are found and sorted, and the address says how', async ({ page }) => {
  await page.goto('/');
  await page.getByTestId('site-card').first().waitFor();
  expect((await domains(page))[0]).toMatch(/^a-very-long/);
  await page.getByRole('button', { name: /^Sort by:/ }).click();
  await page.getByRole('button', { name: 'Visitors today' }).click();
  await expect(page).toHaveURL(/sort=visitors$/);
  expect((await domains(page))[0]).toBe('boots.example');
  await page.keyboard.press('/');
  await page.keyboard.type('blog');
  await expect(page).toHaveURL(/sort=visitors&find=blog$/);
  await expect(page.getByTestId('site-card')).toHaveCount(1);
  await page.reload();
  await expect(page.getByTestId('site-card')).toHaveCount(1);
  await page.getByLabel('Find a site').fill('nothing like it');
  await expect(page.getByText('No site matches')).toBeVisible();
});

test('pins come first and stay', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Pin boots.example or put it into a group' }).click();
  await page.getByRole('button', { name: 'Pin to the top' }).click();
  expect((await domains(page))[0]).toBe('boots.example');
  await page.reload();
  await page.getByTestId('site-card').first().waitFor();
  expect((await domains(page))[0]).toBe('boots.example');
  await page.getByRole('button', { name: 'Pin boots.example or put it into a group' }).click();
  await page.getByRole('button', { name: 'Unpin' }).click();
  expect((await domains(page))[0]).toMatch(/^a-very-long/);
});

test('a group adds up its sites, shows them alone, is renamed and dissolved', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'New group' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('A group needs a name.')).toBeVisible();
  await dialog.getByLabel('Name of the group').fill('Family');
  await dialog.getByLabel('boots.example', { exact: true }).check();
  await dialog.getByLabel('blog.boots.example').check();
  expect(await breaches(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Save' }).click();
  const group = page.getByTestId('group-card');
  await expect(group).toContainText('2 sites');
  const cards = page.getByTestId('site-card');
  const number = async (card: typeof cards) => Number((await card.locator('.value').first().textContent())?.replaceAll(',', ''));
  const sum = await number(cards.filter({ hasText: /^boots/ })) + await number(cards.filter({ hasText: 'blog.boots' }));
  expect(await number(group)).toBe(sum);
  expect(await breaches(page)).toEqual([]);

  await group.getByRole('link').click();
  await expect(page).toHaveURL(/\?group=Family$/);
  await expect(cards).toHaveCount(2);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Family');
  await page.getByRole('button', { name: 'Change group Family' }).click();
  await dialog.getByLabel('Name of the group').fill('Clan');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page).toHaveURL(/\?group=Clan$/);
  await page.getByRole('button', { name: 'Change group Clan' }).click();
  await dialog.getByRole('button', { name: 'Dissolve' }).click();
  await expect(group).toHaveCount(0);
  await expect(cards).toHaveCount(3);
  await expect(page).toHaveURL(/\/$/);
});

test('money is a figure where there are goals of money, and can be drawn', async ({ page, fake }) => {
  await page.goto('/sites/boots.example?compare=off');
  await expect(page.getByTestId('figure-total_revenue')).toContainText('€');
  await page.getByTestId('figure-total_revenue').click();
  await expect(page).toHaveURL(/metric=total_revenue/);
  await expect(page.getByTestId('chart-table').locator('td').first()).toContainText('€');
  fake.goals = [];
  await page.reload();
  await chartReady(page);
  await expect(page.getByTestId('figure-total_revenue')).toHaveCount(0);
  await expect(page.getByTestId('figure-visitors')).toHaveAttribute('aria-pressed', 'true');
});

test('a figure tells its every digit', async ({ page }) => {
  await page.goto('/sites/boots.example?period=all');
  const figure = page.getByTestId('figure-pageviews');
  await figure.focus();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Tab');
  await expect(figure.locator('.exact')).toBeVisible();
  await expect(figure.locator('.exact b')).toHaveText(/^\d{1,3}(,\d{3})+$/);
});

test('dragging over the chart zooms, and there are three ways back', async ({ page }) => {
  await page.goto(WEEK);
  await chartReady(page);
  const drag = async () => {
    const box = (await page.locator('.u-over').boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.17, box.y + 100);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.4, box.y + 100, { steps: 5 });
    await page.mouse.move(box.x + box.width * 0.66, box.y + 100, { steps: 5 });
    await page.mouse.up();
    await expect(page).toHaveURL(/from=2026-03-03&to=2026-03-06.*zoom=custom%2C2026-03-02%2C2026-03-08/);
    await expect(page.getByTestId('chart-table').locator('tbody tr')).toHaveCount(4);
  };
  await drag();
  await page.goBack();
  await expect(page).toHaveURL(/from=2026-03-02&to=2026-03-08$/);
  await chartReady(page);
  await drag();
  await page.keyboard.press('Escape');
  await expect(page).toHaveURL(/from=2026-03-02&to=2026-03-08$/);
  await chartReady(page);
  await drag();
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await expect(page).toHaveURL(/from=2026-03-02&to=2026-03-08$/);
  // Another period is no zoom any more.
  await chartReady(page);
  await drag();
  await page.keyboard.press('d');
  await expect(page).toHaveURL(/period=day$/);
});

test('a range is selected and zoomed by keys, down to minutes', async ({ page }) => {
  await page.goto(WEEK);
  await chartReady(page);
  const chart = page.getByRole('img', { name: /Shift with arrow keys selects a range/ });
  await chart.focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Shift+ArrowRight');
  await expect(page.locator('.tip')).toContainText('Tue, 3 Mar 2026 to Wed, 4 Mar 2026');
  await page.keyboard.press('Escape');
  await expect(page.locator('.tip')).toHaveCount(0);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/period=day&date=2026-03-02/);
  await expect(page.getByTestId('chart-table').locator('tbody tr')).toHaveCount(24);
  await chart.focus();
  await page.keyboard.press('ArrowRight');
  for (let i = 0; i < 2; i++) await page.keyboard.press('Shift+ArrowRight');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/from=2026-03-02T00%3A00&to=2026-03-02T02%3A59/);
  await expect(page.getByTestId('period')).toHaveText('Mon, 2 Mar 2026, 00:00 – 02:59');
  await expect(page.getByTestId('chart-table').locator('tbody tr')).toHaveCount(180);
});

test('notes stand in the chart and its table, are changed and deleted', async ({ page }) => {
  await page.goto(WEEK);
  await chartReady(page);
  await page.getByRole('button', { name: 'Notes and downloads of the chart' }).click();
  await page.getByRole('button', { name: 'Add a note' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('A note needs some words.')).toBeVisible();
  await dialog.getByLabel('What happened').fill('<b>Sale</b> 👢');
  await dialog.getByLabel('Day').fill('2026-03-05');
  expect(await breaches(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Save' }).click();
  const mark = page.getByRole('button', { name: 'Note, Thu, 5 Mar 2026: <b>Sale</b> 👢' });
  await expect(mark).toBeVisible();
  await expect(page.getByTestId('chart-table').locator('tr', { hasText: '5 Mar' }).locator('.noted')).toHaveText('<b>Sale</b> 👢');
  await page.reload();
  await mark.click();
  await dialog.getByRole('button', { name: /^Change note/ }).click();
  await dialog.getByLabel('Day').fill('2026-03-06');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: /^Note, Fri, 6 Mar 2026/ }).click();
  await dialog.getByRole('button', { name: /^Delete note/ }).click();
  await expect(page.getByRole('button', { name: /^Note, / })).toHaveCount(0);
});

test('the chart is taken along as a file and as a picture', async ({ page }) => {
  await page.goto(`${WEEK}&compare=previous`);
  await chartReady(page);
  const get = async (name: string) => {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Notes and downloads of the chart' }).click();
    await page.getByRole('button', { name }).click();
    const file = await download;
    return { name: file.suggestedFilename(), content: await readFile(await file.path()) };
  };
  const csv = await get('Download CSV');
  expect(csv.name).toBe('boots.example-visitors-2026-03-02-2026-03-08.csv');
  const lines = csv.content.toString().trim().split('\r\n');
  expect(lines).toHaveLength(8);
  expect(lines[0]).toBe('time,visitors,partial,comparison_time,comparison_visitors');
  expect(lines[1]).toMatch(/^2026-03-02,\d+,0,2026-02-23,\d+$/);
  const png = await get('Download picture');
  expect(png.content.subarray(1, 4).toString()).toBe('PNG');
  expect(png.content.length).toBeGreaterThan(10_000);
});

test('periods are picked by keys, and a range of one\'s own without a mouse', async ({ page }) => {
  await page.goto('/sites/boots.example');
  await chartReady(page);
  for (const [key, text] of [['h', 'Last 24 hours'], ['t', 'Last 30 days'], ['m', 'Month to date'], ['y', 'Last 12 months'], ['W', 'Last 7 days']] as const) {
    await page.keyboard.press(key);
    await expect(page.getByTestId('period')).toHaveText(text);
  }
  await page.keyboard.press('ArrowLeft');
  await expect(page).toHaveURL(/period=7d&date=/);
  await page.keyboard.press('ArrowRight');
  await expect(page).toHaveURL(/boots\.example$/);
  await page.keyboard.press('c');
  const grid = page.getByRole('grid');
  await grid.waitFor();
  expect(await breaches(page)).toEqual([]);
  await grid.locator('button[tabindex="0"]').focus();
  for (const key of ['PageUp', 'Home', 'Enter', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
  await page.getByRole('button', { name: 'Apply' }).focus();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/period=custom&from=\d{4}-\d\d-\d\d&to=\d{4}-\d\d-\d\d$/);
  await expect(page.getByTestId('chart-table').locator('tbody tr')).toHaveCount(8);
});

test('compares with other days, with the same weekdays, with nothing', async ({ page, fake }) => {
  await page.goto('/sites/boots.example?period=month&date=2026-10-01');
  await chartReady(page);
  const ranges = () => fake.asked.filter((question) => !(question['dimensions'] as string[] | undefined)?.length)
    .map((question) => (question['include'] as { comparisons?: { date_range: string[] } } | undefined)?.comparisons?.date_range?.join());
  await page.getByRole('button', { name: /^Comparison:/ }).click();
  await page.getByRole('button', { name: 'Same weekdays' }).click();
  await expect(page).toHaveURL(/match=weekday/);
  await expect.poll(() => ranges().at(-1)).toBe('2026-08-27,2026-09-25');
  await page.getByRole('button', { name: /^Comparison:/ }).click();
  await page.getByRole('button', { name: 'Other days …' }).click();
  await page.getByLabel('From').fill('2026-01-05');
  await page.getByLabel('To', { exact: true }).fill('2026-01-09');
  await page.getByRole('button', { name: 'Apply' }).click();
  await expect(page).toHaveURL(/compare=custom&compare_from=2026-01-05&compare_to=2026-01-09/);
  await expect(page.getByText(/Compared with 5\s*–\s*9 Jan 2026/)).toBeVisible();
  await expect.poll(() => ranges().at(-1)).toBe('2026-01-05,2026-01-09');
  await page.keyboard.press('x');
  await expect(page).toHaveURL(/compare=off/);
  await page.keyboard.press('x');
  await expect(page).not.toHaveURL(/compare=/);
});

test('the last 24 hours have both of their lines', async ({ page }) => {
  await page.goto('/sites/boots.example?period=24h');
  await chartReady(page);
  const rows = page.getByTestId('chart-table').locator('tbody tr');
  await expect(rows).toHaveCount(25);
  await expect(rows.nth(12).locator('td')).toHaveCount(2);
  await page.getByRole('button', { name: 'Interval: Hours' }).click();
  await page.getByRole('button', { name: 'Minutes' }).click();
  await expect(page).toHaveURL(/interval=minute/);
});

test('keys go to pages, choose figures, open the help, and rest where they must', async ({ page }) => {
  await page.goto('/sites/boots.example');
  await chartReady(page);
  await page.keyboard.press('3');
  await expect(page).toHaveURL(/metric=pageviews/);
  await page.keyboard.press('b');
  await expect(page.getByRole('button', { name: 'Show as chart' })).toBeVisible();
  await page.keyboard.press('f');
  await expect(page.getByRole('dialog', { name: 'New filter' })).toBeVisible();
  await page.keyboard.press('d');
  await expect(page).not.toHaveURL(/period=day/);
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await page.keyboard.press('Control+d');
  await expect(page).not.toHaveURL(/period=day/);
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await expect(page).toHaveURL(/\/months$/);
  await expect(page.getByRole('heading', { name: 'Monthly visit status' })).toBeVisible();
  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await expect(page).toHaveURL(/\/$/);
  await expect(page.getByRole('heading', { name: 'Sites', level: 1 })).toBeVisible();
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await expect(help).toBeVisible();
  expect(await breaches(page)).toEqual([]);
  await help.getByLabel('Single keys are shortcuts').uncheck();
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await expect(help).toHaveCount(0);
  await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
  await help.getByLabel('Single keys are shortcuts').check();
});

test('another language is chosen, stays, and brings its numbers and dates', async ({ page }) => {
  await page.goto('/sites/boots.example?period=custom&from=2026-03-02&to=2026-03-08');
  await page.getByRole('button', { name: 'Theme and language' }).click();
  await page.getByRole('button', { name: 'Deutsch' }).click();
  await expect(page.locator('html')).toHaveAttribute('lang', 'de');
  await expect(page.getByTestId('figure-visitors')).toContainText('Besucher');
  await expect(page.getByTestId('chart-table').locator('tbody th').first()).toHaveText('Mo., 2. März 2026');
  await expect(page.getByTestId('figure-pageviews').locator('.value')).toHaveText(/^\d+\.\d{3}$/);
  expect(await breaches(page)).toEqual([]);
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('lang', 'de');
});

for (const [locale, lang, title] of [['fr-CA', 'fr-CA', 'Sites'], ['es-MX', 'es-MX', 'Sitios'], ['pt-BR', 'pt-BR', 'Sites'], ['ja-JP', 'ja-JP', 'サイト'], ['nl-NL', 'en', 'Sites']] as const) {
  test.describe(`a browser in ${locale}`, () => {
    test.use({ locale });
    test('is answered in its language, or in English', async ({ page, complaints }) => {
      await page.goto('/');
      await expect(page.locator('html')).toHaveAttribute('lang', lang);
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(title);
      expect(complaints).toEqual([]);
    });
  });
}

test('every page of mine fits a phone in the longest language', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await page.addInitScript(() => localStorage.setItem('footfall-language', 'de'));
  for (const path of ['/', '/sites/boots.example?period=30d&compare=year']) {
    await page.goto(path);
    await page.locator('[data-testid="site-card"], [data-testid="chart-table"]').first().waitFor({ state: 'attached' });
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), path).toBeLessThanOrEqual(0);
  }
});
