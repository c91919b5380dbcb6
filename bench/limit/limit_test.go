package limit_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"footfall/bench/limit"
	"footfall/bench/results"
)

func TestTheLimitIsFoundFromAnywhere(t *testing.T) {
	for _, c := range []struct{ from, limit float64 }{{1000, 48_700}, {100_000, 48_700}, {48_700, 48_700}, {48_701, 48_700}, {1, 3}, {1000, 1000}} {
		tried := 0
		rate, trials, err := limit.Search(t.Context(), limit.Bounds{From: c.from, Max: 1e6, Precision: .05, Confirm: 2}, func(_ context.Context, rate float64, _ string) (results.Trial, error) {
			tried++
			return results.Trial{Good: rate <= c.limit}, nil
		})
		if err != nil || rate > c.limit || rate < c.limit/1.06-1 || tried != len(trials) || tried > 40 {
			t.Errorf("from %v: got %v (%v) after %d trials, want just below %v", c.from, rate, err, tried, c.limit)
		}
		if n := len(trials); trials[n-1].Phase != "confirm" || trials[n-2].Phase != "confirm" || trials[n-1].Rate != rate {
			t.Errorf("the last trials were %+v", trials[n-2:])
		}
	}
}

func TestARateThatDoesNotHoldAgainIsNotTheLimit(t *testing.T) {
	// The first trial of a rate between 700 and 1,000 is lucky.
	lucky := map[float64]bool{}
	rate, trials, err := limit.Search(t.Context(), limit.Bounds{From: 100, Max: 1e6, Precision: .02, Confirm: 2}, func(_ context.Context, rate float64, _ string) (results.Trial, error) {
		good := rate <= 700 || rate <= 1000 && !lucky[rate]
		lucky[rate] = true
		return results.Trial{Good: good}, nil
	})
	if err != nil || rate > 700 || rate < 660 {
		t.Errorf("got %v (%v), want about 700", rate, err)
	}
	for i := range trials[len(trials)-2:] {
		if x := trials[len(trials)-2+i]; !x.Good || x.Rate != rate {
			t.Errorf("the result %v was not confirmed by %+v", rate, x)
		}
	}
}

func TestEndsOfASearch(t *testing.T) {
	always := func(good bool) limit.Trial {
		return func(context.Context, float64, string) (results.Trial, error) { return results.Trial{Good: good}, nil }
	}
	b := limit.Bounds{From: 10, Max: 1000, Precision: .05, Confirm: 2}
	if rate, _, err := limit.Search(t.Context(), b, always(true)); rate != 1000 || err != nil {
		t.Errorf("everything is good: %v, %v; want the maximum", rate, err)
	}
	if rate, trials, err := limit.Search(t.Context(), b, always(false)); rate != 0 || err != nil || len(trials) > 20 {
		t.Errorf("nothing is good: %v, %v after %d", rate, err, len(trials))
	}
	broken := errors.New("broken")
	n := 0
	rate, trials, err := limit.Search(t.Context(), b, func(context.Context, float64, string) (results.Trial, error) {
		if n++; n == 3 {
			return results.Trial{}, broken
		}
		return results.Trial{Good: true}, nil
	})
	if !errors.Is(err, broken) || rate != 0 || len(trials) != 2 {
		t.Errorf("a trial that breaks: %v, %v after %d", rate, err, len(trials))
	}
	for _, wrong := range []limit.Bounds{{}, {From: 1, Max: .5, Precision: 1}, {From: math.NaN(), Max: 1, Precision: 1}} {
		if _, _, err := limit.Search(t.Context(), wrong, always(true)); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}
