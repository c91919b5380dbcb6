/** Domains as people type them and as the node spells them. */

/**
 * The one among domains that typed means, if any: the node writes them in lower
 * case, in ASCII and without "www.".
 */
export function findDomain(domains: readonly string[], typed: string): string | undefined {
  const host = hostOf(typed);
  return domains.find((domain) => domain === host || domain === host.replace(/^www\./, ''));
}

function hostOf(typed: string): string {
  const text = typed.trim();
  try {
    return new URL(/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`).hostname;
  } catch {
    return text.toLowerCase();
  }
}
