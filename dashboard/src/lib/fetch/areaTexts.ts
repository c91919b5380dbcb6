/** The texts of areas that few open, which come with their pages. */
import { addTexts, language, type AreaMessages } from '../data/i18n';

/** A folder of messages/: of settings, account and installation, or of the door of shared dashboards. */
type Area = 'settings' | 'share';

const FILES = import.meta.glob<AreaMessages>('../../../messages/*/*.json', { import: 'default' });

const coming = new Map<Area, Promise<void>>();

/** Gives a page when its texts are in place too: in English where those of the language cannot be had. */
export async function withTexts<T>(area: Area, page: Promise<T>): Promise<T> {
  const texts = coming.get(area) ?? load(area, language).catch(() => load(area, 'en')).then(addTexts);
  coming.set(area, texts);
  try {
    await texts;
  } catch (error) {
    coming.delete(area);
    throw error;
  }
  return page;
}

async function load(area: Area, name: string): Promise<AreaMessages> {
  const file = FILES[`../../../messages/${area}/${name}.json`];
  if (!file) throw new Error(`messages/${area}/${name}.json is missing`);
  return file();
}
