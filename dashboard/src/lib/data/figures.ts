/** The figures of a site and their changes, made from one answer. */
import { changesInPoints, lessIsBetter, METRICS, type FigureMetric } from './metric';
import type { QueryResult } from './question';

export interface Figure {
  metric: FigureMetric;
  /** null: not to be had with these filters, or nothing to compute it from. */
  value: number | null;
  /** Percent, or points for rates; null without a comparison. */
  change: number | null;
  /** The value it is compared with. */
  other: number | null;
  /** Only of money. */
  currency?: string;
}

export type Tone = 'good' | 'bad' | 'same';

/** money: the answer to the question for revenue, where it was asked. */
export function buildFigures(result: QueryResult, money: QueryResult | null = null): Figure[] {
  return [...METRICS.map((metric) => figureOf(result, metric)), ...(money ? [figureOf(money, 'total_revenue')] : [])];
}

function figureOf(result: QueryResult, metric: FigureMetric): Figure {
  const row = result.results[0];
  const i = result.query.metrics.indexOf(metric);
  const currency = currencyAt(row?.metrics, i) ?? currencyAt(row?.comparison?.metrics, i);
  return {
    metric,
    value: numberAt(row?.metrics, i),
    change: row?.comparison?.change[i] ?? null,
    other: numberAt(row?.comparison?.metrics, i),
    ...(currency === null ? {} : { currency }),
  };
}

/** Whether a change is welcome. */
export function toneOf(metric: FigureMetric, change: number): Tone {
  if (change === 0) return 'same';
  return change > 0 === !lessIsBetter(metric) ? 'good' : 'bad';
}

/** The change from one figure to another as the API reckons it: percent, or points for rates; null where it cannot be told. */
export function changeBetween(metric: FigureMetric, value: number | null, other: number | null): number | null {
  if (value === null || other === null) return null;
  if (changesInPoints(metric)) return Math.round(value - other);
  return other > 0 ? Math.round(((value - other) / other) * 100) : null;
}

function numberAt(values: unknown[] | undefined, i: number): number | null {
  return numberOf(values?.[i]);
}

/** A figure of an answer as a number: money is an amount with its currency. */
export function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'object' && value !== null && 'value' in value && typeof value.value === 'number') return value.value;
  return null;
}

function currencyAt(values: unknown[] | undefined, i: number): string | null {
  return currencyOf(values?.[i]);
}

export function currencyOf(value: unknown): string | null {
  return typeof value === 'object' && value !== null && 'currency' in value && typeof value.currency === 'string' ? value.currency : null;
}
