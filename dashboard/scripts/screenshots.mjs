// Signs in to a running node and takes the pictures of the README.
// usage: node scripts/screenshots.mjs SETUP_URL SITE FOLDER
import { chromium } from '@playwright/test';

const [setup, site, folder] = process.argv.slice(2);
const base = new URL(setup).origin;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, locale: 'en-GB', reducedMotion: 'reduce' });
await page.goto(setup);
await page.getByLabel('Email').first().fill('owner@example.com');
await page.getByLabel('Name').first().fill('Ada');
await page.getByLabel('Password').first().fill('correct horse battery');
const domain = page.getByLabel('Domain');
if (await domain.count()) await domain.first().fill('shop.example');
await page.keyboard.press('Enter');
await page.waitForURL((u) => !u.pathname.startsWith('/setup'));
for (const [name, scheme, path] of [
  ['site-light', 'light', `/sites/${site}?period=30d`],
  ['months-dark', 'dark', `/sites/${site}/months`],
  ['sites-light', 'light', '/'],
]) {
  await page.emulateMedia({ colorScheme: scheme });
  await page.goto(base + path);
  await page.waitForSelector('main table, main [data-testid="site-card"]', { state: 'attached' });
  await page.waitForLoadState('networkidle').catch(() => undefined);
  await page.waitForTimeout(700);
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: name !== 'months-dark' });
}
await browser.close();
