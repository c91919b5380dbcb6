package query

import (
	"context"
	"slices"
	"sort"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/session"
)

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

// evaluation answers one question.
type evaluation struct {
	ctx     context.Context
	picture *Picture
	q       *Question

	filter   *filter
	buckets  []calendar.Bucket
	hourly   bool // time:hour or time:minute
	timeAt   int  // place of the time dimension, -1
	goalAt   int  // place of event:goal, -1
	visitAt  []int
	eventAt  []int // the goal last, if there is one
	visitDim []dim
	eventDim []dim

	byEvents                             bool // visits are those with a matching event
	needEvents                           bool
	wantVisits                           bool
	wantScroll, wantEngaged, wantRevenue bool
	scrollGoals                          bool // engagements can count visits
	engagements                          bool // engagements are looked at
	wanted                               []int
	rowsMax                              int
	shape                                string // of what a day gives, "" if nothing of it is remembered

	total       *tally
	lasting     *uniques
	sub         map[Metric]*part
	lastScrolls map[scrollKey]uint8
	whole       *block // of all settled days
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
	f, err := compile(q.Filter, ev.picture.Days)
	if err != nil {
		return err
	}
	ev.filter, ev.timeAt, ev.goalAt = f, -1, -1
	ev.buckets = q.Buckets()
	for i, name := range q.Dimensions {
		d, ok := define(name)
		switch {
		case !ok:
			return analytics.Errorf(analytics.Invalid, "dimensions: unknown dimension %q", name)
		case d.scope == timeScope:
			ev.timeAt, ev.hourly = i, name == TimeHour || name == TimeMinute
		case d.scope == goalScope:
			ev.goalAt = i
		case d.scope == visitScope:
			ev.visitAt, ev.visitDim = append(ev.visitAt, i), append(ev.visitDim, d)
		default:
			ev.eventAt, ev.eventDim = append(ev.eventAt, i), append(ev.eventDim, d)
		}
	}
	if ev.goalAt >= 0 {
		ev.eventAt = append(ev.eventAt, ev.goalAt)
	}
	if len(ev.visitAt) > tupleMax || len(ev.eventAt) > tupleMax {
		return analytics.Errorf(analytics.Invalid, "dimensions: more than %d of one kind", tupleMax)
	}
	ev.byEvents = len(ev.eventAt) > 0 || f.needsEvents()
	ev.wantVisits = ev.has(Visitors, Visits, ViewsPerVisit, BounceRate, VisitDuration, Percentage, Entries, Exits, ExitRate, ConversionRate, GroupConversionRate)
	ev.wantScroll, ev.wantEngaged = ev.has(ScrollDepth), ev.has(TimeOnPage)
	ev.wantRevenue = ev.has(TotalRevenue, AverageRevenue)
	ev.scrollGoals = f.scroll && f.needsEvents() || ev.goalAt >= 0 && slices.ContainsFunc(q.Goals, func(g *Goal) bool { return g.Kind == analytics.GoalScroll })
	ev.engagements = ev.wantScroll || ev.wantEngaged || ev.scrollGoals
	ev.needEvents = ev.byEvents || ev.has(Pageviews, Events) || ev.wantScroll || ev.wantEngaged || ev.wantRevenue
	if ev.rowsMax = q.RowsMax; ev.rowsMax == 0 {
		ev.rowsMax = RowsMaxDefault
	}
	ev.wanted = ev.counters()
	ev.shape = ev.memoShape()
	ev.total, ev.lasting = ev.newTally(), newUniques(uniquesMax)
	if len(q.Dimensions) == 0 {
		ev.total.group(key{bucket: -1}) // a total has its row whatever there is
	}
	return nil
}

// counters lists what has to be counted for the metrics. Whether there was
// anything in a group is told by events, visits and engagements.
func (ev *evaluation) counters() []int {
	var on [counters]bool
	set := func(cs ...int) {
		for _, c := range cs {
			on[c] = true
		}
	}
	for _, m := range ev.q.Metrics {
		switch m {
		case Visitors, Percentage, ConversionRate, GroupConversionRate:
			set(nVisitors, nVisits)
		case Visits:
			set(nVisits)
		case Pageviews:
			set(nPageviews)
		case Events:
			set(nEvents)
		case ViewsPerVisit:
			set(nSessionViews, nSessions)
		case BounceRate:
			set(nBounces, nSessions)
		case VisitDuration:
			set(nDurationMS, nDurations)
		case Entries, Exits, ExitRate:
			set(nEntries, nVisits)
		case ScrollDepth:
			set(nScrollSum, nScrolls, nEngaged)
		case TimeOnPage:
			set(nEngagedMS, nEngaged, nViewing)
		}
	}
	if ev.needEvents {
		set(nEvents)
	}
	if ev.wantVisits {
		set(nVisits)
		if ev.byEvents && ev.timeAt >= 0 {
			set(nSessions)
		}
	}
	var out []int
	for c := range on {
		if on[c] {
			out = append(out, c)
		}
	}
	return out
}

