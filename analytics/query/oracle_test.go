package query_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
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

// traffic is a site with its records in a map: the machine under test, and every
// event it accepted, for the oracle.
type traffic struct {
	t       *testing.T
	machine *site.Machine
	records map[site.Ref][]byte
	events  []analytics.Event // accepted, in order of arrival
	index   uint64
	days    *session.Plain
}

func newTraffic(t *testing.T) *traffic {
	tr := &traffic{t: t, machine: site.New(1), records: map[site.Ref][]byte{}}
	tr.days = session.NewPlain(tr)
	return tr
}

// picture shows the site as it is now.
func (tr *traffic) picture() *query.Picture {
	return &query.Picture{View: tr.machine.View(), Days: tr.days, Fan: func(_ context.Context, n int, task func(int)) error {
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { task(i) })
		}
		all.Wait()
		return nil
	}}
}

// send applies events as one log entry and gives what became of each.
func (tr *traffic) send(now int64, evs ...analytics.Event) []analytics.Reason {
	tr.t.Helper()
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, now, 1, 1)
	for i := range evs {
		buf = entry.AppendEvent(buf, 1, &evs[i])
	}
	rd, err := entry.Open(buf)
	if err != nil {
		tr.t.Fatal(err)
	}
	items := make([]entry.Item, len(evs))
	for i := range items {
		if ok, err := rd.Next(&items[i]); !ok || err != nil {
			tr.t.Fatal(ok, err)
		}
	}
	for _, r := range tr.machine.Need(rd.Time, items) {
		if err := tr.machine.Provide(r, tr.records[r]); err != nil {
			tr.t.Fatal(err)
		}
	}
	tr.index++
	out := make([]analytics.Reason, len(items))
	tr.machine.Step(tr.index, rd.Time, items, out)
	for i, r := range out {
		if r == analytics.Counted {
			tr.events = append(tr.events, evs[i])
		}
	}
	return out
}

// flush writes the records; restart also forgets the machine and reads it back.
// Mostly days that are over are sealed before.
func (tr *traffic) flush(restart bool) {
	tr.t.Helper()
	rule := site.SealRule{Hurry: tr.index%2 == 0}
	for p, ok := tr.machine.NextSeal(rule); ok && tr.index%3 > 0; p, ok = tr.machine.NextSeal(rule) {
		if err := tr.machine.SealPart(p, tr.records); err != nil {
			tr.t.Fatal(err)
		}
	}
	for _, w := range tr.machine.Flush() {
		if w.Value == nil {
			delete(tr.records, w.Ref)
		} else {
			tr.records[w.Ref] = w.Value
		}
	}
	header, ok := tr.records[site.Ref{}]
	if !restart || !ok {
		return
	}
	m, window, err := site.Restore(1, header)
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, r := range window {
		if err := m.ProvideWindow(r, tr.records[r]); err != nil {
			tr.t.Fatal(err)
		}
	}
	tr.machine = m
}

func (tr *traffic) Events(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Events, error) {
	return column.DecodeEvents(tr.records[r])
}

func (tr *traffic) Visits(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Visits, error) {
	return column.DecodeVisits(tr.records[r])
}

func (tr *traffic) Sealed(_ context.Context, _ analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	return column.DecodeSealed(tr.records[r], nil)
}

// The oracle: visits made anew from the accepted events, everything counted by
// maps, without columns, blocks, groups or numbers for texts.

type oracleVisit struct {
	visitor     uint64
	events      []analytics.Event // all but engagements, by time
	engagements []analytics.Event
	first       analytics.Event
}

func (v *oracleVisit) views() (out []analytics.Event) {
	for _, e := range v.events {
		if e.Kind == analytics.Pageview {
			out = append(out, e)
		}
	}
	return out
}

