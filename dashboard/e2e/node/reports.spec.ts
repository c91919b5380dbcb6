/** The report pages on a real node: every number on screen is the API's. */
import type { APIRequestContext, Page } from '@playwright/test';
import type { components } from '../../src/lib/api/schema';
import { breaches } from '../fixtures/axe';
import { expect, test, type Node } from '../fixtures/binary';

type Schemas = components['schemas'];

test.describe.configure({ mode: 'serial' });

const SITE = 'reports.example';
const ZONE = 'Europe/Berlin';
const DAY_MS = 86_400_000;
const WALKS = [
  ['/', '/products', '/cart', '/thank-you'], ['/', '/products', '/cart'], ['/', '/products'], ['/'], ['/blog', '/products'], ['/products', '/', '/products', '/cart'],
];

interface Event { id: string; site: string; name: string; visitor: string; url: string; timestamp: string; country: string; device: string; keep_bots: boolean; referrer?: string; scroll_depth?: number; engagement_time_ms?: number }

/** Forty named visitors of the last ten weeks, who come back now and then; two of them just now. */
function makeEvents(now: number): Event[] {
  const events: Event[] = [];
  const visit = (visitor: number, start: number, walk: string[]) => walk.forEach((path, i) => {
    const base = {
      site: SITE, visitor: `v${visitor}`, url: `https://${SITE}${path}`, country: ['DE', 'AT', 'US'][visitor % 3] ?? 'DE', device: visitor % 2 ? 'Mobile' : 'Desktop',
      keep_bots: true, ...(visitor % 2 ? { referrer: 'https://www.google.com/' } : {}),
    };
    const at = start + i * 40_000;
    events.push({ ...base, id: `${start}-${visitor}-${i}`, name: 'pageview', timestamp: new Date(at).toISOString() });
    events.push({
      ...base, id: `${start}-${visitor}-${i}-e`, name: 'engagement', timestamp: new Date(at + 20_000).toISOString(),
      scroll_depth: (visitor * 13 + i * 29) % 101, engagement_time_ms: 5_000 + visitor * 400,
    });
    if (path === '/thank-you') events.push({ ...base, id: `${start}-${visitor}-${i}-o`, name: 'Order', timestamp: new Date(at + 5_000).toISOString() });
  });
  for (let visitor = 0; visitor < 40; visitor++) {
    for (const days of [1 + visitor, 8 + visitor, 30 + (visitor % 7)]) {
      if ((visitor + days) % 3 > 0) visit(visitor, now - days * DAY_MS - (visitor % 9) * 3_600_000, WALKS[Math.floor((visitor + days) / 3) % WALKS.length] ?? []);
    }
  }
  visit(90, now - 3 * 60_000, ['/', '/products']);
  visit(91, now - 4 * 60_000, ['/cart']);
  return events;
}

async function ask<T>(request: APIRequestContext, node: Node, name: string, body: object): Promise<T> {
  const response = await request.post(`${node.address}/v1/sites/${SITE}/${name}`, { data: body, headers: { 'X-Footfall-Token': node.token } });
  expect(response.status(), await response.text()).toBe(200);
  return response.json() as Promise<T>;
}

function lastDays(count: number): [string, string] {
  const day = new Intl.DateTimeFormat('sv-SE', { timeZone: ZONE });
  return [day.format(Date.now() - (count - 1) * DAY_MS), day.format(Date.now())];
}

async function cells(page: Page, table: string): Promise<string[][]> {
  await page.getByTestId(table).first().waitFor({ state: 'attached' });
  return page.getByTestId(table).first().locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent?.trim().replace(/\s+/g, ' ') ?? '')));
}

const number = (n: number | null) => (n === null ? '–' : n.toLocaleString('en-GB'));
const rate = (n: number | null) => (n === null ? '–' : `${(Math.round(n * 10) / 10).toLocaleString('en-GB')}%`);
const time = (s: number | null) => (s === null ? '–' : s < 60 ? `${Math.round(s)}s` : `${Math.floor(Math.round(s) / 60)}m ${String(Math.round(s) % 60).padStart(2, '0')}s`);

test('a site with ten weeks of visits', async ({ page, node }) => {
  const added = await page.request.post('/v1/sites', { data: { domain: SITE, timezone: ZONE } });
  expect(added.status(), await added.text()).toBe(201);
  const { key } = await (await page.request.post('/v1/keys', { data: { name: 'reports', scope: 'events:write' } })).json() as { key: string };
  const events = makeEvents(Date.now());
  const sent = await page.request.post('/v1/events', { data: events, headers: { Authorization: `Bearer ${key}` } });
  expect(sent.status(), await sent.text()).toBe(202);
  expect((await sent.json() as Schemas['EventsResult']).accepted).toBe(events.length);
  node.token = sent.headers()['x-footfall-token'] ?? '';
});

