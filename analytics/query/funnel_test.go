package query_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

var funnelGoals = []analytics.Goal{
	{Kind: analytics.GoalPage, Name: "home", Page: "/"},
	{Kind: analytics.GoalPage, Name: "a", Page: "/a"},
	{Kind: analytics.GoalPage, Name: "c", Page: "/c/*"},
	{Kind: analytics.GoalPage, Name: "any", Page: "**"},
	{Kind: analytics.GoalEvent, Name: "signup", Event: "signup"},
	{Kind: analytics.GoalEvent, Name: "buy pro", Event: "buy", Props: []analytics.Prop{{Key: "plan", Value: "pro"}}},
	{Kind: analytics.GoalEvent, Name: "view", Event: "pageview"},
	{Kind: analytics.GoalScroll, Name: "half of a", Page: "/a", Scroll: 50},
}

// plainReach tells whether an event reaches a goal, for the globs above.
func plainReach(g analytics.Goal, e analytics.Event) bool {
	fits := g.Page == e.Page || g.Page == "**" || g.Page == "/c/*" && strings.HasPrefix(e.Page, "/c/")
	switch g.Kind {
	case analytics.GoalPage:
		return e.Kind == analytics.Pageview && fits
	case analytics.GoalScroll:
		return e.Kind == analytics.Engagement && fits && e.ScrollDepth != analytics.ScrollNone && e.ScrollDepth >= g.Scroll
	}
	if g.Event == "pageview" {
		return e.Kind == analytics.Pageview
	}
	if e.Kind != analytics.Custom || e.Name != g.Event {
		return false
	}
	for _, p := range g.Props {
		if !slices.Contains(e.Props, p) {
			return false
		}
	}
	return true
}

// plainChain gives the times of the chain that counts: every event that reaches
// the first step is tried as the beginning, each later step as early as can be.
func plainChain(events []analytics.Event, steps []analytics.Goal, window int64) []int64 {
	var best []int64
	for _, first := range events {
		if !plainReach(steps[0], first) {
			continue
		}
		chain := []int64{first.Time}
		for _, g := range steps[1:] {
			next := int64(math.MaxInt64)
			for _, e := range events {
				if e.Time > chain[len(chain)-1] && plainReach(g, e) {
					next = min(next, e.Time)
				}
			}
			if next == math.MaxInt64 || window > 0 && next-first.Time > window {
				break
			}
			chain = append(chain, next)
		}
		n := len(chain)
		better := n > len(best) || n == len(best) && (chain[n-1] < best[n-1] || chain[n-1] == best[n-1] && chain[0] > best[0])
		if better {
			best = chain
		}
	}
	return best
}

func plainFunnel(d *diary, f *query.Funnel, steps []analytics.Goal, filter plainFilter) []query.FunnelStep {
	n := len(steps)
	visits, people, times := make([]int, n), make([]map[string]bool, n), make([][]int64, n)
	for k := range people {
		people[k] = map[string]bool{}
	}
	note := func(person string, chain []int64) {
		for k := range chain {
			people[k][person] = true
			if k > 0 {
				times[k] = append(times[k], (chain[k]-chain[k-1])/1000)
			}
		}
	}
	together := map[string][]analytics.Event{}
	for _, v := range d.visits() {
		if !filter.holds(v, f.From, f.To) {
			continue
		}
		var events []analytics.Event
		for _, e := range v.all {
			if e.Time >= f.From && e.Time < f.To {
				events = append(events, e)
			}
		}
		person := v.person(f.Lasting)
		if f.Window > 0 {
			together[person] = append(together[person], events...)
			continue
		}
		chain := plainChain(events, steps, 0)
		for k := range chain {
			visits[k]++
		}
		note(person, chain)
	}
	for person, events := range together {
		note(person, plainChain(events, steps, f.Window.Milliseconds()))
	}
	percent := func(a, b int) query.Value {
		if b == 0 {
			return query.Value{Null: true}
		}
		return query.Value{Number: math.Round(100*float64(a)/float64(b)*100) / 100}
	}
	out := make([]query.FunnelStep, n)
	for k := range out {
		out[k] = query.FunnelStep{Name: steps[k].Name, Visitors: len(people[k]), Visits: visits[k], FromStart: percent(len(people[k]), len(people[0])),
			FromBefore: query.Value{Null: true}, Median: query.Value{Null: true}}
		if k == 0 {
			continue
		}
		out[k].FromBefore = percent(len(people[k]), len(people[k-1]))
		out[k].Dropped = len(people[k-1]) - len(people[k])
		out[k].Median = plainQuantile(times[k], 0.5)
	}
	return out
}

func plainQuantile(times []int64, q float64) query.Value {
	if len(times) == 0 {
		return query.Value{Null: true}
	}
	slices.Sort(times)
	return query.Value{Number: float64(times[int(math.Ceil(float64(len(times))*q-1e-9))-1])}
}

