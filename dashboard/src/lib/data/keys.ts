/** Every keyboard shortcut there is: what it does, and which keys do it. */
import type { MessageKey } from './i18n';
import type { Period } from './period';
import type { SitePage } from './route';

export type KeyAction =
  | { do: 'period'; period: Period }
  | { do: 'previous' | 'next' | 'compare' | 'custom' | 'interval' | 'zoomOut' | 'filter' | 'search' | 'table' | 'note' | 'help' }
  | { do: 'figure'; index: number }
  | { do: 'sites' }
  | { do: 'page'; page: SitePage };

export type KeyDeed = KeyAction['do'];

export interface Shortcut {
  /** As KeyboardEvent.key, letters small; two for one after the other. */
  keys: readonly [string] | readonly [string, string];
  action: KeyAction;
  text: MessageKey;
}

export interface KeyGroup { title: MessageKey; shortcuts: readonly Shortcut[] }

const period = (key: string, name: Period['name']): Shortcut => ({
  keys: [key], action: { do: 'period', period: { name } }, text: `period.${name}`,
});
const go = (key: string, page: SitePage): Shortcut => ({ keys: ['g', key], action: { do: 'page', page }, text: `nav.${page}` });

export const KEY_GROUPS: readonly KeyGroup[] = [
  {
    title: 'keys.periods',
    shortcuts: [
      period('d', 'day'), period('e', 'yesterday'), period('h', '24h'), period('w', '7d'), period('t', '30d'), period('n', '91d'),
      period('m', 'month'), period('l', 'lastmonth'), period('y', '12mo'), period('a', 'all'),
      { keys: ['c'], action: { do: 'custom' }, text: 'period.custom' },
      { keys: ['ArrowLeft'], action: { do: 'previous' }, text: 'period.previous' },
      { keys: ['ArrowRight'], action: { do: 'next' }, text: 'period.next' },
    ],
  },
  {
    title: 'keys.chart',
    shortcuts: [
      { keys: ['x'], action: { do: 'compare' }, text: 'keys.compare' },
      { keys: ['i'], action: { do: 'interval' }, text: 'keys.interval' },
      { keys: ['b'], action: { do: 'table' }, text: 'keys.table' },
      { keys: ['o'], action: { do: 'note' }, text: 'chart.addNote' },
      { keys: ['Escape'], action: { do: 'zoomOut' }, text: 'chart.zoomOut' },
      { keys: ['1'], action: { do: 'figure', index: 0 }, text: 'keys.figures' },
      ...[2, 3, 4, 5, 6, 7].map((n): Shortcut => ({ keys: [String(n)], action: { do: 'figure', index: n - 1 }, text: 'keys.figures' })),
    ],
  },
  {
    title: 'keys.goTo',
    shortcuts: [
      { keys: ['g', 's'], action: { do: 'sites' }, text: 'nav.allSites' },
      go('o', 'site'), go('r', 'realtime'), go('p', 'page'), go('f', 'funnels'), go('t', 'retention'), go('j', 'journeys'), go('m', 'months'),
    ],
  },
  {
    title: 'keys.everywhere',
    shortcuts: [
      { keys: ['/'], action: { do: 'search' }, text: 'keys.search' },
      { keys: ['f'], action: { do: 'filter' }, text: 'filter.new' },
      { keys: ['?'], action: { do: 'help' }, text: 'keys.title' },
    ],
  },
];

const ALL = KEY_GROUPS.flatMap(({ shortcuts }) => shortcuts);

/**
 * What a key does after the one before it (null: none, or too long ago).
 * first: it begins a shortcut of two keys.
 */
export function readKey(key: string, before: string | null): { action: KeyAction | null; first: boolean } {
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (before !== null) {
    const found = ALL.find(({ keys }) => keys.length === 2 && keys[0] === before && keys[1] === name);
    if (found) return { action: found.action, first: false };
  }
  const first = ALL.some(({ keys }) => keys.length === 2 && keys[0] === name);
  return { action: ALL.find(({ keys }) => keys.length === 1 && keys[0] === name)?.action ?? null, first };
}

/** The rows of the help sheet: the figures' seven keys are one. */
export function listed({ shortcuts }: KeyGroup): Shortcut[] {
  return shortcuts.filter((each) => each.action.do !== 'figure' || each.action.index === 0);
}

/** A key as it is printed on a keyboard. */
export function keyCap({ keys, action }: Shortcut): string[] {
  if (action.do === 'figure') return ['1', '…', '7'];
  return keys.map((key) => ({ ArrowLeft: '←', ArrowRight: '→', Escape: 'Esc' })[key] ?? key.toUpperCase());
}
