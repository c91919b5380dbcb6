/** The six figures of a site, and what each may be asked together with. */
import type { Filter } from './filter';

export const METRICS = [
  'visitors', 'visits', 'pageviews', 'views_per_visit', 'bounce_rate', 'visit_duration',
] as const;
export type Metric = (typeof METRICS)[number];

export const DEFAULT_METRIC: Metric = 'visitors';

/** Metrics whose buckets without data are zero; the others have no value there. */
export function isCount(metric: Metric): boolean {
  return metric === 'visitors' || metric === 'visits' || metric === 'pageviews';
}

/** Tells whether a smaller number is the better one. */
export function lessIsBetter(metric: Metric): boolean {
  return metric === 'bounce_rate';
}

/** Tells whether a change is given in points instead of percent. */
export function changesInPoints(metric: Metric): boolean {
  return metric === 'bounce_rate';
}

/** The API refuses views per visit when pages are filtered: views of one page per visit mean nothing. */
export function isAvailable(metric: Metric, filters: Filter[]): boolean {
  return metric !== 'views_per_visit' || !filters.some((filter) => filter.name === 'page');
}

export function parseMetric(text: string | null): Metric {
  return (METRICS as readonly string[]).includes(text ?? '') ? (text as Metric) : DEFAULT_METRIC;
}
