/** What goes along with the account: preferences, notes, saved funnels; and how the pages tell that numbers are not quite fresh. */
import type { Page } from '@playwright/test';
import { breaches } from '../fixtures/axe';
import { expect, test } from '../fixtures/fake';
import type { FakeNode } from '../fixtures/server';

const domains = (page: Page) => page.getByTestId('sites').locator('[data-testid="site-card"] .domain').allTextContents();
const first = async (page: Page) => (await domains(page))[0];

async function pin(page: Page, site: string) {
  await page.getByRole('button', { name: `Pin ${site} or put it into a group` }).click();
  await page.getByRole('button', { name: 'Pin to the top' }).click();
}

/** The page has asked for what the account prefers. */
async function settled(page: Page, act: () => Promise<unknown>) {
  const answered = page.waitForResponse((response) => response.url().endsWith('/v1/preferences'));
  await act();
  await answered;
}

test('what the account prefers is there on every device', async ({ page, fake }) => {
  fake.settings.preferences = { pinned: ['boots.example'], groups: [{ name: 'Family', sites: ['boots.example', 'blog.boots.example'] }], theme: 'dark', language: '', week_start: '' };
  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto('/');
  await expect(page.getByTestId('group-card')).toContainText('Family');
  await expect.poll(() => first(page)).toBe('boots.example');
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  expect(fake.settings.put).toEqual([]);
});

test('a language that was chosen elsewhere is that of the page, and of the next one at once', async ({ page, fake }) => {
  fake.settings.preferences = { ...fake.settings.preferences, language: 'de', week_start: 'sunday' };
  await page.goto('/');
  await expect(page.locator('html')).toHaveAttribute('lang', /^de/);
  await expect(page.getByRole('heading', { name: 'Websites' })).toBeVisible();
  await page.goto('/account');
  await expect(page.getByLabel('Die Woche beginnt am')).toHaveValue('sunday');
  await page.getByLabel('Sprache', { exact: true }).selectOption('English');
  await expect(page.locator('html')).toHaveAttribute('lang', /^en/);
  await expect.poll(() => fake.settings.preferences).toMatchObject({ language: 'en', week_start: 'sunday' });
  await page.getByLabel('The week begins on').selectOption('Monday');
  await expect.poll(() => fake.settings.preferences).toMatchObject({ language: 'en', week_start: 'monday' });
});

test('what this browser kept alone is taken over once', async ({ page, fake }) => {
  fake.settings.preferences = { ...fake.settings.preferences, pinned: ['blog.boots.example'] };
  await page.addInitScript(() => {
    if (localStorage.getItem('footfall-prefs-owner')) return;
    localStorage.setItem('footfall-theme', 'dark');
    localStorage.setItem('footfall-prefs-1', JSON.stringify({
      pins: ['boots.example'], groups: [{ name: 'Old', sites: ['boots.example'] }], keys: false, notes: { 'boots.example': [{ id: 1, day: '2026-03-05', text: 'Sale' }, { id: 2, day: '2026-03-06', text: 'Known' }] },
    }));
  });
  fake.settings.annotations = [{ id: '9', date: '2026-03-06', text: 'Known', created_by: null, author: null }];
  await page.goto('/');
  await expect.poll(() => fake.settings.preferences).toEqual({ pinned: ['blog.boots.example', 'boots.example'], groups: [{ name: 'Old', sites: ['boots.example'] }], theme: 'dark', language: '', week_start: '' });
  await page.goto('/sites/boots.example?period=custom&from=2026-03-02&to=2026-03-08');
  await expect(page.getByRole('button', { name: /^Note, Thu, 5 Mar 2026: Sale/ })).toBeVisible();
  expect(fake.settings.annotations.map((note) => note['text'])).toEqual(['Known', 'Sale']);
  fake.settings.annotations = [];
  await page.reload();
  await page.getByRole('img', { name: /Visitors/ }).locator('canvas').waitFor();
  expect(fake.settings.annotations).toEqual([]);
  expect(fake.settings.put).toHaveLength(1);
});

test('what is changed offline is in force at once and sent later', async ({ page, fake, context }) => {
  await settled(page, () => page.goto('/'));
  await page.getByTestId('site-card').first().waitFor();
  await context.setOffline(true);
  await pin(page, 'boots.example');
  await expect.poll(() => first(page)).toBe('boots.example');
  expect(fake.settings.put).toEqual([]);
  await context.setOffline(false);
  await expect.poll(() => fake.settings.preferences['pinned']).toEqual(['boots.example']);
});

test('two tabs and two devices do not undo one another', async ({ page, fake, context }) => {
  await settled(page, () => page.goto('/'));
  await page.getByTestId('site-card').first().waitFor();
  const second = await context.newPage();
  await settled(second, () => second.goto('/'));
  await second.getByTestId('site-card').first().waitFor();
  // Another device, of which neither tab knows.
  fake.settings.preferences = { ...fake.settings.preferences, pinned: ['blog.boots.example'], theme: 'dark' };
  await pin(second, 'boots.example');
  await expect.poll(() => fake.settings.preferences).toMatchObject({ pinned: ['blog.boots.example', 'boots.example'], theme: 'dark' });
  await page.bringToFront();
  await expect.poll(() => domains(page)).toEqual(['blog.boots.example', 'boots.example', 'a-very-long-name-of-a-shop-for-handmade-things.example.co.uk']);
  await page.getByRole('button', { name: 'Pin blog.boots.example or put it into a group' }).click();
  await page.getByRole('button', { name: 'Unpin' }).click();
  await expect.poll(() => fake.settings.preferences).toMatchObject({ pinned: ['boots.example'], theme: 'dark' });
});

