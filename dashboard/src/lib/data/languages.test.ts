import { describe, expect, it } from 'vitest';
import { LANGUAGES } from './i18n';

type Texts = Record<string, string>;

/** By folder and language. */
const FOLDERS: Record<string, Record<string, Texts>> = {};
for (const [path, texts] of Object.entries(import.meta.glob<Texts>('../../../messages/**/*.json', { eager: true, import: 'default' }))) {
  const [, folder = '', language = ''] = /(messages.*)\/(\w+)\.json$/.exec(path) ?? [];
  FOLDERS[folder] = { ...FOLDERS[folder], [language]: texts };
}
const LANGUAGE_NAMES = Object.keys(LANGUAGES);

function texts(folder: string, language: string): Texts {
  return FOLDERS[folder]?.[language] ?? {};
}

const holes = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort().join(' ');

describe.each(Object.keys(FOLDERS))('the texts of %s', (folder) => {
  const english = texts(folder, 'en');

  it('are there in every language, and in no other', () => {
    expect(Object.keys(FOLDERS[folder] ?? {}).sort()).toEqual([...LANGUAGE_NAMES].sort());
  });

  it.each(LANGUAGE_NAMES)('have the same keys and holes in %s', (language) => {
    const found = texts(folder, language);
    expect(Object.keys(found)).toEqual(Object.keys(english));
    const wrong = Object.entries(english).filter(([key, text]) => holes(text) !== holes(found[key] ?? '') || found[key]?.trim() === '');
    expect(wrong.map(([key]) => key)).toEqual([]);
  });

  it.each(LANGUAGE_NAMES)('hold nothing that cannot be seen in %s', (language) => {
    expect(Object.entries(texts(folder, language)).filter(([, text]) => /\p{Cc}/u.test(text)).map(([key]) => key)).toEqual([]);
  });

  it('have a last plural form wherever they have one', () => {
    const plural = Object.keys(english).filter((key) => /\.(zero|one|two|few)$/.test(key));
    expect(plural.filter((key) => !(key.replace(/\.\w+$/, '.other') in english))).toEqual([]);
  });
});

it('are found', () => expect(Object.keys(FOLDERS)).toContain('messages'));

it('are really translated: no long text is that of another language', () => {
  const english = texts('messages', 'en');
  for (const language of LANGUAGE_NAMES.filter((name) => name !== 'en')) {
    const same = Object.entries(texts('messages', language)).filter(([key, text]) => text === english[key] && text.split(' ').length > 3);
    expect(same, language).toEqual([]);
  }
});
