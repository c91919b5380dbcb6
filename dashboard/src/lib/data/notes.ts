/** Where the notes of a site stand in the time chart. */
import type { Note } from './prefs';
import type { Series } from './series';

export interface Mark {
  /** Position of the bucket that holds the day. */
  at: number;
  notes: Note[];
}

/** Marks from left to right; notes of days that are not drawn have none. In buckets shorter than a day a note stands at the first of its day. */
export function marksOf({ interval, points, range }: Pick<Series, 'interval' | 'points' | 'range'>, notes: readonly Note[]): Mark[] {
  const marks = new Map<number, Note[]>();
  const fine = interval === 'hour' || interval === 'minute';
  for (const note of notes) {
    if (note.day < range.from || note.day > range.to) continue;
    const at = fine
      ? points.findIndex(({ label }) => label.slice(0, 10) === note.day)
      : points.findLastIndex(({ label }) => label.slice(0, 10) <= note.day);
    if (at >= 0) marks.set(at, [...(marks.get(at) ?? []), note]);
  }
  return [...marks].sort(([a], [b]) => a - b).map(([at, found]) => ({ at, notes: found }));
}
