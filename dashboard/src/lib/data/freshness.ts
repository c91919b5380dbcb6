/** How fresh an answer about a site's numbers is, as its headers say. */

export interface Freshness {
  /** The part of the cluster that keeps the site takes no views just now; they wait where they arrived. */
  readOnly: boolean;
  /** Time of the numbers in Unix ms; null: they are as good as now. */
  asOf: number | null;
}

export const FRESH: Freshness = { readOnly: false, asOf: null };

/** Numbers that are older are told to be. */
const STALE_MS = 10_000;
/** Answers that tell; the others say nothing about it, whatever their headers are. */
const TELLING = /^\/(api\/v2\/query|v1\/overview|v1\/sites\/[^/]+\/(months|funnel|journeys|retention|heatmap|realtime|page|returning))$/;

/** null: the answer says nothing about it. */
export function freshnessOf(path: string, headers: Pick<Headers, 'get'>, now: number): Freshness | null {
  if (!TELLING.test(path)) return null;
  const staleness = Number(headers.get('X-Footfall-Staleness') ?? 0);
  return {
    readOnly: headers.get('X-Footfall-Read-Only') === 'true',
    asOf: Number.isFinite(staleness) && staleness > STALE_MS ? now - staleness : null,
  };
}
