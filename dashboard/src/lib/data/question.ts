/** The questions that a site's page asks the Stats API, made from what the page shows. */
import type { components } from '../api/schema';
import { intervalOf, type SiteView } from './address';
import type { Day } from './dates';
import { toApiFilters } from './filter';
import { isAvailable, METRICS, type Metric } from './metric';
import { dimensionOf, type Tab } from './panel';
import { comparisonOf, rangeOf, type Interval } from './period';

export type Question = components['schemas']['Query'];
export type QueryResult = components['schemas']['QueryResult'];

/** How many rows a panel shows before it is opened in full. */
export const PANEL_ROWS = 9;
/** How many rows the full list of a panel gets at a time. */
export const LIST_ROWS = 100;

/** The six figures of the period, with the change against the comparison. */
export function figuresQuestion(domain: string, view: SiteView, today: Day): Question {
  const other = comparisonOf(view.period, view.compare, today);
  return {
    ...base(domain, view, today),
    metrics: availableMetrics(view),
    ...(other ? { include: { comparisons: { mode: 'custom', date_range: [other.from, other.to] } } } : {}),
  };
}

/** The chart's line: one metric by time, with the labels of empty buckets too. */
export function seriesQuestion(domain: string, view: SiteView, today: Day): Question {
  return {
    ...base(domain, view, today),
    metrics: [view.metric],
    dimensions: [rangeOf(view.period, today) ? `time:${intervalOf(view, today)}` : timeOfAll(view)],
    include: { time_labels: true },
  };
}

/**
 * The chart's other line, over the days that the period is compared with, or
 * null. It is a question of its own because it runs to the end of its days,
 * where a comparison of figures stops at the same part.
 */
export function comparisonSeriesQuestion(domain: string, view: SiteView, today: Day): Question | null {
  const other = comparisonOf(view.period, view.compare, today);
  if (!other) return null;
  return { ...seriesQuestion(domain, view, today), date_range: [other.from, other.to] };
}

/** The rows of a panel's tab. */
export function panelQuestion(
  domain: string, view: SiteView, today: Day, tab: Tab, limit = PANEL_ROWS, offset = 0,
): Question {
  return {
    ...base(domain, view, today),
    metrics: tab.views ? ['visitors', 'pageviews'] : ['visitors'],
    dimensions: [dimensionOf(tab)],
    order_by: [['visitors', 'desc'], [dimensionOf(tab), 'asc']],
    include: { total_rows: true },
    pagination: { limit, offset },
  };
}

/** Whether the site ever had a view. */
export function everQuestion(domain: string): Question {
  return { site_id: domain, metrics: ['pageviews'], date_range: 'all' };
}

/** Visitors of the last five minutes. */
export function liveQuestion(domain: string): Question {
  return { site_id: domain, metrics: ['visitors'], date_range: 'realtime' };
}

/** The metrics that can be asked for together with the filters in force. */
export function availableMetrics(view: SiteView): Metric[] {
  return METRICS.filter((metric) => isAvailable(metric, view.filters));
}

/** The interval that a result was really grouped by; the API picks one where it was left to it. */
export function intervalOfResult(result: QueryResult, asked: Interval): Interval {
  const dimension = result.query.dimensions.find((name) => name.startsWith('time:'))?.slice(5);
  if (dimension === 'hour' || dimension === 'day' || dimension === 'week' || dimension === 'month') {
    return dimension;
  }
  return asked;
}

function base(domain: string, view: SiteView, today: Day): Question {
  const range = rangeOf(view.period, today);
  return {
    site_id: domain,
    metrics: [],
    date_range: range ? [range.from, range.to] : 'all',
    filters: toApiFilters(view.filters),
  };
}

/** All of the time has no length that is known here, so the API picks unless the merchant did. */
function timeOfAll(view: SiteView): string {
  return view.interval && view.interval !== 'hour' ? `time:${view.interval}` : 'time';
}
