/** The last thirty minutes: bars by minute, and the newest events one by one. */
import type { components } from '../api/schema';
import { ticksFor } from './axis';
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
