import { describe, expect, it } from 'vitest';
import { addDays, daysIn, weekdayOf } from './dates';
import {
  askedRange, comparisonOf, includesToday, intervalsFor, intervalsOf, parsePeriod, parsePeriodWord, periodWord, PERIOD_NAMES, rangeOf, shift, writePeriod, type Compare, type Period,
} from './period';

const TODAY = '2026-11-23';

describe('rangeOf', () => {
  it.each<[Period, string, string]>([
    [{ name: 'day' }, '2026-11-23', '2026-11-23'],
    [{ name: 'yesterday' }, '2026-11-22', '2026-11-22'],
    [{ name: '7d' }, '2026-11-17', '2026-11-23'],
    [{ name: '30d' }, '2026-10-25', '2026-11-23'],
    [{ name: 'month' }, '2026-11-01', '2026-11-30'],
    [{ name: 'lastmonth' }, '2026-10-01', '2026-10-31'],
    [{ name: '12mo' }, '2025-12-01', '2026-11-30'],
    [{ name: 'year' }, '2026-01-01', '2026-12-31'],
    [{ name: 'month', date: '2024-02-10' }, '2024-02-01', '2024-02-29'],
    [{ name: '7d', date: '2026-01-03' }, '2025-12-28', '2026-01-03'],
    [{ name: 'custom', from: '2015-05-17', to: '2015-05-20' }, '2015-05-17', '2015-05-20'],
    [{ name: '28d' }, '2026-10-27', '2026-11-23'],
    [{ name: '91d' }, '2026-08-25', '2026-11-23'],
    // Weeks of en-US begin on Sunday.
    [{ name: 'week' }, '2026-11-22', '2026-11-28'],
    [{ name: 'lastweek' }, '2026-11-15', '2026-11-21'],
    [{ name: 'lastyear' }, '2025-01-01', '2025-12-31'],
    [{ name: '24h' }, '2026-11-22', '2026-11-23'],
    [{ name: 'custom', from: '2026-11-20T09:00', to: '2026-11-21T10:59' }, '2026-11-20', '2026-11-21'],
  ])('%j', (period, from, to) => expect(rangeOf(period, TODAY)).toEqual({ from, to }));

  it('has no days for all of the time', () => expect(rangeOf({ name: 'all' }, TODAY)).toBeNull());
});

describe('shift', () => {
  it.each<[Period, -1 | 1, Period | null]>([
    [{ name: 'day' }, -1, { name: 'day', date: '2026-11-22' }],
    [{ name: 'day', date: '2026-11-22' }, 1, { name: 'day' }],
    [{ name: 'day' }, 1, null],
    [{ name: 'yesterday' }, 1, { name: 'day' }],
    [{ name: '7d' }, -1, { name: '7d', date: '2026-11-16' }],
    [{ name: '7d', date: '2026-11-16' }, 1, { name: '7d' }],
    [{ name: 'lastmonth' }, -1, { name: 'month', date: '2026-09-01' }],
    [{ name: 'lastmonth' }, 1, { name: 'month' }],
    [{ name: 'month' }, 1, null],
    [{ name: 'year' }, -1, { name: 'year', date: '2025-01-01' }],
    [{ name: 'custom', from: '2026-11-01', to: '2026-11-10' }, -1, { name: 'custom', from: '2026-10-22', to: '2026-10-31' }],
    [{ name: 'custom', from: '2026-11-20', to: '2026-11-23' }, 1, null],
    [{ name: 'all' }, -1, null],
    [{ name: '24h' }, -1, null],
    [{ name: 'week' }, -1, { name: 'week', date: '2026-11-15' }],
    [{ name: 'week', date: '2026-11-15' }, 1, { name: 'week' }],
    [{ name: 'lastyear' }, -1, { name: 'year', date: '2024-01-01' }],
    [{ name: 'custom', from: '2026-11-20T22:00', to: '2026-11-20T23:59' }, 1, { name: 'custom', from: '2026-11-21T00:00', to: '2026-11-21T01:59' }],
  ])('%j by %d', (period, step, want) => expect(shift(period, TODAY, step)).toEqual(want));
});

describe('comparisonOf', () => {
  it.each<[Period, Compare, [string, string] | null]>([
    [{ name: 'day' }, 'previous', ['2026-11-22', '2026-11-22']],
    [{ name: '7d' }, 'previous', ['2026-11-10', '2026-11-16']],
    [{ name: 'month' }, 'previous', ['2026-10-01', '2026-10-31']],
    [{ name: 'month', date: '2026-03-04' }, 'previous', ['2026-02-01', '2026-02-28']],
    [{ name: '12mo' }, 'previous', ['2024-12-01', '2025-11-30']],
    [{ name: 'year' }, 'previous', ['2025-01-01', '2025-12-31']],
    [{ name: '7d' }, 'year', ['2025-11-17', '2025-11-23']],
    [{ name: 'month', date: '2025-02-01' }, 'year', ['2024-02-01', '2024-02-29']],
    [{ name: 'all' }, 'previous', null],
    [{ name: '7d' }, 'off', null],
  ])('%j %s', (period, compare, want) => {
    const got = comparisonOf(period, compare, TODAY);
    expect(got && [got.from, got.to]).toEqual(want);
  });
});

