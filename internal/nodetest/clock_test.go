package nodetest

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"footfall/internal/testnode"
)

// at is a time in 2026, UTC.
func at(month time.Month, day, hour, minute int) time.Time {
	return time.Date(2026, month, day, hour, minute, 0, 0, time.UTC)
}

// visit is a view at a time.
type visit struct {
	at    time.Time
	views []testnode.View
}

// replay turns the clock from visit to visit.
func replay(t *testing.T, n *testnode.Node, visits []visit) {
	t.Helper()
	for _, v := range visits {
		n.SetClock(t, v.at)
		for _, view := range v.views {
			if a, err := n.Send(t.Context(), view); err != nil || a.Status != http.StatusAccepted || a.Dropped() != "" {
				t.Fatalf("%v: %d %s %s %v", v.at, a.Status, a.Body, a.Dropped(), err)
			}
		}
	}
}

// TestRelativePeriodsMeanTheSitesOwnDays: days begin at the site's midnight,
// numbered periods leave out today, and named ones are whole.
func TestRelativePeriodsMeanTheSitesOwnDays(t *testing.T) {
	n := testnode.Start(t, testnode.Options{Dev: true})
	const site = "shop.example"
	n.AddSite(t, site, "Europe/Berlin") // UTC+1 in winter
	from := func(people ...int) (views []testnode.View) {
		for _, p := range people {
			views = append(views, testnode.View{Site: site, Page: "/", Addr: fmt.Sprintf("192.0.2.%d", p)})
		}
		return views
	}
	replay(t, n, []visit{
		{at(2, 27, 12, 0), from(1, 2)},
		{at(2, 28, 22, 59), from(1)},      // the last minute of February there
		{at(2, 28, 23, 0), from(3, 4)},    // the first of March
		{at(3, 2, 22, 59), from(5)},       // the last minute before the seven days
		{at(3, 2, 23, 0), from(6, 7)},     // and the first of them
		{at(3, 9, 10, 0), from(8, 8, 9)},  // two views of one visitor
		{at(3, 9, 22, 59), from(9)},       // the last minute of yesterday
		{at(3, 9, 23, 0), from(10)},       // the first of today
		{at(3, 10, 11, 30), from(11, 12)}, // half an hour ago
	})
	now := at(3, 10, 12, 0)
	n.SetClock(t, now)
	for _, c := range []struct {
		period          any
		views, visitors int
	}{
		// Visitor 1 came on two days of UTC and is two; visitor 9 came twice on one
		// and is one.
		{"day", 3, 3},
		{"7d", 6, 4},
		{"30d", 12, 10},
		{"month", 12, 10},
		{"1mo", 3, 3},
		{"year", 15, 13},
		{"24h", 4, 4},
		{[]string{"2026-03-01", "2026-03-01"}, 2, 2},
		{"all", 15, 13},
	} {
		r := n.MustAsk(t, testnode.Question{Site: site, Metrics: []string{"pageviews", "visitors"}, Range: c.period})
		if got := r.Rows[0].Metrics; int(got[0]) != c.views || int(got[1]) != c.visitors {
			t.Errorf("%v: got %v views and visitors, want %d and %d", c.period, got, c.views, c.visitors)
		}
	}
	byDay := n.MustAsk(t, testnode.Question{Site: site, Metrics: []string{"pageviews"}, Range: "7d", Dimensions: []string{"time:day"}}).By(t)
	maps.DeleteFunc(byDay, func(_ string, count int) bool { return count == 0 })
	if want := map[string]int{"2026-03-03": 2, "2026-03-09": 4}; !maps.Equal(byDay, want) {
		t.Errorf("by day: got %v, want %v", byDay, want)
	}
	byHour := n.MustAsk(t, testnode.Question{Site: site, Metrics: []string{"pageviews"}, Range: "day", Dimensions: []string{"time:hour"}}).By(t)
	maps.DeleteFunc(byHour, func(_ string, count int) bool { return count == 0 })
	if want := map[string]int{"2026-03-10 00:00:00": 1, "2026-03-10 12:00:00": 2}; !maps.Equal(byHour, want) {
		t.Errorf("by hour: got %v, want %v", byHour, want)
	}
	checkV1(t, n, site)

	// A day later today is yesterday.
	n.SetClock(t, now.AddDate(0, 0, 1))
	for period, want := range map[string]int{"day": 0, "7d": 7, "30d": 15} {
		if got := int(n.MustAsk(t, testnode.Question{Site: site, Metrics: []string{"pageviews"}, Range: period}).Rows[0].Metrics[0]); got != want {
			t.Errorf("%s a day later: got %d, want %d", period, got, want)
		}
	}
}

