/** The questions of panels and of the fields of filters. */
import type { SiteView } from './address';
import { apiMetric, isSum, type Column } from './column';
import { codesNamed } from './codes';
import type { Day } from './dates';
import { dimensionNamed, testedBy, withoutFilter, type ApiFilter, type FilterName } from './filter';
import { dimensionOf, listsEvents, type PanelName, type Tab } from './panel';
import { shapeOf, type PanelShape } from './panelView';
import { baseQuestion, comparisonsAsked, type Question } from './question';

/** How many rows a panel shows before it is opened in full. */
export const PANEL_ROWS = 9;
/** How many rows the full list of a panel gets at a time. */
export const LIST_ROWS = 100;
/** A map takes all countries there are. */
const MAP_ROWS = 300;
const GOALS_MAX = 1000;
/** How many values a field of a filter offers. */
const OFFERED = 12;

/** What is known of a site besides its address. */
export interface SiteWords { revenue: boolean }

/** A map shows one thing. */
const MAP_SHAPE: PanelShape = {
  possible: ['visitors', 'percentage'], usual: ['visitors', 'percentage'], columns: ['visitors', 'percentage'], sort: { by: 'visitors', down: true },
};

/** The shape of a panel's tab under the filters in force. */
export function panelShape(view: SiteView, panel: PanelName, tab: Tab, words: SiteWords): PanelShape {
  if (tab.map) return MAP_SHAPE;
  const shown = view.panels[panel] ?? {};
  const tested = testedBy(view.filters, view.segments);
  return shapeOf(tab, shown, {
    ofEvents: listsEvents(tab), dimension: dimensionOf(tab), goal: tested.goal && !tested.nestedProps,
    revenue: words.revenue, searched: !!shown.find,
  });
}

/** The column that the bars show: the one sorted by where it adds up. */
export function barColumn({ columns, sort }: PanelShape): Column | null {
  if (sort.by !== 'value' && isSum(sort.by)) return sort.by;
  return columns.find(isSum) ?? null;
}

/** The rows of a panel's tab; null while its property is not chosen. */
export function panelQuestion(
  domain: string, view: SiteView, today: Day, panel: PanelName, tab: Tab, words: SiteWords,
  page?: { limit: number; offset: number },
): Question | null {
  if (tab.unchosen) return null;
  const shape = panelShape(view, panel, tab, words);
  const dimension = dimensionOf(tab);
  const { by, down } = shape.sort;
  const direction = down ? 'desc' : 'asc';
  const comparisons = comparisonsAsked(view, today);
  const question = baseQuestion(domain, view, today);
  return {
    ...question,
    metrics: shape.columns.map((column) => apiMetric(column, dimension)),
    dimensions: [dimension],
    filters: [
      ...(question.filters ?? []),
      ...(tab.filter === 'event' ? [['is_not', 'event:name', ['pageview']]] as Question['filters'] & object : []),
      ...findFilters(tab.filter, tab.map ? undefined : view.panels[panel]?.find) as Question['filters'] & object,
    ],
    order_by: by === 'value' ? [[dimension, direction]] : [[apiMetric(by, dimension), direction], [dimension, 'asc']],
    include: {
      total_rows: true,
      ...(comparisons && !tab.map ? { comparisons } : {}),
    },
    pagination: page ?? { limit: limitOf(view, panel, tab), offset: 0 },
  };
}

/** Goals are found on the page, so that all are wanted while a text is looked for. */
function limitOf(view: SiteView, panel: PanelName, tab: Tab): number {
  if (tab.map) return MAP_ROWS;
  return tab.filter === 'goal' && view.panels[panel]?.find ? GOALS_MAX : PANEL_ROWS;
}

/**
 * What finds a text in the values of a name. Countries and languages are found
 * by what people call them. Goals are few and found on the page, because the
 * API refuses a text that no goal contains.
 */
export function findFilters(name: FilterName, text: string | undefined): ApiFilter[] {
  if (!text || name === 'goal') return [];
  const dimension = dimensionNamed(name);
  const contains: ApiFilter = ['contains', dimension, [text], { case_sensitive: false }];
  const codes = name === 'country' ? codesNamed('region', text) : name === 'language' ? codesNamed('language', text) : [];
  return codes.length === 0 ? [contains] : [['or', [['is', dimension, codes], contains]]];
}

/** The same rows as a file: all of them, and without the comparison. */
export function exportQuestion(question: Question): Question {
  const { include: _include, pagination: _pagination, ...rest } = question;
  return rest;
}

/** Values to offer for a name while text is typed, under the other filters in force. */
export function offerQuestion(
  domain: string, view: SiteView, today: Day, name: FilterName, text: string, at: number,
): Question {
  const dimension = dimensionNamed(name);
  const others = { ...view, filters: withoutFilter(view.filters, at) };
  const question = baseQuestion(domain, others, today);
  return {
    ...question,
    metrics: ['visitors'],
    dimensions: [dimension],
    filters: [...(question.filters ?? []), ...findFilters(name, text) as Question['filters'] & object],
    order_by: [['visitors', 'desc'], [dimension, 'asc']],
    pagination: { limit: OFFERED, offset: 0 },
  };
}
