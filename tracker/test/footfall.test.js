// The small script in a real browser against a recording server.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, visitor } from './browser.js';
import { record } from './recorder.js';

/** @typedef {import('./recorder.js').Event} Event */

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('./recorder.js').Recorder} */
let recorder;
let origin = '';
const tag = '<script defer data-domain="shop.test" src="/js/footfall.js"></script>';

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

/** What is worth comparing of events: names and paths. @param {Event[]} events */
const shown = (events) => events.map(({ n, u }) => `${n} ${new URL(u).pathname}${new URL(u).hash}`);

/** The same without engagement. @param {Event[]} events */
const views = (events) => shown(events.filter(({ n }) => n != 'engagement'));

/**
 * Opens path and, after the page view, runs code in it.
 *
 * @param {string} path
 * @param {Parameters<typeof visitor>[1]} [options]
 */
async function open(path, options) {
  const page = await visitor(browser, options);
  /** @type {string[]} */
  const ids = [];
  sent.set(page, ids);
  page.on('request', (request) => {
    if (request.method() == 'POST') ids.push(JSON.parse(request.postData() ?? '{}').id);
  });
  await page.goto(origin + path);
  return page;
}

/**
 * The ids of what a page has sent, in its order: requests that travel at the
 * same time can arrive in any.
 *
 * @type {WeakMap<import('playwright-core').Page, string[]>}
 */
const sent = new WeakMap();

/**
 * Sends a last event and waits for it, so that nothing before it is missed.
 *
 * @param {import('playwright-core').Page} page
 */
async function settle(page) {
  await page.evaluate(() => new Promise((done) => window.footfall('end', { callback: done })));
  const ids = sent.get(page) ?? [];
  const events = [...recorder.events].sort((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id));
  return events.slice(0, events.findIndex(({ n }) => n == 'end'));
}

test('a page view says what the server needs', async () => {
  recorder.page('/hello', tag);
  const page = await visitor(browser);
  await page.goto(origin + '/hello?utm_source=mail', { referer: 'https://search.example/results' });
  const [event] = await recorder.wait(1);
  assert.match(event.id, /^[0-9a-f]{20,32}$/);
  assert.match(event.type, /^text\/plain/);
  delete event.id;
  delete event.type;
  assert.deepEqual(event, {
    n: 'pageview',
    u: origin + '/hello?utm_source=mail',
    d: 'shop.test',
    r: 'https://search.example/results',
    h: 0,
    w: 1200,
    l: 'de-DE',
  });
});

test('changes of the path are page views, others are not', async () => {
  recorder.page('/a', tag);
  const page = await open('/a');
  await page.evaluate(() => {
    history.pushState(null, '', '/b');
    history.pushState(null, '', '/b?page=2');
    history.pushState({ a: 1 }, '', '/b#part');
    history.replaceState(null, '', '/c');
    history.replaceState(null, '', '/c?x');
  });
  await page.goBack();
  await page.waitForFunction(() => location.pathname == '/b');
  assert.deepEqual(views(await settle(page)), ['pageview /a', 'pageview /b', 'pageview /c', 'pageview /b']);
});

test('script.js takes replaceState for another name of the same page', async () => {
  recorder.page('/a', tag.replace('footfall.js', 'script.js'));
  const page = await open('/a');
  await page.evaluate(() => {
    history.replaceState(null, '', '/renamed');
    /** @type {any} */ (window).blurred(true);
    /** @type {any} */ (window).blurred(false);
    history.pushState(null, '', '/b');
  });
  assert.deepEqual(views(await settle(page)), ['pageview /a', 'pageview /b']);
});

test('with data-hash the fragment is part of the page', async () => {
  recorder.page('/app', tag.replace('defer', 'defer data-hash'));
  const page = await open('/app#/one');
  await page.evaluate(async () => {
    const changed = new Promise((done) => addEventListener('hashchange', done, { once: true }));
    location.hash = '#/two';
    await changed;
  });
  const events = await settle(page);
  assert.deepEqual(views(events), ['pageview /app#/one', 'pageview /app#/two']);
  assert.ok(events.every(({ h }) => h == 1));
});

test('a hidden page counts once it is seen', async () => {
  recorder.page('/later', tag);
  const page = await open('/later', { hidden: true });
  await page.evaluate(() => {
    history.pushState(null, '', '/still-hidden');
    /** @type {any} */ (window).hide(false);
    /** @type {any} */ (window).hide(true);
    /** @type {any} */ (window).hide(false);
  });
  assert.deepEqual(views(await settle(page)), ['pageview /still-hidden']);
});

test('a page that comes back whole from the cache is a new page view', async () => {
  recorder.page('/a', tag);
  const page = await open('/a');
  await page.evaluate(() => {
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: false }));
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  });
  assert.deepEqual(views(await settle(page)), ['pageview /a', 'pageview /a']);
});

