/** The panels of a site's page: which tabs each has and what a tab asks for. */
import { FILTER_DIMENSIONS, type FilterName } from './filter';

export interface Tab {
  /** Name in the address and key of its texts. */
  name: string;
  /** The dimension that it lists, and that a click on a row filters by. */
  filter: FilterName;
  /** Whether page views are shown beside visitors. */
  views: boolean;
}

export interface Panel {
  name: 'pages' | 'sources' | 'places' | 'devices';
  tabs: readonly [Tab, ...Tab[]];
}

export const PANELS: readonly Panel[] = [
  {
    name: 'pages',
    tabs: [
      { name: 'top', filter: 'page', views: true },
      { name: 'entry', filter: 'entry_page', views: false },
      { name: 'exit', filter: 'exit_page', views: false },
    ],
  },
  {
    name: 'sources',
    tabs: [
      { name: 'sources', filter: 'source', views: false },
      { name: 'channels', filter: 'channel', views: false },
      { name: 'campaigns', filter: 'utm_campaign', views: false },
    ],
  },
  {
    name: 'places',
    tabs: [
      { name: 'countries', filter: 'country', views: false },
      { name: 'languages', filter: 'language', views: false },
    ],
  },
  {
    name: 'devices',
    tabs: [
      { name: 'browsers', filter: 'browser', views: false },
      { name: 'os', filter: 'os', views: false },
      { name: 'devices', filter: 'device', views: false },
    ],
  },
];

export type PanelName = Panel['name'];

/** The tab of a panel that an address names, or the first one. */
export function tabOf(panel: Panel, name: string | null | undefined): Tab {
  return panel.tabs.find((tab) => tab.name === name) ?? panel.tabs[0];
}

export function dimensionOf(tab: Tab): string {
  return FILTER_DIMENSIONS[tab.filter];
}
