// The script with all features, as it is and under the names of the older files.
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

/** Keeps a page where it is, whatever is clicked or submitted in it. */
const stayScript =
  'for (const type of ["click", "auxclick", "submit"])' +
  ' addEventListener(type, (e) => (type == "submit" || e.target.closest("a")) && e.preventDefault())';

/** A page whose links and forms lead nowhere. @param {string} tag @param {string} body */
function stay(tag, body) {
  recorder.file('/stay.js', stayScript);
  recorder.page('/page', tag + '<script src="/stay.js"></script>', body);
}

/** @param {import('playwright-core').Page} page */
async function settle(page) {
  await page.evaluate(() => new Promise((done) => window.plausible('end', { callback: done })));
  return recorder.events.filter(({ n }) => n != 'end' && n != 'engagement');
}

const extensions = [
  'compat', 'exclusions', 'file-downloads', 'hash', 'local', 'manual', 'outbound-links', 'pageview-props', 'revenue', 'tagged-events',
];

for (const features of [...extensions.map((name) => [name]), extensions, ['exclusions', 'hash', 'pageview-props'], ['revenue', 'tagged-events']])
  test(`script.${features.join('.')}.js does what its name says and nothing else`, async () => {
    const has = (/** @type {string} */ name) => features.includes(name);
    stay(
      `<script defer id="plausible" data-domain="shop.test" data-exclude="/hidden/**" event-team="blue" src="/js/script.${features.join('.')}.js"></script>`,
      `<a id="out" href="https://elsewhere.test/there?a=b">out</a> <a id="file" href="/files/Price List.PDF?v=2">file</a>
       <button id="buy" class="big plausible-event-name=Buy+it plausible-event-size=L plausible-revenue-amount=3.50 plausible-revenue-currency=EUR">buy</button>
       <form id="form"><button id="submit">send</button></form>`,
    );
    const page = await visitor(browser);
    await page.goto(origin + '/page');
    for (const id of ['out', 'file', 'buy', 'submit']) await page.click('#' + id);
    await page.evaluate(() => window.plausible('Paid', { revenue: { amount: 5, currency: 'USD' } }));
    await page.evaluate(async () => {
      const changed = new Promise((done) => addEventListener('hashchange', done, { once: true }));
      location.hash = '#two';
      await changed;
      history.replaceState(null, '', '/renamed#two');
      history.pushState(null, '', '/hidden/away#two');
    });
    const events = await settle(page);
    const common = has('pageview-props') ? { team: 'blue' } : {};
    const expected = [
      !has('manual') && ['pageview', '/page', common, undefined],
      has('outbound-links') && ['Outbound Link: Click', '/page', { ...common, url: 'https://elsewhere.test/there?a=b' }, undefined],
      has('file-downloads') && ['File Download', '/page', { ...common, url: origin + '/files/Price%20List.PDF' }, undefined],
      has('tagged-events') && [
        'Buy it', '/page', { ...common, size: 'L' }, has('revenue') ? { amount: '3.50', currency: 'EUR' } : undefined,
      ],
      ['Paid', '/page', common, has('revenue') ? { amount: 5, currency: 'USD' } : undefined],
      has('hash') && !has('manual') && ['pageview', '/page#two', common, undefined],
      !has('exclusions') && !has('manual') && ['pageview', '/hidden/away#two', common, undefined],
    ].filter(Boolean);
    const text = (/** @type {unknown} */ row) => JSON.stringify(row);
    assert.deepEqual(
      events.map(({ n, u, p, $ }) => text([n, new URL(u).pathname + new URL(u).hash, p, $ || undefined])).sort(),
      expected.map(text).sort(),
    );
    assert.ok(events.every(({ h }) => h == Number(has('hash'))));

    recorder.events.length = 0;
    await page.goto(`http://localhost:${recorder.port}/page`);
    await page.evaluate(() => new Promise((done) => window.plausible('pageview', { callback: done })));
    assert.equal(recorder.events.some(({ n }) => n == 'pageview'), has('local'));
  });

test('script.compat.js finds its tag by id when the browser does not tell', async () => {
  stay('<script>Object.defineProperty(document, "currentScript", { value: null })</script><script defer id="plausible" data-domain="shop.test" src="/js/script.compat.js"></script>', '');
  const page = await visitor(browser);
  await page.goto(origin + '/page');
  const [event] = await recorder.wait(1);
  assert.deepEqual([event.n, event.d], ['pageview', 'shop.test']);
});

test('globs of data-include and data-exclude decide which page views count', async () => {
  for (const { include, exclude, path, counts } of [
    { exclude: '/admin', path: '/admin', counts: false },
    { exclude: '/admin', path: '/admin/', counts: false },
    { exclude: '/admin', path: '/admin/users', counts: true },
    { exclude: '/admin*', path: '/administration', counts: false },
    { exclude: '/admin*', path: '/admin/users', counts: true },
    { exclude: '/admin**', path: '/admin/users/7', counts: false },
    { exclude: '/*/edit', path: '/blog/edit', counts: false },
    { exclude: '/*/edit', path: '/blog/2026/edit', counts: true },
    { exclude: '/one, /two', path: '/two', counts: false },
    { exclude: '/a.b', path: '/axb', counts: true },
    { exclude: '/a(b', path: '/a(b', counts: false },
    { include: '/blog/**', path: '/blog/2026/first', counts: true },
    { include: '/blog/**', path: '/shop', counts: false },
    { include: '/blog/**', exclude: '/blog/draft*', path: '/blog/draft1', counts: false },
  ]) {
    recorder.events.length = 0;
    const attributes = `${include ? `data-include="${include}"` : ''} ${exclude ? `data-exclude="${exclude}"` : ''}`;
    recorder.page(path, `<script defer data-domain="shop.test" ${attributes} src="/js/script.exclusions.js"></script>`);
    const page = await visitor(browser);
    await page.goto(origin + path);
    await page.evaluate(() => /** @type {any} */ (window).hide(true));
    await page.evaluate(() => /** @type {any} */ (window).hide(false));
    await settle(page);
    assert.deepEqual(
      recorder.events.map(({ n }) => n).sort(),
      ['end', ...(counts ? ['engagement', 'pageview'] : [])],
      `${path} with ${attributes}`,
    );
    await page.context().close();
  }
});