test('custom events carry props, revenue, interactive and url', async () => {
  recorder.page('/a', tag);
  const page = await open('/a');
  const results = await page.evaluate(async () => {
    const call = (/** @type {string} */ name, /** @type {any} */ options) =>
      new Promise((done) => window.plausible(name, { ...options, callback: (/** @type {any} */ r) => done(r?.status) }));
    return [
      await call('Buy', { props: { size: 'M', count: 2 }, revenue: { amount: '12.50', currency: 'EUR' } }),
      await call('Seen', { interactive: false, url: 'http://shop.test/elsewhere' }),
    ];
  });
  assert.deepEqual(results, [202, 202]);
  const [, buy, seen] = await settle(page);
  assert.deepEqual([buy.n, buy.p, buy.$, buy.i], ['Buy', { size: 'M', count: 2 }, { amount: '12.50', currency: 'EUR' }, undefined]);
  assert.deepEqual([seen.n, seen.i, seen.u], ['Seen', false, 'http://shop.test/elsewhere']);
});

test('calls before the script are counted after the page view, also when both names are one function', async () => {
  for (const standIn of [
    'window.plausible=function(){(plausible.q=plausible.q||[]).push(arguments)};plausible("one");plausible("two",{props:{a:"b"}})',
    'window.footfall=function(){(footfall.q=footfall.q||[]).push(arguments)};footfall("one");footfall("two",{props:{a:"b"}})',
    'window.footfall=window.plausible=function(){(footfall.q=footfall.q||[]).push(arguments)};plausible("one");footfall("two",{props:{a:"b"}})',
  ]) {
    recorder.events.length = 0;
    recorder.page('/q', `<script>${standIn}</script>${tag}`);
    const page = await open('/q');
    const events = await settle(page);
    assert.deepEqual(views(events), ['pageview /q', 'one /q', 'two /q'], standIn);
    assert.deepEqual(events[2].p, { a: 'b' });
  }
});

test('nothing wrong that a page does makes the tracker throw', async () => {
  recorder.page('/a', tag);
  const page = await open('/a');
  /** @type {Error[]} */
  const errors = [];
  page.on('pageerror', (error) => errors.push(error));
  const outcome = await page.evaluate(async () => {
    /** @type {any} */
    const circle = {};
    circle.circle = circle;
    window.footfall();
    window.footfall('null', null);
    return new Promise((done) => window.footfall('circle', { props: circle, callback: (/** @type {any} */ r) => done('' + r.error) }));
  });
  assert.match(/** @type {string} */ (outcome), /circular/);
  assert.deepEqual(views(await settle(page)).filter((text) => /pageview/.test(text)), ['pageview /a']);
  assert.deepEqual(errors, []);
});

for (const { name, host = 'shop.test', attributes = '', options = {}, init = '', counts } of [
  { name: 'localhost', host: 'localhost', counts: false },
  { name: '127.0.0.1', host: '127.0.0.1', counts: false },
  { name: 'localhost with data-local', host: 'localhost', attributes: 'data-local', counts: true },
  { name: 'a host that only begins like localhost', host: 'localhost.test', counts: true },
  { name: 'an automated browser', options: { robot: true }, counts: false },
  { name: 'an automated browser of a test that wants to count', options: { robot: true }, init: 'window.__plausible = true', counts: true },
  { name: 'Cypress', init: 'window.Cypress = {}', counts: false },
  { name: 'plausible_ignore', init: 'localStorage.plausible_ignore = "true"', counts: false },
  { name: 'footfall_ignore', init: 'localStorage.footfall_ignore = "true"', counts: false },
  { name: 'an ignore that was taken back', init: 'localStorage.footfall_ignore = "false"', counts: true },
  {
    name: 'a page without access to storage',
    init: 'Object.defineProperty(window, "localStorage", { get() { throw new DOMException("no", "SecurityError") } })',
    counts: true,
  },
])
  test(`${name} is ${counts ? '' : 'not '}counted`, async () => {
    recorder.page('/a', `<script>${init}</script>${tag.replace('defer', 'defer ' + attributes)}`);
    const page = await visitor(browser, options);
    await page.goto(`http://${host}:${recorder.port}/a`);
    const result = await page.evaluate(
      () => new Promise((done) => window.footfall('x', { callback: (/** @type {any} */ r) => done(r && r.status) })),
    );
    assert.equal(result, counts ? 202 : undefined);
    assert.deepEqual(views(recorder.events), counts ? ['pageview /a', 'x /a'] : []);
  });

test('data-manual leaves page views to the page, data-api names the endpoint, no domain is no error', async () => {
  recorder.page('/a', `<script defer data-manual data-api="http://other.test:${recorder.port}/api/event" src="/js/footfall.js"></script>`);
  const page = await open('/a');
  await page.evaluate(() => history.pushState(null, '', '/b'));
  await page.evaluate(() => window.footfall('pageview', { url: 'http://shop.test/mine', props: { a: 'b' } }));
  await page.evaluate(() => /** @type {any} */ (window).hide(true));
  const events = await recorder.wait(2);
  assert.deepEqual(shown(events), ['pageview /mine', 'engagement /mine']);
  assert.deepEqual([events[0].d, events[1].p], [undefined, { a: 'b' }]);
});

const tall = '<div style="height:3200px">tall</div><style>body{margin:0}</style>';

