package query_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
	"footfall/analytics/site"
)

// diary is a site whose reports are held against what its raw events say. Its
// days are in one layer or, as those that still count, in two.
type diary struct {
	t       testing.TB
	machine *site.Machine
	records map[site.Ref][]byte
	events  []analytics.Event // counted, in order of arrival
	index   uint64
	ids     uint64
	lexicon *session.Lexicon
	layered bool
}

func newDiary(t testing.TB) *diary {
	return &diary{t: t, machine: site.New(1), records: map[site.Ref][]byte{}, lexicon: session.NewLexicon()}
}

func (d *diary) send(now int64, e analytics.Event) {
	d.t.Helper()
	d.ids++
	e.ID = d.ids
	if e.Page == "" {
		e.Page = "/"
	}
	e.Host = "example.com"
	if e.Kind == analytics.Engagement {
		e.Named = false // says nothing of the kind
	}
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 0, 1)
	rd, err := entry.Open(entry.AppendEvent(buf, 1, &e))
	if err != nil {
		d.t.Fatal(err)
	}
	items := make([]entry.Item, 1)
	if ok, err := rd.Next(&items[0]); !ok || err != nil {
		d.t.Fatal(ok, err)
	}
	for _, r := range d.machine.Need(rd.Time, items) {
		if err := d.machine.Provide(r, d.records[r]); err != nil {
			d.t.Fatal(err)
		}
	}
	d.index++
	out := make([]analytics.Reason, 1)
	if d.machine.Step(d.index, rd.Time, items, out); out[0] == analytics.Counted {
		d.events = append(d.events, e)
	}
}

// flush writes the records, which seals what is old enough.
func (d *diary) flush() {
	for _, w := range d.machine.Flush() {
		if w.Value == nil {
			delete(d.records, w.Ref)
		} else {
			d.records[w.Ref] = w.Value
		}
	}
}

func (d *diary) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(d.records[r])
}

func (d *diary) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(d.records[r])
}

func (d *diary) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	return column.DecodeSealed(d.records[r], nil)
}

func (d *diary) Day(ctx context.Context, view *site.View, day int32) (*session.Day, error) {
	built, err := session.Build(ctx, view, day, d, d.lexicon)
	if err == nil && d.layered && len(built.Layers) == 1 {
		built = layered(built)
	}
	return built, err
}

func (d *diary) Lexicon() *session.Lexicon { return d.lexicon }

func (d *diary) Recall(string) (any, bool) { return nil, false }

func (d *diary) Remember(string, any, int) {}

func (d *diary) picture() *query.Picture {
	return &query.Picture{View: d.machine.View(), Days: d}
}

// layered moves every third visit of a day into a second layer.
func layered(d *session.Day) *session.Day {
	old := d.Layers[0]
	first := *old
	first.Hidden = make([]uint64, (old.Len()+63)/64)
	second := &session.Layer{FirstEvent: []uint32{0}}
	for i := range old.ID {
		if i%3 != 0 {
			continue
		}
		first.Hidden[i>>6] |= 1 << (i & 63)
		copyVisit(second, old, i)
	}
	c := *d
	c.Layers = []*session.Layer{&first, second}
	return &c
}

func copyVisit(to, from *session.Layer, i int) {
	to.ID, to.Visitor, to.Flags = append(to.ID, from.ID[i]), append(to.Visitor, from.Visitor[i]), append(to.Flags, from.Flags[i])
	to.Start, to.Last, to.LastEvent = append(to.Start, from.Start[i]), append(to.Last, from.Last[i]), append(to.LastEvent, from.LastEvent[i])
	for _, c := range []struct{ to, from *[]uint32 }{{&to.Views, &from.Views}, {&to.Customs, &from.Customs}, {&to.Entry, &from.Entry}, {&to.Exit, &from.Exit},
		{&to.EntryHost, &from.EntryHost}, {&to.ExitHost, &from.ExitHost}, {&to.Agent, &from.Agent}, {&to.Place, &from.Place},
		{&to.Acquisition, &from.Acquisition}, {&to.Language, &from.Language}, {&to.Screen, &from.Screen}} {
		*c.to = append(*c.to, (*c.from)[i])
	}
	for e := from.FirstEvent[i]; e < from.FirstEvent[i+1]; e++ {
		to.AppendEvent(from.At[e], from.Kind[e], from.Page[e], from.Host[e], from.RareOf(int(e)))
	}
	to.FirstEvent = append(to.FirstEvent, uint32(len(to.At)))
}

