/** What the addresses and questions of all report pages share: the period and the filters. */
import { parseFilters, toApiFilters, writeFilters, type Filter } from './filter';
import { askedRange, includesToday, parsePeriod, writePeriod, type Period } from './period';
import type { Day } from './dates';
import type { Question } from './question';

export interface ReportView {
  period: Period;
  filters: Filter[];
}

/** What goes along from one page of a site to the next. */
const KEPT = ['period', 'date', 'from', 'to', 'f'];

export function parseReportView(params: URLSearchParams): ReportView {
  return { period: parsePeriod(params), filters: parseFilters(params) };
}

/** Writes the view into params, which keep what else they say. */
export function writeReportView(params: URLSearchParams, view: ReportView): void {
  writePeriod(params, view.period);
  writeFilters(params, view.filters);
}

/** An address's query, "" or starting with "?". */
export function queryOf(params: URLSearchParams): string {
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** The part of an address's query that the other pages of the site understand too. */
export function keptQuery(search: string): string {
  const kept = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(search)) {
    if (KEPT.includes(name)) kept.append(name, value);
  }
  return queryOf(kept);
}

export interface Asked {
  date_range: Question['date_range'];
  filters: NonNullable<Question['filters']>;
}

/** The range and the filters as every report takes them. */
export function askedOf(view: ReportView, today: Day): Asked {
  return {
    date_range: askedRange(view.period, today),
    filters: toApiFilters(view.filters),
  };
}

/** Whether new views change what the view shows. */
export function isOpen(view: ReportView, today: Day): boolean {
  return includesToday(view.period, today);
}
