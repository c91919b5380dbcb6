/** Weekdays, hours, minutes and rates as the report pages write them. */
import { NOTHING } from './format';
import { locale } from './i18n';

const DAY_MS = 86_400_000;
/** A Monday. */
const MONDAY_MS = Date.UTC(2024, 0, 1);

const rate = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 });
const average = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const hour = new Intl.DateTimeFormat(locale, { timeZone: 'UTC', hour: 'numeric', minute: '2-digit' });
const weekdays = {
  short: new Intl.DateTimeFormat(locale, { timeZone: 'UTC', weekday: 'short' }),
  long: new Intl.DateTimeFormat(locale, { timeZone: 'UTC', weekday: 'long' }),
};

/** weekday: 1 is Monday. */
export function formatWeekday(weekday: number, length: 'short' | 'long' = 'short'): string {
  return weekdays[length].format(MONDAY_MS + (weekday - 1) * DAY_MS);
}

/** "14:00 – 15:00" or "2:00 – 3:00 PM". */
export function formatHourSpan(from: number): string {
  return hour.formatRange(MONDAY_MS + from * 3_600_000, MONDAY_MS + (from + 1) * 3_600_000);
}

/** "14:05" of a label "2026-11-23 14:05:00". */
export function formatMinute(label: string): string {
  const [hours, minutes] = label.slice(11, 16).split(':').map(Number);
  return hour.format(MONDAY_MS + ((hours ?? 0) * 60 + (minutes ?? 0)) * 60_000);
}

/** percent: 0 to 100. "12.5%". */
export function formatRate(percent: number | null | undefined): string {
  return percent === null || percent === undefined ? NOTHING : rate.format(percent / 100);
}

/** "203.4". */
export function formatAverage(value: number): string {
  return average.format(value);
}

/** An instant in a zone: "3 Nov 2026, 14:05". */
export function formatInstant(iso: string, zone: string): string {
  const ms = Date.parse(iso);
  if (!Number.isFinite(ms)) return iso;
  const shape = { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' } as const;
  try {
    return new Intl.DateTimeFormat(locale, { timeZone: zone, ...shape }).format(ms);
  } catch {
    return new Intl.DateTimeFormat(locale, { timeZone: 'UTC', ...shape }).format(ms);
  }
}

const signed = new Intl.NumberFormat(locale, { maximumFractionDigits: 0, signDisplay: 'exceptZero' });

/** "+12" or "−3". */
export function formatSigned(count: number): string {
  return signed.format(count);
}
