// Lets the shop report to another site than its own: /demo/?site=example.com
// does so until the tab is closed. It stands before the tracker in every page.
const given = new URLSearchParams(location.search).get('site');
if (given) sessionStorage.setItem('demo-site', given);
const chosen = sessionStorage.getItem('demo-site');
if (chosen) document.querySelector('script[data-domain]').dataset.domain = chosen;
