import { describe, expect, it } from 'vitest';
import { parseSiteView } from './address';
import { changeText, changeTone, columnsFor, formatCell, type ColumnScope } from './column';
import { legendOf, shadeOf, shadesFor } from './choropleth';
import { codesNamed } from './codes';
import { onOneLine, splitMiddle } from './middle';
import { headTabs, PANELS, settledTab, tabOf } from './panel';
import { fitted, layoutPicture } from './panelImage';
import { exportQuestion, findFilters, offerQuestion, panelQuestion } from './panelQuestion';
import { listTitle, rowText, tabTitle } from './panelText';
import { sortedBy, withColumn } from './panelView';
import type { QueryResult } from './question';
import { appendRows, buildRows, foundRows, isAllUnknown } from './rows';
import { makeWorld, WORLD_HEIGHT, WORLD_WIDTH } from './world';

const TODAY = '2026-11-23';
const WORDS = { revenue: true };
const panel = (name: string) => PANELS.find((each) => each.name === name)!;

function ask(name: string, search: string, words = WORDS) {
  const view = parseSiteView(search);
  const of = panel(name);
  return panelQuestion('a.example', view, TODAY, of.name, settledTab(tabOf(of, view.tabs[of.name]), view.filters, view.prop ?? null), words);
}

describe('tabs', () => {
  it('ask for their own dimension', () => {
    expect(PANELS.flatMap(({ name, tabs }) => tabs.map((tab) => ask(name, `?${name}=${tab.name}&prop=plan`)?.dimensions?.[0]))).toEqual([
      'visit:source', 'visit:channel', 'visit:referrer', 'visit:utm_campaign', 'visit:utm_medium', 'visit:utm_source', 'visit:utm_content', 'visit:utm_term',
      'event:page', 'visit:entry_page', 'visit:exit_page',
      'visit:country', 'visit:country', 'visit:region', 'visit:city', 'visit:language',
      'visit:browser', 'visit:os', 'visit:device', 'visit:screen_class',
      'event:goal', 'event:name', 'event:props:plan',
    ]);
  });
  it('have titles', () => {
    for (const each of PANELS) for (const tab of each.tabs) expect(tabTitle(each, tab)).toMatch(/^\w/);
  });
  it('of a group share one button', () => {
    expect(headTabs(panel('sources')).map(({ name }) => name)).toEqual(['sources', 'channels', 'referrers', 'campaigns']);
  });
  it('list versions once one browser is left', () => {
    expect(ask('devices', '?f=is,browser,Chrome')?.dimensions).toEqual(['visit:browser_version']);
    expect(ask('devices', '?f=is,browser,Chrome|Edge')?.dimensions).toEqual(['visit:browser']);
    expect(ask('devices', '?f=is_not,browser,Chrome')?.dimensions).toEqual(['visit:browser']);
    const tab = settledTab(panel('devices').tabs[0], [{ op: 'is', name: 'browser', values: ['Chrome'] }], null);
    expect([listTitle(panel('devices'), tab), rowText(tab, '141.0'), rowText(tab, '(not set)')]).toEqual(['Chrome versions', 'Chrome 141.0', 'Unknown']);
  });
  it('ask nothing while no property is chosen', () => {
    expect(ask('actions', '?actions=props')).toBeNull();
  });
  it('leave views out of events', () => {
    expect(ask('actions', '?actions=events')?.filters).toEqual([['is_not', 'event:name', ['pageview']]]);
  });
});

