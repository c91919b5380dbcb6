import { describe, expect, it } from 'vitest';
import { filterOf, funnelShape, funnelSteps, moved, parseFunnelView, weakestStep, withStep, writeFunnelView, type FunnelStep } from './funnel';
import { buildHeat, levelOf, type HeatmapCell } from './heatmap';
import { connected, journeyRows, layoutJourney, NODE_WIDTH, parseJourneyView, writeJourneyView, type JourneysAnswer } from './journey';
import { shortDigest } from './months';
import { pageSeries, pagesQuestion, scrollReach, type PageAnswer } from './pageReport';
import { addHeard, buildFeed, buildMinutes, isFresh, mixFeed, parseEventFeed, pulsesOf } from './realtime';
import { askedOf, keptQuery, parseReportView, queryOf, writeReportView } from './report';
import { buildRetention, isForgetful, parseRetentionView, retentionRequest, type RetentionAnswer } from './retention';
import type { QueryResult } from './question';

const page = (value: string): FunnelStep => ({ kind: 'page', value });

describe('addresses of reports', () => {
  it('carries the period and the filters to the next page, and nothing else', () => {
    expect(keptQuery('?period=30d&s=page,/&f=is,source,Google&f=is,country,DE&page=/x')).toBe('?period=30d&f=is%2Csource%2CGoogle&f=is%2Ccountry%2CDE');
    expect(keptQuery('?metric=visits')).toBe('');
  });

  it('asks for the days of the period, and for all of the time by name', () => {
    const view = parseReportView(new URLSearchParams('period=30d&f=is,source,Google'));
    expect(askedOf(view, '2026-11-23')).toEqual({ date_range: ['2026-10-25', '2026-11-23'], filters: [['is', 'visit:source', ['Google']]] });
    expect(askedOf(parseReportView(new URLSearchParams('period=all')), '2026-11-23').date_range).toBe('all');
  });

  it('comes back as it was written', () => {
    const text = 's=page%2C%2Fa%2Cb&s=event%2CSign+up&s=goal%2C&window=7d&period=30d';
    const params = new URLSearchParams();
    writeFunnelView(params, parseFunnelView(new URLSearchParams(text)));
    writeReportView(params, parseReportView(new URLSearchParams(text)));
    expect(queryOf(params)).toBe(`?${text}`);
    const journey = parseJourneyView(new URLSearchParams('page=/x&direction=previous&steps=5&top=20'));
    expect(journey).toEqual({ page: '/x', direction: 'previous', steps: 5, top: 20 });
    const written = new URLSearchParams('period=30d');
    writeJourneyView(written, journey);
    expect(parseJourneyView(written)).toEqual(journey);
  });
});

describe('funnels', () => {
  it('reads steps and leaves out what makes no sense', () => {
    expect(parseFunnelView(new URLSearchParams('s=page,/a,b&s=nonsense&s=what,/x&s=event,&window=3y'))).toEqual({
      steps: [page('/a,b'), { kind: 'event', value: '' }], window: 'visit',
    });
    expect(parseFunnelView(new URLSearchParams(Array.from({ length: 30 }, () => ['s', 'page,/']))).steps).toHaveLength(20);
  });

  it('asks only when every one of at least two steps says something', () => {
    expect(funnelSteps([page('/')])).toBeNull();
    expect(funnelSteps([page('/'), page(' ')])).toBeNull();
    expect(funnelSteps([page('/'), { kind: 'goal', value: ' Signup ' }])).toEqual([{ page: '/', name: '/' }, { goal: 'Signup', name: 'Signup' }]);
  });

  it('moves steps and never loses one', () => {
    const steps = ['a', 'b', 'c'].map(page);
    expect(moved(steps, 0, 2).map((step) => step.value)).toEqual(['b', 'c', 'a']);
    expect(moved(steps, 2, 0).map((step) => step.value)).toEqual(['c', 'a', 'b']);
    expect(moved(steps, 0, -1)).toBe(steps);
    expect(moved(steps, 2, 3)).toBe(steps);
  });

  it('puts a suggestion into the first empty step', () => {
    expect(withStep([page('/'), page('')], page('/cart'))).toEqual([page('/'), page('/cart')]);
    const full = Array.from({ length: 20 }, (_, i) => page(`/${i}`));
    expect(withStep(full, page('/more'))).toBe(full);
  });

  it('filters by pages and events, and by no glob', () => {
    expect(filterOf(page('/cart'))).toEqual({ op: 'is', name: 'page', values: ['/cart'] });
    expect(filterOf({ kind: 'event', value: 'Signup' })).toEqual({ op: 'is', name: 'event', values: ['Signup'] });
    expect(filterOf(page('/products/**'))).toBeNull();
  });

  it('draws bars by the share of the first step, with what was lost above', () => {
    const shape = funnelShape([{ visitors: 100 }, { visitors: 25 }, { visitors: 0 }], 120, 200);
    expect(shape.bars.map((bar) => [bar.y, bar.height, bar.lostY, bar.lostHeight])).toEqual([[0, 200, 0, 0], [150, 50, 0, 150], [200, 0, 150, 50]]);
    expect(shape.bands).toHaveLength(2);
    expect(funnelShape([{ visitors: 0 }, { visitors: 0 }], 120, 200).bars.every((bar) => bar.height === 0)).toBe(true);
  });

  it('finds where most are lost', () => {
    expect(weakestStep([{ dropped: 0 }, { dropped: 5 }, { dropped: 9 }])).toBe(2);
    expect(weakestStep([{ dropped: 0 }, { dropped: 0 }])).toBeNull();
  });
});

