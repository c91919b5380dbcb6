/** A filter while it is being put together. */
import { canFold, faultOf, isOfEvents, isProp, opsOf, type Done, type Fault, type Filter, type FilterName, type FilterOp, type Test } from './filter';

export interface DraftTest {
  /** "prop:" while the property has no name yet. */
  name: FilterName;
  op: FilterOp;
  values: string[];
  fold: boolean;
  done: Done | '';
}

/** The names a filter can be about, as a list of choices has them. */
export const NAME_GROUPS = [
  { group: 'pages', names: ['page', 'entry_page', 'exit_page', 'hostname'] },
  { group: 'sources', names: ['source', 'channel', 'referrer', 'utm_campaign', 'utm_medium', 'utm_source', 'utm_content', 'utm_term'] },
  { group: 'places', names: ['country', 'region', 'city', 'language'] },
  { group: 'devices', names: ['browser', 'browser_version', 'os', 'os_version', 'device', 'screen'] },
  { group: 'actions', names: ['goal', 'event'] },
] as const satisfies readonly { group: string; names: readonly FilterName[] }[];

export const EMPTY_DRAFT: DraftTest = { name: 'page', op: 'is', values: [], fold: false, done: '' };

export function draftOf(filter: Filter | null): DraftTest[] {
  if (!filter) return [{ ...EMPTY_DRAFT }];
  return ('any' in filter ? filter.any : [filter]).map(({ name, op, values, fold, done }) => (
    { name, op, values: [...values], fold: fold ?? false, done: done ?? '' }
  ));
}

/** A draft about another name: what does not suit that one is taken back. */
export function withName(draft: DraftTest, name: FilterName): DraftTest {
  const op = opsOf(name).includes(draft.op) ? draft.op : 'is';
  return { ...draft, name, op, values: [], done: isOfEvents(name) ? draft.done : '' };
}

export type DraftFault = Fault | 'empty' | 'prop' | 'pattern';

/** The filter of a draft, or why it is none yet and in which test. */
export function finished(drafts: readonly DraftTest[]): { filter: Filter } | { fault: DraftFault; at: number } {
  for (const [at, draft] of drafts.entries()) {
    if (draft.name === 'prop:') return { fault: 'prop', at };
    if (draft.values.length === 0) return { fault: 'empty', at };
    if (!canFold(draft.op) && !draft.values.every(isPattern)) return { fault: 'pattern', at };
  }
  const tests = drafts.map(({ name, op, values, fold, done }): Test => (
    { op, name, values, ...(fold && canFold(op) ? { fold: true } : {}), ...(done ? { done } : {}) }
  ));
  const [only] = tests;
  const filter: Filter = tests.length === 1 && only ? only : { any: tests };
  const fault = faultOf(filter);
  if (!fault) return { filter };
  return { fault, at: tests.findIndex((test) => faultOf({ any: [test] }) !== null) };
}

/** Values can be offered for whole values and parts of them; a pattern is the reader's own. */
export function offersValues(draft: DraftTest): boolean {
  return canFold(draft.op) && draft.name !== 'prop:';
}

/** Whether any text may be asked for; the API refuses goals that there are not, and countries that are no codes. */
export function takesAnyText(name: FilterName, op: FilterOp): boolean {
  return !(op.startsWith('is') && (name === 'goal' || name === 'country'));
}

/** Far from all that the node takes, but what a reader is likely to mistype. */
function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'u') !== null;
  } catch {
    return /\(\?[a-zA-Z]|\\[pPQEAz]|\[\[:/.test(text);
  }
}

export function propKey(name: FilterName): string {
  return isProp(name) ? name.slice(5) : '';
}
