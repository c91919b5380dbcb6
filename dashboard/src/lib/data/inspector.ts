/** The last events of a site with what became of each. */

export interface InspectedEvent {
  id: string;
  time: string;
  kind: string;
  name: string;
  page: string;
  host: string;
  referrer: string;
  source: string;
  country: string;
  region: string;
  city: string;
  browser: string;
  os: string;
  device: string;
  screen: string;
  language: string;
  /** "counted", or the reason why not. */
  verdict: string;
  /** What matched. */
  rule: string;
  edge: string;
}

export interface Inspection { events: Partial<InspectedEvent>[]; recording_since?: string | null; complete?: boolean }

export interface InspectorRow extends InspectedEvent {
  /** Stays the same for as long as the event is on screen, and so does fresh. */
  key: string;
  fresh: boolean;
}

export const VERDICTS = ['all', 'counted', 'dropped'] as const;
export type VerdictChoice = (typeof VERDICTS)[number];

const EMPTY: InspectedEvent = {
  id: '', time: '', kind: '', name: '', page: '', host: '', referrer: '', source: '', country: '', region: '', city: '', browser: '', os: '', device: '', screen: '',
  language: '', verdict: '', rule: '', edge: '',
};

export function parseVerdict(text: string | null): VerdictChoice {
  return VERDICTS.find((each) => each === text) ?? 'all';
}

/** Newest first. before: what stood there, to tell what is new; null for the first answer, in which nothing is. */
export function inspectorRows(inspection: Inspection, before: readonly InspectorRow[] | null): InspectorRow[] {
  const known = new Map(before?.map((row) => [row.key, row.fresh]));
  const counts = new Map<string, number>();
  const events = inspection.events.map((event) => ({ ...EMPTY, ...event })).sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
  return events.map((event) => {
    const own = event.id || JSON.stringify([event.time, event.verdict, event.kind, event.name, event.page, event.browser, event.country, event.edge]);
    const nth = (counts.get(own) ?? 0) + 1;
    counts.set(own, nth);
    const key = `${own}${nth}`;
    return { ...event, key, fresh: before !== null && (known.get(key) ?? true) };
  });
}

/** Rows of a kind of verdict that hold a text somewhere. */
export function matchingRows(rows: readonly InspectorRow[], verdict: VerdictChoice, text: string): InspectorRow[] {
  const wanted = text.trim().toLowerCase();
  return rows.filter((row) => (verdict === 'all' || (row.verdict === 'counted') === (verdict === 'counted'))
    && (wanted === '' || [row.name, row.page, row.host, row.source, row.referrer, row.country, row.city, row.browser, row.os, row.device, row.verdict, row.rule]
      .some((value) => value.toLowerCase().includes(wanted))));
}

/** How many rows there are of each reason, the most frequent first. */
export function dropCounts(rows: readonly Pick<InspectedEvent, 'verdict'>[]): { reason: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { verdict } of rows) if (verdict !== 'counted') counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  return [...counts].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));
}
