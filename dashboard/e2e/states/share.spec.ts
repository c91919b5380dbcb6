/** Shared dashboards: how links are opened, what visitors see, and how they look in other pages. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from '@playwright/test';
import { breaches } from '../fixtures/axe';
import { expect, test } from '../fixtures/fake';

const SHARE = '/share/boots.example';
const LINK = `${SHARE}?auth=s3cret`;

const ready = (page: Pick<Page, 'getByTestId'>) => page.getByTestId('panel-devices').locator('tbody tr').first().waitFor();

test.beforeEach(({ fake }) => {
  fake.signedIn = false;
  fake.shared = { slug: 's3cret', password: '', expired: false, keeps: true };
});

test('a link opens every page of the dashboard, and nothing that belongs to an account', async ({ page, fake, complaints }) => {
  fake.settings.annotations = [{ id: '5', date: fake.now().today, text: 'Sale', created_by: null, author: null }];
  await page.goto(`${LINK}&period=30d`);
  await ready(page);
  await expect(page.getByTestId('figure-visitors').locator('.value')).toHaveText(/\d/);
  await expect(page.locator('nav').getByRole('link')).toHaveText(['Overview', 'Realtime', 'Pages', 'Funnels', 'Retention', 'Journeys', 'Months']);
  for (const name of ['Account', /Switch site/]) await expect(page.getByRole('button', { name })).toHaveCount(0);
  await page.getByRole('button', { name: 'Notes and downloads of the chart' }).click();
  await expect(page.getByRole('button', { name: 'Add a note' })).toHaveCount(0);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /^Note, / }).click();
  await expect(page.getByRole('dialog')).toContainText('Sale');
  await expect(page.getByRole('dialog').getByRole('button', { name: /note/i })).toHaveCount(0);
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  for (const [name, path, shown] of [
    ['Realtime', 'realtime', 'realtime-pages'], ['Pages', 'page', 'page-list'], ['Retention', 'retention', 'retention'], ['Months', 'months', 'months-table'],
  ] as const) {
    await page.locator('nav').getByRole('link', { name, exact: true }).click();
    await expect(page).toHaveURL(new RegExp(`${SHARE}/${path}\\?(.*&)?auth=s3cret$`));
    await page.getByTestId(shown).waitFor();
  }
  await page.goto(`${SHARE}/funnels?auth=s3cret`);
  await page.getByRole('button', { name: 'Saved funnels' }).click();
  await page.getByRole('link', { name: 'Newsletter' }).click();
  await page.getByTestId('funnel-table').waitFor();
  await expect(page.getByRole('button', { name: /^(Rename|Save this|Save changes)/ })).toHaveCount(0);
  // Filters, and back; the link goes along and the page can be loaded anew.
  await page.goto(LINK);
  await page.getByTestId('panel-sources').getByRole('button', { name: 'Show only Google' }).click();
  await expect(page).toHaveURL(/f=is%2Csource%2CGoogle&auth=s3cret$/);
  await page.reload();
  await expect(page.getByRole('button', { name: 'Remove filter: Source is Google' })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('button', { name: 'Remove filter: Source is Google' })).toHaveCount(0);
  expect(await breaches(page)).toEqual([]);
  expect(complaints).toEqual([]);
});

test('a password is asked for once', async ({ page, fake }) => {
  fake.shared!.password = 'open sesame';
  await page.goto(LINK);
  await expect(page.getByRole('heading', { name: 'boots.example is protected' })).toBeVisible();
  expect(await breaches(page)).toEqual([]);
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Open dashboard' }).click();
  await expect(page.getByText('The password is not right.')).toBeVisible();
  await page.getByLabel('Password').fill('open sesame');
  await page.keyboard.press('Enter');
  await ready(page);
  await page.reload();
  await ready(page);
});

test('a link that cannot be opened says why', async ({ page, fake }) => {
  fake.shared!.expired = true;
  await page.goto(LINK);
  await expect(page.getByRole('heading', { name: 'This link has expired' })).toBeVisible();
  await page.goto(`${SHARE}?auth=other`);
  await expect(page.getByRole('heading', { name: 'This link leads nowhere' })).toBeVisible();
  await page.goto(SHARE);
  await expect(page.getByRole('heading', { name: 'This dashboard is not public' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Sign in' })).toHaveAttribute('href', '/login?next=%2Fsites%2Fboots.example');
  fake.shared = { slug: 's3cret', password: '', expired: false, keeps: false };
  await page.goto(LINK);
  await expect(page.getByRole('heading', { name: 'Your browser did not keep this link open' })).toBeVisible();
  fake.shared.keeps = true;
  await page.getByRole('button', { name: 'Try again' }).click();
  await ready(page);
});

test('a link that ends while somebody reads says so and leads nowhere else', async ({ page, fake }) => {
  await page.goto(LINK);
  await ready(page);
  await expect(page.getByRole('status').filter({ hasText: 'Live' })).toBeAttached();
  fake.shared!.expired = true;
  fake.push(20);
  await expect(page.getByRole('heading', { name: 'This dashboard was closed' })).toBeVisible();
  await expect(page).toHaveURL(/\/share\/boots\.example\?auth=s3cret$/);
  await page.getByRole('button', { name: 'Open again' }).click();
  await expect(page.getByRole('heading', { name: 'This link has expired' })).toBeVisible();
});

test('a public dashboard needs neither link nor account', async ({ page, fake }) => {
  fake.shared = null;
  fake.public = true;
  await page.goto(SHARE);
  await ready(page);
  await page.goto('/boots.example');
  await ready(page);
  await expect(page.locator('nav').getByRole('link', { name: 'Settings' })).toHaveCount(0);
});

test('who is signed in sees the shared dashboard as everybody does', async ({ page, fake }) => {
  fake.signedIn = true;
  fake.shared!.expired = true;
  await page.goto(LINK);
  await ready(page);
  await expect(page.getByRole('button', { name: 'Account' })).toHaveCount(0);
  expect(fake.settings.put).toEqual([]);
});

/** A page of somebody else with a frame. */
async function withFrame(address: string, use: (page: string) => Promise<void>): Promise<void> {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(`<!doctype html><html lang="en"><title>Somebody's page</title><body style="background: rgb(1, 2, 3)"><iframe title="boots.example" width="900" height="900" src="${address.replaceAll('&', '&amp;')}"></iframe>`);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
}

