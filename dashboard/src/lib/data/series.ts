/** What the time chart draws, made from one or two answers. */
import type { DayRange } from './dates';
import { currencyOf, numberOf } from './figures';
import { isCount, type FigureMetric } from './metric';
import type { Interval } from './period';
import { intervalOfResult, type QueryResult } from './question';

export interface Point {
  /** Start of the bucket as the API labels it. */
  label: string;
  /** null: nothing to compute it from, or still ahead. */
  value: number | null;
  /** The bucket has not ended, or the range cuts it. */
  partial: boolean;
  /** Start of the bucket it is compared with, by position; null without one. */
  otherLabel: string | null;
  other: number | null;
}

export interface Series {
  metric: FigureMetric;
  interval: Interval;
  points: Point[];
  /** The days asked about, as the node understood them. */
  range: DayRange;
  /** Whether there is a second line. */
  compared: boolean;
  /** The days or times of the second line, as the node understood them. */
  otherRange?: DayRange;
  /** Only of money. */
  currency?: string;
}

/**
 * Joins the answers by position. Without an answer of its own, the other line
 * is the comparison within the main one. moment ("YYYY-MM-DD HH:MM:00" in the
 * site's zone) tells which buckets lie ahead and stay empty.
 */
export function buildSeries(
  metric: FigureMetric, asked: Interval, main: QueryResult, other: QueryResult | null, moment: string,
): Series {
  const interval = intervalOfResult(main, asked);
  const partial = new Set(main.meta.partial_time_labels ?? []);
  const current = bucketsOf(main, metric);
  const within = main.meta.comparison_time_labels !== undefined;
  const before = other ? bucketsOf(other, metric) : within ? comparedBuckets(main, metric) : [];
  // A comparison may have more buckets (31 days against 30); they have no place on the axis.
  const points = current.map(({ label, value }, i): Point => ({
    label,
    value: isAhead(label, interval, moment) ? null : value,
    partial: partial.has(label),
    otherLabel: before[i]?.label ?? null,
    other: before[i]?.value ?? null,
  }));
  const [from = '', to = ''] = main.query.date_range;
  const otherRange = other?.query.date_range ?? main.meta.comparison_date_range;
  const currency = [main, other].flatMap((result) => result?.results.map((row) => currencyOf(row.metrics[0])) ?? []).find((found) => found !== null);
  return {
    metric, interval, points, range: { from: from.slice(0, 10), to: to.slice(0, 10) }, compared: other !== null || within,
    ...(otherRange ? { otherRange: { from: otherRange[0]?.slice(0, 10) ?? '', to: otherRange[1]?.slice(0, 10) ?? '' } } : {}),
    ...(currency ? { currency } : {}),
  };
}

function isAhead(label: string, interval: Interval, moment: string): boolean {
  const length = interval === 'minute' ? 16 : interval === 'hour' ? 13 : 10;
  return label.slice(0, length) > moment.slice(0, length);
}

/**
 * One bucket per label in order. A label can come twice, when clocks are set
 * back, so rows are taken in turn and not looked up.
 */
function bucketsOf(result: QueryResult, metric: FigureMetric): { label: string; value: number | null }[] {
  const rows = new Map<string, (number | null)[]>();
  for (const row of result.results) {
    const label = row.dimensions[0] ?? '';
    const values = rows.get(label) ?? [];
    values.push(numberOf(row.metrics[0]));
    rows.set(label, values);
  }
  const labels = result.meta.time_labels ?? result.results.map((row) => row.dimensions[0] ?? '');
  return labels.map((label) => ({ label, value: rows.get(label)?.shift() ?? emptyOf(metric, rows.has(label)) }));
}

/** The other line of an answer that holds both, by position. */
function comparedBuckets(result: QueryResult, metric: FigureMetric): { label: string; value: number | null }[] {
  const rows = new Map(result.results.flatMap((row) =>
    row.comparison ? [[row.comparison.dimensions[0] ?? '', numberOf(row.comparison.metrics[0])] as const] : []));
  return (result.meta.comparison_time_labels ?? []).map((label) => ({ label, value: rows.get(label) ?? emptyOf(metric, rows.has(label)) }));
}

/** What a bucket without a number stands for: a count of nothing is zero, a rate of nothing is unknown. */
function emptyOf(metric: FigureMetric, answered: boolean): number | null {
  return isCount(metric) && (!answered || metric === 'total_revenue') ? 0 : null;
}

/** The points that make up each line; the dashed one leads into and out of partial buckets. */
export function splitPartial(points: Point[]): { solid: (number | null)[]; dashed: (number | null)[] } {
  const solid = points.map((point) => (point.partial ? null : point.value));
  const dashed = points.map((point, i) => {
    const near = point.partial || points[i - 1]?.partial || points[i + 1]?.partial;
    return near ? point.value : null;
  });
  return { solid, dashed };
}
