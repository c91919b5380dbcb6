/** What the panels of a site's page show, and the words of the site that they need: goals, properties, segments. */
import type { SiteView } from '../data/address';
import type { Day } from '../data/dates';
import { segmentIds } from '../data/filter';
import { PANELS, settledTab, tabOf, type Panel, type PanelName, type Tab } from '../data/panel';
import { barColumn, panelQuestion, panelShape, type SiteWords } from '../data/panelQuestion';
import type { PanelShape } from '../data/panelView';
import { buildRows, type PanelRows } from '../data/rows';
import { ApiError, goals, properties, query, segments, type Goal, type Segment } from './api';
import { Slot } from './slot.svelte';

/** The rows of a panel together with the tab that they are of, so that a new tab never wears old rows. */
export interface Filled { tab: Tab; rows: PanelRows }

export class PanelBoard {
  readonly slots: Record<PanelName, Slot<Filled>> = {
    sources: new Slot(), pages: new Slot(), places: new Slot(), devices: new Slot(), actions: new Slot(),
  };
  /** null until known; empty where the reader may not list them. */
  goals = $state.raw<Goal[] | null>(null);
  properties = $state.raw<string[] | null>(null);
  segments = $state.raw<Segment[] | null>(null);
  readonly words: SiteWords = $derived({ revenue: !!this.goals?.some((goal) => goal.currency !== null) });
  readonly #domain: string;

  constructor(domain: string) {
    this.#domain = domain;
  }

  get all(): Slot<Filled>[] {
    return Object.values(this.slots);
  }

  /** Gets the lists of the site; those who may not have them do without. */
  async loadWords(signal: AbortSignal): Promise<void> {
    const list = async <T>(get: Promise<T[]>): Promise<T[]> => {
      try {
        return await get;
      } catch (error) {
        if (error instanceof ApiError) return [];
        throw error;
      }
    };
    try {
      [this.goals, this.properties] = await Promise.all([
        list(goals(this.#domain, signal)), list(properties(this.#domain, signal)), this.loadSegments(signal),
      ]);
    } catch {
      // Aborted: nobody looks any more.
    }
  }

  /** Gets the segments anew, after one of them was changed. */
  async loadSegments(signal?: AbortSignal): Promise<void> {
    try {
      this.segments = await segments(this.#domain, signal);
    } catch (error) {
      if (error instanceof ApiError) this.segments ??= [];
    }
  }

  /** Whether questions can be asked: which segments there are matters only to filters by one. */
  isReady(view: SiteView): boolean {
    return this.segments !== null || segmentIds(view.filters).length === 0;
  }

  tab(panel: Panel, view: SiteView): Tab {
    return settledTab(tabOf(panel, view.tabs[panel.name]), view.filters, view.prop ?? this.properties?.[0] ?? null);
  }

  shape(panel: Panel, view: SiteView): PanelShape {
    return panelShape(view, panel.name, this.tab(panel, view), this.words);
  }

  /** The question of a panel as text, so that nothing is asked again unless it changed; null: there is none. */
  key(panel: Panel, view: SiteView, today: Day): string | null {
    const tab = this.tab(panel, view);
    const question = panelQuestion(this.#domain, view, today, panel.name, tab, this.words);
    if (!question) return null;
    const shape = panelShape(view, panel.name, tab, this.words);
    return JSON.stringify({ question, tab, columns: shape.columns, bar: barColumn(shape) });
  }

  async load(panel: Panel, key: string): Promise<void> {
    await this.slots[panel.name].load(ask(key));
  }

  /** since: see query. */
  async refresh(view: SiteView, today: Day, since = 0): Promise<void> {
    await Promise.all(PANELS.map((panel) => {
      const key = this.key(panel, view, today);
      return key === null ? undefined : this.slots[panel.name].refresh(ask(key, since));
    }));
  }

  reset(): void {
    for (const slot of this.all) slot.reset();
  }
}

const ask = (key: string, since = 0) => async (signal: AbortSignal): Promise<Filled> => {
  const { question, tab, columns, bar } = JSON.parse(key);
  return { tab, rows: buildRows(await query(question, signal, since), columns, bar) };
};
