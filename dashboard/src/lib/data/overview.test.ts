import { describe, expect, it } from 'vitest';
import { zoomPeriod } from './brush';
import { dayAfterKey, pickDay, weekdayNames, weeksOf } from './calendar';
import { chartCsv } from './chartFile';
import { addDays, endOfMonth } from './dates';
import { changeBetween } from './figures';
import { KEY_GROUPS, readKey } from './keys';
import { formatMoney } from './money';
import { marksOf, toHandOver } from './notes';
import { fromApi, joinPrefs, mergePrefs, nameFault, NO_PREFS, NOTHING_KEPT, parseKept, putGroup, samePrefs, toApi, toggleMember, togglePin, writeKept, type Prefs } from './prefs';
import type { QueryResult } from './question';
import { buildSeries, type Series } from './series';
import { formatSitesView, parseSitesView, rollUp, shownSites, type Glance } from './sites';
import { firstWeekdayOf } from './week';

const site = (domain: string, rest: Partial<Glance> = {}): Glance => ({
  domain, timezone: 'UTC', live: 0, pageviews: [0, 0, 0, 0, 0, 0, 0], visitors_today: 0, pageviews_today: 0, change: null, ...rest,
});

describe('the list of sites', () => {
  const sites = [site('c.example', { live: 5, visitors_today: 1, change: 3 }), site('a.example', { live: 1, visitors_today: 9, change: null }), site('b.example', { live: 9, visitors_today: 9, change: -4 })];
  const names = (search: string, prefs: Partial<Prefs> = {}) => shownSites(sites, parseSitesView(search), { ...NO_PREFS, ...prefs }).map(({ domain }) => domain[0]).join('');

  it.each([['', 'abc'], ['?sort=visitors', 'abc'], ['?sort=live', 'bca'], ['?sort=change', 'cba'], ['?find=B.EX', 'b'], ['?find=zzz', ''], ['?sort=nonsense', 'abc']])(
    '%s shows %s', (search, want) => expect(names(search)).toBe(want),
  );
  it('puts pinned sites first, and keeps to its group', () => {
    expect(names('?sort=live', { pins: ['a.example'] })).toBe('abc');
    expect(names('?group=Mine', { groups: [{ name: 'Mine', sites: ['c.example', 'gone.example', 'a.example'] }] })).toBe('ac');
    expect(names('?group=Unknown')).toBe('abc');
  });
  it('comes back from the address', () => {
    expect(formatSitesView(parseSitesView('?group=A%26B&sort=live&find=x+y'))).toBe('?group=A%26B&sort=live&find=x+y');
    expect(formatSitesView(parseSitesView('?sort=name&find='))).toBe('');
  });
});

describe('a group', () => {
  const members = [
    site('a', { live: 1, visitors_today: 10, pageviews_today: 120, change: 20, pageviews: [1, 2, 3, 4, 5, 6, 120] }),
    site('b', { live: 2, visitors_today: 20, pageviews_today: 50, change: -50, pageviews: [1, 1, 1, 1, 1, 1, 50] }),
    site('c', { pageviews_today: 7 }),
  ];
  it('adds up what its sites have', () => {
    // 100 and 100 before, 170 now.
    expect(rollUp({ name: 'G', sites: ['a', 'b'] }, members)).toEqual({
      name: 'G', sites: 2, live: 3, visitors_today: 30, pageviews_today: 170, pageviews: [2, 3, 4, 5, 6, 7, 170], change: -15,
    });
    expect(rollUp({ name: 'G', sites: [] }, members)).toMatchObject({ sites: 0, pageviews: [0, 0, 0, 0, 0, 0, 0], change: null });
  });
  it('tells no change that it cannot know', () => {
    expect(rollUp({ name: 'G', sites: ['c'] }, members).change).toBeNull();
    expect(rollUp({ name: 'G', sites: ['a', 'd'] }, [...members, site('d', { change: -100 })]).change).toBeNull();
  });
});