describe('heatmap', () => {
  const cells = Array.from({ length: 168 }, (_, i): HeatmapCell => ({
    weekday: Math.floor(i / 24) + 1, hour: i % 24, visitors: i === 30 ? 60 : i === 31 ? 50 : 0, visits: 0, pageviews: 0, hours: i === 31 ? 2 : 4,
  }));

  it('shades by the average of an hour, because weeks of a range are not all whole', () => {
    const heat = buildHeat(cells, 'visitors');
    expect(heat.top).toBe(25);
    expect(heat.busiest).toMatchObject({ weekday: 2, hour: 7, total: 50, average: 25, level: 6 });
    expect(heat.days[1]?.cells[6]).toMatchObject({ total: 60, average: 15, level: 4 });
    expect(buildHeat(cells, 'visits')).toMatchObject({ top: 0, busiest: null });
  });

  it('begins with the day that the calendar begins with', () => {
    expect(buildHeat(cells, 'visitors', 7).days.map((day) => day.weekday)).toEqual([7, 1, 2, 3, 4, 5, 6]);
  });

  it.each([[0, 10, 0], [0.1, 10, 1], [10, 10, 6], [5, 10, 3], [3, 0, 0]])('shade of %d of %d is %d', (value, top, level) => {
    expect(levelOf(value, top, 6)).toBe(level);
  });
});

describe('retention', () => {
  const answer = {
    cohorts: [
      { start: '2026-11-02', partial: false, visitors: 100, returned: [40, 10], return_rates: [40, 10] },
      { start: '2026-11-09', partial: false, visitors: 300, returned: [60], return_rates: [20] },
      { start: '2026-11-16', partial: true, visitors: 0, returned: [], return_rates: [] },
    ],
  } as unknown as RetentionAnswer;

  it('averages over visitors and not over rows', () => {
    const table = buildRetention(answer);
    expect(table).toMatchObject({ columns: 2, averages: [25, 10], visitors: 400 });
    expect(table.rows[0]?.cells.map((cell) => cell.level)).toEqual([6, 2]);
  });

  it('asks for whole weeks or months', () => {
    expect(retentionRequest({ interval: 'week', span: 12 }, [])).toMatchObject({ date_range: '84d', periods: 12 });
    expect(retentionRequest({ interval: 'month', span: 36 }, [])).toMatchObject({ date_range: '36mo', periods: 24 });
    expect(parseRetentionView(new URLSearchParams('interval=month&span=52'))).toEqual({ interval: 'month', span: 12 });
  });

  it('knows the answer of a site that forgets its visitors', () => {
    expect(isForgetful(400, 'interval: visitor ids of this site do not last for a week')).toBe(true);
    expect(isForgetful(400, 'filters: no such dimension')).toBe(false);
    expect(isForgetful(503, 'interval: busy')).toBe(false);
  });
});

