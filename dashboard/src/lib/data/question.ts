/** The questions that a site's page asks the Stats API, made from what the page shows. */
import type { components } from '../api/schema';
import { comparedWith, intervalOf, type SiteView } from './address';
import type { Day } from './dates';
import { testedBy, toApiFilters } from './filter';
import { FIGURE_METRICS, isAvailable, type FigureMetric } from './metric';
import { askedRange, INTERVALS, rangeForApi, rangeOf, type Interval } from './period';

export type Question = components['schemas']['Query'];
export type QueryResult = components['schemas']['QueryResult'];

type Comparisons = components['schemas']['Comparisons'];

/** The six figures of the period, with the change against the comparison. */
export function figuresQuestion(domain: string, view: SiteView, today: Day): Question {
  const comparisons = comparisonsAsked(view, today);
  return {
    ...baseQuestion(domain, view, today),
    metrics: availableMetrics(view),
    ...(comparisons ? { include: { comparisons } } : {}),
  };
}

/** The revenue of the period in the same way, of these goals; null without any. It belongs to goals, so it is a question of its own. */
export function moneyQuestion(domain: string, view: SiteView, today: Day, goals: readonly string[]): Question | null {
  if (goals.length === 0) return null;
  const question = figuresQuestion(domain, view, today);
  return { ...question, metrics: ['total_revenue'], filters: withGoals(question.filters, view, goals) };
}

/** Names of the goals whose revenue adds up: those in the currency of the first that has one. */
export function moneyGoals(goals: readonly { display_name: string; currency: string | null }[]): string[] {
  const currency = goals.find((goal) => goal.currency !== null)?.currency;
  return goals.filter((goal) => currency && goal.currency === currency).map((goal) => goal.display_name);
}

/** Where a goal is filtered by already, revenue is that goal's. */
function withGoals(filters: Question['filters'], view: SiteView, goals: readonly string[]): Question['filters'] {
  if (goals.length === 0 || testedBy(view.filters, view.segments).goal) return filters;
  return [...(filters ?? []), ['is', 'event:goal', [...goals]]] as Question['filters'];
}

/**
 * What figures are compared with, as the API takes it; null for nothing. Days
 * are reckoned here, so that what the page says of them is what was asked; only
 * the last 24 hours are left to the API, because they move with its clock.
 */
export function comparisonsAsked(view: SiteView, today: Day): Comparisons | null {
  const other = comparedWith(view, today);
  if (other) return { mode: 'custom', date_range: rangeForApi(other) };
  if (view.period.name !== '24h' || view.compare === 'off') return null;
  return { mode: view.compare === 'year' ? 'year_over_year' : 'previous_period' };
}

/** The chart's line: one metric by time, with the labels of empty buckets too. goals: those whose revenue is meant. */
export function seriesQuestion(domain: string, view: SiteView, today: Day, goals: readonly string[] = []): Question {
  const question = baseQuestion(domain, view, today);
  return {
    ...question,
    ...(view.metric === 'total_revenue' ? { filters: withGoals(question.filters, view, goals) } : {}),
    metrics: [view.metric],
    dimensions: [rangeOf(view.period, today) ? `time:${intervalOf(view, today)}` : timeOfAll(view)],
    include: { time_labels: true, ...(isRolling(view) ? { comparisons: comparisonsAsked(view, today) ?? undefined } : {}) },
  };
}

/**
 * The chart's other line, over the days that the period is compared with, or
 * null. It is a question of its own because it runs to the end of its days,
 * where a comparison of figures stops at the same part.
 */
export function comparisonSeriesQuestion(domain: string, view: SiteView, today: Day, goals: readonly string[] = []): Question | null {
  const other = comparedWith(view, today);
  if (!other || isRolling(view)) return null;
  return { ...seriesQuestion(domain, view, today, goals), date_range: rangeForApi(other) };
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
export function availableMetrics(view: SiteView, revenue = false): FigureMetric[] {
  return FIGURE_METRICS.filter((metric) => (metric !== 'total_revenue' || revenue) && isAvailable(metric, view.filters, view.segments));
}

/** The interval that a result was really grouped by; the API picks one where it was left to it. */
export function intervalOfResult(result: QueryResult, asked: Interval): Interval {
  const dimension = result.query.dimensions.find((name) => name.startsWith('time:'))?.slice(5);
  return INTERVALS.find((name) => name === dimension) ?? asked;
}

/** What all questions of a page have in common: its site, its days and its filters. */
export function baseQuestion(domain: string, view: SiteView, today: Day): Question {
  return {
    site_id: domain,
    metrics: [],
    date_range: askedRange(view.period, today),
    filters: toApiFilters(view.filters) as Question['filters'] & object,
  };
}

/** The last 24 hours: both of their lines come with one answer. */
function isRolling(view: SiteView): boolean {
  return view.period.name === '24h';
}

/** All of the time has no length that is known here, so the API picks unless the merchant did. */
function timeOfAll(view: SiteView): string {
  return view.interval && view.interval !== 'hour' && view.interval !== 'minute' ? `time:${view.interval}` : 'time';
}