// who tells visitors apart: those whose id does not last are others every day.
func (v *oracleVisit) who(lasting bool) string {
	if lasting || v.first.Named {
		return fmt.Sprint(v.visitor)
	}
	return fmt.Sprint(v.visitor, "@", column.DayOf(v.first.Time))
}

func (v *oracleVisit) last() int64 { return v.events[len(v.events)-1].Time }

func (v *oracleVisit) bounced() bool {
	for _, e := range v.events {
		if e.Kind == analytics.Custom && !e.NonInteractive {
			return false
		}
	}
	return len(v.views()) < 2
}

func oracleVisits(events []analytics.Event) []*oracleVisit {
	byVisitor := map[uint64][]analytics.Event{}
	for _, e := range events {
		byVisitor[e.Visitor] = append(byVisitor[e.Visitor], e)
	}
	var out []*oracleVisit
	for id, evs := range byVisitor {
		sort.SliceStable(evs, func(i, j int) bool { return evs[i].Time < evs[j].Time })
		var cur *oracleVisit
		last := int64(math.MinInt64 / 2)
		for _, e := range evs {
			if e.Time-last >= 31*60*1000 {
				cur = &oracleVisit{visitor: id}
				out = append(out, cur)
			}
			last = e.Time
			if e.Kind == analytics.Engagement {
				cur.engagements = append(cur.engagements, e)
				continue
			}
			if len(cur.events) == 0 {
				cur.first = e
			}
			cur.events = append(cur.events, e)
		}
	}
	return out
}

func orMissing(s, missing string) string {
	if s == "" {
		return missing
	}
	return s
}

// visitValue gives a visit-scoped dimension's value, "" if missing.
func visitValue(v *oracleVisit, d query.Dimension) (string, string) {
	views := v.views()
	switch d {
	case query.EntryPage:
		if len(views) == 0 {
			return "", "(not set)"
		}
		return views[0].Page, "(not set)"
	case query.ExitPage:
		if len(views) == 0 {
			return "", "(not set)"
		}
		return views[len(views)-1].Page, "(not set)"
	case query.Source:
		return v.first.Acquisition.Source, "Direct / None"
	case query.Country:
		return v.first.Place.Country, "(not set)"
	case query.Browser:
		return v.first.Agent.Browser, "(not set)"
	case query.Device:
		return v.first.Agent.Device, "(not set)"
	case query.UTMCampaign:
		return v.first.Acquisition.Campaign, "(not set)"
	}
	panic(d)
}

func eventValue(e analytics.Event, d query.Dimension) (string, string) {
	switch d {
	case query.EventPage:
		return e.Page, "(not set)"
	case query.EventName:
		if e.Kind == analytics.Pageview {
			return "pageview", ""
		}
		return e.Name, ""
	case query.PropsPrefix + "plan":
		for _, p := range e.Props {
			if p.Key == "plan" {
				return p.Value, "(none)"
			}
		}
		return "", "(none)"
	}
	panic(d)
}

func oracleLeaf(f *query.Filter, value, missing string) bool {
	match := false
	for _, want := range f.Values {
		switch f.Op {
		case query.Is:
			match = match || orMissing(value, missing) == want
		case query.Contains:
			match = match || value != "" && strings.Contains(value, want)
		}
	}
	if f.Negated {
		if value == "" && f.Op != query.Is && f.Dim.EventScoped() && strings.HasPrefix(string(f.Dim), query.PropsPrefix) {
			return false
		}
		return !match
	}
	return match
}

func oracleMatch(f *query.Filter, v *oracleVisit, e analytics.Event) bool {
	if f == nil {
		return true
	}
	switch f.Op {
	case query.And:
		for _, c := range f.Children {
			if !oracleMatch(c, v, e) {
				return false
			}
		}
		return true
	case query.Or:
		for _, c := range f.Children {
			if oracleMatch(c, v, e) {
				return true
			}
		}
		return false
	case query.Not:
		return !oracleMatch(f.Children[0], v, e)
	}
	if f.Dim.VisitScoped() {
		value, missing := visitValue(v, f.Dim)
		return oracleLeaf(f, value, missing)
	}
	if f.Dim == query.EventName && e.Kind == analytics.Engagement {
		return true
	}
	value, missing := eventValue(e, f.Dim)
	return oracleLeaf(f, value, missing)
}

