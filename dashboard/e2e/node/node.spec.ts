/**
 * A merchant's way through the real node: first account, first view, numbers
 * that equal the API's and those counted by hand, months, sign-in. The tests
 * build on one another and run in order on one node.
 */
import { readFile } from 'node:fs/promises';
import type { Page } from '@playwright/test';
import { breaches } from '../fixtures/axe';
import { DOMAIN, EMAIL, expect, FIREFOX, IPHONE, PASSWORD, test, type View } from '../fixtures/binary';

test.describe.configure({ mode: 'serial' });

const METRICS = ['visitors', 'visits', 'pageviews', 'views_per_visit', 'bounce_rate', 'visit_duration'] as const;

/** The same 60 visitors on every run, each with one to four views, all in one visit. */
const VIEWS: View[] = Array.from({ length: 60 }, (_, visitor) => {
  const paths = ['/', '/products', '/products/boots', '/cart'].slice(0, 1 + (visitor % 4));
  const referrer = ['', 'https://www.google.com/', 'https://duckduckgo.com/', 'https://blog.example.org/post'][visitor % 5 === 0 ? 0 : visitor % 4] ?? '';
  const agent = visitor % 6 === 0 ? FIREFOX : visitor % 6 === 1 ? IPHONE : undefined;
  return paths.map((path) => ({ visitor, path, ...(referrer ? { referrer } : {}), ...(agent ? { agent } : {}) }));
}).flat();

function count(views: View[], by: (view: View) => string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const view of views) found[by(view)] = (found[by(view)] ?? 0) + 1;
  return found;
}

function text(metric: string, value: unknown): string {
  if (typeof value !== 'number') return '–';
  if (metric === 'views_per_visit') return value.toFixed(2);
  if (metric === 'bounce_rate') return `${value}%`;
  if (metric !== 'visit_duration') return value.toLocaleString('en-GB');
  return value < 60 ? `${value}s` : `${Math.floor(value / 60)}m ${String(value % 60).padStart(2, '0')}s`;
}

async function figuresOf(page: Page): Promise<Record<string, string | null>> {
  const found: Record<string, string | null> = {};
  for (const metric of METRICS) found[metric] = await page.getByTestId(`figure-${metric}`).locator('.value').textContent();
  return found;
}

/** The rows of a panel as [value, visitors] and what other columns are wanted. */
async function rowsOf(page: Page, panel: string, columns: string[] = ['visitors']): Promise<string[][]> {
  return page.getByTestId(`panel-${panel}`).locator('tbody tr').evaluateAll((rows, wanted) => rows.map((row) => [
    row.querySelector('.text')?.textContent ?? '', ...wanted.map((column) => row.querySelector(`[data-column="${column}"] .count`)?.textContent ?? ''),
  ]), columns);
}

test('the first view shows up on the waiting page by itself', async ({ page, node, complaints }) => {
  await page.goto(`/sites/${DOMAIN}`);
  await expect(page.getByText('Waiting for the first view')).toBeVisible();
  await expect(page.getByRole('status').filter({ hasText: 'Live' })).toBeAttached();
  await node.view(VIEWS[0]!);
  await expect(page.getByTestId('figure-pageviews').locator('.value')).toHaveText('1');
  await expect(page.getByTestId('live-count')).toHaveText('1 current visitor');
  expect(complaints).toEqual([]);
});

test('the set-up link works once', async ({ browser, node }) => {
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } });
  const page = await context.newPage();
  await page.goto(node.setupLink.replace(/^https?:\/\/[^/]+/, node.address));
  await expect(page.getByRole('heading', { name: 'This link is no longer valid' })).toBeVisible();
  await context.close();
});

