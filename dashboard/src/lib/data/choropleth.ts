/** Shades of a map: which class a count belongs to, and what the legend says. */

/** How many shades there are besides that of nothing. */
export const SHADES = 5;

/**
 * The smallest count of each shade, lightest first. They grow with the square,
 * so that one big market does not bleach all others. Few counts have few shades.
 */
export function shadesFor(most: number): number[] {
  if (most <= 0) return [];
  const starts = Array.from({ length: SHADES }, (_, i) => Math.max(1, roundStart(most * (i / SHADES) ** 2)));
  return [...new Set(starts)].filter((start) => start <= most);
}

/** 1…SHADES, the darkest for the largest; 0 for nothing. */
export function shadeOf(count: number, starts: readonly number[]): number {
  const passed = starts.filter((start) => count >= start).length;
  return passed === 0 ? 0 : SHADES - starts.length + passed;
}

/** First and last count of each shade; the last one is open. */
export function legendOf(starts: readonly number[]): { shade: number; from: number; to: number | null }[] {
  return starts.map((from, i) => {
    const next = starts[i + 1];
    return { shade: SHADES - starts.length + i + 1, from, to: next === undefined ? null : next - 1 };
  });
}

/** Two digits are enough to read. */
function roundStart(value: number): number {
  if (value < 20) return Math.round(value);
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Math.round(value / unit) * unit;
}
