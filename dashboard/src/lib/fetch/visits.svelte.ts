/** Opening shared links, and which dashboard is open. */
import { answer, ApiError, client, limits, site } from './api';

export type Opening =
  | { state: 'open'; domain: string }
  /** wrong: a password was given, and it is not right. */
  | { state: 'password'; wrong: boolean }
  | { state: 'expired' | 'unknown' | 'closed' }
  /** The link is good, and the browser does not keep what opens it. */
  | { state: 'cookies' };

class Visits {
  /** The site whose shared dashboard can be read. */
  open = $state<string | null>(null);
  /** It could be read, and cannot any more. */
  ended = $state(false);

  begin(domain: string): void {
    this.open = domain;
    this.ended = false;
  }

  end(): void {
    this.open = null;
    this.ended = true;
  }
}

export const visits = new Visits();

/** Opens a dashboard: what may be read already is just opened, so that nobody is asked for a password twice. */
export async function openShared(domain: string, slug: string, password: string): Promise<Opening> {
  if (password === '' && await isReadable(domain)) return { state: 'open', domain };
  if (slug === '') return { state: 'closed' };
  try {
    const body = { slug, ...(password === '' ? {} : { password }) };
    const opened = await answer(client.POST('/v1/shared-link/session', { body, ...limits() }));
    return await isReadable(opened.domain) ? { state: 'open', domain: opened.domain } : { state: 'cookies' };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.unauthorized) return { state: 'password', wrong: password !== '' };
    if (error.status === 404 || error.status === 400) return { state: /expired/.test(error.message) ? 'expired' : 'unknown' };
    throw error;
  }
}

async function isReadable(domain: string): Promise<boolean> {
  try {
    await site(domain);
    return true;
  } catch (error) {
    if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return false;
    throw error;
  }
}
