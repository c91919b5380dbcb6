package query

import (
	"context"
	"math"
	"slices"
	"sort"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/site"
)

// Blocks gives the blocks that a view names but does not hold. Safe for
// concurrent use; what it gives is immutable.
type Blocks interface {
	Events(ctx context.Context, id analytics.SiteID, r site.Ref) (*column.Events, error)
	Visits(ctx context.Context, id analytics.SiteID, r site.Ref) (*column.Visits, error)
}

// Evaluate answers q from the view. It is exact: no sampling, no sketch. It
// stops with ctx. The rules by which visits count in buckets are written in
// docs/reference/metrics.md.
func Evaluate(ctx context.Context, view *site.View, src Blocks, q *Question) (*Answer, error) {
	q = landing(q)
	ev := &evaluation{ctx: ctx, view: view, src: src, q: q}
	if err := ev.prepare(); err != nil {
		return nil, err
	}
	if err := ev.run(); err != nil {
		return nil, err
	}
	if err := ev.byEntryAndExit(); err != nil {
		return nil, err
	}
	return ev.answer()
}

// landing rewrites a hostname filter beside visit dimensions to the landing
// host, which is what it means there.
func landing(q *Question) *Question {
	if !q.Filter.uses(EventHostname) || !slices.ContainsFunc(q.Dimensions, Dimension.VisitScoped) {
		return q
	}
	c := *q
	c.Filter = swap(q.Filter, map[Dimension]Dimension{EventHostname: EntryPageHostname})
	return &c
}

// group is one row in the making.
type group struct {
	bucket int32  // index into buckets, -1 without a time dimension
	visit  uint32 // tuple of visit dimensions
	event  uint32 // tuple of event dimensions

	pageviews, events     uint64
	visits, visitors      uint64
	sessions              uint64 // visits that bounce, duration and views per visit are taken over
	bounces, sessionViews uint64
	durations             uint64 // visits whose duration counts here
	durationMS            int64
	entries               uint64
	scrollSum, scrolls    uint64
	engagedMS             uint64
	engaged, viewing      uint64 // engagement rows; visits with a page view
	revenue               map[string]money
}

type money struct {
	sum   int64
	count int64
}

type evaluation struct {
	ctx  context.Context
	view *site.View
	src  Blocks
	q    *Question

	filter   *filter
	buckets  []calendar.Bucket
	hourly   bool
	timeAt   int // place of the time dimension, -1
	visitAt  []int
	eventAt  []int
	visitVal []*values
	eventVal []*values
	visitTup *tuples
	eventTup *tuples

	byEvents                             bool // visits are those with a matching event
	needEvents                           bool
	needTable                            bool
	wantVisits                           bool
	wantScroll, wantEngaged, wantRevenue bool

	rowsMax int
	full    bool // there are more rows than that
	groups  []group
	byKey   map[[3]uint32]uint32
	last    [3]uint32
	lastG   uint32

	visitPairs, visitorPairs, sessionPairs, viewPairs pairs
	scrolls                                           map[scrollKey]uint8
	tables                                            map[int32]*table
	hint                                              int
	override                                          map[Metric]map[string]Value // rows of sub-questions by dims
	overrideAll                                       map[Metric]bool
	everyone                                          float64
}

type scrollKey struct {
	group   uint32
	visitor uint64
	page    string
}

func (ev *evaluation) has(ms ...Metric) bool {
	for _, m := range ms {
		if slices.Contains(ev.q.Metrics, m) {
			return true
		}
	}
	return false
}

