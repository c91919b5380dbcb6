import { describe, expect, it } from 'vitest';
import { axisLabel, axisPositions, ticksFor } from './axis';
import { findDomain } from './domain';
import { splitFieldError } from './fieldError';
import { buildFigures, toneOf } from './figures';
import { pickLocale, t, tn } from './i18n';
import { BARS, buildBars, earlierEnd, laterEnd, parseMonth, pickMonth, type Month } from './months';
import { problemText } from './problem';
import { spark } from './sparkline';
import type { QueryResult } from './question';

function answer(partial: Partial<QueryResult>): QueryResult {
  return {
    results: [], meta: { as_of: 1, partial: false },
    query: { site_id: 'a', metrics: [], date_range: ['', ''], filters: [], dimensions: [], order_by: [], include: {}, pagination: {} },
    ...partial,
  };
}

describe('figures', () => {
  it('find their values by the metrics that were asked for', () => {
    const figures = buildFigures(answer({
      results: [{ dimensions: [], metrics: [10, 40], comparison: { dimensions: [], metrics: [5, 43], change: [100, -3] } }],
      query: { ...answer({}).query, metrics: ['visitors', 'bounce_rate'] },
    }));
    expect(figures.find(({ metric }) => metric === 'bounce_rate')).toEqual({ metric: 'bounce_rate', value: 40, change: -3, other: 43 });
    expect(figures.find(({ metric }) => metric === 'visits')).toEqual({ metric: 'visits', value: null, change: null, other: null });
  });

  it('welcome more visitors and fewer bounces', () => {
    expect([toneOf('visitors', 1), toneOf('visitors', -1), toneOf('bounce_rate', -1), toneOf('bounce_rate', 2), toneOf('visits', 0)])
      .toEqual(['good', 'bad', 'good', 'bad', 'same']);
  });
});

describe('ticks', () => {
  it.each([
    ['visitors', 0, [0, 1]], ['visitors', 3, [0, 1, 2, 3]], ['visitors', 790, [0, 200, 400, 600, 800]], ['visitors', 10, [0, 3, 6, 9, 12]],
    ['views_per_visit', 1.7, [0, 0.5, 1, 1.5, 2]], ['visit_duration', 170, [0, 60, 120, 180]], ['bounce_rate', 100, [0, 25, 50, 75, 100]],
  ] as const)('of %s up to %d', (metric, max, want) => expect(ticksFor(metric, max)).toEqual(want));

  it('always reach the largest value, in few steps', () => {
    for (let max = 1; max < 1e7; max = Math.ceil(max * 1.3)) {
      const ticks = ticksFor('pageviews', max);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(max);
      expect(ticks.length).toBeLessThanOrEqual(6);
    }
  });
});

describe('labels of the time axis', () => {
  const points = (labels: string[]) => labels.map((label) => ({ label, value: 0, partial: false, otherLabel: null, other: null }));
  const hours = (days: string[]) => points(days.flatMap((day) => Array.from({ length: 24 }, (_, i) => `${day} ${String(i).padStart(2, '0')}:00:00`)));
  it('divide a day into whole hours', () => {
    expect(axisPositions({ interval: 'hour', points: hours(['2026-11-23']) }, 8)).toEqual([0, 3, 6, 9, 12, 15, 18, 21]);
  });
  it('show days where several are drawn by the hour', () => {
    const axis = { interval: 'hour' as const, points: hours(['2026-11-22', '2026-11-23']) };
    expect(axisPositions(axis, 8)).toEqual([0, 24]);
    expect(axisLabel(axis, 24)).toBe('Nov 23');
  });
  it('end at the newest day', () => {
    expect(axisPositions({ interval: 'day', points: points(['1', '2', '3', '4', '5', '6', '7']) }, 4)).toEqual([0, 2, 4, 6]);
  });
});