describe('the question of a panel', () => {
  it('compares, counts all rows, and orders', () => {
    expect(ask('pages', '?period=day&pages.sort=pageviews:asc')).toEqual({
      site_id: 'a.example', metrics: ['visitors', 'pageviews', 'percentage'], date_range: [TODAY, TODAY], dimensions: ['event:page'], filters: [],
      order_by: [['pageviews', 'asc'], ['event:page', 'asc']],
      include: { total_rows: true, comparisons: { mode: 'custom', date_range: ['2026-11-22', '2026-11-22'] } }, pagination: { limit: 9, offset: 0 },
    });
    expect(ask('pages', '?pages.sort=value:desc&compare=off')).toMatchObject({ order_by: [['event:page', 'desc']], include: { total_rows: true } });
  });
  it('as a file has all rows and no comparison', () => {
    const question = exportQuestion(ask('pages', '')!);
    expect(question).not.toHaveProperty('include');
    expect(question).not.toHaveProperty('pagination');
    expect(question).toMatchObject({ metrics: ['visitors', 'pageviews', 'percentage'] });
  });
  it('searches at the node, countries by what people call them, goals on the page', () => {
    expect(ask('pages', '?pages.find=Boots')).toMatchObject({
      filters: [['contains', 'event:page', ['Boots'], { case_sensitive: false }]], metrics: ['visitors', 'pageviews'],
    });
    expect(findFilters('country', 'german')).toEqual([['or', [['is', 'visit:country', expect.arrayContaining(['DE'])], expect.arrayContaining(['contains'])]]]);
    expect(findFilters('country', 'qqq')).toEqual([['contains', 'visit:country', ['qqq'], { case_sensitive: false }]]);
    expect(findFilters('goal', 'x')).toEqual([]);
    expect(ask('actions', '?actions.find=buy')?.pagination).toEqual({ limit: 1000, offset: 0 });
  });
  it('knows rates of conversion and revenue only with a goal', () => {
    expect(ask('sources', '?sources.cols=visitors,conversion_rate,total_revenue')?.metrics).toEqual(['visitors']);
    expect(ask('sources', '?f=is,goal,Buy')?.metrics).toEqual(['visitors', 'group_conversion_rate']);
    expect(ask('sources', '?f=is,goal,Buy&sources.cols=total_revenue')?.metrics).toEqual(['total_revenue']);
    expect(ask('actions', '')?.metrics).toEqual(['visitors', 'events', 'conversion_rate', 'total_revenue']);
    expect(ask('actions', '', { revenue: false })?.metrics).toEqual(['visitors', 'events', 'conversion_rate']);
  });
  it('never asks what the API refuses', () => {
    const scopes: ColumnScope[] = [];
    for (const ofEvents of [true, false]) for (const goal of [true, false]) for (const searched of [true, false]) {
      for (const dimension of ofEvents ? ['event:goal', 'event:name', 'event:props:a'] : ['event:page', 'visit:exit_page', 'visit:os']) {
        scopes.push({ ofEvents, dimension, goal, revenue: true, searched });
      }
    }
    for (const scope of scopes) {
      const columns = columnsFor(scope);
      if (scope.ofEvents) expect(columns).not.toEqual(expect.arrayContaining(['bounce_rate']));
      if (scope.dimension !== 'event:page') expect(columns).not.toContain('scroll_depth');
      if (scope.dimension !== 'visit:exit_page') expect(columns).not.toContain('exit_rate');
      if (!scope.goal && scope.dimension !== 'event:goal') expect(columns).not.toContain('conversion_rate');
    }
  });
  it('offers values under the other filters', () => {
    const view = parseSiteView('?f=is,os,iOS&f=is,country,DE');
    expect(offerQuestion('a', view, TODAY, 'city', 'ber', 1).filters).toEqual([
      ['is', 'visit:os', ['iOS']], ['contains', 'visit:city', ['ber'], { case_sensitive: false }],
    ]);
  });
});