test('realtime', async ({ page, node }) => {
  await page.goto(`/sites/${SITE}/realtime`);
  await expect(page.getByTestId('realtime-visitors')).toHaveText('2');
  const response = await page.request.get(`/v1/sites/${SITE}/realtime`, { headers: { 'X-Footfall-Token': node.token } });
  const answer = await response.json() as Schemas['Realtime'];
  const minutes = await cells(page, 'minutes-table');
  const sum = (all: number[]) => all.reduce((a, b) => a + b, 0);
  expect(sum(minutes.map((row) => Number(row[1])))).toBe(sum(answer.minutes.map((minute) => minute.pageviews)));
  expect(sum(minutes.map((row) => Number(row[1])))).toBe(3);
  const rows = await page.getByTestId('realtime-countries').locator('tbody tr').allInnerTexts();
  expect(rows).toHaveLength(answer.countries.length);
  await expect(page.getByTestId('feed').locator('li')).toHaveCount(3);
  await expect(page.getByTestId('feed').locator('li').filter({ hasText: '/cart' })).toContainText('Google · Austria');
});

test('a view is on the realtime page by itself', async ({ page, node }) => {
  await page.goto(`/sites/${SITE}/realtime`);
  await expect(page.getByTestId('realtime-visitors')).toHaveText('2');
  await expect(page.getByRole('status').filter({ hasText: 'Live' })).toBeAttached();
  const response = await fetch(`${node.address}/api/event`, {
    method: 'POST',
    headers: {
      'Content-Type': 'text/plain', 'X-Forwarded-For': '203.0.113.77',
      'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0',
    },
    body: JSON.stringify({ name: 'pageview', domain: SITE, url: `https://${SITE}/just-now` }),
  });
  expect(response.status).toBe(202);
  node.token = response.headers.get('x-footfall-token') ?? '';
  await expect(page.getByTestId('realtime-visitors')).toHaveText('3');
  await expect(page.getByTestId('feed').locator('li').first()).toContainText('/just-now');
  await expect(page.getByTestId('feed').locator('li').first()).toHaveClass(/fresh/);
});

test('funnel', async ({ page, node }) => {
  for (const window of ['visit', '30d']) {
    await page.goto(`/sites/${SITE}/funnels?period=30d&s=page,/&s=page,/products&s=page,/cart&s=event,Order${window === 'visit' ? '' : `&window=${window}`}`);
    const answer = await ask<Schemas['Funnel']>(page.request, node, 'funnel', {
      date_range: lastDays(30), window, steps: [{ page: '/' }, { page: '/products' }, { page: '/cart' }, { event: 'Order' }],
    });
    expect(answer.steps[0]?.visitors).toBeGreaterThan(5);
    expect(answer.steps[3]?.visitors).toBeGreaterThan(0);
    expect((await cells(page, 'funnel-table')).map((row) => row.slice(1))).toEqual(answer.steps.map((step, i) => [
      number(step.visitors), rate(step.conversion_rate), rate(step.step_conversion_rate), i === 0 ? '–' : number(step.dropped), time(step.median_seconds),
    ]));
  }
});

test('retention', async ({ page, node }) => {
  await page.goto(`/sites/${SITE}/retention`);
  const answer = await ask<Schemas['Retention']>(page.request, node, 'retention', { interval: 'week', periods: 12, date_range: '84d' });
  const shown = await cells(page, 'retention-table');
  expect(shown.map((row) => row[1])).toEqual(answer.cohorts.map((cohort) => number(cohort.visitors)));
  expect(shown.map((row) => row.slice(2))).toEqual(answer.cohorts.map((cohort) => cohort.return_rates.map((part) => (cohort.visitors > 0 ? rate(part) : ''))));
  expect(answer.cohorts.some((cohort) => cohort.returned.some((count) => count > 0))).toBe(true);
});

test('retention where nobody is recognised', async ({ page }) => {
  const added = await page.request.post('/v1/sites', { data: { domain: 'forgetful.example', timezone: 'UTC' } });
  expect(added.status(), await added.text()).toBe(201);
  const { key } = await (await page.request.post('/v1/keys', { data: { name: 'f', scope: 'events:write' } })).json() as { key: string };
  const sent = await page.request.post('/v1/events', {
    data: [{ site: 'forgetful.example', url: 'https://forgetful.example/', ip: '203.0.113.5', timestamp: new Date(Date.now() - 20 * DAY_MS).toISOString(), keep_bots: true }],
    headers: { Authorization: `Bearer ${key}` },
  });
  expect(sent.status(), await sent.text()).toBe(202);
  await page.goto('/sites/forgetful.example/retention');
  await expect(page.getByTestId('retention-forgetful')).toContainText('lasts for a day');
});

