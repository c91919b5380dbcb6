/**
 * Pins, groups and notes of the reader. The node has no place for them yet, so
 * they stay on this device, apart for each account; load and save below are all
 * that changes when it has one.
 */
import { NO_PREFS, parsePrefs, type Prefs } from '../data/prefs';
import { session } from './session.svelte';

const KEY = 'footfall-prefs';

class PrefsStore {
  #owner = $derived(session.user ? `${KEY}-${session.user.id}` : KEY);
  /** Turns when something was saved, here or in another tab. */
  #turn = $state(0);
  current = $derived.by<Prefs>(() => {
    void this.#turn;
    return load(this.#owner);
  });

  constructor() {
    window.addEventListener('storage', (event) => {
      if (event.key?.startsWith(KEY)) this.#turn++;
    });
  }

  /** Changes what is kept. Where the browser keeps nothing the change is lost, and false comes back. */
  change(change: (prefs: Prefs) => Prefs): boolean {
    const saved = save(this.#owner, change(load(this.#owner)));
    this.#turn++;
    return saved;
  }
}

function load(owner: string): Prefs {
  try {
    return parsePrefs(window.localStorage.getItem(owner));
  } catch {
    return NO_PREFS;
  }
}

function save(owner: string, prefs: Prefs): boolean {
  try {
    window.localStorage.setItem(owner, JSON.stringify(prefs));
    return true;
  } catch {
    return false;
  }
}

export const prefs = new PrefsStore();
