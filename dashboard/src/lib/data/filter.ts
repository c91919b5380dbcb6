/**
 * Filters on rows. In an address each is one `f` parameter, such as
 * "is,source,Google" or "is_not,page,/a|/b"; commas after the second belong to
 * the values, which are parted by "|" ("\|" and "\\" stand for themselves).
 *
 * The operator may carry more: "contains.i" takes no notice of case, and
 * "done.is" or "not_done.is" speak of what the visit did besides. A property is
 * named "prop:plan", with "\," for a comma. Filters of which one must hold are
 * one parameter, "or," and the filters parted by ";" ("\;" stands for itself).
 */
import { escapeText, splitText } from './escape';

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
  browser_version: 'visit:browser_version',
  os: 'visit:os',
  os_version: 'visit:os_version',
  device: 'visit:device',
  screen: 'visit:screen_class',
  language: 'visit:language',
  event: 'event:name',
  goal: 'event:goal',
  /** The filters of a saved segment; its values are numbers of segments. */
  segment: 'segment',
} as const;

export type DimensionName = keyof typeof FILTER_DIMENSIONS;
export type FilterName = DimensionName | `prop:${string}`;

export const FILTER_OPS = ['is', 'is_not', 'contains', 'contains_not', 'matches', 'matches_not'] as const;
export type FilterOp = (typeof FILTER_OPS)[number];

/** What the visit did, or did not do, besides what is counted. */
export type Done = 'done' | 'not_done';

export interface Test {
  op: FilterOp;
  name: FilterName;
  /** At least one; a row matches when any of them holds. */
  values: string[];
  /** Takes no notice of case. */
  fold?: true;
  done?: Done;
}

/** Tests of which one must hold; at least two. */
export interface AnyOf { any: Test[] }

export type Filter = Test | AnyOf;

/** A filter as the Stats API takes it. */
export type ApiFilter = (string | ApiFilter | (string | number)[] | { case_sensitive: boolean } | ApiFilter[])[];

/** A segment as far as questions need it. */
export interface KnownSegment { id: number; name: string; segment_data: { filters: unknown[] } }

/** How many filters an address may carry; the rest is ignored. */
export const FILTERS_MAX = 20;

export function parseFilters(params: URLSearchParams): Filter[] {
  return params.getAll('f').slice(0, FILTERS_MAX).flatMap((text) => parseFilter(text) ?? []);
}

export function writeFilters(params: URLSearchParams, filters: readonly Filter[]): void {
  params.delete('f');
  for (const filter of filters) params.append('f', formatFilter(filter));
}

export function parseFilter(text: string): Filter | null {
  if (!text.startsWith('or,')) return parseTest(text);
  const any = splitText(text.slice(3), ';').map(parseTest);
  if (any.length < 2 || any.includes(null)) return null;
  const filter: AnyOf = { any: any as Test[] };
  return faultOf(filter) === null ? filter : null;
}

function parseTest(text: string): Test | null {
  const parts = /^([^,]*),((?:\\.|[^,\\])*),(.*)$/s.exec(text);
  if (!parts) return null;
  const words = (parts[1] ?? '').split('.');
  const done = words[0] === 'done' || words[0] === 'not_done' ? (words.shift() as Done) : undefined;
  const op = FILTER_OPS.find((each) => each === words[0]);
  const fold = words[1] === 'i';
  const name = (parts[2] ?? '').replace(/\\(.)/gs, '$1');
  const values = splitText(parts[3] ?? '', '|').filter((value) => value !== '');
  if (!op || words.length > (fold ? 2 : 1) || !isFilterName(name) || values.length === 0) return null;
  const test: Test = { op, name, values, ...(fold ? { fold } : {}), ...(done ? { done } : {}) };
  return faultOf(test) === null ? test : null;
}

export function formatFilter(filter: Filter): string {
  if ('any' in filter) return `or,${filter.any.map((test) => escapeText(formatFilter(test), ';')).join(';')}`;
  const values = filter.values.map((value) => escapeText(value, '|'));
  const op = [filter.done, filter.op, filter.fold ? 'i' : undefined].filter(Boolean).join('.');
  return `${op},${escapeText(filter.name, ',')},${values.join('|')}`;
}

export function toApiFilters(filters: readonly Filter[]): ApiFilter[] {
  return filters.map((filter) => ('any' in filter ? ['or', filter.any.map(toApiTest)] : toApiTest(filter)));
}

function toApiTest({ op, name, values, fold, done }: Test): ApiFilter {
  const clauses = name === 'segment' ? values.map(Number) : values;
  const test: ApiFilter = [op, dimensionNamed(name), clauses, ...(fold ? [{ case_sensitive: false }] : [])];
  return done ? [done === 'done' ? 'has_done' : 'has_not_done', test] : test;
}

export function dimensionNamed(name: FilterName): string {
  return isProp(name) ? `event:props:${name.slice(5)}` : FILTER_DIMENSIONS[name];
}

