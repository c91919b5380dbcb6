/** The notes on a site's days. */
import { noteOf, toHandOver, type Note } from '../data/notes';
import { answer, ApiError, client, limits } from './api';
import { prefs } from './prefs.svelte';
import { Slot } from './slot.svelte';

/** Refusals that another try would not change. */
const FINAL = [400, 403, 404, 413];

export class NoteBook {
  readonly #slot = new Slot<Note[]>();
  readonly #path: { site: string };
  /** In the order of their days. */
  notes = $derived<Note[]>(this.#slot.data ?? []);

  /** They were got. */
  known = $derived(this.#slot.data !== null);

  constructor(domain: string) {
    this.#path = { site: domain };
  }

  /** Gets the notes; without them the chart is drawn all the same. */
  async load(): Promise<void> {
    await this.#slot.load((signal) => this.#list(signal));
  }

  close(): void {
    this.#slot.reset();
  }

  /** id: null for a new one. Throws an ApiError where the node does not take it. */
  async save(id: string | null, day: string, text: string): Promise<void> {
    const body = { date: day, text: text.trim() };
    await answer(id === null
      ? client.POST('/v1/sites/{site}/annotations', { params: { path: this.#path }, body, ...limits() })
      : client.PUT('/v1/sites/{site}/annotations/{id}', { params: { path: { ...this.#path, id: Number(id) } }, body, ...limits() }));
    await this.load();
  }

  async drop(id: string): Promise<void> {
    await answer(client.DELETE('/v1/sites/{site}/annotations/{id}', { params: { path: { ...this.#path, id: Number(id) } }, ...limits() }));
    await this.load();
  }

  /** Hands over, once, what was written while notes stayed in the browser. */
  async handOver(): Promise<void> {
    const old = prefs.oldNotes(this.#path.site) ?? [];
    if (old.length === 0 || this.#slot.data === null) return;
    try {
      for (const { day, text } of toHandOver(old, this.#slot.data)) {
        await answer(client.POST('/v1/sites/{site}/annotations', { params: { path: this.#path }, body: { date: day, text }, ...limits() }));
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!FINAL.includes(error.status)) return;
    }
    prefs.dropOldNotes(this.#path.site);
    await this.load();
  }

  async #list(signal: AbortSignal): Promise<Note[]> {
    return (await answer(client.GET('/v1/sites/{site}/annotations', { params: { path: this.#path }, ...limits(signal) }))).annotations.map(noteOf);
  }
}
