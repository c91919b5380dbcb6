/** Pictures of what opens on the overview and the site's page: groups, calendar, comparison, notes, zoom, shortcuts. */
import { expect, test } from '../fixtures/fake';

const KEPT = {
  pins: ['boots.example'],
  groups: [{ name: 'Boots family', sites: ['boots.example', 'blog.boots.example'] }, { name: 'United Kingdom', sites: ['a-very-long-name-of-a-shop-for-handmade-things.example.co.uk'] }],
  notes: { 'boots.example': [{ id: 1, day: '2026-11-10', text: 'Autumn sale begins' }, { id: 2, day: '2026-11-18', text: 'Newsletter to 12,000 readers' }] },
};

for (const look of ['light', 'dark', 'phone'] as const) {
  test(`what opens, ${look}`, async ({ page }) => {
    test.setTimeout(90_000);
    await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light', reducedMotion: 'reduce' });
    await page.setViewportSize(look === 'phone' ? { width: 360, height: 740 } : { width: 1280, height: 900 });
    await page.addInitScript((kept) => localStorage.setItem('footfall-prefs-1', JSON.stringify(kept)), KEPT);
    const shot = (name: string, fullPage = false) => page.screenshot({ path: `test-results/screens/${look}-${name}.png`, fullPage });
    await page.goto('/?sort=visitors');
    await page.getByTestId('group-card').first().waitFor();
    await shot('groups', true);
    await page.getByRole('button', { name: /^Pin blog/ }).click();
    await shot('card-menu');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Change group Boots family' }).click();
    await page.getByRole('dialog').waitFor();
    await shot('group-dialog');
    await page.goto('/sites/boots.example?period=30d&compare=year&match=weekday');
    await page.locator('.u-over').waitFor();
    await shot('notes');
    await page.getByRole('button', { name: /^Period:/ }).click();
    await shot('periods');
    await page.getByRole('button', { name: 'Custom range' }).click();
    await page.getByRole('grid').waitFor();
    await shot('calendar');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Comparison:/ }).click();
    await shot('compare');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Theme and language' }).click();
    await shot('languages');
    await page.keyboard.press('Escape');
    await page.goto('/sites/boots.example?period=custom&from=2026-11-05T09:00&to=2026-11-05T14:59&zoom=30d&metric=total_revenue');
    await expect(page.locator('.u-over')).toBeVisible();
    await shot('zoomed');
    await page.goto('/sites/boots.example?period=24h');
    await page.locator('.u-over').waitFor();
    await shot('24h');
    if (look !== 'phone') {
      await page.locator('.u-over').hover({ position: { x: 500, y: 120 } });
      await shot('24h-tip');
      await page.getByTestId('figure-pageviews').hover();
      await page.getByTestId('figure-pageviews').locator('.exact').waitFor();
      await shot('figure-tip');
    }
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await shot('keys');
  });
}
