/** How fresh the numbers on screen are: what the latest answer about numbers said. */
import { FRESH, freshnessOf, type Freshness } from '../data/freshness';

class Latest {
  current = $state.raw<Freshness>(FRESH);
  /** How far the node's clock is ahead of this device's, in ms. */
  #ahead = 0;

  /** The node's time in Unix ms, not later than it is. */
  nodeNow(): number {
    return Date.now() + this.#ahead;
  }

  /** Takes note of an answer and gives it back. */
  heed(response: Response): Response {
    const date = Date.parse(response.headers.get('Date') ?? '');
    if (date > 0) this.#ahead = date - Date.now();
    const found = response.ok ? freshnessOf(new URL(response.url, window.location.origin).pathname, response.headers, Date.now()) : null;
    if (found && JSON.stringify(found) !== JSON.stringify(this.current)) this.current = found;
    return response;
  }
}

export const freshness = new Latest();
