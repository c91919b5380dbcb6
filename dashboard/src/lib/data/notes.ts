/** Notes on days, which the API calls annotations, and where they stand in the time chart. */
import type { components } from '../api/schema';
import type { Day } from './dates';
import type { OldNote } from './prefs';
import type { Series } from './series';

export interface Note {
  id: string;
  day: Day;
  text: string;
  /** What the one who wrote it is called; null where that is not known or not told. */
  author: string | null;
}

/** Longest text of a note, in characters. */
export const NOTE_MAX = 500;

export function noteOf({ id, date, text, author }: components['schemas']['Annotation']): Note {
  return { id, day: date, text, author };
}

/** Those of the notes that this device kept which the node does not have. */
export function toHandOver(old: readonly OldNote[], known: readonly Note[]): OldNote[] {
  return old.filter(({ day, text }) => !known.some((note) => note.day === day && note.text === text.trim()));
}

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
