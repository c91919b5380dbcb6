import { describe, expect, it } from 'vitest';
import { formatSiteView, intervalOf, parseSiteView } from './address';

const TODAY = '2026-11-23';

it('leaves defaults out of the address', () => {
  expect(formatSiteView(parseSiteView(''))).toBe('');
  expect(formatSiteView(parseSiteView('?period=7d&compare=previous&metric=visitors&pages=top'))).toBe('');
});

it.each([
  '?period=day&compare=off&metric=bounce_rate',
  '?period=30d&interval=week&f=is%2Cpage%2C%2Fa%2520b&f=is_not%2Csource%2CGoogle&sources=channels',
  '?period=custom&from=2015-05-17&to=2015-05-20&devices=os',
  '?period=custom&from=2026-11-20T09%3A00&to=2026-11-20T14%3A59&compare=custom&compare_from=2026-01-01&compare_to=2026-01-02&metric=total_revenue&zoom=30d',
  '?period=30d&compare=year&match=weekday&interval=week',
  '?f=or%2Cis%2Csource%2CGoogle%3Bcontains.i%2Cpage%2Cblog&pages.cols=visitors%2Cbounce_rate&pages.sort=bounce_rate%3Aasc&pages.find=boots%26co&actions=props&prop=plan&segment=4',
])('comes back as it was: %s', (search) => {
  expect(formatSiteView(parseSiteView(search))).toBe(search);
});

describe('nonsense', () => {
  it('is ignored piece by piece', () => {
    const view = parseSiteView('?period=%00&compare=up&metric=<b>&interval=second&f=x&pages=nope&period=year');
    expect(view).toEqual({ period: { name: '7d' }, compare: 'previous', metric: 'visitors', filters: [], tabs: {}, panels: {} });
  });

  it('does not show a metric that the filters forbid', () => {
    expect(parseSiteView('?metric=views_per_visit&f=is,page,/a').metric).toBe('visitors');
    expect(parseSiteView('?metric=views_per_visit&f=is,source,Google').metric).toBe('views_per_visit');
  });

  it('draws the usual interval where the asked one does not suit', () => {
    expect(intervalOf(parseSiteView('?period=day&interval=month'), TODAY)).toBe('hour');
    expect(intervalOf(parseSiteView('?period=year&interval=week'), TODAY)).toBe('week');
  });
});