func (ev *evaluation) newTally() *tally {
	return newTally(ev.wanted, newTuples(len(ev.visitAt)), newTuples(len(ev.eventAt)), ev.rowsMax, ev.picture.Days.Lexicon().Len())
}

// tasksMax is how many pieces a question is cut into at most.
const tasksMax = 4

// run counts everything. Days are worked on apart from each other, because a
// visitor counts once a day; those whose id lasts are told apart by lasting.
func (ev *evaluation) run() error {
	if ev.q.To <= ev.q.From {
		return nil
	}
	todo := ev.recall(ev.picture.spans(ev.q.From, ev.q.To))
	rows := 0
	for _, p := range todo {
		rows += p.rows
	}
	if err := ev.picture.afford(rows); err != nil {
		return err
	}
	n := min(tasksMax, len(todo), 1+rows/lightRows)
	parts := make([]*counting, n)
	task := func(i int) {
		parts[i] = ev.counting()
		parts[i].err = parts[i].pieces(todo[len(todo)*i/n : len(todo)*(i+1)/n])
	}
	if err := ev.picture.fan(ev.ctx, rows, n, task); err != nil {
		return err
	}
	for _, c := range parts {
		if c.err != nil {
			return c.err
		}
	}
	lasts := slices.ContainsFunc(parts, func(c *counting) bool { return c.settled != nil && c.settled.lasts() })
	for _, c := range parts {
		if c.settled != nil {
			if lasts {
				c.merge(c.settled)
			} else {
				ev.whole.days = append(ev.whole.days, ev.keep(c.settled.t))
			}
		}
		ev.take(c)
	}
	ev.addWhole()
	for k, depth := range ev.lastScrolls {
		ev.total.inc(k.group, nScrollSum, uint64(depth))
		ev.total.inc(k.group, nScrolls, 1)
	}
	if ev.total.full {
		return ev.tooMany()
	}
	return nil
}

// take adds what one counting found.
func (ev *evaluation) take(c *counting) {
	moved := ev.total.merge(c.t, nil)
	ev.lasting.merge(c.lasting, moved)
	for k, depth := range c.lastScrolls {
		if ev.lastScrolls == nil {
			ev.lastScrolls = map[scrollKey]uint8{}
		}
		k.group = moved[k.group]
		ev.lastScrolls[k] = max(ev.lastScrolls[k], depth)
	}
	for _, d := range c.alone {
		d.block.days = append(d.block.days, d.t)
		ev.close(d.block)
	}
	for _, bl := range c.given { // days that turned out not to be kept
		bl.partial = true
		ev.close(bl)
	}
}

func (ev *evaluation) tooMany() error {
	return analytics.Errorf(analytics.TooLarge, "dimensions: more than %d rows; ask for a shorter range or fewer dimensions, or filter", ev.rowsMax)
}

// counting counts some of the days. Its parts are its own.
type counting struct {
	ev       *evaluation
	goals    []*goalTest
	goalName []uint32 // of goals, numbers of the lexicon
	visitVal []*values
	eventVal []*values
	t        *tally
	lasting  *uniques
	hint     int // bucket found last

	// What was seen last in each group, by number of group: visits, visitors and so
	// on are counted once because all of a visit, and all visits of a visitor, come
	// one after the other.
	seen        []stamps
	visitSeq    uint32
	visitorSeq  uint32
	visitor     uint64
	hasVisitor  bool
	entered     bool
	tup         uint32 // of the visit in hand
	scrolls     map[scrollKey]uint8
	lastScrolls map[scrollKey]uint8 // of visitors whose id lasts
	named       bool                // the visitor in hand is such a one

	err     error
	one     *counting // for days that are to be remembered, one after the other
	alone   []kept    // what they counted
	settled *counting // for days that are to be remembered together
	given   []*block  // of days that cannot be, because ids in them last
}

