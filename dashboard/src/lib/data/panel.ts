/** The panels of a site's page: which tabs each has and what a tab asks for. */
import type { Column } from './column';
import { dimensionNamed, isOfEvents, onlyValue, type Filter, type FilterName } from './filter';

export interface Tab {
  /** Name in the address and key of its texts. */
  name: string;
  /** The dimension that it lists, and that a click on a row filters by. */
  filter: FilterName;
  /** Tabs of one group share a button and are told apart below it. */
  group?: string;
  /** Drawn as a map, with the table beside it. */
  map?: true;
  /** Once this is filtered to a single value, the tab lists the versions of it. */
  versions?: FilterName;
  /** The value that rows are versions of. */
  of?: string;
  /** The property to list is yet to be chosen. */
  unchosen?: true;
}

export interface Panel {
  name: 'pages' | 'sources' | 'places' | 'devices' | 'actions';
  tabs: readonly [Tab, ...Tab[]];
}

export const PANELS: readonly Panel[] = [
  {
    name: 'sources',
    tabs: [
      { name: 'sources', filter: 'source' },
      { name: 'channels', filter: 'channel' },
      { name: 'referrers', filter: 'referrer' },
      { name: 'campaigns', filter: 'utm_campaign', group: 'campaigns' },
      { name: 'utm_medium', filter: 'utm_medium', group: 'campaigns' },
      { name: 'utm_source', filter: 'utm_source', group: 'campaigns' },
      { name: 'utm_content', filter: 'utm_content', group: 'campaigns' },
      { name: 'utm_term', filter: 'utm_term', group: 'campaigns' },
    ],
  },
  {
    name: 'pages',
    tabs: [
      { name: 'top', filter: 'page' },
      { name: 'entry', filter: 'entry_page' },
      { name: 'exit', filter: 'exit_page' },
    ],
  },
  {
    name: 'places',
    tabs: [
      { name: 'map', filter: 'country', map: true },
      { name: 'countries', filter: 'country' },
      { name: 'regions', filter: 'region' },
      { name: 'cities', filter: 'city' },
      { name: 'languages', filter: 'language' },
    ],
  },
  {
    name: 'devices',
    tabs: [
      { name: 'browsers', filter: 'browser', versions: 'browser_version' },
      { name: 'os', filter: 'os', versions: 'os_version' },
      { name: 'devices', filter: 'device' },
      { name: 'screens', filter: 'screen' },
    ],
  },
  {
    name: 'actions',
    tabs: [
      { name: 'goals', filter: 'goal' },
      { name: 'events', filter: 'event' },
      { name: 'props', filter: 'prop:', unchosen: true },
    ],
  },
];

export type PanelName = Panel['name'];

/** The tab of a panel that an address names, or the first one. */
export function tabOf(panel: Panel, name: string | null | undefined): Tab {
  return panel.tabs.find((tab) => tab.name === name) ?? panel.tabs[0];
}

/** The tabs that have a button of their own: of a group only the first. */
export function headTabs(panel: Panel): Tab[] {
  return panel.tabs.filter((tab, i) => !tab.group || panel.tabs.findIndex((each) => each.group === tab.group) === i);
}

/** A tab as it stands with the filters in force and the property that was chosen. */
export function settledTab(tab: Tab, filters: readonly Filter[], prop: string | null): Tab {
  if (tab.unchosen) return prop === null ? tab : { name: tab.name, filter: `prop:${prop}` };
  const of = tab.versions ? onlyValue(filters, tab.filter) : null;
  return tab.versions && of !== null ? { name: tab.name, filter: tab.versions, of } : tab;
}

export function dimensionOf(tab: Tab): string {
  return dimensionNamed(tab.filter);
}

/** Rows that are events, for which there are no figures of visits. */
export function listsEvents(tab: Tab): boolean {
  return tab.filter !== 'page' && tab.filter !== 'hostname' && isOfEvents(tab.filter);
}

/** The columns of a tab before any were chosen. */
export function usualColumns(tab: Tab, goal: boolean): Column[] {
  if (tab.filter === 'goal') return ['visitors', 'events', 'conversion_rate', 'total_revenue'];
  if (listsEvents(tab)) return ['visitors', 'events', 'percentage'];
  if (goal) return ['visitors', 'conversion_rate'];
  return tab.filter === 'page' ? ['visitors', 'pageviews', 'percentage'] : ['visitors', 'percentage'];
}