describe('what a reader keeps', () => {
  it('survives a round through text, and nonsense is left out piece by piece', () => {
    const prefs = { ...putGroup(togglePin(NO_PREFS, 'a'), { name: ' B ', sites: ['a', 'a'] }), theme: 'dark' as const };
    expect(prefs).toEqual({ pins: ['a'], groups: [{ name: 'B', sites: ['a'] }], theme: 'dark', language: '', weekStart: '' });
    const kept = { prefs, base: NO_PREFS, keys: false, oldNotes: { s: [{ day: '2026-11-02', text: 'sale' }] } };
    expect(parseKept(writeKept(kept))).toEqual(kept);
    expect(parseKept('{"pins":[1,"a"],"groups":[{"name":""},5,{"name":"x"}],"notes":{"s":[{"id":1,"day":"2026-13-01","text":"x"}],"t":7},"keys":false,"theme":"pink"}'))
      .toEqual({ prefs: { ...NO_PREFS, pins: ['a'], groups: [{ name: 'x', sites: [] }] }, base: null, keys: false, oldNotes: {} });
    for (const text of [null, '', '[', '7', 'null']) expect(parseKept(text)).toEqual(NOTHING_KEPT);
  });
  it('goes to the node and back', () => {
    const prefs: Prefs = { pins: ['b', 'a'], groups: [{ name: 'A', sites: ['x'] }], theme: 'light', language: 'pt-BR', weekStart: 'sunday' };
    expect(toApi(prefs)).toEqual({ pinned: ['b', 'a'], groups: [{ name: 'A', sites: ['x'] }], theme: 'light', language: 'pt-BR', week_start: 'sunday' });
    expect(samePrefs(fromApi(toApi(prefs)), prefs)).toBe(true);
    expect(samePrefs({ ...prefs, pins: ['a', 'b'] }, prefs)).toBe(false);
  });
  it('names groups once and keeps their order', () => {
    const prefs = putGroup(putGroup(NO_PREFS, { name: 'B', sites: [] }), { name: 'A', sites: ['x'] });
    expect(prefs.groups.map(({ name }) => name)).toEqual(['A', 'B']);
    expect([nameFault(prefs, ' '), nameFault(prefs, 'A'), nameFault(prefs, 'A', 'A'), nameFault(prefs, 'C')]).toEqual(['empty', 'taken', null, null]);
    expect(putGroup(prefs, { name: 'Z', sites: ['x'] }, 'A').groups.map(({ name }) => name)).toEqual(['B', 'Z']);
    expect(toggleMember(toggleMember(prefs, 'A', 'y'), 'A', 'x').groups[0]?.sites).toEqual(['y']);
  });
});

