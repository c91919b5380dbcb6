/** Pictures of every page into test-results/screens, in light, dark and on a phone. */
import { test } from '../fixtures/fake';

const PAGES = [
  ['sites', '/'], ['site', '/sites/boots.example'], ['site-today', '/sites/boots.example?period=day&metric=pageviews'],
  ['site-filter', '/sites/boots.example?period=30d&f=is,page,/cart&f=is,country,DE&metric=bounce_rate'],
  ['site-year', '/sites/boots.example?period=12mo&compare=year'],
  ['realtime', '/sites/boots.example/realtime'], ['pages', '/sites/boots.example/page'], ['page', '/sites/boots.example/page?page=/products'],
  ['funnel', '/sites/boots.example/funnels?s=page,/&s=page,/products&s=page,/cart&s=event,Order&window=7d'], ['retention', '/sites/boots.example/retention'],
  ['journeys', '/sites/boots.example/journeys'], ['months', '/sites/boots.example/months'], ['month-closed', '/sites/boots.example/months?month=2026-09'], ['login', '/login'], ['setup', '/setup/good'],
] as const;

for (const look of ['light', 'dark', 'phone'] as const) {
  test(`pictures, ${look}`, async ({ page, fake }) => {
    test.setTimeout(90_000);
    await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light', reducedMotion: 'reduce' });
    await page.setViewportSize(look === 'phone' ? { width: 360, height: 740 } : { width: 1280, height: 900 });
    for (const [name, path] of PAGES) {
      await page.goto(path);
      await page.waitForSelector(name === 'login' || name === 'setup' ? 'form' : 'main table, main [data-testid="site-card"]', { state: 'attached' });
      await page.evaluate(() => document.fonts.ready.then(() => undefined));
      if (name.startsWith('site') && name !== 'sites') {
        // What stands below comes when it is about to be seen.
        await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
        await page.getByTestId('heatmap').waitFor();
        await page.evaluate(() => window.scrollTo(0, 0));
      }
      await page.screenshot({ path: `test-results/screens/${look}-${name}.png`, fullPage: true });
    }
    if (look === 'light') {
      await page.goto('/sites/boots.example?period=30d');
      await page.locator('.u-over').hover({ position: { x: 500, y: 120 } });
      await page.screenshot({ path: 'test-results/screens/tooltip.png' });
      await page.getByRole('button', { name: /^Period:/ }).click();
      await page.getByRole('button', { name: 'Custom range' }).click();
      await page.screenshot({ path: 'test-results/screens/menu.png' });
      await page.goto('/');
      await page.getByRole('button', { name: 'Add site' }).click();
      await page.screenshot({ path: 'test-results/screens/add.png' });
      fake.empty = true;
      await page.goto('/sites/boots.example');
      await page.getByText('Waiting for the first view').waitFor();
      await page.screenshot({ path: 'test-results/screens/waiting.png' });
      fake.empty = false;
      fake.failing = 503;
      await page.goto('/sites/boots.example');
      await page.getByRole('alert').first().waitFor();
      await page.screenshot({ path: 'test-results/screens/error.png' });
    }
  });
}
