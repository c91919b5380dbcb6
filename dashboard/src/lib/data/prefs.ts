/**
 * How a reader likes the dashboard: pinned sites, groups of sites, theme,
 * language, first day of the week. The node keeps it with the account; this
 * device keeps a copy for the first picture, with what was changed since the
 * node last answered. See fetch/prefs.svelte.ts.
 */
import type { components } from '../api/schema';
import { isDay, type Day } from './dates';

export interface Group { name: string; sites: string[] }

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
/** "" is as the language has it. */
export const WEEK_STARTS = ['', 'monday', 'sunday'] as const;
export type WeekStart = (typeof WEEK_STARTS)[number];

/** What goes along with the account. */
export interface Prefs {
  /** Domains, the one pinned last at the end. */
  pins: string[];
  groups: Group[];
  theme: Theme;
  /** A tag; "" is as the browser has it. */
  language: string;
  weekStart: WeekStart;
}

/** A note that was made while notes stayed in the browser; see fetch/notes.svelte.ts. */
export interface OldNote { day: Day; text: string }

/** What this device keeps of an account. */
export interface Kept {
  prefs: Prefs;
  /** What the node said last; null: it was never asked. What differs from prefs is still to be sent. */
  base: Prefs | null;
  /** Whether single keys do anything; people who dictate turn them off. Stays on this device. */
  keys: boolean;
  /** By domain, until they are handed over. */
  oldNotes: Record<string, OldNote[]>;
}

export const NO_PREFS: Prefs = { pins: [], groups: [], theme: 'system', language: '', weekStart: '' };
export const NOTHING_KEPT: Kept = { prefs: NO_PREFS, base: null, keys: true, oldNotes: {} };

/** Longest name of a group, in characters. */
export const NAME_MAX = 60;

/** Reads what was kept; what makes no sense is left out piece by piece. */
export function parseKept(text: string | null): Kept {
  const kept = objectOf(parsed(text));
  return {
    prefs: prefsOf(kept),
    base: kept['base'] === undefined || kept['base'] === null ? null : prefsOf(objectOf(kept['base'])),
    keys: kept['keys'] !== false,
    oldNotes: Object.fromEntries(Object.entries(objectOf(kept['notes'])).map(([domain, notes]) => [domain, notesOf(notes)] as const).filter(([, notes]) => notes.length > 0)),
  };
}

export function writeKept({ prefs, base, keys, oldNotes }: Kept): string {
  return JSON.stringify({ ...prefs, base, keys, ...(Object.keys(oldNotes).length > 0 ? { notes: oldNotes } : {}) });
}

type ApiPrefs = components['schemas']['Preferences'];

export function fromApi({ pinned, groups, theme, language, week_start }: ApiPrefs): Prefs {
  return { pins: pinned, groups: sorted(groups), theme, language, weekStart: week_start };
}

export function toApi({ pins, groups, theme, language, weekStart }: Prefs): ApiPrefs {
  return { pinned: pins, groups, theme, language, week_start: weekStart };
}

export function samePrefs(a: Prefs, b: Prefs): boolean {
  const text = ({ pins, groups, theme, language, weekStart }: Prefs) => JSON.stringify([pins, sorted(groups), theme, language, weekStart]);
  return text(a) === text(b);
}

/**
 * What comes out where two have changed the same preferences: theirs, with
 * everything that mine differ by from base, from which both began.
 */
export function mergePrefs(base: Prefs, mine: Prefs, theirs: Prefs): Prefs {
  const one = <T>(was: T, own: T, other: T): T => (own === was ? other : own);
  return {
    pins: mergeList(base.pins, mine.pins, theirs.pins),
    groups: mergeGroups(base.groups, mine.groups, theirs.groups),
    theme: one(base.theme, mine.theme, theirs.theme),
    language: one(base.language, mine.language, theirs.language),
    weekStart: one(base.weekStart, mine.weekStart, theirs.weekStart),
  };
}