func (ev *evaluation) prepare() error {
	q := ev.q
	f, err := compile(q.Filter)
	if err != nil {
		return err
	}
	ev.filter, ev.timeAt = f, -1
	ev.buckets = q.Buckets()
	for i, name := range q.Dimensions {
		d, ok := define(name)
		switch {
		case !ok:
			return analytics.Errorf(analytics.Invalid, "dimensions: unknown dimension %q", name)
		case d.scope == timeScope:
			ev.timeAt, ev.hourly = i, name == TimeHour
		case d.scope == visitScope:
			ev.visitAt = append(ev.visitAt, i)
			ev.visitVal = append(ev.visitVal, newValues(d))
		default:
			ev.eventAt = append(ev.eventAt, i)
			ev.eventVal = append(ev.eventVal, newValues(d))
		}
	}
	if len(ev.visitAt) > tupleMax || len(ev.eventAt) > tupleMax {
		return analytics.Errorf(analytics.Invalid, "dimensions: more than %d of one kind", tupleMax)
	}
	ev.visitTup, ev.eventTup = newTuples(len(ev.visitAt)), newTuples(len(ev.eventAt))
	ev.byEvents = len(ev.eventAt) > 0 || len(f.events) > 0
	ev.wantVisits = ev.has(Visitors, Visits, ViewsPerVisit, BounceRate, VisitDuration, Percentage, Entries, Exits, ExitRate)
	ev.wantScroll, ev.wantEngaged = ev.has(ScrollDepth), ev.has(TimeOnPage)
	ev.wantRevenue = ev.has(TotalRevenue, AverageRevenue)
	ev.needEvents = ev.byEvents || ev.has(Pageviews, Events) || ev.wantScroll || ev.wantEngaged || ev.wantRevenue
	ev.needTable = len(f.visits) > 0 || len(ev.visitAt) > 0 || ev.byEvents && ev.wantVisits || ev.wantScroll
	ev.byKey = make(map[[3]uint32]uint32)
	if ev.rowsMax = q.RowsMax; ev.rowsMax == 0 {
		ev.rowsMax = RowsMaxDefault
	}
	ev.tables = make(map[int32]*table)
	ev.scrolls = make(map[scrollKey]uint8)
	if ev.timeAt < 0 && len(ev.visitAt) == 0 && len(ev.eventAt) == 0 {
		ev.group(-1, 0, 0) // a total has its row whatever there is
	}
	return nil
}

// group finds or makes the group of a key.
func (ev *evaluation) group(bucket int32, visit, event uint32) uint32 {
	key := [3]uint32{uint32(bucket), visit, event}
	if key == ev.last && len(ev.groups) > 0 {
		return ev.lastG
	}
	g, ok := ev.byKey[key]
	if !ok && len(ev.groups) >= ev.rowsMax {
		ev.full = true // noticed at the end of the segment
		return ev.lastG
	}
	if !ok {
		g = uint32(len(ev.groups))
		ev.byKey[key] = g
		ev.groups = append(ev.groups, group{bucket: bucket, visit: visit, event: event})
	}
	ev.last, ev.lastG = key, g
	return g
}

// bucket finds the bucket of a time inside the range; -1 without a time
// dimension.
func (ev *evaluation) bucket(t int64) int32 {
	if ev.timeAt < 0 {
		return -1
	}
	if b := &ev.buckets[ev.hint]; t >= b.From && t < b.To {
		return int32(ev.hint)
	}
	i := sort.Search(len(ev.buckets), func(i int) bool { return ev.buckets[i].To > t })
	if i == len(ev.buckets) {
		i--
	}
	ev.hint = i
	return int32(i)
}

// clamp brings a time of a visit active in the range into it.
func (ev *evaluation) clamp(t int64) int64 { return max(ev.q.From, min(t, ev.q.To-1)) }

