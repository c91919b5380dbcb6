/** Settings, account and installation on a real node: what is on screen is what the API says, and what is changed there has effect. */
import { createHmac } from 'node:crypto';
import type { Page } from '@playwright/test';
import type { components } from '../../src/lib/api/schema';
import { breaches } from '../fixtures/axe';
import { CHROME, EMAIL, expect, PASSWORD, test } from '../fixtures/binary';

type Schemas = components['schemas'];

test.describe.configure({ mode: 'serial' });

const SITE = 'settings.example';
const PATH = `/sites/${SITE}/settings`;

async function get<T>(page: Page, path: string): Promise<T> {
  const response = await page.request.get(path);
  expect(response.status(), await response.text()).toBe(200);
  return response.json() as Promise<T>;
}

/** One view as a visitor's browser sends it; gives why it was dropped, null if it counts. */
async function view(address: string, path: string, agent = CHROME, from = '203.0.113.9'): Promise<string | null> {
  const response = await fetch(`${address}/api/event`, {
    method: 'POST', headers: { 'Content-Type': 'text/plain', 'User-Agent': agent, 'X-Forwarded-For': from },
    body: JSON.stringify({ name: 'pageview', domain: SITE, url: `https://${SITE}${path}` }),
  });
  expect(response.status).toBe(202);
  return response.headers.get('x-footfall-dropped');
}

/** The code of an authenticator at a time (RFC 6238). */
function codeAt(secret: string, ms: number): string {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(ms / 30_000)));
  const mac = createHmac('sha1', key).update(counter).digest();
  const at = (mac[19] ?? 0) & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

test.beforeAll(async ({ browser, account, node }) => {
  const context = await browser.newContext({ storageState: account, baseURL: node.address });
  const added = await context.request.post('/v1/sites', { data: { domain: SITE, timezone: 'Europe/Berlin' } });
  expect(added.status(), await added.text()).toBe(201);
  await context.close();
});

test('the snippet page sees the first view, and the inspector what became of each', async ({ page, node }) => {
  await page.goto(`${PATH}/inspector`);
  await expect(page.getByText('No events yet')).toBeVisible();
  await page.goto(`${PATH}/snippet`);
  await expect(page.getByText('Waiting for the first view')).toBeVisible();
  expect(await view(node.address, '/first')).toBeNull();
  expect(await view(node.address, '/second', 'Googlebot/2.1 (+http://www.google.com/bot.html)')).toBe('bot');
  await expect(page.getByText('First view received')).toBeVisible({ timeout: 30_000 });
  await page.goto(`${PATH}/inspector`);
  const rows = page.getByTestId('inspector').locator('tbody tr');
  await expect(rows).toHaveCount(2);
  const told = await get<Schemas['Inspected']>(page, `/v1/sites/${SITE}/inspector`);
  expect(told.events.map((event) => [event.page, event.verdict])).toEqual([['/second', 'bot'], ['/first', 'counted']]);
  await expect(rows.first()).toContainText('/second');
  await expect(rows.first()).toContainText('Bot');
  await expect(rows.last()).toContainText('Counted');
  await view(node.address, '/third');
  await expect(rows.first()).toContainText('/third');
});

test('general settings and exclusions are kept and have effect', async ({ page, node }) => {
  await page.goto(PATH);
  const privacy = page.getByTestId('general-privacy');
  await privacy.getByLabel('A visitor is recognised').selectOption('Within a week');
  await privacy.getByLabel('Keep events for').selectOption('2 years');
  await privacy.getByRole('button', { name: 'Save' }).click();
  await expect(privacy.getByText('Saved')).toBeVisible();
  await page.goto(`${PATH}/exclusions`);
  const pages = page.getByTestId('exclusions-blocked_pages');
  await pages.getByRole('textbox').fill('/admin/**');
  await pages.getByRole('button', { name: 'Save' }).click();
  await expect(pages.getByText('Saved')).toBeVisible();
  expect(await get(page, `/v1/sites/${SITE}`)).toMatchObject({ visitor_id: 'weekly', retention_days: 730, blocked_pages: ['/admin/**'] });
  await expect.poll(() => view(node.address, '/admin/orders')).toBe('page_blocked');
});

