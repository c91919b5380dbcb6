/**
 * Texts. Each language is one file of messages/, keys to texts; {name} is
 * replaced by a parameter. A key that depends on a number has one text per
 * plural form of the language: "key.one", "key.other". English is always
 * there; the others come before the first page is drawn, see useTexts.
 */
import english from '../../../messages/en.json';
import type areaEnglish from '../../../messages/settings/en.json';
import type shareEnglish from '../../../messages/share/en.json';

/** Texts of the pages that few open: settings, account and installation, and the door of shared dashboards. They come with those pages, see addTexts. */
export type AreaKey = keyof typeof areaEnglish | keyof typeof shareEnglish;
export type AreaMessages = Partial<Record<AreaKey, string>>;
export type Messages = Record<keyof typeof english, string>;
export type MessageKey = keyof typeof english | AreaKey;
type PluralKey = { [K in MessageKey]: K extends `${infer Stem}.other` ? Stem : never }[MessageKey];
type Params = Record<string, string | number>;

/** Each under the name that its own speakers know. */
export const LANGUAGES = {
  en: 'English', de: 'Deutsch', fr: 'Français', es: 'Español', pt: 'Português', ja: '日本語',
} as const;
export type Language = keyof typeof LANGUAGES;

/** Where this device keeps the reader's choice; nothing there means what the browser prefers. */
export const LANGUAGE_KEY = 'footfall-language';

/** The language that was chosen on this device, null for the system's. */
export const chosen: Language | null = parseLanguage(stored());

/**
 * The language of texts, numbers and dates. It keeps the region that the
 * browser prefers, so that a British merchant reads British dates.
 */
export const locale: string = pickLocale(typeof navigator === 'undefined' ? [] : navigator.languages, chosen);

export const language: Language = languageOf(locale) ?? 'en';

const plurals = new Intl.PluralRules(locale);
let texts: Partial<Record<MessageKey, string>> = english;

/** Puts the texts of a language in place. To be called once, before anything is drawn. */
export function useTexts(messages: Messages): void {
  texts = messages;
}

/** Adds the texts of an area. To be called before anything of it is drawn. */
export function addTexts(messages: AreaMessages): void {
  texts = { ...texts, ...messages };
}

/** The first preferred tag in a language that there are texts for, or in the wanted one. */
export function pickLocale(preferred: readonly string[], wanted: Language | null = null): string {
  const found = preferred.find((tag) => (wanted ? languageOf(tag) === wanted : languageOf(tag) !== null)) ?? wanted ?? 'en';
  try {
    return Intl.getCanonicalLocales(found)[0] ?? 'en';
  } catch {
    return wanted ?? 'en';
  }
}

export function parseLanguage(text: string | null): Language | null {
  return text !== null && Object.hasOwn(LANGUAGES, text) ? (text as Language) : null;
}

export function t(key: MessageKey, params: Params = {}): string {
  return fill(textOf(key) ?? key, params);
}

/** The text for a count; {count} is the formatted number. */
export function tn(key: PluralKey, count: number, formatted: string): string {
  const form = `${key}.${plurals.select(count)}`;
  return fill(textOf(form) ?? textOf(`${key}.other`) ?? '', { count: formatted });
}

function textOf(key: string): string | undefined {
  if (Object.hasOwn(texts, key)) return texts[key as MessageKey];
  return Object.hasOwn(english, key) ? english[key as keyof typeof english] : undefined;
}

/** The language of a tag, with or without a region; null for none that there are texts in. */
export function languageOf(tag: string): Language | null {
  return parseLanguage(/^[a-z]+(?=-|$)/i.exec(tag)?.[0].toLowerCase() ?? null);
}

function stored(): string | null {
  try {
    return window.localStorage.getItem(LANGUAGE_KEY);
  } catch {
    return null;
  }
}

function fill(text: string, params: Params): string {
  return text.replace(/\{(\w+)\}/g, (hole, name: string) => String(params[name] ?? hole));
}