// kept is what one day counted.
type kept struct {
	t     *tally
	block *block
}

// stamps are the sequence numbers of what a group counted last.
type stamps struct{ visit, visitor, session, view uint32 }

type scrollKey struct {
	group   uint32
	page    uint32
	visitor uint64 // 0 for the visitor in hand
}

func (ev *evaluation) counting() *counting {
	lex := ev.picture.Days.Lexicon()
	c := &counting{ev: ev, t: ev.newTally(), lasting: newUniques(uniquesMax), scrolls: map[scrollKey]uint8{}}
	for _, d := range ev.visitDim {
		c.visitVal = append(c.visitVal, newValues(d, lex))
	}
	for _, d := range ev.eventDim {
		c.eventVal = append(c.eventVal, newValues(d, lex))
	}
	if ev.goalAt >= 0 {
		for _, g := range ev.q.Goals {
			c.goals = append(c.goals, newGoalTest(g, len(ev.filter.goals)+len(c.goals)))
			c.goalName = append(c.goalName, lex.ID(g.Name))
		}
	}
	return c
}

// pieces counts days, those to be remembered each by itself.
func (c *counting) pieces(days []piece) error {
	for _, p := range days {
		if p.settled {
			if c.settled == nil {
				c.settled = c.apart()
			}
			if err := c.settled.day(p.day); err != nil {
				return err
			}
			continue
		}
		if p.key == "" {
			if err := c.day(p.day); err != nil {
				return err
			}
			continue
		}
		if c.one == nil {
			c.one = c.apart()
		}
		one := c.one
		one.t.reset()
		clear(one.seen)
		one.visitSeq, one.visitorSeq = 0, 0
		if err := one.day(p.day); err != nil {
			return err
		}
		if one.lasts() {
			c.merge(one)
			c.given = append(c.given, p.block)
			one.lasting, one.lastScrolls = newUniques(uniquesMax), nil
			continue
		}
		t := c.ev.keep(one.t)
		if n := t.bytes() + len(p.key); n <= memoBytesMax {
			c.ev.picture.Days.Remember(p.key, t, n)
		}
		c.alone = append(c.alone, kept{t, p.block})
	}
	return nil
}

// apart gives a counting beside this one that shares the memories of texts.
func (c *counting) apart() *counting {
	x := *c
	x.t, x.lasting, x.seen, x.lastScrolls = c.ev.newTally(), newUniques(uniquesMax), nil, nil
	x.one, x.settled, x.alone, x.given = nil, nil, nil, nil
	x.visitSeq, x.visitorSeq, x.hasVisitor = 0, 0, false
	return &x
}

// lasts tells whether visitors were seen whose id lasts: they are told apart over
// the whole range, so what was counted cannot be remembered.
func (c *counting) lasts() bool { return c.lasting.n > 0 || c.lastScrolls != nil }

// merge adds what x counted.
func (c *counting) merge(x *counting) {
	moved := c.t.merge(x.t, nil)
	c.lasting.merge(x.lasting, moved)
	for k, depth := range x.lastScrolls {
		if c.lastScrolls == nil {
			c.lastScrolls = map[scrollKey]uint8{}
		}
		k.group = moved[k.group]
		c.lastScrolls[k] = max(c.lastScrolls[k], depth)
	}
}

// day counts the visits of one day.
func (c *counting) day(day int32) error {
	ev := c.ev
	d, err := ev.picture.day(ev.ctx, day)
	if err != nil {
		return err
	}
	c.hasVisitor = false
	err = d.Runs(func(l *session.Layer, from, to int) error {
		if err := ev.ctx.Err(); err != nil {
			return err
		}
		c.run(l, from, to)
		if c.t.full {
			return ev.tooMany()
		}
		return nil
	})
	c.endVisitor()
	return err
}

func (c *counting) run(l *session.Layer, first, end int) {
	ev := c.ev
	n := ev.picture.Days.Lexicon().Len()
	for _, v := range c.visitVal {
		v.upTo(n)
	}
	for _, v := range c.eventVal {
		v.upTo(n)
	}
	r := ev.filter.row(l, ev.q.From, ev.q.To)
	r.goals(c.goals, n)
	for i := first; i < end; i++ {
		ev.picture.yield(i)
		if l.Last[i] < ev.q.From || l.Start[i] >= ev.q.To && (!ev.engagements || l.Begins(i) >= ev.q.To) || l.Hides(i) {
			continue
		}
		r.visit(i)
		if !r.matchVisit() {
			continue
		}
		c.entered = false
		if ev.wantVisits && !ev.byEvents {
			c.countVisit(l, i)
		}
		if ev.needEvents {
			c.countEvents(r)
		}
	}
}

