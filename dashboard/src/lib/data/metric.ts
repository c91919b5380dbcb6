/** The figures of a site, and what each may be asked together with. */
import { testedBy, type Filter, type KnownSegment } from './filter';

export const METRICS = [
  'visitors', 'visits', 'pageviews', 'views_per_visit', 'bounce_rate', 'visit_duration',
] as const;
export type Metric = (typeof METRICS)[number];

/** The same and revenue, which only sites with a goal of money have. */
export const FIGURE_METRICS = [...METRICS, 'total_revenue'] as const;
export type FigureMetric = (typeof FIGURE_METRICS)[number];

export const DEFAULT_METRIC: Metric = 'visitors';

/** Metrics whose buckets without data are zero; the others have no value there. */
export function isCount(metric: FigureMetric): boolean {
  return metric === 'visitors' || metric === 'visits' || metric === 'pageviews' || metric === 'total_revenue';
}

/** Tells whether a smaller number is the better one. */
export function lessIsBetter(metric: FigureMetric): boolean {
  return metric === 'bounce_rate';
}

/** Tells whether a change is given in points instead of percent. */
export function changesInPoints(metric: FigureMetric): boolean {
  return metric === 'bounce_rate';
}

/** The API refuses views per visit when pages are filtered: views of one page per visit mean nothing. */
export function isAvailable(metric: FigureMetric, filters: readonly Filter[], segments: readonly KnownSegment[] = []): boolean {
  return metric !== 'views_per_visit' || !testedBy(filters, segments).page;
}

export function parseMetric(text: string | null): Metric {
  return (METRICS as readonly string[]).includes(text ?? '') ? (text as Metric) : DEFAULT_METRIC;
}

/** The same, and revenue. */
export function parseFigureMetric(text: string | null): FigureMetric {
  return text === 'total_revenue' ? text : parseMetric(text);
}
