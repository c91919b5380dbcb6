/**
 * Funnels. In an address each step is one `s` parameter, its kind and its
 * value, such as "page,/cart"; a step that is still empty has no value yet.
 */
import type { components } from '../api/schema';
import type { Filter } from './filter';

export type FunnelAnswer = components['schemas']['Funnel'];
export type FunnelAnswerStep = FunnelAnswer['steps'][number];

export const STEP_KINDS = ['page', 'event', 'goal'] as const;
export type StepKind = (typeof STEP_KINDS)[number];

export interface FunnelStep {
  kind: StepKind;
  /** Path or glob, name of an event, or name of a goal; "" as long as nothing was chosen. */
  value: string;
}

export const STEPS_MIN = 2;
export const STEPS_MAX = 20;

/** Within which time the steps are to be taken; the usual one first. */
export const WINDOWS = ['visit', '30m', '1h', '12h', '1d', '7d', '30d', '90d'] as const;
/** One of them, or another that the API takes, such as "45m". */
export type FunnelWindow = string;

export function knownWindow(window: FunnelWindow): (typeof WINDOWS)[number] | undefined {
  return WINDOWS.find((name) => name === window);
}

export interface FunnelView {
  steps: FunnelStep[];
  window: FunnelWindow;
}

export function parseFunnelView(params: URLSearchParams): FunnelView {
  return {
    steps: params.getAll('s').slice(0, STEPS_MAX).flatMap((text) => parseStep(text) ?? []),
    window: /^[1-9]\d{0,4}[mhd]$/.test(params.get('window') ?? '') ? params.get('window') ?? '' : WINDOWS[0],
  };
}

export function writeFunnelView(params: URLSearchParams, view: FunnelView): void {
  params.delete('s');
  params.delete('window');
  for (const step of view.steps) params.append('s', `${step.kind},${step.value}`);
  if (view.window !== WINDOWS[0]) params.set('window', view.window);
}

type SavedFunnel = components['schemas']['SavedFunnel'];
type ApiStep = components['schemas']['FunnelStepRequest'];

/** The steps of a saved funnel as the builder has them. */
export function savedSteps(funnel: Pick<SavedFunnel, 'steps'>): FunnelStep[] {
  return funnel.steps.flatMap((step) => STEP_KINDS.flatMap((kind) => (step[kind] === undefined ? [] : [{ kind, value: step[kind] ?? '' }])));
}

/** The steps as they are saved. A step that stays keeps what only the API can say of it, such as conditions. */
export function bodySteps(steps: readonly FunnelStep[], before: readonly ApiStep[]): ApiStep[] {
  return steps.map(({ kind, value }) => before.find((step) => step[kind] === value.trim()) ?? { [kind]: value.trim() });
}

/** Whether what is shown is what was saved. */
export function isSaved(view: FunnelView, funnel: Pick<SavedFunnel, 'steps' | 'window'>): boolean {
  return view.window === funnel.window && JSON.stringify(view.steps) === JSON.stringify(savedSteps(funnel));
}

function parseStep(text: string): FunnelStep | null {
  const comma = text.indexOf(',');
  const kind = STEP_KINDS.find((name) => name === text.slice(0, comma));
  return comma > 0 && kind ? { kind, value: text.slice(comma + 1) } : null;
}

/** The steps as the API takes them, or null while there are too few or one is empty. */
export function funnelSteps(steps: FunnelStep[]): components['schemas']['FunnelStepRequest'][] | null {
  if (steps.length < STEPS_MIN || steps.some((step) => step.value.trim() === '')) return null;
  return steps.map(({ kind, value }) => ({ [kind]: value.trim(), name: value.trim() }));
}

export function withStep(steps: FunnelStep[], step: FunnelStep): FunnelStep[] {
  const empty = steps.findIndex((each) => each.value.trim() === '');
  if (empty >= 0) return steps.map((each, i) => (i === empty ? step : each));
  return steps.length < STEPS_MAX ? [...steps, step] : steps;
}

/** The steps with one of them moved to another place. */
export function moved(steps: FunnelStep[], from: number, to: number): FunnelStep[] {
  const step = steps[from];
  if (!step || to < 0 || to >= steps.length) return steps;
  const rest = steps.filter((_, i) => i !== from);
  return [...rest.slice(0, to), step, ...rest.slice(to)];
}

/** The filter that keeps those who took a step; null where there is none such. */
export function filterOf(step: FunnelStep): Filter | null {
  if (step.kind === 'page' && !step.value.includes('*')) return { op: 'is', name: 'page', values: [step.value] };
  if (step.kind === 'event') return { op: 'is', name: 'event', values: [step.value] };
  return null;
}

export interface FunnelShape {
  width: number;
  height: number;
  bars: { x: number; y: number; width: number; height: number; /** Where those who were lost stand. */ lostY: number; lostHeight: number }[];
  /** Paths that lead from one bar to the next. */
  bands: string[];
}

/** Bars as tall as the share of the first step, joined by bands. column: the room of one step. */
export function funnelShape(steps: Pick<FunnelAnswerStep, 'visitors'>[], column: number, height: number): FunnelShape {
  const first = steps[0]?.visitors ?? 0;
  const barWidth = Math.round(Math.min(64, column * 0.42));
  const tall = (visitors: number) => (first > 0 ? (visitors / first) * height : 0);
  const bars = steps.map((step, i) => {
    const own = Math.max(step.visitors > 0 ? 2 : 0, tall(step.visitors));
    const before = i === 0 ? own : tall(steps[i - 1]?.visitors ?? 0);
    return {
      x: i * column, y: height - own, width: barWidth, height: own,
      lostY: height - Math.max(before, own), lostHeight: Math.max(0, before - own),
    };
  });
  const bands = bars.slice(1).map((bar, i) => {
    const from = bars[i];
    if (!from) return '';
    const left = from.x + from.width;
    const middle = (left + bar.x) / 2;
    return `M${left},${from.y} C${middle},${from.y} ${middle},${bar.y} ${bar.x},${bar.y} L${bar.x},${height} L${left},${height} Z`;
  });
  return { width: Math.max(0, (steps.length - 1) * column + barWidth), height, bars, bands };
}

/** The step that loses most of those who got to the one before; null without losses. */
export function weakestStep(steps: Pick<FunnelAnswerStep, 'dropped'>[]): number | null {
  let found: number | null = null;
  steps.forEach((step, i) => {
    if (i > 0 && step.dropped > (found === null ? 0 : steps[found]?.dropped ?? 0)) found = i;
  });
  return found;
}
