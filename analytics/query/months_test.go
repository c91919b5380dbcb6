package query

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"footfall/analytics/calendar"
)

// viewed is a visit of one visitor with one page view.
type viewed struct {
	at           int64
	page, source string
}

// plainAsker counts a list of visits the obvious way.
type plainAsker struct {
	t     *testing.T
	views []viewed
	asked []string
	zone  *time.Location
}

func (p *plainAsker) ask(q *Question) (*Answer, error) {
	day := func(ms int64) string { return time.UnixMilli(ms).In(p.zone).Format("0102T15") }
	p.asked = append(p.asked, fmt.Sprint(q.Dimensions, day(q.From), day(q.To)))
	counts := map[string]float64{}
	for _, v := range p.views {
		if v.at < q.From || v.at >= q.To {
			continue
		}
		key := ""
		if len(q.Dimensions) > 0 {
			switch q.Dimensions[0] {
			case TimeMonth:
				key = time.UnixMilli(v.at).In(p.zone).Format("2006-01") + "-01"
			case EventPage:
				key = v.page
			case Source:
				key = v.source
			default:
				p.t.Fatalf("asked by %v", q.Dimensions)
			}
		}
		counts[key]++
	}
	a := &Answer{Index: 1}
	for key, n := range counts {
		r := Row{Dims: []string{key}}
		for _, m := range q.Metrics {
			v := Value{Number: n}
			switch m {
			case ViewsPerVisit:
				v.Number = 1
			case BounceRate:
				v.Number = 100
			case VisitDuration:
				v.Number = 0
			}
			r.Values = append(r.Values, v)
		}
		a.Rows = append(a.Rows, r)
	}
	slices.SortFunc(a.Rows, func(x, y Row) int {
		return cmp.Or(cmp.Compare(y.Values[0].Number, x.Values[0].Number), cmp.Compare(x.Dims[0], y.Dims[0]))
	})
	if q.Limit > 0 && len(a.Rows) > q.Limit {
		a.Rows = a.Rows[:q.Limit]
	}
	return a, nil
}

func berlin(t *testing.T) *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// views makes n visits at a local time.
func views(zone *time.Location, when, page, source string, n int) []viewed {
	at, err := time.ParseInLocation("2006-01-02 15:04", when, zone)
	if err != nil {
		panic(err)
	}
	return slices.Repeat([]viewed{{at.UnixMilli(), page, source}}, n)
}

func TestMonthsOfASite(t *testing.T) {
	zone := berlin(t)
	p := &plainAsker{t: t, zone: zone, views: slices.Concat(
		views(zone, "2025-04-20 10:00", "/old", "Google", 4),
		views(zone, "2025-05-02 10:00", "/", "Google", 10),
		views(zone, "2025-05-20 10:00", "/", "Bing", 30), // after the same part
		views(zone, "2026-02-27 10:00", "/", "Bing", 8),
		// Nothing in March.
		views(zone, "2026-04-05 10:00", "/", "Google", 20),
		views(zone, "2026-04-13 14:29", "/new", "Google", 5),
		views(zone, "2026-04-13 14:30", "/new", "Google", 25), // not the same part any more
		views(zone, "2026-05-01 00:00", "/", "Bing", 20),
		views(zone, "2026-05-13 14:00", "/newer", "Google", 30),
	)}
	now := views(zone, "2026-05-13 14:30", "", "", 1)[0].at
	m := Months{First: p.views[0].at, Now: now, End: calendar.DateOf(now, zone), Count: 4, Zone: zone}
	got, err := m.Status(p.ask)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		label          string
		partial        bool
		elapsed, days  int
		visits         float64
		newPages       int
		pages, sources string
		month, year    string // change of visits and bounce rate
	}{
		{"2026-05", true, 13, 31, 50, 1, "/newer 30, / 20", "Google 30, Bing 20", "100 0", "400 0"},
		{"2026-04", false, 30, 30, 50, 1, "/new 30, / 20", "Google 50", "100 100", "1150 0"},
		{"2026-03", false, 31, 31, 0, 0, "", "", "-100 -100", "none"},
		{"2026-02", false, 28, 28, 8, 0, "/ 8", "Bing 8", "100 100", "none"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d months, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		var pages, sources []string
		for _, p := range g.BestPages {
			pages = append(pages, fmt.Sprint(p.Page, " ", p.Pageviews.Number))
		}
		for _, s := range g.BestSources {
			sources = append(sources, fmt.Sprint(s.Source, " ", s.Visits.Number))
		}
		if g.Start.MonthLabel() != w.label || g.Partial != w.partial || g.DaysElapsed != w.elapsed || g.Days != w.days ||
			g.Figures[0].Number != w.visits || g.NewPages != w.newPages ||
			join(pages) != w.pages || join(sources) != w.sources || change(g.MonthChange) != w.month || change(g.YearChange) != w.year {
			t.Errorf("got %+v, pages %s, sources %s\nwant %+v", g, join(pages), join(sources), w)
		}
	}
}

