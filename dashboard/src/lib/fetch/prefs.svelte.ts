/**
 * The reader's preferences. The node keeps them with the account; what this
 * device keeps is drawn first and then brought in line with it. A change is in
 * force at once, is sent as soon as the node can be reached, and changes only
 * what it is about, whatever another tab or device has changed meanwhile.
 */
import { languageOf, type Language } from '../data/i18n';
import {
  fromApi, joinPrefs, mergePrefs, NOTHING_KEPT, parseKept, samePrefs, toApi, writeKept, type Kept, type Prefs, type Theme, type WeekStart,
} from '../data/prefs';
import { answer, ApiError, client, limits } from './api';
import { storedLanguage, storeLanguage, storeWeekStart, storedWeekStart } from './device';
import { session } from './session.svelte';
import { theme } from './theme.svelte';

const KEY = 'footfall-prefs';
/** Whose preferences were shown last, for the time before it is known who reads. */
const OWNER_KEY = 'footfall-prefs-owner';
/** How soon a node that could not be reached is asked again. */
const RETRY_MS = 15_000;

class PrefsStore {
  #last = storedText(OWNER_KEY);
  #owner = $derived(session.own ? String(session.own.id) : session.user === undefined ? this.#last : null);
  /** Turns when something was kept, here or in another tab. */
  #turn = $state(0);
  #kept = $derived.by<Kept>(() => {
    void this.#turn;
    return load(this.#owner);
  });
  current = $derived<Prefs>(this.#kept.prefs);
  keys = $derived(this.#kept.keys);
  /** The node did not take the last change, and it was taken back. */
  refused = $state(false);
  #sending: Promise<void> | null = null;
  #again = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** The looks of this page were chosen for this account. */
  #settled = false;

  constructor() {
    window.addEventListener('storage', (event) => {
      if (event.key?.startsWith(KEY)) this.#turn++;
    });
  }

  change(change: (prefs: Prefs) => Prefs): void {
    const kept = load(this.#owner);
    this.#keep(this.#owner, { ...kept, prefs: change(kept.prefs) });
    this.refused = false;
    void this.sync();
  }

  setKeys(keys: boolean): void {
    this.#keep(this.#owner, { ...load(this.#owner), keys });
  }

  setTheme(choice: Theme): void {
    theme.set(choice);
    if (session.own) this.change((prefs) => ({ ...prefs, theme: choice }));
  }

  /** null: as the browser has it. The page is drawn anew, as its address says. */
  setLanguage(language: Language | null): void {
    storeLanguage(language);
    if (session.own) this.#keep(this.#owner, withPrefs(load(this.#owner), { language: language ?? '' }));
    window.location.reload();
  }

  setWeekStart(weekStart: WeekStart): void {
    storeWeekStart(weekStart);
    if (session.own) this.#keep(this.#owner, withPrefs(load(this.#owner), { weekStart }));
    window.location.reload();
  }

  /** Notes of a site that only this device has. */
  oldNotes(domain: string): Kept['oldNotes'][string] {
    return load(this.#owner).oldNotes[domain] ?? [];
  }

  dropOldNotes(domain: string): void {
    const kept = load(this.#owner);
    this.#keep(this.#owner, { ...kept, oldNotes: Object.fromEntries(Object.entries(kept.oldNotes).filter(([each]) => each !== domain)) });
  }

  /** Brings this device and the node in line. One at a time, over all tabs; what cannot be sent now is sent later. */
  sync(): Promise<void> {
    this.#again = true;
    this.#sending ??= this.#run().finally(() => (this.#sending = null));
    return this.#sending;
  }

  async #run(): Promise<void> {
    while (this.#again && session.own) {
      this.#again = false;
      clearTimeout(this.#retry);
      const owner = String(session.own.id);
      try {
        // Plain http to another machine has no locks; then the tabs rely on each change being about one thing.
        if ('locks' in navigator) await navigator.locks.request(KEY, () => this.#exchange(owner));
        else await this.#exchange(owner);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        // Who has to sign in again is asked for anew then.
        if (!error.unauthorized) this.#retry = setTimeout(() => void this.sync(), RETRY_MS);
        return;
      }
    }
  }

  async #exchange(owner: string): Promise<void> {
    const fresh = load(owner).base === null;
    if (fresh && storedText(OWNER_KEY) === null) {
      // The first account on this device gets what was chosen before it could be kept there.
      this.#keep(owner, withPrefs(load(owner), { theme: theme.choice, language: storedLanguage() ?? '', weekStart: storedWeekStart() }));
    }
    const before = await answer(client.GET('/v1/preferences', limits()));
    const sent = load(owner);
    let theirs = fromApi(before);
    const wanted = sent.base === null ? joinPrefs(sent.prefs, theirs) : mergePrefs(sent.base, sent.prefs, theirs);
    if (!samePrefs(wanted, theirs)) {
      try {
        theirs = fromApi(await answer(client.PUT('/v1/preferences', { body: toApi(wanted), ...limits() })));
      } catch (error) {
        if (!(error instanceof ApiError) || ![400, 403, 413].includes(error.status)) throw error;
        this.refused = true;
      }
    }
    // What was changed while the answer was on its way stays changed.
    const now = load(owner);
    const prefs = mergePrefs(sent.prefs, now.prefs, theirs);
    this.#again ||= !samePrefs(prefs, theirs);
    this.#keep(owner, { ...now, prefs, base: theirs });
    storeText(OWNER_KEY, owner);
    this.#last = owner;
    this.#settle(prefs);
  }

  /** Makes the page look as the account says. Texts and calendars are drawn only once, so another language draws the page anew; that is done only when the page has just come. */
  #settle(prefs: Prefs): void {
    const first = !this.#settled;
    this.#settled = true;
    if (theme.choice !== prefs.theme) theme.set(prefs.theme);
    const language = languageOf(prefs.language);
    const same = storedLanguage() === language && storedWeekStart() === prefs.weekStart;
    if (same) return;
    if (storeLanguage(language) && storeWeekStart(prefs.weekStart) && first) window.location.reload();
  }

  #keep(owner: string | null, kept: Kept): void {
    storeText(keyOf(owner), writeKept(kept));
    this.#turn++;
  }
}

function withPrefs(kept: Kept, change: Partial<Prefs>): Kept {
  return { ...kept, prefs: { ...kept.prefs, ...change } };
}

function keyOf(owner: string | null): string {
  return owner === null ? KEY : `${KEY}-${owner}`;
}

function load(owner: string | null): Kept {
  const text = storedText(keyOf(owner));
  return text === null ? NOTHING_KEPT : parseKept(text);
}

/** Where the browser keeps nothing, a page's own memory does until it is closed. */
const memory = new Map<string, string>();

function storedText(key: string): string | null {
  try {
    return window.localStorage.getItem(key) ?? memory.get(key) ?? null;
  } catch {
    return memory.get(key) ?? null;
  }
}

function storeText(key: string, text: string): void {
  try {
    window.localStorage.setItem(key, text);
  } catch {
    memory.set(key, text);
  }
}

export const prefs = new PrefsStore();
