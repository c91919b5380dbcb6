import { cleanup } from '@testing-library/svelte';
import { afterEach } from 'vitest';
import areaTexts from '../../messages/settings/en.json';
import { addTexts } from '../lib/data/i18n';

addTexts(areaTexts);
afterEach(cleanup);

// jsdom knows no media; nothing that is tested in it goes by one.
window.matchMedia ??= (query) => Object.assign(new EventTarget(), { matches: false, media: query, onchange: null, addListener: () => undefined, removeListener: () => undefined }) as MediaQueryList;
