import { cleanup } from '@testing-library/svelte';
import { afterEach } from 'vitest';
import areaTexts from '../../messages/settings/en.json';
import { addTexts } from '../lib/data/i18n';

addTexts(areaTexts);
afterEach(cleanup);
