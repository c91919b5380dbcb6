/** The address of the page as state, over the history API. */
import { parseRoute, sharePath, useRoot } from '../data/route';
import { carry, isVisit, parseVisit, splitVisit, type Visit } from '../data/visit';

class Place {
  pathname = $state('');
  /** What the page itself says; what a visit through a shared link carries is in visit. */
  search = $state('');
  /** Set while somebody reads a shared dashboard. */
  visit = $state.raw<Visit | null>(null);
  #carried = '';

  constructor() {
    this.#read();
    window.addEventListener('popstate', () => this.#read());
  }

  /** Where the name of the product leads: all sites, or for a visitor the dashboard that is shared. */
  get home(): string {
    const route = parseRoute(this.pathname);
    return 'domain' in route && this.visit ? sharePath(route.domain) : '/';
  }

  /** Goes to an address of the dashboard. replace leaves no step to go back to. */
  go(to: string, options: { replace?: boolean; keepScroll?: boolean } = {}): void {
    const address = carry(to, this.#carried);
    if (address === window.location.pathname + window.location.search) return;
    if (options.replace) window.history.replaceState(null, '', address);
    else window.history.pushState(null, '', address);
    if (!options.keepScroll) window.scrollTo(0, 0);
    this.#read();
  }

  #read(): void {
    const { pathname, search } = window.location;
    const shared = isVisit(pathname);
    const { own, carried } = shared ? splitVisit(search) : { own: search, carried: '' };
    useRoot(shared);
    this.#carried = carried;
    if (!shared) this.visit = null;
    else if (this.visit === null || JSON.stringify(this.visit) !== JSON.stringify(parseVisit(carried))) this.visit = parseVisit(carried);
    this.pathname = pathname;
    this.search = own;
  }
}

export const place = new Place();

/**
 * Follows plain clicks on links of the dashboard without loading anything;
 * links with a target, a download or a modifier key stay the browser's.
 */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (!link || link.target !== '' || link.hasAttribute('download')) return;
  if (link.origin !== window.location.origin || link.getAttribute('href')?.startsWith('#')) return;
  event.preventDefault();
  place.go(link.pathname + link.search);
}
