/** The address of the page as state, over the history API. */

class Place {
  pathname = $state(window.location.pathname);
  search = $state(window.location.search);

  constructor() {
    window.addEventListener('popstate', () => this.#read());
  }

  /** Goes to an address of the dashboard. replace leaves no step to go back to. */
  go(address: string, options: { replace?: boolean; keepScroll?: boolean } = {}): void {
    if (address === window.location.pathname + window.location.search) return;
    if (options.replace) window.history.replaceState(null, '', address);
    else window.history.pushState(null, '', address);
    if (!options.keepScroll) window.scrollTo(0, 0);
    this.#read();
  }

  #read(): void {
    this.pathname = window.location.pathname;
    this.search = window.location.search;
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
