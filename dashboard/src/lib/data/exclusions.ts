/** Lists of what does not count, as lines of a text field. */

export const EXCLUSION_LISTS = ['hostnames', 'blocked_pages', 'blocked_ips', 'blocked_countries'] as const;
export type ExclusionList = (typeof EXCLUSION_LISTS)[number];

/** One entry a line; commas part as well, except in pages. What comes twice is kept once. */
export function linesOf(list: ExclusionList, text: string): string[] {
  const parts = text.split(list === 'blocked_pages' ? /[\n\r]+/ : /[\n\r,;\s]+/).map((each) => each.trim()).filter((each) => each !== '');
  return [...new Set(parts.map((each) => (list === 'blocked_countries' ? each.toUpperCase() : list === 'hostnames' ? each.toLowerCase() : each)))];
}

export function textOfLines(lines: readonly string[]): string {
  return lines.join('\n');
}

/** The first entry that cannot be right, null if there is none; the node has the last word. */
export function wrongEntry(list: ExclusionList, lines: readonly string[]): string | null {
  return lines.find((line) => !isRight(list, line)) ?? null;
}

function isRight(list: ExclusionList, line: string): boolean {
  switch (list) {
    case 'hostnames': return /^[\p{L}\p{N}*.-]+(?::\d+)?$/u.test(line) && !line.includes('..');
    case 'blocked_pages': return /^[/*]/.test(line);
    case 'blocked_countries': return /^[A-Z]{2}$/.test(line);
    case 'blocked_ips': return isAddress(line);
  }
}

/** An address or a network, 203.0.113.0/24 or 2001:db8::/32. */
export function isAddress(text: string): boolean {
  const [address = '', bits, more] = text.split('/');
  if (more !== undefined) return false;
  const four = /^\d{1,3}(?:\.\d{1,3}){3}$/.test(address);
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= (four ? 32 : 128))) return false;
  if (four) return address.split('.').every((part) => Number(part) <= 255 && (part === '0' || !part.startsWith('0')));
  const groups = address.split(':');
  return address.includes(':') && groups.length >= 3 && groups.length <= 8 && address.split('::').length <= 2 && !address.includes(':::')
    && groups.every((group) => /^[0-9a-f]{0,4}$/i.test(group)) && (address.includes('::') || (groups.length === 8 && groups.every((group) => group !== '')));
}
