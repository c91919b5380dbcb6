/**
 * An access log made from a seed, counted the plain way here, imported by the
 * command, and read on screen: the same numbers everywhere.
 */
import { expect, test } from '../fixtures/binary';

const SITE = 'log.example';
const FIRST = '2024-02-27';
const LAST = '2024-03-02';
const DAYS = 5;
const ASSETS = new Set(`css js mjs map png jpg jpeg gif svg webp avif ico bmp tif tiff woff woff2 ttf otf eot
mp4 webm ogv mp3 ogg wav flac avi mov wmv pdf zip gz bz2 xz tar tgz rar 7z exe dmg iso msi deb rpm
swf json xml txt`.split(/\s+/));

/** Random numbers that are the same on every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Count { lines: number; rejected: number; views: number; days: Map<string, number>; pages: Map<string, number> }

function makeLog(): { text: string; count: Count } {
  const random = seeded(20_240_227);
  const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
  const count: Count = { lines: 0, rejected: 0, views: 0, days: new Map(), pages: new Map() };
  const lines: string[] = [];
  for (let i = 0; i < 3000; i++) {
    const time = new Date(Date.parse(`${FIRST}T00:00:00Z`) + random(DAYS * 86_400) * 1000);
    const target = pick(['/', '/', '/shop', '/shop?sort=price', '/shop/caf%C3%A9', '/blog/a%20b', '/about/', '/style.css', '/logo.PNG', '/feed.xml', '/v1.2/notes', `/item/${random(40)}`]);
    const method = random(20) === 0 ? pick(['POST', 'HEAD']) : 'GET';
    const status = random(10) === 0 ? pick([404, 301, 500]) : pick([200, 200, 200, 206, 304]);
    const [, month, day] = time.toISOString().split(/[-T]/);
    const stamp = `${day}/${month === '02' ? 'Feb' : 'Mar'}/2024:${time.toISOString().slice(11, 19)} +0000`;
    let line = `198.51.100.${random(200)} - - [${stamp}] "${method} ${target} HTTP/1.1" ${status} ${random(9000)} "-" "Mozilla/5.0 (X11; Linux x86_64; rv:1${10 + random(30)}.0) Gecko/20100101 Firefox/120.0"`;
    count.lines++;
    if (random(100) === 0) { // damaged
      line = line.slice(0, 20 + random(30));
      count.rejected++;
    } else {
      const path = decodeURIComponent(target.split('?')[0] ?? '');
      const name = path.slice(path.lastIndexOf('/') + 1);
      const asset = name.includes('.') && ASSETS.has(name.slice(name.lastIndexOf('.') + 1).toLowerCase());
      if (method === 'GET' && ((status >= 200 && status <= 299) || status === 304) && !asset) {
        const date = time.toISOString().slice(0, 10);
        count.views++;
        count.days.set(date, (count.days.get(date) ?? 0) + 1);
        count.pages.set(path, (count.pages.get(path) ?? 0) + 1);
      }
    }
    lines.push(line);
  }
  return { text: `${lines.join('\n')}\n`, count };
}

test('an imported log shows the numbers counted by hand, also when it is imported again', async ({ page, node, complaints }) => {
  const { text, count } = makeLog();
  const added = await page.request.post('/v1/sites', { data: { domain: SITE, timezone: 'UTC' } });
  expect(added.status(), await added.text()).toBe(201);
  expect(await node.import(SITE, text)).toMatchObject({ lines: count.lines, views: count.views, duplicates: 0, rejected: count.rejected });
  expect(await node.import(SITE, text)).toMatchObject({ lines: count.lines, views: 0, duplicates: count.views, rejected: count.rejected });

  const range = [FIRST, LAST];
  const days = await node.ask(page.request, { site_id: SITE, metrics: ['pageviews'], date_range: range, dimensions: ['time:day'] });
  expect(new Map(days.results.map((row) => [row.dimensions[0], row.metrics[0]]))).toEqual(count.days);
  const pages = await node.ask(page.request, { site_id: SITE, metrics: ['pageviews'], date_range: range, dimensions: ['event:page'] });
  expect(new Map(pages.results.map((row) => [row.dimensions[0], row.metrics[0]]))).toEqual(count.pages);

  await page.goto(`/sites/${SITE}?period=custom&from=${FIRST}&to=${LAST}&metric=pageviews`);
  await expect(page.getByTestId('figure-pageviews').locator('.value')).toHaveText(count.views.toLocaleString('en-GB'));
  const series = page.getByTestId('chart-table').locator('tbody tr');
  await expect(series).toHaveCount(DAYS);
  expect(await series.evaluateAll((rows) => rows.map((row) => Number(row.querySelector('td')?.textContent?.replaceAll(',', ''))))).toEqual(
    [...count.days].sort(([a], [b]) => a.localeCompare(b)).map(([, views]) => views));
  await page.getByTestId('panel-pages').locator('tbody tr').first().waitFor();
  const shown = await page.getByTestId('panel-pages').locator('tbody tr').evaluateAll((rows) => rows.map((row) => [
    row.querySelector('.text')?.textContent ?? '', Number(row.querySelector('[data-column="pageviews"] .count')?.textContent?.replaceAll(',', ''))] as const));
  expect(shown.length).toBeGreaterThan(5);
  for (const [path, views] of shown) expect(count.pages.get(path), path).toBe(views);

  await page.goto(`/sites/${SITE}/months`);
  const response = await page.request.get(`/v1/sites/${SITE}/months?months=2&end=2024-03`, { headers: { 'X-Footfall-Token': node.token } });
  const { months } = await response.json() as { months: { pageviews: number }[] };
  expect(months.map((month) => month.pageviews).reduce((a, b) => a + b)).toBe(count.views);
  expect(complaints).toEqual([]);
});
