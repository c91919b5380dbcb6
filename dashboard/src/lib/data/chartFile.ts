/** The time chart as a file of comma-separated values. */
import type { Series } from './series';

/** Times as the API labels them and numbers without grouping, so that spreadsheets understand them. */
export function chartCsv({ metric, compared, currency, points }: Pick<Series, 'metric' | 'compared' | 'currency' | 'points'>): string {
  const name = currency ? `${metric}_${currency}` : metric;
  const head = ['time', name, 'partial', ...(compared ? ['comparison_time', `comparison_${name}`] : [])];
  const rows = points.map((point) => [
    point.label, point.value ?? '', point.partial ? 1 : 0, ...(compared ? [point.otherLabel ?? '', point.other ?? ''] : []),
  ]);
  return [head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}

function cell(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