// plainVisit is a visit made from raw events.
type plainVisit struct {
	visitor uint64
	named   bool
	all     []analytics.Event // by time
}

func (v *plainVisit) counted() (out []analytics.Event) {
	for _, e := range v.all {
		if e.Kind != analytics.Engagement {
			out = append(out, e)
		}
	}
	return out
}

func (v *plainVisit) start() int64 { return v.counted()[0].Time }
func (v *plainVisit) last() int64  { c := v.counted(); return c[len(c)-1].Time }

func (v *plainVisit) active(from, to int64) bool { return v.start() < to && v.last() >= from }

// person names the visitor as long as the id is known to last.
func (v *plainVisit) person(lasting bool) string {
	if v.lasts(lasting) {
		return fmt.Sprint(v.visitor)
	}
	return fmt.Sprint(v.visitor, " on ", column.DayOf(v.start()))
}

func (v *plainVisit) lasts(lasting bool) bool { return lasting || v.named }

// pages is the pages viewed, those in a row once, with the time of the first view.
func (v *plainVisit) pages() (pages []string, at []int64) {
	for _, e := range v.all {
		if e.Kind == analytics.Pageview && (len(pages) == 0 || pages[len(pages)-1] != e.Page) {
			pages, at = append(pages, e.Page), append(at, e.Time)
		}
	}
	return pages, at
}

// visits cuts the events into visits, in order of visitor and time.
func (d *diary) visits() []*plainVisit {
	by := map[uint64][]analytics.Event{}
	for _, e := range d.events {
		by[e.Visitor] = append(by[e.Visitor], e)
	}
	var out []*plainVisit
	for id, all := range by {
		slices.SortStableFunc(all, func(a, b analytics.Event) int { return cmp.Compare(a.Time, b.Time) })
		var v *plainVisit
		for i, e := range all {
			if i == 0 || e.Time-all[i-1].Time >= analytics.VisitGapMS {
				v = &plainVisit{visitor: id}
				out = append(out, v)
			}
			v.named = v.named || e.Named // engagements do not say
			v.all = append(v.all, e)
		}
	}
	slices.SortFunc(out, func(a, b *plainVisit) int {
		return cmp.Or(cmp.Compare(a.visitor, b.visitor), cmp.Compare(a.start(), b.start()))
	})
	return out
}

// plainFilter is a filter and what it means.
type plainFilter struct {
	name   string
	filter *query.Filter
	visit  func(v *plainVisit) bool
	event  func(e analytics.Event) bool // nil: no conditions on events
}

func fromGoogle(v *plainVisit) bool  { return v.counted()[0].Acquisition.Source == "Google" }
func onPageA(e analytics.Event) bool { return e.Page == "/a" }
func anyVisit(*plainVisit) bool      { return true }
func leaf(d query.Dimension, value string) *query.Filter {
	return &query.Filter{Op: query.Is, Dim: d, Values: []string{value}}
}

func plainFilters() []plainFilter {
	source, page := leaf(query.Source, "Google"), leaf(query.EventPage, "/a")
	return []plainFilter{
		{"none", nil, anyVisit, nil},
		{"source", source, fromGoogle, nil},
		{"page", page, anyVisit, onPageA},
		{"source and page", &query.Filter{Op: query.And, Children: []*query.Filter{source, page}}, fromGoogle, onPageA},
	}
}

