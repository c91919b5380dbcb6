/** A site's changes while somebody looks at its page, and how the connection is. */
import { liveAddress } from './api';
import { Coalescer } from './coalescer';
import { Live, type LiveState, type Stream } from './live';
import { presence } from './online.svelte';

export class Feed {
  /** Visitors now; null until told. */
  live = $state<number | null>(null);
  /** How far the site's numbers have come, as it was told last; see query. */
  since = 0;
  #stream = $state<LiveState>('connecting');
  state = $derived<LiveState | 'offline'>(presence.online ? this.#stream : 'offline');

  /**
   * Follows the site until the returned function is called, and runs each task
   * after changes, not more often than once per its gap. To be called in an
   * effect: it reads whether the page is in sight, because a browser grants a
   * host only few connections and hidden pages would use them up.
   */
  follow(domain: string, ...tasks: readonly (readonly [refresh: () => Promise<void>, gapMs: number])[]): () => void {
    if (!presence.visible || !presence.online) return () => undefined;
    const refreshes = tasks.map(([refresh, gapMs]) => new Coalescer(refresh, gapMs));
    const live = new Live(() => new EventSource(liveAddress(domain)) as Stream, {
      onChange: (count, index) => {
        this.live = count;
        this.since = index;
        for (const each of refreshes) each.request();
      },
      onState: (state) => (this.#stream = state),
    });
    return () => {
      live.close();
      for (const each of refreshes) each.stop();
    };
  }
}
