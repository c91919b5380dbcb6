/** The rows of a panel, made from one answer. */
import { apiMetric, numberIn, type Cell, type Column } from './column';
import type { QueryResult } from './question';

export interface PanelRow {
  /** The value as the API says it; what a filter takes. */
  value: string;
  /** One per column. */
  cells: Cell[];
  /** Percent, or points for rates; null without a comparison. One per column. */
  changes: (number | null)[];
  /** What the row is compared with. */
  others: Cell[];
  /** 0…1 of the largest row, for the bar. */
  share: number;
}

export interface PanelRows {
  columns: Column[];
  rows: PanelRow[];
  /** How many there are in all. */
  total: number;
  /** Whether the rows are compared with those of other days. */
  compared: boolean;
  /** The figure of the longest bar. */
  most: number;
}

/** What the API says where a visit has no value. */
export const NOT_SET = '(not set)';

export const NO_ROWS: PanelRows = { columns: [], rows: [], total: 0, compared: false, most: 0 };

/** bar: the column that bars show; most: the longest bar of rows that were got before. */
export function buildRows(result: QueryResult, columns: Column[], bar: Column | null, most = 0): PanelRows {
  const dimension = result.query.dimensions[0] ?? '';
  const places = columns.map((column) => result.query.metrics.indexOf(apiMetric(column, dimension)));
  const barAt = bar === null ? -1 : columns.indexOf(bar);
  const rows = result.results.map((row) => ({
    value: row.dimensions[0] ?? '',
    cells: places.map((at) => cellOf(row.metrics[at])),
    changes: places.map((at) => row.comparison?.change[at] ?? null),
    others: places.map((at) => cellOf(row.comparison?.metrics[at])),
  }));
  const sizes = rows.map((row) => numberIn(row.cells[barAt]) ?? 0);
  const longest = Math.max(most, ...sizes);
  return {
    columns,
    rows: rows.map((row, i) => ({ ...row, share: longest > 0 ? Math.max(0, sizes[i] ?? 0) / longest : 0 })),
    total: result.meta.total_rows ?? rows.length,
    compared: result.results.some((row) => row.comparison !== undefined),
    most: longest,
  };
}

/** Rows with those of the next page behind them. Counting goes on meanwhile, so a row may have moved onto it. */
export function appendRows(before: PanelRows, next: PanelRows): PanelRows {
  const known = new Set(before.rows.map((row) => row.value));
  return { ...next, rows: [...before.rows, ...next.rows.filter((row) => !known.has(row.value))] };
}

/** The rows whose value, as people read it, contains text; for lists that are short enough to be found in here. */
export function foundRows(rows: PanelRows, text: string | undefined, read: (value: string) => string): PanelRows {
  if (!text) return rows;
  const wanted = text.toLowerCase();
  const found = rows.rows.filter((row) => read(row.value).toLowerCase().includes(wanted));
  return { ...rows, rows: found, total: found.length };
}

/** Whether all that is known is that nothing is known, as without a geo database. */
export function isAllUnknown({ rows }: PanelRows): boolean {
  return rows.length > 0 && rows.every((row) => row.value === NOT_SET || row.value === '');
}

function cellOf(value: unknown): Cell {
  if (typeof value === 'number') return value;
  if (typeof value === 'object' && value !== null && 'value' in value && 'currency' in value
    && typeof value.value === 'number' && typeof value.currency === 'string') return { value: value.value, currency: value.currency };
  return null;
}
