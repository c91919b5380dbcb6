import { describe, expect, it } from 'vitest';
import type { QueryResult } from './question';
import { buildSeries, splitPartial } from './series';

function result(rows: [string, number | null][], labels: string[], partial: string[] = [], dimension = 'time:day'): QueryResult {
  return {
    results: rows.map(([label, value]) => ({ dimensions: [label], metrics: [value] })),
    meta: { as_of: 1, partial: true, time_labels: labels, partial_time_labels: partial },
    query: {
      site_id: 'a', metrics: ['visitors'], date_range: ['2026-11-21T00:00:00+01:00', '2026-11-24T23:59:59+01:00'], filters: [], dimensions: [dimension], order_by: [], include: {}, pagination: {},
    },
  };
}

const DAYS = ['2026-11-21', '2026-11-22', '2026-11-23', '2026-11-24'];
const NOW = '2026-11-23 14:00:00';

it('fills empty buckets of counts with zero, and leaves what is ahead empty', () => {
  const series = buildSeries('visitors', 'day', result([['2026-11-21', 5], ['2026-11-23', 2]], DAYS, ['2026-11-23']), null, NOW);
  expect(series.points.map((point) => point.value)).toEqual([5, 0, 2, null]);
  expect(series.points.map((point) => point.partial)).toEqual([false, false, true, false]);
  expect(series.compared).toBe(false);
  expect(series.range).toEqual({ from: '2026-11-21', to: '2026-11-24' });
});

it('leaves a gap where a rate has nothing to be computed from', () => {
  const series = buildSeries('bounce_rate', 'day', result([['2026-11-21', 50]], DAYS), null, NOW);
  expect(series.points.map((point) => point.value)).toEqual([50, null, null, null]);
});

it('joins the comparison by position, whole, and drops what has no place', () => {
  const other = result([['2025-11-21', 9], ['2025-11-24', 4]], ['2025-11-21', '2025-11-22', '2025-11-23', '2025-11-24', '2025-11-25']);
  const series = buildSeries('visitors', 'day', result([], DAYS), other, NOW);
  expect(series.points.map((point) => [point.otherLabel, point.other])).toEqual([
    ['2025-11-21', 9], ['2025-11-22', 0], ['2025-11-23', 0], ['2025-11-24', 4],
  ]);
});

it('keeps both hours that a change of clocks gives the same label', () => {
  const labels = ['2026-10-25 01:00:00', '2026-10-25 02:00:00', '2026-10-25 02:00:00', '2026-10-25 03:00:00'];
  const series = buildSeries('visitors', 'hour', result([['2026-10-25 02:00:00', 3], ['2026-10-25 02:00:00', 4]], labels, [], 'time:hour'), null, NOW);
  expect(series.points.map((point) => point.value)).toEqual([0, 3, 4, 0]);
});

it('takes the interval that the node picked', () => {
  expect(buildSeries('visitors', 'day', result([], ['2026-11-01'], [], 'time:month'), null, NOW).interval).toBe('month');
});

describe('splitPartial', () => {
  const point = (value: number | null, partial = false) => ({ label: '', value, partial, otherLabel: null, other: null });
  it('dashes the way into an unfinished bucket', () => {
    expect(splitPartial([point(1), point(2), point(3, true), point(null)])).toEqual({
      solid: [1, 2, null, null], dashed: [null, 2, 3, null],
    });
  });
  it('dashes nothing when all is over', () => {
    expect(splitPartial([point(1), point(2)])).toEqual({ solid: [1, 2], dashed: [null, null] });
  });
});
