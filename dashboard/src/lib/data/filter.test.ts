import { describe, expect, it } from 'vitest';
import { FILTERS_MAX, formatFilter, parseFilter, parseFilters, toApiFilters, withFilter, withToggled, type Filter } from './filter';

describe('a filter in the address', () => {
  it.each<[string, Filter]>([
    ['is,source,Google', { op: 'is', name: 'source', values: ['Google'] }],
    ['is_not,page,/a,b', { op: 'is_not', name: 'page', values: ['/a,b'] }],
    ['is,page,/a|/b', { op: 'is', name: 'page', values: ['/a', '/b'] }],
    ['is,page,/a\\|b\\\\c', { op: 'is', name: 'page', values: ['/a|b\\c'] }],
    ['is,source,Direct / None', { op: 'is', name: 'source', values: ['Direct / None'] }],
  ])('%j reads and writes', (text, filter) => {
    expect(parseFilter(text)).toEqual(filter);
    expect(formatFilter(filter)).toBe(text);
  });

  it.each(['', 'is', 'is,page', 'is,page,', 'is,page,|', 'has,page,/a', 'is,toString,/a', 'is,__proto__,x', 'is,nothing,x'])(
    '%j is no filter', (text) => expect(parseFilter(text)).toBeNull(),
  );

  it('survives any value', () => {
    // A fixed sequence, so that a failure can be repeated.
    let seed = 7;
    const next = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n;
    const letters = ['|', '\\', ',', '/', 'ü', '💥', '%', '&', '=', ' ', 'a'];
    for (let i = 0; i < 500; i++) {
      const values = Array.from({ length: 1 + next(3) }, () =>
        Array.from({ length: 1 + next(6) }, () => letters[next(letters.length)]).join(''));
      const filter: Filter = { op: 'is', name: 'page', values };
      const params = new URLSearchParams();
      params.append('f', formatFilter(filter));
      expect(parseFilters(new URLSearchParams(params.toString()))).toEqual([filter]);
    }
  });

  it('is bounded', () => {
    const params = new URLSearchParams();
    for (let i = 0; i < FILTERS_MAX + 5; i++) params.append('f', `is,page,/${i}`);
    expect(parseFilters(params)).toHaveLength(FILTERS_MAX);
  });
});

it('becomes what the API takes', () => {
  expect(toApiFilters([{ op: 'is_not', name: 'source', values: ['Google', 'Bing'] }])).toEqual([['is_not', 'visit:source', ['Google', 'Bing']]]);
});

it('replaces a filter on the same name and leaves the others', () => {
  const before: Filter[] = [{ op: 'is', name: 'page', values: ['/a'] }, { op: 'is', name: 'os', values: ['iOS'] }];
  expect(withFilter(before, 'page', '/b')).toEqual([{ op: 'is', name: 'os', values: ['iOS'] }, { op: 'is', name: 'page', values: ['/b'] }]);
  expect(withToggled(before, 1)[1]?.op).toBe('is_not');
});