describe('comparisonOf, further', () => {
  it.each<[string, Period, Compare, Parameters<typeof comparisonOf>[3], [string, string] | null]>([
    ['weekdays over weekdays', { name: 'month', date: '2026-10-05' }, 'previous', { sameWeekdays: true }, ['2026-08-27', '2026-09-25']],
    ['weekdays of the year before', { name: '7d' }, 'year', { sameWeekdays: true }, ['2025-11-18', '2025-11-24']],
    ['a week, which matches anyway', { name: '7d' }, 'previous', { sameWeekdays: true }, ['2026-11-10', '2026-11-16']],
    ['days of one\'s own', { name: '7d' }, 'custom', { days: { from: '2026-01-01', to: '2026-01-07' } }, ['2026-01-01', '2026-01-07']],
    ['no days of one\'s own', { name: '7d' }, 'custom', {}, null],
    ['the same hours of the day before', { name: 'custom', from: '2026-11-20T09:00', to: '2026-11-20T14:59' }, 'previous', {}, ['2026-11-19T09:00', '2026-11-19T14:59']],
    ['nothing for the API to find out', { name: '24h' }, 'previous', {}, null],
  ])('%s', (_, period, compare, options, want) => {
    const got = comparisonOf(period, compare, TODAY, options);
    expect(got && [got.from, got.to]).toEqual(want);
  });

  it('never moves a period by a week or more, nor into the main one', () => {
    for (let i = 0; i < 400; i++) {
      const period: Period = { name: 'custom', from: addDays('2026-01-01', i), to: addDays('2026-01-01', i + (i % 40)) };
      const plain = comparisonOf(period, 'previous', '2027-12-31')!;
      const moved = comparisonOf(period, 'previous', '2027-12-31', { sameWeekdays: true })!;
      expect(weekdayOf(moved.from)).toBe(weekdayOf(period.from!));
      expect(Math.abs(daysIn({ from: moved.from, to: plain.from }) - 1)).toBeLessThan(7);
      expect(moved.to < period.from!).toBe(true);
    }
  });
});

it('asks the API for days, times or names', () => {
  expect(askedRange({ name: '7d' }, TODAY)).toEqual(['2026-11-17', '2026-11-23']);
  expect(askedRange({ name: '24h' }, TODAY)).toBe('24h');
  expect(askedRange({ name: 'all' }, TODAY)).toBe('all');
  expect(askedRange({ name: 'custom', from: '2026-11-20T09:00', to: '2026-11-20T14:59' }, TODAY)).toEqual(['2026-11-20T09:00:00', '2026-11-20T14:59:59']);
});

it('draws minutes only where they are few', () => {
  const intervals = (period: Period) => intervalsOf(period, TODAY);
  expect(intervals({ name: 'day' })).toEqual(['hour', 'minute']);
  expect(intervals({ name: '24h' })).toEqual(['hour', 'minute']);
  expect(intervals({ name: 'custom', from: '2026-11-20T09:00', to: '2026-11-20T09:59' })).toEqual(['minute', 'hour']);
  expect(intervals({ name: '7d' })).toEqual(['day', 'hour']);
  expect(intervals({ name: 'all' })).not.toContain('minute');
});

it.each<Period>([
  { name: '30d' }, { name: 'month', date: '2026-10-01' }, { name: 'custom', from: '2026-10-01', to: '2026-10-09' },
  { name: 'custom', from: '2026-10-01T10:00', to: '2026-10-01T11:59' },
])('says %j in one word and back', (period) => expect(parsePeriodWord(periodWord(period))).toEqual(period));

it.each(['', 'x', 'custom', 'custom,2026-10-09,2026-10-01', 'custom,2026-10-01T25:00,2026-10-01T26:00', null])('finds no period in %j', (word) => {
  expect(parsePeriodWord(word)).toBeNull();
});

it('draws hours for a day, days for a month, months for a year', () => {
  const usual = (period: Period) => intervalsFor(rangeOf(period, TODAY))[0];
  expect(PERIOD_NAMES.filter((name) => name !== 'custom').map((name) => usual({ name }))).toEqual([
    'hour', 'hour', 'day', 'day', 'day', 'day', 'day', 'day', 'day', 'day', 'day', 'month', 'month', 'month', 'month',
  ]);
});

it('tells whether new views change a period', () => {
  expect(includesToday({ name: 'month' }, TODAY)).toBe(true);
  expect(includesToday({ name: 'all' }, TODAY)).toBe(true);
  expect(includesToday({ name: 'yesterday' }, TODAY)).toBe(false);
});

describe('the address', () => {
  it.each<Period>([
    { name: '7d' }, { name: '7d', date: '2026-01-01' }, { name: 'all' }, { name: 'yesterday' },
    { name: 'custom', from: '2015-05-17', to: '2015-05-20' }, { name: 'custom', from: '2015-05-17T09:00', to: '2015-05-17T09:59' }, { name: '24h' },
  ])('brings back %j', (period) => {
    const params = new URLSearchParams('period=day&date=2020-01-01&f=x');
    writePeriod(params, period);
    expect(parsePeriod(params)).toEqual(period);
    expect(params.get('f')).toBe('x');
  });

  it.each([
    '', 'period=nonsense', 'period=custom&from=2026-02-01&to=2026-01-01', 'period=custom&from=2026-02-30&to=2026-03-01', 'period=7d&date=tomorrow', 'period=custom&from=2026-02-01&to=2026-02-01T10:00',
  ])('gives the default for %j', (search) => expect(parsePeriod(new URLSearchParams(search))).toEqual({ name: '7d' }));
});