func hasEventLeaf(f *query.Filter) bool {
	if f == nil {
		return false
	}
	if len(f.Children) == 0 {
		return f.Dim.EventScoped()
	}
	for _, c := range f.Children {
		if hasEventLeaf(c) {
			return true
		}
	}
	return false
}

func replaced(f *query.Filter, from, to query.Dimension) *query.Filter {
	if f == nil {
		return nil
	}
	g := *f
	if g.Dim == from {
		g.Dim = to
	}
	g.Children = nil
	for _, c := range f.Children {
		g.Children = append(g.Children, replaced(c, from, to))
	}
	return &g
}

// oracle answers one metric as a map from the row's dimensions to its figure.
func oracle(events []analytics.Event, q query.Question, m query.Metric) map[string]string {
	if pageBound(q, m) {
		to := query.EntryPage
		if m == query.Exits {
			to = query.ExitPage
		}
		c := q
		c.Filter = replaced(q.Filter, query.EventPage, to)
		c.Dimensions = nil
		for _, d := range q.Dimensions {
			if d == query.EventPage {
				d = to
			}
			c.Dimensions = append(c.Dimensions, d)
		}
		return oracle(events, c, m)
	}
	byEvents := hasEventLeaf(q.Filter)
	var interval *query.Dimension
	for i, d := range q.Dimensions {
		byEvents = byEvents || d.EventScoped()
		if _, ok := query.IntervalOf(d); ok {
			interval = &q.Dimensions[i]
		}
	}
	buckets := q.Buckets()
	label := func(t int64) string {
		t = min(max(t, q.From), q.To-1)
		for i, b := range buckets {
			if t >= b.From && t < b.To {
				return fmt.Sprintf("%s#%d", b.Label, i)
			}
		}
		return ""
	}
	key := func(v *oracleVisit, e analytics.Event, at string) string {
		var parts []string
		for _, d := range q.Dimensions {
			switch {
			case interval != nil && d == *interval:
				parts = append(parts, at)
			case d.VisitScoped():
				value, missing := visitValue(v, d)
				parts = append(parts, orMissing(value, missing))
			default:
				value, missing := eventValue(e, d)
				parts = append(parts, orMissing(value, missing))
			}
		}
		return strings.Join(parts, "|")
	}
	in := func(e analytics.Event) bool { return e.Time >= q.From && e.Time < q.To }

	sets := map[string]map[string]bool{} // row -> distinct things
	note := func(row, thing string) {
		if sets[row] == nil {
			sets[row] = map[string]bool{}
		}
		sets[row][thing] = true
	}
	sum := map[string]float64{}
	num := map[string]float64{}
	add := func(row string, x float64) { sum[row] += x; num[row]++ }
	count := func() map[string]string {
		out := map[string]string{}
		for row, s := range sets {
			out[row] = fmt.Sprint(len(s))
		}
		return out
	}
	type rowVisit struct {
		row string
		v   *oracleVisit
	}
	whole := map[rowVisit]bool{} // visits whose session figures count in the row
	for _, v := range oracleVisits(events) {
		if byEvents {
			for _, e := range v.events {
				if !in(e) || !oracleMatch(q.Filter, v, e) {
					continue
				}
				row := key(v, e, label(e.Time))
				switch m {
				case query.Visitors:
					note(row, v.who(q.Lasting))
				case query.Visits:
					note(row, fmt.Sprintf("%p", v))
				}
				whole[rowVisit{key(v, e, label(v.last())), v}] = true
			}
		} else if active := v.events[0].Time < q.To && v.last() >= q.From; active && oracleMatch(q.Filter, v, v.first) {
			rows := map[string]bool{key(v, v.first, label(v.last())): true}
			lastRow := key(v, v.first, label(v.last()))
			if interval != nil && *interval == query.TimeHour {
				for i, b := range buckets {
					if v.events[0].Time < b.To && v.last() >= b.From {
						rows[key(v, v.first, fmt.Sprintf("%s#%d", b.Label, i))] = true
					}
				}
			}
			for row := range rows {
				switch m {
				case query.Visitors:
					note(row, v.who(q.Lasting))
				case query.Visits:
					note(row, fmt.Sprintf("%p", v))
				}
				if m != query.VisitDuration || row == lastRow {
					whole[rowVisit{row, v}] = true
				}
			}
		}
		if m == query.Pageviews || m == query.Events {
			for _, e := range v.events {
				if in(e) && oracleMatch(q.Filter, v, e) {
					row := key(v, e, label(e.Time))
					if m == query.Events || e.Kind == analytics.Pageview {
						sum[row]++
					} else {
						sum[row] += 0
					}
				}
			}
		}
	}
	for rv := range whole {
		switch m {
		case query.ViewsPerVisit:
			add(rv.row, float64(len(rv.v.views())))
		case query.BounceRate:
			x := 0.0
			if rv.v.bounced() {
				x = 100
			}
			add(rv.row, x)
		case query.VisitDuration:
			add(rv.row, float64(rv.v.last()-rv.v.events[0].Time)/1000)
		case query.Entries, query.Exits:
			x := 0.0
			if len(rv.v.views()) > 0 {
				x = 1
			}
			sum[rv.row] += x
		}
	}
	out := map[string]string{}
	switch m {
	case query.Visitors, query.Visits:
		return count()
	case query.Pageviews, query.Events, query.Entries, query.Exits:
		for row, x := range sum {
			out[row] = fmt.Sprint(x)
		}
	case query.ViewsPerVisit:
		for row, x := range sum {
			out[row] = fmt.Sprint(math.Round(x/num[row]*100) / 100)
		}
	default:
		for row, x := range sum {
			out[row] = fmt.Sprint(math.Round(x / num[row]))
		}
	}
	return out
}

