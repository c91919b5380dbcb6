import { describe, expect, it } from 'vitest';
import { FRESH, freshnessOf } from './freshness';
import { bodySteps, isSaved, parseFunnelView, savedSteps } from './funnel';
import { parseRoute, sharePath, sitePagePath, sitePath, useRoot } from './route';
import { carry, parseVisit, splitVisit, unframed } from './visit';

describe('a visit through a shared link', () => {
  it('is told by its address', () => {
    expect(parseVisit('?auth=s3&embed=true&theme=dark&background=transparent')).toEqual({ slug: 's3', embed: true, theme: 'dark', background: 'transparent' });
    expect(parseVisit('?embed=1&theme=pink')).toEqual({ slug: '', embed: false, theme: null, background: null });
  });

  it.each([
    ['#fff', '#fff'], ['#F4F5F6', '#F4F5F6'], [' white ', 'white'], ['#11223344', '#11223344'],
    ['', null], ['#12', null], ['#12345', null], ['url(//evil.example)', null], ['red;color:blue', null], ['var(--x)', null],
  ])('background %j is %j', (text, want) => expect(parseVisit(`?${new URLSearchParams({ background: text })}`).background).toBe(want));

  it('carries its link from page to page, and nothing twice', () => {
    const search = '?period=30d&auth=s3&f=is,page,/a&embed=true&f=is,page,/b';
    const { own, carried } = splitVisit(search);
    expect(own).toBe('?period=30d&f=is%2Cpage%2C%2Fa&f=is%2Cpage%2C%2Fb');
    expect(carried).toBe('?auth=s3&embed=true');
    expect(carry('/share/a.example/months', carried)).toBe('/share/a.example/months?auth=s3&embed=true');
    expect(carry('/share/a.example?period=day&auth=other', carried)).toBe('/share/a.example?period=day&auth=s3&embed=true');
    expect(carry('/login', carried)).toBe('/login');
    expect(carry('/share/a.example?period=day', '')).toBe('/share/a.example?period=day');
  });

  it('leaves its frame with its link', () => {
    expect(unframed('/share/a.example', '?auth=s3&embed=true&background=red&theme=dark')).toBe('/share/a.example?auth=s3&theme=dark');
    expect(unframed('/share/a.example', '?embed=true')).toBe('/share/a.example');
  });

  it('has pages of its own, without settings', () => {
    expect(parseRoute('/share/a.example')).toEqual({ page: 'site', domain: 'a.example', shared: true });
    expect(parseRoute('/share/a.example%2Fb/months')).toEqual({ page: 'months', domain: 'a.example/b', shared: true });
    expect(parseRoute('/a.example')).toEqual({ page: 'site', domain: 'a.example' });
    for (const path of ['/share', '/share/a.example/settings', '/share/a.example/months/1', '/favicon', '/.example', '/a.']) expect(parseRoute(path), path).toEqual({ page: 'unknown' });
    useRoot(true);
    expect([sitePath('a/b'), sitePagePath('a', 'months'), sitePagePath('a', 'settings'), sharePath('a')]).toEqual(['/share/a%2Fb', '/share/a/months', '/sites/a/settings', '/share/a']);
    useRoot(false);
    expect([sitePath('a'), sharePath('a')]).toEqual(['/sites/a', '/share/a']);
  });
});

describe('how fresh an answer is', () => {
  const of = (path: string, headers: Record<string, string>) => freshnessOf(path, new Headers(headers), 1_000_000);
  it.each<[string, string, Record<string, string>, unknown]>([
    ['nothing said', '/api/v2/query', {}, FRESH],
    ['a little behind', '/api/v2/query', { 'X-Footfall-Staleness': '10000' }, FRESH],
    ['behind', '/v1/sites/a.example/months', { 'X-Footfall-Staleness': '10001' }, { readOnly: false, asOf: 989_999 }],
    ['read-only', '/v1/sites/a.example/realtime', { 'X-Footfall-Read-Only': 'true', 'X-Footfall-Staleness': '60000' }, { readOnly: true, asOf: 940_000 }],
    ['read-only, up to date', '/v1/overview', { 'X-Footfall-Read-Only': 'true' }, { readOnly: true, asOf: null }],
    ['nonsense', '/api/v2/query', { 'X-Footfall-Staleness': 'much', 'X-Footfall-Read-Only': 'yes' }, FRESH],
    ['an answer that tells nothing', '/v1/sites/a.example/goals', { 'X-Footfall-Read-Only': 'true' }, null],
    ['an answer about the site itself', '/v1/sites/a.example', {}, null],
  ])('%s', (_, path, headers, want) => expect(of(path, headers)).toEqual(want));
});

describe('saved funnels', () => {
  const saved = { steps: [{ page: '/' }, { event: 'Order', props: { plan: 'pro' } }], window: '45m' };
  const view = { steps: savedSteps(saved as never), window: '45m' };
  it('are shown as they were saved', () => {
    expect(view.steps).toEqual([{ kind: 'page', value: '/' }, { kind: 'event', value: 'Order' }]);
    expect(isSaved(view, saved as never)).toBe(true);
    expect(isSaved({ ...view, window: 'visit' }, saved as never)).toBe(false);
    expect(isSaved({ ...view, steps: [...view.steps].reverse() }, saved as never)).toBe(false);
  });
  it('keep what only the API can say of a step', () => {
    expect(bodySteps([...view.steps, { kind: 'page', value: ' /x ' }], saved.steps as never)).toEqual([...saved.steps, { page: '/x' }]);
  });
  it.each([['45m', '45m'], ['7d', '7d'], ['0d', 'visit'], ['1w', 'visit'], ['', 'visit'], ['visit', 'visit']])('window %j is %j', (text, want) => {
    expect(parseFunnelView(new URLSearchParams({ window: text })).window).toBe(want);
  });
});
