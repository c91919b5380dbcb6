// The script made for a site and the npm package: both are begun by init.
import assert from 'node:assert/strict';
import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, visitor } from './browser.js';
import { record } from './recorder.js';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('./recorder.js').Recorder} */
let recorder;
let origin = '';

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
  recorder = await record();
  origin = `http://shop.test:${recorder.port}`;
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await recorder.close();
});

const src = '<script async src="/js/pa-x7Yz.js"></script>';
const standIn =
  'window.plausible=window.plausible||function(){(plausible.q=plausible.q||[]).push(arguments)};' +
  'plausible.init=plausible.init||function(o){plausible.o=o||{}};';

/** @param {import('playwright-core').Page} page */
async function settle(page) {
  await page.evaluate(() => new Promise((done) => window.plausible('end', { callback: done })));
  return recorder.events.filter(({ n }) => n != 'end' && n != 'engagement');
}

for (const { name, head, domain = 'shop.test' } of [
  { name: 'init before the script', head: `<script>${standIn}plausible.init({ domain: "a.test" });plausible("early")</script>${src}`, domain: 'a.test' },
  { name: 'init without options', head: `<script>${standIn}plausible.init();plausible("early")</script>${src}` },
  { name: 'init after the script', head: `<script>${standIn}plausible("early")</script>${src.replace('async', '')}<script>plausible.init({})</script>` },
  { name: 'init without a stand-in', head: `${src.replace('async', '')}<script>plausible("early");plausible.init({});plausible.init({})</script>` },
  { name: 'the domain in the tag', head: `<script>${standIn}plausible.init();plausible("early")</script>${src.replace('async', 'async data-domain="b.test"')}`, domain: 'b.test' },
])
  test(`pa-<id>.js: ${name}`, async () => {
    recorder.page('/a', head);
    const page = await visitor(browser);
    await page.goto(origin + '/a');
    await recorder.wait(2);
    assert.deepEqual((await settle(page)).map(({ n, d }) => [n, d]), [['pageview', domain], ['early', domain]]);
    assert.equal(await page.evaluate(() => window.plausible.l), true);
  });

test('pa-<id>.js does nothing before init', async () => {
  recorder.page('/a', src.replace('async', ''));
  const page = await visitor(browser);
  await page.goto(origin + '/a');
  await page.evaluate(() => /** @type {any} */ (window).hide(true));
  assert.deepEqual(recorder.events, []);
});

test('the options of init', async () => {
  recorder.page(
    '/a',
    `<script>${standIn}
      plausible.init({
        endpoint: 'http://other.test:${recorder.port}/api/event',
        hashBasedRouting: true,
        outboundLinks: true,
        fileDownloads: { fileExtensions: ['txt'] },
        formSubmissions: true,
        customProperties: (name) => ({ for: name }),
        transformRequest: (payload) => {
          if (payload.n == 'secret') return null
          payload.u = payload.u.replace('token', 'x')
          return payload
        },
      })
    </script>${src}<script>addEventListener('submit', e => e.preventDefault());addEventListener('click', e => e.target.closest('a') && e.preventDefault())</script>`,
    '<a id="out" href="https://elsewhere.test/">out</a> <a id="txt" href="/a.txt">txt</a> <a id="pdf" href="/a.pdf">pdf</a> <form><button id="submit">send</button></form> <b id="tag" class="plausible-event-name=Tag">tag</b>',
  );
  const page = await visitor(browser);
  await page.goto(origin + '/a?token');
  await recorder.wait(1);
  for (const id of ['out', 'txt', 'pdf', 'submit', 'tag']) await page.click('#' + id);
  const ignored = await page.evaluate(
    () => new Promise((done) => window.plausible('secret', { callback: (/** @type {any} */ r) => done(r === undefined) })),
  );
  await page.evaluate(() => window.plausible('Buy', { props: { for: 'me' }, revenue: { amount: 1, currency: 'EUR' } }));
  await page.evaluate(() => history.pushState(null, '', '#two'));
  const events = await settle(page);
  assert.equal(ignored, true);
  assert.deepEqual(
    events.map(({ n, p }) => [n, p.for]).sort(),
    [
      ['Buy', 'me'],
      ['File Download', 'File Download'],
      ['Form: Submission', 'Form: Submission'],
      ['Outbound Link: Click', 'Outbound Link: Click'],
      ['Tag', 'Tag'],
      ['pageview', 'pageview'],
      ['pageview', 'pageview'],
    ],
  );
  assert.equal(events[0].u, origin + '/a?x');
  assert.deepEqual(events.find(({ n }) => n == 'Buy')?.$, { amount: 1, currency: 'EUR' });
});

test('autoCapturePageviews, captureOnLocalhost and logging', async () => {
  for (const { options, counts, logs } of [
    { options: '{}', counts: 0, logs: 1 },
    { options: '{ logging: false }', counts: 0, logs: 0 },
    { options: '{ captureOnLocalhost: true }', counts: 1, logs: 0 },
    { options: '{ captureOnLocalhost: true, autoCapturePageviews: false }', counts: 0, logs: 0 },
  ]) {
    recorder.events.length = 0;
    recorder.page('/a', `${src.replace('async', '')}<script>plausible.init(${options})</script>`);
    const page = await visitor(browser);
    /** @type {string[]} */
    const warnings = [];
    page.on('console', (message) => message.type() == 'warning' && warnings.push(message.text()));
    await page.goto(`http://localhost:${recorder.port}/a`);
    assert.equal(warnings.length, logs, options);
    await page.evaluate(() => new Promise((done) => window.plausible('end', { callback: done })));
    assert.equal(recorder.events.filter(({ n }) => n == 'pageview').length, counts, options);
    await page.context().close();
  }
});

test('the npm package', async () => {
  const bundle = await build({
    stdin: {
      contents: `
        import { init, track } from './dist/footfall.module.js';
        track('before', { callback: (result) => (window.before = String(result.error)) });
        init({ domain: 'app.test', customProperties: { app: '1' } });
        init({ domain: 'never.test' });
        track('Buy', { props: { size: 'S' } });
        window.go = (path) => history.pushState(null, '', path);`,
      resolveDir: fileURLToPath(new URL('..', import.meta.url)),
    },
    bundle: true,
    write: false,
  });
  recorder.file('/app.js', bundle.outputFiles[0].text);
  recorder.page('/a', '<script defer src="/app.js"></script>');
  const page = await visitor(browser);
  await page.goto(origin + '/a');
  await page.evaluate(() => /** @type {any} */ (window).go('/b'));
  assert.match(await page.evaluate(() => /** @type {any} */ (window).before), /init/);
  assert.deepEqual(
    (await settle(page)).map(({ n, d, p }) => [n, d, p]).sort(),
    [
      ['Buy', 'app.test', { app: '1', size: 'S' }],
      ['pageview', 'app.test', { app: '1' }],
      ['pageview', 'app.test', { app: '1' }],
    ],
  );
});

test('the npm package can be imported where there is no browser', async () => {
  const tracker = await import(new URL('../dist/footfall.module.js', import.meta.url).href);
  await tracker.track('x');
  assert.deepEqual(Object.keys(tracker).sort(), ['init', 'track']);
});
