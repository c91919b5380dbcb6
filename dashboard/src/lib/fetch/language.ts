/** The texts of a language, each a file of its own that only its readers get. */
import { useTexts, type Language, type Messages } from '../data/i18n';

const FILES: Record<Exclude<Language, 'en'>, () => Promise<{ default: Messages }>> = {
  de: () => import('../../../messages/de.json'),
  fr: () => import('../../../messages/fr.json'),
  es: () => import('../../../messages/es.json'),
  pt: () => import('../../../messages/pt.json'),
  ja: () => import('../../../messages/ja.json'),
};

/** Puts the texts in place and gives the language that they are in: English where the wanted ones cannot be had. */
export async function loadTexts(language: Language): Promise<Language> {
  if (language === 'en') return 'en';
  try {
    useTexts((await FILES[language]()).default);
    return language;
  } catch {
    return 'en';
  }
}
