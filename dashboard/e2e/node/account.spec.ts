/** What the node keeps for its users: preferences, notes and funnels that are made on one device are there on another. */
import type { Page } from '@playwright/test';
import type { components } from '../../src/lib/api/schema';
import { CHROME, expect, test } from '../fixtures/binary';

type Schemas = components['schemas'];

test.describe.configure({ mode: 'serial' });

const SITE = 'account.example';
const PINNED = 'zebra.example';

async function get<T>(page: Page, path: string): Promise<T> {
  const response = await page.request.get(path);
  expect(response.status(), await response.text()).toBe(200);
  return response.json() as Promise<T>;
}

test.beforeAll(async ({ browser, account, node }) => {
  const context = await browser.newContext({ storageState: account, baseURL: node.address });
  for (const domain of [SITE, PINNED]) {
    const added = await context.request.post('/v1/sites', { data: { domain, timezone: 'Europe/Berlin' } });
    expect(added.status(), await added.text()).toBe(201);
  }
  await context.close();
  const response = await fetch(`${node.address}/api/event`, {
    method: 'POST', headers: { 'Content-Type': 'text/plain', 'User-Agent': CHROME, 'X-Forwarded-For': '203.0.113.40' },
    body: JSON.stringify({ name: 'pageview', domain: SITE, url: `https://${SITE}/` }),
  });
  expect(response.status).toBe(202);
});

test('pins, groups and looks', async ({ page, browser, account, node }) => {
  await page.goto('/');
  await page.getByRole('button', { name: `Pin ${PINNED} or put it into a group` }).click();
  await page.getByRole('button', { name: 'Pin to the top' }).click();
  await page.getByRole('button', { name: 'New group' }).click();
  await page.getByLabel('Name of the group').fill('Animals');
  await page.getByRole('dialog').getByLabel(PINNED).check();
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Theme' }).click();
  await page.getByRole('button', { name: 'Dark' }).click();
  await expect.poll(() => get<Schemas['Preferences']>(page, '/v1/preferences')).toEqual({
    pinned: [PINNED], groups: [{ name: 'Animals', sites: [PINNED] }], theme: 'dark', language: '', week_start: '',
  });
  const context = await browser.newContext({ storageState: account, baseURL: node.address, locale: 'en-GB', timezoneId: 'Europe/Berlin', colorScheme: 'light' });
  const other = await context.newPage();
  await other.goto('/');
  await expect(other.getByTestId('sites').locator('[data-testid="site-card"] .domain').first()).toHaveText(PINNED);
  await expect(other.getByTestId('group-card')).toContainText('Animals');
  await expect(other.locator('html')).toHaveAttribute('data-theme', 'dark');
  await other.goto('/account');
  await other.getByLabel('The week begins on').selectOption('Sunday');
  await expect.poll(async () => (await get<Schemas['Preferences']>(page, '/v1/preferences')).week_start).toBe('sunday');
  await other.getByLabel('Language', { exact: true }).selectOption('Français');
  await expect(other.locator('html')).toHaveAttribute('lang', /^fr/);
  await expect.poll(() => get<Schemas['Preferences']>(page, '/v1/preferences')).toEqual({
    pinned: [PINNED], groups: [{ name: 'Animals', sites: [PINNED] }], theme: 'dark', language: 'fr', week_start: 'sunday',
  });
  await context.close();
  // The others of these tests read English.
  await page.request.put('/v1/preferences', { data: {} });
});

test('notes', async ({ page }) => {
  const range = 'period=custom&from=2026-03-02&to=2026-03-08';
  await page.goto(`/sites/${SITE}?${range}`);
  await page.getByRole('img', { name: /Visitors/ }).locator('canvas').waitFor();
  await page.getByRole('button', { name: 'Notes and downloads of the chart' }).click();
  await page.getByRole('button', { name: 'Add a note' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('What happened').fill('<b>Sale</b>');
  await dialog.getByLabel('Day').fill('2026-03-05');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Note, Thu, 5 Mar 2026: <b>Sale</b>' }).click();
  await expect(dialog).toContainText('Ada Boots');
  const { annotations } = await get<{ annotations: Schemas['Annotation'][] }>(page, `/v1/sites/${SITE}/annotations`);
  expect(annotations).toMatchObject([{ date: '2026-03-05', text: '<b>Sale</b>', author: 'Ada Boots' }]);
  await dialog.getByRole('button', { name: /^Change note/ }).click();
  await dialog.getByLabel('Day').fill('2026-03-06');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: /^Note, Fri, 6 Mar 2026/ }).click();
  await dialog.getByRole('button', { name: /^Delete note/ }).click();
  await expect(page.getByRole('button', { name: /^Note, / })).toHaveCount(0);
  expect(await get(page, `/v1/sites/${SITE}/annotations`)).toEqual({ annotations: [] });
});

