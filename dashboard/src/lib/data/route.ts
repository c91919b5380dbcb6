/** Which page a path stands for. */

/** The pages of one site, in the order of their navigation. */
export const SITE_PAGES = ['site', 'realtime', 'page', 'funnels', 'retention', 'journeys', 'months', 'settings'] as const;
export type SitePage = (typeof SITE_PAGES)[number];

/** The tabs of a site's settings, of the account and of the installation; the first has the short address. */
export const SETTINGS_TABS = [
  'general', 'snippet', 'goals', 'funnels', 'exclusions', 'properties', 'inspector', 'links', 'people', 'keys', 'import', 'export', 'reports', 'danger',
] as const;
export type SettingsTab = (typeof SETTINGS_TABS)[number];
export const ACCOUNT_TABS = ['profile', 'security', 'sessions'] as const;
export type AccountTab = (typeof ACCOUNT_TABS)[number];
export const OPERATOR_TABS = ['cluster', 'traffic', 'users', 'organisations'] as const;
export type OperatorTab = (typeof OPERATOR_TABS)[number];

export type Route =
  | { page: 'sites' }
  | { page: 'login' }
  | { page: 'account'; tab: AccountTab }
  | { page: 'operator'; tab: OperatorTab }
  | { page: 'settings'; domain: string; tab: SettingsTab }
  | { page: 'setup'; token: string }
  /** shared: by a link, or openly; nothing can be changed there. */
  | { page: Exclude<SitePage, 'settings'>; domain: string; shared?: true }
  | { page: 'unknown' };

/** Where the addresses of sites begin; below /share/ as long as somebody reads there, see useRoot. */
let root: '/sites' | '/share' = '/sites';

/** Makes the addresses of sites those of a shared dashboard, or the usual ones again. */
export function useRoot(shared: boolean): void {
  root = shared ? '/share' : '/sites';
}

export function parseRoute(pathname: string): Route {
  const parts = pathname.split('/').filter((part) => part !== '').map(decode);
  const [first, second, third] = parts;
  if (parts.includes(undefined)) return { page: 'unknown' };
  if (parts.length === 0 || (first === 'sites' && parts.length === 1)) return { page: 'sites' };
  if (first === 'login' && parts.length === 1) return { page: 'login' };
  if (first === 'setup' && second && parts.length === 2) return { page: 'setup', token: second };
  if (first === 'account' && parts.length <= 2) {
    const tab = tabOf(ACCOUNT_TABS, second);
    return tab ? { page: 'account', tab } : { page: 'unknown' };
  }
  if (first === 'operator' && parts.length <= 2) {
    const tab = tabOf(OPERATOR_TABS, second);
    return tab ? { page: 'operator', tab } : { page: 'unknown' };
  }
  if (first === 'sites' && second && third === 'settings' && parts.length <= 4) {
    const tab = tabOf(SETTINGS_TABS, parts[3]);
    return tab ? { page: 'settings', domain: second, tab } : { page: 'unknown' };
  }
  if ((first === 'sites' || first === 'share') && second && parts.length <= 3) {
    const shared = first === 'share' ? { shared: true as const } : {};
    if (third === undefined) return { page: 'site', domain: second, ...shared };
    const page = SITE_PAGES.find((name) => name !== 'site' && name === third);
    if (page && page !== 'settings') return { page, domain: second, ...shared };
  }
  // A domain alone is the short address of its dashboard.
  if (parts.length === 1 && first && /^[^.]+(\.[^.]+)+$/.test(first)) return { page: 'site', domain: first };
  return { page: 'unknown' };
}

export function sitePath(domain: string): string {
  return `${root}/${encodeURIComponent(domain)}`;
}

/** The path of a site's dashboard for those who have a link, or for everybody. */
export function sharePath(domain: string): string {
  return `/share/${encodeURIComponent(domain)}`;
}

/** The path of one of a site's pages. */
export function sitePagePath(domain: string, page: SitePage): string {
  if (page === 'settings') return settingsPath(domain);
  return page === 'site' ? sitePath(domain) : `${sitePath(domain)}/${page}`;
}

export function monthsPath(domain: string): string {
  return sitePagePath(domain, 'months');
}

/** Where a site's settings are. */
export function settingsPath(domain: string, tab: SettingsTab = 'general'): string {
  return withTab(`/sites/${encodeURIComponent(domain)}/settings`, SETTINGS_TABS, tab);
}

export function accountPath(tab: AccountTab = 'profile'): string {
  return withTab('/account', ACCOUNT_TABS, tab);
}

export function operatorPath(tab: OperatorTab = 'cluster'): string {
  return withTab('/operator', OPERATOR_TABS, tab);
}

/** The tab that a part of a path names: the first for none, undefined for an unknown one or for the first by its name. */
function tabOf<T extends string>(tabs: readonly T[], part: string | undefined): T | undefined {
  return part === undefined ? tabs[0] : tabs.find((tab, i) => i > 0 && tab === part);
}

function withTab<T extends string>(path: string, tabs: readonly T[], tab: T): string {
  return tab === tabs[0] ? path : `${path}/${tab}`;
}

/**
 * Where to go after signing in: next only if it is a page of the dashboard, so
 * that a link from elsewhere cannot send a merchant to another host.
 */
export function safeNext(next: string | null): string {
  if (!next || !/^\/(?![/\\])/.test(next)) return '/';
  const at = next.search(/[?#]/);
  const route = parseRoute(at < 0 ? next : next.slice(0, at));
  return 'domain' in route || ['sites', 'account', 'operator'].includes(route.page) ? next : '/';
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
