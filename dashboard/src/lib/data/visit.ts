/**
 * Visits through a shared link. Their addresses begin with /share/ and carry,
 * beside what the page says, which link it is and how it looks in a frame of
 * another page; that goes along from page to page.
 */
const CARRIED = ['auth', 'embed', 'theme', 'background'];

export interface Visit {
  /** The secret of the link; "" for a site that is open to everybody, or a link that was opened before. */
  slug: string;
  /** In a frame: without bars. */
  embed: boolean;
  theme: 'light' | 'dark' | 'system' | null;
  /** A colour, as CSS has it, for what is behind the cards. */
  background: string | null;
}

export function isVisit(pathname: string): boolean {
  return pathname.startsWith('/share/');
}

export function parseVisit(search: string): Visit {
  const params = new URLSearchParams(search);
  const theme = params.get('theme');
  const background = params.get('background')?.trim() ?? '';
  return {
    slug: params.get('auth') ?? '',
    embed: params.get('embed') === 'true',
    theme: theme === 'light' || theme === 'dark' || theme === 'system' ? theme : null,
    background: /^([a-z]+|#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8}))$/i.test(background) ? background : null,
  };
}

/** Parts an address's query into what the page says and what the visit carries; each "" or starting with "?". */
export function splitVisit(search: string): { own: string; carried: string } {
  const own = new URLSearchParams();
  const carried = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(search)) (CARRIED.includes(name) ? carried : own).append(name, value);
  return { own: textOf(own), carried: textOf(carried) };
}

/** An address with what the visit carries; addresses that are none of a visit stay as they are. */
export function carry(address: string, carried: string): string {
  if (!isVisit(address) || carried === '') return address;
  const at = address.indexOf('?');
  const params = new URLSearchParams(splitVisit(at < 0 ? '' : address.slice(at)).own);
  for (const [name, value] of new URLSearchParams(carried)) params.append(name, value);
  return (at < 0 ? address : address.slice(0, at)) + textOf(params);
}

/** The same address for a tab of its own. */
export function unframed(pathname: string, search: string): string {
  const params = new URLSearchParams(search);
  for (const name of ['embed', 'background']) params.delete(name);
  return pathname + textOf(params);
}

function textOf(params: URLSearchParams): string {
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}