// enter notes, once, which visit is in hand, and whose.
func (c *counting) enter(l *session.Layer, i int) {
	if c.entered {
		return
	}
	c.entered = true
	c.visitSeq++
	if !c.hasVisitor || l.Visitor[i] != c.visitor {
		c.endVisitor()
		c.visitor, c.hasVisitor = l.Visitor[i], true
		c.visitorSeq++
	}
	c.named = c.ev.q.Lasting || l.Flags[i]&column.Named != 0
	if len(c.visitVal) > 0 {
		c.tup = c.visitTuple(l, i)
	}
}

func (c *counting) endVisitor() {
	if len(c.scrolls) == 0 {
		return
	}
	for k, depth := range c.scrolls {
		c.t.inc(k.group, nScrollSum, uint64(depth))
		c.t.inc(k.group, nScrolls, 1)
	}
	clear(c.scrolls)
}

func (c *counting) visitTuple(l *session.Layer, i int) uint32 {
	if len(c.visitVal) == 1 {
		v := c.visitVal[0]
		return v.of(v.dim.visit(l)[i])
	}
	var ids tuple
	for k, v := range c.visitVal {
		ids[k] = v.of(v.dim.visit(l)[i])
	}
	return c.t.visits.of(ids)
}

// group finds the group of a key, and makes room for what it saw last.
func (c *counting) group(bucket int32, visit, event uint32) uint32 {
	g := c.t.group(key{bucket, visit, event})
	if int(g) >= len(c.seen) {
		c.seen = append(c.seen, make([]stamps, int(g)+1-len(c.seen)+len(c.seen)/4)...)
	}
	return g
}

// bucket finds the bucket of a time inside the range; -1 without a time
// dimension.
func (c *counting) bucket(t int64) int32 {
	if c.ev.timeAt < 0 {
		return -1
	}
	buckets := c.ev.buckets
	if b := &buckets[c.hint]; t >= b.From && t < b.To {
		return int32(c.hint)
	}
	i := sort.Search(len(buckets), func(i int) bool { return buckets[i].To > t })
	if i == len(buckets) {
		i--
	}
	c.hint = i
	return int32(i)
}

// clamp brings a time of a visit active in the range into it.
func (c *counting) clamp(t int64) int64 { return max(c.ev.q.From, min(t, c.ev.q.To-1)) }

// countVisit counts a whole visit where the question is not about events.
func (c *counting) countVisit(l *session.Layer, i int) {
	if l.LastEvent[i] < c.ev.q.From || l.Start[i] >= c.ev.q.To || l.Views[i]+l.Customs[i] == 0 {
		return
	}
	c.enter(l, i)
	last := c.bucket(c.clamp(l.LastEvent[i]))
	g := c.group(last, c.tup, 0)
	c.countWhole(g)
	c.countSession(g, l, i)
	c.countDuration(g, l, i)
	if !c.ev.hourly {
		return
	}
	for b := c.bucket(c.clamp(l.Start[i])); b < last; b++ {
		g := c.group(b, c.tup, 0)
		c.countWhole(g)
		c.countSession(g, l, i)
	}
}

// countWhole counts the visit in hand and its visitor in a group.
func (c *counting) countWhole(g uint32) {
	c.t.inc(g, nVisits, 1)
	if c.named {
		c.lasting.put(g, c.visitor)
	} else if s := &c.seen[g]; s.visitor != c.visitorSeq {
		s.visitor = c.visitorSeq
		c.t.inc(g, nVisitors, 1)
	}
}

func (c *counting) countSession(g uint32, l *session.Layer, i int) {
	row := c.t.counts[int(g)*c.t.stride:][:c.t.stride]
	place := &c.t.place
	row[place[nSessions]]++
	row[place[nSessionViews]] += uint64(l.Views[i])
	if l.Bounced(i) {
		row[place[nBounces]]++
	}
	if l.Views[i] > 0 {
		row[place[nEntries]]++
	}
}