describe('journeys', () => {
  const answer: Pick<JourneysAnswer, 'nodes' | 'links' | 'visits'> = {
    visits: 100,
    nodes: [
      { step: 0, page: '/', pages: 1, visits: 70, exits: 20 }, { step: 0, page: '(other)', pages: 3, visits: 30, exits: 0 },
      { step: 1, page: '/a', pages: 1, visits: 60, exits: 60 }, { step: 1, page: '/b', pages: 1, visits: 20, exits: 20 },
    ],
    links: [{ from: 0, to: 2, visits: 50 }, { from: 1, to: 2, visits: 10 }, { from: 1, to: 3, visits: 20 }],
  };

  it('gives every node height by its visits and room for its name, and none overlaps another', () => {
    const { nodes, height } = layoutJourney(answer, 'next', 600);
    expect(nodes[0]?.height).toBeCloseTo(238);
    expect(nodes[0]?.exitHeight).toBeCloseTo(68);
    for (const step of [0, 1]) {
      const column = nodes.filter((node) => node.step === step);
      column.slice(1).forEach((node, i) => {
        const above = column[i]!;
        expect(node.y).toBeGreaterThanOrEqual(above.y + Math.max(26, above.height));
      });
      expect(column.every((node) => node.y + node.height <= height)).toBe(true);
    }
  });

  it('lets links leave and enter within their nodes', () => {
    const { nodes, links } = layoutJourney(answer, 'next', 600);
    const into = links.filter((link) => link.to === 2).map((link) => Number(/L\S+,(\S+) C/.exec(link.path)?.[1]));
    expect(Math.max(...into)).toBeCloseTo(nodes[2]!.y + nodes[2]!.height, 0);
    expect(links[0]?.path.startsWith(`M${NODE_WIDTH},0 `)).toBe(true);
  });

  it('puts the first step on the right when it goes back', () => {
    const { columns, nodes } = layoutJourney(answer, 'previous', 600);
    expect(columns[0]).toBeGreaterThan(columns[1]!);
    expect(nodes[0]?.x).toBe(columns[0]);
  });

  it('survives an answer without anything', () => {
    expect(layoutJourney({ visits: 0, nodes: [], links: [] }, 'next', 600)).toMatchObject({ nodes: [], links: [], height: 0 });
  });

  it('finds all that a node is joined to, both ways', () => {
    expect(connected(answer.links, 0)).toEqual({ nodes: new Set([0, 2]), links: new Set([0]) });
    expect(connected(answer.links, 2)).toEqual({ nodes: new Set([0, 1, 2]), links: new Set([0, 1]) });
  });

  it('lists where visits go on to, most first', () => {
    expect(journeyRows(answer)[1]?.onwards).toEqual([{ page: '/b', visits: 20 }, { page: '/a', visits: 10 }]);
  });
});