test('journeys', async ({ page, node }) => {
  for (const [query, body] of [['', { direction: 'next' }], ['&page=/cart&direction=previous', { direction: 'previous', page: '/cart' }]] as const) {
    await page.goto(`/sites/${SITE}/journeys?period=30d${query}`);
    const answer = await ask<Schemas['Journeys']>(page.request, node, 'journeys', { date_range: lastDays(30), steps: 3, top: 5, ...body });
    expect(answer.visits).toBeGreaterThan(5);
    const shown = await cells(page, 'journey-table');
    expect(shown.map((row) => [row[1], row[2], row[3]])).toEqual(answer.nodes.map((each) => [each.page, number(each.visits), number(each.exits)]));
    await expect(page.locator('svg .link')).toHaveCount(answer.links.length);
  }
});

test('hours of the week, new and returning', async ({ page, node }) => {
  await page.goto(`/sites/${SITE}?period=30d&heat=pageviews`);
  await page.getByTestId('panel-pages').waitFor();
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  const cell = page.getByTestId('heatmap').locator('tbody td');
  await expect(cell).toHaveCount(168);
  const answer = await ask<Schemas['Heatmap']>(page.request, node, 'heatmap', { date_range: lastDays(30) });
  expect(await cell.evaluateAll((all) => all.map((each) => Number((each as HTMLElement).dataset['value'])))).toEqual(answer.cells.map((each) => each.pageviews));
  expect(answer.cells.some((each) => each.pageviews > 0)).toBe(true);
  const parts = await ask<Schemas['Returning']>(page.request, node, 'returning', { date_range: lastDays(30) });
  const shown = await cells(page, 'returning-table');
  expect(shown.map((row) => [row[1], row[3]])).toEqual([[number(parts.visitors.new), number(parts.visits.new)], [number(parts.visitors.returning), number(parts.visits.returning)]]);
  expect(parts.visitors.returning).toBeGreaterThan(0);
});

test('one page', async ({ page, node }) => {
  await page.goto(`/sites/${SITE}/page?period=30d`);
  const list = await node.ask(page.request, {
    site_id: SITE, metrics: ['visitors', 'pageviews'], date_range: lastDays(30), dimensions: ['event:page'], order_by: [['visitors', 'desc'], ['event:page', 'asc']],
  });
  expect((await cells(page, 'page-list')).map((row) => row.slice(0, 3))).toEqual(list.results.map((row) => [row.dimensions[0], ...row.metrics.map((each) => number(each as number))]));
  await page.getByTestId('page-list').getByRole('link', { name: '/products', exact: true }).click();
  const answer = await ask<Schemas['PageReport']>(page.request, node, 'page', { page: '/products', date_range: lastDays(30) });
  const { figures } = answer;
  for (const [name, text] of [
    ['visitors', number(figures.visitors)], ['visits', number(figures.visits)], ['pageviews', number(figures.pageviews)], ['entries', number(figures.entries)],
    ['exits', number(figures.exits)], ['exit_rate', rate(figures.exit_rate)], ['bounce_rate', rate(figures.bounce_rate)], ['scroll_depth', rate(figures.scroll_depth)],
    ['time_on_page', time(figures.time_on_page)], ['time_on_page_median', time(figures.time_on_page_median)], ['time_on_page_p90', time(figures.time_on_page_p90)],
  ] as const) await expect(page.getByTestId(`page-${name}`).locator('.value'), name).toHaveText(text);
  const series = await cells(page, 'chart-table');
  expect(series.map((row) => row[1])).toEqual(answer.series.map((bucket) => number(bucket.visitors)));
  const neighbours = await page.getByTestId('page-previous').locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map((each) => each.textContent?.trim())));
  expect(neighbours).toContainEqual(['Visit began here', number(answer.previous.none)]);
  for (const { page: path, views } of answer.previous.pages) expect(neighbours).toContainEqual([path, number(views)]);
  const reach = await cells(page, 'reach');
  expect(reach[0]?.[2]).toBe(number(answer.scroll.reduce((sum, part) => sum + part.visitors, 0)));
  expect(reach[9]?.[2]).toBe(number(answer.scroll[9]?.visitors ?? 0));
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the reports of the node can be used by everybody, ${colorScheme}`, async ({ page, complaints }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [path, ready] of [
      ['realtime', 'realtime-pages'], ['page?period=30d', 'page-list'], ['page?period=30d&page=/products', 'reach'], ['funnels?period=30d&s=page,/&s=page,/cart', 'funnel-table'],
      ['retention', 'retention-table'], ['journeys?period=30d', 'journey-table'],
    ] as const) {
      await page.goto(`/sites/${SITE}/${path}`);
      await page.getByTestId(ready).first().waitFor({ state: 'attached' });
      await expect(page.locator('main .skeleton')).toHaveCount(0);
      expect(await breaches(page), path).toEqual([]);
    }
    expect(complaints).toEqual([]);
  });
}