func (c *counting) countDuration(g uint32, l *session.Layer, i int) {
	c.t.inc(g, nDurations, 1)
	c.t.inc(g, nDurationMS, uint64(l.LastEvent[i]-l.Start[i]))
}

// countEvents counts the matching events in the range of the visit in hand.
func (c *counting) countEvents(r *row) {
	ev, l := c.ev, r.l
	matched := !ev.filter.needsEvents()
	from, to := ev.q.From, ev.q.To
	for e, end := int(l.FirstEvent[r.i]), int(l.FirstEvent[r.i+1]); e < end; e++ {
		at := l.At[e]
		if at < from || at >= to {
			continue
		}
		kind := analytics.Kind(l.Kind[e] & column.KindMask)
		if kind == analytics.Engagement && !ev.engagements {
			continue
		}
		if !matched && !r.matchEvent(e) {
			continue
		}
		c.enter(l, r.i)
		bucket := c.bucket(at)
		var ids tuple
		for k, v := range c.eventVal {
			if v.dim.event != nil {
				ids[k] = v.of(v.dim.event(l)[e])
			} else {
				ids[k] = v.of(v.dim.rare(l, e))
			}
		}
		if c.goals == nil {
			c.countEvent(r, e, kind, bucket, c.t.events.of(ids), !matched && r.scrolled(r.c.scrolls))
			continue
		}
		for k, g := range c.goals {
			if r.reached(g, e) {
				ids[len(c.eventVal)] = c.goalName[k]
				c.countEvent(r, e, kind, bucket, c.t.events.of(ids), g.Kind == analytics.GoalScroll)
			}
		}
	}
}

// countEvent counts one event in one group. An engagement that scrolled far
// enough to reach a goal brings its visit.
func (c *counting) countEvent(r *row, e int, kind analytics.Kind, bucket int32, evt uint32, scrolled bool) {
	ev, l := c.ev, r.l
	if kind == analytics.Engagement {
		if ev.wantScroll || ev.wantEngaged {
			c.countEngagement(c.group(bucket, c.tup, evt), l, e)
		}
		if scrolled && ev.wantVisits {
			c.countMatched(c.group(bucket, c.tup, evt), r, evt)
		}
		return
	}
	g := c.group(bucket, c.tup, evt)
	row := c.t.counts[int(g)*c.t.stride:][:c.t.stride]
	row[c.t.place[nEvents]]++
	if kind == analytics.Pageview {
		row[c.t.place[nPageviews]]++
		if s := &c.seen[g]; ev.wantEngaged && s.view != c.visitSeq {
			s.view = c.visitSeq
			row[c.t.place[nViewing]]++
		}
	}
	if ev.wantRevenue && l.Revenue(e) != 0 {
		currency, amount := entry.Money(ev.filter.lex.Text(l.Revenue(e)))
		c.t.pay(g, currency, amount, 1)
	}
	if ev.byEvents && ev.wantVisits {
		c.countMatched(g, r, evt)
	}
}

// countMatched counts the visit of a matching event, once in its group. Figures
// of the whole visit count in its last bucket only.
func (c *counting) countMatched(g uint32, r *row, evt uint32) {
	s := &c.seen[g]
	if s.visit == c.visitSeq {
		return
	}
	s.visit = c.visitSeq
	c.countWhole(g)
	if c.ev.timeAt < 0 {
		c.countSession(g, r.l, r.i)
		c.countDuration(g, r.l, r.i)
		return
	}
	whole := c.group(c.bucket(c.clamp(r.l.LastEvent[r.i])), c.tup, evt)
	if s := &c.seen[whole]; s.session != c.visitSeq {
		s.session = c.visitSeq
		c.countSession(whole, r.l, r.i)
		c.countDuration(whole, r.l, r.i)
	}
}

func (c *counting) countEngagement(g uint32, l *session.Layer, e int) {
	c.t.inc(g, nEngagedMS, uint64(l.Engaged(e)))
	c.t.inc(g, nEngaged, 1)
	if !c.ev.wantScroll || l.Scroll(e) == analytics.ScrollNone {
		return
	}
	k := scrollKey{group: g, page: l.Page[e]}
	m := c.scrolls
	if c.named {
		if c.lastScrolls == nil {
			c.lastScrolls = map[scrollKey]uint8{}
		}
		m, k.visitor = c.lastScrolls, c.visitor
	}
	if d, ok := m[k]; !ok || l.Scroll(e) > d {
		m[k] = l.Scroll(e)
	}
}
