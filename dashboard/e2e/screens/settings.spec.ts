/** Pictures of settings, account and installation into test-results/screens. */
import { test } from '../fixtures/fake';

const SITE = '/sites/boots.example/settings';
const PAGES = [
  ['settings-general', SITE], ['settings-snippet', `${SITE}/snippet`], ['settings-goals', `${SITE}/goals`], ['settings-funnels', `${SITE}/funnels`], ['settings-exclusions', `${SITE}/exclusions`],
  ['settings-properties', `${SITE}/properties`], ['settings-inspector', `${SITE}/inspector`], ['settings-links', `${SITE}/links`], ['settings-people', `${SITE}/people`], ['settings-keys', `${SITE}/keys`],
  ['settings-import', `${SITE}/import`], ['settings-export', `${SITE}/export`], ['settings-reports', `${SITE}/reports`], ['settings-danger', `${SITE}/danger`], ['account', '/account'], ['account-security', '/account/security'],
  ['account-sessions', '/account/sessions'], ['operator-cluster', '/operator'], ['operator-traffic', '/operator/traffic'], ['operator-users', '/operator/users'], ['operator-organisations', '/operator/organisations'],
] as const;

for (const look of ['light', 'dark', 'phone'] as const) {
  test(`pictures of settings, ${look}`, async ({ page, fake }) => {
    test.setTimeout(180_000);
    await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light', reducedMotion: 'reduce' });
    await page.setViewportSize(look === 'phone' ? { width: 360, height: 740 } : { width: 1280, height: 900 });
    const shot = (name: string, fullPage = true) => page.screenshot({ path: `test-results/screens/${look}-${name}.png`, fullPage });
    for (const [name, path] of PAGES) {
      await page.goto(path);
      await page.locator('main section, main .card').first().waitFor();
      await page.waitForFunction(() => !document.querySelector('main .skeleton'));
      await page.evaluate(() => document.fonts.ready.then(() => undefined));
      if (name === 'operator-traffic') await page.getByRole('img', { name: /Events a second/ }).waitFor();
      await shot(name);
    }
    await page.goto(`${SITE}/goals`);
    await page.getByRole('button', { name: 'Edit Premium sign-up' }).click();
    await shot('settings-goal-dialog', false);
    await page.goto(`${SITE}/keys`);
    await page.getByRole('button', { name: 'New key' }).click();
    await shot('settings-key-dialog', false);
    await page.goto('/account/security');
    await page.getByRole('button', { name: 'Set up' }).click();
    await page.getByRole('dialog').getByLabel('Password').fill('correct horse');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByTestId('qr').waitFor();
    await shot('account-factor', false);
    fake.settings.firstEvent = null;
    await page.goto(`${SITE}/snippet`);
    await page.getByText('Waiting for the first view').waitFor();
    await shot('settings-waiting');
  });
}
