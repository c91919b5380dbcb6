/**
 * Gets what all pages share and, beside it, the page that most readers come for,
 * which would otherwise be asked for only when all else has run.
 */
import { askEarly } from './early';
import './styles/tokens.css';
import './styles/base.css';

void import('./start');
const { pathname } = window.location;
const site = /^\/(sites|share)\/([^/]+)\/?$/.exec(pathname);
if (site?.[1] === 'sites') askEarly(`/v1/sites/${site[2]}`);
if (site) void import('./routes/Site.svelte');
else if (pathname === '/') void import('./routes/Sites.svelte');