test('a change that the node refuses is taken back', async ({ page, fake }) => {
  await settled(page, () => page.goto('/'));
  fake.settings.refuses = 400;
  await pin(page, 'boots.example');
  await expect(page.getByRole('alert')).toHaveText('The server did not take the change, so it was taken back.');
  await expect.poll(() => first(page)).toMatch(/^a-very-long/);
});

test('a note that is not taken stays in its form', async ({ page, fake }) => {
  await page.goto('/sites/boots.example?period=custom&from=2026-03-02&to=2026-03-08');
  await page.getByRole('img', { name: /Visitors/ }).locator('canvas').waitFor();
  await page.getByRole('button', { name: 'Notes and downloads of the chart' }).click();
  await page.getByRole('button', { name: 'Add a note' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('What happened').fill('Sale');
  await page.route('**/annotations', (route) => (route.request().method() === 'POST' ? route.fulfill({ status: 403, json: { error: 'site: this needs more rights' } }) : route.continue()));
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByRole('alert')).toHaveText('You may not change this note.');
  await expect(dialog.getByLabel('What happened')).toHaveValue('Sale');
  await page.unroute('**/annotations');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog).toHaveCount(0);
  expect(fake.settings.annotations).toMatchObject([{ date: '2026-03-08', text: 'Sale' }]);
});

test('a funnel is saved under a name, changed, renamed and deleted', async ({ page, fake }) => {
  const saved = (node: FakeNode) => node.settings.funnels.at(-1);
  await page.goto('/sites/boots.example/funnels?s=page,/&s=page,/cart&window=45m');
  await page.getByTestId('funnel-table').waitFor();
  await page.getByRole('button', { name: 'Saved funnels' }).click();
  await page.getByRole('button', { name: 'Save this funnel …' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('A funnel needs a name.')).toBeVisible();
  await dialog.getByLabel('Name').fill('twice');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('exists already')).toBeVisible();
  expect(await breaches(page)).toEqual([]);
  await dialog.getByLabel('Name').fill('To the cart');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog).toHaveCount(0);
  const menu = page.getByRole('button', { name: 'Saved funnels' });
  await expect(menu).toHaveText('To the cart');
  expect(saved(fake)).toMatchObject({ name: 'To the cart', steps: [{ page: '/' }, { page: '/cart' }], window: '45m' });
  await page.getByLabel('Value of step 2').fill('/checkout');
  await page.getByLabel('Value of step 2').press('Enter');
  await expect(menu).toContainText('changed');
  await page.getByRole('button', { name: 'Save changes' }).click();
  await expect(menu).toHaveText('To the cart');
  expect(saved(fake)).toMatchObject({ steps: [{ page: '/' }, { page: '/checkout' }] });
  await page.getByRole('button', { name: 'Rename or delete To the cart' }).click();
  await dialog.getByLabel('Name').fill('Checkout');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(menu).toHaveText('Checkout');
  // Its number alone is enough of an address, and one without a name opens as it is.
  await page.goto(`/sites/boots.example/funnels?saved=${String(saved(fake)?.['id'])}`);
  await expect(page.getByLabel('Value of step 2')).toHaveValue('/checkout');
  await expect(menu).toHaveText('Checkout');
  await page.getByRole('button', { name: 'Rename or delete Checkout' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await dialog.getByRole('button', { name: 'Really delete' }).click();
  await expect(menu).toHaveText('Saved funnels');
  await expect(page.getByLabel('Value of step 2')).toHaveValue('/checkout');
  expect(fake.settings.funnels).toHaveLength(2);
  await menu.click();
  await page.getByRole('link', { name: 'Newsletter' }).click();
  await expect(page).toHaveURL(/saved=8&s=page%2C%2Fblog%2F\*\*&s=goal%2CRead\+an\+article&s=event%2CSignup&window=7d$/);
});

test('numbers that are not those of now are told to be', async ({ page, fake }) => {
  const bar = page.getByTestId('freshness');
  await page.goto('/sites/boots.example');
  await page.getByTestId('panel-devices').locator('tbody tr').first().waitFor();
  await expect(bar).toHaveCount(0);
  await expect(page.getByRole('status').filter({ hasText: 'Live' })).toBeAttached();
  fake.readOnly = true;
  fake.stalenessMs = 60_000;
  fake.push(20);
  await expect(bar).toHaveText(/^Read-only just now: new views are kept and will be counted\. Figures as of \d\d:\d\d:\d\d\.$/);
  expect(await breaches(page)).toEqual([]);
  fake.readOnly = false;
  fake.push(21);
  await expect(bar).toHaveText(/^Figures as of \d\d:\d\d:\d\d\.$/);
  fake.stalenessMs = 9_000;
  fake.push(22);
  await expect(bar).toHaveCount(0);
});
