/**
 * What a page asks first, asked while the scripts that want it are still on their
 * way. Each answer is taken once; where it failed the page asks again itself.
 */
const asked = new Map<string, Promise<Response | null>>();

export function askEarly(path: string): void {
  asked.set(new URL(path, location.origin).href, fetch(path).catch(() => null));
}

/** The answer to a request that was asked early, or null. */
export async function early(request: Request): Promise<Response | null> {
  const answer = request.method === 'GET' ? asked.get(request.url) : undefined;
  if (!answer) return null;
  asked.delete(request.url);
  return answer;
}
