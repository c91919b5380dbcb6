/** On which day a week begins where the reader lives. 1 is Monday, 7 is Sunday, as in ISO 8601. */
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

export const FIRST_WEEKDAY = firstWeekdayOf(locale);
