/** What the time chart draws, made from one or two answers. */
import type { DayRange } from './dates';
import { isCount, type Metric } from './metric';
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
  metric: Metric;
  interval: Interval;
  points: Point[];
  /** The days asked about, as the node understood them. */
  range: DayRange;
  /** Whether there is a second line. */
  compared: boolean;
}

/**
 * Joins the answers by position. thisHour ("YYYY-MM-DD HH:00:00" in the site's
 * zone) tells which buckets lie ahead and stay empty.
 */
export function buildSeries(
  metric: Metric, asked: Interval, main: QueryResult, other: QueryResult | null, thisHour: string,
): Series {
  const interval = intervalOfResult(main, asked);
  const partial = new Set(main.meta.partial_time_labels ?? []);
  const current = bucketsOf(main, metric);
  const before = other ? bucketsOf(other, metric) : [];
  // A comparison may have more buckets (31 days against 30); they have no place on the axis.
  const points = current.map(({ label, value }, i): Point => {
    const ahead = interval === 'hour' ? label > thisHour : label.slice(0, 10) > thisHour.slice(0, 10);
    return {
      label,
      value: ahead ? null : value,
      partial: partial.has(label),
      otherLabel: before[i]?.label ?? null,
      other: before[i]?.value ?? null,
    };
  });
  const [from = '', to = ''] = main.query.date_range;
  return { metric, interval, points, range: { from: from.slice(0, 10), to: to.slice(0, 10) }, compared: other !== null };
}

/**
 * One bucket per label in order. A label can come twice, when clocks are set
 * back, so rows are taken in turn and not looked up.
 */
function bucketsOf(result: QueryResult, metric: Metric): { label: string; value: number | null }[] {
  const rows = new Map<string, (number | null)[]>();
  for (const row of result.results) {
    const label = row.dimensions[0] ?? '';
    const value = row.metrics[0];
    const values = rows.get(label) ?? [];
    values.push(typeof value === 'number' ? value : null);
    rows.set(label, values);
  }
  const labels = result.meta.time_labels ?? result.results.map((row) => row.dimensions[0] ?? '');
  return labels.map((label) => {
    const value = rows.get(label)?.shift();
    return { label, value: value === undefined ? (isCount(metric) ? 0 : null) : value };
  });
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
