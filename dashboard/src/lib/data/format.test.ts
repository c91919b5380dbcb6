import { describe, expect, it } from 'vitest';
import {
  formatAxis, formatBucket, formatChange, formatCount, formatDuration, formatMetric, formatRange, formatShort, formatValue, formatZone,
} from './format';

it.each([[0, '0'], [999, '999'], [12_345, '12,345'], [999_999, '999,999'], [1_234_567, '1.2M'], [3_210_000_000, '3.2B']])(
  'count %d reads %s', (count, want) => expect(formatCount(count)).toBe(want),
);

it.each([[0, '0s'], [9, '9s'], [60, '1m 00s'], [75, '1m 15s'], [3599, '59m 59s'], [3600, '1h 00m'], [59.6, '1m 00s']])(
  '%d seconds read %s', (seconds, want) => expect(formatDuration(seconds)).toBe(want),
);

describe('a figure', () => {
  it.each([
    ['visitors', 1234, '1,234'], ['views_per_visit', 1.5, '1.50'], ['bounce_rate', 41, '41%'], ['visit_duration', 75, '1m 15s'],
    ['bounce_rate', null, '–'],
  ] as const)('%s %s', (metric, value, want) => expect(formatMetric(metric, value)).toBe(want));
});

it('gives changes of rates in points and of the others in percent', () => {
  expect(formatChange('visitors', -12)).toBe('12%');
  expect(formatChange('bounce_rate', 3)).toBe('3 pts');
  expect(formatChange('visitors', 123_456)).toBe('>9,900%');
});

it('shortens numbers on axes only when they are long', () => {
  expect(formatShort(900)).toBe('900');
  expect(formatShort(2_500)).toBe('2.5K');
  expect(formatShort(0.5)).toBe('0.5');
  expect(formatShort(20_000)).toBe('20K');
  expect(formatAxis('bounce_rate', 50)).toBe('50%');
});

it('writes buckets by their interval and never moves them into another zone', () => {
  expect(formatBucket('2026-11-23 14:00:00', 'hour')).toBe('14:00');
  expect(formatBucket('2026-11-01', 'day')).toBe('Nov 1');
  expect(formatBucket('2026-11-01', 'month')).toBe('Nov 2026');
  expect(formatBucket('2026-11-01', 'month', true)).toBe('November 2026');
  expect(formatBucket('2026-11-23', 'week', true)).toBe('Week of Mon, Nov 23, 2026');
  expect(formatBucket('nonsense', 'day')).toBe('nonsense');
});

it('joins what the ends of a range share', () => {
  expect(formatRange({ from: '2026-11-03', to: '2026-11-09' }).replaceAll('\u2009', ' ')).toBe('Nov 3 – 9, 2026');
  expect(formatRange({ from: '2026-11-03', to: '2026-11-03' })).toBe('Tue, Nov 3, 2026');
});

it('names values for people and leaves unknown codes alone', () => {
  expect(formatValue('country', 'DE')).toBe('Germany');
  expect(formatValue('country', 'nonsense!')).toBe('nonsense!');
  expect(formatValue('language', 'pt-BR')).toBe('Brazilian Portuguese');
  expect(formatValue('utm_campaign', '(not set)')).toBe('Unknown');
  expect(formatValue('page', '/DE')).toBe('/DE');
});

it('names a zone by its place and offset', () => {
  expect(formatZone('America/Argentina/Buenos_Aires', 0)).toBe('Buenos Aires (GMT-3)');
});
