import { expect, it } from 'vitest';
import { parseSiteView } from './address';
import { comparisonSeriesQuestion, figuresQuestion, moneyGoals, moneyQuestion, seriesQuestion } from './question';

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

it('asks for revenue with the goals that have it in one currency, unless a goal is filtered by', () => {
  const goals = moneyGoals([{ display_name: 'Visit', currency: null }, { display_name: 'Order', currency: 'EUR' }, { display_name: 'Dollars', currency: 'USD' }, { display_name: 'Gift', currency: 'EUR' }]);
  expect(goals).toEqual(['Order', 'Gift']);
  const view = parseSiteView('?metric=total_revenue&f=is,source,Google');
  expect(moneyQuestion('a', view, '2026-11-23', goals)).toMatchObject({ metrics: ['total_revenue'], filters: [['is', 'visit:source', ['Google']], ['is', 'event:goal', ['Order', 'Gift']]] });
  expect(seriesQuestion('a', view, '2026-11-23', goals).filters).toHaveLength(2);
  expect(moneyQuestion('a', parseSiteView('?f=is,goal,Visit'), '2026-11-23', goals)?.filters).toEqual([['is', 'event:goal', ['Visit']]]);
  expect(moneyQuestion('a', view, '2026-11-23', [])).toBeNull();
  expect(seriesQuestion('a', parseSiteView(''), '2026-11-23', goals).filters).toEqual([]);
});
