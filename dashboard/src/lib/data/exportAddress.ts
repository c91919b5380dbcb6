/** The addresses of files with what a site has counted. */
import type { DayRange } from './dates';

export const EXPORT_FORMATS = ['csv', 'ndjson', 'parquet'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Dimensions by the name of a table; the raw events have none. */
const TABLES = {
  events: null, days: 'time:day', pages: 'event:page', sources: 'visit:source', countries: 'visit:country', browsers: 'visit:browser', goals: 'event:goal',
} as const;
export type ExportTable = keyof typeof TABLES;
export const EXPORT_TABLES = Object.keys(TABLES) as ExportTable[];

export function exportAddress(domain: string, table: ExportTable, format: ExportFormat, { from, to }: DayRange): string {
  const dimension = TABLES[table];
  const params = new URLSearchParams({ format, date_range: `${from},${to}` });
  if (dimension !== null) {
    const metrics = table === 'goals' ? ['visitors', 'events', 'conversion_rate'] : table === 'pages' ? ['visitors', 'pageviews', 'bounce_rate'] : ['visitors', 'visits', 'pageviews', 'bounce_rate', 'visit_duration'];
    params.set('metrics', metrics.join(','));
    params.set('dimensions', dimension);
  }
  return `/v1/sites/${encodeURIComponent(domain)}/export/${dimension === null ? 'events' : 'query'}?${params}`;
}
