/** Shared dashboards of a real node: links made in the settings lead to the site's numbers, with password and end, and into frames. */
import { createServer, request as ask, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, FrameLocator, Page } from '@playwright/test';
import type { components } from '../../src/lib/api/schema';
import { breaches } from '../fixtures/axe';
import { CHROME, expect, test } from '../fixtures/binary';

type Schemas = components['schemas'];

test.describe.configure({ mode: 'serial' });

const SITE = 'shared.example';
const VIEWS = [['/', 1], ['/', 2], ['/cart', 2], ['/', 3], ['/cart', 3], ['/thanks', 3]] as const;

test.beforeAll(async ({ browser, account, node }) => {
  const context = await browser.newContext({ storageState: account, baseURL: node.address });
  const added = await context.request.post('/v1/sites', { data: { domain: SITE, timezone: 'Europe/Berlin' } });
  expect(added.status(), await added.text()).toBe(201);
  await context.close();
  for (const [path, visitor] of VIEWS) {
    const response = await fetch(`${node.address}/api/event`, {
      method: 'POST', headers: { 'Content-Type': 'text/plain', 'User-Agent': CHROME, 'X-Forwarded-For': `203.0.113.${visitor}` },
      body: JSON.stringify({ name: 'pageview', domain: SITE, url: `https://${SITE}${path}` }),
    });
    expect(response.status).toBe(202);
    node.token = response.headers.get('x-footfall-token') ?? '';
  }
});

/** A browser of somebody without an account. */
function stranger(browser: Browser, baseURL: string): Promise<BrowserContext> {
  return browser.newContext({ storageState: { cookies: [], origins: [] }, locale: 'en-GB', timezoneId: 'Europe/Berlin', baseURL });
}

async function linkOf(page: Page, name: string): Promise<Schemas['SharedLink']> {
  const response = await page.request.get(`/v1/sites/${SITE}/shared-links`);
  const { shared_links } = await response.json() as { shared_links: Schemas['SharedLink'][] };
  const found = shared_links.find((link) => link.name === name);
  if (!found) throw new Error(`no link ${name}`);
  return found;
}

