// The demo shop of a real node, as a newcomer clicks through it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, visitor } from '../test/browser.js';
import { startNode, until } from './node.js';

/** @type {import('playwright-core').Browser} */
let browser;
/** @type {import('./node.js').Node} */
let node;

before(async () => {
  browser = await launch();
  node = await startNode(['mine.test']);
});
after(async () => {
  await browser?.close();
  await node?.stop();
});

/**
 * Buys a vase.
 *
 * @param {string} path where to begin
 */
async function shop(path) {
  const page = await visitor(browser, { natural: true });
  /** @type {string[]} */
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => message.type() == 'error' && wrong.push(message.text()));
  const sent = (/** @type {string} */ name) =>
    page.waitForResponse((response) => response.url() == node.url + '/api/event' && response.request().postDataJSON().n == name);
  await Promise.all([sent('pageview'), page.goto(node.url + path)]);
  await Promise.all([sent('pageview'), page.click('text=See the collection')]);
  await Promise.all([sent('pageview'), page.click('text=Dune vase')]);
  await Promise.all([sent('Add to cart'), page.click('text=Add to cart')]);
  await Promise.all([sent('pageview'), page.click('text=Go to the cart')]);
  assert.match((await page.textContent('[data-cart-total]')) ?? '', /64\.00/);
  await Promise.all([sent('Purchase'), page.click('text=Order now')]);
  assert.match((await page.textContent('[data-order]')) ?? '', /64\.00/);
  assert.deepEqual(wrong, []);
  await page.context().close();
}

for (const { site, path } of [
  { site: 'demo.footfall', path: '/demo/' },
  { site: 'mine.test', path: '/demo/?site=mine.test' },
])
  test(`what happens in the shop is counted for ${site}`, async () => {
    await shop(path);
    await until('the last page view', async () => (await node.query(site, ['pageviews']))[0]?.[1][0] == 5);
    assert.deepEqual(
      (await node.query(site, ['pageviews'], { dimensions: ['event:page'] })).map(([[page], [views]]) => `${page} ${views}`).sort(),
      ['/demo/ 1', '/demo/cart/ 1', '/demo/products/ 1', '/demo/products/dune-vase/ 1', '/demo/thanks/ 1'],
    );
    assert.deepEqual(
      (await node.query(site, ['events'], { dimensions: ['event:name'] })).map(([[name], [events]]) => `${name} ${events}`).sort(),
      ['Add to cart 1', 'Checkout 1', 'Purchase 1', 'pageview 5'],
    );
    await node.earn(site, 'Purchase', 'EUR');
    const [[, [revenue]]] = await node.query(site, ['total_revenue'], { filters: [['is', 'event:goal', ['Purchase']]] });
    assert.deepEqual([revenue.value, revenue.currency], [64, 'EUR']);
  });
