/**
 * SHA-256. The browser's own exists only on pages that came over TLS and gives
 * its answer later, one line of a log at a time; this is for the ids of lines.
 */

const ROUND = new Uint32Array(64);
const START = new Uint32Array(8);
{
  // The first 32 bits of the fractions of cube and square roots of the first primes.
  let found = 0;
  for (let n = 2; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) START[found] = fraction(Math.sqrt(n));
    ROUND[found++] = fraction(Math.cbrt(n));
  }
}

function fraction(x: number): number {
  return (x - Math.floor(x)) * 2 ** 32;
}

const BLOCK = 64;
const words = new Uint32Array(64);
const state = new Uint32Array(8);

/** The hash of some bytes, 32 of them. */
export function sha256(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / BLOCK) * BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, (bytes.length << 3) >>> 0);
  state.set(START);
  for (let at = 0; at < padded.length; at += BLOCK) mix(view, at);
  const out = new Uint8Array(32);
  const result = new DataView(out.buffer);
  state.forEach((word, i) => result.setUint32(i * 4, word));
  return out;
}

function mix(view: DataView, at: number): void {
  const w = (i: number) => words[i] as number;
  for (let i = 0; i < 16; i++) words[i] = view.getUint32(at + i * 4);
  for (let i = 16; i < 64; i++) {
    const a = w(i - 15);
    const b = w(i - 2);
    const small = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3);
    const large = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10);
    words[i] = (w(i - 16) + small + w(i - 7) + large) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < 64; i++) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + (ROUND[i] as number) + w(i)) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + one) | 0;
    d = c; c = b; b = a; a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] = ((state[i] as number) + word) >>> 0));
}

function turn(x: number, by: number): number {
  return (x >>> by) | (x << (32 - by));
}
