/**
 * The one client of the node's API. Its types come from the OpenAPI document;
 * every failure is an ApiError. Nothing here keeps state.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from '../api/schema';
import type { Question, QueryResult } from '../data/question';

type Schemas = components['schemas'];
export type User = Schemas['User'];
export type Overview = Schemas['Overview'];
export type OverviewSite = Overview['sites'][number];
export type SiteDetail = Schemas['SiteDetail'];
export type Months = Schemas['Months'];

/** How long an answer may take. */
const TIMEOUT_MS = 20_000;

/** A request that failed: the HTTP status, 0 where no answer came, and the server's text. */
export class ApiError extends Error {
  constructor(readonly status: number, message: string) {
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

const client = createClient<paths>({ baseUrl: location.origin, fetch: (request) => fetch(request) });

export async function whoAmI(): Promise<User> {
  return (await answer(client.GET('/v1/session', limits()))).user;
}

export async function signIn(email: string, password: string): Promise<User> {
  return (await answer(client.POST('/v1/session', { body: { email, password }, ...limits() }))).user;
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

export function overview(signal?: AbortSignal): Promise<Overview> {
  return answer(client.GET('/v1/overview', limits(signal)));
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

export function query(body: Question, signal?: AbortSignal): Promise<QueryResult> {
  return answer(client.POST('/api/v2/query', { body, ...limits(signal) }));
}

/** end: the last month, "2026-11"; null for the current one. */
export function months(domain: string, count: number, end: string | null, signal?: AbortSignal): Promise<Months> {
  return answer(client.GET('/v1/sites/{site}/months', {
    params: { path: { site: domain }, query: { months: count, ...(end ? { end } : {}) } }, ...limits(signal),
  }));
}

/** The address of a site's stream of changes. */
export function liveAddress(domain: string): string {
  return `/v1/sites/${encodeURIComponent(domain)}/live`;
}

function limits(signal?: AbortSignal): { signal: AbortSignal } {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return { signal: signal ? AbortSignal.any([signal, timeout]) : timeout };
}

interface Outcome<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Gives the body of a good answer; throws an ApiError otherwise, or the abort of the caller's own signal. */
async function answer<T>(outcome: Promise<Outcome<T>>): Promise<T> {
  let result: Outcome<T>;
  try {
    result = await outcome;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, error instanceof Error ? error.message : String(error));
  }
  if (!result.response.ok) throw new ApiError(result.response.status, textOf(result.error));
  return result.data as T;
}

function textOf(body: unknown): string {
  if (typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string') {
    return body.error;
  }
  return '';
}