test('in a frame of another page it has no bars, and the theme and background that were asked for', async ({ page, address, complaints }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await withFrame(`${address}${LINK}&embed=true&theme=dark&background=%23010203`, async (other) => {
    await page.goto(other);
    const frame = page.frameLocator('iframe');
    await frame.getByTestId('panel-devices').scrollIntoViewIfNeeded(); // what is further down in a frame is drawn when it is looked at
    await ready(frame);
    await expect(frame.locator('header .home')).toHaveCount(0);
    await expect(frame.locator('nav')).toHaveCount(0);
    const look = await frame.locator('html').evaluate((root) => ({ theme: root.dataset['theme'], ground: getComputedStyle(root).backgroundColor }));
    expect(look).toEqual({ theme: 'dark', ground: 'rgb(1, 2, 3)' });
    await frame.getByTestId('panel-pages').getByRole('button', { name: 'Show only /products', exact: true }).click();
    await expect(frame.getByRole('button', { name: /^Remove filter/ })).toBeVisible();
    expect(await breaches(page)).toEqual([]);
  });
  expect(complaints).toEqual([]);
});

test('a frame whose browser keeps no cookies leads to a tab of its own', async ({ page, fake, address }) => {
  fake.shared!.keeps = false;
  await withFrame(`${address}${LINK}&embed=true`, async (other) => {
    await page.goto(other);
    const frame = page.frameLocator('iframe');
    await expect(frame.getByRole('heading', { name: 'Your browser did not keep this link open' })).toBeVisible();
    const link = frame.getByRole('link', { name: 'Open in a new tab' });
    await expect(link).toHaveAttribute('target', '_blank');
    await expect(link).toHaveAttribute('href', LINK);
  });
});

test('without embed=true no page may frame it', async ({ page, address }) => {
  await withFrame(`${address}${LINK}`, async (other) => {
    const refused = page.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()));
    await page.goto(other);
    await refused;
  });
});

test('a shared dashboard fits a phone', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 700 });
  for (const path of [LINK, `${LINK}&embed=true`, `${SHARE}/months?auth=s3cret`, `${SHARE}?auth=other`]) {
    await page.goto(path);
    await page.locator('main h1').first().waitFor({ state: 'attached' });
    await expect(page.locator('main .skeleton')).toHaveCount(0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), path).toBeLessThanOrEqual(0);
  }
});
