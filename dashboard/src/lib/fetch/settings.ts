/** What the pages of settings, account and installation ask of the API. */
import type { components } from '../api/schema';
import type { ClusterStatus, NodeOrder } from '../data/clusterView';
import type { Goal, GoalDefinition } from '../data/goalForm';
import type { Inspection } from '../data/inspector';
import { parseMailReports, type MailReports } from '../data/mailReports';
import { parseMetrics, type Sample } from '../data/exposition';
import { answer, ApiError, client, limits, type SiteDetail } from './api';

type Schemas = components['schemas'];
export type Role = Schemas['Role'];
export type Scope = Schemas['Scope'];
export type Key = Schemas['Key'];
export type NewKey = Schemas['NewKey'];
export type Person = Schemas['User'];
export type Guest = Schemas['Guest'];
export type Org = Schemas['Org'];
export type EventsResult = Schemas['EventsResult'];
export type SharedLink = Schemas['SharedLink'];
export interface OpenSession { id: number; agent: string; created: string; last_seen: string; expires: string; current: boolean }
export type SavedFunnel = Schemas['SavedFunnel'];
export type SnippetCheck = Schemas['SiteCheck'];
export type SecondFactor = Schemas['SecondFactor'];

interface Request { body?: unknown; signal?: AbortSignal | undefined; token?: string }