/** The first time that a device meets an account: both keep what they have, and where both chose the account decides. */
export function joinPrefs(mine: Prefs, theirs: Prefs): Prefs {
  const both = mergePrefs(NO_PREFS, mine, theirs);
  return {
    ...both,
    theme: theirs.theme === NO_PREFS.theme ? mine.theme : theirs.theme,
    language: theirs.language || mine.language,
    weekStart: theirs.weekStart || mine.weekStart,
  };
}

function mergeList(base: string[], mine: string[], theirs: string[]): string[] {
  const gone = base.filter((each) => !mine.includes(each));
  const added = mine.filter((each) => !base.includes(each));
  return [...new Set([...theirs.filter((each) => !gone.includes(each)), ...added])];
}

function mergeGroups(base: Group[], mine: Group[], theirs: Group[]): Group[] {
  const sitesIn = (groups: Group[], name: string) => groups.find((group) => group.name === name)?.sites;
  const names = mergeList(base.map(({ name }) => name), mine.map(({ name }) => name), theirs.map(({ name }) => name));
  return sorted(names.map((name) => ({
    name, sites: mergeList(sitesIn(base, name) ?? [], sitesIn(mine, name) ?? [], sitesIn(theirs, name) ?? []),
  })));
}

export function togglePin(prefs: Prefs, domain: string): Prefs {
  const pins = prefs.pins.includes(domain) ? prefs.pins.filter((pin) => pin !== domain) : [...prefs.pins, domain];
  return { ...prefs, pins };
}

/** What is wrong with a new name of a group, null if nothing. before: its name until now. */
export function nameFault(prefs: Prefs, name: string, before = ''): 'empty' | 'taken' | null {
  const wanted = name.trim();
  if (wanted === '') return 'empty';
  return wanted !== before && prefs.groups.some((group) => group.name === wanted) ? 'taken' : null;
}

/** Adds a group, or renames the one called before and gives it these sites. */
export function putGroup(prefs: Prefs, group: Group, before?: string): Prefs {
  const made = { name: group.name.trim().slice(0, NAME_MAX), sites: [...new Set(group.sites)] };
  const known = prefs.groups.some(({ name }) => name === before);
  const groups = known ? prefs.groups.map((each) => (each.name === before ? made : each)) : [...prefs.groups, made];
  return { ...prefs, groups: sorted(groups) };
}

export function dropGroup(prefs: Prefs, name: string): Prefs {
  return { ...prefs, groups: prefs.groups.filter((group) => group.name !== name) };
}

/** Puts a site into a group, or takes it out. */
export function toggleMember(prefs: Prefs, name: string, domain: string): Prefs {
  const groups = prefs.groups.map((group) => (group.name !== name ? group : {
    ...group, sites: group.sites.includes(domain) ? group.sites.filter((site) => site !== domain) : [...group.sites, domain],
  }));
  return { ...prefs, groups };
}

function sorted(groups: readonly Group[]): Group[] {
  return groups.map(({ name, sites }) => ({ name, sites })).sort((a, b) => a.name.localeCompare(b.name));
}

function prefsOf(kept: Record<string, unknown>): Prefs {
  return {
    pins: textsOf(kept['pins']),
    groups: listOf(kept['groups']).map(objectOf)
      .flatMap(({ name, sites }) => (typeof name === 'string' && name !== '' ? [{ name, sites: textsOf(sites) }] : [])),
    theme: THEMES.find((theme) => theme === kept['theme']) ?? NO_PREFS.theme,
    language: typeof kept['language'] === 'string' ? kept['language'] : '',
    weekStart: WEEK_STARTS.find((start) => start === kept['weekStart']) ?? '',
  };
}

function notesOf(value: unknown): OldNote[] {
  return listOf(value).map(objectOf).flatMap(({ day, text }) =>
    (typeof day === 'string' && isDay(day) && typeof text === 'string' && text.trim() !== '' ? [{ day, text }] : []));
}

function parsed(text: string | null): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return null;
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function textsOf(value: unknown): string[] {
  return [...new Set(listOf(value).filter((each): each is string => typeof each === 'string'))];
}
