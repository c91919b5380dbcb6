/**
 * Gets what all pages share and, beside it, the page that most readers come for,
 * which would otherwise be asked for only when all else has run.
 */
import './styles/tokens.css';
import './styles/base.css';

void import('./start');
const { pathname } = window.location;
if (/^\/(sites|share)\/[^/]+\/?$/.test(pathname)) void import('./routes/Site.svelte');
else if (pathname === '/') void import('./routes/Sites.svelte');