func (ev *evaluation) run() error {
	if ev.q.To <= ev.q.From {
		return nil
	}
	if !ev.byEvents && ev.wantVisits {
		for i := range ev.view.Days {
			d := &ev.view.Days[i]
			if d.Last >= ev.q.From && d.Start < ev.q.To {
				if err := ev.countVisits(d); err != nil {
					return err
				}
			}
		}
	}
	if !ev.needEvents {
		return nil
	}
	for i := range ev.view.Days {
		d := &ev.view.Days[i]
		if int64(d.Day+1)*column.DayMS <= ev.q.From || int64(d.Day)*column.DayMS >= ev.q.To {
			continue
		}
		for j := range d.Events {
			if err := ev.ctx.Err(); err != nil {
				return err
			}
			b := &d.Events[j]
			if b.To < ev.q.From || b.From >= ev.q.To {
				continue
			}
			e := b.Events
			if e == nil {
				var err error
				if e, err = ev.src.Events(ev.ctx, ev.view.Site, b.Ref); err != nil {
					return err
				}
			}
			if err := ev.countEvents(e); err != nil {
				return err
			}
			if ev.full {
				return ev.tooMany()
			}
		}
		for n := range ev.tables {
			if n < d.Day-3 || n > d.Day+3 {
				delete(ev.tables, n)
			}
		}
	}
	for k, depth := range ev.scrolls {
		ev.groups[k.group].scrollSum += uint64(depth)
		ev.groups[k.group].scrolls++
	}
	return nil
}

// eachVisits calls fn for every segment of visits filed under a day that may be
// active after From.
func (ev *evaluation) eachVisits(d *site.ViewDay, all bool, fn func(*column.Visits) error) error {
	for i := range d.Filed {
		if err := ev.ctx.Err(); err != nil {
			return err
		}
		f := &d.Filed[i]
		if !all && (f.Last < ev.q.From || f.Start >= ev.q.To) {
			continue
		}
		v := f.Visits
		if v == nil {
			var err error
			if v, err = ev.src.Visits(ev.ctx, ev.view.Site, f.Ref); err != nil {
				return err
			}
		}
		if err := fn(v); err != nil {
			return err
		}
	}
	return nil
}

// countVisits counts whole visits, active in the range, of one day.
func (ev *evaluation) countVisits(d *site.ViewDay) error {
	return ev.eachVisits(d, false, func(v *column.Visits) error {
		memos := ev.filter.visitMemos(v)
		valMemos := memosOf(ev.visitVal, len(v.Dict))
		for i := range v.Number {
			if v.Start[i] >= ev.q.To || v.LastEvent[i] < ev.q.From || !v.Counts(i) {
				continue
			}
			if ev.filter.root != nil && !ev.filter.root.matchVisit(ev.filter.mask(v, memos, i)) {
				continue
			}
			tup := ev.visitTuple(v, valMemos, i)
			last := ev.bucket(ev.clamp(v.LastEvent[i]))
			if !ev.hourly {
				ev.countVisit(ev.group(last, tup, 0), v, i)
				ev.countDuration(ev.group(last, tup, 0), v, i)
				continue
			}
			for b := ev.bucket(ev.clamp(v.Start[i])); b <= last; b++ {
				ev.countVisit(ev.group(b, tup, 0), v, i)
			}
			ev.countDuration(ev.group(last, tup, 0), v, i)
		}
		if ev.full {
			return ev.tooMany()
		}
		return nil
	})
}

func (ev *evaluation) tooMany() error {
	return analytics.Errorf(analytics.TooLarge, "dimensions: more than %d rows; ask for a shorter range or fewer dimensions, or filter", ev.rowsMax)
}

func (ev *evaluation) countVisit(g uint32, v *column.Visits, i int) {
	x := &ev.groups[g]
	x.visits++
	if ev.visitorPairs.add(g, v.Visitor[i]) {
		x.visitors++
	}
	ev.countSession(x, v, i)
}

func (ev *evaluation) countSession(x *group, v *column.Visits, i int) {
	x.sessions++
	x.sessionViews += uint64(v.Views[i])
	if v.Bounced(i) {
		x.bounces++
	}
	if v.Views[i] > 0 {
		x.entries++
	}
}

func (ev *evaluation) countDuration(g uint32, v *column.Visits, i int) {
	x := &ev.groups[g]
	x.durations++
	x.durationMS += v.LastEvent[i] - v.Start[i]
}

