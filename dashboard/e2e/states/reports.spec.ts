/** The report pages: what they show, how they are used, and what they say when there is nothing to show. */
import { breaches } from '../fixtures/axe';
import { expect, test } from '../fixtures/fake';

const SITE = '/sites/boots.example';
const FUNNEL = `${SITE}/funnels?s=page,/&s=page,/cart&s=event,Order`;
const PAGES = [
  [`${SITE}/realtime`, 'realtime-pages'], [`${SITE}/page`, 'page-list'], [`${SITE}/page?page=/products`, 'reach'], [FUNNEL, 'funnel-table'],
  [`${SITE}/retention`, 'retention-table'], [`${SITE}/journeys`, 'journey-table'], [`${SITE}/journeys?look=table`, 'journey-table'], [`${SITE}/months?month=2026-09`, 'month-seal'],
] as const;

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the report pages can be used by everybody, ${colorScheme}`, async ({ page, complaints }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [path, ready] of PAGES) {
      await page.goto(path);
      await page.getByTestId(ready).first().waitFor({ state: 'attached' });
      await expect(page.locator('main .skeleton')).toHaveCount(0);
      expect(await breaches(page), path).toEqual([]);
    }
    await page.goto(SITE);
    await page.getByTestId('panel-pages').waitFor();
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    await page.getByTestId('heatmap').waitFor();
    await page.getByTestId('returning-table').waitFor();
    expect(await breaches(page), 'patterns').toEqual([]);
    expect(complaints).toEqual([]);
  });
}

test('no report page is wider than a small phone', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const [path, ready] of PAGES) {
    await page.goto(path);
    await page.getByTestId(ready).first().waitFor({ state: 'attached' });
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), path).toBe(0);
  }
});

test('the pages of a site lead to one another and keep period and filters', async ({ page }) => {
  await page.goto(`${SITE}?period=30d&f=is,source,Google`);
  const pages = page.getByRole('navigation', { name: 'Site pages' });
  for (const [name, path] of [['Funnels', 'funnels'], ['Retention', 'retention'], ['Journeys', 'journeys'], ['Pages', 'page'], ['Realtime', 'realtime']] as const) {
    await pages.getByRole('link', { name }).click();
    await expect(page).toHaveURL(new RegExp(`/${path}\\?period=30d&f=is%2Csource%2CGoogle`));
    await expect(pages.getByRole('link', { name })).toHaveAttribute('aria-current', 'page');
    await expect(page.getByRole('button', { name: 'Remove filter: Source is Google' })).toBeVisible();
  }
  await page.getByRole('button', { name: 'Remove filter: Source is Google' }).click();
  await expect(page).toHaveURL(/realtime\?period=30d$/);
});

test('report pages of a site that is not there say so', async ({ page }) => {
  for (const name of ['realtime', 'page', 'funnels', 'retention', 'journeys']) {
    await page.goto(`/sites/other.example/${name}`);
    await expect(page.getByText('There is no such site')).toBeVisible();
  }
});

test('a report that cannot be had says so and is asked for again', async ({ page }) => {
  await page.route('**/journeys', async (route) => (route.request().method() === 'POST' ? route.fulfill({ status: 503, json: { error: 'busy' } }) : route.continue()));
  await page.goto(`${SITE}/journeys`);
  await expect(page.getByRole('alert')).toContainText('The server is busy');
  await page.unroute('**/journeys');
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByTestId('journey-table')).toBeAttached();
});

test('what is new is on the realtime page by itself, and a lost connection is told', async ({ page, fake }) => {
  await page.goto(`${SITE}/realtime`);
  const feed = page.getByTestId('feed').locator('li');
  await expect(feed).toHaveCount(3);
  await expect(feed.first()).toContainText('/cart');
  await expect(feed.nth(1)).toContainText('Order');
  await expect(page.getByTestId('minutes-table').locator('tbody tr')).toHaveCount(30);
  await expect(page.getByTestId('realtime-map').locator('circle.spot')).toHaveCount(3);
  await expect.poll(() => fake.feeds).toBe(1);
  fake.hear('/thank-you');
  await expect(feed.first()).toContainText('/thank-you');
  await expect(feed.first()).toContainText('Japan');
  await expect(feed.first()).toHaveClass(/fresh/);
  await expect(feed.nth(1)).not.toHaveClass(/fresh/);
  await expect(feed).toHaveCount(4);
  fake.hear('/busy', true);
  await expect(page.getByText('More is happening than fits here')).toBeVisible();
  await page.route(/\/live(\/events)?$/, (route) => route.abort());
  fake.dropStreams();
  await expect(page.getByTestId('feed-state')).toHaveText('Reconnecting …');
  await expect(page.locator('.live').getByText('Reconnecting …')).toBeVisible();
  await page.unroute(/\/live(\/events)?$/);
  await expect(page.getByRole('status').filter({ hasText: 'Live' })).toBeAttached({ timeout: 30_000 });
  await expect(page.getByTestId('feed-state')).toHaveCount(0, { timeout: 30_000 });
  // What was there before the connection was lost is told once, not again.
  await expect(feed.filter({ hasText: '/thank-you' })).toHaveCount(1);
});

test('with filters the newest events are those of the visits that they are about', async ({ page, fake }) => {
  await page.goto(`${SITE}/realtime?f=is,source,Google`);
  const feed = page.getByTestId('feed').locator('li');
  await expect(feed).toHaveCount(3);
  await expect.poll(() => fake.streams).toBe(1);
  expect(fake.feeds).toBe(0);
  fake.viewed = ['/thank-you', ...fake.viewed];
  fake.push(13);
  await expect(feed.first()).toContainText('/thank-you');
  await expect(feed.first()).toHaveClass(/fresh/);
});

test('rows of the realtime page filter it or lead to the page', async ({ page, fake }) => {
  await page.goto(`${SITE}/realtime`);
  await page.getByRole('link', { name: 'Show only Germany' }).click();
  await expect(page.getByRole('button', { name: 'Remove filter: Country is Germany' })).toBeVisible();
  expect(fake.reports.some(({ name }) => name === 'realtime')).toBe(true);
  await page.getByTestId('realtime-pages').getByRole('link', { name: 'Report of /products' }).click();
  await expect(page).toHaveURL(/\/page\?period=day&page=%2Fproducts$/);
  await expect(page.getByRole('heading', { name: '/products' })).toBeVisible();
});

test('a funnel is put together by keyboard alone and lives in the address', async ({ page, fake }) => {
  await page.goto(`${SITE}/funnels`);
  await expect(page.getByText('Which way do visitors take?')).toBeVisible();
  const value = (n: number) => page.getByLabel(`Value of step ${n}`);
  await value(1).focus();
  await page.keyboard.type('/');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/s=page%2C%2F&s=page%2C$/);
  await page.getByLabel('What counts as step 2').selectOption('Event');
  await value(2).fill('Order');
  await value(2).press('Enter');
  await expect(page.getByTestId('funnel-table').locator('tbody tr')).toHaveCount(2);
  expect(fake.reports.at(-1)?.asked.steps).toEqual([{ page: '/', name: '/' }, { event: 'Order', name: 'Order' }]);
  await page.getByRole('button', { name: 'Add step' }).click();
  await expect(page.getByText('Fill in every step to see the funnel.')).toBeVisible();
  await value(3).fill('/cart');
  await value(3).press('Tab');
  await expect(page.getByTestId('funnel-table').locator('tbody tr')).toHaveCount(3);
  await value(3).focus();
  await page.keyboard.press('Alt+ArrowUp');
  await expect(value(2)).toHaveValue('/cart');
  await expect(value(2)).toBeFocused();
  await page.getByRole('button', { name: 'Move step 2 down' }).click();
  await expect(value(3)).toHaveValue('/cart');
  await page.getByRole('button', { name: /^Within:/ }).click();
  await page.getByRole('button', { name: '7 days', exact: true }).click();
  await expect(page).toHaveURL(/s=page%2C%2F&s=event%2COrder&s=page%2C%2Fcart&window=7d$/);
  expect(fake.reports.at(-1)?.asked.window).toBe('7d');
  const address = page.url();
  await page.getByRole('button', { name: 'Remove step 3' }).click();
  await expect(page.getByTestId('funnel-table').locator('tbody tr')).toHaveCount(2);
  await page.goBack();
  await expect(page).toHaveURL(address);
  await expect(page.getByTestId('funnel-table').locator('tbody tr')).toHaveCount(3);
});

test('steps of a funnel are dragged, suggested, and lead to their visits', async ({ page }) => {
  await page.goto(FUNNEL);
  const steps = page.getByTestId('funnel-step');
  await steps.nth(2).locator('.grip').dragTo(steps.nth(0));
  await expect(page.getByLabel('Value of step 1')).toHaveValue('Order');
  await page.getByRole('button', { name: 'Goal Visit /thank-you' }).click();
  await expect(page.getByTestId('funnel-table').locator('tbody tr')).toHaveCount(4);
  await page.getByTestId('funnel-table').getByRole('link', { name: '/cart' }).click();
  await expect(page).toHaveURL(/\/sites\/boots\.example\?f=is%2Cpage%2C%2Fcart$/);
});

test('journeys walk on by a click, light up, and can be read as a table', async ({ page, fake }) => {
  await page.goto(`${SITE}/journeys`);
  const product = page.getByRole('link', { name: /^\/products:/ }).first();
  await product.hover();
  await expect(page.locator('.link.on').first()).toBeAttached();
  await product.click();
  await expect(page).toHaveURL(/journeys\?page=%2Fproducts$/);
  await expect(page.getByLabel('Starting at')).toHaveValue('/products');
  expect(fake.reports.at(-1)?.asked).toMatchObject({ page: '/products', direction: 'next', steps: 3 });
  await page.getByRole('button', { name: /^Direction:/ }).click();
  await page.getByRole('button', { name: 'Where they came from' }).click();
  await expect(page.getByLabel('Leading to')).toHaveValue('/products');
  await page.getByRole('button', { name: 'Show as table' }).click();
  await expect(page).toHaveURL(/look=table$/);
  await expect(page.getByTestId('journey-table').locator('tbody tr').first()).toContainText('/products');
  await page.getByRole('button', { name: 'All journeys' }).click();
  await expect(page.getByLabel('Leading to')).toHaveValue('');
});

test('retention shows shares by week and month, and says why it cannot', async ({ page, fake }) => {
  await page.goto(`${SITE}/retention`);
  const rows = page.getByTestId('retention-table').locator('tbody tr');
  await expect(rows).toHaveCount(12);
  await expect(rows.first().locator('td.cell')).toHaveCount(11);
  await page.getByRole('button', { name: /^Grouped by:/ }).click();
  await page.getByRole('button', { name: 'Months' }).click();
  await expect(page).toHaveURL(/interval=month$/);
  await expect(page.getByRole('columnheader', { name: 'M1', exact: true })).toBeVisible();
  fake.forgetful = true;
  await page.goto(`${SITE}/retention`);
  await expect(page.getByTestId('retention-forgetful')).toContainText('cannot be recognised for long enough');
  await expect(page.getByRole('link', { name: 'Change how long ids last' })).toHaveAttribute('href', `${SITE}/settings`);
  await expect(page.getByRole('alert')).toHaveCount(0);
});

test('the hours of the week are read by arrow keys and keep what is shown in the address', async ({ page }) => {
  await page.goto(SITE);
  await page.getByTestId('panel-pages').waitFor();
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  const card = page.getByTestId('heatmap-card');
  await expect(card.locator('tbody td')).toHaveCount(168);
  await expect(card.getByRole('status')).toContainText('Busiest:');
  await card.getByRole('group').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  await expect(card.getByRole('status')).toContainText('Tuesday, 00:00');
  await card.getByRole('button', { name: /^Shown:/ }).click();
  await card.getByRole('button', { name: 'Page views' }).click();
  await expect(page).toHaveURL(/heat=pageviews$/);
  await expect(page.getByTestId('returning-table')).toContainText('1,630');
});

test('pages are found, opened and walked through', async ({ page }) => {
  await page.goto(`${SITE}/page`);
  await page.getByLabel('Find a page').fill('boots');
  await expect(page).toHaveURL(/q=boots$/);
  await page.goto(`${SITE}/page`);
  await page.getByTestId('page-list').getByRole('link', { name: '/cart' }).click();
  await expect(page.getByTestId('page-visitors')).toContainText('1,204');
  await expect(page.getByTestId('page-time_on_page_median')).toContainText('48s');
  await expect(page.getByTestId('page-previous')).toContainText('Visit began here');
  await page.getByRole('link', { name: 'Report of /products/trail-runner' }).click();
  await expect(page).toHaveURL(/page=%2Fproducts%2Ftrail-runner$/);
  await page.getByRole('link', { name: 'All pages' }).click();
  await expect(page.getByTestId('page-list')).toBeVisible();
});

test('a closed month shows its digest and what came late', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const month = new Date();
  month.setUTCMonth(month.getUTCMonth() - 2, 1);
  await page.goto(`${SITE}/months?month=${month.toISOString().slice(0, 7)}`);
  const seal = page.getByTestId('month-seal');
  await expect(seal).toContainText('Closed on');
  await expect(seal.getByRole('row', { name: /^Visits/ })).toContainText('+6');
  await seal.getByRole('button', { name: 'Copy the digest' }).click();
  await expect(seal.getByRole('button', { name: 'Copy the digest' })).toContainText('Copied');
  expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^[0-9a-f]{64}$/);
  await page.getByRole('button', { name: /in progress|Nov|Dec|Jan/ }).first().waitFor();
  await page.emulateMedia({ media: 'print' });
  await expect(page.getByRole('navigation')).toBeHidden();
  await expect(page.getByText('boots.example, as of')).toBeVisible();
});

test('hostile paths stay text and inside their cards', async ({ page, fake }) => {
  const evil = `/<img src=x onerror=alert(1)>/\u202e${'x'.repeat(1_900)}/🥾`;
  fake.viewed = [evil];
  await page.setViewportSize({ width: 360, height: 740 });
  for (const path of [`${SITE}/realtime`, `${SITE}/page?${new URLSearchParams({ page: evil })}`, `${SITE}/journeys?${new URLSearchParams({ page: evil })}`,
    `${SITE}/funnels?${new URLSearchParams([['s', `page,${evil}`], ['s', 'page,/']])}`]) {
    await page.goto(path);
    await page.locator('main table').first().waitFor({ state: 'attached' });
    await expect(page.locator('main img')).toHaveCount(0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), path.slice(0, 60)).toBe(0);
  }
});
