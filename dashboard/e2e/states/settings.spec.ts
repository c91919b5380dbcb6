/** Settings, account and installation: what they show, what they change, and what they say when they cannot. */
import type { Page } from '@playwright/test';
import { breaches } from '../fixtures/axe';
import { expect, test } from '../fixtures/fake';

const SITE = '/sites/boots.example/settings';
const PAGES = [
  [SITE, 'general-site'], [`${SITE}/snippet`, 'snippet-check'], [`${SITE}/goals`, 'goals'], [`${SITE}/funnels`, 'funnels'], [`${SITE}/exclusions`, 'exclusions-blocked_ips'],
  [`${SITE}/properties`, 'properties'], [`${SITE}/inspector`, 'inspector'], [`${SITE}/links`, 'links'], [`${SITE}/people`, 'guests'], [`${SITE}/keys`, 'keys'], [`${SITE}/import`, 'import'],
  [`${SITE}/export`, 'export'], [`${SITE}/reports`, 'reports-monthly'], [`${SITE}/danger`, 'delete-site'], ['/account', 'account-you'], ['/account/security', 'second-factor'], ['/account/sessions', 'sessions'],
  ['/operator', 'shards'], ['/operator/traffic', 'drops'], ['/operator/users', 'users'], ['/operator/organisations', 'orgs'],
] as const;