func join(list []string) string {
	out := ""
	for i, s := range list {
		if i > 0 {
			out += ", "
		}
		out += s
	}
	return out
}

func change(c []int) string {
	if c == nil {
		return "none"
	}
	return fmt.Sprint(c[0], " ", c[4])
}

func TestMonthsBeginWithTheFirstEvent(t *testing.T) {
	zone := berlin(t)
	// The first event is in UTC's January and in Berlin's February.
	p := &plainAsker{t: t, zone: zone, views: views(zone, "2026-02-01 00:30", "/", "Google", 1)}
	now := views(zone, "2026-03-02 12:00", "", "", 1)[0].at
	m := Months{First: p.views[0].at, Now: now, End: calendar.DateOf(now, zone), Count: 24, Zone: zone}
	got, err := m.Status(p.ask)
	if err != nil || len(got) != 2 || got[1].Start.MonthLabel() != "2026-02" || got[1].MonthChange != nil || got[0].MonthChange == nil || got[0].YearChange != nil {
		t.Errorf("got %+v %v", got, err)
	}
	m.End = calendar.Date{Year: 2026, Month: time.January, Day: 1}
	if got, err := m.Status(p.ask); len(got) != 0 || err != nil {
		t.Errorf("months before the first event: %+v %v", got, err)
	}
}

func TestAMonthDoesNotDependOnTheOthersAskedFor(t *testing.T) {
	zone := berlin(t)
	p := &plainAsker{t: t, zone: zone}
	for d := range 400 {
		day := time.Date(2025, 1, 1+d, 12, 0, 0, 0, zone)
		p.views = append(p.views, views(zone, day.Format("2006-01-02 15:04"), fmt.Sprint("/", d%40, d/90), "Google", 1+d%7)...)
	}
	now := p.views[len(p.views)-1].at + 1
	status := func(count int, end calendar.Date) []MonthStatus {
		got, err := Months{First: p.views[0].at, Now: now, End: end, Count: count, Zone: zone}.Status(p.ask)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	all := status(120, calendar.DateOf(now, zone))
	for _, want := range all {
		if got := status(1, want.Start); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", []MonthStatus{want}) {
			t.Errorf("alone %+v\namong all %+v", got, want)
		}
	}
}

func TestMonthsPassErrorsOn(t *testing.T) {
	zone := berlin(t)
	p := &plainAsker{t: t, zone: zone, views: slices.Concat(views(zone, "2025-01-05 10:00", "/", "Google", 3), views(zone, "2026-02-05 10:00", "/", "Google", 3), views(zone, "2026-03-01 10:00", "/", "Google", 3))}
	now := views(zone, "2026-03-02 12:00", "", "", 1)[0].at
	m := Months{First: p.views[0].at, Now: now, End: calendar.DateOf(now, zone), Count: 2, Zone: zone}
	if _, err := m.Status(p.ask); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	for fail := range len(p.asked) {
		n := 0
		_, err := m.Status(func(q *Question) (*Answer, error) {
			if n++; n > fail {
				return nil, boom
			}
			return p.ask(q)
		})
		if !errors.Is(err, boom) {
			t.Errorf("question %d: %v", fail, err)
		}
	}
}
