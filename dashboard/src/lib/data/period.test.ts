import { describe, expect, it } from 'vitest';
import {
  comparisonOf, includesToday, intervalsFor, parsePeriod, PERIOD_NAMES, rangeOf, shift, writePeriod, type Compare, type Period,
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

it('draws hours for a day, days for a month, months for a year', () => {
  const usual = (period: Period) => intervalsFor(rangeOf(period, TODAY))[0];
  expect(PERIOD_NAMES.filter((name) => name !== 'custom').map((name) => usual({ name }))).toEqual([
    'hour', 'hour', 'day', 'day', 'day', 'day', 'month', 'month', 'month',
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
    { name: 'custom', from: '2015-05-17', to: '2015-05-20' },
  ])('brings back %j', (period) => {
    const params = new URLSearchParams('period=day&date=2020-01-01&f=x');
    writePeriod(params, period);
    expect(parsePeriod(params)).toEqual(period);
    expect(params.get('f')).toBe('x');
  });

  it.each([
    '', 'period=nonsense', 'period=custom&from=2026-02-01&to=2026-01-01', 'period=custom&from=2026-02-30&to=2026-03-01', 'period=7d&date=tomorrow',
  ])('gives the default for %j', (search) => expect(parsePeriod(new URLSearchParams(search))).toEqual({ name: '7d' }));
});
