/**
 * Periods that a merchant picks, and the days they stand for. A period without
 * a date moves along with today; the arrows pin it to one.
 */
import {
  addDays, addMinutes, addMonths, daysIn, endOfMonth, endOfYear, isDay, isMinute, minutesBetween, startOfMonth, startOfWeek,
  startOfYear, weekdayOf, type Day, type DayRange, type Minute,
} from './dates';
import { FIRST_WEEKDAY } from './week';

export const PERIOD_NAMES = [
  'day', 'yesterday', '24h', '7d', '28d', '30d', '91d', 'week', 'lastweek', 'month', 'lastmonth', 'year', 'lastyear', '12mo', 'all', 'custom',
] as const;
export type PeriodName = (typeof PERIOD_NAMES)[number];

export interface Period {
  name: PeriodName;
  /** The last day (7d … 91d), or a day inside (day, week, month, 12mo, year) of a period that is not the current one. */
  date?: Day;
  /** Only of custom: first and last day, or first and last minute of the site's clock. */
  from?: Day | Minute;
  to?: Day | Minute;
}

export const INTERVALS = ['minute', 'hour', 'day', 'week', 'month'] as const;
export type Interval = (typeof INTERVALS)[number];

export const COMPARES = ['off', 'previous', 'year', 'custom'] as const;
export type Compare = (typeof COMPARES)[number];

/** What else is said of a comparison. */
export interface CompareOptions {
  /** Only of custom. */
  days?: DayRange;
  /** Moved by up to three days, so that weekdays stand over weekdays. */
  sameWeekdays?: boolean;
}

export const DEFAULT_PERIOD: Period = { name: '7d' };

/** The days of a period, or null for all of the time. The last days may lie ahead of today. */
export function rangeOf(period: Period, today: Day): DayRange | null {
  const anchor = period.date ?? today;
  switch (period.name) {
    case 'day': return { from: anchor, to: anchor };
    case 'yesterday': return { from: addDays(today, -1), to: addDays(today, -1) };
    case '24h': return { from: addDays(today, -1), to: today };
    case '7d':
    case '28d':
    case '30d':
    case '91d': return { from: addDays(anchor, 1 - lengthOf(period.name)), to: anchor };
    case 'week': return weekOf(anchor);
    case 'lastweek': return weekOf(addDays(today, -7));
    case 'month': return { from: startOfMonth(anchor), to: endOfMonth(anchor) };
    case 'lastmonth': {
      const month = addMonths(today, -1);
      return { from: startOfMonth(month), to: endOfMonth(month) };
    }
    case '12mo': return { from: startOfMonth(addMonths(anchor, -11)), to: endOfMonth(anchor) };
    case 'year': return { from: startOfYear(anchor), to: endOfYear(anchor) };
    case 'lastyear': {
      const year = addMonths(today, -12);
      return { from: startOfYear(year), to: endOfYear(year) };
    }
    case 'custom': return { from: (period.from ?? today).slice(0, 10), to: (period.to ?? today).slice(0, 10) };
    case 'all': return null;
  }
}

/** What the API is asked for: a name, two days, or two times of the site's clock; the last one is included. */
export function askedRange(period: Period, today: Day): 'all' | '24h' | [string, string] {
  const range = rangeOf(period, today);
  if (!range) return 'all';
  if (period.name === '24h') return '24h';
  return isTimed(period) ? rangeForApi({ from: period.from ?? '', to: period.to ?? '' }) : [range.from, range.to];
}

/** Days as they are; of minutes the last second belongs to them too. */
export function rangeForApi({ from, to }: DayRange): [string, string] {
  return isMinute(from) ? [`${from}:00`, `${to}:59`] : [from, to];
}

/** Whether a period begins and ends at times of the clock and not with days. */
export function isTimed(period: Period): boolean {
  return period.name === 'custom' && isMinute(period.from ?? '') && isMinute(period.to ?? '');
}