test('funnels', async ({ page }) => {
  await page.goto(`/sites/${SITE}/funnels?s=page,/&s=page,/cart&window=45m`);
  const menu = page.getByRole('button', { name: 'Saved funnels' });
  await menu.click();
  await page.getByRole('button', { name: 'Save this funnel …' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('To the cart');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(menu).toHaveText('To the cart');
  const list = async () => (await get<{ funnels: Schemas['SavedFunnel'][] }>(page, `/v1/sites/${SITE}/funnels`)).funnels;
  expect(await list()).toMatchObject([{ name: 'To the cart', steps: [{ page: '/' }, { page: '/cart' }], window: '45m' }]);
  await page.getByLabel('Value of step 2').fill('/checkout');
  await page.getByLabel('Value of step 2').press('Enter');
  await page.getByRole('button', { name: 'Save changes' }).click();
  await expect(menu).toHaveText('To the cart');
  expect(await list()).toMatchObject([{ name: 'To the cart', steps: [{ page: '/' }, { page: '/checkout' }], window: '45m' }]);
  await page.goto(`/sites/${SITE}/funnels`);
  await menu.click();
  await page.getByRole('link', { name: 'To the cart' }).click();
  await expect(page.getByLabel('Value of step 2')).toHaveValue('/checkout');
  await page.getByTestId('funnel-table').or(page.getByText('Nobody')).first().waitFor({ state: 'attached' });
  await page.getByRole('button', { name: 'Rename or delete To the cart' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await dialog.getByRole('button', { name: 'Really delete' }).click();
  await expect(menu).toHaveText('Saved funnels');
  expect(await list()).toEqual([]);
});

test('a note by who only reads the site is refused in words', async ({ page, browser, node }) => {
  const reader = { email: 'vi@shop.example', name: 'Vi', password: 'nine hats on a shelf', role: 'viewer' };
  const made = await page.request.post('/v1/users', { data: reader });
  expect(made.status(), await made.text()).toBe(201);
  const own = await page.request.post(`/v1/sites/${SITE}/annotations`, { data: { date: '2026-03-05', text: "Ada's" } });
  expect(own.status()).toBe(201);
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] }, baseURL: node.address, locale: 'en-GB', timezoneId: 'Europe/Berlin' });
  const other = await context.newPage();
  await other.goto('/login');
  await other.getByLabel('Email').fill(reader.email);
  await other.getByLabel('Password').fill(reader.password);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByTestId('site-card').first().waitFor();
  await other.goto(`/sites/${SITE}?period=custom&from=2026-03-02&to=2026-03-08`);
  await other.getByRole('button', { name: /^Note, Thu, 5 Mar 2026/ }).click();
  await other.getByRole('dialog').getByRole('button', { name: /^Delete note/ }).click();
  await expect(other.getByRole('dialog').getByRole('alert')).toHaveText('You may not change this note.');
  await context.close();
});

test('one session is ended from another', async ({ page, browser, node }) => {
  const user = { email: 'bo@shop.example', name: 'Bo', password: 'seven gloves in a drawer', role: 'viewer' };
  const made = await page.request.post('/v1/users', { data: user });
  expect(made.status(), await made.text()).toBe(201);
  const signIn = async (userAgent: string) => {
    const context = await browser.newContext({ storageState: { cookies: [], origins: [] }, baseURL: node.address, locale: 'en-GB', userAgent });
    const response = await context.request.post('/v1/session', { data: { email: user.email, password: user.password }, headers: { 'User-Agent': userAgent } });
    expect(response.status(), await response.text()).toBe(200);
    return context;
  };
  const laptop = await signIn(CHROME);
  const phone = await signIn('Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0');
  const own = await laptop.newPage();
  await own.goto('/account/sessions');
  const rows = own.getByTestId('sessions').getByRole('listitem');
  await expect(rows).toHaveCount(2);
  await expect(rows.filter({ hasText: 'This one' }).getByRole('button')).toHaveCount(0);
  await rows.filter({ hasText: 'Firefox' }).getByRole('button', { name: 'Sign out' }).click();
  await own.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
  await expect(rows).toHaveCount(1);
  expect((await phone.request.get('/v1/session')).status()).toBe(401);
  expect((await laptop.request.get('/v1/session')).status()).toBe(200);
  await laptop.close();
  await phone.close();
});
