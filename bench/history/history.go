// Package history makes the traffic that a site had over some months: pages,
// sources, places and visits as skewed as real ones, in the order of time, day
// by day, so that memory does not grow with the number of views. The same seed
// gives the same events. It must never read a clock or anything outside its
// arguments. Start at NewWorld, then World.Generator.
package history

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"footfall/analytics"
)

// Version changes whenever the same options give other events.
const Version = 1

// Sizes of a world.
const (
	Paths     = 50_000
	Sources   = 2_000
	Countries = 150

	visitViewsMax = 15
	dayMS         = 24 * 60 * 60 * 1000
)

// Options of a site's history. All are required.
type Options struct {
	Seed  uint64
	Views int       // exactly so many page views
	Days  int       // spread over so many UTC days
	End   time.Time // the last day is the one before this UTC day
	Host  string    // of every page
}

// Generator gives a site's events. Not safe for concurrent use.
type Generator struct {
	world *World
	opts  Options
	rand  *rand.Rand
	pages *rand.Zipf
	known *rand.Zipf // visitors who come back
	start int64      // first day, Unix ms
	quota []int      // views per day

	day     int
	people  uint64 // visitors met once
	ids     uint64
	today   []analytics.Event // as made
	over    []analytics.Event // of visits that run past midnight
	order   []place
	sorted  []analytics.Event
	visitor person
}

// place is where an event of the day stands in today.
type place struct {
	at int64
	i  int32
}

// Generator makes the events of one site. Generators may share a world and be
// used at the same time.
func (w *World) Generator(o Options) *Generator {
	r := rand.New(rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15))
	end := o.End.UTC().Truncate(24 * time.Hour)
	return &Generator{world: w, opts: o, rand: r,
		pages: rand.NewZipf(r, 1.1, 2, Paths-1),
		known: rand.NewZipf(r, 1.05, 20, uint64(o.Views/20+10)),
		start: end.AddDate(0, 0, -o.Days).UnixMilli(),
		quota: quotas(r, o.Views, o.Days, end),
	}
}

// quotas spreads views over days: growth, the week, and chance.
func quotas(r *rand.Rand, views, days int, end time.Time) []int {
	week := [7]float64{0.72, 1.08, 1.12, 1.1, 1.07, 0.98, 0.74}
	weights := make([]float64, days)
	total := 0.0
	for i := range weights {
		growth := 0.7 + 0.6*float64(i)/float64(days)
		weights[i] = growth * week[end.AddDate(0, 0, i-days).Weekday()] * (0.9 + 0.2*r.Float64())
		total += weights[i]
	}
	out := make([]int, days)
	given, sum := 0, 0.0
	for i, w := range weights {
		sum += w
		upTo := int(float64(views)*sum/total + 0.5)
		if i == days-1 {
			upTo = views
		}
		out[i], given = upTo-given, upTo
	}
	return out
}

// Next gives the events of the next day in the order of time, or false after
// the last day. The slice is the generator's own and valid until the next call;
// the texts may be kept.
func (g *Generator) Next() ([]analytics.Event, bool) {
	if g.day == len(g.quota) {
		return nil, false
	}
	g.today, g.over = append(g.today[:0], g.over...), g.over[:0]
	begin := g.start + int64(g.day)*dayMS
	for left := g.quota[g.day]; left > 0; {
		left -= g.visit(begin, left)
	}
	g.day++
	g.order = g.order[:0]
	for i := range g.today {
		if at := g.today[i].Time; at >= begin+dayMS {
			g.over = append(g.over, g.today[i])
		} else {
			g.order = append(g.order, place{at, int32(i)})
		}
	}
	slices.SortFunc(g.order, func(a, b place) int {
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		return cmp.Compare(a.i, b.i)
	})
	g.sorted = g.sorted[:0]
	for _, p := range g.order {
		g.sorted = append(g.sorted, g.today[p.i])
	}
	return g.sorted, true
}

// All gives every event of every day that is left. An event is valid until the
// next one.
func (g *Generator) All() iter.Seq[*analytics.Event] {
	return func(yield func(*analytics.Event) bool) {
		for {
			day, ok := g.Next()
			if !ok {
				return
			}
			for i := range day {
				if !yield(&day[i]) {
					return
				}
			}
		}
	}
}

// mix is a bijection that leaves no pattern (the finaliser of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
