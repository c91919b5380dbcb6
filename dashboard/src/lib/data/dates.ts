/**
 * Calendar days as texts "YYYY-MM-DD", because a day of a site is not an
 * instant: arithmetic on them knows no time zone and no daylight saving.
 * Instants enter only through todayIn and hourIn.
 */

export type Day = string;

export interface DayRange {
  /** First day. */
  from: Day;
  /** Last day, included. */
  to: Day;
}

const DAY_MS = 86_400_000;
const PATTERN = /^(\d{4})-(\d{2})-(\d{2})$/;

/** Tells whether text is a day that exists in the calendar. */
export function isDay(text: string): boolean {
  return PATTERN.test(text) && fromUTC(toUTC(text)) === text;
}

export function addDays(day: Day, days: number): Day {
  return fromUTC(toUTC(day) + days * DAY_MS);
}

/** Moves by whole months; a day past the end of the month becomes its last. */
export function addMonths(day: Day, months: number): Day {
  const { year, month, date } = parts(day);
  const first = new Date(Date.UTC(year, month - 1 + months, 1));
  const last = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate();
  first.setUTCDate(Math.min(date, last));
  return fromUTC(first.getTime());
}

export function startOfMonth(day: Day): Day {
  return `${day.slice(0, 7)}-01`;
}

export function endOfMonth(day: Day): Day {
  return addDays(addMonths(startOfMonth(day), 1), -1);
}

export function startOfYear(day: Day): Day {
  return `${day.slice(0, 4)}-01-01`;
}

export function endOfYear(day: Day): Day {
  return `${day.slice(0, 4)}-12-31`;
}

/** The first day of the week that holds day; a week begins on Monday (1) … Sunday (7). */
export function startOfWeek(day: Day, first = 1): Day {
  return addDays(day, -((weekdayOf(day) - first + 7) % 7));
}

/** 1 is Monday, 7 is Sunday. */
export function weekdayOf(day: Day): number {
  return ((new Date(toUTC(day)).getUTCDay() + 6) % 7) + 1;
}

/** A minute of a site's clock, "YYYY-MM-DDTHH:MM". */
export type Minute = string;

/** Tells whether text is a minute of a day that exists. */
export function isMinute(text: string): boolean {
  return /^.{10}T([01]\d|2[0-3]):[0-5]\d$/.test(text) && isDay(text.slice(0, 10));
}

/** Moves a minute along the clock, as if no clock were ever changed. */
export function addMinutes(minute: Minute, minutes: number): Minute {
  return new Date(Date.parse(`${minute}:00Z`) + minutes * 60_000).toISOString().slice(0, 16);
}

/** Minutes from one to the other. */
export function minutesBetween(from: Minute, to: Minute): number {
  return Math.round((Date.parse(`${to}:00Z`) - Date.parse(`${from}:00Z`)) / 60_000);
}

/** Days in the range, both ends included. */
export function daysIn(range: DayRange): number {
  return Math.round((toUTC(range.to) - toUTC(range.from)) / DAY_MS) + 1;
}

/** The day it is in zone at the instant now (Unix milliseconds). */
export function todayIn(zone: string, now: number): Day {
  return hourIn(zone, now).slice(0, 10);
}

/** The hour it is in zone, as the API labels it: "YYYY-MM-DD HH:00:00". */
export function hourIn(zone: string, now: number): string {
  return `${minuteIn(zone, now).slice(0, 13)}:00:00`;
}

/** The minute it is in zone, as the API labels it: "YYYY-MM-DD HH:MM:00". */
export function minuteIn(zone: string, now: number): string {
  const found = new Map(
    new Intl.DateTimeFormat('en-GB', {
      timeZone: knownZone(zone),
      year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
    }).formatToParts(now).map((part) => [part.type, part.value]),
  );
  return `${found.get('year')}-${found.get('month')}-${found.get('day')} ${found.get('hour')}:${found.get('minute')}:00`;
}

/** The zone itself, or UTC where this browser does not know it. */
export function knownZone(zone: string): string {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone;
  } catch {
    return 'UTC';
  }
}

/** Midnight UTC of the day, for formatters that are told to use UTC. */
export function toUTC(day: Day): number {
  const { year, month, date } = parts(day);
  return Date.UTC(year, month - 1, date);
}

function fromUTC(ms: number): Day {
  return Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, 10) : '';
}

function parts(day: Day): { year: number; month: number; date: number } {
  const found = PATTERN.exec(day);
  if (!found) return { year: NaN, month: NaN, date: NaN };
  return { year: Number(found[1]), month: Number(found[2]), date: Number(found[3]) };
}