describe('columns', () => {
  it('are switched and leave no trace when they are as usual', () => {
    const usual = ['visitors', 'percentage'] as const;
    const more = withColumn({ find: 'x' }, usual, 'visits', usual);
    expect(more).toEqual({ find: 'x', columns: ['visitors', 'visits', 'percentage'] });
    expect(withColumn(more, more.columns!, 'visits', usual)).toEqual({ find: 'x' });
    expect(withColumn({}, ['visitors'], 'visitors', usual)).toEqual({});
  });
  it('turn round at the second click', () => {
    expect(sortedBy({ by: 'visitors', down: true }, 'visitors')).toEqual({ by: 'visitors', down: false });
    expect(sortedBy({ by: 'visitors', down: true }, 'value')).toEqual({ by: 'value', down: false });
  });
  it('write each figure its own way', () => {
    expect([
      formatCell('visitors', 1234), formatCell('bounce_rate', 41), formatCell('percentage', 12.345), formatCell('percentage', 100), formatCell('time_on_page', 65),
      formatCell('total_revenue', { value: 1234.5, currency: 'EUR' }), formatCell('total_revenue', { value: 1, currency: '<b>' }), formatCell('scroll_depth', null),
    ]).toEqual(['1,234', '41%', '12.3%', '100%', '1m 05s', '€1,234.50', '1 <b>', '–']);
    expect([changeText('bounce_rate', -3), changeText('visitors', 12), changeText('visitors', 20_000)]).toEqual(['3 pts', '12%', '>9,999%']);
    expect([changeTone('bounce_rate', 1), changeTone('visitors', 1), changeTone('exit_rate', -1)]).toEqual(['bad', 'good', 'good']);
  });
});

describe('rows', () => {
  const answer = (results: QueryResult['results'], total_rows = 40): QueryResult => ({
    results, meta: { as_of: 1, partial: false, total_rows },
    query: { site_id: 'a', metrics: ['visitors', 'group_conversion_rate'], date_range: ['', ''], filters: [], dimensions: ['event:page'], order_by: [], include: {}, pagination: {} },
  });
  const result = answer([{ dimensions: ['/'], metrics: [8, 20] }, { dimensions: ['/a'], metrics: [2, 2] }]);
  it('measure their bars by the longest, over pages', () => {
    const first = buildRows(result, ['visitors', 'conversion_rate'], 'visitors');
    expect(first.rows.map((row) => [row.share, row.cells])).toEqual([[1, [8, 20]], [0.25, [2, 2]]]);
    expect(buildRows(result, ['visitors'], 'visitors', 16).rows.map((row) => row.share)).toEqual([0.5, 0.125]);
    expect(first.total).toBe(40);
    const next = buildRows(answer([{ dimensions: ['/a'], metrics: [3, 3] }, { dimensions: ['/b'], metrics: [1, 1] }]), ['visitors'], 'visitors', first.most);
    expect(appendRows(first, next).rows.map((row) => row.value)).toEqual(['/', '/a', '/b']);
  });
  it('take money and nothing for what they are', () => {
    const rows = buildRows(answer([{ dimensions: ['x'], metrics: [{ value: 5, currency: 'EUR', short: '', long: '' }, null], comparison: { dimensions: ['x'], metrics: [1, null], change: [7, null] } }]), ['visitors', 'conversion_rate'], 'visitors');
    expect(rows.rows[0]).toEqual({ value: 'x', cells: [{ value: 5, currency: 'EUR' }, null], changes: [7, null], others: [1, null], share: 1 });
    expect(rows.compared).toBe(true);
  });
  it('are found on the page where the node does not search', () => {
    expect(foundRows(buildRows(result, ['visitors'], 'visitors'), 'A', (value) => value)).toMatchObject({ total: 1, rows: [{ value: '/a' }] });
  });
  it('tell when there is nothing but what is not known', () => {
    expect(isAllUnknown(buildRows(answer([{ dimensions: ['(not set)'], metrics: [3] }]), ['visitors'], 'visitors'))).toBe(true);
    expect(isAllUnknown(buildRows(result, ['visitors'], 'visitors'))).toBe(false);
    expect(isAllUnknown(buildRows(answer([]), ['visitors'], null))).toBe(false);
  });
});

