package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

func plainRetention(d *diary, q *query.Retention, filter plainFilter) (cohorts []query.Cohort, followed, others int) {
	periods := map[string]map[int]bool{} // person -> weeks or months with a visit
	buckets := calendar.Buckets(q.From, q.To, q.Interval, q.Zone)
	for _, v := range d.visits() {
		switch {
		case !filter.holds(v, q.From, q.To):
			continue
		case !v.lasts(q.Lasting):
			others++
			continue
		}
		followed++
		for i, b := range buckets {
			if t := max(v.start(), q.From); t >= b.From && t < b.To {
				if periods[v.person(true)] == nil {
					periods[v.person(true)] = map[int]bool{}
				}
				periods[v.person(true)][i] = true
			}
		}
	}
	for i, b := range buckets {
		c := query.Cohort{Start: b.Label, Partial: b.Partial, Returned: make([]int, min(q.Periods, len(buckets)-1-i))}
		for _, in := range periods {
			earlier := false
			for j := range i {
				earlier = earlier || in[j]
			}
			if earlier || !in[i] {
				continue
			}
			c.Visitors++
			for k := range c.Returned {
				if in[i+k+1] {
					c.Returned[k]++
				}
			}
		}
		cohorts = append(cohorts, c)
	}
	return cohorts, followed, others
}

func TestRetentionEqualsPlainCohorts(t *testing.T) {
	t.Parallel()
	roams(t, 40, 12*time.Hour, func(r *rand.Rand, d *diary, from, to int64, name string) {
		q := &query.Retention{Zone: zoneNamed(t, pick(r, []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"})),
			Interval: pick(r, []calendar.Interval{calendar.Week, calendar.Month}), Periods: 1 + r.IntN(12), Lasting: r.IntN(2) == 0}
		q.From, q.To = someRange(r, from, to)
		filter := pick(r, plainFilters())
		q.Filter = filter.filter
		want, followed, others := plainRetention(d, q, filter)
		got, err := d.picture().Retention(context.Background(), q)
		what := fmt.Sprintf("%s: retention %+v filter %s", name, *q, filter.name)
		if followed == 0 && others > 0 {
			if err == nil || analytics.CodeOf(err) != analytics.Invalid || !strings.HasPrefix(err.Error(), "interval: visitor ids of this site do not last for a ") {
				t.Fatalf("%s: got %v", what, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		same(t, what, lines(got.Cohorts), lines(want))
		same(t, what, []int{got.Followed, got.Others}, []int{followed, others})
	})
}

func zoneNamed(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestRetentionIsBounded(t *testing.T) {
	d := newDiary(t)
	for i := range int64(5) {
		d.send(i, analytics.Event{Time: i, Visitor: uint64(i) + 1, Named: true})
	}
	for _, c := range []struct {
		q    query.Retention
		want string
	}{
		{query.Retention{Interval: calendar.Day, Periods: 1}, "interval: must be week or month"},
		{query.Retention{Interval: calendar.Week, Periods: 0}, "periods: must be 1 to 60"},
		{query.Retention{Interval: calendar.Week, Periods: 61}, "periods: must be 1 to 60"},
		{query.Retention{Interval: calendar.Week, Periods: 6, VisitorsMax: 4}, "date_range: more than 4 visitors would have to be told apart; ask for a shorter range, or filter"},
	} {
		c.q.Zone, c.q.To = time.UTC, 1<<40
		if _, err := d.picture().Retention(context.Background(), &c.q); err == nil || err.Error() != c.want {
			t.Errorf("%+v: got %v", c.q, err)
		}
	}
}
