package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/column"
)

// everyEventHasItsVisit checks that each stored event belongs to exactly one
// visit that counts.
func (tr *traffic) everyEventHasItsVisit() string {
	v := tr.machine.View()
	have := map[column.VisitID]int{}
	dead := map[column.VisitID]bool{}
	for _, d := range v.Days {
		for _, f := range d.Filed {
			c := f.Visits
			if c == nil {
				c, _ = tr.Visits(context.Background(), 1, f.Ref)
			}
			for i := range c.Number {
				id := column.MakeVisitID(c.Day, c.Number[i])
				have[id]++
				dead[id] = c.Flags[i]&column.Dead != 0
			}
		}
	}
	for _, d := range v.Days {
		for _, b := range d.Events {
			e := b.Events
			if e == nil {
				e, _ = tr.Events(context.Background(), 1, b.Ref)
			}
			for i := range e.At {
				id := e.VisitID(i)
				if to, ok := v.Alias[id]; ok {
					id = to
				}
				if have[id] != 1 || dead[id] {
					return fmt.Sprintf("%s id %d/%d have %d dead %v alias %v", time.UnixMilli(e.Time(i)), id.Day(), id.Number(), have[id], dead[id], v.Alias)
				}
			}
		}
	}
	return ""
}

func TestEveryEventBelongsToExactlyOneVisit(t *testing.T) {
	t.Parallel()
	for seed := range 200 {
		r := rand.New(rand.NewPCG(uint64(seed), 9))
		tr := newTraffic(t)
		now := time.Date(2026, 3, 27, 20, 0, 0, 0, time.UTC).UnixMilli()
		for i := range 200 {
			now += int64(r.IntN(40 * 60 * 1000))
			ev := randomEvent(r, now, uint64(i+1))
			if r.IntN(4) == 0 {
				ev.Time -= int64(r.IntN(2 * 24 * 3600_000))
				ev.Explicit = true
				ev.Kind = analytics.Pageview
			}
			tr.send(now, ev)
			if bad := tr.everyEventHasItsVisit(); bad != "" {
				t.Fatalf("seed %d: after event %d: the event of %s has no visit", seed, i, bad)
			}
			if r.IntN(20) == 0 {
				tr.flush(r.IntN(2) == 0)
				if bad := tr.everyEventHasItsVisit(); bad != "" {
					t.Fatalf("seed %d: after the flush at event %d: the event of %s has no visit", seed, i, bad)
				}
			}
		}
	}
}