describe('realtime', () => {
  const result = (rows: [string[], number][]): QueryResult => ({
    results: rows.map(([dimensions, count]) => ({ dimensions, metrics: [count] })),
  }) as unknown as QueryResult;
  const view = (minute: string, path: string) => [`2026-11-23 ${minute}:00`, 'pageview', path, 'Google', 'DE'];

  it('marks the minute that goes on', () => {
    const { bars, ticks, pageviews } = buildMinutes({ minutes: [{ time: 'a', pageviews: 3, visitors: 2 }, { time: 'b', pageviews: 1, visitors: 1 }] });
    expect(bars.map((bar) => bar.partial)).toEqual([false, true]);
    expect(pageviews).toBe(4);
    expect(ticks[0]).toBe(0);
  });

  it('puts what is new on top of its minute and leaves the rest', () => {
    const first = buildFeed(result([[view('14:01', '/a'), 1], [view('14:01', '/b'), 1], [view('14:00', '/c'), 1]]), null);
    expect(first.some((line) => isFresh(line, first))).toBe(false);
    const second = buildFeed(result([[view('14:01', '/a'), 1], [view('14:01', '/b'), 2], [view('14:00', '/c'), 1]]), first);
    expect(second.map((line) => [line.page, line.count, isFresh(line, second)])).toEqual([['/b', 2, true], ['/a', 1, false], ['/c', 1, false]]);
    const third = buildFeed(result([[view('14:01', '/a'), 1], [view('14:01', '/b'), 2], [view('14:02', '/d'), 1]]), second);
    expect(third.map((line) => line.page)).toEqual(['/d', '/b', '/a']);
    expect(third.filter((line) => isFresh(line, third)).map((line) => line.page)).toEqual(['/d']);
  });

  it('tells events one by one as the stream brings them, and the older ones by minute', () => {
    const event = (id: string, time: string, page: string, kind = 'pageview') => ({ id, time: `2026-11-23T${time}Z`, kind, name: kind, page, source: '', country: 'DE' });
    const feed = (...events: object[]) => parseEventFeed(JSON.stringify({ events }))!;
    const counted = buildFeed(result([[view('14:01', '/a'), 2], [view('14:01', '/b'), 1], [view('14:00', '/c'), 1], [view('13:40', '/old'), 1]]), null);
    const began = addHeard(null, feed(event('2', '13:01:20', '/a'), event('x', '12:20:00', '/gone'), event('e', '13:01:10', '/a', 'engagement')), 'Europe/Berlin', Date.parse('2026-11-23T13:01:30Z'));
    const shown = mixFeed(counted, began, '2026-11-23 13:32:00');
    expect(shown.map((line) => [line.minute.slice(11, 16), line.page, line.count])).toEqual([['14:01', '/a', 1], ['14:01', '/a', 1], ['14:01', '/b', 1], ['14:00', '/c', 1], ['13:40', '/old', 1]]);
    expect(shown[0]?.source).toBe('Google');
    expect(shown.some((line) => isFresh(line, shown))).toBe(false);
    // The stream begins anew: what is known is not told again, and a later count makes up for what was taken off.
    const more = addHeard(began, feed(event('3', '13:02:00', '/d'), event('2', '13:01:20', '/a')), 'Europe/Berlin', 0);
    const next = mixFeed(counted, more, '2026-11-23 13:32:00');
    expect(next.map((line) => line.page)).toEqual(['/d', '/a', '/a', '/b', '/c', '/old']);
    expect(next.filter((line) => isFresh(line, next)).map((line) => line.page)).toEqual(['/d']);
    expect(addHeard(more, feed(event('3', '13:02:00', '/d')), 'Europe/Berlin', 0)).toBe(more);
    for (const text of ['', '[]', '{}', '{"events":7}', 'null']) expect(parseEventFeed(text)).toBeNull();
  });

  it('does not take the reading of a page for an event', () => {
    expect(buildFeed(result([[['2026-11-23 14:00:00', 'engagement', '/', '', ''], 3]]), null)).toEqual([]);
  });

  it('sends a pulse only where visitors arrived', () => {
    const before = [{ country: 'DE', visitors: 4 }, { country: 'US', visitors: 1 }];
    const now = [{ country: 'DE', visitors: 4 }, { country: 'US', visitors: 2 }, { country: 'JP', visitors: 1 }];
    expect(pulsesOf(now, before, 7).map((pulse) => [pulse.country, pulse.turn])).toEqual([['DE', 0], ['US', 7], ['JP', 7]]);
    expect(pulsesOf(now, null, 1).every((pulse) => pulse.turn === 0)).toBe(true);
  });
});

describe('one page', () => {
  it('tells how many got at least so far', () => {
    expect(scrollReach({ scroll: [{ from: 0, visitors: 5 }, { from: 10, visitors: 15 }, { from: 20, visitors: 80 }] })).toEqual([
      { depth: 0, visitors: 100, rate: 100 }, { depth: 10, visitors: 95, rate: 95 }, { depth: 20, visitors: 80, rate: 80 },
    ]);
    expect(scrollReach({ scroll: [{ from: 0, visitors: 0 }] })).toEqual([{ depth: 0, visitors: 0, rate: 0 }]);
  });

  it('leaves days ahead empty and marks the day that goes on', () => {
    const answer = {
      meta: { partial: true }, query: { from: '2026-11-22T00:00:00+01:00', to: '2026-11-24T23:59:59+01:00' },
      series: ['2026-11-22', '2026-11-23', '2026-11-24'].map((time) => ({ time, visitors: 3, visits: 4, pageviews: 5 })),
    } as unknown as PageAnswer;
    expect(pageSeries(answer, 'visits', 'day', '2026-11-23 14:00:00').points.map((point) => [point.value, point.partial])).toEqual([[4, false], [4, true], [null, false]]);
  });

  it('searches pages without regard to case, beside the filters in force', () => {
    const view = parseReportView(new URLSearchParams('f=is,source,Google'));
    expect(pagesQuestion('a.example', view, '2026-11-23', 'Boots').filters).toEqual([
      ['is', 'visit:source', ['Google']], ['contains', 'event:page', ['Boots'], { case_sensitive: false }],
    ]);
  });
});

it('shortens a digest so that both of its ends can be compared', () => {
  expect(shortDigest('0123456789abcdef'.repeat(4))).toBe('01234567…89abcdef');
});
