/**
 * What a reader keeps for himself: pinned sites, groups of sites, notes on days,
 * whether single keys are shortcuts. One document, so that it can be kept
 * wherever there is room for a text; see fetch/prefs.svelte.ts.
 */
import { isDay, type Day } from './dates';

export interface Group { name: string; sites: string[] }
export interface Note { id: number; day: Day; text: string }

export interface Prefs {
  /** Domains, the one pinned last at the end. */
  pins: string[];
  groups: Group[];
  /** By domain; in order of their days. */
  notes: Record<string, Note[]>;
  /** Whether single keys do anything; people who dictate turn them off. */
  keys: boolean;
}

export const NO_PREFS: Prefs = { pins: [], groups: [], notes: {}, keys: true };

/** Longest name of a group and text of a note, in characters. */
export const NAME_MAX = 60;
export const NOTE_MAX = 280;

/** Reads what was kept; what makes no sense is left out piece by piece. */
export function parsePrefs(text: string | null): Prefs {
  const kept = objectOf(parsed(text));
  return {
    pins: textsOf(kept['pins']),
    groups: listOf(kept['groups']).map(objectOf)
      .flatMap(({ name, sites }) => (typeof name === 'string' && name !== '' ? [{ name, sites: textsOf(sites) }] : [])),
    notes: Object.fromEntries(Object.entries(objectOf(kept['notes'])).map(([domain, notes]) => [domain, notesOf(notes)])),
    keys: kept['keys'] !== false,
  };
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
  return { ...prefs, groups: groups.sort((a, b) => a.name.localeCompare(b.name)) };
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

export function notesOn(prefs: Prefs, domain: string): Note[] {
  return prefs.notes[domain] ?? [];
}

/** Adds a note, or changes the one with its id. */
export function putNote(prefs: Prefs, domain: string, note: Omit<Note, 'id'> & { id?: number }): Prefs {
  const notes = notesOn(prefs, domain);
  const id = note.id ?? notes.reduce((most, each) => Math.max(most, each.id), 0) + 1;
  const made = { id, day: note.day, text: note.text.trim().slice(0, NOTE_MAX) };
  return withNotes(prefs, domain, [...notes.filter((each) => each.id !== id), made]);
}

export function dropNote(prefs: Prefs, domain: string, id: number): Prefs {
  return withNotes(prefs, domain, notesOn(prefs, domain).filter((note) => note.id !== id));
}

function withNotes(prefs: Prefs, domain: string, notes: Note[]): Prefs {
  const sorted = notes.sort((a, b) => (a.day === b.day ? a.id - b.id : a.day < b.day ? -1 : 1));
  return { ...prefs, notes: { ...prefs.notes, [domain]: sorted } };
}

function notesOf(value: unknown): Note[] {
  return listOf(value).map(objectOf).flatMap(({ id, day, text }) =>
    (typeof id === 'number' && typeof day === 'string' && isDay(day) && typeof text === 'string' ? [{ id, day, text }] : []));
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
