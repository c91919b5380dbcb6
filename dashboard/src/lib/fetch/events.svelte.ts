/** The events of a site one by one, as they come. */
import { addHeard, parseEventFeed, type Heard } from '../data/realtime';
import { eventsAddress } from './api';
import { freshness } from './freshness.svelte';
import { Live, type LiveState, type Stream } from './live';
import { presence } from './online.svelte';

export class EventStream {
  heard = $state.raw<Heard | null>(null);
  #stream = $state<LiveState>('connecting');
  #since = 0;
  state = $derived<LiveState | 'offline'>(presence.online ? this.#stream : 'offline');

  /** Listens until the returned function is called. To be called in an effect, as Feed.follow is. */
  follow(domain: string, zone: string): () => void {
    if (!presence.visible || !presence.online) return () => undefined;
    const live = new Live(() => new EventSource(eventsAddress(domain)) as Stream, {
      onEvents: (data) => {
        const feed = parseEventFeed(data);
        if (feed) this.heard = addHeard(this.heard, feed, zone, this.#since);
      },
      onState: (state) => {
        this.#stream = state;
        if (state === 'live') this.#since = freshness.nodeNow();
      },
    });
    return () => live.close();
  }
}
