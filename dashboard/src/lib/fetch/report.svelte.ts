/** What all report pages do: know the site, ask what the address wants, follow changes, tell when they cannot. */
import { untrack } from 'svelte';
import { todayIn, type Day } from '../data/dates';
import { site as getSite, type SiteDetail } from './api';
import { Feed } from './feed.svelte';
import { toLogin } from './login';
import { presence } from './online.svelte';
import { Slot } from './slot.svelte';

/** How often the clock of a page moves. */
const TICK_MS = 30_000;
/** How soon a node that could not be reached is asked again. */
const RETRY_MS = 4_000;

interface Options {
  /** The least time between two refreshes after changes. */
  gapMs: number;
  /** Run with each tick of the clock too, because visitors leave without a sound. */
  ticking?: boolean;
}

/** To be made, and told its questions, while a component is being made. */
export class ReportPage {
  readonly detail = new Slot<SiteDetail>();
  readonly feed = new Feed();
  now = $state(Date.now());
  seenAt = $state(Date.now());
  zone = $derived(this.detail.data?.timezone);
  today = $derived<Day | null>(this.zone === undefined ? null : todayIn(this.zone, this.now));
  #slots: Slot<unknown>[] = [];
  #refreshes: (() => Promise<void> | undefined)[] = [];
  #domain: string;

  constructor(domain: string, { gapMs, ticking = false }: Options) {
    this.#domain = domain;
    const known = $derived(this.today !== null);
    $effect(() => {
      this.loadDetail();
      return () => [this.detail, ...this.#slots].forEach((slot) => slot.reset());
    });
    $effect(() => {
      if (known) return this.feed.follow(domain, [() => this.refresh(), gapMs]);
    });
    $effect(() => {
      if (!presence.visible) return;
      const timer = setInterval(() => {
        this.now = Date.now();
        if (ticking && known) void this.refresh();
      }, TICK_MS);
      return () => clearInterval(timer);
    });
    $effect(() => {
      if (!this.unreachable || !presence.online) return;
      const timer = setInterval(() => void this.refresh(), RETRY_MS);
      return () => clearInterval(timer);
    });
    $effect(() => {
      if ([this.detail, ...this.#slots].some((slot) => slot.error?.unauthorized)) {
        toLogin();
      }
    });
  }

  /** What is on screen could not be renewed. */
  get unreachable(): boolean {
    return this.#slots.some((slot) => slot.data !== null && slot.error?.unreachable);
  }

  /** Asks for a slot's data whenever its key changes; null stands for no question. still: changes do not ask again. */
  ask<T>(
    slot: Slot<T>, key: () => string | null, ask: (key: string, signal: AbortSignal) => Promise<T>, { still = false } = {},
  ): void {
    this.#slots.push(slot as Slot<unknown>);
    const wanted = $derived(key());
    if (!still) {
      this.#refreshes.push(() => {
        const current = wanted;
        return current === null ? undefined : slot.refresh((signal) => ask(current, signal));
      });
    }
    $effect(() => {
      const current = wanted;
      untrack(() => {
        if (current === null) slot.reset();
        else void slot.load((signal) => ask(current, signal)).then(() => (this.seenAt = Date.now()));
      });
    });
  }

  refresh = async (): Promise<void> => {
    this.now = Date.now();
    await Promise.all(this.#refreshes.map((refresh) => refresh()));
    if (!this.#slots.some((slot) => slot.error)) this.seenAt = Date.now();
  };

  loadDetail = (): void => {
    void this.detail.load((signal) => getSite(this.#domain, signal));
  };
}
