/**
 * What a site's page shows, as its address says it. The address is the only
 * state of the page: back, reload and sharing just work.
 */
import { parseFilters, writeFilters, type Filter, type KnownSegment } from './filter';
import { HEAT_METRICS, type HeatMetric } from './heatmap';
import { DEFAULT_METRIC, isAvailable, parseFigureMetric, type FigureMetric } from './metric';
import { PANELS, tabOf, type PanelName } from './panel';
import { parsePanelView, writePanelView, type PanelView } from './panelView';
import {
  COMPARES, comparisonOf, INTERVALS, intervalsOf, parsePeriod, parsePeriodWord, parseRange, periodWord, writePeriod,
  type Compare, type Interval, type Period,
} from './period';
import type { Day, DayRange } from './dates';

export interface SiteView {
  period: Period;
  compare: Compare;
  /** Only of a custom comparison. */
  compareDays?: DayRange;
  /** Weekdays are compared with the same weekdays. */
  sameWeekdays?: true;
  metric: FigureMetric;
  /** As asked; see intervalOf for the one that suits the period. */
  interval?: Interval;
  /** The period out of which the chart was zoomed. */
  zoomedFrom?: Period;
  filters: Filter[];
  tabs: Partial<Record<PanelName, string>>;
  panels: Partial<Record<PanelName, PanelView>>;
  /** What the hours of the week show, where it is not visitors. */
  heat?: HeatMetric;
  /** The property whose values are listed. */
  prop?: string;
  /** The saved segment whose filters are being changed. */
  editing?: number;
  /** What is known of the segments that filters name; not of the address. */
  segments?: readonly KnownSegment[];
}

export const DEFAULT_COMPARE: Compare = 'previous';

/** segments: those that are known, which tell what their filters allow. */
export function parseSiteView(search: string, segments: readonly KnownSegment[] = []): SiteView {
  const params = new URLSearchParams(search);
  const filters = parseFilters(params);
  const metric = parseFigureMetric(params.get('metric'));
  const interval = INTERVALS.find((name) => name === params.get('interval'));
  const tabs: SiteView['tabs'] = {};
  const panels: SiteView['panels'] = {};
  for (const panel of PANELS) {
    const name = params.get(panel.name);
    if (name && tabOf(panel, name).name === name) tabs[panel.name] = name;
    const shown = parsePanelView(params, panel.name);
    if (shown) panels[panel.name] = shown;
  }
  const zoomedFrom = parsePeriodWord(params.get('zoom'));
  const heat = HEAT_METRICS.find((name) => name === params.get('heat'));
  const prop = params.get('prop');
  const editing = Number(params.get('segment') ?? 0);
  return {
    period: parsePeriod(params),
    ...parseCompare(params),
    metric: isAvailable(metric, filters, segments) ? metric : DEFAULT_METRIC,
    ...(interval ? { interval } : {}),
    ...(zoomedFrom ? { zoomedFrom } : {}),
    filters,
    tabs,
    panels,
    ...(heat && heat !== 'visitors' ? { heat } : {}),
    ...(prop ? { prop } : {}),
    ...(Number.isSafeInteger(editing) && editing > 0 ? { editing } : {}),
    ...(segments.length > 0 ? { segments } : {}),
  };
}

/** The query of the address that shows view, "" or starting with "?"; defaults are left out. */
export function formatSiteView(view: SiteView): string {
  const params = new URLSearchParams();
  writePeriod(params, view.period);
  if (view.compare !== DEFAULT_COMPARE) params.set('compare', view.compare);
  if (view.compare === 'custom' && view.compareDays) {
    params.set('compare_from', view.compareDays.from);
    params.set('compare_to', view.compareDays.to);
  }
  if (view.sameWeekdays && view.compare !== 'off') params.set('match', 'weekday');
  if (view.metric !== DEFAULT_METRIC) params.set('metric', view.metric);
  if (view.interval) params.set('interval', view.interval);
  if (view.zoomedFrom) params.set('zoom', periodWord(view.zoomedFrom));
  writeFilters(params, view.filters);
  for (const panel of PANELS) {
    const name = view.tabs[panel.name];
    if (name && name !== panel.tabs[0].name) params.set(panel.name, name);
    writePanelView(params, panel.name, view.panels[panel.name]);
  }
  if (view.heat && view.heat !== 'visitors') params.set('heat', view.heat);
  if (view.prop) params.set('prop', view.prop);
  if (view.editing) params.set('segment', String(view.editing));
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** The interval to draw: the one asked for where it suits the period, else the usual one. */
export function intervalOf(view: SiteView, today: Day): Interval {
  const suited = intervalsOf(view.period, today);
  return view.interval && suited.includes(view.interval) ? view.interval : suited[0];
}

/** The days, or times, that the view is compared with; see comparisonOf. */
export function comparedWith(view: SiteView, today: Day): DayRange | null {
  return comparisonOf(view.period, view.compare, today, {
    ...(view.compareDays ? { days: view.compareDays } : {}), sameWeekdays: view.sameWeekdays === true,
  });
}

function parseCompare(params: URLSearchParams): Pick<SiteView, 'compare' | 'compareDays' | 'sameWeekdays'> {
  const compare = COMPARES.find((name) => name === params.get('compare')) ?? DEFAULT_COMPARE;
  const sameWeekdays = compare !== 'off' && params.get('match') === 'weekday' ? { sameWeekdays: true as const } : {};
  if (compare !== 'custom') return { compare, ...sameWeekdays };
  const compareDays = parseRange(params.get('compare_from'), params.get('compare_to'));
  return compareDays ? { compare, compareDays, ...sameWeekdays } : { compare: DEFAULT_COMPARE, ...sameWeekdays };
}