// pageBound tells whether the metric is asked of the page entered or left.
func pageBound(q query.Question, m query.Metric) bool {
	paged := strings.Contains(fmt.Sprint(q.Dimensions), "event:page") || pageFiltered(q.Filter)
	return paged && (m == query.BounceRate || m == query.Entries || m == query.Exits)
}

func pageFiltered(f *query.Filter) bool {
	if f == nil {
		return false
	}
	if len(f.Children) == 0 {
		return f.Dim == query.EventPage
	}
	for _, c := range f.Children {
		if pageFiltered(c) {
			return true
		}
	}
	return false
}

// engine gives the same map from the engine's answer.
func engine(t *testing.T, tr *traffic, q query.Question, m query.Metric) map[string]string {
	t.Helper()
	q.Metrics = []query.Metric{m}
	a, err := tr.picture().Ask(context.Background(), &q)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	buckets := q.Buckets()
	used := map[string]int{} // which of several buckets of one name
	for _, r := range a.Rows {
		parts := append([]string(nil), r.Dims...)
		for i, d := range q.Dimensions {
			if _, ok := query.IntervalOf(d); !ok {
				continue
			}
			rest := strings.Join(append(append([]string(nil), r.Dims[:i]...), r.Dims[i+1:]...), "|")
			var at []int
			for k, b := range buckets {
				if b.Label == r.Dims[i] {
					at = append(at, k)
				}
			}
			k := at[min(used[rest+r.Dims[i]], len(at)-1)]
			if len(at) > 1 {
				return nil // an hour that occurs twice: the rows cannot be told apart by name
			}
			used[rest+r.Dims[i]]++
			parts[i] = fmt.Sprintf("%s#%d", r.Dims[i], k)
		}
		v := r.Values[0]
		if v.Null {
			continue
		}
		out[strings.Join(parts, "|")] = fmt.Sprint(v.Number)
	}
	return out
}

