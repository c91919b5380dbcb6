/** What became of the lines of an import, and how far it is. */
import type { components } from '../api/schema';
import type { LineResult, Skip } from './accessLog';

type EventsResult = components['schemas']['EventsResult'];

/** Lines that are remembered with what is wrong with them. */
export const FAULTS_KEPT = 50;
export const BATCH_EVENTS = 1_000;
export const BATCH_BYTES = 4 << 20;

export interface ImportCount {
  /** Bytes of the file that were read, and how many it has. */
  read: number;
  size: number;
  lines: number;
  counted: number;
  /** Counted by an earlier import. */
  duplicates: number;
  skipped: Partial<Record<Skip, number>>;
  /** By the reason that the node gave. */
  dropped: Record<string, number>;
  faults: { line: number; text: string }[];
  /** All of them, also those that are not kept. */
  faulty: number;
}

export function startCount(size: number): ImportCount {
  return { read: 0, size, lines: 0, counted: 0, duplicates: 0, skipped: {}, dropped: {}, faults: [], faulty: 0 };
}

/** Notes a line that is not sent; one that is sent is noted with the node's answer. */
export function withLine(count: ImportCount, line: number, result: Exclude<LineResult, { event: string }>): ImportCount {
  const next = { ...count, lines: count.lines + 1 };
  if ('skip' in result) return { ...next, skipped: { ...count.skipped, [result.skip]: (count.skipped[result.skip] ?? 0) + 1 } };
  return withFault(next, line, result.fault);
}

/** Notes the node's answer; lines holds the numbers of the lines that were sent, in order. */
export function withAnswer(count: ImportCount, answer: Pick<EventsResult, 'results'>, lines: readonly number[]): ImportCount {
  let next: ImportCount = { ...count, lines: count.lines + answer.results.length, dropped: { ...count.dropped } };
  answer.results.forEach(({ status, reason = '' }, i) => {
    if (status === 'accepted') next.counted++;
    else if (status === 'duplicate') next.duplicates++;
    else if (/^[a-z_]+$/.test(reason)) next.dropped[reason] = (next.dropped[reason] ?? 0) + 1;
    else next = withFault(next, lines[i] ?? 0, reason);
  });
  return next;
}

function withFault(count: ImportCount, line: number, text: string): ImportCount {
  return { ...count, faulty: count.faulty + 1, faults: count.faults.length < FAULTS_KEPT ? [...count.faults, { line, text }] : count.faults };
}

/** 0 to 100; a file that is empty is done. */
export function percentRead({ read, size }: Pick<ImportCount, 'read' | 'size'>): number {
  return size === 0 ? 100 : Math.min(100, Math.floor((read / size) * 100));
}

export function sumOf(counts: Partial<Record<string, number>>): number {
  return Object.values(counts).reduce<number>((sum, count) => sum + (count ?? 0), 0);
}
