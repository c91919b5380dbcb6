/** What the pages show when a node is slow, gone, empty or says no. */
import { expect, test } from '../fixtures/fake';

test('a change is on screen soon after the node tells of it', async ({ page, fake }) => {
  await page.goto('/sites/boots.example');
  await expect(page.getByTestId('live-count')).toHaveText('12 current visitors');
  await page.getByTestId('panel-pages').locator('tbody tr').first().waitFor();
  const before = fake.queries;
  fake.push(13);
  await expect(page.getByTestId('live-count')).toHaveText('13 current visitors');
  await expect.poll(() => fake.queries).toBeGreaterThan(before);
});

test('a flood of changes does not become a flood of questions', async ({ page, fake }) => {
  await page.goto('/sites/boots.example?compare=off');
  await page.getByTestId('panel-devices').locator('tbody tr').first().waitFor();
  await expect.poll(() => fake.streams).toBe(1);
  const before = fake.queries;
  for (let i = 0; i < 200; i++) fake.push(100 + i);
  await expect(page.getByTestId('live-count')).toHaveText('299 current visitors');
  await expect.poll(() => fake.queries).toBeGreaterThan(before);
  // One round is seven questions; a round may be under way when the flood begins, one follows it.
  expect(fake.queries - before).toBeLessThanOrEqual(3 * 7);
});

test('the months keep one stream, however many changes come', async ({ page, fake }) => {
  await page.goto('/sites/boots.example/months');
  await expect(page.getByTestId('live-count')).toHaveText('12 current visitors');
  for (let round = 0; round < 2; round++) {
    const before = fake.queries;
    fake.push(20 + round);
    await expect.poll(() => fake.queries).toBeGreaterThan(before);
    await expect(page.getByTestId('live-count')).toHaveText(`${20 + round} current visitors`);
  }
  expect(fake.opened).toBe(1);
});

test('a lost connection is told and found again', async ({ page, fake }) => {
  await page.goto('/sites/boots.example');
  await expect(page.getByTestId('live-count')).toHaveText('12 current visitors');
  fake.live = 40;
  fake.dropStreams();
  await expect(page.getByTestId('live-count')).toHaveText('40 current visitors');
  await expect.poll(() => fake.streams).toBe(1);
});

test('offline is told, the numbers stay, and all goes on afterwards', async ({ page, fake, context }) => {
  await page.goto('/sites/boots.example');
  const visitors = page.getByTestId('figure-visitors');
  await expect(visitors).toContainText(/\d/);
  await context.setOffline(true);
  await expect(page.getByText('Offline', { exact: true })).toBeVisible();
  await expect(visitors).toContainText(/\d/);
  fake.live = 77;
  await context.setOffline(false);
  await expect(page.getByTestId('live-count')).toHaveText('77 current visitors');
});

test('a node that goes away leaves its last numbers on screen and is asked again', async ({ page, fake }) => {
  await page.goto('/sites/boots.example');
  await page.getByTestId('panel-devices').locator('tbody tr').first().waitFor();
  await page.route('**/api/v2/query', (route) => route.abort());
  fake.push(5);
  await expect(page.getByText(/The server cannot be reached. These are the numbers of/)).toBeVisible();
  await expect(page.getByTestId('figure-visitors')).toContainText(/\d/);
  await page.unroute('**/api/v2/query');
  await expect(page.getByText(/The server cannot be reached/)).toBeHidden();
});

test('an error says what to do and goes when it is over', async ({ page, fake }) => {
  fake.failing = 503;
  await page.goto('/sites/boots.example');
  await expect(page.getByRole('alert')).toContainText('The server is busy');
  fake.failing = 0;
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByTestId('figure-visitors')).toContainText(/\d/);
});

test('while numbers are on their way their place is kept', async ({ page, fake }) => {
  fake.silent = true;
  await page.goto('/sites/boots.example');
  await expect(page.getByTestId('figure-visitors').locator('.skeleton')).toBeVisible();
  await expect(page.getByTestId('panel-pages')).toHaveAttribute('aria-busy', 'true');
});

test('a site without views shows its snippet until the first one', async ({ page, fake }) => {
  fake.empty = true;
  await page.goto('/sites/boots.example');
  await expect(page.getByText('Waiting for the first view')).toBeVisible();
  await expect(page.getByLabel('Tracking snippet')).toContainText('data-domain="boots.example"');
  fake.empty = false;
  fake.push(1);
  await expect(page.getByTestId('figure-visitors')).toContainText(/\d/);
});

test('months without views say so', async ({ page, fake }) => {
  fake.empty = true;
  await page.goto('/sites/boots.example/months');
  await expect(page.getByText('No month has been counted yet')).toBeVisible();
});

test('a site that is not there says so', async ({ page }) => {
  await page.goto('/sites/other.example');
  await expect(page.getByText('There is no such site')).toBeVisible();
  await page.goto('/sites/other.example/months');
  await expect(page.getByText('There is no such site')).toBeVisible();
});

test('who is not signed in comes back to the same place afterwards', async ({ page, fake }) => {
  fake.signedIn = false;
  await page.goto('/sites/boots.example?period=day&f=is,source,Google');
  await expect(page).toHaveURL(/\/login\?next=/);
  await page.getByLabel('Email').fill('ada@boots.example');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toHaveText('Email or password is wrong.');
  await page.getByLabel('Password').fill('correct horse');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(/\/sites\/boots\.example\?period=day&f=is,source,Google$/);
  await expect(page.getByTestId('figure-visitors')).toContainText(/\d/);
});