func (ev *evaluation) visitTuple(v *column.Visits, memos []memo, i int) uint32 {
	if len(ev.visitVal) == 0 {
		return 0
	}
	var ids [tupleMax]uint32
	for k, val := range ev.visitVal {
		ids[k] = val.of(memos[k], v.Dict, val.dim.visit(v)[i])
	}
	return ev.visitTup.of(ids)
}

func memosOf(vals []*values, dict int) []memo {
	out := make([]memo, len(vals))
	for i := range out {
		out[i] = make(memo, dict)
	}
	return out
}

func (f *filter) visitMemos(v *column.Visits) []tested {
	out := make([]tested, len(f.visits))
	for i := range out {
		out[i] = make(tested, len(v.Dict))
	}
	return out
}

// table finds visits of a day by number.
type table struct {
	segs []*column.Visits
	ref  []uint64 // segment and row, plus 1; 0 is none
	mask []uint64
	tup  []uint32
}

func (t *table) row(n uint32) (*column.Visits, int, bool) {
	if int(n) >= len(t.ref) || t.ref[n] == 0 {
		return nil, 0, false
	}
	r := t.ref[n] - 1
	return t.segs[r>>32], int(uint32(r)), true
}

func (ev *evaluation) tableOf(day int32) (*table, error) {
	if t, ok := ev.tables[day]; ok {
		return t, nil
	}
	t := &table{}
	ev.tables[day] = t
	i := sort.Search(len(ev.view.Days), func(i int) bool { return ev.view.Days[i].Day >= day })
	if i == len(ev.view.Days) || ev.view.Days[i].Day != day {
		return t, nil
	}
	d := &ev.view.Days[i]
	t.ref = make([]uint64, d.Visits)
	if len(ev.filter.visits) > 0 {
		t.mask = make([]uint64, d.Visits)
	}
	if len(ev.visitVal) > 0 {
		t.tup = make([]uint32, d.Visits)
	}
	return t, ev.eachVisits(d, true, func(v *column.Visits) error {
		memos := ev.filter.visitMemos(v)
		valMemos := memosOf(ev.visitVal, len(v.Dict))
		s := uint64(len(t.segs)) << 32
		t.segs = append(t.segs, v)
		for i, n := range v.Number {
			t.ref[n] = s | uint64(i) + 1
			if t.mask != nil {
				t.mask[n] = ev.filter.mask(v, memos, i)
			}
			if t.tup != nil {
				t.tup[n] = ev.visitTuple(v, valMemos, i)
			}
		}
		return nil
	})
}

// countEvents counts the matching events of one segment.
func (ev *evaluation) countEvents(e *column.Events) error {
	row := eventRow{e: e}
	for _, l := range ev.filter.events {
		row.memos = append(row.memos, make(tested, len(e.Dict)))
		row.cols = append(row.cols, l.dim.event(e))
	}
	cols := make([][]uint32, len(ev.eventVal))
	for k, val := range ev.eventVal {
		cols[k] = val.dim.event(e)
	}
	memos := memosOf(ev.eventVal, len(e.Dict))
	base := int64(e.Day) * column.DayMS
	var t *table
	tableDay := int32(math.MinInt32)
	for i, at := range e.At {
		ms := base + int64(at)
		if ms < ev.q.From || ms >= ev.q.To {
			continue
		}
		kind := analytics.Kind(e.Kind[i] & column.KindMask)
		row.engagement = kind == analytics.Engagement
		if row.engagement && !ev.wantScroll && !ev.wantEngaged {
			continue
		}
		var id column.VisitID
		var tup uint32
		if ev.needTable || ev.wantEngaged {
			id = e.VisitID(i)
			if to, ok := ev.view.Alias[id]; ok {
				id = to
			}
		}
		if ev.needTable {
			if id.Day() != tableDay {
				var err error
				if t, err = ev.tableOf(id.Day()); err != nil {
					return err
				}
				tableDay = id.Day()
			}
			if t.mask != nil {
				row.mask = t.mask[id.Number()]
			}
			if t.tup != nil {
				tup = t.tup[id.Number()]
			}
		}
		row.i = i
		if ev.filter.root != nil && !ev.filter.root.match(&row) {
			continue
		}
		var evt uint32
		if len(cols) > 0 {
			var ids [tupleMax]uint32
			for k, val := range ev.eventVal {
				ids[k] = val.of(memos[k], e.Dict, cols[k][i])
			}
			evt = ev.eventTup.of(ids)
		}
		g := ev.group(ev.bucket(ms), tup, evt)
		if row.engagement {
			ev.countEngagement(g, t, id, e, i)
			continue
		}
		x := &ev.groups[g]
		x.events++
		if kind == analytics.Pageview {
			x.pageviews++
			if ev.wantEngaged && ev.viewPairs.add(g, uint64(id)) {
				x.viewing++
			}
		}
		if ev.wantRevenue && e.Revenue[i] != 0 {
			x.addRevenue(e.Dict[e.Revenue[i]])
		}
		if ev.byEvents && ev.wantVisits {
			ev.countMatched(g, t, id, tup, evt)
		}
	}
	return nil
}

