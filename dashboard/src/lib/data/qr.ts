/**
 * QR codes (ISO/IEC 18004) of short texts: bytes, error correction M, versions
 * 1 to 13, the mask that reads best.
 */

/** Of each version at level M: error correction per block, then blocks as [count, bytes of data]. */
const BLOCKS: readonly { correction: number; groups: readonly (readonly [count: number, data: number])[] }[] = [
  { correction: 10, groups: [[1, 16]] }, { correction: 16, groups: [[1, 28]] }, { correction: 26, groups: [[1, 44]] },
  { correction: 18, groups: [[2, 32]] }, { correction: 24, groups: [[2, 43]] }, { correction: 16, groups: [[4, 27]] },
  { correction: 18, groups: [[4, 31]] }, { correction: 22, groups: [[2, 38], [2, 39]] }, { correction: 22, groups: [[3, 36], [2, 37]] },
  { correction: 26, groups: [[4, 43], [1, 44]] }, { correction: 30, groups: [[1, 50], [4, 51]] }, { correction: 22, groups: [[6, 36], [2, 37]] },
  { correction: 22, groups: [[8, 37], [1, 38]] },
];
const ALIGNMENT: readonly (readonly number[])[] = [
  [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50], [6, 30, 54], [6, 32, 58], [6, 34, 62],
];
const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0, (_, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2 === 0, (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** Rows of dark (true) and light modules, without the quiet zone; null when the text is too long. */
export function qrCode(text: string): boolean[][] | null {
  const bytes = new TextEncoder().encode(text);
  const version = BLOCKS.findIndex((_, i) => bytes.length + 2 + (i + 1 > 9 ? 1 : 0) <= capacityOf(i + 1)) + 1;
  if (version === 0) return null;
  const codewords = interleaved(dataOf(bytes, version), version);
  let best: { modules: boolean[][]; penalty: number } | null = null;
  for (let mask = 0; mask < MASKS.length; mask++) {
    const modules = drawn(codewords, version, mask);
    const penalty = penaltyOf(modules);
    if (!best || penalty < best.penalty) best = { modules, penalty };
  }
  return best?.modules ?? null;
}

/** A path that fills the dark modules, one unit each; quiet: light modules around them. */
export function qrPath(modules: boolean[][], quiet = 4): string {
  let path = '';
  modules.forEach((row, y) => {
    for (let x = 0; x < row.length; x++) {
      if (!row[x]) continue;
      let width = 1;
      while (row[x + width]) width++;
      path += `M${x + quiet},${y + quiet}h${width}v1h-${width}z`;
      x += width;
    }
  });
  return path;
}

function capacityOf(version: number): number {
  return BLOCKS[version - 1]?.groups.reduce((sum, [count, data]) => sum + count * data, 0) ?? 0;
}

function dataOf(bytes: Uint8Array, version: number): number[] {
  const bits: number[] = [];
  const put = (value: number, length: number) => {
    for (let i = length - 1; i >= 0; i--) bits.push((value >> i) & 1);
  };
  put(4, 4);
  put(bytes.length, version > 9 ? 16 : 8);
  for (const byte of bytes) put(byte, 8);
  const all = capacityOf(version) * 8;
  put(0, Math.min(4, all - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  const out: number[] = [];
  for (let i = 0; i < bits.length; i += 8) out.push(parseInt(bits.slice(i, i + 8).join(''), 2));
  for (let pad = 0xec; out.length * 8 < all; pad ^= 0xec ^ 0x11) out.push(pad);
  return out;
}

function interleaved(data: number[], version: number): number[] {
  const { correction, groups } = BLOCKS[version - 1] ?? { correction: 0, groups: [] };
  const divisor = divisorOf(correction);
  const blocks: { data: number[]; check: number[] }[] = [];
  let at = 0;
  for (const [count, length] of groups) {
    for (let i = 0; i < count; i++) {
      const part = data.slice(at, at + length);
      blocks.push({ data: part, check: remainder(part, divisor) });
      at += length;
    }
  }
  const out: number[] = [];
  const longest = Math.max(...blocks.map((block) => block.data.length));
  for (let i = 0; i < longest; i++) for (const { data: part } of blocks) if (i < part.length) out.push(part[i] as number);
  for (let i = 0; i < correction; i++) for (const { check } of blocks) out.push(check[i] as number);
  return out;
}

/** Product in GF(2^8) over x^8 + x^4 + x^3 + x^2 + 1. */
export function times(a: number, b: number): number {
  let product = 0;
  for (let i = 7; i >= 0; i--) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    product ^= ((b >> i) & 1) * a;
  }
  return product & 0xff;
}

function divisorOf(degree: number): number[] {
  const out = Array.from({ length: degree }, (_, i): number => (i === degree - 1 ? 1 : 0));
  let root = 1;
  for (let i = 0; i < degree; i++) {
    for (let j = 0; j < degree; j++) out[j] = times(out[j] as number, root) ^ (out[j + 1] ?? 0);
    root = times(root, 2);
  }
  return out;
}

function remainder(data: number[], divisor: number[]): number[] {
  const out = divisor.map(() => 0);
  for (const byte of data) {
    const factor = byte ^ (out.shift() as number);
    out.push(0);
    divisor.forEach((each, i) => (out[i] = (out[i] as number) ^ times(each, factor)));
  }
  return out;
}

function drawn(codewords: number[], version: number, mask: number): boolean[][] {
  const size = version * 4 + 17;
  const modules = Array.from({ length: size }, () => Array.from({ length: size }, () => false));
  const fixed = Array.from({ length: size }, () => Array.from({ length: size }, () => false));
  const set = (x: number, y: number, dark: boolean) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    (modules[y] as boolean[])[x] = dark;
    (fixed[y] as boolean[])[x] = true;
  };
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) {
    for (let dy = -4; dy <= 4; dy++) for (let dx = -4; dx <= 4; dx++) {
      const far = Math.max(Math.abs(dx), Math.abs(dy));
      set(cx + dx, cy + dy, far !== 2 && far !== 4);
    }
  }
  const places = ALIGNMENT[version - 1] ?? [];
  for (const cy of places) for (const cx of places) {
    if ((cx === 6 && cy === 6) || (cx === 6 && cy === size - 7) || (cx === size - 7 && cy === 6)) continue;
    for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(cx + dx, cy + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
  }
  if (version >= 7) {
    let rest = version;
    for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
    const bits = (version << 12) | rest;
    for (let i = 0; i < 18; i++) {
      const dark = ((bits >> i) & 1) === 1;
      set(size - 11 + (i % 3), Math.floor(i / 3), dark);
      set(Math.floor(i / 3), size - 11 + (i % 3), dark);
    }
  }
  // Level M is 00; the format is the level, the mask and their check bits.
  let rest = mask;
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
  const format = ((mask << 10) | rest) ^ 0x5412;
  const bit = (i: number) => ((format >> i) & 1) === 1;
  for (let i = 0; i <= 5; i++) set(8, i, bit(i));
  set(8, 7, bit(6));
  set(8, 8, bit(7));
  set(7, 8, bit(8));
  for (let i = 9; i < 15; i++) set(14 - i, 8, bit(i));
  for (let i = 0; i < 8; i++) set(size - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i++) set(8, size - 15 + i, bit(i));
  set(8, size - 8, true);

  const turned = MASKS[mask] ?? (() => false);
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (fixed[y]?.[x]) continue;
        const dark = (((codewords[at >> 3] ?? 0) >> (7 - (at & 7))) & 1) === 1;
        (modules[y] as boolean[])[x] = dark !== turned(x, y);
        at++;
      }
    }
  }
  return modules;
}

function penaltyOf(modules: boolean[][]): number {
  const size = modules.length;
  const at = (x: number, y: number) => modules[y]?.[x] ?? false;
  let penalty = 0;
  for (const turned of [false, true]) {
    for (let a = 0; a < size; a++) {
      const line = Array.from({ length: size }, (_, b) => (turned ? at(a, b) : at(b, a)));
      let run = 1;
      for (let b = 1; b <= size; b++) {
        if (b < size && line[b] === line[b - 1]) run++;
        else {
          if (run >= 5) penalty += run - 2;
          run = 1;
        }
      }
      const text = line.map((dark) => (dark ? '1' : '0')).join('');
      for (const pattern of ['10111010000', '00001011101']) {
        for (let from = text.indexOf(pattern); from >= 0; from = text.indexOf(pattern, from + 1)) penalty += 40;
      }
    }
  }
  let dark = 0;
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    if (at(x, y)) dark++;
    if (x + 1 < size && y + 1 < size && at(x, y) === at(x + 1, y) && at(x, y) === at(x, y + 1) && at(x, y) === at(x + 1, y + 1)) penalty += 3;
  }
  return penalty + Math.floor(Math.abs((dark * 20) / (size * size) - 10)) * 10;
}