async function makeLink(page: Page, name: string, password = '') {
  await page.goto(`/sites/${SITE}/settings/links`);
  await page.getByRole('button', { name: 'New link' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  if (password) await dialog.getByLabel('Password').fill(password);
  await dialog.getByRole('button', { name: 'Make link' }).click();
  await expect(dialog).toHaveCount(0);
  return linkOf(page, name);
}

const figure = (page: Page | FrameLocator, metric: string) => page.getByTestId(`figure-${metric}`).locator('.value');

async function showsNumbers(page: Page | FrameLocator): Promise<void> {
  await expect(figure(page, 'visitors')).toHaveText('3');
  await expect(figure(page, 'pageviews')).toHaveText(String(VIEWS.length));
}

test('a link made in the settings shows the numbers of the API, and nothing else', async ({ page, browser, node }) => {
  const link = await makeLink(page, 'Board');
  const { results } = await node.ask(page.request, { site_id: SITE, metrics: ['visitors', 'pageviews'], date_range: 'day' });
  const context = await stranger(browser, node.address);
  const visitor = await context.newPage();
  await visitor.goto(`${link.url}&period=day`);
  await expect(figure(visitor, 'visitors')).toHaveText(String(results[0]?.metrics[0]));
  await expect(figure(visitor, 'pageviews')).toHaveText(String(results[0]?.metrics[1]));
  await showsNumbers(visitor);
  await visitor.getByTestId('panel-pages').locator('tbody tr').filter({ hasText: '/cart' }).waitFor();
  expect(await breaches(visitor)).toEqual([]);
  // It is live, and every page that it has opens.
  await expect(visitor.getByRole('status').filter({ hasText: 'Live' })).toBeAttached();
  for (const [name, shown] of [
    ['Realtime', 'realtime-pages'], ['Pages', 'page-list'], ['Retention', /retention/], ['Journeys', 'journey-table'], ['Months', 'months-table'],
  ] as const) {
    await visitor.locator('nav').getByRole('link', { name, exact: true }).click();
    await visitor.getByTestId(shown).first().waitFor({ state: 'attached' });
    await expect(visitor).toHaveURL(new RegExp(`/share/${SITE}/.*auth=`));
  }
  await expect(visitor.getByTestId('months-table').locator('tbody tr').first()).toContainText(String(VIEWS.length));
  await expect(visitor.locator('nav').getByRole('link', { name: 'Settings' })).toHaveCount(0);
  await visitor.goto(`/sites/${SITE}/settings`);
  await expect(visitor).toHaveURL(/\/login/);
  // Taken back, it is worth nothing, to those who have it open too.
  await visitor.goto(link.url);
  await showsNumbers(visitor);
  const gone = await page.request.delete(`/v1/sites/${SITE}/shared-links/${link.id}`);
  expect(gone.status()).toBe(204);
  await visitor.reload();
  await expect(visitor.getByRole('heading', { name: 'This link leads nowhere' })).toBeVisible();
  await context.close();
});

test('a link with a password', async ({ page, browser, node }) => {
  const link = await makeLink(page, 'Agency', 'open sesame, please');
  const context = await stranger(browser, node.address);
  const visitor = await context.newPage();
  await visitor.goto(link.url);
  await visitor.getByLabel('Password').fill('not this one');
  await visitor.getByRole('button', { name: 'Open dashboard' }).click();
  await expect(visitor.getByText('The password is not right.')).toBeVisible({ timeout: 60_000 });
  await visitor.getByLabel('Password').fill('open sesame, please');
  await visitor.getByRole('button', { name: 'Open dashboard' }).click();
  await showsNumbers(visitor);
  await visitor.reload();
  await showsNumbers(visitor);
  await context.close();
});

test('a link that has expired', async ({ page, browser, node }) => {
  const made = await page.request.post(`/v1/sites/${SITE}/shared-links`, { data: { name: 'Short', expires: new Date(Date.now() + 2_000).toISOString() } });
  expect(made.status(), await made.text()).toBe(201);
  const link = await made.json() as Schemas['SharedLink'];
  const context = await stranger(browser, node.address);
  const visitor = await context.newPage();
  await expect(async () => {
    await visitor.goto(link.url);
    await expect(visitor.getByRole('heading', { name: 'This link has expired' })).toBeVisible({ timeout: 5_000 });
  }).toPass({ timeout: 60_000 });
  await context.close();
});

test('a public site', async ({ page, browser, node }) => {
  await page.goto(`/sites/${SITE}/settings/links`);
  await page.getByRole('switch', { name: /public/i }).click();
  const address = page.locator('code').getByText(`${node.address}/share/${SITE}`, { exact: true });
  await expect(address).toBeVisible();
  const context = await stranger(browser, node.address);
  const visitor = await context.newPage();
  for (const path of [`/share/${SITE}`, `/${SITE}`, `/sites/${SITE}`]) {
    await visitor.goto(path);
    await showsNumbers(visitor);
    await expect(visitor.locator('nav').getByRole('link', { name: 'Settings' })).toHaveCount(0);
  }
  await page.getByRole('switch', { name: /public/i }).click();
  await expect(address).toHaveCount(0);
  await visitor.goto(`/share/${SITE}`);
  await expect(visitor.getByRole('heading', { name: 'This dashboard is not public' })).toBeVisible();
  await context.close();
});

function listen(server: Server): Promise<number> {
  return new Promise((done) => server.listen(0, () => done((server.address() as AddressInfo).port)));
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
}

test('the embed code shows the dashboard in a page of another site', async ({ page, browser, node }) => {
  const link = await makeLink(page, 'Embedded');
  const row = page.getByTestId('links').getByRole('listitem').filter({ hasText: 'Embedded' });
  await row.getByRole('button', { name: 'Embed', exact: true }).click();
  await page.getByRole('dialog').getByLabel('Theme').selectOption('Dark');
  const code = await page.getByRole('dialog').locator('code').textContent() ?? '';
  expect(code).toContain('<iframe');
  // What speaks https to the browsers and passes them on, as a proxy before the node does.
  const proxy = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', node.address);
    incoming.pipe(ask(url, { method: incoming.method, headers: { ...incoming.headers, 'x-forwarded-proto': 'https' } }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
      answer.on('error', () => outgoing.destroy());
    }).on('error', () => outgoing.destroy()));
  });
  // Browsers take this machine's own name for as good as https.
  const secure = `http://localhost:${await listen(proxy)}`;
  const others = createServer((incoming, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(`<!doctype html><html lang="en"><title>Somebody's page</title>${incoming.url === '/plain' ? code : code.replace(node.address, secure)}`);
  });
  const port = await listen(others);
  const context = await stranger(browser, node.address);
  try {
    const visitor = await context.newPage();
    // Of another site, through the proxy: the cookie is kept for frames of this page alone.
    await visitor.goto(`http://127.0.0.1:${port}/`);
    const frame = visitor.frameLocator('iframe');
    await showsNumbers(frame);
    await expect(frame.locator('html')).toHaveAttribute('data-theme', 'dark');
    await expect(frame.locator('nav')).toHaveCount(0);
    const cookies = await context.cookies(secure);
    expect(cookies.map(({ name, secure: safe, sameSite, httpOnly }) => ({ name: name.replace(/\d+$/, ''), safe, sameSite, httpOnly }))).toEqual([
      { name: '__Host-footfall-share-', safe: true, sameSite: 'None', httpOnly: true },
    ]);
    await frame.getByTestId('panel-pages').getByRole('button', { name: 'Show only /cart' }).click();
    await expect(figure(frame, 'visitors')).toHaveText('2');
    // Without https browsers keep nothing for frames of other sites, and the frame says what to do.
    await visitor.goto(`http://localhost:${port}/plain`);
    await expect(frame.getByRole('heading', { name: 'Your browser did not keep this link open' })).toBeVisible();
    const opened = context.waitForEvent('page');
    await frame.getByRole('link', { name: 'Open in a new tab' }).click();
    await showsNumbers(await opened);
    expect((await opened).url()).toBe(`${link.url}&theme=dark`);
  } finally {
    await context.close();
    await close(others);
    await close(proxy);
  }
});
