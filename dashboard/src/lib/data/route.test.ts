import { describe, expect, it } from 'vitest';
import { monthsPath, parseRoute, safeNext, sitePath } from './route';

describe('parseRoute', () => {
  it.each([
    ['/', { page: 'sites' }], ['/sites', { page: 'sites' }], ['/login', { page: 'login' }],
    ['/setup/abc', { page: 'setup', token: 'abc' }],
    ['/sites/example.com', { page: 'site', domain: 'example.com' }],
    ['/sites/example.com/', { page: 'site', domain: 'example.com' }],
    ['/sites/example.com%2Fblog/months', { page: 'months', domain: 'example.com/blog' }],
    ['/sites/example.com/weeks', { page: 'unknown' }], ['/sites/%E0%A4%A', { page: 'unknown' }], ['/setup', { page: 'unknown' }],
    ['/elsewhere', { page: 'unknown' }],
  ])('%s', (path, want) => expect(parseRoute(path)).toEqual(want));

  it('finds what it built', () => {
    for (const domain of ['example.com', 'example.com/a b', 'xn--mnchen-3ya.de', 'a%2Fb']) {
      expect(parseRoute(sitePath(domain))).toEqual({ page: 'site', domain });
      expect(parseRoute(monthsPath(domain))).toEqual({ page: 'months', domain });
    }
  });
});

describe('safeNext keeps a merchant on this host', () => {
  it.each([
    ['/sites/example.com?period=day', '/sites/example.com?period=day'], ['/sites/a/months', '/sites/a/months'], ['/', '/'],
    [null, '/'], ['', '/'], ['https://evil.example/', '/'], ['//evil.example/sites/a', '/'], ['/\\evil.example/sites/a', '/'],
    ['\\/evil.example', '/'], ['javascript:alert(1)', '/'], ['/login?next=/', '/'], ['/setup/x', '/'], [' /sites/a', '/'],
  ])('%j gives %j', (next, want) => expect(safeNext(next)).toBe(want));
});
