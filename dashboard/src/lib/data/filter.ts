/**
 * Filters on rows. In an address each is one `f` parameter, such as
 * "is,source,Google" or "is_not,page,/a|/b"; commas after the second belong to
 * the values, which are parted by "|" ("\|" and "\\" stand for themselves).
 */

export const FILTER_DIMENSIONS = {
  page: 'event:page',
  hostname: 'event:hostname',
  entry_page: 'visit:entry_page',
  exit_page: 'visit:exit_page',
  source: 'visit:source',
  referrer: 'visit:referrer',
  channel: 'visit:channel',
  utm_medium: 'visit:utm_medium',
  utm_source: 'visit:utm_source',
  utm_campaign: 'visit:utm_campaign',
  utm_content: 'visit:utm_content',
  utm_term: 'visit:utm_term',
  country: 'visit:country',
  region: 'visit:region',
  city: 'visit:city',
  browser: 'visit:browser',
  os: 'visit:os',
  device: 'visit:device',
  language: 'visit:language',
  event: 'event:name',
} as const;

export type FilterName = keyof typeof FILTER_DIMENSIONS;
export type FilterOp = 'is' | 'is_not';

export interface Filter {
  op: FilterOp;
  name: FilterName;
  /** At least one; a row matches when it equals any of them. */
  values: string[];
}

/** A filter as the Stats API takes it. */
export type ApiFilter = [string, string, string[]];

/** How many filters an address may carry; the rest is ignored. */
export const FILTERS_MAX = 20;

export function parseFilters(params: URLSearchParams): Filter[] {
  return params.getAll('f').slice(0, FILTERS_MAX).flatMap((text) => parseFilter(text) ?? []);
}

export function writeFilters(params: URLSearchParams, filters: Filter[]): void {
  params.delete('f');
  for (const filter of filters) params.append('f', formatFilter(filter));
}

export function parseFilter(text: string): Filter | null {
  const first = text.indexOf(',');
  const second = text.indexOf(',', first + 1);
  if (first < 0 || second < 0) return null;
  const op = text.slice(0, first);
  const name = text.slice(first + 1, second);
  const values = splitValues(text.slice(second + 1));
  if ((op !== 'is' && op !== 'is_not') || !isFilterName(name) || values.length === 0) return null;
  return { op, name, values };
}

export function formatFilter(filter: Filter): string {
  const values = filter.values.map((value) => value.replaceAll('\\', '\\\\').replaceAll('|', '\\|'));
  return `${filter.op},${filter.name},${values.join('|')}`;
}

export function toApiFilters(filters: Filter[]): ApiFilter[] {
  return filters.map(({ op, name, values }) => [op, FILTER_DIMENSIONS[name], values]);
}

/** Filters with one that keeps only rows whose name equals value, instead of any other on that name. */
export function withFilter(filters: Filter[], name: FilterName, value: string): Filter[] {
  return [...filters.filter((filter) => filter.name !== name), { op: 'is', name, values: [value] }];
}

export function withoutFilter(filters: Filter[], index: number): Filter[] {
  return filters.filter((_, i) => i !== index);
}

/** Filters with the one at index turned from "is" to "is not" or back. */
export function withToggled(filters: Filter[], index: number): Filter[] {
  return filters.map((filter, i) =>
    i === index ? { ...filter, op: filter.op === 'is' ? 'is_not' : 'is' } : filter);
}

function isFilterName(text: string): text is FilterName {
  return Object.hasOwn(FILTER_DIMENSIONS, text);
}

function splitValues(text: string): string[] {
  const values: string[] = [];
  let value = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '\\' && i + 1 < text.length) value += text[++i];
    else if (char === '|') {
      values.push(value);
      value = '';
    } else value += char;
  }
  values.push(value);
  return values.filter((v) => v !== '');
}
