import { describe, expect, it } from 'vitest';
import { ACCOUNT_TABS, accountPath, monthsPath, OPERATOR_TABS, operatorPath, parseRoute, safeNext, SETTINGS_TABS, settingsPath, SITE_PAGES, sitePagePath, sitePath } from './route';

describe('parseRoute', () => {
  it.each([
    ['/', { page: 'sites' }], ['/sites', { page: 'sites' }], ['/login', { page: 'login' }],
    ['/setup/abc', { page: 'setup', token: 'abc' }],
    ['/sites/example.com', { page: 'site', domain: 'example.com' }],
    ['/sites/example.com/', { page: 'site', domain: 'example.com' }],
    ['/sites/example.com%2Fblog/months', { page: 'months', domain: 'example.com/blog' }],
    ['/sites/example.com/site', { page: 'unknown' }], ['/sites/example.com/months/more', { page: 'unknown' }],
    ['/sites/example.com/weeks', { page: 'unknown' }], ['/sites/%E0%A4%A', { page: 'unknown' }], ['/setup', { page: 'unknown' }],
    ['/elsewhere', { page: 'unknown' }],
  ])('%s', (path, want) => expect(parseRoute(path)).toEqual(want));

  it('knows the tabs of account and installation', () => {
    for (const tab of ACCOUNT_TABS) expect(parseRoute(accountPath(tab))).toEqual({ page: 'account', tab });
    for (const tab of OPERATOR_TABS) expect(parseRoute(operatorPath(tab))).toEqual({ page: 'operator', tab });
    for (const path of ['/account/x', '/account/profile', '/operator/cluster/1', '/sites/a/settings/general', '/sites/a/settings/goals/1']) {
      expect(parseRoute(path), path).toEqual({ page: 'unknown' });
    }
  });

  it('finds what it built', () => {
    for (const domain of ['example.com', 'example.com/a b', 'xn--mnchen-3ya.de', 'a%2Fb']) {
      expect(parseRoute(sitePath(domain))).toEqual({ page: 'site', domain });
      expect(parseRoute(monthsPath(domain))).toEqual({ page: 'months', domain });
      for (const page of SITE_PAGES) if (page !== 'settings') expect(parseRoute(sitePagePath(domain, page))).toEqual({ page, domain });
      expect(sitePagePath(domain, 'settings')).toBe(settingsPath(domain));
      for (const tab of SETTINGS_TABS) expect(parseRoute(settingsPath(domain, tab))).toEqual({ page: 'settings', domain, tab });
    }
  });
});

describe('safeNext keeps a merchant on this host', () => {
  it.each([
    ['/sites/example.com?period=day', '/sites/example.com?period=day'], ['/sites/a/months', '/sites/a/months'], ['/sites/a/funnels?s=page,/', '/sites/a/funnels?s=page,/'], ['/', '/'],
    [null, '/'], ['', '/'], ['https://evil.example/', '/'], ['//evil.example/sites/a', '/'], ['/\\evil.example/sites/a', '/'],
    ['\\/evil.example', '/'], ['javascript:alert(1)', '/'], ['/login?next=/', '/'], ['/setup/x', '/'], [' /sites/a', '/'],
  ])('%j gives %j', (next, want) => expect(safeNext(next)).toBe(want));
});
