/** The texts of settings, account and installation, which come with those pages. */
import { addTexts, language, type AreaMessages, type Language } from '../data/i18n';

const FILES: Record<Language, () => Promise<{ default: AreaMessages }>> = {
  en: () => import('../../../messages/settings/en.json'),
  de: () => import('../../../messages/settings/de.json'),
  fr: () => import('../../../messages/settings/fr.json'),
  es: () => import('../../../messages/settings/es.json'),
  pt: () => import('../../../messages/settings/pt.json'),
  ja: () => import('../../../messages/settings/ja.json'),
};

let coming: Promise<void> | null = null;

/** Gives a page when its texts are in place too: in English where those of the language cannot be had. */
export async function withTexts<T>(page: Promise<T>): Promise<T> {
  coming ??= FILES[language]().catch(() => FILES.en()).then((module) => addTexts(module.default));
  try {
    await coming;
  } catch (error) {
    coming = null;
    throw error;
  }
  return page;
}
