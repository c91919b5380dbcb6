/**
 * Texts. Each language is one file of messages/, keys to texts; {name} is
 * replaced by a parameter. A key that depends on a number has one text per
 * plural form of the language: "key.one", "key.other".
 */
import english from '../../../messages/en.json';

export type MessageKey = keyof typeof english;
type PluralKey = { [K in MessageKey]: K extends `${infer Stem}.other` ? Stem : never }[MessageKey];
type Params = Record<string, string | number>;

/**
 * The language of texts, numbers and dates. English keeps the region that the
 * browser prefers, so that a British merchant reads British dates.
 */
export const locale: string = pickLocale(typeof navigator === 'undefined' ? [] : navigator.languages);

export function pickLocale(preferred: readonly string[]): string {
  const found = preferred.find((tag) => /^en(-|$)/i.test(tag));
  try {
    return Intl.getCanonicalLocales(found ?? 'en')[0] ?? 'en';
  } catch {
    return 'en';
  }
}

const plurals = new Intl.PluralRules(locale);

export function t(key: MessageKey, params: Params = {}): string {
  return fill(english[key], params);
}

/** The text for a count; {count} is the formatted number. */
export function tn(key: PluralKey, count: number, formatted: string): string {
  const form = `${key}.${plurals.select(count)}`;
  const text = Object.hasOwn(english, form) ? english[form as MessageKey] : english[`${key}.other` as MessageKey];
  return fill(text, { count: formatted });
}

function fill(text: string, params: Params): string {
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => String(params[name] ?? hole));
}