test('a link from elsewhere cannot send a merchant to another host', async ({ page, fake, address }) => {
  fake.signedIn = false;
  await page.goto('/login?next=//evil.example/');
  await page.getByLabel('Email').fill('ada@boots.example');
  await page.getByLabel('Password').fill('correct horse');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(`${address}/`);
});

test('signing out leads to sign-in', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page).toHaveURL(/\/login$/);
});

test('what is wrong with a form stands at its field', async ({ page }) => {
  await page.goto('/setup/good');
  await page.getByLabel('Your name').fill('Ada');
  await page.getByLabel('Email').fill('ada@boots.example');
  await page.getByLabel('Password').fill('password123');
  await page.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText('Is among the most common ones')).toBeVisible();
  await expect(page.getByLabel('Password')).toHaveAttribute('aria-invalid', 'true');

  await page.goto('/');
  await page.getByRole('button', { name: 'Add site' }).click();
  await page.getByRole('dialog').getByLabel('Domain').fill('boots.example');
  await page.getByRole('dialog').getByRole('button', { name: 'Add site' }).click();
  await expect(page.getByRole('dialog').getByText('Is taken')).toBeVisible();
});

test('a site that was added shows its snippet and is in the list', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Add site' }).click();
  await page.getByRole('dialog').getByLabel('Domain').fill('new.example');
  await page.getByRole('dialog').getByRole('button', { name: 'Add site' }).click();
  const dialog = page.getByRole('dialog', { name: 'new.example is ready' });
  await expect(dialog.getByLabel('Tracking snippet')).toContainText('data-domain="new.example"');
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await expect(page.getByTestId('site-card')).toHaveCount(4);
  await expect(page.getByRole('button', { name: 'Add site' })).toBeFocused();
});

test('the address is the state: back, reload and sharing', async ({ page, context }) => {
  await page.goto('/sites/boots.example');
  await page.getByTestId('figure-pageviews').click();
  await page.getByRole('button', { name: 'Show only Google' }).click();
  await page.getByRole('button', { name: /^Period:/ }).click();
  await page.getByRole('button', { name: 'Last 30 days' }).click();
  await page.getByTestId('panel-devices').getByRole('button', { name: 'Systems' }).click();
  await expect(page).toHaveURL(/period=30d&metric=pageviews&f=is%2Csource%2CGoogle&devices=os$/);

  const other = await context.newPage();
  await other.goto(page.url());
  await expect(other.getByTestId('figure-pageviews')).toHaveAttribute('aria-pressed', 'true');
  await expect(other.getByRole('button', { name: 'Remove filter: Source is Google' })).toBeVisible();
  await expect(other.getByTestId('panel-devices').getByText('iOS')).toBeVisible();
  await other.close();

  await page.goBack();
  await expect(page.getByTestId('period')).toHaveText('Last 7 days');
  await page.goBack();
  await expect(page.getByRole('button', { name: 'Remove filter: Source is Google' })).toHaveCount(0);
});

test('all rows of a panel are listed, and one filters from there', async ({ page }) => {
  await page.goto('/sites/boots.example');
  await page.getByTestId('panel-pages').getByRole('button', { name: 'Show all 12' }).click();
  const dialog = page.getByRole('dialog', { name: 'Pages · Top pages' });
  await expect(dialog.locator('tbody tr')).toHaveCount(12);
  await dialog.getByRole('button', { name: 'Show only /imprint' }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByRole('button', { name: 'Remove filter: Page is /imprint' })).toBeVisible();
  await expect(page.getByTestId('figure-views_per_visit')).toBeDisabled();
});

test('a page out of sight lets go of its stream, because a browser grants a host only few', async ({ page, fake }) => {
  await page.goto('/sites/boots.example');
  await expect.poll(() => fake.streams).toBe(1);
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await expect.poll(() => fake.streams).toBe(0);
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'visible', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await expect.poll(() => fake.streams).toBe(1);
});

test('older months are turned to and back again', async ({ page }) => {
  await page.goto('/sites/boots.example/months');
  const rows = page.getByTestId('months-table').locator('tbody tr');
  await expect(rows).toHaveCount(24);
  const newest = await rows.first().locator('th button').textContent();
  await page.getByRole('button', { name: 'Earlier months' }).click();
  await expect(page).toHaveURL(/end=\d{4}-\d{2}$/);
  await expect(rows.last().locator('th button')).toHaveText('Mar 2024');
  await expect(page.getByRole('button', { name: 'Earlier months' })).toHaveCount(0);
  await page.getByRole('button', { name: 'Later months' }).click();
  await expect(page).toHaveURL(/months$/);
  await expect(rows.first().locator('th button')).toHaveText(newest ?? '');
});

test('a month is picked from its bar and stays in the address', async ({ page }) => {
  await page.goto('/sites/boots.example/months');
  await page.getByRole('button', { name: /^March 2026:/ }).click();
  await expect(page).toHaveURL(/month=2026-03$/);
  await expect(page.getByTestId('month-details').getByRole('heading')).toHaveText('March 2026');
  await page.getByRole('link', { name: 'Open in dashboard' }).click();
  await expect(page.getByTestId('period')).toHaveText('March 2026');
});
