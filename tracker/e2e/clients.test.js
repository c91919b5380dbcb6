// Real clients in a real browser against a real node: the numbers arrive.
import assert from 'node:assert/strict';
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { launch, visitor } from '../test/browser.js';
import { record } from '../test/recorder.js';
import { startNode, until } from './node.js';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('./node.js').Node} */
let node;
/** @type {import('../test/recorder.js').Recorder} serves the merchants' pages, which are not the node's */
let shop;

/**
 * @typedef {{
 *   site: string,
 *   head?: string,
 *   module?: string,
 *   revenue?: boolean,
 *   engagement?: boolean,
 * }} Client head holds the snippet or, for packages, module the code; NODE stands for the node's URL
 */

const stub = 'window.plausible=window.plausible||function(){(plausible.q=plausible.q||[]).push(arguments)};';

/** @type {Record<string, Client>} */
const clients = {
  '@plausible-analytics/tracker': {
    site: 'npm.test',
    module: `
      import { init, track } from '@plausible-analytics/tracker';
      init({ domain: 'npm.test', endpoint: 'NODE/api/event' });
      window.count = track;`,
  },
  'plausible-tracker': {
    site: 'old.test',
    revenue: false,
    engagement: false,
    module: `
      import Plausible from 'plausible-tracker';
      const { enableAutoPageviews, trackEvent } = Plausible({ domain: 'old.test', apiHost: 'NODE' });
      enableAutoPageviews();
      window.count = trackEvent;`,
  },
  'footfall-tracker': {
    site: 'package.test',
    module: `
      import { init, track } from './dist/footfall.module.js';
      init({ domain: 'package.test', endpoint: 'NODE/api/event' });
      window.count = track;`,
  },
  'footfall.js': {
    site: 'ours.test',
    head: '<script defer data-domain="ours.test" src="NODE/js/footfall.js"></script>',
  },
  'script.js with its stand-in': {
    site: 'legacy.test',
    head: `<script>${stub}</script><script defer data-domain="legacy.test" src="NODE/js/script.js"></script>`,
  },
  'script.outbound-links.revenue.tagged-events.js': {
    site: 'extensions.test',
    head: '<script defer data-domain="extensions.test" src="NODE/js/script.outbound-links.revenue.tagged-events.js"></script>',
  },
  'pa-<id>.js with plausible.init': {
    site: 'site.test',
    head: `<script>${stub}plausible.init=plausible.init||function(o){plausible.o=o||{}};plausible.init()</script><script async src="NODE/js/pa-abc123.js"></script>`,
  },
};

before(async () => {
  browser = await launch();
  shop = await record();
  node = await startNode(Object.values(clients).map(({ site }) => site));
});
after(async () => {
  await browser?.close();
  await shop?.close();
  await node?.stop();
});

for (const [name, { site, head = '', module, revenue = true, engagement = true }] of Object.entries(clients))
  test(`${name}: page views, an event with props and revenue, engagement`, async () => {
    const here = (/** @type {string} */ text) => text.replaceAll('NODE', node.url);
    if (module) {
      const bundle = await build({
        stdin: { contents: here(module), resolveDir: fileURLToPath(new URL('..', import.meta.url)) },
        bundle: true,
        write: false,
        logLevel: 'error',
      });
      shop.file(`/${site}.js`, bundle.outputFiles[0].text);
    }
    shop.page('/', module ? `<script defer src="/${site}.js"></script>` : here(head), '<div style="height:3000px">tall</div><style>body{margin:0}</style>');

    const page = await visitor(browser, { natural: true });
    const answered = () => page.waitForResponse((response) => response.url() == node.url + '/api/event' && response.status() == 202);
    await Promise.all([answered(), page.goto(`http://${site}:${shop.port}/`, { referer: 'https://www.google.com/' })]);
    await Promise.all([answered(), page.evaluate(() => history.pushState(null, '', '/products'))]);
    await Promise.all([
      answered(),
      page.evaluate(() => {
        const w = /** @type {any} */ (window);
        (w.count || w.plausible)('Buy', { props: { plan: 'pro', size: 'L' }, revenue: { amount: 12.5, currency: 'EUR' } });
      }),
    ]);
    await page.evaluate(() => history.pushState(null, '', '/thanks'));
    await until(`${site} has its last page`, async () => (await node.query(site, ['pageviews']))[0]?.[1][0] == 3);

    assert.deepEqual(await node.query(site, ['visitors', 'visits', 'pageviews', 'events', 'bounce_rate']), [[[], [1, 1, 3, 4, 0]]]);
    assert.deepEqual(
      await node.query(site, ['pageviews'], { dimensions: ['event:page'], order_by: [['event:page', 'asc']] }),
      [[['/'], [1]], [['/products'], [1]], [['/thanks'], [1]]],
    );
    assert.deepEqual(
      await node.query(site, ['visits'], { dimensions: ['visit:entry_page', 'visit:source', 'visit:browser', 'visit:os', 'visit:device'] }),
      [[['/', 'Google', 'Chrome', 'GNU/Linux', 'Desktop'], [1]]],
    );
    const bought = { filters: [['is', 'event:name', ['Buy']]] };
    assert.deepEqual(await node.query(site, ['events'], { ...bought, dimensions: ['event:props:plan', 'event:props:size'] }), [[['pro', 'L'], [1]]]);
    if (revenue) {
      await node.earn(site, 'Buy', 'EUR');
      const [[, [total]]] = await node.query(site, ['total_revenue'], { filters: [['is', 'event:goal', ['Buy']]] });
      assert.deepEqual([total.value, total.currency], [12.5, 'EUR']);
    }
    if (engagement) {
      const depth = (/** @type {string} */ path) =>
        node.query(site, ['scroll_depth'], { filters: [['is', 'event:page', [path]]] }).then((rows) => rows[0]?.[1][0]);
      assert.equal(await until('engagement of the page before', () => depth('/products')), 27, 'a window of 800 px on 3,000 px');
      assert.equal(await depth('/thanks'), null, 'the last page has not ended');
      await page.goto('about:blank');
      assert.equal(await until('engagement on leaving', () => depth('/thanks')), 27);
    }
    await page.context().close();
  });

test('an event that is sent twice is counted once', async () => {
  const send = () =>
    fetch(node.url + '/api/event', {
      method: 'POST',
      headers: { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' },
      body: JSON.stringify({ n: 'Retried', u: 'http://ours.test/', d: 'ours.test', id: '00112233445566778899aabbccddeeff' }),
    });
  assert.deepEqual([(await send()).status, (await send()).status], [202, 202]);
  assert.deepEqual(await node.query('ours.test', ['events'], { filters: [['is', 'event:name', ['Retried']]] }), [[[], [1]]]);
});
