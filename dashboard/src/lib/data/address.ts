/**
 * What a site's page shows, as its address says it. The address is the only
 * state of the page: back, reload and sharing just work.
 */
import { parseFilters, writeFilters, type Filter } from './filter';
import { DEFAULT_METRIC, isAvailable, parseMetric, type Metric } from './metric';
import { PANELS, tabOf, type PanelName } from './panel';
import {
  INTERVALS, intervalsFor, parsePeriod, rangeOf, writePeriod,
  type Compare, type Interval, type Period,
} from './period';
import type { Day } from './dates';

export interface SiteView {
  period: Period;
  compare: Compare;
  metric: Metric;
  /** As asked; see intervalOf for the one that suits the period. */
  interval?: Interval;
  filters: Filter[];
  tabs: Partial<Record<PanelName, string>>;
}

export const DEFAULT_COMPARE: Compare = 'previous';

export function parseSiteView(search: string): SiteView {
  const params = new URLSearchParams(search);
  const filters = parseFilters(params);
  const metric = parseMetric(params.get('metric'));
  const interval = INTERVALS.find((name) => name === params.get('interval'));
  const tabs: SiteView['tabs'] = {};
  for (const panel of PANELS) {
    const name = params.get(panel.name);
    if (name && tabOf(panel, name).name === name) tabs[panel.name] = name;
  }
  return {
    period: parsePeriod(params),
    compare: parseCompare(params.get('compare')),
    metric: isAvailable(metric, filters) ? metric : DEFAULT_METRIC,
    ...(interval ? { interval } : {}),
    filters,
    tabs,
  };
}

/** The query of the address that shows view, "" or starting with "?"; defaults are left out. */
export function formatSiteView(view: SiteView): string {
  const params = new URLSearchParams();
  writePeriod(params, view.period);
  if (view.compare !== DEFAULT_COMPARE) params.set('compare', view.compare);
  if (view.metric !== DEFAULT_METRIC) params.set('metric', view.metric);
  if (view.interval) params.set('interval', view.interval);
  writeFilters(params, view.filters);
  for (const panel of PANELS) {
    const name = view.tabs[panel.name];
    if (name && name !== panel.tabs[0].name) params.set(panel.name, name);
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** The interval to draw: the one asked for where it suits the period, else the usual one. */
export function intervalOf(view: SiteView, today: Day): Interval {
  const suited = intervalsFor(rangeOf(view.period, today));
  return view.interval && suited.includes(view.interval) ? view.interval : suited[0];
}

function parseCompare(text: string | null): Compare {
  return text === 'off' || text === 'year' ? text : DEFAULT_COMPARE;
}