test('goals and funnels', async ({ page }) => {
  await page.goto(`${PATH}/goals`);
  await page.getByRole('button', { name: 'Add goal' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name of the event').fill('Order');
  await dialog.getByLabel('Revenue').selectOption('EUR');
  await dialog.getByRole('button', { name: 'Add property' }).click();
  await dialog.getByLabel('Property 1', { exact: true }).fill('plan');
  await dialog.getByLabel('Value of property 1').fill('pro');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Event Order · plan = pro')).toBeVisible();
  const { goals } = await get<{ goals: Schemas['Goal'][] }>(page, `/v1/sites/${SITE}/goals`);
  expect(goals).toMatchObject([{ goal_type: 'event', event_name: 'Order', currency: 'EUR', custom_props: { plan: 'pro' } }]);
  await page.goto(`${PATH}/funnels`);
  await page.getByRole('button', { name: 'Add funnel' }).click();
  await dialog.getByLabel('Name of the funnel').fill('Way');
  await dialog.locator('input[data-part="value"]').nth(0).fill('/');
  await dialog.locator('input[data-part="value"]').nth(1).fill('/cart');
  await dialog.locator('input[data-part="value"]').nth(1).press('Tab');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('link', { name: 'Way' })).toBeVisible();
  const { funnels } = await get<{ funnels: Schemas['SavedFunnel'][] }>(page, `/v1/sites/${SITE}/funnels`);
  expect(funnels).toMatchObject([{ name: 'Way', steps: [{ page: '/' }, { page: '/cart' }], window: 'visit' }]);
});

test('links, properties, guests and report receivers', async ({ page }) => {
  await page.goto(`${PATH}/links`);
  await page.getByRole('button', { name: 'New link' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Agency');
  await dialog.getByLabel('Password').fill('a fine password');
  await dialog.getByLabel('Last day').fill('2099-03-31');
  await dialog.getByRole('button', { name: 'Make link' }).click();
  await expect(page.getByText('Agency', { exact: true })).toBeVisible();
  const { shared_links: [link] } = await get<{ shared_links: Schemas['SharedLink'][] }>(page, `/v1/sites/${SITE}/shared-links`);
  expect(link).toMatchObject({ name: 'Agency', password: true });
  await expect(page.getByTestId('links').locator('code')).toHaveText(link?.url ?? '');
  await page.goto(`${PATH}/properties`);
  await page.getByLabel('Property').fill('plan');
  await page.getByRole('button', { name: 'Show' }).click();
  await expect(page.getByRole('button', { name: 'Remove plan' })).toBeVisible();
  expect(await get(page, `/v1/sites/${SITE}/properties`)).toEqual({ properties: ['plan'] });
  await page.goto(`${PATH}/people`);
  await page.getByRole('button', { name: 'Invite guest' }).click();
  await dialog.getByLabel('Email').fill('client@elsewhere.example');
  await dialog.getByRole('button', { name: 'Invite' }).click();
  await expect(page.getByTestId('guests').getByText('client@elsewhere.example', { exact: true })).toBeVisible();
  await page.goto(`${PATH}/reports`);
  const weekly = page.getByTestId('reports-weekly');
  await weekly.getByLabel('Address of the webhook').fill('https://hooks.example/footfall');
  await weekly.getByLabel('Address of the webhook').press('Enter');
  await expect(weekly.getByText('https://hooks.example/footfall')).toBeVisible();
  expect(await get(page, `/v1/sites/${SITE}/reports`)).toMatchObject({ weekly: { webhooks: ['https://hooks.example/footfall'] } });
  await expect(page.getByRole('group', { name: 'Signature' })).toBeVisible();
});

test('an imported log is counted once, whoever imports it', async ({ page, node }) => {
  const lines = Array.from({ length: 40 }, (_, n) => `203.0.113.${n + 1} - - [17/May/2025:10:${String(n).padStart(2, '0')}:03 +0000] "GET /caf%C3%A9?n=${n} HTTP/1.1" 200 12 "https://www.google.com/" "${CHROME}"`);
  const log = `${lines.join('\n')}\n`;
  await page.goto(`${PATH}/import`);
  for (const [counted, duplicates] of [['40', '0'], ['0', '40']] as const) {
    await page.getByLabel('File to import').last().setInputFiles({ name: 'access.log', mimeType: 'text/plain', buffer: Buffer.from(log) });
    await page.getByRole('button', { name: 'Import', exact: true }).click();
    await expect(page.getByText('Done.')).toBeVisible({ timeout: 30_000 });
    expect((await page.getByTestId('import-result').locator('dd').allInnerTexts()).slice(0, 3)).toEqual(['40', counted, duplicates]);
  }
  // The command line makes the same ids of the same lines.
  expect(await node.import(SITE, log)).toMatchObject({ lines: 40, views: 0, duplicates: 40 });
  const answer = await node.ask(page.request, { site_id: SITE, metrics: ['pageviews'], date_range: ['2025-05-17', '2025-05-17'], dimensions: ['event:page'] });
  expect(answer.results).toEqual([{ dimensions: ['/café'], metrics: [40] }]);
  const { keys } = await get<{ keys: Schemas['Key'][] }>(page, '/v1/keys');
  expect(keys.filter((key) => key.name.startsWith('Import of'))).toEqual([]);
});

test('an export holds what was counted', async ({ page }) => {
  await page.goto(`${PATH}/export`);
  await page.getByLabel('From').fill('2025-05-01');
  await page.getByLabel('To', { exact: true }).fill('2025-05-31');
  for (const what of ['Events, one by one', 'Days', 'Pages', 'Sources', 'Countries', 'Browsers', 'Goals']) {
    await page.getByLabel('What').selectOption(what);
    const address = await page.getByTestId('export-link').getAttribute('href');
    const response = await page.request.get(address ?? '');
    expect(response.status(), `${what}: ${await response.text()}`).toBe(200);
    if (what === 'Events, one by one') expect((await response.text()).trim().split('\n')).toHaveLength(41);
  }
  const download = page.waitForEvent('download');
  await page.getByTestId('export-link').click();
  expect((await download).suggestedFilename()).toMatch(/settings\.example.*\.csv/);
});

test('a key that is made works, and one that is revoked does not', async ({ page, node }) => {
  await page.goto(`${PATH}/keys`);
  await page.getByRole('button', { name: 'New key' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Robot');
  await dialog.getByRole('button', { name: 'Make key' }).click();
  const key = await dialog.locator('code').innerText();
  const ask = () => fetch(`${node.address}/api/v2/query`, { method: 'POST', headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }, body: JSON.stringify({ site_id: SITE, metrics: ['visitors'], date_range: '7d' }) }).then((response) => response.status);
  expect(await ask()).toBe(200);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('button', { name: 'Revoke Robot' }).click();
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('Robot', { exact: true })).toHaveCount(0);
  expect(await ask()).toBe(401);
});

test('the installation: a node alone, its traffic and its users', async ({ page, node }) => {
  await page.goto('/operator');
  await expect(page.getByTestId('single')).toContainText('Takes part and counts.');
  await page.goto('/operator/traffic');
  const text = await (await fetch(`${node.address}/metrics`)).text();
  const accepted = /footfall_events_total\{result="accepted"\} (\d+)/.exec(text)?.[1];
  await expect(page.getByTestId('events-total')).toHaveText(new Intl.NumberFormat('en-GB').format(Number(accepted)));
  await expect(page.getByTestId('drops')).toContainText('Excluded page');
  await page.goto('/operator/users');
  await expect(page.getByTestId('users')).toContainText(EMAIL);
});

test('the second factor, from the code to signing in with it', async ({ page, browser, node }) => {
  await page.goto('/account/security');
  await page.getByRole('button', { name: 'Set up' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Password').fill('not the password');
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await expect(dialog.getByText('Is not your password')).toBeVisible();
  await dialog.getByLabel('Password').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Continue' }).click();
  const secret = await dialog.locator('code').innerText();
  await dialog.getByLabel('Code of six digits').fill(codeAt(secret, Date.now()));
  await dialog.getByRole('button', { name: 'Turn on' }).click();
  const codes = await dialog.getByRole('listitem').allInnerTexts();
  expect(codes).toHaveLength(10);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText('10 recovery codes left')).toBeVisible();

  const context = await browser.newContext({ baseURL: node.address, storageState: { cookies: [], origins: [] }, locale: 'en-GB' });
  const other = await context.newPage();
  await other.goto('/login');
  await other.getByLabel('Email').fill(EMAIL);
  await other.getByLabel('Password').fill(PASSWORD);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByRole('button', { name: 'Use a recovery code' }).click();
  await other.getByLabel('Recovery code').fill(codes[0] ?? '');
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.waitForURL(`${node.address}/`);
  await context.close();

  await page.reload();
  await expect(page.getByText('9 recovery codes left')).toBeVisible();
  await page.getByRole('button', { name: 'Turn off' }).click();
  await dialog.getByLabel('Password').fill(PASSWORD);
  await dialog.getByLabel('Code of six digits').fill(codes[1] ?? '');
  await dialog.getByRole('button', { name: 'Turn off' }).click();
  await expect(page.getByRole('button', { name: 'Set up' })).toBeVisible();
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the settings of the node can be used by everybody, ${colorScheme}`, async ({ page, complaints }) => {
    test.setTimeout(360_000);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const path of [PATH, ...['snippet', 'goals', 'funnels', 'exclusions', 'properties', 'inspector', 'links', 'people', 'keys', 'import', 'export', 'reports', 'danger'].map((tab) => `${PATH}/${tab}`),
      '/account', '/account/security', '/account/sessions', '/operator', '/operator/traffic', '/operator/users']) {
      await page.goto(path);
      await page.locator('main section').first().waitFor();
      await expect(page.locator('main .skeleton')).toHaveCount(0);
      expect(await breaches(page), path).toEqual([]);
    }
    expect(complaints.filter((each) => !/\/v1\/cluster|404/.test(each))).toEqual([]);
  });
}

test('the site is deleted after its name was typed', async ({ page }) => {
  await page.goto(`${PATH}/danger`);
  await page.getByRole('button', { name: 'Delete site' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel(`Type ${SITE} to confirm`).fill(SITE);
  await dialog.getByRole('button', { name: 'Delete site' }).click();
  await page.waitForURL(/\/$/);
  expect((await page.request.get(`/v1/sites/${SITE}`)).status()).toBe(404);
});
