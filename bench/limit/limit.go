// Package limit finds the highest rate that is still good, by trials: it grows
// until one is bad, halves the distance, and tries the result again before it
// believes it. It knows nothing of what a trial does and must never call a rate
// good that was bad when it was tried again. Start at Search.
package limit

import (
	"context"
	"fmt"
	"math"

	"footfall/bench/results"
)

// Bounds are between which rates is searched, and how closely.
type Bounds struct {
	From      float64 // where to begin, above 0
	Max       float64 // never more than this; at least From
	Precision float64 // a share, above 0: the limit and a bad rate are so close
	Confirm   int     // how often the result has to be good again
}

const (
	grow      = 2.0
	shrinkMax = 6 // halvings of a first rate that is bad
)

// Trial tries a rate.
type Trial func(ctx context.Context, rate float64, phase string) (results.Trial, error)

// Search gives the highest rate found good each time it was tried, 0 if there
// is none, and all trials. It ends early, with what it has, when a trial returns
// an error.
func Search(ctx context.Context, b Bounds, try Trial) (rate float64, trials []results.Trial, err error) {
	if !(b.From > 0) || b.Max < b.From || !(b.Precision > 0) {
		return 0, nil, fmt.Errorf("search: from %v to %v with precision %v", b.From, b.Max, b.Precision)
	}
	good := func(rate float64, phase string) bool {
		if err != nil {
			return false
		}
		var t results.Trial
		if t, err = try(ctx, rate, phase); err != nil {
			return false
		}
		t.Rate, t.Phase = rate, phase
		trials = append(trials, t)
		return t.Good
	}
	low, high := grown(b, good)
	if err != nil || low == 0 {
		return 0, trials, err
	}
	for high > low*(1+b.Precision) && err == nil {
		// The middle of the exponents: rates differ by factors.
		if middle := round(math.Sqrt(low * high)); middle <= low || middle >= high {
			break
		} else if good(middle, "bisect") {
			low = middle
		} else {
			high = middle
		}
	}
	for confirmed := 0; confirmed < b.Confirm && err == nil; {
		if good(low, "confirm") {
			confirmed++
			continue
		}
		if confirmed, low = 0, round(low/(1+b.Precision)); low < b.From/math.Pow(grow, shrinkMax) {
			return 0, trials, err
		}
	}
	if err != nil {
		return 0, trials, err
	}
	return low, trials, nil
}

// grown gives a good rate and a bad one above it; low is 0 if none is good, and
// both are Max if that is good.
func grown(b Bounds, good func(float64, string) bool) (low, high float64) {
	rate := b.From
	for good(rate, "grow") {
		if low = rate; rate >= b.Max {
			return rate, rate
		}
		rate = min(b.Max, round(rate*grow))
	}
	if low > 0 {
		return low, rate
	}
	for range shrinkMax {
		high, rate = rate, round(rate/grow)
		if good(rate, "grow") {
			return rate, high
		}
	}
	return 0, high
}

// round keeps three digits, so that rates can be read.
func round(rate float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	return math.Round(rate/unit) * unit
}
