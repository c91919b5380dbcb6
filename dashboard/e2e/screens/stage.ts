/**
 * A real node dressed for pictures: a merchant's sites with the visits of the
 * demo, goals, funnels, notes, links and colleagues. One for each worker.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { request, test as base, type APIRequestContext } from '@playwright/test';
import { CHROME, FIREFOX, IPHONE, Node, type StorageState } from '../fixtures/binary';

export const SHOP = 'boots.example';
/** A site that nothing came in for yet. */
export const NEW_SITE = 'new.example';

/** Domains, seeds and visits of a usual day. */
const SITES = [
  [SHOP, 1, 160, 400], ['blog.boots.example', 2, 50, 60], ['outlet.boots.example', 3, 18, 60],
  ['a-very-long-name-of-a-shop-for-handmade-things.example.co.uk', 4, 30, 60], ['trail.example', 5, 7, 60],
] as const;

const BATCH = 5_000;
const EMAIL = 'ada@boots.example';
const PASSWORD = 'seven boots in a row';

export interface Stage {
  node: Node;
  /** The browser of the signed-in owner. */
  state: StorageState;
  /** The address of a link that asks for a password, and of one that does not. */
  locked: string;
  open: string;
  /** Sends views of visitors who are here now. */
  visit(count: number): Promise<void>;
}

export const test = base.extend<object, { stage: Stage }>({
  stage: [async ({}, use) => {
    const node = await Node.start();
    try {
      await use(await dress(node));
    } finally {
      await node.stop();
    }
  }, { scope: 'worker', timeout: 180_000 }],
  baseURL: async ({ stage }, use) => use(stage.node.address),
});

async function dress(node: Node): Promise<Stage> {
  const api = await request.newContext({ baseURL: node.address });
  await post(api, '/v1/setup', {
    token: node.setupLink.split('/').at(-1), email: EMAIL, name: 'Ada Boots', password: PASSWORD, domain: SHOP, timezone: 'Europe/Berlin',
  });
  for (const [domain] of SITES.slice(1)) await post(api, '/v1/sites', { domain, timezone: 'Europe/Berlin' });
  await post(api, '/v1/sites', { domain: NEW_SITE, timezone: 'Europe/Berlin' });
  const { key } = await post<{ key: string }>(api, '/v1/keys', { name: 'History', scope: 'events:write' });
  for (const [domain, seed, daily, days] of SITES) await fill(node.address, key, domain, seed, daily, days);

  const site = `/v1/sites/${SHOP}`;
  const goals = [
    { goal_type: 'event', event_name: 'Purchase', currency: 'EUR' }, { goal_type: 'event', event_name: 'Newsletter sign-up' },
    { goal_type: 'page', page_path: '/products/**', display_name: 'Saw a product' }, { goal_type: 'page', page_path: '/cart', display_name: 'Opened the cart' },
  ];
  for (const goal of goals) await post(api, `${site}/goals`, goal);
  await put(api, `${site}/properties/form`, {});
  await post(api, `${site}/funnels`, {
    name: 'From the shelf to the till', window: '7d', steps: [{ page: '/products' }, { page: '/products/**', name: 'A product' }, { page: '/cart' }, { event: 'Purchase' }],
  });
  await post(api, `${site}/funnels`, { name: 'Newsletter', window: 'visit', steps: [{ page: '/' }, { event: 'Newsletter sign-up' }] });
  const day = (back: number) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
  await post(api, `${site}/annotations`, { date: day(3), text: 'Autumn sale begins' });
  await post(api, `${site}/annotations`, { date: day(12), text: 'Newsletter to 12,000 readers' });
  await post(api, `${site}/segments`, { name: 'Phones in Germany', type: 'site', segment_data: { filters: [['is', 'visit:country', ['DE']], ['is', 'visit:device', ['Mobile']]] } });
  const open = await post<{ url?: string; slug?: string }>(api, `${site}/shared-links`, { name: 'For the board' });
  const locked = await post<{ url?: string; slug?: string }>(api, `${site}/shared-links`, { name: 'Agency', password: 'letmein please' });
  for (const [name, role] of [['Grace Laces', 'admin'], ['Linus Sole', 'viewer']] as const) {
    await post(api, '/v1/users', { email: `${name.split(' ')[0]?.toLowerCase()}@boots.example`, name, password: 'a long enough password', role });
  }
  await api.put('/v1/preferences', { data: { pinned: [SHOP], groups: [{ name: 'Boots family', sites: [SHOP, 'blog.boots.example', 'outlet.boots.example'] }] } });
  const state = await api.storageState();
  await api.dispose();
  const path = (link: { url?: string }) => (link.url ?? '').replace(/^https?:\/\/[^/]+/, '');
  return { node, state, open: path(open), locked: path(locked), visit: (count) => visit(node.address, count) };
}

/** Sends what the demo's generator makes for a site. */
async function fill(address: string, key: string, domain: string, seed: number, daily: number, days: number): Promise<void> {
  const made = process.env['FOOTFALL_SEED'];
  const flags = ['-site', domain, '-seed', String(seed), '-daily', String(daily), '-days', String(days)];
  const generator = made ? spawn(made, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
    : spawn('go', ['run', './bench/cmd/seed', ...flags], { cwd: resolve('..'), stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(generator, 'exit');
  let lines: string[] = [];
  const send = async () => {
    if (lines.length === 0) return;
    const response = await fetch(`${address}/v1/events`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` }, body: `[${lines.join(',')}]`,
    });
    if (response.status !== 202) throw new Error(`events of ${domain}: ${response.status} ${await response.text()}`);
    await response.text();
    lines = [];
  };
  for await (const line of createInterface({ input: generator.stdout })) {
    lines.push(line);
    if (lines.length >= BATCH) await send();
  }
  await send();
  const [code] = await ended;
  if (code !== 0) throw new Error(`the generator of ${domain} ended with ${code}`);
}

const PATHS = ['/', '/products', '/products/trail-runner', '/products/rain-boot', '/sale', '/blog/how-to-lace-boots', '/cart'];
const SOURCES = ['', 'https://www.google.com/', 'https://www.instagram.com/', 'https://duckduckgo.com/', 'https://trailmag.example/gear'];
const AGENTS = [CHROME, IPHONE, FIREFOX];

async function visit(address: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const response = await fetch(`${address}/api/event`, {
      method: 'POST', headers: { 'Content-Type': 'text/plain', 'User-Agent': AGENTS[i % 3] ?? CHROME, 'X-Forwarded-For': `203.0.113.${(i * 7) % 240 + 1}` },
      body: JSON.stringify({ name: 'pageview', domain: SHOP, url: `https://${SHOP}${PATHS[(i * 3) % PATHS.length]}`, referrer: SOURCES[i % SOURCES.length] }),
    });
    if (response.status !== 202) throw new Error(`a view: ${response.status}`);
    await response.text();
  }
}

async function post<T>(api: APIRequestContext, path: string, data: object): Promise<T> {
  const response = await api.post(path, { data });
  if (!response.ok()) throw new Error(`POST ${path}: ${response.status()} ${await response.text()}`);
  return response.json() as Promise<T>;
}

async function put(api: APIRequestContext, path: string, data: object): Promise<void> {
  const response = await api.put(path, { data });
  if (!response.ok()) throw new Error(`PUT ${path}: ${response.status()} ${await response.text()}`);
}
