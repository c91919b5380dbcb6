/** What a stretch of the chart stands for, when somebody drags over it to look closer. */
import { addDays, addMinutes, endOfMonth, isMinute, type Day } from './dates';
import type { Period } from './period';
import type { Series } from './series';

type Drawn = Pick<Series, 'interval' | 'points' | 'range'>;

/** The period of the buckets from one position to another, in either order; null where it would be all that is drawn, or lies ahead. */
export function zoomPeriod({ interval, points, range }: Drawn, one: number, other: number, today: Day): Period | null {
  const first = points[Math.min(one, other)];
  const last = points[Math.max(one, other)];
  if (!first || !last || first.label.slice(0, 10) > today) return null;
  if (Math.abs(one - other) + 1 >= points.length) return null;
  return interval === 'hour' || interval === 'minute'
    ? ofTimes(first.label, last.label, interval)
    : ofDays(first.label, last.label, interval, range);
}

function ofTimes(first: string, last: string, interval: 'hour' | 'minute'): Period | null {
  const from = first.slice(0, 16).replace(' ', 'T');
  const end = last.slice(0, 16).replace(' ', 'T');
  if (!isMinute(from) || !isMinute(end)) return null;
  const to = interval === 'hour' ? addMinutes(end, 59) : end;
  if (!from.endsWith('T00:00') || !to.endsWith('T23:59')) return { name: 'custom', from, to };
  return daysFrom(from.slice(0, 10), to.slice(0, 10));
}

function ofDays(first: string, last: string, interval: Series['interval'], range: Series['range']): Period {
  const from = first.slice(0, 10);
  const start = last.slice(0, 10);
  const end = interval === 'month' ? endOfMonth(start) : interval === 'week' ? addDays(start, 6) : start;
  if (interval === 'month' && from === start) return { name: 'month', date: from };
  return daysFrom(from < range.from ? range.from : from, end > range.to ? range.to : end);
}

function daysFrom(from: Day, to: Day): Period {
  return from === to ? { name: 'day', date: from } : { name: 'custom', from, to };
}