var (
	oraclePages   = []string{"/", "/a", "/b", "/shop/x", "/shop/y", "/blog"}
	oracleSources = []string{"", "Google", "Bing", "X"}
	oracleNames   = []string{"signup", "buy"}
)

func pick[T any](r *rand.Rand, s []T) T { return s[r.IntN(len(s))] }

// randomEvent is an event of one of a few visitors around time t.
func randomEvent(r *rand.Rand, t int64, id uint64) analytics.Event {
	e := analytics.Event{Kind: analytics.Pageview, Time: t, ID: id, Visitor: uint64(r.IntN(12)) + 1, Page: pick(r, oraclePages), Host: "example.com",
		ScrollDepth: analytics.ScrollNone}
	e.Acquisition = analytics.Acquisition{Source: pick(r, oracleSources), Channel: "Direct", Campaign: pick(r, []string{"", "spring"})}
	e.Place.Country = pick(r, []string{"", "DE", "US"})
	e.Agent = analytics.Agent{Browser: pick(r, []string{"Chrome", "Firefox"}), Device: pick(r, []string{"Desktop", "Mobile"})}
	switch r.IntN(6) {
	case 0:
		e.Kind, e.Name, e.NonInteractive = analytics.Custom, pick(r, oracleNames), r.IntN(2) == 0
		if r.IntN(2) == 0 {
			e.Props = []analytics.Prop{{Key: "plan", Value: pick(r, []string{"pro", "free"})}}
		}
	case 1:
		e.Kind, e.EngagedMS = analytics.Engagement, uint32(r.IntN(60000))
	}
	return e
}

func randomFilter(r *rand.Rand, depth int) *query.Filter {
	if depth > 0 && r.IntN(2) == 0 {
		f := &query.Filter{Op: pick(r, []query.Op{query.And, query.Or, query.Not})}
		n := 2
		if f.Op == query.Not {
			n = 1
		}
		for range n {
			f.Children = append(f.Children, randomFilter(r, depth-1))
		}
		return f
	}
	f := &query.Filter{Op: pick(r, []query.Op{query.Is, query.Contains}), Negated: r.IntN(3) == 0}
	switch r.IntN(8) {
	case 0:
		f.Dim, f.Values = query.EventPage, []string{pick(r, oraclePages)}
	case 1:
		f.Dim, f.Values = query.EventName, []string{pick(r, append(oracleNames, "pageview"))}
	case 2:
		f.Dim, f.Values = query.PropsPrefix+"plan", []string{pick(r, []string{"pro", "(none)"})}
	case 3:
		f.Dim, f.Values = query.Source, []string{pick(r, []string{"Google", "Direct / None", "X"}), "Bing"}
	case 4:
		f.Dim, f.Values = query.Country, []string{pick(r, []string{"DE", "(not set)"})}
	case 5:
		f.Dim, f.Values = query.EntryPage, []string{pick(r, oraclePages)}
	case 6:
		f.Dim, f.Values = query.ExitPage, []string{pick(r, oraclePages)}
	case 7:
		f.Dim, f.Values = query.Device, []string{"Mobile"}
	}
	return f
}