describe('preferences that two have changed', () => {
  const of = (change: Partial<Prefs>): Prefs => ({ ...NO_PREFS, ...change });
  const group = (name: string, ...sites: string[]) => ({ name, sites });
  it.each<[string, Partial<Prefs>, Partial<Prefs>, Partial<Prefs>, Partial<Prefs>]>([
    ['both pinned', { pins: ['a'] }, { pins: ['a', 'b'] }, { pins: ['a', 'c'] }, { pins: ['a', 'c', 'b'] }],
    ['one unpinned, one pinned', { pins: ['a', 'b'] }, { pins: ['b'] }, { pins: ['a', 'b', 'c'] }, { pins: ['b', 'c'] }],
    ['both unpinned', { pins: ['a'] }, {}, {}, {}],
    ['nothing of mine', { pins: ['a'], theme: 'dark' }, { pins: ['a'], theme: 'dark' }, { theme: 'light', language: 'de' }, { theme: 'light', language: 'de' }],
    ['mine and theirs about different things', {}, { theme: 'dark' }, { weekStart: 'sunday' }, { theme: 'dark', weekStart: 'sunday' }],
    ['both about the same thing: the later', { theme: 'dark' }, { theme: 'light' }, { theme: 'system' }, { theme: 'light' }],
    ['both made groups', {}, { groups: [group('A', 'x')] }, { groups: [group('B', 'y')] }, { groups: [group('A', 'x'), group('B', 'y')] }],
    ['both made the same group', {}, { groups: [group('A', 'x')] }, { groups: [group('A', 'y')] }, { groups: [group('A', 'y', 'x')] }],
    ['both changed a group', { groups: [group('A', 'x', 'y')] }, { groups: [group('A', 'x', 'z')] }, { groups: [group('A', 'x', 'y', 'w')] }, { groups: [group('A', 'x', 'w', 'z')] }],
    ['one dissolved what the other changed', { groups: [group('A', 'x')] }, {}, { groups: [group('A', 'x', 'y')] }, {}],
    ['one renamed', { groups: [group('A', 'x')] }, { groups: [group('B', 'x')] }, { groups: [group('A', 'x')], pins: ['p'] }, { groups: [group('B', 'x')], pins: ['p'] }],
  ])('%s', (_, base, mine, theirs, want) => {
    expect(mergePrefs(of(base), of(mine), of(theirs))).toEqual(of(want));
  });

  it('are joined when a device meets an account for the first time', () => {
    const mine = of({ pins: ['a', 'b'], groups: [group('A', 'x')], theme: 'dark', language: 'de' });
    expect(joinPrefs(mine, NO_PREFS)).toEqual(mine);
    expect(joinPrefs(mine, of({ pins: ['c', 'a'], theme: 'light', weekStart: 'monday' })))
      .toEqual(of({ pins: ['c', 'a', 'b'], groups: [group('A', 'x')], theme: 'light', language: 'de', weekStart: 'monday' }));
    expect(joinPrefs(NO_PREFS, mine)).toEqual(mine);
  });
});

it('hands over the notes that the node does not have', () => {
  const known = [{ id: '1', day: '2026-11-02', text: 'sale', author: null }];
  const old = [{ day: '2026-11-02', text: ' sale ' }, { day: '2026-11-03', text: 'sale' }];
  expect(toHandOver(old, known)).toEqual([old[1]]);
});

const drawn = (interval: Series['interval'], labels: string[]): Series => ({
  metric: 'visitors', interval, compared: false, range: { from: labels[0]!.slice(0, 10), to: labels.at(-1)!.slice(0, 10) },
  points: labels.map((label, i) => ({ label, value: i, partial: false, otherLabel: null, other: null })),
});
const days = drawn('day', Array.from({ length: 10 }, (_, i) => addDays('2026-11-01', i)));
const hours = drawn('hour', Array.from({ length: 24 }, (_, i) => `2026-11-05 ${String(i).padStart(2, '0')}:00:00`));

describe('dragging over the chart', () => {
  it.each([
    ['days', days, 2, 4, { name: 'custom', from: '2026-11-03', to: '2026-11-05' }],
    ['days backwards', days, 4, 2, { name: 'custom', from: '2026-11-03', to: '2026-11-05' }],
    ['one day', days, 3, 3, { name: 'day', date: '2026-11-04' }],
    ['everything', days, 0, 9, null],
    ['hours', hours, 9, 14, { name: 'custom', from: '2026-11-05T09:00', to: '2026-11-05T14:59' }],
    ['a month', drawn('month', ['2026-09-01', '2026-10-01', '2026-11-01']), 0, 0, { name: 'month', date: '2026-09-01' }],
    ['months', drawn('month', ['2026-09-01', '2026-10-01', '2026-11-01']), 0, 1, { name: 'custom', from: '2026-09-01', to: '2026-10-31' }],
    ['a week that the range cuts', { ...drawn('week', ['2026-10-26', '2026-11-02', '2026-11-09']), range: { from: '2026-10-28', to: '2026-11-11' } }, 0, 0, { name: 'custom', from: '2026-10-28', to: '2026-11-01' }],
    ['minutes', drawn('minute', ['2026-11-05 09:00:00', '2026-11-05 09:01:00', '2026-11-05 09:02:00']), 1, 2, { name: 'custom', from: '2026-11-05T09:01', to: '2026-11-05T09:02' }],
  ] as const)('%s', (_, series, one, other, want) => expect(zoomPeriod(series as Series, one, other, '2026-11-23')).toEqual(want));

  it('never leads ahead of today', () => expect(zoomPeriod(days, 8, 9, '2026-11-05')).toBeNull());
});

