/** The monthly visit status: bars of two years, each with the month a year before. */
import type { components } from '../api/schema';
import { addMonths, isDay } from './dates';
import type { Metric } from './metric';

export type Month = components['schemas']['Month'];
export type MonthChange = components['schemas']['MonthChange'];

/** Bars shown. */
export const BARS = 24;
/** Months asked for, so that each bar has its year before. */
export const MONTHS_ASKED = BARS + 12;

export interface Bar {
  month: string;
  value: number;
  partial: boolean;
  /** The month a year before; null before the first event. */
  yearBefore: number | null;
}

/** Oldest first. Months arrive newest first and without gaps. */
export function buildBars(months: Month[], metric: Metric): Bar[] {
  const byName = new Map(months.map((month) => [month.month, month]));
  return months.slice(0, BARS).map((month) => ({
    month: month.month,
    value: month[metric],
    partial: month.partial,
    yearBefore: byName.get(yearBefore(month.month))?.[metric] ?? null,
  })).reverse();
}

/** The last month of the bars before these; null where nothing is older. */
export function earlierEnd(months: Month[]): string | null {
  return months[BARS]?.month ?? null;
}

/** The last month of the bars after the ones that end with end, both "2026-11". */
export function laterEnd(end: string): string {
  return addMonths(`${end}-01`, BARS).slice(0, 7);
}

/** A month that an address names; null when it makes no sense. */
export function parseMonth(text: string | null): string | null {
  return text !== null && isDay(`${text}-01`) ? text : null;
}

/** "2026-11" → "2025-11". */
export function yearBefore(month: string): string {
  return `${String(Number(month.slice(0, 4)) - 1).padStart(4, '0')}${month.slice(4)}`;
}

/** The month that an address names, where there is one, else the newest. */
export function pickMonth(months: Month[], name: string | null): Month | null {
  return months.find((month) => month.month === name) ?? months[0] ?? null;
}

/** What of a closed month can still grow by late arrivals. */
export const CLOSED_FIGURES = ['visitors', 'visits', 'pageviews'] as const;

/** The beginning and the end of a digest, enough to compare by eye. */
export function shortDigest(digest: string): string {
  return digest.length > 20 ? `${digest.slice(0, 8)}…${digest.slice(-8)}` : digest;
}
