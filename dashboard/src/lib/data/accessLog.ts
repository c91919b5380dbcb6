/**
 * Lines of a web server's access log, Common and Combined, and of NDJSON, as
 * events. The same rules and the same ids as those of `footfall import`, so that
 * a line that was imported either way is never counted again.
 */
import { sha256 } from './sha256';

export const LOG_FORMATS = ['combined', 'ndjson'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Why a line is no view; nothing is wrong with it. */
export type Skip = 'method' | 'status' | 'asset' | 'blank';

export type LineResult = { event: string } | { skip: Skip } | { fault: string };

const LINE = /^(\S+) \S+ \S+ \[([^\]]*)\] "([A-Z]+) (\S+) HTTP\/[\d.]+" (\d{3}) (?:\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?\s*$/;
const DATE = /^ ?(\d{1,2})\/([A-Za-z]{3})\/(\d{4}):(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\s+(?:(Z)|([+-])(\d\d):?(\d\d)))$/;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const ASSET = /\.(?:css|js|mjs|map|png|jpe?g|gif|svg|webp|avif|ico|bmp|tiff?|woff2?|ttf|otf|eot|mp4|webm|ogv|mp3|ogg|wav|flac|avi|mov|wmv|pdf|zip|gz|bz2|xz|tar|tgz|rar|7z|exe|dmg|iso|msi|deb|rpm|swf|json|xml|txt)$/i;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
const URL_MAX = 2000;
const AGENT_MAX = 1000;
const DAY_MS = 86_400_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Turns the lines of one import into events; it remembers which lines came more than once. */
export class LineReader {
  #seen = new Map<string, number>();

  constructor(private site: string, private format: LogFormat) {}

  /** bytes: a line without its end. */
  read(bytes: Uint8Array): LineResult {
    const text = decoder.decode(bytes);
    if (text.trim() === '') return { skip: 'blank' };
    return this.format === 'ndjson' ? this.#object(text.trim(), bytes) : this.#line(text, bytes);
  }

  #line(text: string, bytes: Uint8Array): LineResult {
    const parts = LINE.exec(text);
    if (!parts) return { fault: 'line: is not in the Combined or Common form' };
    const [, host = '', date = '', method = '', target = '', status = '', referrer, agent] = parts;
    const time = parseLogDate(date);
    if (time === null) return { fault: 'date: is not [day/month/year:hour:minute:second offset]' };
    if (method !== 'GET') return { skip: 'method' };
    if (!/^2|^304$/.test(status)) return { skip: 'status' };
    const page = cut(pageOf(target), URL_MAX);
    if (ASSET.test(page)) return { skip: 'asset' };
    const query = /\?([^#]*)/.exec(target)?.[1] ?? '';
    const said = agent === undefined ? '' : unescaped(agent);
    const from = referrer === undefined ? '' : unescaped(referrer);
    return {
      event: JSON.stringify({
        id: this.#id(bytes), timestamp: new Date(time).toISOString().replace('.000Z', 'Z'), site: this.site, name: 'pageview',
        url: `https://${this.site}${encodePath(page)}${query === '' ? '' : `?${query}`}`.slice(0, URL_MAX), page,
        ...(from === '' ? {} : { referrer: cut(from, URL_MAX) }),
        ...(isAddress(host) ? { ip: host } : { visitor: hex(sha256(encoder.encode(`${host}\n${said}\n${Math.floor(time / DAY_MS)}`))) }),
        // A log without user agents cannot tell bots; all of its views count.
        ...(agent === undefined ? { keep_bots: true } : { user_agent: cut(said, AGENT_MAX) }),
      }),
    };
  }

  #object(text: string, bytes: Uint8Array): LineResult {
    let found: unknown;
    try {
      found = JSON.parse(text);
    } catch {
      return { fault: 'line: is not JSON' };
    }
    if (typeof found !== 'object' || found === null || Array.isArray(found)) return { fault: 'line: is not a JSON object' };
    const event = found as Record<string, unknown>;
    if (event['timestamp'] === undefined || event['timestamp'] === null) return { fault: 'timestamp: is missing' };
    const site = event['site'];
    if (typeof site === 'string' && plain(site) !== plain(this.site)) return { fault: `site: "${site}" is not the site of this import` };
    return { event: JSON.stringify({ ...event, ...(event['id'] ? {} : { id: this.#id(bytes) }), ...(site ? {} : { site: this.site }) }) };
  }

  #id(bytes: Uint8Array): string {
    const own = hex(sha256(bytes));
    const count = this.#seen.get(own) ?? 0;
    this.#seen.set(own, count + 1);
    const tail = encoder.encode(`\n${count}`);
    const all = new Uint8Array(bytes.length + tail.length);
    all.set(bytes);
    all.set(tail, bytes.length);
    return hex(sha256(all));
  }
}

/** "17/May/2015:10:05:03 +0000" in Unix milliseconds; null when it is no such date or tells no offset. */
export function parseLogDate(text: string): number | null {
  const parts = DATE.exec(text);
  if (!parts) return null;
  const month = MONTHS.indexOf((parts[2] ?? '').toLowerCase());
  const [day, year, hour, minute, second] = [parts[1], parts[3], parts[4], parts[5], parts[6]].map(Number) as [number, number, number, number, number];
  const ms = Date.UTC(year, month, day, hour, minute, second);
  const date = new Date(ms);
  if (month < 0 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) return null;
  const offset = (Number(parts[9] ?? 0) * 60 + Number(parts[10] ?? 0)) * (parts[8] === '-' ? -1 : 1);
  return ms - offset * 60_000;
}

/** Splits a stream of bytes at line ends; one line may come in many chunks. */
export class LineSplitter {
  #rest: Uint8Array[] = [];
  #afterReturn = false;

  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte !== 10 && byte !== 13) {
        this.#afterReturn = false;
        continue;
      }
      if (byte === 10 && this.#afterReturn) from = i + 1;
      else {
        lines.push(this.#join(chunk.subarray(from, i)));
        from = i + 1;
      }
      this.#afterReturn = byte === 13;
    }
    if (from < chunk.length) this.#rest.push(chunk.slice(from));
    return lines;
  }

  /** What stands after the last line end; null when nothing does. */
  end(): Uint8Array | null {
    return this.#rest.length === 0 ? null : this.#join(new Uint8Array());
  }

  #join(last: Uint8Array): Uint8Array {
    if (this.#rest.length === 0) return last.slice();
    const parts = [...this.#rest, last];
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    this.#rest = [];
    return all;
  }
}

/** The path before ? and #, decoded; bytes that are no UTF-8 become U+FFFD. */
function pageOf(target: string): string {
  const path = target.replace(/[?#].*$/s, '');
  const page = path.replace(/(?:%[0-9a-f]{2})+/gi, (run) => decoder.decode(Uint8Array.from(run.match(/[0-9a-f]{2}/gi) ?? [], (pair) => parseInt(pair, 16)))).trimEnd();
  return page === '' ? '/' : page;
}

function encodePath(page: string): string {
  const path = page.startsWith('/') ? page : `/${page}`;
  const encoded = encodeURI(path.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '\uFFFD')).replace(/[?#[\]]/g, encodeURIComponent);
  return encoded.length > URL_MAX - 260 ? '/' : encoded;
}

/** A logged text as it was sent: "-" stands for none. */
function unescaped(text: string): string {
  if (text === '-') return '';
  return text.replace(/\\(["\\])|\\[nrtbvf]|\\x([0-9a-f]{2})/gi, (all, same?: string, code?: string) => same ?? (code ? String.fromCharCode(parseInt(code, 16)) : all ? ' ' : ''));
}

function isAddress(host: string): boolean {
  return IPV4.test(host) || (host.includes(':') && /^[0-9a-f:.]+$/i.test(host));
}

function plain(domain: string): string {
  return domain.toLowerCase().replace(/^www\./, '');
}

/** Shortens to bytes of UTF-8, at the border of a character. */
function cut(text: string, max: number): string {
  const bytes = encoder.encode(text);
  return bytes.length <= max ? text : decoder.decode(bytes.subarray(0, max)).replace(/�+$/, '');
}

function hex(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
