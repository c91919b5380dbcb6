/** One page's own report, and the list to pick a page from. */
import type { components } from '../api/schema';
import type { Interval } from './period';
import { intervalsFor, rangeOf } from './period';
import type { Day } from './dates';
import { askedOf, type ReportView } from './report';
import type { Question, QueryResult } from './question';
import type { Series } from './series';

export type PageAnswer = components['schemas']['PageReport'];
export type Neighbours = components['schemas']['Neighbours'];

export const PAGE_METRICS = ['visitors', 'visits', 'pageviews'] as const;
export type PageMetric = (typeof PAGE_METRICS)[number];

export function parsePageMetric(text: string | null): PageMetric {
  return PAGE_METRICS.find((name) => name === text) ?? 'visitors';
}

export function pageRequest(page: string, view: ReportView, today: Day): components['schemas']['PageRequest'] {
  return { page, ...askedOf(view, today), interval: pageInterval(view, today) };
}

export function pageInterval(view: ReportView, today: Day): Exclude<Interval, 'minute'> {
  return intervalsFor(rangeOf(view.period, today))[0];
}

/** The pages of a period, those with the most visitors first. search: text that their paths contain. */
export function pagesQuestion(domain: string, view: ReportView, today: Day, search: string): Question {
  const asked = askedOf(view, today);
  return {
    site_id: domain, ...asked,
    filters: search === '' ? asked.filters : [...asked.filters, ['contains', 'event:page', [search], { case_sensitive: false }]],
    metrics: ['visitors', 'pageviews', 'bounce_rate', 'time_on_page', 'scroll_depth'],
    dimensions: ['event:page'],
    order_by: [['visitors', 'desc'], ['event:page', 'asc']],
    include: { total_rows: true },
    pagination: { limit: 50 },
  };
}

export interface PageRow {
  page: string;
  visitors: number;
  pageviews: number;
  bounceRate: number | null;
  timeOnPage: number | null;
  scrollDepth: number | null;
  /** 0…1 of the largest. */
  share: number;
}

export function buildPageRows(result: QueryResult): { rows: PageRow[]; total: number } {
  const number = (value: unknown) => (typeof value === 'number' ? value : null);
  const most = Math.max(1, ...result.results.map((row) => number(row.metrics[0]) ?? 0));
  const rows = result.results.map((row): PageRow => {
    const [visitors, pageviews, bounceRate, timeOnPage, scrollDepth] = row.metrics.map(number);
    return {
      page: row.dimensions[0] ?? '', visitors: visitors ?? 0, pageviews: pageviews ?? 0,
      bounceRate: bounceRate ?? null, timeOnPage: timeOnPage ?? null, scrollDepth: scrollDepth ?? null,
      share: (visitors ?? 0) / most,
    };
  });
  return { rows, total: result.meta.total_rows ?? rows.length };
}

/** The page's series for the time chart. thisHour: "YYYY-MM-DD HH:00:00" in the site's zone. */
export function pageSeries(answer: PageAnswer, metric: PageMetric, interval: Interval, thisHour: string): Series {
  const points = answer.series.map((bucket, i) => {
    const { time } = bucket;
    const next = answer.series[i + 1]?.time;
    const ahead = interval === 'hour' ? time > thisHour : time.slice(0, 10) > thisHour.slice(0, 10);
    const current = !ahead && (next === undefined || (interval === 'hour' ? next > thisHour : next.slice(0, 10) > thisHour.slice(0, 10)));
    return {
      label: time, value: ahead ? null : bucket[metric],
      partial: current && answer.meta.partial, otherLabel: null, other: null,
    };
  });
  return {
    metric, interval, points, compared: false,
    range: { from: answer.query.from.slice(0, 10), to: answer.query.to.slice(0, 10) },
  };
}

export interface Reach {
  /** Percent of the page. */
  depth: number;
  visitors: number;
  /** Percent of all who were on the page. */
  rate: number;
}

/** How many visitors got at least so far down the page. */
export function scrollReach(answer: Pick<PageAnswer, 'scroll'>): Reach[] {
  const all = answer.scroll.reduce((sum, part) => sum + part.visitors, 0);
  let rest = all;
  return answer.scroll.map((part) => {
    const visitors = rest;
    rest -= part.visitors;
    return { depth: part.from, visitors, rate: all > 0 ? (visitors / all) * 100 : 0 };
  });
}
