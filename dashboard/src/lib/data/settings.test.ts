import { describe, expect, it } from 'vitest';
import { LineReader, LineSplitter, parseLogDate } from './accessLog';
import { agentName } from './agent';
import { clusterSums, ordersFor, shardCells, type ClusterStatus } from './clusterView';
import { isAddress, linesOf, wrongEntry } from './exclusions';
import { exportAddress } from './exportAddress';
import { parseMetrics, ratePerSecond, total, totalsBy } from './exposition';
import { definitionOf, draftOfGoal, goalFault, NEW_GOAL, type Goal } from './goalForm';
import { percentRead, startCount, withAnswer, withLine } from './importRun';
import { dropCounts, inspectorRows, matchingRows } from './inspector';
import { parseMailReports, receiverFault, withoutReceiver, withReceiver } from './mailReports';
import { formatAgo } from './moment';
import { qrCode, qrPath, times } from './qr';
import { isUsual, parseDays } from './retentionDays';
import { sha256 } from './sha256';
import { embedAddress, embedCode } from './sharing';

const bytes = (text: string) => new TextEncoder().encode(text);
const hexOf = (found: Uint8Array) => [...found].map((byte) => byte.toString(16).padStart(2, '0')).join('');
/** What the browser itself makes of a text. */
const digest = async (text: string) => hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes(text))));

describe('sha256', () => {
  it('is what everybody else has', async () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000]) {
      const text = 'ä'.repeat(length / 2) + 'x'.repeat(length % 2);
      expect(hexOf(sha256(bytes(text))), `${length}`).toBe(await digest(text));
    }
  });
});

describe('access logs', () => {
  const LINE = '203.0.113.7 - - [17/May/2015:10:05:03 +0200] "GET /caf%C3%A9/?utm_source=x#top HTTP/1.1" 200 12 "https://www.google.com/" "Mozilla/5.0 \\"x\\""';
  const read = (line: string, format: 'combined' | 'ndjson' = 'combined') => new LineReader('shop.example', format).read(bytes(line));
  const event = (line: string, format: 'combined' | 'ndjson' = 'combined') => {
    const result = read(line, format);
    return 'event' in result ? JSON.parse(result.event) as Record<string, unknown> : result;
  };

  it('reads a view as the command line does', async () => {
    expect(event(LINE)).toEqual({
      id: (await digest(`${LINE}\n0`)).slice(0, 32), timestamp: '2015-05-17T08:05:03Z', site: 'shop.example', name: 'pageview',
      url: 'https://shop.example/caf%C3%A9/?utm_source=x', page: '/café/', referrer: 'https://www.google.com/', ip: '203.0.113.7', user_agent: 'Mozilla/5.0 "x"',
    });
  });

  it('gives the same line another id the second time', async () => {
    const reader = new LineReader('shop.example', 'combined');
    const ids = [1, 2, 3].map(() => (JSON.parse((reader.read(bytes(LINE)) as { event: string }).event) as { id: string }).id);
    expect(new Set(ids).size).toBe(3);
    expect(ids[1]).toBe((await digest(`${LINE}\n1`)).slice(0, 32));
  });

  it.each([
    ['POST', LINE.replace('GET', 'POST'), { skip: 'method' }], ['404', LINE.replace('" 200', '" 404'), { skip: 'status' }], ['image', LINE.replace('/caf%C3%A9/', '/a.PNG'), { skip: 'asset' }],
    ['empty', '   ', { skip: 'blank' }], ['nonsense', 'hello', { fault: 'line: is not in the Combined or Common form' }],
    ['31 February', LINE.replace('17/May', '31/Feb'), { fault: 'date: is not [day/month/year:hour:minute:second offset]' }],
    ['no offset', LINE.replace(' +0200', ''), { fault: 'date: is not [day/month/year:hour:minute:second offset]' }],
  ])('%s', (_, line, want) => expect(read(line)).toEqual(want));

  it('counts all of a log without user agents, and names hosts by a hash', async () => {
    const found = event('gateway.example - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.0" 304 -') as Record<string, unknown>;
    expect(found).toMatchObject({ keep_bots: true, page: '/', visitor: (await digest(`gateway.example\n\n${Math.floor(Date.UTC(2015, 4, 17) / 86_400_000)}`)).slice(0, 32) });
    expect(found).not.toHaveProperty('ip');
  });

  it('passes objects on and fills in what they lack', () => {
    expect(event('{"timestamp":"2026-01-01T00:00:00Z","id":"a"}', 'ndjson')).toEqual({ timestamp: '2026-01-01T00:00:00Z', id: 'a', site: 'shop.example' });
    expect(read('{"id":"a"}', 'ndjson')).toEqual({ fault: 'timestamp: is missing' });
    expect(read('[1]', 'ndjson')).toEqual({ fault: 'line: is not a JSON object' });
    expect(read('{', 'ndjson')).toEqual({ fault: 'line: is not JSON' });
    expect(read('{"timestamp":"x","site":"other.example"}', 'ndjson')).toHaveProperty('fault');
    expect(read('{"timestamp":"x","site":"WWW.shop.example"}', 'ndjson')).toHaveProperty('event');
  });

  it.each([['17/May/2015:10:05:03 +0000', 1_431_857_103_000], ['7/may/2015:1:5:3 Z', 1_430_960_703_000], ['17/May/2015:10:05:03 -05:30', 1_431_876_903_000], ['17/Xyz/2015:10:05:03 +0000', null], ['17/May/2015:24:05:03 +0000', null]])(
    'date %s', (text, want) => expect(parseLogDate(text)).toBe(want));

  it('splits lines wherever the chunks end', () => {
    const text = 'one\ntwo\r\nthree\rfour\n\nfive';
    const want = ['one', 'two', 'three', 'four', '', 'five'];
    for (let size = 1; size <= text.length; size++) {
      const splitter = new LineSplitter();
      const found: string[] = [];
      const all = bytes(text);
      for (let at = 0; at < all.length; at += size) found.push(...splitter.push(all.slice(at, at + size)).map((line) => new TextDecoder().decode(line)));
      const last = splitter.end();
      if (last) found.push(new TextDecoder().decode(last));
      expect(found, `chunks of ${size}`).toEqual(want);
    }
  });
});