test('engagement counts time that is visible and focused, and the depth of the scroll', async () => {
  recorder.page('/long', tag, tall);
  const page = await open('/long', { clock: true });
  const pass = (/** @type {number} */ ms) => page.clock.runFor(ms);
  const call = (/** @type {string} */ code) => page.evaluate(code);
  await pass(1500);
  await call('blurred(true)'); // 1.5 s, first time: sent
  await pass(60_000); // does not count
  await call('blurred(false)');
  await pass(2000);
  await call('hide(true)'); // 2 s more, no deeper: kept
  await pass(60_000);
  await call('hide(false)');
  await pass(1000);
  await call('hide(true)'); // 3 s since the last one: sent
  await call('hide(false)');
  await call('new Promise(done => { addEventListener("scroll", () => done(), { once: true }); scrollTo(0, 1600) })');
  await pass(500);
  await call('scrollTo(0, 0)');
  await call('hide(true)'); // deeper: sent
  const events = await recorder.wait(4);
  assert.deepEqual(
    events.map(({ n, e, sd }) => [n, e, sd]),
    [
      ['pageview', undefined, undefined],
      ['engagement', 1500, 25],
      ['engagement', 3000, 25],
      ['engagement', 500, 75],
    ],
  );
});

test('a change of page ends the engagement of the one before', async () => {
  recorder.page('/one', tag, tall);
  const page = await open('/one', { clock: true });
  await page.clock.runFor(700);
  await page.evaluate(() => history.pushState(null, '', '/two'));
  await page.clock.runFor(900);
  await page.evaluate(() => history.pushState(null, '', '/three'));
  assert.deepEqual(
    (await settle(page)).map(({ n, u, e }) => [n, new URL(u).pathname, e]).sort(),
    [
      ['engagement', '/one', 700],
      ['engagement', '/two', 900],
      ['pageview', '/one', undefined],
      ['pageview', '/three', undefined],
      ['pageview', '/two', undefined],
    ],
  );
});

test('engagement is sent when the visitor leaves', async () => {
  recorder.page('/one', tag);
  recorder.page('/two', '');
  const page = await visitor(browser, { natural: true });
  await page.goto(origin + '/one');
  await recorder.wait(1);
  await page.goto(origin + '/two');
  assert.deepEqual(shown(await recorder.wait(2)), ['pageview /one', 'engagement /one']);
});

test('what the server cannot take is sent again under the same id, later and later', async () => {
  recorder.page('/a', tag);
  recorder.statuses.push(503, 429, 500);
  /** @type {string[]} */
  const ids = [];
  const page = await visitor(browser, { clock: true });
  page.on('request', (request) => request.url().endsWith('/api/event') && ids.push(request.postDataJSON().id));
  const answer = () => page.waitForResponse(/api\/event/);
  await Promise.all([answer(), page.goto(origin + '/a')]);
  for (const ms of [2000, 4000]) await Promise.all([answer(), page.clock.runFor(ms)]);
  await page.clock.runFor(7900);
  assert.equal(ids.length, 3, 'the fourth try waits eight seconds');
  await page.clock.runFor(200);
  const [event] = await recorder.wait(1);
  assert.deepEqual(ids, [event.id, event.id, event.id, event.id]);
});

test('what never arrived is sent again, when the visitor leaves at the latest', async () => {
  recorder.page('/a', tag);
  const page = await visitor(browser, { clock: true });
  await page.route('**/api/event', (route) => route.abort());
  await page.goto(origin + '/a');
  const error = await page.evaluate(
    () => new Promise((done) => window.footfall('Buy', { callback: (/** @type {any} */ r) => done('' + r.error) })),
  );
  assert.match(/** @type {string} */ (error), /TypeError/);
  await page.unroute('**/api/event');
  await page.evaluate(() => /** @type {any} */ (window).hide(true));
  assert.deepEqual(shown(await recorder.wait(3)).sort(), ['Buy /a', 'engagement /a', 'pageview /a']);
});

test('a refused event is not sent again', async () => {
  recorder.page('/a', tag);
  const page = await open('/a', { clock: true });
  await recorder.wait(1);
  recorder.statuses.push(400);
  const status = await page.evaluate(
    () => new Promise((done) => window.footfall('bad', { callback: (/** @type {any} */ r) => done(r.status) })),
  );
  await page.clock.runFor(600_000);
  assert.equal(status, 400);
  assert.deepEqual(views(await settle(page)), ['pageview /a']);
});

test('the queue of undelivered events is bounded', async () => {
  recorder.page('/a', tag);
  const page = await visitor(browser, { clock: true });
  await page.route('**/api/event', (route) => route.abort());
  await page.goto(origin + '/a');
  await page.evaluate(() =>
    Promise.all(
      Array.from({ length: 40 }, (_, i) => new Promise((done) => window.footfall(`event ${i}`, { callback: done }))),
    ),
  );
  await page.unroute('**/api/event');
  await page.clock.runFor(2000);
  await recorder.wait(30);
  assert.equal((await settle(page)).length, 30);
});
