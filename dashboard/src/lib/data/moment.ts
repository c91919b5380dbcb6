/** Instants of the API for people, in their own time zone. */
import { locale } from './i18n';
import { NOTHING } from './format';

/** "3 Nov 2026, 14:05"; a dash where there is none. */
export function formatMoment(instant: string | number | null | undefined): string {
  return shaped(instant, { dateStyle: 'medium', timeStyle: 'short' });
}

/** "14:05:09". */
export function formatSecond(instant: string): string {
  return shaped(instant, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

const STEPS = [['year', 31_557_600], ['month', 2_629_800], ['day', 86_400], ['hour', 3_600], ['minute', 60]] as const;

/** "5 minutes ago"; "now" within a minute. */
export function formatAgo(instant: string | number | null | undefined, now: number): string {
  const ms = msOf(instant);
  if (ms === null) return NOTHING;
  const seconds = (ms - now) / 1000;
  const words = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  const step = STEPS.find(([, size]) => Math.abs(seconds) >= size);
  return step ? words.format(Math.trunc(seconds / step[1]), step[0]) : words.format(0, 'second');
}

function shaped(instant: string | number | null | undefined, options: Intl.DateTimeFormatOptions): string {
  const ms = msOf(instant);
  return ms === null ? NOTHING : new Intl.DateTimeFormat(locale, options).format(ms);
}

function msOf(instant: string | number | null | undefined): number | null {
  if (instant === null || instant === undefined || instant === '') return null;
  const ms = typeof instant === 'number' ? instant : Date.parse(instant);
  return Number.isFinite(ms) ? ms : null;
}