// matching gives the events of v in the range that match.
func (f plainFilter) matching(v *plainVisit, from, to int64) (out []analytics.Event) {
	for _, e := range v.all {
		if e.Time >= from && e.Time < to && f.visit(v) && (f.event == nil || f.event(e)) {
			out = append(out, e)
		}
	}
	return out
}

// holds tells whether the visit is one of the question's.
func (f plainFilter) holds(v *plainVisit, from, to int64) bool {
	if f.event == nil {
		return v.active(from, to) && f.visit(v)
	}
	return slices.ContainsFunc(f.matching(v, from, to), func(e analytics.Event) bool { return e.Kind != analytics.Engagement })
}

// roam fills the diary with random traffic of some days and gives its span.
func (d *diary) roam(r *rand.Rand, n int, pace time.Duration) (from, to int64) {
	start := time.Date(2026, 3, 26, 19, 0, 0, 0, time.UTC).UnixMilli()
	now := start
	for i := range n {
		now += r.Int64N(pace.Milliseconds())
		if r.IntN(4) == 0 {
			now -= now % 60_000 // some at the same millisecond
		}
		e := analytics.Event{Kind: analytics.Pageview, Time: now, Visitor: uint64(r.IntN(9)) + 1, Page: pick(r, []string{"/", "/a", "/a", "/b", "/c/x", "/c/y"}),
			ScrollDepth: analytics.ScrollNone}
		e.Named = e.Visitor <= 3
		e.Acquisition = analytics.Acquisition{Source: pick(r, []string{"", "Google"})}
		e.Place.Country = pick(r, []string{"", "DE", "US"})
		e.Agent.Device = pick(r, []string{"Mobile", "Desktop"})
		switch r.IntN(6) {
		case 0:
			e.Kind, e.Name = analytics.Custom, pick(r, []string{"signup", "buy"})
			if r.IntN(2) == 0 {
				e.Props = []analytics.Prop{{Key: "plan", Value: pick(r, []string{"pro", "free"})}}
			}
		case 1, 2:
			e.Kind, e.EngagedMS = analytics.Engagement, uint32(r.IntN(90_000))
			if r.IntN(4) > 0 {
				e.ScrollDepth = uint8(r.IntN(101))
			}
		}
		if r.IntN(10) == 0 && e.Kind != analytics.Engagement {
			e.Time -= r.Int64N(2 * column.DayMS)
			e.Explicit = true
		}
		d.send(now, e)
		if r.IntN(40) == 0 {
			d.flush()
		}
		if i%7 == 0 {
			d.picture()
		}
	}
	d.layered = r.IntN(2) == 0
	return start - 2*column.DayMS, now + 1
}

// someRange gives a part of a span, often all of it.
func someRange(r *rand.Rand, from, to int64) (int64, int64) {
	switch r.IntN(3) {
	case 0:
		return from, to
	case 1:
		a := from + r.Int64N(to-from)
		return a, a + 1 + r.Int64N(to-a)
	}
	zone := time.UTC
	a := calendar.DateOf(from+r.Int64N(to-from), zone)
	p := calendar.DayPeriod(a, a.AddDays(r.IntN(4)), zone)
	return p.From, p.To
}

func rounds(n int) int {
	if testing.Short() {
		return n / 4
	}
	return n
}

// roams calls check for random traffic, again and again.
func roams(t *testing.T, times int, pace time.Duration, check func(r *rand.Rand, d *diary, from, to int64, name string)) {
	t.Helper()
	for seed := range rounds(times) {
		r := rand.New(rand.NewPCG(uint64(seed), 11))
		d := newDiary(t)
		from, to := d.roam(r, 60+r.IntN(240), pace)
		for k := range 12 {
			check(r, d, from, to, fmt.Sprintf("seed %d.%d", seed, k))
		}
	}
}

// lines shows a result for comparison, one element a line.
func lines[T any](all []T) string {
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, "%+v\n", x)
	}
	return b.String()
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Fatalf("%s\ngot  %s\nwant %s", what, g, w)
	}
}