func TestFunnelsEqualEveryChainTried(t *testing.T) {
	t.Parallel()
	deepest := 0
	roams(t, 60, 5*time.Minute, func(r *rand.Rand, d *diary, from, to int64, name string) {
		f := &query.Funnel{Lasting: r.IntN(2) == 0}
		f.From, f.To = someRange(r, from, to)
		if r.IntN(2) == 0 {
			f.Window = pick(r, []time.Duration{time.Minute, 20 * time.Minute, 3 * time.Hour, 24 * time.Hour, 5 * 24 * time.Hour})
		}
		var steps []analytics.Goal
		for range 2 + r.IntN(4) {
			g := pick(r, funnelGoals)
			steps, f.Steps = append(steps, g), append(f.Steps, query.CompileGoal(g))
		}
		filter := pick(r, plainFilters())
		f.Filter = filter.filter
		got, err := d.picture().Funnel(context.Background(), f)
		if err != nil {
			t.Fatal(err)
		}
		for k, s := range got.Steps {
			if s.Visitors > 0 {
				deepest = max(deepest, k+1)
			}
		}
		same(t, fmt.Sprintf("%s: funnel %v window %v lasting %v filter %s %d–%d", name, steps, f.Window, f.Lasting, filter.name, f.From, f.To),
			lines(got.Steps), lines(plainFunnel(d, f, steps, filter)))
	})
	if deepest < 5 {
		t.Errorf("the longest chain of the traffic has only %d steps", deepest)
	}
}

// A visitor may begin twice. The first beginning is too early for the window, so
// that taking the earliest event of each step would lose them.
func TestAVisitorWhoBeginsTwiceGetsAsFarAsTheBetterBeginning(t *testing.T) {
	d := newDiary(t)
	for _, e := range []struct {
		minute int64
		page   string
	}{{0, "/a"}, {5, "/b"}, {55, "/a"}, {56, "/b"}, {58, "/c/x"}} {
		d.send(e.minute*60_000, analytics.Event{Time: e.minute * 60_000, Visitor: 1, Page: e.page})
	}
	// The gap of 50 minutes makes two visits.
	f := &query.Funnel{To: 1 << 40, Window: 10 * time.Minute}
	for _, page := range []string{"/a", "/b", "/c/*"} {
		f.Steps = append(f.Steps, query.CompileGoal(analytics.Goal{Kind: analytics.GoalPage, Name: page, Page: page}))
	}
	got, err := d.picture().Funnel(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Steps[2]; s.Visitors != 1 || s.Median.Number != 120 {
		t.Errorf("got %+v, want one visitor who took 2 minutes", s)
	}
	if s := got.Steps[1]; s.Visitors != 1 || s.Median.Number != 60 {
		t.Errorf("got %+v, want the minute of the second beginning", s)
	}
}

func TestFunnelsAreBounded(t *testing.T) {
	d := newDiary(t)
	for i := range int64(20) {
		d.send(i*1000, analytics.Event{Time: i * 1000, Visitor: uint64(i) + 1, Page: "/a", Named: true})
	}
	goal := query.CompileGoal(analytics.Goal{Kind: analytics.GoalPage, Page: "/a"})
	steps := func(n int) (out []*query.Goal) {
		for range n {
			out = append(out, goal)
		}
		return out
	}
	for _, c := range []struct {
		name string
		f    query.Funnel
		code analytics.Code
		text string
	}{
		{"one step", query.Funnel{To: 1 << 40, Steps: steps(1)}, analytics.Invalid, "steps: must be 2 to 20, not 1"},
		{"too many steps", query.Funnel{To: 1 << 40, Steps: steps(21)}, analytics.Invalid, "steps: must be 2 to 20, not 21"},
		{"a long window", query.Funnel{To: 1 << 40, Steps: steps(2), Window: 91 * 24 * time.Hour}, analytics.Invalid, "window: must be at most 90 days"},
		{"many visitors in a window", query.Funnel{To: 1 << 40, Steps: steps(2), Window: time.Hour, VisitorsMax: 19}, analytics.TooLarge, "date_range: more than 19 visitors"},
		{"many visitors in visits", query.Funnel{To: 1 << 40, Steps: steps(2), VisitorsMax: 19}, analytics.TooLarge, "date_range: more than 19 visitors"},
	} {
		_, err := d.picture().Funnel(context.Background(), &c.f)
		if err == nil || analytics.CodeOf(err) != c.code || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if _, err := d.picture().Funnel(context.Background(), &query.Funnel{To: 1 << 40, Steps: steps(20), VisitorsMax: 20}); err != nil {
		t.Errorf("as many visitors as are allowed: %v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.picture().Funnel(gone, &query.Funnel{To: 1 << 40, Steps: steps(2)}); err == nil {
		t.Error("a funnel goes on although nobody waits for it")
	}
}
