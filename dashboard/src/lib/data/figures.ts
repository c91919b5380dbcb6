/** The six figures and their changes, made from one answer. */
import { lessIsBetter, METRICS, type Metric } from './metric';
import type { QueryResult } from './question';

export interface Figure {
  metric: Metric;
  /** null: not to be had with these filters, or nothing to compute it from. */
  value: number | null;
  /** Percent, or points for rates; null without a comparison. */
  change: number | null;
  /** The value it is compared with. */
  other: number | null;
}

export type Tone = 'good' | 'bad' | 'same';

export function buildFigures(result: QueryResult): Figure[] {
  const row = result.results[0];
  return METRICS.map((metric) => {
    const i = result.query.metrics.indexOf(metric);
    return {
      metric,
      value: numberAt(row?.metrics, i),
      change: row?.comparison?.change[i] ?? null,
      other: numberAt(row?.comparison?.metrics, i),
    };
  });
}

/** Whether a change is welcome. */
export function toneOf(metric: Metric, change: number): Tone {
  if (change === 0) return 'same';
  return change > 0 === !lessIsBetter(metric) ? 'good' : 'bad';
}

function numberAt(values: unknown[] | undefined, i: number): number | null {
  const value = values?.[i];
  return typeof value === 'number' ? value : null;
}
