/**
 * The one client of the node's API. Its types come from the OpenAPI document;
 * every failure is an ApiError. Nothing here keeps state; how fresh answers are is
 * noted in freshness.svelte.ts.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from '../api/schema';
import type { Question, QueryResult } from '../data/question';
import { early } from '../../early';
import { freshness } from './freshness.svelte';

type Schemas = components['schemas'];
export type User = Schemas['User'];
export type Overview = Schemas['Overview'];
export type OverviewSite = Overview['sites'][number];
export type SiteDetail = Schemas['SiteDetail'];
export type Months = Schemas['Months'];
export type Segment = Schemas['Segment'];
export type NewSegment = Schemas['NewSegment'];
export type Goal = Schemas['Goal'];

/** How long an answer may take. */
const TIMEOUT_MS = 20_000;
/** How long a file may take. */
const EXPORT_TIMEOUT_MS = 300_000;

/** A request that failed: the HTTP status, 0 where no answer came, and the server's text. */
export class ApiError extends Error {
  constructor(readonly status: number, message: string, /** What else the answer said. */ readonly body: unknown = null) {
    super(message);
    this.name = 'ApiError';
  }

  /** Nobody is signed in, or the session has ended. */
  get unauthorized(): boolean {
    return this.status === 401;
  }

  /** No answer came: offline, or the node is down. */
  get unreachable(): boolean {
    return this.status === 0;
  }
}

export const client = createClient<paths>({ baseUrl: location.origin, fetch: async (request) => freshness.heed((await early(request)) ?? (await fetch(request))) });

export async function whoAmI(): Promise<User> {
  return (await answer(client.GET('/v1/session', limits()))).user;
}

/** factor: a code of the second factor, or a recovery code; see wantsSecondFactor. */
export async function signIn(email: string, password: string, factor: { code?: string; recovery_code?: string } = {}): Promise<User> {
  return (await answer(client.POST('/v1/session', { body: { email, password, ...factor }, ...limits() }))).user;
}

/** Whether signing in was refused because the second factor is missing or wrong. */
export function wantsSecondFactor(error: ApiError): boolean {
  return error.unauthorized && typeof error.body === 'object' && error.body !== null && 'second_factor' in error.body && error.body.second_factor === true;
}

export async function signOut(): Promise<void> {
  await answer(client.DELETE('/v1/session', limits()));
}

/** Whether a set-up link still works. */
export async function isSetupValid(token: string): Promise<boolean> {
  try {
    await answer(client.GET('/v1/setup/{token}', { params: { path: { token } }, ...limits() }));
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}

export interface Setup {
  token: string;
  email: string;
  name: string;
  password: string;
  domain?: string;
  timezone?: string;
}

export async function setUp(body: Setup): Promise<User> {
  return (await answer(client.POST('/v1/setup', { body, ...limits() }))).user;
}

/** Every site at a glance, however many pages of them there are. */
export async function overview(signal?: AbortSignal): Promise<Overview['sites']> {
  const sites: Overview['sites'] = [];
  let after: string | undefined;
  do {
    const page: Overview = await answer(client.GET('/v1/overview', { params: { query: after ? { after } : {} }, ...limits(signal) }));
    sites.push(...page.sites);
    after = page.next;
  } while (after);
  return sites;
}

export async function siteDomains(signal?: AbortSignal): Promise<string[]> {
  const { sites } = await answer(client.GET('/v1/sites', limits(signal)));
  return sites.map((site) => site.domain);
}

export function site(domain: string, signal?: AbortSignal): Promise<SiteDetail> {
  return answer(client.GET('/v1/sites/{site}', { params: { path: { site: domain } }, ...limits(signal) }));
}

export function addSite(domain: string, timezone: string): Promise<SiteDetail> {
  return answer(client.POST('/v1/sites', { body: { domain, timezone }, ...limits() }));
}

/**
 * since: the index that the stream of changes told; 0 for none. All pages that were
 * told the same share one answer, instead of the node reckoning anew for each.
 */
export function query(body: Question, signal?: AbortSignal, since = 0): Promise<QueryResult> {
  const params = since > 0 ? { params: { header: { 'X-Footfall-Since': since } } } : {};
  return answer(client.POST('/api/v2/query', { body, ...params, ...limits(signal) }));
}

/** end: the last month, "2026-11"; null for the current one. */
export function months(domain: string, count: number, end: string | null, signal?: AbortSignal): Promise<Months> {
  return answer(client.GET('/v1/sites/{site}/months', {
    params: { path: { site: domain }, query: { months: count, ...(end ? { end } : {}) } }, ...limits(signal),
  }));
}

export async function goals(domain: string, signal?: AbortSignal): Promise<Goal[]> {
  return (await answer(client.GET('/v1/sites/{site}/goals', { params: { path: { site: domain } }, ...limits(signal) }))).goals;
}

/** The custom properties that a site shows. */
export async function properties(domain: string, signal?: AbortSignal): Promise<string[]> {
  return (await answer(client.GET('/v1/sites/{site}/properties', { params: { path: { site: domain } }, ...limits(signal) }))).properties;
}

export async function segments(domain: string, signal?: AbortSignal): Promise<Segment[]> {
  return (await answer(client.GET('/v1/sites/{site}/segments', { params: { path: { site: domain } }, ...limits(signal) }))).segments;
}

export function addSegment(domain: string, body: NewSegment): Promise<Segment> {
  return answer(client.POST('/v1/sites/{site}/segments', { params: { path: { site: domain } }, body, ...limits() }));
}

export function changeSegment(domain: string, id: number, body: Partial<NewSegment>): Promise<Segment> {
  return answer(client.PUT('/v1/sites/{site}/segments/{id}', { params: { path: { site: domain, id } }, body, ...limits() }));
}

export async function deleteSegment(domain: string, id: number): Promise<void> {
  await answer(client.DELETE('/v1/sites/{site}/segments/{id}', { params: { path: { site: domain, id } }, ...limits() }));
}

/** All rows of a question as a file of CSV; it may take longer than other answers. */
export function exportRows(domain: string, question: Question, signal?: AbortSignal): Promise<Blob> {
  return answer(client.POST('/v1/sites/{site}/export/query', {
    params: { path: { site: domain }, query: { format: 'csv' } }, body: question, parseAs: 'blob',
    signal: AbortSignal.any([AbortSignal.timeout(EXPORT_TIMEOUT_MS), ...(signal ? [signal] : [])]),
  }) as Promise<Outcome<Blob>>);
}

/** The address of a site's stream of changes. */
export function liveAddress(domain: string): string {
  return `/v1/sites/${encodeURIComponent(domain)}/live`;
}

/** The address of a site's stream of events. */
export function eventsAddress(domain: string): string {
  return `${liveAddress(domain)}/events`;
}

/** What a request gets beside its parameters: the caller's signal, and an end. */
export function limits(signal?: AbortSignal): { signal: AbortSignal } {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return { signal: signal ? AbortSignal.any([signal, timeout]) : timeout };
}

interface Outcome<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Gives the body of a good answer; throws an ApiError otherwise, or the abort of the caller's own signal. */
export async function answer<T>(outcome: Promise<Outcome<T>>): Promise<T> {
  let result: Outcome<T>;
  try {
    result = await outcome;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, error instanceof Error ? error.message : String(error));
  }
  if (!result.response.ok) throw new ApiError(result.response.status, textOf(result.error), result.error);
  return result.data as T;
}

function textOf(body: unknown): string {
  if (typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string') {
    return body.error;
  }
  return '';
}