describe('months', () => {
  const month = (name: string, visits: number, partial = false): Month => ({
    month: name, partial, days_elapsed: 30, days: 30, visits, visitors: 0, pageviews: 0, views_per_visit: 0, bounce_rate: 0, visit_duration: 0,
    new_pages: 0, best_pages: [], best_sources: [], change: { month: null, year: null }, sealed: null,
  });
  const months = ['2026-11', '2026-10', '2025-11', '2025-10'].map((name, i) => month(name, 100 - i, i === 0));
  it('stand beside the same month a year before, oldest first', () => {
    expect(buildBars(months, 'visits').map((bar) => [bar.month, bar.value, bar.yearBefore, bar.partial])).toEqual([
      ['2025-10', 97, null, false], ['2025-11', 98, null, false], ['2026-10', 99, 97, false], ['2026-11', 100, 98, true],
    ]);
  });
  it('lead on to the bars before and after', () => {
    const long = Array.from({ length: BARS + 12 }, (_, i) => month(`m${i}`, 1));
    expect(earlierEnd(long)).toBe('m24');
    expect(earlierEnd(long.slice(0, BARS))).toBeNull();
    expect(laterEnd('2024-11')).toBe('2026-11');
    expect([parseMonth('2024-11'), parseMonth('2024-13'), parseMonth('x'), parseMonth(null)]).toEqual(['2024-11', null, null, null]);
  });
  it('open the one that is named, else the newest', () => {
    expect(pickMonth(months, '2025-11')?.month).toBe('2025-11');
    expect(pickMonth(months, '1999-01')?.month).toBe('2026-11');
    expect(pickMonth([], null)).toBeNull();
  });
});

it('draws a sparkline from edge to edge, and a flat one for nothing', () => {
  expect(spark([0, 5, 10], 100, 20, 2)).toEqual({ line: 'M0 18L50 10L100 2', past: 'M0 18L50 10', now: 'M50 10L100 2', area: 'M0 18L50 10L100 2L100 20L0 20Z', last: { x: 100, y: 2 } });
  expect(spark([0, 0], 100, 20, 2).line).toBe('M0 18L100 18');
  expect(spark([], 100, 20, 2).line).toBe('');
});

it.each([
  ['Shop.Example', 'shop.example'], ['www.shop.example', 'shop.example'], ['https://www.shop.example/cart', 'shop.example'],
  ['münchen.example', 'xn--mnchen-3ya.example'], ['demo', undefined], ['', undefined], ['no such thing', undefined],
])('finds the domain behind %j', (typed, want) => {
  expect(findDomain(['demo.footfall', 'shop.example', 'xn--mnchen-3ya.example'], typed)).toBe(want);
});

it('puts errors to the field that they name', () => {
  expect(splitFieldError('domain: is taken', ['domain'])).toEqual({ fields: { domain: 'Is taken' }, general: '' });
  expect(splitFieldError('token: unknown', ['domain'])).toEqual({ fields: {}, general: 'token: unknown' });
  expect(splitFieldError('something: with: colons', [])).toEqual({ fields: {}, general: 'something: with: colons' });
});

it('tells what is wrong in words', () => {
  expect(problemText(0, 'TypeError: Failed to fetch')).toBe('The server cannot be reached. Check your connection.');
  expect(problemText(400, 'domain: is too long')).toBe('domain: is too long');
  expect(problemText(500, 'internal error, request 7f')).toBe('internal error, request 7f');
});

describe('texts', () => {
  it('fill their holes and pick the plural', () => {
    expect(t('filter.add', { value: '{value}' })).toBe('Show only {value}');
    expect(t('months.partial', { elapsed: 3, days: 30 })).toBe('3 of 30 days');
    expect([tn('live.visitors', 1, '1'), tn('live.visitors', 0, '0')]).toEqual(['1 current visitor', '0 current visitors']);
  });
  it('keep the region of the browser, in a language that exists', () => {
    expect(pickLocale(['nl-NL', 'en-GB', 'de'])).toBe('en-GB');
    expect(pickLocale(['de-AT', 'en-GB'])).toBe('de-AT');
    expect(pickLocale(['de-AT', 'pt-BR'], 'pt')).toBe('pt-BR');
    expect(pickLocale(['de-AT'], 'ja')).toBe('ja');
    expect(pickLocale(['nl'])).toBe('en');
    expect(pickLocale(['en-'])).toBe('en');
  });
});