// checkV1 asks the older API the same.
func checkV1(t *testing.T, n *testnode.Node, site string) {
	t.Helper()
	get := func(path string, v any) {
		t.Helper()
		n.Call(t, http.StatusOK, testnode.Request{Path: "/api/v1/stats/" + path + "&site_id=" + site, Key: testnode.AsOperator}).JSON(t, v)
	}
	var series struct {
		Results []struct {
			Date      string
			Pageviews int
		}
	}
	get("timeseries?period=7d&metrics=pageviews", &series)
	var got []string
	for _, row := range series.Results {
		got = append(got, fmt.Sprintf("%s %d", row.Date, row.Pageviews))
	}
	want := "[2026-03-03 2 2026-03-04 0 2026-03-05 0 2026-03-06 0 2026-03-07 0 2026-03-08 0 2026-03-09 4]"
	if fmt.Sprint(got) != want {
		t.Errorf("v1 timeseries: got %v, want %s", got, want)
	}
	for period, views := range map[string]int{"day": 3, "7d": 6, "30d": 12, "month": 12} {
		var total struct {
			Results struct{ Pageviews struct{ Value int } }
		}
		get("aggregate?metrics=pageviews&period="+period, &total)
		if got := total.Results.Pageviews.Value; got != views {
			t.Errorf("v1 aggregate of %s: got %d, want %d", period, got, views)
		}
	}
}

// TestSaltsMakeAnotherVisitorOfEveryDay: the same person is counted once a day,
// but a visit goes on over midnight, over one rotation and over a restart.
func TestSaltsMakeAnotherVisitorOfEveryDay(t *testing.T) {
	n := testnode.Start(t, testnode.Options{Dev: true})
	const site = "shop.example"
	n.AddSite(t, site, "UTC")
	ask := func(from, to string) []float64 {
		t.Helper()
		return n.MustAsk(t, testnode.Question{Site: site, Metrics: []string{"visitors", "visits", "pageviews"}, Range: []string{from, to}}).Rows[0].Metrics
	}
	check := func(what, from, to string, want ...float64) {
		t.Helper()
		if got := ask(from, to); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v visitors, visits and views, want %v", what, got, want)
		}
	}
	view := func(addr string) []testnode.View { return []testnode.View{{Site: site, Page: "/", Addr: addr}} }
	const ann, ben, eve, joe = "192.0.2.1", "192.0.2.2", "2001:db8::3", "192.0.2.4"

	replay(t, n, []visit{{at(6, 1, 9, 0), view(ann)}, {at(6, 1, 15, 0), view(ann)}, {at(6, 2, 9, 0), view(ann)}, {at(6, 3, 9, 0), view(ann)}})
	check("one person on one day", "2026-06-01", "2026-06-01", 1, 2, 2)
	check("one person on three days", "2026-06-01", "2026-06-03", 3, 4, 4)

	replay(t, n, []visit{{at(6, 5, 23, 50), view(ben)}, {at(6, 6, 0, 10), view(ben)}, {at(6, 6, 0, 35), view(ben)}})
	check("a visit over midnight", "2026-06-05", "2026-06-06", 1, 1, 3)
	check("and its second day", "2026-06-06", "2026-06-06", 1, 1, 2)

	replay(t, n, []visit{{at(6, 8, 12, 0), view(eve)}})
	n.RotateSalts(t)
	replay(t, n, []visit{{at(6, 8, 12, 10), view(eve)}})
	check("a visit over a rotation", "2026-06-08", "2026-06-08", 1, 1, 2)
	n.RotateSalts(t)
	n.RotateSalts(t)
	replay(t, n, []visit{{at(6, 8, 12, 20), view(eve)}})
	check("two rotations make a stranger of everybody", "2026-06-08", "2026-06-08", 2, 2, 3)

	replay(t, n, []visit{{at(6, 10, 23, 55), view(joe)}})
	n.Kill()
	n.Resume()
	replay(t, n, []visit{{at(6, 11, 0, 5), view(joe)}})
	check("a visit over midnight and a kill", "2026-06-10", "2026-06-11", 1, 1, 2)
}