it('puts notes into the bucket of their day', () => {
  const notes = ['2026-11-03', '2026-11-03', '2026-10-01', '2026-11-05'].map((day, id) => ({ id: String(id), day, text: '', author: null }));
  const at = (series: Series) => marksOf(series, notes).map((mark) => [mark.at, mark.notes.length]);
  expect(at(days)).toEqual([[2, 2], [4, 1]]);
  expect(at(hours)).toEqual([[0, 1]]);
  expect(at({ ...drawn('week', ['2026-10-26', '2026-11-02']), range: { from: '2026-10-26', to: '2026-11-08' } })).toEqual([[1, 3]]);
});

it('writes the chart as comma-separated values', () => {
  const points = [{ label: '2026-11-01', value: 5, partial: false, otherLabel: '2026-10-01', other: null }, { label: '2026-11-02', value: null, partial: true, otherLabel: null, other: null }];
  expect(chartCsv({ metric: 'visitors', compared: true, points })).toBe(
    'time,visitors,partial,comparison_time,comparison_visitors\r\n2026-11-01,5,0,2026-10-01,\r\n2026-11-02,,1,,\r\n',
  );
  expect(chartCsv({ metric: 'total_revenue', currency: 'EUR', compared: false, points }).split('\r\n')[0]).toBe('time,total_revenue_EUR,partial');
});

it('reckons changes as the API does', () => {
  expect([changeBetween('visitors', 110, 100), changeBetween('bounce_rate', 40, 43), changeBetween('visitors', 5, 0), changeBetween('visits', null, 3)]).toEqual([10, -3, null, null]);
});

describe('a series of money', () => {
  const money = (value: number) => ({ value, currency: 'EUR', short: '', long: '' });
  const result: QueryResult = {
    results: [{ dimensions: ['2026-11-01'], metrics: [money(12.5)] }, { dimensions: ['2026-11-02'], metrics: [null] }],
    meta: { as_of: 1, partial: false, time_labels: ['2026-11-01', '2026-11-02', '2026-11-03'] },
    query: { site_id: 'a', metrics: ['total_revenue'], date_range: ['2026-11-01', '2026-11-03'], filters: [], dimensions: ['time:day'], order_by: [], include: {}, pagination: {} },
  };
  it('has amounts, a currency, and nothing where nothing was sold', () => {
    const series = buildSeries('total_revenue', 'day', result, null, '2026-11-03 10:00:00');
    expect(series.points.map(({ value }) => value)).toEqual([12.5, 0, 0]);
    expect(series.currency).toBe('EUR');
  });
});

it('takes the comparison out of an answer that holds both lines', () => {
  const result: QueryResult = {
    results: [{ dimensions: ['2026-11-02 10:00:00'], metrics: [4], comparison: { dimensions: ['2026-11-01 10:00:00'], metrics: [3], change: [33] } }],
    meta: { as_of: 1, partial: true, time_labels: ['2026-11-02 09:00:00', '2026-11-02 10:00:00'], comparison_time_labels: ['2026-11-01 09:00:00', '2026-11-01 10:00:00'], comparison_date_range: ['2026-11-01T09:00:00Z', '2026-11-01T10:30:00Z'] },
    query: { site_id: 'a', metrics: ['visitors'], date_range: ['2026-11-02', '2026-11-02'], filters: [], dimensions: ['time:hour'], order_by: [], include: {}, pagination: {} },
  };
  const series = buildSeries('visitors', 'hour', result, null, '2026-11-02 10:30:00');
  expect(series.points.map(({ value, otherLabel, other }) => [value, otherLabel, other])).toEqual([[0, '2026-11-01 09:00:00', 0], [4, '2026-11-01 10:00:00', 3]]);
  expect(series.otherRange).toEqual({ from: '2026-11-01', to: '2026-11-01' });
});

