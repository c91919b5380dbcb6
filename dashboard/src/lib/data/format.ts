/** Numbers, durations and dates as a merchant reads them: one formatter per metric. */
import { isMinute, knownZone, toUTC, type Day, type DayRange } from './dates';
import type { FilterName } from './filter';
import { locale, t } from './i18n';
import { changesInPoints, type FigureMetric } from './metric';
import { formatMoney, formatMoneyAxis } from './money';
import type { Interval } from './period';
import { NOT_SET } from './rows';

/** A figure that cannot be told. */
export const NOTHING = '–';

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 });
const ratio = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 });

/** Counts stay exact up to six digits; larger ones are shortened, so that they fit. */
export function formatCount(count: number): string {
  return Math.abs(count) < 1_000_000 ? whole.format(count) : compact.format(count);
}

/** Every digit of a count, for titles and screen readers. */
export function formatExact(count: number): string {
  return whole.format(count);
}

/** For axes, where room is scarce. */
export function formatShort(count: number): string {
  return Math.abs(count) < 1_000 ? ratioless(count) : compact.format(count);
}

/** "1m 05s", "2h 03m", "12s". */
export function formatDuration(seconds: number): string {
  const all = Math.round(seconds);
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor((all % 3600) / 60);
  const rest = all % 60;
  if (hours > 0) return t('unit.hoursMinutes', { hours, minutes: pad(minutes) });
  if (minutes > 0) return t('unit.minutesSeconds', { minutes, seconds: pad(rest) });
  return t('unit.seconds', { seconds: rest });
}

/** currency: only of money. */
export function formatMetric(metric: FigureMetric, value: number | null, currency = ''): string {
  if (value === null) return NOTHING;
  switch (metric) {
    case 'views_per_visit': return ratio.format(value);
    case 'bounce_rate': return percent.format(value / 100);
    case 'visit_duration': return formatDuration(value);
    case 'total_revenue': return formatMoney(value, currency, 'figure');
    default: return formatCount(value);
  }
}

/** The same with every digit. */
export function formatMetricExact(metric: FigureMetric, value: number | null, currency = ''): string {
  if (value === null) return NOTHING;
  if (metric === 'total_revenue') return formatMoney(value, currency, 'exact');
  return metric === 'visitors' || metric === 'visits' || metric === 'pageviews'
    ? formatExact(value) : formatMetric(metric, value);
}

/** The same on an axis. */
export function formatAxis(metric: FigureMetric, value: number, currency = ''): string {
  switch (metric) {
    case 'bounce_rate': return percent.format(value / 100);
    case 'visit_duration': return formatDuration(value);
    case 'total_revenue': return formatMoneyAxis(value, currency);
    default: return formatShort(value);
  }
}

/** "12%", or "3 pts" for rates; the sign is left to the arrow beside it. */
export function formatChange(metric: FigureMetric, change: number): string {
  const size = Math.abs(change);
  return changesInPoints(metric)
    ? t('unit.points', { points: whole.format(size) })
    : size >= 10_000 ? `>${percent.format(99)}` : percent.format(size / 100);
}

/** A value of a dimension for people. */
export function formatValue(name: FilterName, value: string): string {
  if (value === NOT_SET || value === '') return t('value.unknown');
  if (name === 'country') return displayName('region', value);
  if (name === 'language') return displayName('language', value);
  return value;
}

/** A bucket's label: "14:00", "Mon 3 Nov", "Nov 2026". */
export function formatBucket(label: string, interval: Interval, long = false): string {
  const day = label.slice(0, 10);
  switch (interval) {
    case 'minute':
    case 'hour': return long
      ? `${formatDay(day)}, ${label.slice(11, 16)}`
      : label.slice(11, 16);
    case 'day': return long ? formatDay(day) : date(day, { day: 'numeric', month: 'short' });
    case 'week': return long
      ? t('date.weekOf', { day: formatDay(day) })
      : date(day, { day: 'numeric', month: 'short' });
    case 'month': return formatMonth(day, long);
  }
}

/** "Mon, 3 Nov 2026". */
export function formatDay(day: Day): string {
  return date(day, { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' });
}

/** "November 2026" or "Nov 2026"; takes "2026-11" too. */
export function formatMonth(month: string, long = false): string {
  return date(`${month.slice(0, 7)}-01`, { month: long ? 'long' : 'short', year: 'numeric' });
}

/** "3 – 9 Nov 2026"; of minutes "Tue, 3 Nov 2026, 09:00 – 14:59". */
export function formatRange(range: DayRange): string {
  if (isMinute(range.from)) return formatTimes(range);
  const shape = new Intl.DateTimeFormat(locale, {
    timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric',
  });
  return range.from === range.to
    ? formatDay(range.from)
    : shape.formatRange(toUTC(range.from), toUTC(range.to));
}

function formatTimes({ from, to }: DayRange): string {
  const day = (time: string) => formatDay(time.slice(0, 10));
  return from.slice(0, 10) === to.slice(0, 10)
    ? `${day(from)}, ${from.slice(11)} – ${to.slice(11)}`
    : `${day(from)}, ${from.slice(11)} – ${day(to)}, ${to.slice(11)}`;
}

/** The time of day of an instant in the browser's own zone, "14:05". */
export function formatClock(ms: number): string {
  return new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' }).format(ms);
}

/** As formatClock, to the second. */
export function formatSecond(ms: number): string {
  return new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);
}

/** "Europe/Berlin" → "Berlin (GMT+1)". */
export function formatZone(zone: string, now: number): string {
  const offset = new Intl.DateTimeFormat(locale, { timeZone: knownZone(zone), timeZoneName: 'shortOffset' })
    .formatToParts(now).find((part) => part.type === 'timeZoneName')?.value;
  const place = zone.split('/').at(-1)?.replaceAll('_', ' ') ?? zone;
  return offset && offset !== place ? `${place} (${offset})` : place;
}

function date(day: Day, options: Intl.DateTimeFormatOptions): string {
  const ms = toUTC(day);
  return Number.isFinite(ms)
    ? new Intl.DateTimeFormat(locale, { timeZone: 'UTC', ...options }).format(ms)
    : day;
}

function displayName(type: 'region' | 'language', code: string): string {
  try {
    return new Intl.DisplayNames(locale, { type }).of(code) ?? code;
  } catch {
    return code;
  }
}

function ratioless(count: number): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }).format(count);
}

function pad(n: number): string {
  return String(n).padStart(2, '0');
}