test('the numbers on screen are those of the API and those counted by hand', async ({ page, node, complaints }) => {
  await page.goto(`/sites/${DOMAIN}`);
  await page.getByTestId('figure-pageviews').locator('.value').waitFor();
  for (const view of VIEWS.slice(1)) await node.view(view);
  // The page is never reloaded: every view arrives by the stream.
  await expect(page.getByTestId('figure-pageviews').locator('.value')).toHaveText(String(VIEWS.length));
  await expect(page.getByTestId('live-count')).toHaveText('60 current visitors');

  const day = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/Berlin' });
  const range = [day.format(Date.now() - 6 * 86_400_000), day.format(Date.now())];
  const figures = await node.ask(page.request, { metrics: [...METRICS], date_range: range });
  const wanted = Object.fromEntries(METRICS.map((metric, i) => [metric, text(metric, figures.results[0]?.metrics[i])]));
  await expect.poll(() => figuresOf(page)).toEqual(wanted);
  expect(wanted).toMatchObject({ visitors: '60', visits: '60', pageviews: '150', views_per_visit: '2.50', bounce_rate: '25%' });

  const byHand = Object.entries(count(VIEWS, (view) => view.path)).map(([path, views]) => [path, String(views), String(views)]);
  await expect.poll(() => rowsOf(page, 'pages', ['pageviews', 'visitors'])).toEqual(byHand.sort((a, b) => Number(b[1]) - Number(a[1])));
  for (const [panel, dimension] of [['sources', 'visit:source'], ['devices', 'visit:browser']] as const) {
    const answer = await node.ask(page.request, {
      metrics: ['visitors'], date_range: range, dimensions: [dimension], order_by: [['visitors', 'desc'], [dimension, 'asc']], pagination: { limit: 9 },
    });
    expect(answer.results.length).toBeGreaterThan(1);
    expect(await rowsOf(page, panel)).toEqual(answer.results.map((row) => [row.dimensions[0], String(row.metrics[0])]));
  }
  const browsers = Object.fromEntries((await rowsOf(page, 'devices')).map(([name, visitors]) => [name, visitors]));
  expect(browsers).toMatchObject({ Chrome: '40', Firefox: '10', Safari: '10' });

  const chart = page.getByTestId('chart-table').locator('tbody tr');
  await expect(chart).toHaveCount(7);
  await expect(chart.last().locator('td').first()).toHaveText('60');
  expect(complaints).toEqual([]);
});

test('a click on a row filters, and the numbers are those of the API', async ({ page, node }) => {
  await page.goto(`/sites/${DOMAIN}?period=day&compare=off`);
  await page.getByTestId('panel-sources').getByRole('button', { name: 'Show only Google' }).click();
  await expect(page.getByRole('button', { name: 'Remove filter: Source is Google' })).toBeVisible();
  await page.getByTestId('panel-pages').getByRole('button', { name: 'Show only /products', exact: true }).click();
  await expect(page.getByTestId('figure-views_per_visit')).toBeDisabled();
  const metrics = METRICS.filter((metric) => metric !== 'views_per_visit');
  const answer = await node.ask(page.request, {
    metrics, date_range: 'day', filters: [['is', 'visit:source', ['Google']], ['is', 'event:page', ['/products']]],
  });
  const wanted = Object.fromEntries(metrics.map((metric, i) => [metric, text(metric, answer.results[0]?.metrics[i])]));
  await expect.poll(() => figuresOf(page)).toEqual({ ...wanted, views_per_visit: '–' });
  expect(Number(wanted['visitors'])).toBeGreaterThan(0);
  expect(Number(wanted['visitors'])).toBeLessThan(60);
});