describe('an import', () => {
  it('accounts for every line', () => {
    let count = startCount(200);
    count = withLine(count, 1, { skip: 'asset' });
    count = withLine(count, 2, { fault: 'line: bad' });
    count = withAnswer(count, { results: [{ status: 'accepted' }, { status: 'duplicate' }, { status: 'rejected', reason: 'bot' }, { status: 'rejected', reason: 'url: is not absolute' }] }, [3, 4, 5, 6]);
    expect(count).toMatchObject({ lines: 6, counted: 1, duplicates: 1, skipped: { asset: 1 }, dropped: { bot: 1 }, faulty: 2, faults: [{ line: 2, text: 'line: bad' }, { line: 6, text: 'url: is not absolute' }] });
    expect(percentRead({ read: 50, size: 200 })).toBe(25);
    expect(percentRead({ read: 0, size: 0 })).toBe(100);
  });
});

/** Reads a code back: the mask undone, the words in order, the blocks apart. */
function readCode(modules: boolean[][], correction: number, blocks: number[]): { text: string; syndromes: number[] } {
  const size = modules.length;
  const version = (size - 17) / 4;
  const at = (x: number, y: number) => (modules[y]?.[x] ? 1 : 0);
  let format = 0;
  for (const [x, y] of [[8, 0], [8, 1], [8, 2], [8, 3], [8, 4], [8, 5], [8, 7], [8, 8], [7, 8], [5, 8], [4, 8], [3, 8], [2, 8], [1, 8], [0, 8]].reverse()) format = (format << 1) | at(x as number, y as number);
  const mask = ((format ^ 0x5412) >> 10) & 7;
  const flips = [(x: number, y: number) => (x + y) % 2, (_: number, y: number) => y % 2, (x: number) => x % 3, (x: number, y: number) => (x + y) % 3, (x: number, y: number) => (Math.floor(y / 2) + Math.floor(x / 3)) % 2,
    (x: number, y: number) => ((x * y) % 2) + ((x * y) % 3), (x: number, y: number) => (((x * y) % 2) + ((x * y) % 3)) % 2, (x: number, y: number) => (((x + y) % 2) + ((x * y) % 3)) % 2];
  const places = version === 1 ? [] : version < 7 ? [6, size - 7] : [6, (size - 1) / 2 + (version % 2 === 0 ? 0 : 0), size - 7].map((n, i) => (i === 1 ? ({ 7: 22, 8: 24, 9: 26, 10: 28 } as Record<number, number>)[version] ?? n : n));
  const fixed = (x: number, y: number) => x === 6 || y === 6 || (x < 9 && y < 9) || (x > size - 9 && y < 9) || (x < 9 && y > size - 9) || (version >= 7 && ((x > size - 12 && y < 6) || (y > size - 12 && x < 6)))
    || places.some((cy) => places.some((cx) => !((cx === 6 && cy === 6) || (cx === 6 && cy === size - 7) || (cx === size - 7 && cy === 6)) && Math.abs(x - cx) <= 2 && Math.abs(y - cy) <= 2));
  const bits: number[] = [];
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right--;
    for (let i = 0; i < size; i++) for (const x of [right, right - 1]) {
      const y = up ? size - 1 - i : i;
      if (!fixed(x, y)) bits.push(at(x, y) ^ ((flips[mask]?.(x, y) ?? 1) === 0 ? 1 : 0));
    }
  }
  const words: number[] = [];
  for (let i = 0; i + 8 <= bits.length; i += 8) words.push(parseInt(bits.slice(i, i + 8).join(''), 2));
  const parts: number[][] = blocks.map(() => []);
  let next = 0;
  for (let i = 0; i < Math.max(...blocks); i++) blocks.forEach((length, b) => { if (i < length) parts[b]?.push(words[next++] as number); });
  const data = parts.flat();
  for (let i = 0; i < correction; i++) parts.forEach((part) => part.push(words[next++] as number));
  const syndromes = parts.flatMap((part) => {
    let root = 1;
    return Array.from({ length: correction }, () => {
      const value = part.reduce((sum, word) => times(sum, root) ^ word, 0);
      root = times(root, 2);
      return value;
    });
  });
  const stream = data.map((word) => word.toString(2).padStart(8, '0')).join('');
  const wide = version > 9 ? 16 : 8;
  const length = parseInt(stream.slice(4, 4 + wide), 2);
  const out = Array.from({ length }, (_, i) => parseInt(stream.slice(4 + wide + i * 8, 12 + wide + i * 8), 2));
  return { text: new TextDecoder().decode(Uint8Array.from(out)), syndromes };
}