/** Asks with a token of its own, or for what is no JSON or not in the document. */
async function call<T>(method: string, path: string, { body, signal, token }: Request = {}): Promise<T> {
  const sent = fetch(path, {
    method, ...limits(signal),
    headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return answer(sent.then(async (response) => {
    const text = await response.text();
    const json = /^application\/json/.test(response.headers.get('Content-Type') ?? '');
    const found: unknown = json && text !== '' ? JSON.parse(text) : text;
    // A node that does not know a route answers with a page.
    if (response.ok && !json && text.startsWith('<')) throw new ApiError(404, '');
    return response.ok ? { data: found as T, response } : { error: found, response };
  }).catch((error: unknown) => {
    if (error instanceof ApiError) return { error: { error: error.message }, response: new Response(null, { status: error.status }) };
    throw error;
  }));
}

export type SiteChange = Partial<Pick<SiteDetail, 'domain' | 'timezone' | 'public' | 'hostnames' | 'blocked_pages' | 'blocked_ips' | 'blocked_countries' | 'visitor_id' | 'retention_days'>>;

export function changeSite(domain: string, body: SiteChange): Promise<SiteDetail> {
  return answer(client.PUT('/v1/sites/{site}', { params: { path: { site: domain } }, body, ...limits() }));
}

export async function deleteSite(domain: string): Promise<void> {
  await answer(client.DELETE('/v1/sites/{site}', { params: { path: { site: domain } }, ...limits() }));
}

export function eraseVisitor(domain: string, visitor: string): Promise<Schemas['Erased']> {
  return answer(client.POST('/v1/sites/{site}/erase', { params: { path: { site: domain } }, body: { visitor }, ...limits() }));
}

export function checkSnippet(domain: string, signal?: AbortSignal): Promise<SnippetCheck> {
  return answer(client.GET('/v1/sites/{site}/check', { params: { path: { site: domain } }, ...limits(signal) }));
}

export function inspect(domain: string, signal?: AbortSignal): Promise<Inspection> {
  return answer(client.GET('/v1/sites/{site}/inspector', { params: { path: { site: domain } }, ...limits(signal) }));
}

export function addGoal(domain: string, body: GoalDefinition): Promise<Goal> {
  return answer(client.POST('/v1/sites/{site}/goals', { params: { path: { site: domain } }, body, ...limits() }));
}

export function changeGoal(domain: string, id: number, body: GoalDefinition): Promise<Goal> {
  return answer(client.PUT('/v1/sites/{site}/goals/{id}', { params: { path: { site: domain, id } }, body, ...limits() }));
}

export async function deleteGoal(domain: string, id: number): Promise<void> {
  await answer(client.DELETE('/v1/sites/{site}/goals/{id}', { params: { path: { site: domain, id } }, ...limits() }));
}

export async function funnels(domain: string, signal?: AbortSignal): Promise<SavedFunnel[]> {
  return (await answer(client.GET('/v1/sites/{site}/funnels', { params: { path: { site: domain } }, ...limits(signal) }))).funnels;
}

/** id: null for a new one. */
export function saveFunnel(domain: string, id: string | null, body: Schemas['NewFunnel']): Promise<SavedFunnel> {
  return id === null
    ? answer(client.POST('/v1/sites/{site}/funnels', { params: { path: { site: domain } }, body, ...limits() }))
    : answer(client.PUT('/v1/sites/{site}/funnels/{id}', { params: { path: { site: domain, id: Number(id) } }, body, ...limits() }));
}

export async function deleteFunnel(domain: string, id: string): Promise<void> {
  await answer(client.DELETE('/v1/sites/{site}/funnels/{id}', { params: { path: { site: domain, id: Number(id) } }, ...limits() }));
}

export async function setProperties(domain: string, properties: string[]): Promise<string[]> {
  return (await answer(client.PUT('/v1/sites/{site}/properties', { params: { path: { site: domain } }, body: { properties }, ...limits() }))).properties;
}

export async function sharedLinks(domain: string, signal?: AbortSignal): Promise<SharedLink[]> {
  return (await answer(client.GET('/v1/sites/{site}/shared-links', { params: { path: { site: domain } }, ...limits(signal) }))).shared_links;
}

export function addSharedLink(domain: string, body: { name: string; password?: string; expires?: string }): Promise<SharedLink> {
  return answer(client.POST('/v1/sites/{site}/shared-links', { params: { path: { site: domain } }, body, ...limits() }));
}

export async function deleteSharedLink(domain: string, id: number): Promise<void> {
  await answer(client.DELETE('/v1/sites/{site}/shared-links/{id}', { params: { path: { site: domain, id } }, ...limits() }));
}

export async function users(signal?: AbortSignal, token?: string): Promise<Person[]> {
  return (await call<{ users: Person[] }>('GET', '/v1/users', { signal, ...(token ? { token } : {}) })).users;
}

export async function addUser(body: { email: string; name: string; password: string; role: Role }): Promise<Person> {
  return (await answer(client.POST('/v1/users', { body, ...limits() }))).user;
}

export async function setRole(id: number, role: Role): Promise<void> {
  await answer(client.PUT('/v1/users/{id}', { params: { path: { id } }, body: { role }, ...limits() }));
}

/** Lets somebody in again who has lost the second factor. */
export async function resetSecondFactor(id: number): Promise<void> {
  await answer(client.DELETE('/v1/users/{id}/second-factor', { params: { path: { id } }, ...limits() }));
}

export async function removeUser(id: number): Promise<void> {
  await answer(client.DELETE('/v1/users/{id}', { params: { path: { id } }, ...limits() }));
}

export async function guests(domain: string, signal?: AbortSignal): Promise<Guest[]> {
  return (await answer(client.GET('/api/v1/sites/guests', { params: { query: { site_id: domain, limit: 1000 } }, ...limits(signal) }))).guests;
}

export function putGuest(domain: string, email: string, role: Guest['role']): Promise<Guest> {
  return answer(client.PUT('/api/v1/sites/guests', { body: { site_id: domain, email, role }, ...limits() }));
}

export async function removeGuest(domain: string, email: string): Promise<void> {
  await call('DELETE', `/api/v1/sites/guests/${encodeURIComponent(email)}?${new URLSearchParams({ site_id: domain })}`);
}

export async function keys(signal?: AbortSignal): Promise<Key[]> {
  return (await answer(client.GET('/v1/keys', limits(signal)))).keys;
}

export function addKey(name: string, scopes: Scope[], site: string | null): Promise<NewKey> {
  return answer(client.POST('/v1/keys', { body: { name, scopes, site }, ...limits() }));
}

export async function revokeKey(id: number): Promise<void> {
  await answer(client.DELETE('/v1/keys/{id}', { params: { path: { id } }, ...limits() }));
}

/** events: a JSON list. */
export function sendEvents(key: string, events: string, signal: AbortSignal): Promise<EventsResult> {
  return call('POST', '/v1/events', { body: events, token: key, signal });
}

export async function mailReports(domain: string, signal?: AbortSignal): Promise<MailReports> {
  return parseMailReports(await answer(client.GET('/v1/sites/{site}/reports', { params: { path: { site: domain } }, ...limits(signal) })));
}

export async function setMailReports(domain: string, { weekly, monthly }: MailReports): Promise<MailReports> {
  return parseMailReports(await answer(client.PUT('/v1/sites/{site}/reports', { params: { path: { site: domain } }, body: { weekly, monthly }, ...limits() })));
}

export async function changePassword(current: string, password: string): Promise<void> {
  await answer(client.PUT('/v1/password', { body: { current, password }, ...limits() }));
}

export async function sessions(signal?: AbortSignal): Promise<OpenSession[]> {
  return (await answer(client.GET('/v1/sessions', limits(signal)))).sessions;
}

export async function endSession(id: number): Promise<void> {
  await answer(client.DELETE('/v1/sessions/{id}', { params: { path: { id } }, ...limits() }));
}

export async function signOutEverywhere(): Promise<void> {
  await answer(client.DELETE('/v1/sessions', limits()));
}

export function secondFactor(signal?: AbortSignal): Promise<SecondFactor> {
  return answer(client.GET('/v1/second-factor', limits(signal)));
}

export function beginSecondFactor(password: string): Promise<{ secret: string; uri: string }> {
  return answer(client.POST('/v1/second-factor', { body: { password }, ...limits() }));
}

export async function confirmSecondFactor(code: string): Promise<string[]> {
  return (await answer(client.PUT('/v1/second-factor', { body: { code }, ...limits() }))).recovery_codes;
}

/** factor: a code of the app, or a recovery code. */
export async function endSecondFactor(password: string, factor: string): Promise<void> {
  const body = { password, ...(/^\d{6}$/.test(factor) ? { code: factor } : { recovery_code: factor }) };
  await answer(client.DELETE('/v1/second-factor', { body, ...limits() }));
}

/** null on a node alone, which has no such route. */
export async function cluster(token: string, signal?: AbortSignal): Promise<ClusterStatus | null> {
  try {
    return await call<ClusterStatus>('GET', '/v1/cluster', { token, signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export async function orderNode(token: string, node: number, order: NodeOrder, force = false): Promise<void> {
  await call('POST', `/v1/cluster/nodes/${node}/${order}${force ? '?force=true' : ''}`, { token });
}

export async function metrics(token: string, signal?: AbortSignal): Promise<Sample[]> {
  return parseMetrics(await call<string>('GET', '/metrics', { token, signal }));
}

/** Whether the node takes part; reasons by the name of the part that is not ready. */
export async function readiness(signal?: AbortSignal): Promise<{ ready: boolean; reasons: Record<string, string> }> {
  const response = await fetch('/readyz', limits(signal)).catch(() => null);
  if (!response) throw new ApiError(0, '');
  return response.json() as Promise<{ ready: boolean; reasons: Record<string, string> }>;
}

export async function orgs(token: string, signal?: AbortSignal): Promise<Org[]> {
  return (await call<{ orgs: Org[] }>('GET', '/v1/orgs', { token, signal })).orgs;
}

export function addOrg(token: string, name: string): Promise<Org> {
  return call('POST', '/v1/orgs', { token, body: { name } });
}
