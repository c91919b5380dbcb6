/** The rows of a panel, made from one answer. */
import type { QueryResult } from './question';

export interface PanelRow {
  /** The value as the API says it; what a filter takes. */
  value: string;
  visitors: number;
  pageviews: number | null;
  /** 0…1 of the largest row, for the bar. */
  share: number;
}

export interface PanelRows {
  rows: PanelRow[];
  /** How many there are in all. */
  total: number;
}

/** What the API says where a visit has no value. */
export const NOT_SET = '(not set)';

/** largest: visitors of the first row of all, when these are not the first rows. */
export function buildRows(result: QueryResult, largest?: number): PanelRows {
  const rows = result.results.map((row) => ({
    value: row.dimensions[0] ?? '',
    visitors: numberOf(row.metrics[0]) ?? 0,
    pageviews: numberOf(row.metrics[1]),
  }));
  const most = largest ?? Math.max(0, ...rows.map((row) => row.visitors));
  return {
    rows: rows.map((row) => ({ ...row, share: most > 0 ? row.visitors / most : 0 })),
    total: result.meta.total_rows ?? rows.length,
  };
}

/** Whether all that is known is that nothing is known, as without a geo database. */
export function isAllUnknown({ rows }: PanelRows): boolean {
  return rows.length > 0 && rows.every((row) => row.value === NOT_SET || row.value === '');
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