describe('QR codes', () => {
  it.each([
    ['a', 1, 10, [16]], ['https://footfall.example', 2, 16, [28]], ['x'.repeat(60), 4, 18, [32, 32]], ['otpauth://totp/Footfall:ada@boots.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Footfall', 6, 16, [27, 27, 27, 27]],
    ['é'.repeat(70), 8, 22, [38, 38, 39, 39]], ['y'.repeat(200), 10, 26, [43, 43, 43, 43, 44]],
  ] as const)('%s is read back', (text, version, correction, blocks) => {
    const modules = qrCode(text);
    expect(modules?.length).toBe(version * 4 + 17);
    const found = readCode(modules ?? [], correction, [...blocks]);
    expect(found.text).toBe(text);
    expect(found.syndromes.every((each) => each === 0)).toBe(true);
  });
  it('gives up on what is too long', () => expect(qrCode('z'.repeat(400))).toBeNull());
  it('draws every dark module', () => expect(qrPath([[true, true, false, true]], 1)).toBe('M1,1h2v1h-2zM4,1h1v1h-1z'));
});

describe('metrics', () => {
  const TEXT = '# HELP x\nfootfall_events_total{result="accepted"} 10\nfootfall_events_total{result="duplicate"} 2\nfootfall_events_dropped_total{reason="bot"} 3\nfootfall_events_dropped_total{reason="a\\"b"} 0\nup 1 1700000000\nbroken{ 3\nfootfall_read_seconds_bucket{le="+Inf"} 4e2\n';
  it('are read, summed and parted', () => {
    const samples = parseMetrics(TEXT);
    expect(samples).toHaveLength(6);
    expect(total(samples, 'footfall_events_total')).toBe(12);
    expect(total(samples, 'nothing')).toBeNull();
    expect(totalsBy(samples, 'footfall_events_dropped_total', 'reason')).toEqual([{ of: 'bot', value: 3 }]);
    expect(samples.at(-1)).toEqual({ name: 'footfall_read_seconds_bucket', labels: { le: '+Inf' }, value: 400 });
  });
  it('have a rate unless the node began anew', () => {
    const at = (ms: number, value: number) => ({ at: ms, values: { n: value } });
    expect(ratePerSecond(at(0, 10), at(2000, 30), 'n')).toBe(10);
    expect(ratePerSecond(at(0, 10), at(2000, 3), 'n')).toBeNull();
    expect(ratePerSecond(null, at(2000, 3), 'n')).toBeNull();
  });
});

