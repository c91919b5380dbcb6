/** A month as a calendar shows it, and how keys move through it. */
import { addDays, addMonths, endOfMonth, startOfMonth, startOfWeek, toUTC, type Day, type DayRange } from './dates';
import { locale } from './i18n';
import { FIRST_WEEKDAY } from './week';

/** Weeks from top to bottom; null where a day belongs to another month. */
export function weeksOf(month: Day, first = FIRST_WEEKDAY): (Day | null)[][] {
  const last = endOfMonth(month);
  const weeks: (Day | null)[][] = [];
  for (let start = startOfWeek(startOfMonth(month), first); start <= last; start = addDays(start, 7)) {
    weeks.push(Array.from({ length: 7 }, (_, i) => {
      const day = addDays(start, i);
      return day.slice(0, 7) === month.slice(0, 7) ? day : null;
    }));
  }
  return weeks;
}

/** Names of the weekdays in the order of the columns. */
export function weekdayNames(style: 'narrow' | 'short' | 'long', first = FIRST_WEEKDAY): string[] {
  const shape = new Intl.DateTimeFormat(locale, { timeZone: 'UTC', weekday: style });
  // 1 January 2024 was a Monday.
  return Array.from({ length: 7 }, (_, i) => shape.format(toUTC(addDays('2024-01-01', first - 1 + i))));
}

/** Where a key leads from a day; null for keys that lead nowhere. */
export function dayAfterKey(day: Day, key: string, shift: boolean, first = FIRST_WEEKDAY): Day | null {
  switch (key) {
    case 'ArrowLeft': return addDays(day, -1);
    case 'ArrowRight': return addDays(day, 1);
    case 'ArrowUp': return addDays(day, -7);
    case 'ArrowDown': return addDays(day, 7);
    case 'Home': return startOfWeek(day, first);
    case 'End': return addDays(startOfWeek(day, first), 6);
    case 'PageUp': return addMonths(day, shift ? -12 : -1);
    case 'PageDown': return addMonths(day, shift ? 12 : 1);
    default: return null;
  }
}

/** What a click does: it begins a range, or ends the one that was begun, in either order. */
export function pickDay(begun: Day | null, day: Day): { begun: Day | null; range: DayRange } {
  if (begun === null) return { begun: day, range: { from: day, to: day } };
  return { begun: null, range: begun <= day ? { from: begun, to: day } : { from: day, to: begun } };
}