export function isProp(name: FilterName): name is `prop:${string}` {
  return name.startsWith('prop:');
}

/** Whether a name tells events apart and not whole visits; only these can be asked of what a visit did. */
export function isOfEvents(name: FilterName): boolean {
  return name === 'page' || name === 'hostname' || name === 'event' || name === 'goal' || isProp(name);
}

/** The operators that the API has for a name. */
export function opsOf(name: FilterName): readonly FilterOp[] {
  if (name === 'segment') return ['is'];
  return name === 'goal' ? ['is', 'contains'] : FILTER_OPS;
}

/** Patterns have their own way to say that case does not matter. */
export function canFold(op: FilterOp): boolean {
  return op !== 'matches' && op !== 'matches_not';
}

export type Fault = 'op' | 'fold' | 'done' | 'nested' | 'segment';

/** Why the API would refuse a filter; null when it takes it. */
export function faultOf(filter: Filter): Fault | null {
  for (const test of testsOf([filter])) {
    if (!opsOf(test.name).includes(test.op)) return 'op';
    if (test.fold && !canFold(test.op)) return 'fold';
    if (test.done && !isOfEvents(test.name)) return 'done';
    if (test.name === 'segment' && (test.fold || !test.values.every((value) => /^[1-9]\d{0,14}$/.test(value)))) return 'segment';
    if ('any' in filter && !test.done && (test.name === 'goal' || test.name === 'hostname' || test.name === 'segment')) return 'nested';
  }
  return null;
}

/** All tests of filters, those of groups as well. */
export function testsOf(filters: readonly Filter[]): Test[] {
  return filters.flatMap((filter) => ('any' in filter ? filter.any : [filter]));
}

/**
 * Filters with one that keeps only rows whose name equals value. It takes the
 * place of another on that name that says what is, and stands beside the rest.
 */
export function withFilter(filters: readonly Filter[], name: FilterName, value: string): Filter[] {
  const test: Test = { op: 'is', name, values: [value] };
  const at = filters.findIndex((filter) => !('any' in filter) && filter.name === name && !filter.done);
  return at < 0 ? [...filters, test] : [...filters.filter((_, i) => i !== at), test];
}

export function withoutFilter(filters: readonly Filter[], index: number): Filter[] {
  return filters.filter((_, i) => i !== index);
}

/** Filters with the one at index, or a new one at the end, replaced by filter. */
export function withReplaced(filters: readonly Filter[], index: number, filter: Filter): Filter[] {
  return index < filters.length ? filters.map((each, i) => (i === index ? filter : each)) : [...filters, filter];
}

/** The only value that a name must equal, if filters say so. */
export function onlyValue(filters: readonly Filter[], name: FilterName): string | null {
  for (const filter of filters) {
    if (!('any' in filter) && filter.name === name && filter.op === 'is' && !filter.done && filter.values.length === 1) return filter.values[0] ?? null;
  }
  return null;
}

/** The numbers of the segments that filters name. */
export function segmentIds(filters: readonly Filter[]): number[] {
  return testsOf(filters).flatMap((test) => (test.name === 'segment' ? test.values.map(Number) : []));
}

/** What filters say of dimensions, segments looked into; one that is not known may say anything. */
export interface Tested {
  page: boolean;
  /** A goal that every counted event reaches. */
  goal: boolean;
  /** A property inside a group, which conversion rates cannot be had with. */
  nestedProps: boolean;
}

export function testedBy(filters: readonly Filter[], segments: readonly KnownSegment[] = []): Tested {
  const tested: Tested = { page: false, goal: false, nestedProps: false };
  const known = new Map(segments.map((segment) => [segment.id, segment.segment_data.filters]));
  const look = (filter: unknown, depth: number): void => {
    if (!Array.isArray(filter)) return;
    const [op, second, clauses] = filter as unknown[];
    if (op === 'has_done' || op === 'has_not_done') return;
    if (op === 'and' || op === 'or') {
      for (const child of Array.isArray(second) ? second : []) look(child, depth + 1);
    } else if (op === 'not') look(second, depth + 1);
    else if (second === 'segment') {
      const ids = Array.isArray(clauses) ? clauses : [];
      for (const id of ids) {
        const inside = known.get(Number(id));
        if (inside) for (const each of inside) look(each, depth + (ids.length > 1 ? 1 : 0));
        else tested.page = tested.nestedProps = true;
      }
    } else if (second === 'event:page') tested.page = true;
    else if (second === 'event:goal' && depth === 0) tested.goal = true;
    else if (typeof second === 'string' && second.startsWith('event:props:') && depth > 0) tested.nestedProps = true;
  };
  for (const filter of toApiFilters(filters)) look(filter, 0);
  return tested;
}

export function isFilterName(text: string): text is FilterName {
  return Object.hasOwn(FILTER_DIMENSIONS, text) || (text.startsWith('prop:') && text.length > 5);
}