test('file-types replaces the types of downloads, add-file-types adds to them', async () => {
  for (const { attributes, types } of [
    { attributes: '', types: ['pdf'] },
    { attributes: 'file-types="js,py"', types: ['js', 'py'] },
    { attributes: 'add-file-types="js"', types: ['pdf', 'js'] },
  ]) {
    recorder.events.length = 0;
    stay(
      `<script defer data-domain="shop.test" ${attributes} src="/js/script.file-downloads.js"></script>`,
      ['pdf', 'js', 'py', 'html'].map((type) => `<a id="${type}" href="/file.${type}">${type}</a> `).join('') + '<a id="none" href="/pdf">page</a>',
    );
    const page = await visitor(browser);
    await page.goto(origin + '/page');
    for (const id of ['pdf', 'js', 'py', 'html', 'none']) await page.click('#' + id);
    const events = await settle(page);
    assert.deepEqual(
      events.slice(1).map(({ n, p }) => n + ' ' + p.url).sort(),
      types.map((type) => `File Download ${origin}/file.${type}`).sort(),
    );
    await page.context().close();
  }
});

test('tags are found on the element, up to three parents, its link or its form', async () => {
  stay(
    '<script defer data-domain="shop.test" src="/js/script.outbound-links.tagged-events.js"></script>',
    `<div class="plausible-event-name--Far plausible-event-plan--gold+star"><p><i><b id="third">three parents</b></i></p></div>
     <section class="plausible-event-name=TooFar"><div><p><i><b id="fourth">four parents</b></i></p></div></section>
     <a id="link" class="footfall-event-name=Link" href="https://elsewhere.test/"><i><b><u><s id="deep">in a link</s></u></b></i></a>
     <form class="plausible-event-name=Form"><input id="input"><button id="submit">send</button></form>
     <form><a id="inside" href="https://elsewhere.test/inside">link in a form</a></form>
     <svg width="20" height="20"><a href="https://elsewhere.test/svg"><rect id="svg" width="20" height="20" /></a></svg>
     <b id="plain" class="event-name=No explausible-event-names=No">plain</b>`,
  );
  const page = await visitor(browser);
  /** @type {Error[]} */
  const errors = [];
  page.on('pageerror', (error) => errors.push(error));
  await page.goto(origin + '/page');
  for (const id of ['third', 'fourth', 'deep', 'input', 'submit', 'inside', 'svg', 'plain']) await page.click('#' + id);
  const events = await settle(page);
  assert.deepEqual(
    events.slice(1).map(({ n, p }) => JSON.stringify([n, p])).sort(),
    [
      ['Far', { plan: 'gold star' }],
      ['Form', {}],
      ['Link', { url: 'https://elsewhere.test/' }],
      ['Outbound Link: Click', { url: 'https://elsewhere.test/inside' }],
    ].map((row) => JSON.stringify(row)).sort(),
  );
  assert.deepEqual(errors, []);
});

test('links opened with the middle button count, the right button opens nothing', async () => {
  stay('<script defer data-domain="shop.test" src="/js/script.outbound-links.js"></script>', '<a id="out" href="https://elsewhere.test/">out</a> <a id="mail" href="mailto:a@b.test">mail</a>');
  const page = await visitor(browser);
  await page.goto(origin + '/page');
  await page.click('#out', { button: 'middle' });
  await page.click('#out', { button: 'right' });
  await page.click('#mail');
  assert.deepEqual((await settle(page)).map(({ n }) => n), ['pageview', 'Outbound Link: Click']);
});

test('footfall.extras.js does everything, and only data-features when there are any', async () => {
  for (const { attributes, names } of [
    { attributes: '', names: ['404', 'File Download', 'Form: Submission', 'Outbound Link: Click', 'Tag', 'pageview', 'pageview'] },
    { attributes: 'data-features="outbound-links.form-submissions"', names: ['Form: Submission', 'Outbound Link: Click', 'pageview', 'pageview'] },
    { attributes: 'data-manual data-features="404"', names: ['404'] },
  ]) {
    recorder.events.length = 0;
    recorder.file('/stay.js', stayScript);
    recorder.page(
      '/missing',
      `<script defer data-domain="shop.test" ${attributes} src="/js/footfall.extras.js"></script><script src="/stay.js"></script>`,
      `<a id="out" href="https://elsewhere.test/">out</a> <a id="file" href="/a.zip">file</a> <b id="tag" class="footfall-event-name=Tag">tag</b>
       <form><button id="submit">send</button></form>`,
      404,
    );
    const page = await visitor(browser);
    await page.goto(origin + '/missing');
    for (const id of ['out', 'file', 'tag', 'submit']) await page.click('#' + id);
    await page.evaluate(() => history.replaceState(null, '', '/replaced'));
    const events = await settle(page);
    assert.deepEqual(events.map(({ n }) => n).sort(), names, attributes);
    assert.ok(events.every(({ n, p }) => !/404|Form/.test(n) || p.path == '/missing'));
    await page.context().close();
  }
});