test('the months are those of the API', async ({ page, node }) => {
  const made = await page.request.post('/v1/keys', { data: { name: 'past', scope: 'events:write' } });
  expect(made.status(), await made.text()).toBe(201);
  const { key } = await made.json() as { key: string };
  const past = [40, 41, 70, 380, 400].flatMap((daysAgo) => Array.from({ length: 3 + (daysAgo % 5) }, (_, i) => ({
    id: `past-${daysAgo}-${i}`, site: DOMAIN, name: 'pageview', visitor: `visitor-${i}`, url: `https://${DOMAIN}/${i % 2 ? '' : 'archive'}`,
    timestamp: new Date(Date.now() - daysAgo * 86_400_000 + i * 60_000).toISOString(),
  })));
  const sent = await page.request.post('/v1/events', { data: past, headers: { Authorization: `Bearer ${key}` } });
  expect(sent.status(), await sent.text()).toBe(202);
  node.token = sent.headers()['x-footfall-token'] ?? node.token;

  const response = await page.request.get(`/v1/sites/${DOMAIN}/months?months=36`, { headers: { 'X-Footfall-Token': node.token } });
  const { months } = await response.json() as { months: { month: string; visits: number; visitors: number; pageviews: number; partial: boolean }[] };
  expect(months.reduce((sum, month) => sum + month.pageviews, 0)).toBe(VIEWS.length + past.length);
  expect(months[0]?.partial).toBe(true);

  await page.goto(`/sites/${DOMAIN}/months`);
  const rows = page.getByTestId('months-table').locator('tbody tr');
  await expect(rows).toHaveCount(Math.min(24, months.length));
  const shown = await rows.evaluateAll((all) => all.map((row) => [...row.querySelectorAll('td')].slice(0, 3).map((cell) => cell.querySelector('.number')?.textContent)));
  expect(shown).toEqual(months.slice(0, 24).map((month) => [month.visitors, month.visits, month.pageviews].map((n) => n.toLocaleString('en-GB'))));
  await expect(rows.first()).toContainText('in progress');
  await expect(page.getByTestId('month-details')).toContainText('/products');
});

