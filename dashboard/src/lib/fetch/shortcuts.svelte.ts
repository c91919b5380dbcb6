/** Single keys as shortcuts: pages say what they can do, this hears the keys. */
import { readKey, type KeyAction, type KeyDeed } from '../data/keys';
import { prefs } from './prefs.svelte';

type Deeds = { [D in KeyDeed]?: (action: Extract<KeyAction, { do: D }>) => void };

/** How long the first of two keys waits for the second. */
const PAIR_MS = 1_500;
/** Where keys have a meaning of their own. */
const OWN_KEYS = 'input, textarea, select, [contenteditable=""], [contenteditable="true"], dialog, [role="grid"], [role="listbox"], [role="combobox"], [role="slider"], .sheet';
/** Where arrows have one. */
const OWN_ARROWS = `${OWN_KEYS}, [role="tablist"], [role="img"], [tabindex="0"]`;

class Shortcuts {
  #deeds: Deeds[] = [];
  #before: { key: string; at: number } | null = null;

  /** Adds what can be done until the returned function is called; the newest goes first. */
  offer(deeds: Deeds): () => void {
    this.#deeds.unshift(deeds);
    return () => {
      this.#deeds = this.#deeds.filter((each) => each !== deeds);
    };
  }

  hear(event: KeyboardEvent): void {
    if (!prefs.keys || event.defaultPrevented || event.isComposing || event.repeat) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === 'Shift') return;
    const target = event.target instanceof Element ? event.target : null;
    if (document.querySelector('dialog[open]') || target?.closest(event.key.startsWith('Arrow') ? OWN_ARROWS : OWN_KEYS)) return;
    const before = this.#before && event.timeStamp - this.#before.at < PAIR_MS ? this.#before.key : null;
    const { action, first } = readKey(event.key, before);
    this.#before = first ? { key: event.key.toLowerCase(), at: event.timeStamp } : null;
    if (action && this.#run(action)) event.preventDefault();
  }

  #run(action: KeyAction): boolean {
    const deed = this.#deeds.map((deeds) => deeds[action.do]).find((found) => found !== undefined);
    (deed as ((action: KeyAction) => void) | undefined)?.(action);
    return deed !== undefined;
  }
}

export const shortcuts = new Shortcuts();
