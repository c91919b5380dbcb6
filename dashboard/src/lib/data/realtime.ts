/** The last thirty minutes: bars by minute, and the newest events one by one. */
import type { components } from '../api/schema';
import { ticksFor } from './axis';
import { minuteIn } from './dates';
import { toApiFilters, type Filter } from './filter';
import type { Question, QueryResult } from './question';

export type RealtimeAnswer = components['schemas']['Realtime'];

export interface MinuteBar {
  /** "2026-11-23 14:05:00" in the site's zone. */
  time: string;
  pageviews: number;
  visitors: number;
  /** The minute that has not ended. */
  partial: boolean;
}

export interface Minutes {
  bars: MinuteBar[];
  ticks: number[];
  pageviews: number;
}

export function buildMinutes(answer: Pick<RealtimeAnswer, 'minutes'>): Minutes {
  const bars = answer.minutes.map((minute, i) => ({ ...minute, partial: i === answer.minutes.length - 1 }));
  return {
    bars,
    ticks: ticksFor('pageviews', Math.max(0, ...bars.flatMap((bar) => [bar.pageviews, bar.visitors]))),
    pageviews: bars.reduce((sum, bar) => sum + bar.pageviews, 0),
  };
}

/** How many lines the list of newest events has. */
export const FEED_ROWS = 40;
/** What pages report while they are read; no event to a merchant. */
const ENGAGEMENT = 'engagement';

/** The newest events: counted by minute and by all that the list tells of them, so that equal ones share a line. */
export function feedQuestion(domain: string, filters: Filter[]): Question {
  return {
    site_id: domain,
    metrics: ['events'],
    date_range: '30m',
    dimensions: ['time:minute', 'event:name', 'event:page', 'visit:source', 'visit:country'],
    order_by: [['time:minute', 'desc']],
    filters: toApiFilters(filters),
    pagination: { limit: FEED_ROWS },
  };
}

export interface FeedLine {
  /** What tells lines apart. */
  key: string;
  minute: string;
  name: string;
  page: string;
  source: string;
  country: string;
  count: number;
  /** Number of the answer in which it last grew; later ones stand above. */
  turn: number;
}

/** Lines of an answer, newest first. before: the lines of the last answer, which tell what is new within a minute. */
export function buildFeed(result: QueryResult, before: FeedLine[] | null): FeedLine[] {
  const known = new Map((before ?? []).map((line) => [line.key, line]));
  const turn = Math.max(0, ...(before ?? []).map((line) => line.turn)) + 1;
  return result.results.map((row): FeedLine => {
    const [minute = '', name = '', page = '', source = '', country = ''] = row.dimensions;
    const key = JSON.stringify(row.dimensions);
    const count = typeof row.metrics[0] === 'number' ? row.metrics[0] : 0;
    const old = known.get(key);
    const grown = before !== null && (!old || old.count < count);
    return { key, minute, name, page, source, country, count, turn: grown ? turn : old?.turn ?? 0 };
  })
    .filter((line) => line.name !== ENGAGEMENT)
    .sort((a, b) => (a.minute === b.minute ? b.turn - a.turn : a.minute < b.minute ? 1 : -1));
}

/** Whether a line came or grew with the last answer. */
export function isFresh(line: FeedLine, lines: FeedLine[]): boolean {
  return line.turn > 0 && line.turn === Math.max(...lines.map((each) => each.turn));
}

export interface Pulse {
  country: string;
  visitors: number;
  /** Of its circle, in the units of the map; areas go by visitors. */
  radius: number;
  /** The answer with which visitors last arrived here; 0 while they were there from the start. */
  turn: number;
}

const RADIUS_MIN = 5;
const RADIUS_MAX = 22;

/** One circle for each country. before: what was there with the last answer; turn: number of this one. */
export function pulsesOf(
  countries: RealtimeAnswer['countries'], before: RealtimeAnswer['countries'] | null, turn: number,
): Pulse[] {
  const most = Math.max(1, ...countries.map((row) => row.visitors));
  const known = new Map((before ?? []).map((row) => [row.country, row.visitors]));
  return countries.map(({ country, visitors }) => ({
    country, visitors,
    radius: RADIUS_MIN + (RADIUS_MAX - RADIUS_MIN) * Math.sqrt(visitors / most),
    turn: before !== null && visitors > (known.get(country) ?? 0) ? turn : 0,
  }));
}

type EventFeed = components['schemas']['EventFeed'];

/** How many events of the stream are remembered. */
const HEARD_MAX = 200;

export interface Heard {
  /** One for each event, newest first. */
  lines: (FeedLine & { at: number })[];
  /** How often something came. */
  turn: number;
  /** The stream left events out, because there were too many. */
  skipped: boolean;
}

/** null: it is none. */
export function parseEventFeed(data: string): EventFeed | null {
  try {
    const parsed: unknown = JSON.parse(data);
    return typeof parsed === 'object' && parsed !== null && 'events' in parsed && Array.isArray(parsed.events) ? parsed as EventFeed : null;
  } catch {
    return null;
  }
}

/**
 * Adds what the stream brought. A stream that begins anew brings some of it
 * again. since: when it began, in ms of the node's clock; what is older was there
 * before.
 */
export function addHeard(before: Heard | null, { events, skipped = false }: EventFeed, zone: string, since: number): Heard {
  const known = new Set((before?.lines ?? []).map((line) => line.key));
  const turn = (before?.turn ?? 0) + 1;
  const added = events.filter((event) => event.kind !== ENGAGEMENT && !known.has(event.id)).map((event) => {
    const at = Date.parse(event.time);
    return { key: event.id, at, minute: minuteIn(zone, at), name: event.name, page: event.page, source: event.source, country: event.country, count: 1, turn: before === null && at < since ? 0 : turn };
  });
  if (before && added.length === 0) return before;
  return { lines: [...added, ...before?.lines ?? []].sort((a, b) => b.at - a.at).slice(0, HEARD_MAX), turn, skipped };
}

/**
 * The newest events: one by one those that the stream brought, and by minute
 * those from before it was there. counted holds both, so that what was brought
 * is taken off its minute. since: the first minute that is shown.
 */
export function mixFeed(counted: FeedLine[], heard: Heard | null, since: string): FeedLine[] {
  const own = (heard?.lines ?? []).filter((line) => line.minute >= since).map((line) => ({ ...line }));
  const rest = counted.map((line) => ({ ...line, turn: 0 }));
  for (const line of own) {
    const { minute, name, page, country } = line;
    const same = rest.filter((each) => each.count > 0 && each.minute === minute && each.name === name && each.page === page);
    const taken = same.find((each) => each.country === country) ?? same[0];
    if (!taken) continue;
    taken.count--;
    // An event tells where it came from itself; within a visit that is nowhere.
    line.source ||= taken.source;
  }
  return [...own, ...rest.filter((line) => line.count > 0)]
    .sort((a, b) => (a.minute === b.minute ? 0 : a.minute < b.minute ? 1 : -1)).slice(0, FEED_ROWS);
}
