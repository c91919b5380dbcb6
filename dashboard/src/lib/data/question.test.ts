import { expect, it } from 'vitest';
import { parseSiteView } from './address';
import { PANELS } from './panel';
import { comparisonSeriesQuestion, figuresQuestion, panelQuestion, seriesQuestion } from './question';

const TODAY = '2026-11-23';

it('asks for the six figures against the days before', () => {
  expect(figuresQuestion('a.example', parseSiteView('?period=month&f=is,country,DE'), TODAY)).toEqual({
    site_id: 'a.example',
    metrics: ['visitors', 'visits', 'pageviews', 'views_per_visit', 'bounce_rate', 'visit_duration'],
    date_range: ['2026-11-01', '2026-11-30'],
    filters: [['is', 'visit:country', ['DE']]],
    include: { comparisons: { mode: 'custom', date_range: ['2026-10-01', '2026-10-31'] } },
  });
});

it('leaves out what a page filter forbids', () => {
  expect(figuresQuestion('a', parseSiteView('?f=is,page,/x'), TODAY).metrics).not.toContain('views_per_visit');
});

it('asks for all time without days and without a comparison', () => {
  const view = parseSiteView('?period=all');
  expect(figuresQuestion('a', view, TODAY)).toMatchObject({ date_range: 'all' });
  expect(figuresQuestion('a', view, TODAY).include).toBeUndefined();
  expect(seriesQuestion('a', view, TODAY).dimensions).toEqual(['time']);
  expect(comparisonSeriesQuestion('a', view, TODAY)).toBeNull();
});

it('asks for the other line over its whole days in the same interval', () => {
  expect(comparisonSeriesQuestion('a', parseSiteView('?period=day&metric=visits'), TODAY)).toMatchObject({
    date_range: ['2026-11-22', '2026-11-22'], dimensions: ['time:hour'], metrics: ['visits'], include: { time_labels: true },
  });
});

it('asks each tab for its own dimension', () => {
  const asked = PANELS.flatMap((panel) => panel.tabs.map((tab) => panelQuestion('a', parseSiteView(''), TODAY, tab)));
  expect(asked.map((question) => question.dimensions?.[0])).toEqual([
    'event:page', 'visit:entry_page', 'visit:exit_page', 'visit:source', 'visit:channel', 'visit:utm_campaign',
    'visit:country', 'visit:language', 'visit:browser', 'visit:os', 'visit:device',
  ]);
  expect(asked[0]?.metrics).toEqual(['visitors', 'pageviews']);
});
