package query

import "slices"

// stopwatch holds times in whole seconds, cut down, for exact quantiles. The zero
// value is empty. Its memory is bounded by how long the longest time is, not by
// how many there are.
type stopwatch struct {
	n     int
	short []uint32         // how many of each number of seconds below shortSeconds
	long  map[int64]uint32 // the others
}

const shortSeconds = 3600

// add takes a time of ms milliseconds.
func (t *stopwatch) add(ms int64) {
	s := ms / 1000
	t.n++
	if s < shortSeconds {
		if t.short == nil {
			t.short = make([]uint32, shortSeconds)
		}
		t.short[s]++
		return
	}
	if t.long == nil {
		t.long = map[int64]uint32{}
	}
	t.long[s]++
}

// quantile gives the least time that at least percent of the times do not
// exceed, in seconds; null without times.
func (t *stopwatch) quantile(percent int) Value {
	if t.n == 0 {
		return Value{Null: true}
	}
	rank := (t.n*percent + 99) / 100
	for s, k := range t.short {
		if rank -= int(k); rank <= 0 {
			return Value{Number: float64(s)}
		}
	}
	times := make([]int64, 0, len(t.long))
	for s := range t.long {
		times = append(times, s)
	}
	slices.Sort(times)
	for _, s := range times {
		if rank -= int(t.long[s]); rank <= 0 {
			return Value{Number: float64(s)}
		}
	}
	return Value{Number: float64(times[len(times)-1])}
}