/** The period one step back (-1) or on (1); null where there is none: before all time, or ahead of today. */
export function shift(period: Period, today: Day, step: -1 | 1): Period | null {
  const range = rangeOf(period, today);
  if (!range || period.name === '24h') return null;
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
    case '28d':
    case '30d':
    case '91d': return { name: period.name, date: addDays(range.to, step * daysIn(range)) };
    case 'week':
    case 'lastweek': return { name: 'week', date: addDays(range.from, 7 * step) };
    case 'month':
    case 'lastmonth': return { name: 'month', date: addMonths(range.from, step) };
    case '12mo': return { name: '12mo', date: addMonths(startOfMonth(range.to), 12 * step) };
    case 'year':
    case 'lastyear': return { name: 'year', date: addMonths(range.from, 12 * step) };
    default: {
      if (isTimed(period)) {
        const { from = '', to = '' } = period;
        const minutes = step * (minutesBetween(from, to) + 1);
        return { name: 'custom', from: addMinutes(from, minutes), to: addMinutes(to, minutes) };
      }
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

/**
 * The days that a period is compared with, or its times where it has times;
 * null when there is nothing to compare, or when only the API can tell: the
 * last 24 hours move along with the clock.
 */
export function comparisonOf(period: Period, compare: Compare, today: Day, { days, sameWeekdays }: CompareOptions = {}): DayRange | null {
  const range = rangeOf(period, today);
  if (!range || compare === 'off') return null;
  if (compare === 'custom') return days ?? null;
  if (period.name === '24h') return null;
  const other = daysBefore(period, compare, range);
  const moved = sameWeekdays ? matchWeekday(other, range) : other;
  if (!isTimed(period)) return moved;
  return { from: moved.from + (period.from ?? '').slice(10), to: moved.to + (period.to ?? '').slice(10) };
}

function daysBefore(period: Period, compare: Compare, range: DayRange): DayRange {
  if (compare === 'year') return { from: addMonths(range.from, -12), to: yearBefore(range) };
  const months = calendarMonths(period.name);
  if (months) {
    return { from: addMonths(range.from, -months), to: addDays(range.from, -1) };
  }
  const days = daysIn(range);
  return { from: addDays(range.from, -days), to: addDays(range.to, -days) };
}

/**
 * Moves other so that it begins on the weekday on which main begins: backwards
 * when it ends where main begins, else to the nearest. The API's rule.
 */
export function matchWeekday(other: DayRange, main: DayRange): DayRange {
  let back = (weekdayOf(other.from) - weekdayOf(main.from) + 7) % 7;
  if (back > 3 && addDays(other.to, 7 - back) < main.from) back -= 7;
  return { from: addDays(other.from, -back), to: addDays(other.to, -back) };
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
    case 'year':
    case 'lastyear': return 12;
    default: return 0;
  }
}

function lengthOf(name: '7d' | '28d' | '30d' | '91d'): number {
  return Number(name.slice(0, -1));
}

function weekOf(day: Day): DayRange {
  const from = startOfWeek(day, FIRST_WEEKDAY);
  return { from, to: addDays(from, 6) };
}

/** The intervals of whole hours and more in which a range of days can be drawn well, the usual one first. */
export function intervalsFor(range: DayRange | null): [Exclude<Interval, 'minute'>, ...Exclude<Interval, 'minute'>[]] {
  if (!range) return ['month', 'week', 'day'];
  const days = daysIn(range);
  if (days <= 1) return ['hour'];
  if (days <= 14) return ['day', 'hour'];
  if (days <= 31) return ['day', 'hour', 'week'];
  if (days <= 100) return ['day', 'week', 'month'];
  return ['month', 'week', 'day'];
}

/** All intervals in which a period can be drawn well, the usual one first. */
export function intervalsOf(period: Period, today: Day): [Interval, ...Interval[]] {
  if (period.name === '24h') return ['hour', 'minute'];
  const range = rangeOf(period, today);
  if (isTimed(period)) {
    const minutes = minutesBetween(period.from ?? '', period.to ?? '') + 1;
    if (minutes <= 240) return ['minute', 'hour'];
    if (minutes <= 2 * 1440) return ['hour', 'minute'];
  }
  return range && range.from === range.to ? ['hour', 'minute'] : intervalsFor(range);
}

/** Tells whether today lies in the period, so that new views change its figures. */
export function includesToday(period: Period, today: Day): boolean {
  const range = rangeOf(period, today);
  return !range || (range.from <= today && today <= range.to);
}

/** Names that always mean days reckoned from today. */
const UNPINNED: readonly PeriodName[] = ['all', 'yesterday', 'lastmonth', 'lastweek', 'lastyear', '24h'];

/** Reads a period from the query of a page's address; what makes no sense gives the default. */
export function parsePeriod(params: URLSearchParams): Period {
  const name = params.get('period');
  if (name === 'custom') {
    const range = parseRange(params.get('from'), params.get('to'), true);
    return range ? { name, ...range } : DEFAULT_PERIOD;
  }
  if (!isPeriodName(name)) return DEFAULT_PERIOD;
  const date = params.get('date') ?? '';
  return !UNPINNED.includes(name) && isDay(date) ? { name, date } : { name };
}

/** Two days in order, or where times are taken two minutes in order; null for anything else. */
export function parseRange(from: string | null, to: string | null, timed = false): DayRange | null {
  const good = isDay(from ?? '') ? isDay(to ?? '') : timed && isMinute(from ?? '') && isMinute(to ?? '');
  return good && from !== null && to !== null && from <= to ? { from, to } : null;
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

/** A period as one word of an address, such as "30d", "month,2026-10-01" or "custom,2026-10-01,2026-10-09". */
export function periodWord(period: Period): string {
  return [period.name, period.date, period.from, period.to].filter((part) => part !== undefined).join(',');
}

/** Reads such a word; null when it makes no sense. */
export function parsePeriodWord(word: string | null): Period | null {
  const [name = '', first = '', second = ''] = (word ?? '').split(',');
  if (!isPeriodName(name)) return null;
  const period = parsePeriod(new URLSearchParams(
    name === 'custom' ? { period: name, from: first, to: second } : { period: name, date: first },
  ));
  return period.name === name ? period : null;
}

function isPeriodName(text: string | null): text is PeriodName {
  return (PERIOD_NAMES as readonly string[]).includes(text ?? '');
}