describe('goals', () => {
  const goal: Goal = { id: 1, goal_type: 'event', display_name: 'Order', event_name: 'Order', page_path: null, scroll: null, currency: 'EUR', custom_props: { plan: 'pro' } };
  it('keep what they are when they are edited', () => {
    expect(definitionOf(draftOfGoal(goal))).toEqual({ goal_type: 'event', display_name: 'Order', event_name: 'Order', currency: 'EUR', custom_props: { plan: 'pro' } });
  });
  it('have only what their kind has', () => {
    expect(definitionOf({ ...NEW_GOAL, kind: 'scroll', page: ' /long ', event: 'x', currency: 'EUR', conditions: [{ key: 'a', value: 'b' }] })).toEqual({ goal_type: 'scroll', page_path: '/long', scroll: 75 });
    expect(definitionOf({ ...NEW_GOAL, kind: 'page', page: '/a/**', conditions: [{ key: ' ', value: 'b' }] })).toEqual({ goal_type: 'page', page_path: '/a/**' });
  });
  it.each([[{ ...NEW_GOAL }, 'event'], [{ ...NEW_GOAL, event: 'x' }, null], [{ ...NEW_GOAL, kind: 'page' as const }, 'page'], [{ ...NEW_GOAL, kind: 'page' as const, page: 'cart' }, 'slash'], [{ ...NEW_GOAL, kind: 'scroll' as const, page: '**', scroll: 0 }, 'scroll']])(
    'fault %#', (draft, want) => expect(goalFault(draft)).toBe(want));
});

describe('exclusions', () => {
  it('are one a line', () => {
    expect(linesOf('blocked_ips', ' 1.2.3.4, 2001:db8::/32\n1.2.3.4\n')).toEqual(['1.2.3.4', '2001:db8::/32']);
    expect(linesOf('blocked_pages', '/a, b\n/c')).toEqual(['/a, b', '/c']);
    expect(linesOf('blocked_countries', 'de fr')).toEqual(['DE', 'FR']);
    expect(linesOf('hostnames', 'A.Example')).toEqual(['a.example']);
  });
  it.each([['203.0.113.0/24', true], ['203.0.113.0', true], ['2001:db8::1', true], ['::/0', true], ['203.0.113.256', false], ['203.0.113.0/33', false], ['1.2.3', false], ['x', false], ['2001:db8:::1', false], ['1.2.3.4/8/9', false]])(
    'address %s', (text, want) => expect(isAddress(text)).toBe(want));
  it('name the first wrong entry', () => {
    expect(wrongEntry('blocked_pages', ['/a', 'b'])).toBe('b');
    expect(wrongEntry('blocked_countries', ['DE', 'XXX'])).toBe('XXX');
    expect(wrongEntry('hostnames', ['*.a.example', 'münchen.de'])).toBeNull();
  });
});

describe('the inspector', () => {
  const event = (time: string, page: string, verdict = 'counted') => ({ time, kind: 'pageview', name: 'pageview', page, verdict });
  it('shows the newest first and marks what is new', () => {
    const first = inspectorRows({ events: [event('1', '/a'), event('2', '/b', 'bot')] }, null);
    expect(first.map((row) => [row.page, row.fresh])).toEqual([['/b', false], ['/a', false]]);
    const second = inspectorRows({ events: [event('1', '/a'), event('1', '/a'), event('2', '/b', 'bot'), event('3', '/c')] }, first);
    expect(second.map((row) => [row.page, row.fresh])).toEqual([['/c', true], ['/b', false], ['/a', false], ['/a', true]]);
    expect(new Set(second.map((row) => row.key)).size).toBe(4);
    expect(inspectorRows({ events: [event('3', '/c'), event('4', '/d')] }, second).map((row) => row.fresh)).toEqual([true, true]);
  });
  it('finds by verdict and text', () => {
    const rows = inspectorRows({ events: [event('1', '/Cart'), event('2', '/b', 'bot')] }, null);
    expect(matchingRows(rows, 'dropped', '').map((row) => row.page)).toEqual(['/b']);
    expect(matchingRows(rows, 'all', ' cart').map((row) => row.page)).toEqual(['/Cart']);
    expect(matchingRows(rows, 'counted', 'bot')).toEqual([]);
    expect(dropCounts(rows)).toEqual([{ reason: 'bot', count: 1 }]);
  });
});

