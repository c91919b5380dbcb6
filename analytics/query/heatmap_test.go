package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

func TestAHeatmapEqualsItsHoursAddedUp(t *testing.T) {
	t.Parallel()
	roams(t, 30, time.Hour, func(r *rand.Rand, d *diary, from, to int64, name string) {
		h := &query.Heatmap{Zone: zoneNamed(t, pick(r, []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"})), Lasting: r.IntN(2) == 0}
		h.From, h.To = someRange(r, from, to)
		filter := pick(r, plainFilters())
		h.Filter = filter.filter
		got, err := d.picture().Heatmap(context.Background(), h)
		if err != nil {
			t.Fatal(err)
		}
		want := query.HeatmapResult{Index: got.Index}
		visits := d.visits()
		for _, b := range calendar.Buckets(h.From, h.To, calendar.Hour, h.Zone) {
			at := time.UnixMilli(b.From).In(h.Zone)
			c := &want.Cells[(int(at.Weekday())+6)%7][at.Hour()]
			c.Hours++
			people := map[string]bool{}
			for _, v := range visits {
				if filter.holds(v, b.From, b.To) && filter.holds(v, h.From, h.To) {
					c.Visits++
					people[v.person(h.Lasting)] = true
				}
				for _, e := range filter.matching(v, b.From, b.To) {
					if e.Kind == analytics.Pageview {
						c.Pageviews++
					}
				}
			}
			c.Visitors += len(people)
		}
		same(t, fmt.Sprintf("%s: heatmap %+v filter %s", name, *h, filter.name), lines(got.Cells[:]), lines(want.Cells[:]))
	})
}

func TestAHeatmapKnowsTheHoursOfAWeek(t *testing.T) {
	zone := zoneNamed(t, "Europe/Berlin")
	first, _ := calendar.ParseDate("2026-10-19") // the week in which the clock goes back
	p := calendar.DayPeriod(first, first.AddDays(6), zone)
	got, err := newDiary(t).picture().Heatmap(context.Background(), &query.Heatmap{From: p.From, To: p.To, Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	for day := range got.Cells {
		for hour, c := range got.Cells[day] {
			want := 1
			if day == 6 && hour == 2 {
				want = 2
			}
			if c.Hours != want {
				t.Errorf("weekday %d hour %d: %d hours, want %d", day, hour, c.Hours, want)
			}
		}
	}
}
