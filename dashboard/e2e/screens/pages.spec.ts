/**
 * Pictures of every page in light, in dark and on a phone, from a real node, into
 * test-results/screens. They are looked at by people and fail only when a page
 * does not come.
 */
import type { Page } from '@playwright/test';
import { NEW_SITE, SHOP, test, type Stage } from './stage';

const SITE = `/sites/${SHOP}`;
const SETTINGS = `${SITE}/settings`;

type Act = (page: Page, stage: Stage) => Promise<void>;

interface Scene {
  name: string;
  path: string | ((stage: Stage) => string);
  /** What is done before the picture. */
  act?: Act;
  /** Only what is in sight, for what lies over the page. */
  sight?: true;
  /** By nobody who is signed in. */
  stranger?: true;
  media?: 'print';
  /** Placeholders stay, as they do where nothing can be had. */
  unsettled?: true;
}

const SITE_TABS = ['snippet', 'goals', 'funnels', 'exclusions', 'properties', 'inspector', 'links', 'people', 'keys', 'import', 'export', 'reports', 'danger'] as const;
const LISTS = [['sources', 'sources'], ['pages', 'top'], ['pages', 'entry'], ['places', 'countries'],
  ['places', 'cities']] as const;

const SCENES: Scene[] = [
  { name: 'sites', path: '/' },
  { name: 'sites-add', path: '/', sight: true, act: async (page) => page.getByRole('button', { name: 'Add site' }).click() },
  { name: 'site', path: `${SITE}?period=30d`, act: whole },
  { name: 'site-today', path: `${SITE}?period=day&metric=pageviews`, act: whole },
  { name: 'site-year', path: `${SITE}?period=12mo&compare=year&metric=total_revenue&sources=channels&pages=entry&places=countries&devices=os&actions=events`, act: whole },
  { name: 'site-filtered', path: `${SITE}?period=30d&f=is,country,DE&f=contains,page,/products&metric=bounce_rate&places=cities&devices=screens&actions=props`, act: whole },
  { name: 'site-filters-open', path: `${SITE}?period=30d`, sight: true, act: async (page) => page.getByRole('button', { name: /^Filter/ }).first().click() },
  { name: 'site-period-open', path: `${SITE}?period=30d`, sight: true, act: async (page) => page.getByRole('button', { name: /^Period:/ }).click() },
  { name: 'site-calendar', path: `${SITE}?period=30d`, sight: true, act: async (page) => {
    await page.getByRole('button', { name: /^Period:/ }).click();
    await page.getByRole('button', { name: 'Custom range' }).click();
    await page.getByRole('grid').first().waitFor();
  } },
  { name: 'site-compare-open', path: `${SITE}?period=30d`, sight: true, act: async (page) => page.getByRole('button', { name: /^Comparison:/ }).click() },
  { name: 'site-keys', path: SITE, sight: true, act: async (page) => page.keyboard.press('?') },
  { name: 'site-empty', path: `/sites/${NEW_SITE}` },
  { name: 'site-error', path: SITE, act: async (page) => {
    await page.route('**/api/v2/query', (route) => route.fulfill({ status: 503, json: { error: 'query: the node is busy, try again' } }));
    await page.reload();
    await page.getByRole('alert').first().waitFor();
  }, unsettled: true },
  ...LISTS.map(([panel, tab]): Scene => ({
    name: `list-${tab}`, path: `${SITE}?period=30d&${panel}=${tab}`, sight: true, act: async (page) => {
      await page.getByTestId(`panel-${panel}`).getByRole('button', { name: /^Show all/ }).first().click();
      await page.getByRole('dialog').waitFor();
    },
  })),
  { name: 'realtime', path: `${SITE}/realtime` },
  { name: 'pages', path: `${SITE}/page?period=30d` },
  { name: 'page', path: `${SITE}/page?period=30d&page=/products` },
  { name: 'funnels', path: `${SITE}/funnels` },
  { name: 'funnel', path: `${SITE}/funnels?period=30d&s=page,/products&s=page,/products/**&s=page,/cart&s=event,Purchase&window=7d` },
  { name: 'retention', path: `${SITE}/retention` },
  { name: 'journeys', path: `${SITE}/journeys?period=30d` },
  { name: 'months', path: `${SITE}/months` },
  { name: 'month', path: `${SITE}/months?month=${monthBefore()}` },
  { name: 'months-print', path: `${SITE}/months`, media: 'print' },
  { name: 'settings-general', path: SETTINGS },
  ...SITE_TABS.map((tab): Scene => ({ name: `settings-${tab}`, path: `${SETTINGS}/${tab}`, ...(tab === 'inspector' ? { act: inspected, unsettled: true } : {}) })),
  { name: 'settings-goal-edit', path: `${SETTINGS}/goals`, sight: true, act: async (page) => page.getByRole('button', { name: 'Edit Purchase' }).click() },
  { name: 'settings-empty-snippet', path: `/sites/${NEW_SITE}/settings/snippet` },
  { name: 'account', path: '/account' },
  { name: 'account-security', path: '/account/security' },
  { name: 'account-sessions', path: '/account/sessions' },
  { name: 'operator', path: '/operator' },
  { name: 'operator-traffic', path: '/operator/traffic' },
  { name: 'operator-users', path: '/operator/users' },
  { name: 'operator-organisations', path: '/operator/organisations' },
  { name: 'login', path: '/login', stranger: true },
  { name: 'setup', path: '/setup/a-link-of-no-use', stranger: true },
  { name: 'setup-form', path: '/setup/any', stranger: true, act: async (page) => {
    // The one link there was has been used to make the account.
    await page.route('**/v1/setup/*', (route) => route.fulfill({ status: 204 }));
    await page.reload();
    await page.getByLabel('Your name').waitFor();
  } },
  { name: 'unknown', path: '/no/such/page/here' },
  { name: 'share-locked', path: (stage) => stage.locked, stranger: true },
  { name: 'share', path: (stage) => stage.open, stranger: true, act: whole },
];

