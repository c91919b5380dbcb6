import { describe, expect, it } from 'vitest';
import { FILTERS_MAX, faultOf, formatFilter, parseFilter, parseFilters, testedBy, toApiFilters, withFilter, withReplaced, type Filter, type Test } from './filter';
import { draftOf, finished, withName } from './draft';
import { filterText } from './filterText';
import { fromApiFilters, storedFilters } from './segment';

describe('a filter in the address', () => {
  it.each<[string, Filter]>([
    ['is,source,Google', { op: 'is', name: 'source', values: ['Google'] }],
    ['is_not,page,/a,b', { op: 'is_not', name: 'page', values: ['/a,b'] }],
    ['is,page,/a|/b', { op: 'is', name: 'page', values: ['/a', '/b'] }],
    ['is,page,/a\\|b\\\\c', { op: 'is', name: 'page', values: ['/a|b\\c'] }],
    ['is,source,Direct / None', { op: 'is', name: 'source', values: ['Direct / None'] }],
    ['contains.i,page,blog', { op: 'contains', name: 'page', values: ['blog'], fold: true }],
    ['matches_not,page,^/a,(b|c)$'.replace('|', '\\|'), { op: 'matches_not', name: 'page', values: ['^/a,(b|c)$'] }],
    ['is,prop:plan,pro', { op: 'is', name: 'prop:plan', values: ['pro'] }],
    ['is,prop:a\\,b,pro', { op: 'is', name: 'prop:a,b', values: ['pro'] }],
    ['not_done.is,goal,Sign-up', { op: 'is', name: 'goal', values: ['Sign-up'], done: 'not_done' }],
    ['is,segment,7', { op: 'is', name: 'segment', values: ['7'] }],
    ['or,is,source,Google;contains.i,page,a\\;b', { any: [
      { op: 'is', name: 'source', values: ['Google'] }, { op: 'contains', name: 'page', values: ['a;b'], fold: true },
    ] }],
  ])('%j reads and writes', (text, filter) => {
    expect(parseFilter(text)).toEqual(filter);
    expect(formatFilter(filter)).toBe(text);
  });

  it.each(['', 'is', 'is,page', 'is,page,', 'is,page,|', 'has,page,/a', 'is,toString,/a', 'is,__proto__,x', 'is,nothing,x', 'is.x,page,/', 'is.i.i,page,/',
    'matches,goal,x', 'matches.i,page,x', 'done.is,source,x', 'is,segment,x', 'is,prop:,x', 'or,is,page,/', 'or,is,goal,a;is,page,b'])(
    '%j is no filter', (text) => expect(parseFilter(text)).toBeNull(),
  );

  it('survives any value', () => {
    // A fixed sequence, so that a failure can be repeated.
    let seed = 7;
    const next = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n;
    const letters = ['|', ';', '\\', ',', '/', 'ü', '💥', '%', '&', '=', ' ', 'a'];
    for (let i = 0; i < 500; i++) {
      const values = Array.from({ length: 1 + next(3) }, () =>
        Array.from({ length: 1 + next(6) }, () => letters[next(letters.length)]).join(''));
      const test: Test = { op: 'is', name: i % 3 === 0 ? `prop:${values[0]}` : 'page', values };
      const filter: Filter = i % 2 === 0 ? test : { any: [test, { op: 'contains', name: 'os', values, fold: true }] };
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

it('becomes what the API takes, whatever it says', () => {
  expect(toApiFilters([
    { any: [{ op: 'contains', name: 'prop:plan', values: ['p'], fold: true }, { op: 'is', name: 'goal', values: ['Buy'], done: 'done' }] },
    { op: 'matches', name: 'event', values: ['^a'], done: 'not_done' }, { op: 'is', name: 'segment', values: ['3', '4'] },
  ])).toEqual([
    ['or', [['contains', 'event:props:plan', ['p'], { case_sensitive: false }], ['has_done', ['is', 'event:goal', ['Buy']]]]],
    ['has_not_done', ['matches', 'event:name', ['^a']]], ['is', 'segment', [3, 4]],
  ]);
});

it('replaces a filter on the same name and leaves the others', () => {
  const before: Filter[] = [{ op: 'is', name: 'page', values: ['/a'] }, { op: 'is', name: 'os', values: ['iOS'] }];
  expect(withFilter(before, 'page', '/b')).toEqual([{ op: 'is', name: 'os', values: ['iOS'] }, { op: 'is', name: 'page', values: ['/b'] }]);
  expect(withReplaced(before, 1, { op: 'is_not', name: 'os', values: ['iOS'] })[1]).toMatchObject({ op: 'is_not' });
  expect(withReplaced(before, 2, { op: 'is', name: 'city', values: ['Ulm'] })).toHaveLength(3);
});

describe('what filters test', () => {
  const segment = (id: number, filters: unknown[]) => ({ id, name: `s${id}`, segment_data: { filters } });
  const by = (...ids: string[]): Filter[] => [{ op: 'is', name: 'segment', values: ids }];
  it.each([
    ['a page', [{ op: 'is', name: 'page', values: ['/'] }], [], { page: true }],
    ['a page that the visit also had', [{ op: 'is', name: 'page', values: ['/'], done: 'done' }], [], { page: false }],
    ['a goal', [{ op: 'is', name: 'goal', values: ['Buy'] }], [], { goal: true }],
    ['a property in a group', [{ any: [{ op: 'is', name: 'prop:a', values: ['b'] }, { op: 'is', name: 'os', values: ['iOS'] }] }], [], { nestedProps: true }],
    ['a segment about pages', by('1'), [segment(1, [['not', ['or', [['is', 'event:page', ['/']]]]]])], { page: true }],
    ['a segment with a goal', by('1'), [segment(1, [['is', 'event:goal', ['Buy']]])], { goal: true, page: false }],
    ['a segment that is not known', by('9'), [segment(1, [])], { page: true, nestedProps: true }],
  ] as const)('%s', (_, filters, segments, want) => {
    expect(testedBy(filters as unknown as Filter[], segments as never)).toMatchObject(want);
  });
});

describe('a segment', () => {
  it('comes back as it was stored, as far as the page can show it', () => {
    const filters: Filter[] = [
      { op: 'contains', name: 'page', values: ['/a'], fold: true }, { op: 'is', name: 'prop:plan', values: ['x'], done: 'done' },
      { any: [{ op: 'is', name: 'os', values: ['iOS'] }, { op: 'is_not', name: 'city', values: ['1', '2'] }] },
    ];
    expect(fromApiFilters(storedFilters(filters, []))).toEqual(filters);
    expect(fromApiFilters([['not', ['is', 'event:page', ['/']]]])).toBeNull();
    expect(fromApiFilters([['or', [['and', [['is', 'event:page', ['/']]]]]]])).toBeNull();
  });
  it('is written out inside another, because segments hold no segments', () => {
    const known = [{ id: 5, name: 'a', segment_data: { filters: [['is', 'visit:os', ['iOS']]] } }, { id: 6, name: 'b', segment_data: { filters: [['is', 'visit:city', ['Ulm']]] } }];
    expect(storedFilters([{ op: 'is', name: 'segment', values: ['5'] }], known)).toEqual([['is', 'visit:os', ['iOS']]]);
    expect(storedFilters([{ op: 'is', name: 'segment', values: ['5', '6'] }], known))
      .toEqual([['or', [['and', [['is', 'visit:os', ['iOS']]]], ['and', [['is', 'visit:city', ['Ulm']]]]]]]);
  });
});

describe('a filter that is put together', () => {
  it('says what is missing and where', () => {
    const [draft] = draftOf(null);
    expect(finished([draft!])).toEqual({ fault: 'empty', at: 0 });
    expect(finished([{ ...draft!, name: 'prop:', values: ['x'] }])).toEqual({ fault: 'prop', at: 0 });
    expect(finished([{ ...draft!, op: 'matches', values: ['(a'] }])).toEqual({ fault: 'pattern', at: 0 });
    expect(finished([{ ...draft!, op: 'matches', values: ['(?i)a'] }])).toMatchObject({ filter: { values: ['(?i)a'] } });
    expect(finished([{ ...draft!, values: ['/'] }, { ...draft!, name: 'goal', values: ['Buy'] }])).toEqual({ fault: 'nested', at: 1 });
  });
  it('takes back what does not suit another name', () => {
    const [draft] = draftOf({ op: 'matches', name: 'page', values: ['x'], done: 'done' });
    expect(withName(draft!, 'goal')).toMatchObject({ op: 'is', values: [], done: 'done' });
    expect(withName(draft!, 'os')).toMatchObject({ op: 'matches', done: '' });
  });
  it('is never one that the API refuses', () => {
    expect(faultOf({ op: 'is_not', name: 'goal', values: ['x'] })).toBe('op');
    expect(faultOf({ any: [{ op: 'is', name: 'hostname', values: ['a'] }, { op: 'is', name: 'os', values: ['b'] }] })).toBe('nested');
  });
});

it('reads like a sentence', () => {
  expect(filterText({ op: 'is_not', name: 'country', values: ['DE', 'AT'] })).toBe('Country is not Germany or Austria');
  expect(filterText({ op: 'is', name: 'goal', values: ['Buy'], done: 'not_done' })).toBe('never did: Goal is Buy');
  expect(filterText({ op: 'is', name: 'page', values: ['1', '2', '3', '4', '5'] })).toBe('Page is 1 or 2 or 3 and 2 more');
  expect(filterText({ op: 'is', name: 'segment', values: ['4'] }, [{ id: 4, name: 'Buyers', segment_data: { filters: [] } }])).toContain('Buyers');
});
