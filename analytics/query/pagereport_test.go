package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

// plainPage gives what a page report tells beyond questions.
func plainPage(d *diary, q *query.PageReport, filter plainFilter) string {
	var times []int64
	reported := false
	deepest := map[string]int{}
	before, after := map[string]int{}, map[string]int{}
	entered, left := 0, 0
	for _, v := range d.visits() {
		viewed, ms := false, int64(0)
		for _, e := range filter.matching(v, q.From, q.To) {
			if e.Page != q.Page {
				continue
			}
			viewed = viewed || e.Kind == analytics.Pageview
			if e.Kind == analytics.Engagement {
				reported = true
				ms += int64(e.EngagedMS)
				if e.ScrollDepth != analytics.ScrollNone {
					deepest[v.person(q.Lasting)] = max(deepest[v.person(q.Lasting)], int(e.ScrollDepth))
				}
			}
		}
		if !viewed {
			continue
		}
		times = append(times, ms/1000)
		pages, at := v.pages()
		for i := range pages {
			if pages[i] != q.Page || at[i] < q.From || at[i] >= q.To {
				continue
			}
			if i == 0 {
				entered++
			} else {
				before[pages[i-1]]++
			}
			if i == len(pages)-1 {
				left++
			} else {
				after[pages[i+1]]++
			}
		}
	}
	median, p90 := query.Value{Null: true}, query.Value{Null: true}
	if reported {
		median, p90 = plainQuantile(times, 0.5), plainQuantile(times, 0.9)
	}
	var scroll [10]int
	for _, depth := range deepest {
		scroll[min(9, depth/10)]++
	}
	return fmt.Sprint(median, p90, scroll, plainShares(before), plainShares(after), entered, left)
}

func TestAPageReportEqualsAPlainCount(t *testing.T) {
	t.Parallel()
	roams(t, 40, 6*time.Minute, func(r *rand.Rand, d *diary, from, to int64, name string) {
		q := &query.PageReport{Zone: time.UTC, Page: pick(r, []string{"/a", "/", "/c/x", "/none"}), Series: query.TimeDay, Lasting: r.IntN(2) == 0}
		q.From, q.To = someRange(r, from, to)
		filter := pick(r, plainFilters())
		q.Filter = filter.filter
		got, err := d.picture().Page(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%s: page %+v filter %s", name, *q, filter.name)
		same(t, what, fmt.Sprint(got.TimeMedian, got.TimeP90, got.Scroll, got.Before, got.After, got.Entered, got.Left), plainPage(d, q, filter))
		views, days, events := 0.0, 0.0, 0
		for _, v := range d.visits() {
			for _, e := range filter.matching(v, q.From, q.To) {
				if e.Kind == analytics.Pageview && e.Page == q.Page {
					events++
				}
			}
		}
		for _, row := range got.Devices {
			views += row.Values[2].Number
		}
		for _, row := range got.Series {
			days += row.Values[2].Number
		}
		if views != float64(events) || days != views || got.Pageviews.Number != views {
			t.Fatalf("%s: %v page views, by device %v, by day %v, want %d", what, got.Pageviews.Number, views, days, events)
		}
	})
}

func TestAPageReportOfPagesBesideTheTopAddsUp(t *testing.T) {
	d := newDiary(t)
	for i := range int64(15) {
		at := i * 3600_000
		for k, page := range []string{fmt.Sprintf("/from%02d", i), "/a", "/a", fmt.Sprintf("/to%02d", i/2)} {
			d.send(at+int64(k)*1000, analytics.Event{Time: at + int64(k)*1000, Visitor: uint64(i) + 1, Page: page})
		}
	}
	got, err := d.picture().Page(context.Background(), &query.PageReport{To: 1 << 40, Zone: time.UTC, Page: "/a", Series: query.TimeMonth})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Before) != 10 || got.BeforeOther != 5 || len(got.After) != 8 || got.AfterOther != 0 || got.After[0] != (query.Share{Value: "/to00", Count: 2}) {
		t.Errorf("before %v and %d others, after %v and %d others", got.Before, got.BeforeOther, got.After, got.AfterOther)
	}
	if got.Pageviews.Number != 30 || got.ExitRate.Number != 0 || !got.TimeMedian.Null {
		t.Errorf("got %+v", got)
	}
}

func TestAPageReportIsBounded(t *testing.T) {
	d := newDiary(t)
	for i := range int64(5) {
		for _, k := range []analytics.Kind{analytics.Pageview, analytics.Engagement} {
			d.send(i, analytics.Event{Kind: k, Time: i, Visitor: uint64(i) + 1, Page: "/a", ScrollDepth: 10})
		}
	}
	q := &query.PageReport{To: 1 << 40, Zone: time.UTC, Page: "/a", Series: query.TimeMonth, Lasting: true, VisitorsMax: 4}
	if _, err := d.picture().Page(context.Background(), q); err == nil || !strings.HasPrefix(err.Error(), "date_range: more than 4 visitors") {
		t.Errorf("got %v", err)
	}
}
