package query_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

func TestRealtimeEqualsTheEventsOfTheLastHalfHour(t *testing.T) {
	t.Parallel()
	busy := 0
	roams(t, 40, time.Minute, func(r *rand.Rand, d *diary, from, to int64, name string) {
		q := &query.Realtime{Now: to - 1 - r.Int64N(40*60_000), Zone: zoneNamed(t, pick(r, []string{"UTC", "Asia/Kolkata"}))}
		filter := pick(r, plainFilters())
		q.Filter = filter.filter
		got, err := d.picture().Realtime(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		minute := q.Now - q.Now%60_000 // zones of whole minutes
		views, people := make([]int, 30), make([]map[uint64]bool, 30)
		type last struct {
			e     analytics.Event
			first analytics.Event
		}
		latest := map[uint64]last{}
		for _, v := range d.visits() {
			for _, e := range filter.matching(v, minute-29*60_000, q.Now+1) {
				if e.Kind == analytics.Engagement {
					continue
				}
				i := 29 - int((minute-e.Time+59_999)/60_000)
				if e.Kind == analytics.Pageview {
					views[i]++
				}
				if people[i] == nil {
					people[i] = map[uint64]bool{}
				}
				people[i][e.Visitor] = true
				if e.Time >= q.Now-5*60_000 {
					latest[e.Visitor] = last{e, v.counted()[0]}
				}
			}
		}
		want := query.RealtimeResult{Visitors: len(latest), Index: got.Index}
		pages, sources, countries := map[string]int{}, map[string]int{}, map[string]int{}
		for _, l := range latest {
			pages[l.e.Page]++
			sources[cmp.Or(l.first.Acquisition.Source, "Direct / None")]++
			countries[cmp.Or(l.first.Place.Country, "(not set)")]++
		}
		want.Pages, want.Sources, want.Countries = plainShares(pages), plainShares(sources), plainShares(countries)
		for i := range views {
			at := minute + int64(i-29)*60_000
			want.Minutes = append(want.Minutes, query.RealtimeMinute{Label: time.UnixMilli(at).In(q.Zone).Format("2006-01-02 15:04:05"),
				Pageviews: views[i], Visitors: len(people[i])})
		}
		same(t, fmt.Sprintf("%s: realtime %+v filter %s", name, *q, filter.name), *got, want)
		busy = max(busy, got.Visitors)
	})
	if busy < 5 {
		t.Errorf("never more than %d visitors at once", busy)
	}
}

// plainShares orders counts as reports show them, ten at most.
func plainShares(counts map[string]int) []query.Share {
	out := []query.Share{}
	for value, n := range counts {
		out = append(out, query.Share{Value: value, Count: n})
	}
	slices.SortFunc(out, func(a, b query.Share) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Value, b.Value)) })
	return out[:min(10, len(out))]
}
