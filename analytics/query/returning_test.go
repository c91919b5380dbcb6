package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/query"
)

func plainReturning(d *diary, q *query.Returning, filter plainFilter) query.ReturningResult {
	var out query.ReturningResult
	all := d.visits()
	newcomer, lasting := map[string]bool{}, map[string]bool{}
	for _, v := range all {
		if !filter.holds(v, q.From, q.To) {
			continue
		}
		person, first, seen := v.person(q.Lasting), true, false
		for _, w := range all {
			if w.person(q.Lasting) == person && w.start() < v.start() {
				first = false
				seen = seen || w.last() < q.From
			}
		}
		if first {
			out.NewVisits++
		} else {
			out.ReturningVisits++
		}
		if v.lasts(q.Lasting) {
			lasting[person] = true
			if _, ok := newcomer[person]; !ok {
				newcomer[person] = true
			}
			newcomer[person] = newcomer[person] && !seen
		} else {
			if _, ok := newcomer[person]; !ok {
				newcomer[person] = true
			}
			newcomer[person] = newcomer[person] && first
		}
	}
	for _, fresh := range newcomer {
		if fresh {
			out.NewVisitors++
		} else {
			out.ReturningVisitors++
		}
	}
	out.LastingVisitors = len(lasting)
	return out
}

func TestReturningEqualsALookAtEveryVisit(t *testing.T) {
	t.Parallel()
	for _, pace := range []time.Duration{20 * time.Minute, 8 * time.Hour} {
		roams(t, 25, pace, func(r *rand.Rand, d *diary, from, to int64, name string) {
			q := &query.Returning{Lasting: r.IntN(2) == 0}
			q.From, q.To = someRange(r, from, to)
			filter := pick(r, plainFilters())
			q.Filter = filter.filter
			got, err := d.picture().Returning(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			got.Index = 0
			same(t, fmt.Sprintf("%s: returning %+v filter %s", name, *q, filter.name), *got, plainReturning(d, q, filter))
		})
	}
}

func TestReturningLooksBackAsFarAsIdsCanReach(t *testing.T) {
	for _, c := range []struct {
		name     string
		named    bool
		lookback time.Duration
		want     int // returning
	}{
		{"for ever", false, 0, 1},
		{"long enough", false, 30 * 24 * time.Hour, 1},
		{"not so long", false, 5 * 24 * time.Hour, 0},
		{"a name lasts for ever", true, 5 * 24 * time.Hour, 1},
	} {
		d := newDiary(t)
		for _, day := range []int64{1000, 1020} {
			d.send(day*column.DayMS, analytics.Event{Time: day * column.DayMS, Visitor: 1, Named: c.named})
		}
		got, err := d.picture().Returning(context.Background(), &query.Returning{From: 1019 * column.DayMS, To: 1021 * column.DayMS, Lasting: true, Lookback: c.lookback})
		if err != nil {
			t.Fatal(err)
		}
		if got.ReturningVisitors != c.want || got.NewVisitors != 1-c.want {
			t.Errorf("%s: got %+v", c.name, *got)
		}
	}
}

func TestReturningIsBounded(t *testing.T) {
	d := newDiary(t)
	for i := range int64(5) {
		d.send(i, analytics.Event{Time: i, Visitor: uint64(i) + 1})
	}
	_, err := d.picture().Returning(context.Background(), &query.Returning{To: 1 << 40, Lasting: true, VisitorsMax: 4})
	if err == nil || analytics.CodeOf(err) != analytics.TooLarge || !strings.HasPrefix(err.Error(), "date_range: more than 4 visitors") {
		t.Errorf("got %v", err)
	}
	if _, err := d.picture().Returning(context.Background(), &query.Returning{To: 1 << 40, VisitorsMax: 4}); err != nil {
		t.Errorf("ids of a day need not be remembered: %v", err)
	}
}