// countMatched counts the visit of a matching event, once in its group.
func (ev *evaluation) countMatched(g uint32, t *table, id column.VisitID, tup, evt uint32) {
	if !ev.visitPairs.add(g, uint64(id)) {
		return
	}
	v, i, ok := t.row(id.Number())
	if !ok {
		return
	}
	x := &ev.groups[g]
	x.visits++
	if ev.visitorPairs.add(g, v.Visitor[i]) {
		x.visitors++
	}
	if ev.timeAt < 0 {
		ev.countSession(x, v, i)
		ev.countDuration(g, v, i)
		return
	}
	// Figures of the whole visit count in its last bucket only.
	whole := ev.group(ev.bucket(ev.clamp(v.LastEvent[i])), tup, evt)
	if ev.sessionPairs.add(whole, uint64(id)) {
		ev.countSession(&ev.groups[whole], v, i)
		ev.countDuration(whole, v, i)
	}
}

func (ev *evaluation) countEngagement(g uint32, t *table, id column.VisitID, e *column.Events, i int) {
	x := &ev.groups[g]
	x.engagedMS += uint64(e.Engaged[i])
	x.engaged++
	if !ev.wantScroll || e.Scroll[i] == analytics.ScrollNone {
		return
	}
	v, r, ok := t.row(id.Number())
	if !ok {
		return
	}
	k := scrollKey{g, v.Visitor[r], e.Dict[e.Page[i]]}
	if d, ok := ev.scrolls[k]; !ok || e.Scroll[i] > d {
		ev.scrolls[k] = e.Scroll[i]
	}
}

func (x *group) addRevenue(text string) {
	currency, amount := entry.Money(text)
	if x.revenue == nil {
		x.revenue = make(map[string]money)
	}
	m := x.revenue[currency]
	m.sum += amount
	m.count++
	x.revenue[currency] = m
}

// tupleMax is how many dimensions of one scope can be asked for at once; doors
// allow no more in all.
const tupleMax = 8

// tuples gives combinations of value numbers a number.
type tuples struct {
	n    int
	ids  map[[tupleMax]uint32]uint32
	list [][tupleMax]uint32
}

func newTuples(n int) *tuples {
	return &tuples{n: n, ids: map[[tupleMax]uint32]uint32{}, list: make([][tupleMax]uint32, 1)}
}

func (t *tuples) of(ids [tupleMax]uint32) uint32 {
	if t.n == 1 {
		for int(ids[0]) >= len(t.list) {
			t.list = append(t.list, [tupleMax]uint32{uint32(len(t.list))})
		}
		return ids[0]
	}
	n, ok := t.ids[ids]
	if !ok {
		n = uint32(len(t.list))
		t.ids[ids] = n
		t.list = append(t.list, ids)
	}
	return n
}