test('a second site is added and found in the list', async ({ page }) => {
  await page.goto('/');
  const cards = page.getByTestId('site-card');
  await cards.first().waitFor();
  const before = await cards.count();
  await page.getByRole('button', { name: 'Add site' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Domain').fill(DOMAIN);
  await dialog.getByRole('button', { name: 'Add site' }).click();
  await expect(dialog.getByLabel('Domain')).toHaveAttribute('aria-invalid', 'true');
  await dialog.getByLabel('Domain').fill('second.example');
  await dialog.getByRole('button', { name: 'Add site' }).click();
  await expect(dialog.getByLabel('Tracking snippet')).toContainText('second.example');
  await dialog.getByRole('button', { name: 'Close' }).click();
  await expect(cards).toHaveCount(before + 1);
  const first = cards.filter({ hasText: DOMAIN });
  await expect(first).toContainText('60');
  await first.click();
  await expect(page).toHaveURL(new RegExp(`/sites/${DOMAIN}$`));
});

test('what happens on pages, goals, properties, segments: every panel says what the API says', async ({ page, node, complaints }) => {
  test.setTimeout(360_000);
  const write = async (method: 'post' | 'put', path: string, data: unknown) => {
    const response = await page.request[method](`/v1/sites/${DOMAIN}/${path}`, { data });
    expect(response.ok(), await response.text()).toBe(true);
    return response.json() as Promise<{ id: number }>;
  };
  const made = await page.request.post('/v1/keys', { data: { name: 'panels', scope: 'events:write' } });
  const { key } = await made.json() as { key: string };
  const hostile = ['<script>alert(1)</script>', '\u202egnp.exe', `/${'long/'.repeat(380)}end`, '/👩‍👩‍👧‍👦'];
  const sent = await page.request.post('/v1/events', {
    headers: { Authorization: `Bearer ${key}` },
    data: Array.from({ length: 24 }, (_, i) => {
      const visitor = { id: `panel-${i}`, site: DOMAIN, visitor: `panel-visitor-${i}`, country: ['DE', 'JP', 'BR'][i % 3], region: 'DE-BE', city: 'Berlin',
        browser: 'Chrome', browser_version: ['141.0', '140.0'][i % 2], os: 'Windows', os_version: '11', device: 'Desktop', screen: ['MD', 'XS'][i % 2], language: 'de',
        source: 'Newsletter', utm_medium: 'email', utm_campaign: ['autumn', 'spring'][i % 2], page: hostile[i % 4], url: `https://${DOMAIN}/` };
      return i % 2 === 0
        ? [{ ...visitor, name: 'pageview' }, { ...visitor, id: `order-${i}`, name: 'Order', props: { plan: i % 4 === 0 ? 'pro' : 'basic' }, revenue: { amount: 10 + i, currency: 'EUR' } }]
        : [{ ...visitor, name: 'pageview' }];
    }).flat(),
  });
  expect(sent.status(), await sent.text()).toBe(202);
  node.token = sent.headers()['x-footfall-token'] ?? node.token;
  await write('post', 'goals', { goal_type: 'event', event_name: 'Order', currency: 'EUR' });
  await write('put', 'properties', { properties: ['plan'] });
  const { id } = await write('post', 'segments', { name: 'Mail', type: 'site', segment_data: { filters: [['is', 'visit:utm_medium', ['email']]] } });

  await page.goto(`/sites/${DOMAIN}?period=day&compare=off`);
  // The address is the state, so that the page need not be loaded again for another one.
  const open = (address: string) => page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
  }, address);
  const panels = [
    ['sources', 'sources', 'visit:source'], ['sources', 'channels', 'visit:channel'], ['sources', 'referrers', 'visit:referrer'], ['sources', 'campaigns', 'visit:utm_campaign'],
    ['sources', 'utm_medium', 'visit:utm_medium'], ['sources', 'utm_source', 'visit:utm_source'], ['sources', 'utm_content', 'visit:utm_content'], ['sources', 'utm_term', 'visit:utm_term'],
    ['pages', 'top', 'event:page'], ['pages', 'entry', 'visit:entry_page'], ['pages', 'exit', 'visit:exit_page'],
    ['places', 'countries', 'visit:country'], ['places', 'regions', 'visit:region'], ['places', 'cities', 'visit:city'], ['places', 'languages', 'visit:language'],
    ['devices', 'browsers', 'visit:browser'], ['devices', 'os', 'visit:os'], ['devices', 'devices', 'visit:device'], ['devices', 'screens', 'visit:screen_class'],
    ['actions', 'goals', 'event:goal'], ['actions', 'events', 'event:name'], ['actions', 'props', 'event:props:plan'],
  ] as const;
  for (const filters of ['', `f=is,segment,${id}&`]) {
    const wanted = filters ? [['is', 'segment', [id]]] : [];
    for (const [panel, tab, dimension] of panels.filter(([, tab]) => !filters || ['campaigns', 'top', 'goals'].includes(tab))) {
      await open(`/sites/${DOMAIN}?period=day&compare=off&${filters}${panel}=${tab}`);
      const answer = await node.ask(page.request, {
        metrics: ['visitors'], date_range: 'day', dimensions: [dimension], order_by: [['visitors', 'desc'], [dimension, 'asc']], pagination: { limit: 9 },
        filters: [...wanted, ...(tab === 'events' ? [['is_not', 'event:name', ['pageview']]] : [])] as never,
      });
      await expect.poll(async () => (await rowsOf(page, panel)).map((row) => row[1]), `${filters}${tab}`).toEqual(answer.results.map((row) => String(row.metrics[0])));
      expect(answer.results.length, `${tab} has rows`).toBeGreaterThan(0);
    }
  }

  // The file holds the same rows, the strangest paths included.
  await open(`/sites/${DOMAIN}?period=day&compare=off&f=is,segment,${id}`);
  await expect(page.getByTestId('panel-pages').locator('tbody tr')).toHaveCount(4);
  expect(await page.locator('main script').count()).toBe(0);
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Columns and downloads of Pages' }).click();
  await page.getByRole('button', { name: 'Download CSV' }).click();
  const csv = await readFile(await (await download).path(), 'utf8');
  expect(csv).toContain('<script>alert(1)</script>,6,');
  expect(csv.trim().split('\n')).toHaveLength(5);

  // Revenue and rates of the goal; a click filters by it, and every panel asks what the API takes.
  const goal = await node.ask(page.request, { metrics: ['visitors', 'events', 'conversion_rate'], date_range: 'day', dimensions: ['event:goal'], filters: [['is', 'segment', [id]]] as never });
  await expect.poll(() => rowsOf(page, 'actions', ['visitors', 'events', 'conversion_rate'])).toEqual([['Order', ...goal.results[0]!.metrics.slice(0, 2).map(String), `${Number(goal.results[0]!.metrics[2]).toFixed(1)}%`]]);
  await expect(page.getByTestId('panel-actions').locator('[data-column="total_revenue"] .count')).toHaveText('€252.00');
  await page.getByTestId('panel-actions').getByRole('button', { name: 'Show only Order' }).click();
  await expect.poll(() => rowsOf(page, 'sources', ['visitors', 'conversion_rate'])).toEqual([['Newsletter', '12', '50.0%']]);

  // All columns at once, with a comparison, an or-group and what the visit also did: nothing is refused.
  const all = 'cols=visitors,visits,pageviews,events,bounce_rate,visit_duration,scroll_depth,time_on_page,exit_rate,percentage,conversion_rate,total_revenue';
  for (const tabs of ['pages=top&actions=events', 'pages=exit&actions=props']) {
    await open(`/sites/${DOMAIN}?period=day&f=or,is,utm_medium,email;contains.i,page,NOTHING&f=done.is,goal,Order&${['pages', 'sources', 'places', 'devices', 'actions'].map((name) => `${name}.${all}`).join('&')}&places=countries&${tabs}`);
    for (const panel of ['pages', 'sources', 'places', 'devices', 'actions']) await expect(page.getByTestId(`panel-${panel}`).locator('tbody tr').first(), `${tabs} ${panel}`).toBeVisible();
    await expect(page.getByRole('alert')).toHaveCount(0);
  }

  // The map and the search by what people call a country.
  await open(`/sites/${DOMAIN}?period=day&compare=off`);
  await page.getByTestId('panel-places').scrollIntoViewIfNeeded();
  await expect(page.getByTestId('map-table').locator('tbody tr').filter({ hasText: 'Japan' })).toContainText('8');
  await page.locator('path[data-code="BR"]').click();
  await expect(page.getByRole('button', { name: 'Edit filter: Country is Brazil' })).toBeVisible();
  await open(`/sites/${DOMAIN}?period=day&compare=off&places=countries&places.find=braz`);
  await expect.poll(() => rowsOf(page, 'places')).toEqual([['Brazil', '8']]);
  expect(complaints).toEqual([]);
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the pages of the node can be used by everybody, ${colorScheme}`, async ({ page, complaints }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [path, ready] of [
      ['/', '[data-testid="site-card"]'], [`/sites/${DOMAIN}`, '[data-testid="panel-devices"] tbody tr'], [`/sites/${DOMAIN}/months`, '[data-testid="months-table"]'],
    ] as const) {
      await page.goto(path);
      await page.locator(ready).first().waitFor({ state: 'attached' });
      await expect(page.locator('main .skeleton')).toHaveCount(0);
      expect(await breaches(page), path).toEqual([]);
    }
    expect(complaints).toEqual([]);
  });
}

test('signing out closes the door, signing in opens it at the same place', async ({ page }) => {
  // With a session of its own: the other tests go on with theirs.
  await page.context().clearCookies();
  const signedIn = await page.request.post('/v1/session', { data: { email: EMAIL, password: PASSWORD } });
  expect(signedIn.status()).toBe(200);
  await page.goto(`/sites/${DOMAIN}`);
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page).toHaveURL(/\/login$/);
  await page.goto(`/sites/${DOMAIN}?period=day`);
  await expect(page).toHaveURL(/\/login\?next=/);
  await page.getByLabel('Email').fill(EMAIL);
  await page.getByLabel('Password').fill('not the right one');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toHaveText('Email or password is wrong.');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(`/sites/${DOMAIN}?period=day`);
  await expect(page.getByTestId('figure-pageviews').locator('.value')).toHaveText(/\d/);
});