func TestAnswersEqualAPlainCountOverRawEvents(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"}
	starts := []string{"2026-03-27T20:00:00Z", "2026-10-23T20:00:00Z", "2026-06-10T23:00:00Z", "2024-02-28T12:00:00Z"}
	checked := 0
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		tr := newTraffic(t)
		zone, _ := time.LoadLocation(pick(r, zones))
		start, _ := time.Parse(time.RFC3339, pick(r, starts))
		now := start.UnixMilli()
		for i := range 150 + r.IntN(250) {
			now += int64(r.IntN(40 * 60 * 1000))
			if r.IntN(30) == 0 {
				now += int64(r.IntN(20)) * 3600_000
			}
			ev := randomEvent(r, now, uint64(seed*100000+i+1))
			if r.IntN(8) == 0 { // a late one, with its own time
				ev.Time -= int64(r.IntN(3 * 24 * 3600_000))
				ev.Explicit = true
				if ev.Kind == analytics.Engagement {
					ev.Kind, ev.EngagedMS = analytics.Pageview, 0
				}
			}
			tr.send(now, ev)
			if r.IntN(12) == 0 {
				if got := tr.send(now, ev); got[0] == analytics.Counted {
					t.Fatalf("seed %d: the second arrival of event %d was counted", seed, i)
				}
			}
			if r.IntN(25) == 0 {
				tr.flush(r.IntN(2) == 0)
			}
		}
		for k := range 30 {
			q := randomQuestion(r, start, now, zone)
			m := pick(r, []query.Metric{query.Visitors, query.Visits, query.Pageviews, query.Events, query.ViewsPerVisit,
				query.BounceRate, query.VisitDuration, query.Entries, query.Exits})
			got := engine(t, tr, q, m)
			if got == nil {
				continue
			}
			want := oracle(tr.events, q, m)
			if pageBound(q, m) { // rows are those of matching events, whoever enters elsewhere
				for row := range want {
					if _, ok := got[row]; !ok {
						delete(want, row)
					}
				}
			}
			compareRows(t, fmt.Sprintf("seed %d question %d: %s by %v, %s, %d–%d, filter %s", seed, k, m, q.Dimensions, q.Zone, q.From, q.To, show(q.Filter)), got, want)
			checked++
		}
	}
	t.Logf("%d questions agree", checked)
}

func randomQuestion(r *rand.Rand, start time.Time, now int64, zone *time.Location) query.Question {
	q := query.Question{Zone: zone, Now: now}
	days := int(now-start.UnixMilli())/column.DayMS + 2
	a := start.In(zone).AddDate(0, 0, r.IntN(days)-1)
	b := a.AddDate(0, 0, r.IntN(days))
	q.From, q.To = calendar.Range(a, b, zone)
	if r.IntN(3) > 0 {
		q.Filter = randomFilter(r, 2)
	}
	if r.IntN(2) == 0 {
		q.Dimensions = append(q.Dimensions, pick(r, []query.Dimension{query.TimeHour, query.TimeDay, query.TimeWeek, query.TimeMonth}))
	}
	for _, d := range []query.Dimension{query.EventPage, query.EventName, query.PropsPrefix + "plan", query.Source, query.Country, query.EntryPage, query.Browser} {
		if r.IntN(8) == 0 && len(q.Dimensions) < 3 {
			q.Dimensions = append(q.Dimensions, d)
		}
	}
	return q
}

func show(f *query.Filter) string {
	if f == nil {
		return "none"
	}
	if len(f.Children) == 0 {
		return fmt.Sprintf("(%d %s %v neg=%v)", f.Op, f.Dim, f.Values, f.Negated)
	}
	var parts []string
	for _, c := range f.Children {
		parts = append(parts, show(c))
	}
	return fmt.Sprintf("[%d %s]", f.Op, strings.Join(parts, " "))
}

// compareRows allows rows of 0 on either side: a row can be there for another
// metric's sake.
func compareRows(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for row, w := range want {
		g, ok := got[row]
		if !ok {
			g = "0"
		}
		if g != w {
			t.Fatalf("%s\nrow %q: got %s, want %s\ngot  %v\nwant %v", what, row, g, w, got, want)
		}
	}
	for row, g := range got {
		if _, ok := want[row]; !ok && g != "0" {
			t.Fatalf("%s\nrow %q: got %s, want no such row", what, row, g)
		}
	}
}
