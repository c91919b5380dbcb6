/** What this device remembers of the reader's language and week, because a page needs both before it knows who reads. */
import { LANGUAGE_KEY, parseLanguage, type Language } from '../data/i18n';
import { WEEK_STARTS, type WeekStart } from '../data/prefs';
import { WEEK_KEY } from '../data/week';

export function storedLanguage(): Language | null {
  return parseLanguage(read(LANGUAGE_KEY));
}

/** Whether the device will remember it; null: as the browser has it. */
export function storeLanguage(language: Language | null): boolean {
  return write(LANGUAGE_KEY, language ?? '');
}

export function storedWeekStart(): WeekStart {
  const found = read(WEEK_KEY);
  return WEEK_STARTS.find((start) => start === found) ?? '';
}

export function storeWeekStart(start: WeekStart): boolean {
  return write(WEEK_KEY, start);
}

function read(key: string): string | null {
  try {
    return window.localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, text: string): boolean {
  try {
    if (text === '') window.localStorage.removeItem(key);
    else window.localStorage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
