/** Puts the dashboard onto the page, as soon as its texts are there. */
import './lib/fetch/theme.svelte';
import { mount } from 'svelte';
import App from './App.svelte';
import { language, locale } from './lib/data/i18n';
import { loadTexts } from './lib/fetch/language';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no element #app');

void loadTexts(language).then((found) => {
  document.documentElement.lang = found === language ? locale : found;
  target.replaceChildren();
  mount(App, { target });
});
