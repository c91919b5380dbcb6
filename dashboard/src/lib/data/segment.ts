/** Saved segments: their filters as the API has them, read back into filters of the page. */
import type { components } from '../api/schema';
import {
  FILTER_DIMENSIONS, FILTER_OPS, faultOf, isFilterName, toApiFilters, type Done, type Filter, type FilterName, type KnownSegment, type Test,
} from './filter';

export type Segment = components['schemas']['Segment'];

const NAMES = new Map<string, FilterName>(Object.entries(FILTER_DIMENSIONS).map(([name, dimension]) => [dimension, name as FilterName]));
const PROPS = 'event:props:';

/**
 * Filters as the API stores them in a segment. Segments among them are written
 * out, because a segment cannot be made of segments.
 */
export function storedFilters(filters: readonly Filter[], segments: readonly KnownSegment[]): components['schemas']['Filter'][] {
  const inside = new Map(segments.map((segment) => [segment.id, segment.segment_data.filters]));
  return toApiFilters(filters).flatMap((filter): unknown[] => {
    if (filter[1] !== 'segment') return [filter];
    const lists = (filter[2] as number[]).map((id) => inside.get(id) ?? []).filter((list) => list.length > 0);
    return lists.length === 1 ? lists[0] ?? [] : lists.length === 0 ? [] : [['or', lists.map((list) => ['and', list])]];
  }) as components['schemas']['Filter'][];
}

/** The filters of a segment; null when the page cannot show one of them, because it is nested deeper. */
export function fromApiFilters(list: readonly unknown[]): Filter[] | null {
  const filters = list.map(fromApi);
  return filters.includes(null) ? null : (filters as Filter[]);
}

function fromApi(raw: unknown): Filter | null {
  if (!Array.isArray(raw)) return null;
  let filter: Filter | null;
  if (raw[0] === 'or' && Array.isArray(raw[1])) {
    const any = raw[1].map(testOf);
    if (any.includes(null)) return null;
    filter = any.length === 1 ? (any[0] as Test) : { any: any as Test[] };
  } else filter = testOf(raw);
  return filter && faultOf(filter) === null ? filter : null;
}

function testOf(raw: unknown): Test | null {
  if (!Array.isArray(raw)) return null;
  if (raw[0] === 'has_done' || raw[0] === 'has_not_done') {
    const inside = testOf(raw[1]);
    const done: Done = raw[0] === 'has_done' ? 'done' : 'not_done';
    return inside && !inside.done ? { ...inside, done } : null;
  }
  const [opText, dimension, clauses, modifiers] = raw as unknown[];
  const op = FILTER_OPS.find((each) => each === opText);
  const name = typeof dimension === 'string' ? nameOf(dimension) : null;
  if (!op || !name || !Array.isArray(clauses) || clauses.length === 0) return null;
  const fold = typeof modifiers === 'object' && modifiers !== null && 'case_sensitive' in modifiers && modifiers.case_sensitive === false;
  return { op, name, values: clauses.map(String), ...(fold ? { fold: true } : {}) };
}

function nameOf(dimension: string): FilterName | null {
  if (dimension.startsWith(PROPS)) {
    const name = `prop:${dimension.slice(PROPS.length)}`;
    return isFilterName(name) ? name : null;
  }
  return NAMES.get(dimension) ?? null;
}