it.each([
  ['figure', 12.5, '€12.50'], ['figure', 1_909.95, '€1,910'], ['figure', 17_167.9, '€17,168'], ['figure', 2_500_000, '€2.5M'], ['short', 1_909.95, '€1,909.95'], ['short', 17_167.9, '€17.2K'], ['exact', 17_167.9, '€17,167.90'],
] as const)('writes money as %s: %d', (style, value, want) => expect(formatMoney(value, 'EUR', style)).toBe(want));

describe('the calendar', () => {
  it('has every day of a month once, under its weekday', () => {
    for (const first of [1, 6, 7]) {
      for (const month of ['2026-02-01', '2026-11-15', '2024-02-29']) {
        const weeks = weeksOf(month, first);
        expect(weeks.every((week) => week.length === 7)).toBe(true);
        const found = weeks.flat().filter((day) => day !== null);
        expect(found[0]).toBe(`${month.slice(0, 7)}-01`);
        expect(found.at(-1)).toBe(endOfMonth(month));
        expect(new Set(found).size).toBe(Number(endOfMonth(month).slice(8)));
      }
    }
    expect(weeksOf('2026-11-01', 1)[0]).toEqual([null, null, null, null, null, null, '2026-11-01']);
    expect(weekdayNames('short', 1)[0]).toBe('Mon');
  });
  it('moves by keys', () => {
    const to = (key: string, shift = false) => dayAfterKey('2026-01-31', key, shift, 1);
    expect(['ArrowLeft', 'ArrowDown', 'Home', 'End', 'PageDown', 'x'].map((key) => to(key))).toEqual(['2026-01-30', '2026-02-07', '2026-01-26', '2026-02-01', '2026-02-28', null]);
    expect(to('PageUp', true)).toBe('2025-01-31');
  });
  it('takes two clicks in either order', () => {
    const { begun } = pickDay(null, '2026-11-09');
    expect(pickDay(begun, '2026-11-02')).toEqual({ begun: null, range: { from: '2026-11-02', to: '2026-11-09' } });
  });
  it('begins where weeks begin', () => expect([firstWeekdayOf('en-US'), firstWeekdayOf('en-GB'), firstWeekdayOf('de'), firstWeekdayOf('ja'), firstWeekdayOf('!')]).toEqual([7, 1, 1, 7, 1]));
});

describe('shortcuts', () => {
  const all = KEY_GROUPS.flatMap(({ shortcuts }) => shortcuts);
  it('are each told once, and none hides another', () => {
    expect(new Set(all.map(({ keys }) => keys.join(' '))).size).toBe(all.length);
    const firsts = new Set(all.flatMap(({ keys }) => (keys.length === 2 ? [keys[0]] : [])));
    expect(all.filter(({ keys }) => keys.length === 1 && firsts.has(keys[0]))).toEqual([]);
  });
  it('are read one after the other, in capitals too', () => {
    expect(readKey('D', null).action).toEqual({ do: 'period', period: { name: 'day' } });
    expect(readKey('g', null)).toEqual({ action: null, first: true });
    expect(readKey('s', 'g').action).toEqual({ do: 'sites' });
    expect(readKey('m', 'g').action).toEqual({ do: 'page', page: 'months' });
    expect(readKey('m', null).action).toEqual({ do: 'period', period: { name: 'month' } });
    expect(readKey('d', 'g').action).toEqual({ do: 'period', period: { name: 'day' } });
    expect(readKey('z', 'g')).toEqual({ action: null, first: false });
  });
});