describe('the cluster', () => {
  const member = (node: number, lag = 0, active = true) => ({ node, role: 'voter', lag, active });
  const node = (number: number, live = true) => ({ number, name: `n${number}`, roles: 'edge,data', state: 'active', live, replicas: 2, leaders: 1, spool_bytes: 10 });
  const status: ClusterStatus = {
    leading: true, cluster: { shards: 3, replicas: 3 }, nodes: [node(1), node(2), node(3, false)],
    shards: [
      { id: 1, leader: 2, rate: 5, log_bytes: 1, members: [member(1, 4), member(2), member(3)], op: { kind: 'drain', since: 1 } }, { id: 0, leader: 1, rate: 5, log_bytes: 1, members: [member(1), member(2), member(3, 9, false)] },
      { id: 2, leader: 0, rate: 0, log_bytes: 1, members: [] }, { id: 65535, leader: 1, rate: 1, log_bytes: 1, members: [member(1)] },
    ],
  };
  it('is a grid of shards', () => {
    expect(shardCells(status).map(({ id, leader, colour, lag, state }) => [id, leader, colour, lag, state])).toEqual([[0, 1, 1, 9, 'thin'], [1, 2, 2, 4, 'moving'], [2, 0, 0, 0, 'leaderless']]);
    expect(clusterSums(status)).toEqual({ live: 2, nodes: 3, led: 2, shards: 3, thin: 2, moving: 1, lag: 9, spool: 30, rate: 11 });
  });
  it.each([['active', ['drain']], ['draining', ['undrain', 'remove']], ['dead', ['undrain', 'remove']], ['joining', []]])('orders for %s', (state, want) => expect(ordersFor({ state })).toEqual(want));
});

describe('reports by mail', () => {
  const reports = parseMailReports({ weekly: { emails: ['a@b.c'] }, monthly: null });
  it('fill in what is left out', () => expect(reports).toEqual({ weekly: { emails: ['a@b.c'], webhooks: [] }, monthly: { emails: [], webhooks: [] }, secret: '', mail: true }));
  it('gain and lose receivers', () => {
    const more = withReceiver(reports, 'monthly', 'webhooks', ' https://x.y/z ');
    expect(more.monthly.webhooks).toEqual(['https://x.y/z']);
    expect(withoutReceiver(more, 'weekly', 'emails', 'a@b.c').weekly.emails).toEqual([]);
  });
  it.each([['emails', 'a@b.c', [], null], ['emails', 'a b@c.d', [], 'email'], ['emails', 'a@b', [], 'email'], ['webhooks', 'javascript:alert(1)', [], 'webhook'], ['webhooks', 'https://x.y', ['https://x.y'], 'twice']] as const)(
    '%s %s', (kind, text, known, want) => expect(receiverFault(kind, text, known)).toBe(want));
});

describe('small things', () => {
  it('embeds', () => {
    expect(embedAddress('https://s.example/share/a?auth=x', 'dark')).toBe('https://s.example/share/a?auth=x&embed=true&theme=dark');
    expect(embedCode('https://s.example/share/a?auth=x', 'system', '"><script>')).not.toMatch(/<script|"">/);
  });
  it('exports', () => {
    expect(exportAddress('a/b', 'events', 'csv', { from: '2026-01-01', to: '2026-01-31' })).toBe('/v1/sites/a%2Fb/export/events?format=csv&date_range=2026-01-01%2C2026-01-31');
    expect(exportAddress('a', 'pages', 'parquet', { from: '2026-01-01', to: '2026-01-31' })).toContain('dimensions=event%3Apage');
  });
  it('counts days', () => {
    expect([isUsual(365), isUsual(90)]).toEqual([true, false]);
    expect(['90', '0', '36501', '1.5', 'x'].map(parseDays)).toEqual([90, null, null, null, null]);
  });
  it('names browsers', () => {
    expect(agentName('Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0')).toBe('Firefox · Linux');
    expect(agentName('Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0')).toBe('Edge · Windows');
    expect(agentName('curl/8.0')).toBe('curl/8.0');
  });
  it('tells how long ago', () => {
    const now = Date.parse('2026-11-03T12:00:00Z');
    expect([formatAgo('2026-11-03T11:59:50Z', now), formatAgo('2026-11-03T11:55:00Z', now), formatAgo('2026-11-01T12:00:00Z', now), formatAgo(null, now)]).toEqual(['now', '5 minutes ago', '2 days ago', '–']);
  });
});

describe('the texts of these pages', () => {
  const files = Object.entries(import.meta.glob<Record<string, string>>('../../../messages/settings/*.json', { eager: true, import: 'default' })).map(([path, texts]) => [path.split('/').at(-1) ?? '', texts] as const);
  const english = files.find(([file]) => file === 'en.json')?.[1] ?? {};
  const holes = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
  it('are in six languages', () => expect(files.map(([file]) => file).sort()).toEqual(['de.json', 'en.json', 'es.json', 'fr.json', 'ja.json', 'pt.json']));
  it.each(files)('%s has the same keys and holes', (_, texts) => {
    expect(Object.keys(texts).sort()).toEqual(Object.keys(english).sort());
    for (const [key, text] of Object.entries(texts)) expect(holes(text), key).toEqual(holes(english[key] ?? ''));
  });
});
