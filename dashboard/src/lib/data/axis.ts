/** Round steps for the axis of values, and which labels fit along the axis of time. */
import { formatBucket } from './format';
import type { FigureMetric } from './metric';
import type { Series } from './series';

type Axis = Pick<Series, 'interval' | 'points'>;

const DURATION_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];

/** Ticks from 0 up to the first that is not below max; at most six, at least two. */
export function ticksFor(metric: FigureMetric, max: number): number[] {
  const step = metric === 'visit_duration' ? durationStep(max) : decimalStep(max, metric !== 'views_per_visit' && metric !== 'total_revenue');
  const found = [0];
  while ((found.at(-1) ?? 0) < max || found.length < 2) {
    found.push(Number((found.length * step).toPrecision(12)));
  }
  return found;
}

/**
 * Where labels stand along the axis of time, at most `room` of them: whole
 * hours that divide the day, midnights where several days show their hours,
 * else evenly apart and ending at the newest.
 */
export function axisPositions({ interval, points }: Axis, room: number): number[] {
  const most = Math.max(1, Math.floor(room));
  if (interval === 'minute') return minutePositions(points, most);
  if (interval === 'hour' && isShort(points)) {
    const step = [1, 2, 3, 4, 6, 12].find((hours) => points.length / hours <= most) ?? 24;
    return points.flatMap((point, i) => (Number(point.label.slice(11, 13)) % step === 0 ? [i] : []));
  }
  const places = points.flatMap((point, i) => (interval !== 'hour' || point.label.slice(11, 13) === '00' ? [i] : []));
  const every = Math.max(1, Math.ceil(places.length / most));
  return places.filter((_, i) => (places.length - 1 - i) % every === 0);
}

/** Round minutes, as far apart as the room wants. */
function minutePositions(points: Axis['points'], most: number): number[] {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720].find((minutes) => points.length / minutes <= most) ?? 1440;
  return points.flatMap((point, i) => (minuteOfDay(point.label) % step === 0 ? [i] : []));
}

function minuteOfDay(label: string): number {
  return Number(label.slice(11, 13)) * 60 + Number(label.slice(14, 16));
}

/** The label at a position. */
export function axisLabel({ interval, points }: Axis, position: number): string {
  const label = points[position]?.label ?? '';
  return formatBucket(label, interval === 'hour' && !isShort(points) ? 'day' : interval);
}

/** Whether hours are told by their time alone: one day, or the last 24 hours. */
function isShort(points: Axis['points']): boolean {
  return points.length <= 26 || points[0]?.label.slice(0, 10) === points.at(-1)?.label.slice(0, 10);
}

function decimalStep(max: number, whole: boolean): number {
  if (!(max > 0)) return 1;
  const rough = max / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999) ?? 10 * power;
  return whole ? Math.max(1, Math.ceil(step)) : step;
}

function durationStep(max: number): number {
  const rough = Math.max(1, max / 4);
  return DURATION_STEPS.find((step) => step >= rough) ?? Math.ceil(rough / 86_400) * 86_400;
}
