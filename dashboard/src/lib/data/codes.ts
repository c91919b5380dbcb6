/** Codes of countries and languages by what people call them. */
import { locale } from './i18n';

const FIRST = 65;
const LETTERS = 26;

/** The codes of two letters whose name in the reader's language contains text; at most max. */
export function codesNamed(type: 'region' | 'language', text: string, max = 60): string[] {
  const wanted = text.trim().toLocaleLowerCase(locale);
  if (wanted === '') return [];
  const names = new Intl.DisplayNames(locale, { type, fallback: 'none' });
  const found: string[] = [];
  for (let i = 0; i < LETTERS * LETTERS && found.length < max; i++) {
    const upper = String.fromCharCode(FIRST + Math.floor(i / LETTERS), FIRST + (i % LETTERS));
    const code = type === 'region' ? upper : upper.toLowerCase();
    if (names.of(code)?.toLocaleLowerCase(locale).includes(wanted)) found.push(code);
  }
  return found;
}
