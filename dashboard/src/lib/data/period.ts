/**
 * Periods that a merchant picks, and the days they stand for. A period without
 * a date moves along with today; the arrows pin it to one.
 */
import {
  addDays, addMonths, daysIn, endOfMonth, endOfYear, isDay, startOfMonth, startOfYear,
  type Day, type DayRange,
} from './dates';

export const PERIOD_NAMES = [
  'day', 'yesterday', '7d', '30d', 'month', 'lastmonth', '12mo', 'year', 'all', 'custom',
] as const;
export type PeriodName = (typeof PERIOD_NAMES)[number];

export interface Period {
  name: PeriodName;
  /** The last day (7d, 30d), or a day inside (day, month, 12mo, year) of a period that is not the current one. */
  date?: Day;
  /** Only of custom. */
  from?: Day;
  to?: Day;
}

export const INTERVALS = ['hour', 'day', 'week', 'month'] as const;
export type Interval = (typeof INTERVALS)[number];

export type Compare = 'off' | 'previous' | 'year';

export const DEFAULT_PERIOD: Period = { name: '7d' };

/** The days of a period, or null for all of the time. The last days may lie ahead of today. */
export function rangeOf(period: Period, today: Day): DayRange | null {
  const anchor = period.date ?? today;
  switch (period.name) {
    case 'day': return { from: anchor, to: anchor };
    case 'yesterday': return { from: addDays(today, -1), to: addDays(today, -1) };
    case '7d': return { from: addDays(anchor, -6), to: anchor };
    case '30d': return { from: addDays(anchor, -29), to: anchor };
    case 'month': return { from: startOfMonth(anchor), to: endOfMonth(anchor) };
    case 'lastmonth': {
      const month = addMonths(today, -1);
      return { from: startOfMonth(month), to: endOfMonth(month) };
    }
    case '12mo': return { from: startOfMonth(addMonths(anchor, -11)), to: endOfMonth(anchor) };
    case 'year': return { from: startOfYear(anchor), to: endOfYear(anchor) };
    case 'custom': return { from: period.from ?? today, to: period.to ?? today };
    case 'all': return null;
  }
}

/** The period one step back (-1) or on (1); null where there is none: before all time, or ahead of today. */
export function shift(period: Period, today: Day, step: -1 | 1): Period | null {
  const range = rangeOf(period, today);
  if (!range) return null;
  const moved = moveBy(period, range, step);
  const movedRange = rangeOf(moved, today);
  if (!movedRange || movedRange.from > today) return null;
  return isCurrent(moved, today) ? { name: moved.name } : moved;
}

function moveBy(period: Period, range: DayRange, step: number): Period {
  switch (period.name) {
    case 'day':
    case 'yesterday': return { name: 'day', date: addDays(range.from, step) };
    case '7d':
    case '30d': return { name: period.name, date: addDays(range.to, step * daysIn(range)) };
    case 'month':
    case 'lastmonth': return { name: 'month', date: addMonths(range.from, step) };
    case '12mo': return { name: '12mo', date: addMonths(startOfMonth(range.to), 12 * step) };
    case 'year': return { name: 'year', date: addMonths(range.from, 12 * step) };
    default: {
      const days = step * daysIn(range);
      return { name: 'custom', from: addDays(range.from, days), to: addDays(range.to, days) };
    }
  }
}

function isCurrent(period: Period, today: Day): boolean {
  if (!period.date) return false;
  const pinned = rangeOf(period, today);
  const current = rangeOf({ name: period.name }, today);
  return pinned?.from === current?.from && pinned?.to === current?.to;
}

/** The days that a period is compared with; null when there is nothing to compare. */
export function comparisonOf(period: Period, compare: Compare, today: Day): DayRange | null {
  const range = rangeOf(period, today);
  if (!range || compare === 'off') return null;
  if (compare === 'year') return { from: addMonths(range.from, -12), to: yearBefore(range) };
  const months = calendarMonths(period.name);
  if (months) {
    return { from: addMonths(range.from, -months), to: addDays(range.from, -1) };
  }
  const days = daysIn(range);
  return { from: addDays(range.from, -days), to: addDays(range.to, -days) };
}

/** The end of a range a year before, so that a whole month stays a whole month in leap years. */
function yearBefore(range: DayRange): Day {
  return range.to === endOfMonth(range.to) && range.from === startOfMonth(range.from)
    ? endOfMonth(addMonths(range.to, -12))
    : addMonths(range.to, -12);
}

/** How many calendar months a period of that name spans, 0 when it is measured in days. */
export function calendarMonths(name: PeriodName): number {
  switch (name) {
    case 'month':
    case 'lastmonth': return 1;
    case '12mo':
    case 'year': return 12;
    default: return 0;
  }
}

/** The intervals in which a range can be drawn well, the usual one first. */
export function intervalsFor(range: DayRange | null): [Interval, ...Interval[]] {
  if (!range) return ['month', 'week', 'day'];
  const days = daysIn(range);
  if (days <= 1) return ['hour'];
  if (days <= 7) return ['day', 'hour'];
  if (days <= 31) return ['day', 'week'];
  if (days <= 100) return ['day', 'week', 'month'];
  return ['month', 'week', 'day'];
}

/** Tells whether today lies in the period, so that new views change its figures. */
export function includesToday(period: Period, today: Day): boolean {
  const range = rangeOf(period, today);
  return !range || (range.from <= today && today <= range.to);
}

/** Reads a period from the query of a page's address; what makes no sense gives the default. */
export function parsePeriod(params: URLSearchParams): Period {
  const name = params.get('period');
  const from = params.get('from') ?? '';
  const to = params.get('to') ?? '';
  if (name === 'custom') {
    return isDay(from) && isDay(to) && from <= to ? { name, from, to } : DEFAULT_PERIOD;
  }
  if (!isPeriodName(name)) return DEFAULT_PERIOD;
  const date = params.get('date') ?? '';
  const pinnable = name !== 'all' && name !== 'yesterday' && name !== 'lastmonth';
  return pinnable && isDay(date) ? { name, date } : { name };
}

/** Writes a period into params; the default one leaves no trace. */
export function writePeriod(params: URLSearchParams, period: Period): void {
  for (const key of ['period', 'date', 'from', 'to']) params.delete(key);
  if (period.name === DEFAULT_PERIOD.name && !period.date) return;
  params.set('period', period.name);
  if (period.date) params.set('date', period.date);
  if (period.name === 'custom') {
    params.set('from', period.from ?? '');
    params.set('to', period.to ?? '');
  }
}

function isPeriodName(text: string | null): text is PeriodName {
  return (PERIOD_NAMES as readonly string[]).includes(text ?? '');
}
