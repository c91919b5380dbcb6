/** The hours of the week, shaded by how much happens in them. */
import type { components } from '../api/schema';

export type HeatmapCell = components['schemas']['Heatmap']['cells'][number];

export const HEAT_METRICS = ['visitors', 'visits', 'pageviews'] as const;
export type HeatMetric = (typeof HEAT_METRICS)[number];

/** Shades beside the one of nothing at all. */
export const LEVELS = 6;

export interface HeatCell {
  /** 1 is Monday. */
  weekday: number;
  hour: number;
  total: number;
  /** Such hours in the range. */
  hours: number;
  /** Of one such hour; 0 where the range has none. */
  average: number;
  /** 0: nothing, then 1 to LEVELS. */
  level: number;
}

export interface Heat {
  days: { weekday: number; cells: HeatCell[] }[];
  /** The largest average. */
  top: number;
  busiest: HeatCell | null;
}

/**
 * The weeks of a range are not all whole, so shades go by the average of an
 * hour, not by its sum. first: the weekday that the week begins with.
 */
export function buildHeat(cells: HeatmapCell[], metric: HeatMetric, first = 1): Heat {
  const all = cells.map((cell): HeatCell => ({
    weekday: cell.weekday, hour: cell.hour, total: cell[metric], hours: cell.hours,
    average: cell.hours > 0 ? cell[metric] / cell.hours : 0, level: 0,
  }));
  const top = Math.max(0, ...all.map((cell) => cell.average));
  for (const cell of all) cell.level = levelOf(cell.average, top, LEVELS);
  const days = Array.from({ length: 7 }, (_, i) => ((first - 1 + i) % 7) + 1).map((weekday) => ({
    weekday, cells: all.filter((cell) => cell.weekday === weekday).sort((a, b) => a.hour - b.hour),
  }));
  const busiest = top > 0 ? all.find((cell) => cell.average === top) ?? null : null;
  return { days, top, busiest };
}

/** 0 for nothing, else 1 to levels in equal steps up to top. */
export function levelOf(value: number, top: number, levels: number): number {
  if (!(value > 0) || !(top > 0)) return 0;
  return Math.min(levels, Math.max(1, Math.ceil((value / top) * levels)));
}

export function parseHeatMetric(text: string | null): HeatMetric {
  return HEAT_METRICS.find((name) => name === text) ?? 'visitors';
}
