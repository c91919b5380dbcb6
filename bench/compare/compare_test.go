package compare_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"footfall/bench/compare"
	"footfall/bench/results"
)

func TestRoundsTakeTurnsAndTheMiddleOneCounts(t *testing.T) {
	var order []string
	calls := map[string]int{}
	contender := func(name string, limit bool, cpu []float64, rate float64) compare.Contender {
		return compare.Contender{Name: name, Limit: limit, Measure: func(_ context.Context, connections int, _ uint64) (*results.Run, error) {
			key := fmt.Sprint(name, connections)
			order = append(order, key)
			c := cpu[calls[key]]
			calls[key]++
			return &results.Run{Seconds: 1, Servers: []results.Server{{Process: results.Process{CPUSeconds: c}}},
				Totals: map[string]results.Total{results.Beacon: {Answered: int64(rate), Refused: 1}}}, nil
		}}
	}
	rows, err := compare.Run(t.Context(), []compare.Contender{contender("bare", true, []float64{1, 9, 2}, 1000), contender("node", false, []float64{3, 4, 100}, 500)},
		compare.Options{Connections: []int{8, 16}, Rounds: 3, Told: func(int, int, string) {}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "[bare8 node8 bare8 node8 bare8 node8 bare16 node16 bare16 node16 bare16 node16]"; fmt.Sprint(order) != want {
		t.Errorf("order %v, want %v", order, want)
	}
	if len(rows) != 4 {
		t.Fatalf("%d rows, want 4", len(rows))
	}
	for _, r := range rows[1:2] {
		// 4 s for 500 against 2 s for 1,000.
		if r.CPUPerThousand != 8000 || math.Abs(r.CPURatio-4) > 1e-9 || math.Abs(r.RateRatio-.5) > 1e-9 || r.Refused != 3 || len(r.Rounds) != 3 {
			t.Errorf("%+v", r)
		}
	}
}