async function open(page: Page, path: string, ready: string) {
  await page.goto(path);
  await page.getByTestId(ready).waitFor();
  await expect(page.locator('main .skeleton')).toHaveCount(0);
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every page of settings can be used by everybody, ${colorScheme}`, async ({ page, complaints }) => {
    test.setTimeout(360_000);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [path, ready] of PAGES) {
      await open(page, path, ready);
      expect(await breaches(page), path).toEqual([]);
    }
    expect(complaints).toEqual([]);
  });
}

test('no page of settings is wider than a small phone', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const [path, ready] of PAGES) {
    await open(page, path, ready);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), path).toBe(0);
  }
});

test('dialogs can be used by everybody', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  for (const [path, button] of [['goals', 'Add goal'], ['funnels', 'Add funnel'], ['links', 'New link'], ['links', 'Embed'], ['people', 'Add member'], ['keys', 'New key'], ['danger', 'Delete site']] as const) {
    await page.goto(`${SITE}/${path}`);
    await page.getByRole('button', { name: button }).first().click();
    await expect(page.getByRole('dialog')).toBeVisible();
    expect(await breaches(page), `${path}: ${button}`).toEqual([]);
  }
});

test('the tabs are addresses and work by keyboard', async ({ page }) => {
  await page.goto('/sites/boots.example');
  await page.getByRole('link', { name: 'Settings' }).click();
  await expect(page).toHaveURL(SITE);
  const nav = page.getByRole('navigation', { name: 'Settings' });
  await nav.getByRole('link', { name: 'General' }).focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(`${SITE}/goals`);
  await expect(nav.getByRole('link', { name: 'Goals' })).toHaveAttribute('aria-current', 'page');
  await page.goBack();
  await expect(page.getByTestId('general-site')).toBeVisible();
});

test('general settings are saved, and a refused one says which', async ({ page, fake }) => {
  await open(page, SITE, 'general-site');
  const site = page.getByTestId('general-site');
  await site.getByRole('switch', { name: 'Public dashboard' }).check();
  await site.getByRole('button', { name: 'Save' }).click();
  await expect(site.getByText('Saved')).toBeVisible();
  expect(fake.settings.details['boots.example']).toMatchObject({ public: true, domain: 'boots.example', timezone: 'Europe/Berlin' });
  await site.getByLabel('Domain').fill('taken.example');
  await site.getByRole('button', { name: 'Save' }).click();
  await expect(site.getByLabel('Domain')).toHaveAttribute('aria-invalid', 'true');
  await expect(site.getByText('Is taken')).toBeVisible();
  const privacy = page.getByTestId('general-privacy');
  await privacy.getByLabel('Keep events for').selectOption('A number of days');
  await privacy.getByLabel('Days', { exact: true }).fill('0');
  await privacy.getByRole('button', { name: 'Save' }).click();
  await expect(privacy.getByText('From 1 to 36,500 days.')).toBeVisible();
  await privacy.getByLabel('Days', { exact: true }).fill('400');
  await privacy.getByRole('button', { name: 'Save' }).click();
  await expect(privacy.getByText('Saved')).toBeVisible();
  expect(fake.settings.details['boots.example']).toMatchObject({ retention_days: 400, visitor_id: 'daily' });
});

test('the snippet page tells by itself when the first view is here', async ({ page, fake }) => {
  fake.settings.firstEvent = null;
  await open(page, `${SITE}/snippet`, 'snippet-check');
  await expect(page.getByText('Waiting for the first view')).toBeVisible();
  fake.settings.firstEvent = '2026-11-23T09:00:00Z';
  await expect(page.getByText('First view received')).toBeVisible();
  await expect(page.getByText('1,284')).toBeVisible();
});

test('a goal is made, changed and removed', async ({ page, fake }) => {
  await open(page, `${SITE}/goals`, 'goals');
  await page.getByRole('button', { name: 'Add goal' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('Name the event.')).toBeVisible();
  await dialog.getByLabel('Kind').selectOption('Page');
  await dialog.getByLabel('Page', { exact: true }).fill('/thanks/**');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('View of /thanks/**')).toBeVisible();
  expect(fake.settings.goals.at(-1)).toMatchObject({ goal_type: 'page', page_path: '/thanks/**', custom_props: {} });
  await page.getByRole('button', { name: 'Edit Order', exact: true }).click();
  await dialog.getByLabel('Shown as').fill('Purchase');
  await dialog.getByRole('button', { name: 'Add property' }).click();
  await dialog.getByLabel('Property 1', { exact: true }).fill('plan');
  await dialog.getByLabel('Value of property 1').fill('pro');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Event Order · plan = pro')).toBeVisible();
  await page.getByRole('button', { name: 'Remove Purchase' }).click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await expect(page.getByText('Event Order · plan = pro')).toHaveCount(0);
  expect(fake.settings.goals.some((goal) => goal['id'] === 1)).toBe(false);
});

test('a funnel is saved and leads to its report', async ({ page, fake }) => {
  await open(page, `${SITE}/funnels`, 'funnels');
  await page.getByRole('button', { name: 'Add funnel' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name of the funnel').fill('Short way');
  await dialog.getByRole('textbox', { name: /step 1/i }).or(dialog.getByRole('combobox', { name: /value.*step 1|step 1.*value/i })).last().fill('/');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('At least 2 steps')).toBeVisible();
  await dialog.locator('input[data-part="value"]').nth(1).fill('/cart');
  await dialog.locator('input[data-part="value"]').nth(1).press('Tab');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('link', { name: 'Short way' })).toHaveAttribute('href', /^\/sites\/boots\.example\/funnels\?saved=\d+&s=page%2C%2F&s=page%2C%2Fcart$/);
  expect(fake.settings.funnels.at(-1)).toMatchObject({ name: 'Short way', steps: [{ page: '/' }, { page: '/cart' }], window: 'visit' });
});

test('exclusions are checked and cleaned', async ({ page, fake }) => {
  await open(page, `${SITE}/exclusions`, 'exclusions-blocked_ips');
  const card = page.getByTestId('exclusions-blocked_ips');
  await card.getByRole('textbox').fill('203.0.113.0/24\nnot an address');
  await card.getByRole('button', { name: 'Save' }).click();
  await expect(card.getByText('not is no address and no network.')).toBeVisible();
  await card.getByRole('textbox').fill(' 203.0.113.0/24, 2001:db8::1 ');
  await card.getByRole('button', { name: 'Save' }).click();
  await expect(card.getByRole('textbox')).toHaveValue('203.0.113.0/24\n2001:db8::1');
  expect(fake.settings.details['boots.example']).toMatchObject({ blocked_ips: ['203.0.113.0/24', '2001:db8::1'] });
});

test('the inspector is live, filters in the address, and shows hostile text as text', async ({ page, fake, complaints }) => {
  await open(page, `${SITE}/inspector`, 'inspector');
  const rows = page.getByTestId('inspector').locator('tbody tr');
  await expect(rows).toHaveCount(50);
  const hostile = '/<img src=x onerror=alert(1)>\u202Eevil';
  fake.settings.events.unshift({ time: new Date().toISOString(), kind: 'pageview', name: 'pageview', page: hostile, verdict: 'bot', rule: 'HeadlessChrome', edge: 'n1' });
  await expect(rows.first()).toContainText('<img src=x onerror=alert(1)>');
  await expect(rows.first()).toHaveClass(/fresh/);
  await rows.first().getByRole('button').click();
  await expect(page.getByText('HeadlessChrome')).toBeVisible();
  await page.getByRole('group', { name: 'Verdict' }).getByRole('button', { name: /^Not counted/ }).click();
  await expect(page).toHaveURL(/verdict=dropped/);
  await page.getByRole('searchbox', { name: 'Find in events' }).fill('ip_blocked');
  await expect(page).toHaveURL(/q=ip_blocked/);
  await expect(rows.filter({ hasText: 'Excluded address' })).toHaveCount(await rows.count());
  await page.reload();
  await expect(page.getByRole('searchbox', { name: 'Find in events' })).toHaveValue('ip_blocked');
  expect(complaints).toEqual([]);
});

test('a shared link gets password and end, and its embed code a theme', async ({ page, fake }) => {
  await open(page, `${SITE}/links`, 'links');
  await page.getByRole('button', { name: 'New link' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Investors');
  await dialog.getByLabel('Password').fill('open sesame');
  await dialog.getByLabel('Last day').fill('2027-03-31');
  await dialog.getByRole('button', { name: 'Make link' }).click();
  await expect(page.getByText('Investors', { exact: true })).toBeVisible();
  expect(fake.settings.links.at(-1)).toMatchObject({ name: 'Investors', password: true, expires: '2027-03-31T21:59:59.000Z' });
  await page.getByRole('button', { name: 'Embed' }).first().click();
  await dialog.getByLabel('Theme').selectOption('Dark');
  await expect(dialog.locator('code')).toContainText('&#38;theme=dark');
});

test('people come, change and go', async ({ page, fake }) => {
  await open(page, `${SITE}/people`, 'guests');
  await page.getByLabel('Role of Grace Hopper').selectOption('Viewer');
  await expect.poll(() => fake.settings.users[1]?.['role']).toBe('viewer');
  await page.getByRole('button', { name: 'Invite guest' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Email').fill('new@elsewhere.example');
  await dialog.getByLabel('Role').selectOption('Edits');
  await dialog.getByRole('button', { name: 'Invite' }).click();
  await expect(page.getByText('new@elsewhere.example', { exact: true }).first()).toBeVisible();
  expect(fake.settings.guests.at(-1)).toMatchObject({ email: 'new@elsewhere.example', role: 'editor' });
  await page.getByRole('button', { name: 'Remove client@elsewhere.example' }).click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await expect(page.getByText('client@elsewhere.example')).toHaveCount(0);
  await page.getByRole('button', { name: 'Add member' }).click();
  await dialog.getByLabel('Name').fill('Ada again');
  await dialog.getByLabel('Email').fill('ada@boots.example');
  await dialog.getByLabel('First password').fill('long enough for all');
  await dialog.getByRole('button', { name: 'Add' }).click();
  await expect(dialog.getByText('Exists already')).toBeVisible();
});

test('a key is shown once and revoked', async ({ page, fake }) => {
  await open(page, `${SITE}/keys`, 'keys');
  await page.getByRole('button', { name: 'New key' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Robot');
  await dialog.getByRole('switch', { name: 'Send events' }).check();
  await dialog.getByRole('button', { name: 'Make key' }).click();
  await expect(dialog.getByText('ff_Jx81kQm20vTzLr64WnYbPd57')).toBeVisible();
  expect(fake.settings.keys.at(-1)).toMatchObject({ name: 'Robot', scopes: ['stats:read', 'events:write'], site: 'boots.example' });
  await dialog.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText('ff_Jx81kQm20vTzLr64WnYbPd57')).toHaveCount(0);
  await page.getByRole('button', { name: 'Revoke Robot' }).click();
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('Robot', { exact: true })).toHaveCount(0);
});

test('an import counts every line, and a second one counts nothing', async ({ page, fake }) => {
  await open(page, `${SITE}/import`, 'import');
  const line = (n: number, agent: string, path = `/p${n}`) => `203.0.113.${n % 250} - - [17/May/2015:10:${String(n % 60).padStart(2, '0')}:03 +0000] "GET ${path} HTTP/1.1" 200 12 "-" "${agent}"`;
  const log = [...Array.from({ length: 2_500 }, (_, n) => line(n, 'Mozilla/5.0 Firefox/143.0')), line(1, 'Googlebot'), line(1, 'x', '/style.css'), 'nonsense'].join('\n');
  const before = fake.settings.keys.length;
  for (const [counted, duplicates] of [['2,500', '0'], ['0', '2,500']] as const) {
    await page.getByLabel('File to import').last().setInputFiles({ name: 'access.log', mimeType: 'text/plain', buffer: Buffer.from(log) });
    await page.getByRole('button', { name: 'Import', exact: true }).click();
    await expect(page.getByText('Done.')).toBeVisible({ timeout: 30_000 });
    await expect(page.getByTestId('import-counted')).toHaveText(counted);
    const figures = await page.getByTestId('import-result').locator('dd').allInnerTexts();
    expect(figures).toEqual(['2,503', counted, duplicates, '1', '1', '1']);
  }
  await page.getByText('Lines that could not be read').click();
  await expect(page.getByText('line: is not in the Combined or Common form')).toBeVisible();
  expect(fake.settings.imported).toHaveLength(2_500);
  await expect.poll(() => fake.settings.keys.length, 'the key of the import is gone').toBe(before);
});

test('an export is a plain address', async ({ page }) => {
  await open(page, `${SITE}/export`, 'export');
  await page.getByLabel('What').selectOption('Pages');
  await page.getByLabel('Format').selectOption('Parquet');
  await page.getByLabel('From').fill('2026-10-01');
  await page.getByLabel('To', { exact: true }).fill('2026-10-31');
  await expect(page.getByTestId('export-link')).toHaveAttribute('href', '/v1/sites/boots.example/export/query?format=parquet&date_range=2026-10-01%2C2026-10-31&metrics=visitors%2Cpageviews%2Cbounce_rate&dimensions=event%3Apage');
  await page.getByLabel('To', { exact: true }).fill('2026-09-01');
  await expect(page.getByRole('button', { name: 'Download' })).toBeDisabled();
});

test('reports by mail gain and lose receivers', async ({ page, fake }) => {
  await open(page, `${SITE}/reports`, 'reports-weekly');
  const weekly = page.getByTestId('reports-weekly');
  await weekly.getByLabel('E-mail address').fill('not an address');
  await weekly.getByLabel('E-mail address').press('Enter');
  await expect(weekly.getByText('This is no e-mail address.')).toBeVisible();
  await weekly.getByLabel('E-mail address').fill('grace@boots.example');
  await weekly.getByLabel('E-mail address').press('Enter');
  await expect(weekly.getByText('grace@boots.example')).toBeVisible();
  await weekly.getByRole('button', { name: 'Remove ada@boots.example' }).click();
  await expect(weekly.getByText('ada@boots.example')).toHaveCount(0);
  expect(fake.settings.reports).toMatchObject({ weekly: { emails: ['grace@boots.example'], webhooks: [] } });
});

test('a visitor is erased after a question, a site after its name was typed', async ({ page, fake }) => {
  await open(page, `${SITE}/danger`, 'erase');
  await page.getByLabel('Visitor', { exact: true }).fill('customer-17');
  await page.getByTestId('erase').getByRole('button', { name: 'Erase' }).click();
  const dialog = page.getByRole('dialog');
  expect(fake.settings.erased).toEqual([]);
  await dialog.getByRole('button', { name: 'Erase' }).click();
  await expect(page.getByText('Erased: 3 visits, 17 events.')).toBeVisible();
  expect(fake.settings.erased).toEqual(['boots.example customer-17']);
  await page.getByRole('button', { name: 'Delete site' }).click();
  await expect(dialog.getByRole('button', { name: 'Delete site' })).toBeDisabled();
  await dialog.getByLabel('Type boots.example to confirm').fill('boots.example');
  await dialog.getByRole('button', { name: 'Delete site' }).click();
  await page.waitForURL('/');
  expect(fake.settings.deleted).toEqual(['boots.example']);
});

test('the second factor is set up with a code and gives recovery codes', async ({ page, fake, complaints }) => {
  await open(page, '/account/security', 'second-factor');
  await page.getByRole('button', { name: 'Set up' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Password').fill('wrong');
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await expect(dialog.getByText('Is not your password')).toBeVisible();
  await dialog.getByLabel('Password').fill('correct horse');
  await dialog.getByRole('button', { name: 'Continue' }).click();
  await expect(dialog.getByTestId('qr')).toBeVisible();
  await expect(dialog.getByText('JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP')).toBeVisible();
  expect(await breaches(page)).toEqual([]);
  await dialog.getByLabel('Code of six digits').fill('123 456');
  await dialog.getByRole('button', { name: 'Turn on' }).click();
  await expect(dialog.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem')).toHaveCount(10);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText('10 recovery codes left')).toBeVisible();
  expect(fake.settings.factor.enabled).toBe(true);
  expect(complaints).toEqual([]);
});

test('the password is changed when both new ones are the same', async ({ page }) => {
  await open(page, '/account/security', 'account-password');
  const card = page.getByTestId('account-password');
  await card.getByLabel('Current password').fill('wrong');
  await card.getByLabel('New password', { exact: true }).fill('a new long one');
  await card.getByLabel('New password again').fill('another long one');
  await card.getByRole('button', { name: 'Change password' }).click();
  await expect(card.getByText('The two are not the same.')).toBeVisible();
  await card.getByLabel('New password again').fill('a new long one');
  await card.getByRole('button', { name: 'Change password' }).click();
  await expect(card.getByText('Is not your password')).toBeVisible();
  await card.getByLabel('Current password').fill('correct horse');
  await card.getByRole('button', { name: 'Change password' }).click();
  await expect(card.getByText('Changed')).toBeVisible();
});

test('signing in with a second factor', async ({ page, fake }) => {
  fake.signedIn = false;
  fake.secondFactor = true;
  await page.goto('/login');
  await page.getByLabel('Email').fill('ada@boots.example');
  await page.getByLabel('Password').fill('correct horse');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('Code').fill('000000');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  expect(await breaches(page)).toEqual([]);
  await page.getByLabel('Code').fill('123456');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('/');
});

test('the cluster: picture, and an order that has to be confirmed', async ({ page, fake }) => {
  await open(page, '/operator', 'shards');
  await expect(page.getByTestId('shards').locator('.cell')).toHaveCount(128);
  await expect(page.getByTestId('cluster-sums')).toContainText(/127\s*\/\s*128/);
  await expect(page.getByText('node 3: is active and not heard of')).toBeVisible();
  await page.getByRole('button', { name: 'Drain alder' }).click();
  const dialog = page.getByRole('dialog');
  expect(fake.settings.orders).toEqual([]);
  await dialog.getByRole('button', { name: 'Drain' }).click();
  await expect.poll(() => fake.settings.orders).toEqual(['drain 1']);
  await page.getByRole('button', { name: 'Remove dogwood' }).click();
  await expect(dialog.getByRole('button', { name: 'Remove' })).toBeDisabled();
  await dialog.getByLabel('Type dogwood to confirm').fill('dogwood');
  await dialog.getByRole('switch', { name: 'Even if it still holds replicas' }).check();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await expect.poll(() => fake.settings.orders).toEqual(['drain 1', 'remove 4?force=true']);
});

test('a node alone is told as such, and a locked one opens with the token', async ({ page, fake }) => {
  fake.settings.alone = true;
  await page.goto('/operator');
  await expect(page.getByTestId('single')).toContainText('Takes part and counts.');
  fake.settings.operator = 'secret';
  await page.goto('/operator/traffic');
  await page.getByLabel("Operator's token").fill('nonsense');
  await page.getByRole('button', { name: 'Open' }).click();
  await expect(page.getByText('The node does not know this token.')).toBeVisible();
  await page.getByLabel("Operator's token").fill('secret');
  await page.getByRole('button', { name: 'Open' }).click();
  await expect(page.getByTestId('drops').locator('tbody tr').first()).toContainText('Bot');
  expect(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]))).not.toContain('secret');
});

test('what may not be seen, is missing or fails is told', async ({ page, fake }) => {
  await page.route('**/v1/keys', (route) => route.fulfill({ status: 403, json: { error: 'authorization: this is for owners of the organisation' } }));
  await page.goto(`${SITE}/keys`);
  await expect(page.getByText('This is for people who manage the site')).toBeVisible();
  await page.route('**/v1/sites/*/inspector', (route) => route.fulfill({ status: 404, json: { error: 'no such route' } }));
  await page.goto(`${SITE}/inspector`);
  await expect(page.getByText('Not available here')).toBeVisible();
  fake.settings.links = [];
  await page.goto(`${SITE}/links`);
  await expect(page.getByText('No shared links')).toBeVisible();
  fake.failing = 503;
  await page.goto(`${SITE}/goals`);
  await expect(page.getByRole('alert')).toBeVisible();
  fake.failing = 0;
  await page.getByRole('button', { name: /again/i }).click();
  await expect(page.getByTestId('goals')).toBeVisible();
  fake.signedIn = false;
  await page.goto('/account');
  await page.waitForURL(/\/login\?next=%2Faccount/);
});
