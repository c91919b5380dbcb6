/** The columns of panels: which a tab can have, and how their figures are written. */
import type { Question } from './question';
import { formatCount, formatDuration, formatExact, NOTHING } from './format';
import { locale, t } from './i18n';
import { formatMoney } from './money';
import type { Tone } from './figures';

export const COLUMNS = [
  'visitors', 'visits', 'pageviews', 'events', 'bounce_rate', 'visit_duration', 'scroll_depth', 'time_on_page', 'exit_rate',
  'percentage', 'conversion_rate', 'total_revenue',
] as const;
export type Column = (typeof COLUMNS)[number];

/** A figure of a row: a number, an amount of money, or nothing to compute it from. */
export type Cell = number | { value: number; currency: string } | null;

/** What a panel can be asked for besides its rows. */
export interface ColumnScope {
  /** Rows are events and not visits or pages. */
  ofEvents: boolean;
  /** The rows of the dimension, as the API names it. */
  dimension: string;
  /** A goal is filtered by, so that rates of conversion mean something. */
  goal: boolean;
  /** There are goals with revenue. */
  revenue: boolean;
  /** Rows are searched, so that they are not all of the question's. */
  searched: boolean;
}

export function columnsFor({ ofEvents, dimension, goal, revenue, searched }: ColumnScope): Column[] {
  const goals = dimension === 'event:goal';
  return COLUMNS.filter((column) => {
    switch (column) {
      case 'visitors': return true;
      case 'visits': return !goals;
      case 'events': return ofEvents || goal;
      case 'pageviews': case 'bounce_rate': case 'visit_duration': return !ofEvents;
      case 'scroll_depth': case 'time_on_page': return dimension === 'event:page';
      case 'exit_rate': return dimension === 'visit:exit_page';
      case 'percentage': return !goals && !searched;
      case 'conversion_rate': return goals || (goal && !searched);
      case 'total_revenue': return revenue && (goals || goal);
    }
  });
}

/** The metric of the API that fills a column. A row's rate is of the visitors of that row, that of a goal of all. */
export function apiMetric(column: Column, dimension: string): Question['metrics'][number] {
  return column === 'conversion_rate' && dimension !== 'event:goal' ? 'group_conversion_rate' : column;
}

/** Whether a column adds up, so that a bar can show it. */
export function isSum(column: Column): boolean {
  return column === 'visitors' || column === 'visits' || column === 'pageviews' || column === 'events' || column === 'total_revenue';
}

export function numberIn(cell: Cell | undefined): number | null {
  return typeof cell === 'object' ? cell?.value ?? null : cell ?? null;
}

export function columnTitle(column: Column): string {
  return t(`panel.column.${column}`);
}

export function formatCell(column: Column, cell: Cell): string {
  if (cell === null) return NOTHING;
  if (typeof cell === 'object') return formatMoney(cell.value, cell.currency, 'short');
  switch (column) {
    case 'bounce_rate': case 'scroll_depth': return formatPercent(cell, 0);
    case 'exit_rate': case 'percentage': case 'conversion_rate': return formatPercent(cell, 1);
    case 'visit_duration': case 'time_on_page': return formatDuration(cell);
    default: return formatCount(cell);
  }
}

/** The same with every digit. */
export function formatCellExact(column: Column, cell: Cell): string {
  if (cell === null) return NOTHING;
  if (typeof cell === 'object') return formatMoney(cell.value, cell.currency, 'exact');
  switch (column) {
    case 'exit_rate': case 'percentage': case 'conversion_rate': return formatPercent(cell, 2);
    case 'visitors': case 'visits': case 'pageviews': case 'events': return formatExact(cell);
    default: return formatCell(column, cell);
  }
}

const IN_POINTS: readonly Column[] = ['bounce_rate', 'exit_rate', 'percentage', 'conversion_rate'];
const LESS_IS_BETTER: readonly Column[] = ['bounce_rate', 'exit_rate'];

export function changeText(column: Column, change: number): string {
  const size = Math.abs(change);
  if (IN_POINTS.includes(column)) return t('unit.points', { points: formatExact(size) });
  return size >= 10_000 ? `>${formatPercent(9_999, 0)}` : formatPercent(size, 0);
}

export function changeTone(column: Column, change: number): Tone {
  if (change === 0) return 'same';
  return change > 0 === !LESS_IS_BETTER.includes(column) ? 'good' : 'bad';
}

// As many digits in every row, so that the points stand in a line.
const percents = [0, 1, 2].map((digits) => new Intl.NumberFormat(locale, { style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits }));

function formatPercent(value: number, digits: 0 | 1 | 2): string {
  return percents[value >= 99.95 || value === 0 ? 0 : digits]?.format(value / 100) ?? NOTHING;
}
