/** A goal while it is being put together, and how one reads. */
import type { components } from '../api/schema';

export type Goal = components['schemas']['Goal'];
export type GoalDefinition = components['schemas']['GoalDefinition'];

export const GOAL_KINDS = ['event', 'page', 'scroll'] as const;
export type GoalKind = (typeof GOAL_KINDS)[number];
export const CONDITIONS_MAX = 3;

export interface GoalDraft {
  kind: GoalKind;
  /** "" for the name that the node makes. */
  name: string;
  event: string;
  page: string;
  scroll: number;
  /** "" for no revenue. */
  currency: string;
  conditions: { key: string; value: string }[];
}

export const NEW_GOAL: GoalDraft = { kind: 'event', name: '', event: '', page: '', scroll: 75, currency: '', conditions: [] };

export function draftOfGoal(goal: Goal): GoalDraft {
  return {
    kind: goal.goal_type, name: goal.display_name, event: goal.event_name ?? '', page: goal.page_path ?? '', scroll: goal.scroll ?? NEW_GOAL.scroll,
    currency: goal.currency ?? '', conditions: Object.entries(goal.custom_props).map(([key, value]) => ({ key, value })),
  };
}

/** Only what the kind has; conditions without a name are left out. */
export function definitionOf(draft: GoalDraft): GoalDefinition {
  const name = draft.name.trim();
  const props = draft.conditions.filter(({ key }) => key.trim() !== '');
  return {
    goal_type: draft.kind,
    ...(name === '' ? {} : { display_name: name }),
    ...(draft.kind === 'event' ? { event_name: draft.event.trim() } : { page_path: draft.page.trim() }),
    ...(draft.kind === 'scroll' ? { scroll: draft.scroll } : {}),
    ...(draft.kind === 'event' && draft.currency !== '' ? { currency: draft.currency } : {}),
    ...(draft.kind !== 'scroll' && props.length > 0 ? { custom_props: Object.fromEntries(props.map(({ key, value }) => [key.trim(), value.trim()])) } : {}),
  };
}

export type GoalFault = 'event' | 'page' | 'slash' | 'scroll';

/** What is missing, null if nothing. */
export function goalFault(draft: GoalDraft): GoalFault | null {
  if (draft.kind === 'event') return draft.event.trim() === '' ? 'event' : null;
  if (draft.page.trim() === '') return 'page';
  if (!/^[/*]/.test(draft.page.trim())) return 'slash';
  return draft.kind === 'scroll' && !(Number.isInteger(draft.scroll) && draft.scroll >= 1 && draft.scroll <= 100) ? 'scroll' : null;
}

/** ISO 4217, the usual ones first, then all that the browser knows. */
export function currencies(): string[] {
  const usual = ['EUR', 'USD', 'GBP', 'CHF', 'JPY'];
  return [...usual, ...Intl.supportedValuesOf('currency').filter((code) => !usual.includes(code))];
}
