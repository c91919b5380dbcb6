/** Who comes back: one row for each week or month of first visits, one column for each after it. */
import type { components } from '../api/schema';
import type { Filter } from './filter';
import { toApiFilters } from './filter';

export type RetentionAnswer = components['schemas']['Retention'];
export type RetentionInterval = 'week' | 'month';

/** How many weeks or months back the rows go, the usual one first. */
export const SPANS: Record<RetentionInterval, readonly [number, ...number[]]> = { week: [12, 26, 52], month: [12, 24, 36] };

export interface RetentionView {
  interval: RetentionInterval;
  span: number;
}

export interface RetentionCell {
  /** Weeks or months after the first. */
  after: number;
  returned: number;
  /** Percent of the row's visitors. */
  rate: number;
  /** 0 to 6, by the rate in the table's own range. */
  level: number;
}

export interface RetentionRow {
  start: string;
  partial: boolean;
  visitors: number;
  cells: RetentionCell[];
}

export interface RetentionTable {
  rows: RetentionRow[];
  /** Columns after the first week or month. */
  columns: number;
  /** Percent by column, of all rows that have it. */
  averages: number[];
  visitors: number;
}

const LEVELS = 6;

export function parseRetentionView(params: URLSearchParams): RetentionView {
  const interval = params.get('interval') === 'month' ? 'month' : 'week';
  const span = SPANS[interval].find((count) => String(count) === params.get('span')) ?? SPANS[interval][0];
  return { interval, span };
}

export function writeRetentionView(params: URLSearchParams, view: RetentionView): void {
  params.delete('interval');
  params.delete('span');
  if (view.interval !== 'week') params.set('interval', view.interval);
  if (view.span !== SPANS[view.interval][0]) params.set('span', String(view.span));
}

export function retentionRequest(view: RetentionView, filters: Filter[]): components['schemas']['RetentionRequest'] {
  return {
    interval: view.interval,
    date_range: view.interval === 'week' ? `${view.span * 7}d` : `${view.span}mo`,
    periods: Math.min(view.span, 24),
    filters: toApiFilters(filters),
  };
}

export function buildRetention(answer: RetentionAnswer): RetentionTable {
  const columns = Math.max(0, ...answer.cohorts.map((cohort) => cohort.returned.length));
  const most = Math.max(0, ...answer.cohorts.flatMap((cohort) => cohort.return_rates));
  const rows = answer.cohorts.map((cohort): RetentionRow => ({
    start: cohort.start, partial: cohort.partial, visitors: cohort.visitors,
    cells: cohort.returned.map((returned, i) => {
      const rate = cohort.return_rates[i] ?? 0;
      return { after: i + 1, returned, rate, level: rate > 0 ? Math.min(LEVELS, Math.max(1, Math.ceil((rate / most) * LEVELS))) : 0 };
    }),
  }));
  const averages = Array.from({ length: columns }, (_, i) => {
    const having = rows.filter((row) => row.cells.length > i);
    const visitors = having.reduce((sum, row) => sum + row.visitors, 0);
    const returned = having.reduce((sum, row) => sum + (row.cells[i]?.returned ?? 0), 0);
    return visitors > 0 ? (returned / visitors) * 100 : 0;
  });
  return { rows, columns, averages, visitors: rows.reduce((sum, row) => sum + row.visitors, 0) };
}

/**
 * Whether an error says that no visitor's id lasts long enough for anybody to
 * be seen coming back: the only reason why a known interval is refused.
 */
export function isForgetful(status: number, message: string): boolean {
  return status === 400 && message.startsWith('interval:');
}