const ONLY = process.env['SCENES']?.split(',');
const SCENES_WANTED = SCENES.filter(({ name }) => !ONLY || ONLY.includes(name));

test.describe.configure({ mode: 'default' });

for (const look of ['light', 'dark', 'phone'] as const) {
  test(`pictures, ${look}`, async ({ browser, stage }) => {
    test.setTimeout(600_000);
    await stage.visit(36);
    for (const stranger of [false, true]) {
      const context = await browser.newContext({
        baseURL: stage.node.address, locale: 'en-GB', timezoneId: 'Europe/Berlin', reducedMotion: 'reduce', colorScheme: look === 'dark' ? 'dark' : 'light',
        viewport: look === 'phone' ? { width: 360, height: 740 } : { width: 1280, height: 900 }, ...(stranger ? {} : { storageState: stage.state }),
      });
      for (const scene of SCENES_WANTED.filter((each) => !!each.stranger === stranger && (look === 'light' || !each.media))) {
        // A page for each, so that routes and dialogs do not outlive it.
        const page = await context.newPage();
        try {
          await draw(page, scene, stage);
          await page.screenshot({ path: `test-results/screens/${look}/${scene.name}.png`, fullPage: !scene.sight });
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          if (over > 0) test.info().annotations.push({ type: 'too wide', description: `${look} ${scene.name}: ${over} px` });
        } catch (error) {
          test.info().annotations.push({ type: 'missing', description: `${look} ${scene.name}: ${String(error).slice(0, 300)}` });
        }
        await page.close();
      }
      await context.close();
    }
    const faults = test.info().annotations.map(({ type, description }) => `${type}: ${description}`);
    if (faults.length > 0) throw new Error(faults.join('\n'));
  });
}

async function draw(page: Page, scene: Scene, stage: Stage): Promise<void> {
  page.setDefaultTimeout(8_000);
  if (scene.media) await page.emulateMedia({ media: scene.media });
  await page.goto(typeof scene.path === 'string' ? scene.path : scene.path(stage));
  if (!scene.unsettled) await settle(page);
  await scene.act?.(page, stage);
  if (!scene.unsettled) await settle(page);
}

/** Gives the inspector something to list; it is never done asking. */
async function inspected(page: Page, stage: Stage): Promise<void> {
  await page.getByTestId('inspector').waitFor();
  await stage.visit(12);
  await page.getByTestId('inspector').locator('tbody tr').nth(9).waitFor();
}

/** Waits until nothing is being fetched for the first time and the letters are there. */
async function settle(page: Page): Promise<void> {
  await page.locator('main, form, [role="dialog"]').first().waitFor();
  // What is far below the fold stays a placeholder until somebody comes near it.
  await page.waitForFunction(() => ![...document.querySelectorAll('.skeleton, [aria-busy="true"]')].some((each) => each.getBoundingClientRect().top < window.innerHeight));
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
}

/** Brings in what comes only when it is about to be seen. */
async function whole(page: Page): Promise<void> {
  const step = (page.viewportSize()?.height ?? 700) / 2;
  for (let y = 0, height = 1; y < height; y += step) {
    height = await page.evaluate((to) => { window.scrollTo(0, to); return document.body.scrollHeight; }, y);
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  }
  await page.getByTestId('heatmap').waitFor();
  await page.evaluate(() => window.scrollTo(0, 0));
}

function monthBefore(): string {
  const at = new Date();
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - 1, 1)).toISOString().slice(0, 7);
}
