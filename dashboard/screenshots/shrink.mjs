/**
 * Puts the pictures of test-results/screens into docs/screenshots: those over 1000
 * pixels wide at two thirds of the size, and all with as few colours as look the
 * same. Fails when they are larger together than a repository should carry.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';

const FROM = resolve(import.meta.dirname, '../test-results/screens');
const TO = resolve(import.meta.dirname, '../../docs/screenshots');
const BYTES_MAX = 6_000_000;
/** The README shows these at full size. */
const WHOLE = ['light/site', 'dark/site'];
/** What a tall page shows below is left out here. */
const HEIGHT_MAX = 2400;

let bytes = 0;
let count = 0;
for (const look of ['light', 'dark', 'phone']) {
  await rm(join(TO, look), { recursive: true, force: true });
  await mkdir(join(TO, look), { recursive: true });
  for (const file of (await readdir(join(FROM, look))).filter((name) => name.endsWith('.png')).sort()) {
    const picture = sharp(join(FROM, look, file));
    const { width, height } = await picture.metadata();
    const whole = WHOLE.includes(`${look}/${file.slice(0, -4)}`);
    const to = join(TO, look, file);
    await picture
      .extract({ left: 0, top: 0, width, height: Math.min(height, HEIGHT_MAX) })
      .resize({ width: width > 1000 && !whole ? Math.round((width * 2) / 3) : width })
      .png({ palette: true, colours: whole ? 256 : 128, dither: whole ? 0.6 : 0, quality: 100, effort: 10, compressionLevel: 9 })
      .toFile(to);
    bytes += (await stat(to)).size;
    count++;
  }
}
console.log(`${count} pictures, ${(bytes / 1e6).toFixed(1)} MB`);
if (bytes > BYTES_MAX) throw new Error(`more than ${BYTES_MAX / 1e6} MB`);
