/** The figures, the chart and the list of sites against a real node: every number on screen is the API's. */
import type { Page } from '@playwright/test';
import { DOMAIN, expect, test } from '../fixtures/binary';

test.describe.configure({ mode: 'serial' });

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;

function dayOf(ms: number): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/Berlin' }).format(ms);
}

/** What a cell of the chart's table says, as the API says numbers. */
function numberIn(text: string | null): number | null {
  const bare = (text ?? '').replace(/[^\d.–-]/g, '');
  return bare === '–' || bare === '' ? null : Number(bare);
}

async function chartOf(page: Page): Promise<(number | null)[][]> {
  const rows = await page.getByTestId('chart-table').locator('tbody tr').evaluateAll((all) => all.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent)));
  return rows.map((cells) => cells.map(numberIn));
}

function amount(value: unknown): number {
  return typeof value === 'object' && value !== null && 'value' in value ? Number(value.value) : Number(value ?? 0);
}

test('money, days of one\'s own, weekdays, 24 hours, minutes: the chart holds what the API says', async ({ page, node, complaints }) => {
  const made = await page.request.post('/v1/keys', { data: { name: 'figures', scope: 'events:write' } });
  const { key } = await made.json() as { key: string };
  const now = Date.now();
  const events = [0.01, 0.02, 0.1, 0.6, 1.1, 2.2, 3, 6, 8, 9.5, 20, 33, 41, 364, 371].flatMap((daysAgo, i) => Array.from({ length: 2 + (i % 4) }, (_, k) => {
    const each = { id: `figures-${i}-${k}`, site: DOMAIN, visitor: `figures-visitor-${k}`, url: `https://${DOMAIN}/${k}`, timestamp: new Date(now - daysAgo * DAY + k * MINUTE).toISOString() };
    return k === 1
      ? [{ ...each, name: 'pageview' }, { ...each, id: `${each.id}-order`, name: 'Order', revenue: { amount: 12.5 + i, currency: 'EUR' } }]
      : [{ ...each, name: 'pageview' }];
  }).flat());
  const sent = await page.request.post('/v1/events', { data: events, headers: { Authorization: `Bearer ${key}` } });
  expect(sent.status(), await sent.text()).toBe(202);
  node.token = sent.headers()['x-footfall-token'] ?? node.token;
  const goal = await page.request.post(`/v1/sites/${DOMAIN}/goals`, { data: { goal_type: 'event', event_name: 'Order', currency: 'EUR' } });
  expect(goal.ok(), await goal.text()).toBe(true);

  // Money by day, and its figure.
  const week: [string, string] = [dayOf(now - 6 * DAY), dayOf(now)];
  const money = await node.ask(page.request, { metrics: ['total_revenue'], date_range: week, filters: [['is', 'event:goal', ['Order']]] as never });
  const byDay = await node.ask(page.request, { metrics: ['total_revenue'], date_range: week, filters: [['is', 'event:goal', ['Order']]] as never, dimensions: ['time:day'], include: { time_labels: true } });
  await page.goto(`/sites/${DOMAIN}?metric=total_revenue&compare=off`);
  await expect(page.getByTestId('figure-total_revenue')).toHaveAttribute('aria-pressed', 'true');
  const sums = (byDay.meta.time_labels ?? []).map((label) => amount(byDay.results.find((row) => row.dimensions[0] === label)?.metrics[0]));
  await expect.poll(async () => (await chartOf(page)).map(([value]) => value)).toEqual(sums);
  expect(amount(money.results[0]?.metrics[0])).toBeGreaterThan(12.5);
  await expect(page.getByTestId('figure-total_revenue').locator('.value')).toHaveText(`€${amount(money.results[0]?.metrics[0]).toFixed(2)}`);

  // Weekdays over weekdays: the days reckoned on the page are those that the API finds by itself.
  const month: [string, string] = [dayOf(now - 29 * DAY), dayOf(now)];
  for (const [compare, mode] of [['previous', 'previous_period'], ['year', 'year_over_year']] as const) {
    const figures = await node.ask(page.request, { metrics: ['visitors', 'pageviews'], date_range: month, include: { comparisons: { mode, match_day_of_week: true } } });
    await page.goto(`/sites/${DOMAIN}?period=30d&compare=${compare}&match=weekday`);
    for (const [i, metric] of (['visitors', 'pageviews'] as const).entries()) {
      const figure = page.getByTestId(`figure-${metric}`);
      await expect(figure.locator('.value')).toHaveText(String(figures.results[0]?.metrics[i]));
      await expect(figure.locator('.exact')).toContainText(`against ${String(figures.results[0]?.comparison?.metrics[i])}`);
    }
    const [from, to] = (figures.meta.comparison_date_range ?? []).map((time) => time.slice(0, 10));
    expect(page.url()).toContain('match=weekday');
    const asked = await page.evaluate(() => document.querySelector('.other')?.textContent ?? '');
    const written = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric' }).formatRange(Date.parse(from ?? ''), Date.parse(to ?? ''));
    expect(asked.replace(/\s+/g, ' ').trim()).toBe(`Compared with ${written}`.replace(/\s+/g, ' '));
  }

  // Other days, as long as the merchant likes.
  const otherDays: [string, string] = [dayOf(now - 9 * DAY), dayOf(now - 8 * DAY)];
  const other = await node.ask(page.request, { metrics: ['pageviews'], date_range: otherDays, dimensions: ['time:day'], include: { time_labels: true } });
  await page.goto(`/sites/${DOMAIN}?metric=pageviews&compare=custom&compare_from=${otherDays[0]}&compare_to=${otherDays[1]}`);
  const wanted = (other.meta.time_labels ?? []).map((label) => Number(other.results.find((row) => row.dimensions[0] === label)?.metrics[0] ?? 0));
  await expect.poll(async () => (await chartOf(page)).slice(0, 2).map((row) => row[1])).toEqual(wanted);

  // The last 24 hours, both lines of them, and one day by the minute.
  const rolling = await node.ask(page.request, { metrics: ['visitors'], date_range: '24h', include: { comparisons: { mode: 'previous_period' } } });
  const hours = await node.ask(page.request, { metrics: ['visitors'], date_range: '24h', dimensions: ['time:hour'], include: { time_labels: true, comparisons: { mode: 'previous_period' } } });
  await page.goto(`/sites/${DOMAIN}?period=24h`);
  await expect(page.getByTestId('figure-visitors').locator('.value')).toHaveText(String(rolling.results[0]?.metrics[0]));
  const both = (hours.meta.time_labels ?? []).map((label) => {
    const row = hours.results.find(({ dimensions }) => dimensions[0] === label);
    return [Number(row?.metrics[0] ?? 0), Number(row?.comparison?.metrics[0] ?? 0)];
  });
  expect(both.flat().filter((value) => value > 0).length).toBeGreaterThan(1);
  await expect.poll(async () => chartOf(page)).toEqual(both);
  const past = dayOf(now - 3 * DAY);
  const minutes = await node.ask(page.request, { metrics: ['pageviews'], date_range: [`${past}T00:00:00`, `${past}T23:59:59`], dimensions: ['time:minute'] });
  await page.goto(`/sites/${DOMAIN}?period=day&date=${past}&interval=minute&metric=pageviews&compare=off`);
  await expect(page.getByTestId('chart-table').locator('tbody tr')).toHaveCount(1_440);
  expect((await chartOf(page)).map(([value]) => value).filter((value) => value)).toEqual(minutes.results.map((row) => row.metrics[0]));
  expect(minutes.results.length).toBeGreaterThan(0);

  // A drag over hours: the figures are those of the hours.
  const span: [string, string] = [`${past}T00:00:00`, `${past}T11:59:59`];
  const half = await node.ask(page.request, { metrics: ['pageviews'], date_range: span });
  await page.goto(`/sites/${DOMAIN}?period=custom&from=${past}T00:00&to=${past}T11:59&compare=off`);
  await expect(page.getByTestId('figure-pageviews').locator('.value')).toHaveText(String(half.results[0]?.metrics[0]));
  await expect(page.getByTestId('chart-table').locator('tbody tr')).toHaveCount(12);
  expect(complaints).toEqual([]);
});

test('a group holds the sum of what the API says of its sites', async ({ page, node }) => {
  for (const domain of ['second.example', 'third.example']) await page.request.post('/v1/sites', { data: { domain, timezone: 'Europe/Berlin' } });
  await node.view({ visitor: 7, path: '/' });
  await node.view({ visitor: 8, path: '/' });
  const answer = await page.request.get('/v1/overview', { headers: { 'X-Footfall-Token': node.token } });
  const { sites } = await answer.json() as { sites: { domain: string; visitors_today: number; pageviews_today: number; live: number }[] };
  const members = sites.filter(({ domain }) => domain !== 'third.example');
  await page.goto('/');
  await page.getByRole('button', { name: 'New group' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name of the group').fill('Mine');
  for (const { domain } of members) await dialog.getByLabel(domain, { exact: true }).check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  const values = page.getByTestId('group-card').locator('.figure .value');
  const sum = (of: (site: (typeof sites)[number]) => number) => String(members.reduce((all, site) => all + of(site), 0));
  await expect(values.first()).toHaveText(sum((site) => site.visitors_today));
  await expect(values.last()).toContainText(sum((site) => site.pageviews_today));
  await expect(page.getByTestId('group-card')).toContainText(`${sum((site) => site.live)} visitors now`);
});
