/** The text form of metrics that Prometheus reads, as far as a page needs it. */

export interface Sample { name: string; labels: Record<string, string>; value: number }

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Comments and lines that make no sense are left out. */
export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const parts = line.startsWith('#') ? null : LINE.exec(line.trim());
    const value = parts ? numberOf(parts[3] ?? '') : NaN;
    if (!parts?.[1] || Number.isNaN(value)) return [];
    const labels = Object.fromEntries([...(parts[2] ?? '').matchAll(LABEL)].map(([, name = '', of = '']) => [name, of.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))]));
    return [{ name: parts[1], labels, value }];
  });
}

function numberOf(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return text === '' ? NaN : Number(text);
}

/** The sum over all labels; null when there is no such metric. */
export function total(samples: readonly Sample[], name: string): number | null {
  const found = samples.filter((sample) => sample.name === name);
  return found.length === 0 ? null : found.reduce((sum, sample) => sum + sample.value, 0);
}

/** Sums by one label, the largest first; without those that are 0. */
export function totalsBy(samples: readonly Sample[], name: string, label: string): { of: string; value: number }[] {
  const sums = new Map<string, number>();
  for (const sample of samples) if (sample.name === name) sums.set(sample.labels[label] ?? '', (sums.get(sample.labels[label] ?? '') ?? 0) + sample.value);
  return [...sums].map(([of, value]) => ({ of, value })).filter(({ value }) => value > 0).sort((a, b) => b.value - a.value || (a.of < b.of ? -1 : 1));
}

export interface Reading { at: number; values: Record<string, number> }

/** By how much a counter rose each second between two readings; null when it cannot be told, as after a restart. */
export function ratePerSecond(before: Reading | null, after: Reading | null, name: string): number | null {
  const [a, b] = [before?.values[name], after?.values[name]];
  if (!before || !after || a === undefined || b === undefined || after.at <= before.at || b < a) return null;
  return (b - a) / ((after.at - before.at) / 1000);
}
