/** The list of all sites: found, sorted, pinned, and added up in groups. */
import type { components } from '../api/schema';
import type { Group, Prefs } from './prefs';
import { queryOf } from './report';

export type Glance = components['schemas']['Overview']['sites'][number];

export const SITE_SORTS = ['name', 'visitors', 'change', 'live'] as const;
export type SiteSort = (typeof SITE_SORTS)[number];

export interface SitesView {
  find: string;
  sort: SiteSort;
  /** Name of the group whose sites are shown. */
  group?: string;
}

export function parseSitesView(search: string): SitesView {
  const params = new URLSearchParams(search);
  const group = params.get('group');
  return {
    find: params.get('find') ?? '',
    sort: SITE_SORTS.find((name) => name === params.get('sort')) ?? 'name',
    ...(group ? { group } : {}),
  };
}

/** The query of the address that shows view; defaults are left out. */
export function formatSitesView({ find, sort, group }: SitesView): string {
  const params = new URLSearchParams();
  if (group) params.set('group', group);
  if (sort !== 'name') params.set('sort', sort);
  if (find) params.set('find', find);
  return queryOf(params);
}

/** The sites that a view shows, pinned ones first. */
export function shownSites<T extends Glance>(sites: readonly T[], view: SitesView, prefs: Pick<Prefs, 'pins' | 'groups'>): T[] {
  const wanted = view.find.trim().toLowerCase();
  const members = prefs.groups.find(({ name }) => name === view.group)?.sites;
  const pinned = (site: T) => (prefs.pins.includes(site.domain) ? 1 : 0);
  return sites
    .filter((site) => site.domain.includes(wanted) && (!members || members.includes(site.domain)))
    .sort((a, b) => pinned(b) - pinned(a) || compare(a, b, view.sort) || (a.domain < b.domain ? -1 : 1));
}

/** The best first; a change that cannot be told comes last. */
function compare(a: Glance, b: Glance, sort: SiteSort): number {
  switch (sort) {
    case 'name': return 0;
    case 'visitors': return b.visitors_today - a.visitors_today;
    case 'live': return b.live - a.live;
    case 'change': return (b.change ?? -Infinity) === (a.change ?? -Infinity) ? 0 : (b.change ?? -Infinity) - (a.change ?? -Infinity);
  }
}

export interface RollUp {
  name: string;
  /** How many of the group's sites there are. */
  sites: number;
  live: number;
  visitors_today: number;
  pageviews_today: number;
  /** Page views of seven days, today last. */
  pageviews: number[];
  /** Percent against the same part of the day a week before; null where it cannot be told. */
  change: number | null;
}

/** Adds up the sites of a group that the reader may see. */
export function rollUp(group: Group, sites: readonly Glance[]): RollUp {
  const members = sites.filter((site) => group.sites.includes(site.domain));
  const sum = (of: (site: Glance) => number) => members.reduce((all, site) => all + of(site), 0);
  const days = members[0]?.pageviews.length ?? 7;
  return {
    name: group.name,
    sites: members.length,
    live: sum((site) => site.live),
    visitors_today: sum((site) => site.visitors_today),
    pageviews_today: sum((site) => site.pageviews_today),
    pageviews: Array.from({ length: days }, (_, i) => sum((site) => site.pageviews[i] ?? 0)),
    change: changeOfSum(members),
  };
}

/**
 * The change of the sum. Each site tells its own in whole percent, so what it is
 * compared with is found backwards; a site that fell to nothing does not tell.
 */
function changeOfSum(members: readonly Glance[]): number | null {
  let before = 0;
  let now = 0;
  for (const { pageviews_today: views, change } of members) {
    if (change === -100) return null;
    now += views;
    before += change === null ? 0 : views / (1 + change / 100);
  }
  return before > 0 ? Math.round((now / before - 1) * 100) : null;
}
