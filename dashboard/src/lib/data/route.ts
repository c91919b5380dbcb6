/** Which page a path stands for. */

export type Route =
  | { page: 'sites' }
  | { page: 'login' }
  | { page: 'setup'; token: string }
  | { page: 'site'; domain: string }
  | { page: 'months'; domain: string }
  | { page: 'unknown' };

export function parseRoute(pathname: string): Route {
  const parts = pathname.split('/').filter((part) => part !== '').map(decode);
  const [first, second, third] = parts;
  if (parts.includes(undefined)) return { page: 'unknown' };
  if (parts.length === 0 || (first === 'sites' && parts.length === 1)) return { page: 'sites' };
  if (first === 'login' && parts.length === 1) return { page: 'login' };
  if (first === 'setup' && second && parts.length === 2) return { page: 'setup', token: second };
  if (first === 'sites' && second && parts.length === 2) return { page: 'site', domain: second };
  if (first === 'sites' && second && third === 'months' && parts.length === 3) {
    return { page: 'months', domain: second };
  }
  return { page: 'unknown' };
}

export function sitePath(domain: string): string {
  return `/sites/${encodeURIComponent(domain)}`;
}

export function monthsPath(domain: string): string {
  return `${sitePath(domain)}/months`;
}

/**
 * Where to go after signing in: next only if it is a page of the dashboard, so
 * that a link from elsewhere cannot send a merchant to another host.
 */
export function safeNext(next: string | null): string {
  if (!next || !/^\/(?![/\\])/.test(next)) return '/';
  const at = next.search(/[?#]/);
  const route = parseRoute(at < 0 ? next : next.slice(0, at));
  return route.page === 'site' || route.page === 'months' || route.page === 'sites' ? next : '/';
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
