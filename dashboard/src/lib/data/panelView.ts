/**
 * How a panel is shown, as the address says it: "pages=entry" is the tab,
 * "pages.cols=visitors,visits" its columns, "pages.sort=visits" or
 * "pages.sort=visits:asc" the order, "pages.find=boots" what rows contain.
 */
import { COLUMNS, columnsFor, type Column, type ColumnScope } from './column';
import { usualColumns, type PanelName, type Tab } from './panel';

/** A column, or the value of the rows itself. */
export type SortBy = Column | 'value';
export interface Sort { by: SortBy; down: boolean }

export interface PanelView {
  columns?: Column[];
  sort?: Sort;
  find?: string;
}

/** Longer texts are found in nothing. */
export const FIND_MAX = 200;

export function parsePanelView(params: URLSearchParams, name: PanelName): PanelView | null {
  const view: PanelView = {};
  const columns = COLUMNS.filter((column) => params.get(`${name}.cols`)?.split(',').includes(column));
  if (columns.length > 0) view.columns = columns;
  const sort = parseSort(params.get(`${name}.sort`));
  if (sort) view.sort = sort;
  const find = params.get(`${name}.find`)?.slice(0, FIND_MAX);
  if (find) view.find = find;
  return Object.keys(view).length > 0 ? view : null;
}

export function writePanelView(params: URLSearchParams, name: PanelName, view: PanelView | undefined): void {
  if (view?.columns) params.set(`${name}.cols`, view.columns.join(','));
  if (view?.sort) params.set(`${name}.sort`, formatSort(view.sort));
  if (view?.find) params.set(`${name}.find`, view.find);
}

/** The usual direction, which the address leaves out: most first, names from A. */
function usuallyDown(by: SortBy): boolean {
  return by !== 'value';
}

function parseSort(text: string | null): Sort | null {
  const [name, direction] = (text ?? '').split(':');
  const by = name === 'value' ? 'value' : COLUMNS.find((column) => column === name);
  if (!by) return null;
  return { by, down: direction === 'asc' ? false : direction === 'desc' ? true : usuallyDown(by) };
}

function formatSort({ by, down }: Sort): string {
  return down === usuallyDown(by) ? by : `${by}:${down ? 'desc' : 'asc'}`;
}

/** What a click on a column's title leads to: that column, or the other way round. */
export function sortedBy(sort: Sort, by: SortBy): Sort {
  return sort.by === by ? { by, down: !sort.down } : { by, down: usuallyDown(by) };
}

/** A view with a column shown or not; never without any, and without a trace when it is as usual. */
export function withColumn(view: PanelView, shown: readonly Column[], column: Column, usual: readonly Column[]): PanelView {
  const columns = COLUMNS.filter((each) => (each === column ? !shown.includes(each) : shown.includes(each)));
  const { columns: _, ...rest } = view;
  return columns.length === 0 || columns.join() === usual.join() ? rest : { ...rest, columns };
}

export interface PanelShape { possible: Column[]; usual: Column[]; columns: Column[]; sort: Sort }

/** What a panel really shows: of what was chosen, that which its tab has. */
export function shapeOf(tab: Tab, view: PanelView, scope: ColumnScope): PanelShape {
  const possible = columnsFor(scope);
  const has = (column: Column) => possible.includes(column);
  const usual = COLUMNS.filter((column) => usualColumns(tab, scope.goal).includes(column) && has(column));
  const chosen = (view.columns ?? []).filter(has);
  const columns = chosen.length > 0 ? chosen : usual;
  const wanted = view.sort;
  const sorts = wanted && (wanted.by === 'value' || columns.includes(wanted.by));
  const first = columns.includes('visitors') ? 'visitors' : columns[0] ?? 'visitors';
  return { possible, usual, columns, sort: sorts ? wanted : { by: first, down: true } };
}
