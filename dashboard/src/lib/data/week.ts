/** On which day a week begins, as the reader chose or as is usual where they live. 1 is Monday, 7 is Sunday, as in ISO 8601. */
import { locale } from './i18n';

interface WeekInfo { firstDay: number }

/** Where weeks begin on Sunday, for browsers that do not tell. */
const SUNDAY_REGIONS = ['US', 'CA', 'MX', 'BR', 'JP', 'KR', 'TW', 'IN', 'IL', 'ZA', 'AU', 'PH', 'CO', 'PE', 'VE'];

/** tag: a language with or without a region; without one its most likely region counts. */
export function firstWeekdayOf(tag: string): number {
  try {
    const known = new Intl.Locale(tag) as Intl.Locale & { getWeekInfo?: () => WeekInfo; weekInfo?: WeekInfo };
    const info = known.getWeekInfo?.() ?? known.weekInfo;
    if (info) return info.firstDay;
    return SUNDAY_REGIONS.includes(known.maximize().region ?? '') ? 7 : 1;
  } catch {
    return 1;
  }
}

/** Where this device keeps the reader's choice, "monday" or "sunday"; nothing there means as the language has it. */
export const WEEK_KEY = 'footfall-week';

export function chosenWeekday(text: string | null): number | null {
  return text === 'monday' ? 1 : text === 'sunday' ? 7 : null;
}

export const FIRST_WEEKDAY = chosenWeekday(stored()) ?? firstWeekdayOf(locale);

function stored(): string | null {
  try {
    return window.localStorage.getItem(WEEK_KEY);
  } catch {
    return null;
  }
}
