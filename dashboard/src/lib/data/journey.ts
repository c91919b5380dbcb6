/**
 * Journeys as a Sankey diagram: what the address says, and where each page and
 * each way between two pages stands. The layout knows numbers only; drawing is
 * the view's.
 */
import type { components } from '../api/schema';

export type JourneysAnswer = components['schemas']['Journeys'];
export type Direction = 'next' | 'previous';

/** All pages of a step that are not named. */
export const OTHER = '(other)';

export const JOURNEY_STEPS = [1, 2, 3, 4, 5] as const;
export const JOURNEY_TOPS = [5, 10, 20] as const;

export interface JourneyView {
  /** Path or glob where journeys begin; "" for where visits begin. */
  page: string;
  direction: Direction;
  steps: number;
  top: number;
}

export function parseJourneyView(params: URLSearchParams): JourneyView {
  return {
    page: params.get('page') ?? '',
    direction: params.get('direction') === 'previous' ? 'previous' : 'next',
    steps: JOURNEY_STEPS.find((count) => String(count) === params.get('steps')) ?? 3,
    top: JOURNEY_TOPS.find((count) => String(count) === params.get('top')) ?? 5,
  };
}

export function writeJourneyView(params: URLSearchParams, view: JourneyView): void {
  for (const name of ['page', 'direction', 'steps', 'top']) params.delete(name);
  if (view.page !== '') params.set('page', view.page);
  if (view.direction !== 'next') params.set('direction', view.direction);
  if (view.steps !== 3) params.set('steps', String(view.steps));
  if (view.top !== 5) params.set('top', String(view.top));
}

export interface PlacedNode {
  index: number;
  step: number;
  page: string;
  pages: number;
  visits: number;
  exits: number;
  x: number;
  y: number;
  height: number;
  /** How much of its foot is of visits that end here. */
  exitHeight: number;
}

export interface PlacedLink {
  from: number;
  to: number;
  visits: number;
  /** An area between two bars. */
  path: string;
}

export interface Sankey {
  nodes: PlacedNode[];
  links: PlacedLink[];
  columns: number[];
  width: number;
  height: number;
}

/** Width of a page's bar. */
export const NODE_WIDTH = 12;
/** A page has at least this much room, so that its name fits beside its bar. */
const SLOT_MIN = 26;
const GAP = 8;
/** Height of all visits together, before gaps. */
const FLOW_HEIGHT = 340;

/**
 * Places nodes in columns by step, the largest on top and the unnamed at the
 * foot, as the API orders them. Going back in time, the first column stands on
 * the right. Links leave and enter in the order of what they join.
 */
export function layoutJourney(answer: Pick<JourneysAnswer, 'nodes' | 'links' | 'visits'>, direction: Direction, width: number): Sankey {
  const last = Math.max(0, ...answer.nodes.map((node) => node.step));
  const room = last > 0 ? (width - NODE_WIDTH) / (last + 0.72) : width;
  const scale = answer.visits > 0 ? FLOW_HEIGHT / answer.visits : 0;
  const columnOf = (step: number) => (direction === 'next' ? step : last - step);
  const tops = new Map<number, number>();
  const nodes = answer.nodes.map((node, index): PlacedNode => {
    const y = tops.get(node.step) ?? 0;
    const height = Math.max(2, node.visits * scale);
    tops.set(node.step, y + Math.max(SLOT_MIN, height) + GAP);
    return {
      index, step: node.step, page: node.page, pages: node.pages, visits: node.visits, exits: node.exits,
      x: columnOf(node.step) * room, y, height, exitHeight: Math.min(height, node.exits * scale),
    };
  });
  const links = placeLinks(nodes, answer.links, scale, direction);
  return {
    nodes, links, width, height: Math.max(0, ...tops.values()) - (tops.size > 0 ? GAP : 0),
    columns: Array.from({ length: last + 1 }, (_, step) => columnOf(step) * room),
  };
}

function placeLinks(nodes: PlacedNode[], links: JourneysAnswer['links'], scale: number, direction: Direction): PlacedLink[] {
  const y = (index: number) => nodes[index]?.y ?? 0;
  const starts = new Map<number, number>();
  const ends = new Map<number, number>();
  const startOf = new Map<number, number>();
  const endOf = new Map<number, number>();
  const order = links.map((_, i) => i);
  const take = (taken: Map<number, number>, node: number, size: number) => {
    const at = taken.get(node) ?? y(node);
    taken.set(node, at + size);
    return at;
  };
  const at = (i: number) => links[i] as JourneysAnswer['links'][number];
  for (const i of [...order].sort((a, b) => y(at(a).to) - y(at(b).to))) startOf.set(i, take(starts, at(i).from, at(i).visits * scale));
  for (const i of [...order].sort((a, b) => y(at(a).from) - y(at(b).from))) endOf.set(i, take(ends, at(i).to, at(i).visits * scale));
  return links.map((link, i) => {
    const from = nodes[link.from];
    const to = nodes[link.to];
    const size = link.visits * scale;
    const forward = direction === 'next';
    const x0 = (from?.x ?? 0) + (forward ? NODE_WIDTH : 0);
    const x1 = (to?.x ?? 0) + (forward ? 0 : NODE_WIDTH);
    return { from: link.from, to: link.to, visits: link.visits, path: ribbon(x0, startOf.get(i) ?? 0, x1, endOf.get(i) ?? 0, Math.max(1, size)) };
  });
}

function ribbon(x0: number, y0: number, x1: number, y1: number, size: number): string {
  const middle = round((x0 + x1) / 2);
  const [a, b, c, d] = [round(y0), round(y1), round(y1 + size), round(y0 + size)];
  return `M${round(x0)},${a} C${middle},${a} ${middle},${b} ${round(x1)},${b} L${round(x1)},${c} C${middle},${c} ${middle},${d} ${round(x0)},${d} Z`;
}

function round(n: number): number {
  return Math.round(n * 10) / 10;
}

/** The links and nodes that can be reached from a node, both ways. */
export function connected(links: Pick<PlacedLink, 'from' | 'to'>[], node: number): { nodes: Set<number>; links: Set<number> } {
  const found = { nodes: new Set([node]), links: new Set<number>() };
  for (const [near, far] of [['from', 'to'], ['to', 'from']] as const) {
    const waiting = [node];
    const seen = new Set([node]);
    for (let current = waiting.pop(); current !== undefined; current = waiting.pop()) {
      links.forEach((link, i) => {
        if (link[near] !== current) return;
        found.links.add(i);
        found.nodes.add(link[far]);
        if (!seen.has(link[far])) {
          seen.add(link[far]);
          waiting.push(link[far]);
        }
      });
    }
  }
  return found;
}

export interface JourneyRow {
  step: number;
  page: string;
  pages: number;
  visits: number;
  exits: number;
  /** Where its visits go on to, most first. */
  onwards: { page: string; visits: number }[];
}

/** The same as rows of a table. */
export function journeyRows(answer: Pick<JourneysAnswer, 'nodes' | 'links'>): JourneyRow[] {
  return answer.nodes.map((node, index) => ({
    step: node.step, page: node.page, pages: node.pages, visits: node.visits, exits: node.exits,
    onwards: answer.links.filter((link) => link.from === index)
      .map((link) => ({ page: answer.nodes[link.to]?.page ?? '', visits: link.visits }))
      .sort((a, b) => b.visits - a.visits),
  }));
}
