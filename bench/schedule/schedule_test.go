package schedule_test

import (
	"math"
	"testing"
	"time"

	"footfall/bench/schedule"
)

func all(t *testing.T, pieces []schedule.Piece, poisson bool) []time.Duration {
	t.Helper()
	s, err := schedule.New(pieces, poisson, 1)
	if err != nil {
		t.Fatal(err)
	}
	var out []time.Duration
	for {
		i, due, ok := s.Next()
		if !ok {
			return out
		}
		if i != int64(len(out)) {
			t.Fatalf("number %d comes after %d", i, len(out)-1)
		}
		if len(out) > 0 && due < out[len(out)-1] || due > s.Length() {
			t.Fatalf("request %d is due at %v", i, due)
		}
		out = append(out, due)
	}
}

func TestEvenRequestsComeAtTheirRate(t *testing.T) {
	due := all(t, []schedule.Piece{{Length: 2 * time.Second, From: 100, To: 100}}, false)
	if len(due) != 200 {
		t.Fatalf("%d requests, want 200", len(due))
	}
	for i, at := range due {
		if want := time.Duration(i) * 10 * time.Millisecond; (at - want).Abs() > time.Microsecond {
			t.Fatalf("request %d is due at %v, want %v", i, at, want)
		}
	}
}

// A dumb oracle: adding the rate up in small steps.
func TestRampsAgreeWithAddingUp(t *testing.T) {
	pieces := []schedule.Piece{{Length: time.Second, From: 0, To: 300}, {Length: time.Second / 2}, {Length: 2 * time.Second, From: 300, To: 50}}
	due := all(t, pieces, false)
	const steps = 100_000
	sum, at, k := 0.0, 0.0, 0
	for _, p := range pieces {
		l := p.Length.Seconds()
		for i := range steps {
			r := p.From + (p.To-p.From)*(float64(i)+.5)/steps
			sum += r * l / steps
			at += l / steps
			for ; k < len(due) && float64(k) < sum-1e-6; k++ {
				if d := due[k].Seconds() - at; math.Abs(d) > 1e-3 && due[k] > 10*time.Millisecond {
					t.Fatalf("request %d is due at %v, want %.4fs", k, due[k], at)
				}
			}
		}
	}
	if want := 150 + 350; len(due) != want {
		t.Errorf("%d requests, want %d", len(due), want)
	}
}

func TestStrangersArriveAtTheRateAndAtRandom(t *testing.T) {
	due := all(t, []schedule.Piece{{Length: 100 * time.Second, From: 200, To: 200}}, true)
	if n := float64(len(due)); math.Abs(n-20_000) > 5*math.Sqrt(20_000) {
		t.Errorf("%v requests, want about 20,000", n)
	}
	short := 0
	for i := 1; i < len(due); i++ {
		if due[i]-due[i-1] < time.Millisecond {
			short++
		}
	}
	// The share of gaps below a fifth of the mean is 1 - e^-0.2.
	if share := float64(short) / float64(len(due)); math.Abs(share-.181) > .02 {
		t.Errorf("%.3f of the gaps are below a millisecond, want 0.181", share)
	}
}

func TestPiecesThatMeanNothingAreRefused(t *testing.T) {
	for _, p := range []schedule.Piece{{0, 1, 1}, {time.Second, -1, 1}, {time.Second, 1, math.NaN()}, {time.Second, 1, math.Inf(1)}} {
		if _, err := schedule.New([]schedule.Piece{p}, false, 0); err == nil {
			t.Errorf("%v is taken", p)
		}
	}
}