describe('long texts', () => {
  it.each([
    ['/short', ['/short', '']],
    ['/blog/how-to-lace-boots-in-winter', ['/blog/how-to-lace-boo', 'ts-in-winter']],
    ['/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/👩‍👩‍👧‍👦👩‍👩‍👧‍👦', ['/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/👩‍👩‍👧‍👦', '👩‍👩‍👧‍👦']],
    ['/שלום/שלום/שלום/שלום/שלום/שלום/שלום', ['/שלום/שלום/שלום/שלום/שלום/שלום/שלום', '']],
  ])('%j', (text, want) => expect(splitMiddle(text)).toEqual(want));
  it('lose nothing', () => {
    const long = `/${'x'.repeat(1_990)}/end🎈`;
    expect(splitMiddle(long).join('')).toBe(long);
  });
  it('cannot break the line or turn the page round', () => {
    expect(onOneLine('a\nb\u202ec\u0000')).toBe('a␊b\ufffdc␀');
  });
  it('fit a picture', () => {
    const cut = fitted('/abcdefghijklmnopqrstuvwxyz', 10, (text) => [...text].length);
    expect([...cut]).toHaveLength(10);
    expect(cut).toMatch(/^\/abcde…\w+z$/);
    expect(fitted('abc', 10, (text) => text.length)).toBe('abc');
  });
});

describe('the map', () => {
  const world = makeWorld();
  it('knows each country once, inside its frame', () => {
    const codes = world.map(({ code }) => code).filter(Boolean);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes).toEqual(expect.arrayContaining(['DE', 'US', 'JP', 'BR', 'ZA', 'AU', 'IN', 'CD', 'VN']));
    expect(codes).not.toContain('AQ');
    for (const { x, y } of world) {
      expect(x).toBeGreaterThan(0);
      expect(x).toBeLessThan(WORLD_WIDTH);
      expect(y).toBeGreaterThan(0);
      expect(y).toBeLessThan(WORLD_HEIGHT);
    }
  });
  it('has every code that browsers can name', () => {
    const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
    expect(world.filter(({ code }) => code !== '' && names.of(code) === undefined)).toEqual([]);
    expect(world.filter(({ code }) => code === '')).toHaveLength(3);
  });
  it.each([[0, []], [1, [1]], [3, [1, 2]], [1000, [1, 40, 160, 360, 640]]])('has shades up to %d', (most, want) => expect(shadesFor(most)).toEqual(want));
  it('gives the darkest shade to the largest, none to nothing', () => {
    const starts = shadesFor(1000);
    expect([0, 1, 39, 40, 1000].map((count) => shadeOf(count, starts))).toEqual([0, 1, 1, 2, 5]);
    expect(shadeOf(1, [1])).toBe(5);
    expect(legendOf([1, 40])).toEqual([{ shade: 4, from: 1, to: 39 }, { shade: 5, from: 40, to: null }]);
  });
  it('finds codes by names', () => {
    expect(codesNamed('region', 'Switz')).toEqual(['CH']);
    expect(codesNamed('language', 'german')).toContain('de');
    expect(codesNamed('region', ' ')).toEqual([]);
  });
});

it('places the rows of a picture below one another, figures flush right', () => {
  const layout = layoutPicture({ title: 't', lines: ['a'], columns: ['Visitors', 'Share'], rows: [{ text: 'x', figures: ['1', '2'], share: 1 }, { text: 'y', figures: ['3', '4'], share: 0 }] });
  expect(layout.rows[1]!.bar.y).toBeGreaterThan(layout.rows[0]!.bar.y + layout.rows[0]!.bar.height);
  expect(layout.rows[0]!.figures.map(({ x }) => x)).toEqual(layout.columns.map(({ x }) => x));
  expect(layout.rows[0]!.bar.x + layout.rows[0]!.bar.width).toBeLessThan(layout.columns[0]!.x);
  expect(layout.height).toBeGreaterThan(layout.rows[1]!.text.y);
});
