import './styles/tokens.css';
import './styles/base.css';
import './lib/fetch/theme.svelte';
import { mount } from 'svelte';
import App from './App.svelte';
import { locale } from './lib/data/i18n';

document.documentElement.lang = locale;

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no element #app');
mount(App, { target });
