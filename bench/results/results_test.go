package results_test

import (
	"bytes"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"footfall/bench/results"
)

func TestARunSurvivesItsFile(t *testing.T) {
	h := results.NewHistogram()
	for i := range 1000 {
		results.Record(h, time.Duration(i)*time.Millisecond)
	}
	text, err := results.Encode(h)
	if err != nil {
		t.Fatal(err)
	}
	run := &results.Run{Version: results.Version, Name: "n", Mode: "steady", Started: time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC), Seconds: 2, RatePerSec: 500,
		Machine: results.Machine{Cores: 2, CPU: "c"}, Servers: []results.Server{{Name: "s", Process: results.Process{CPUSeconds: 1.5, RSSPeak: 3}, After: map[string]float64{"a": 1}}},
		Intervals:    []results.Interval{{At: 1, P99: 5, Servers: []results.Sample{{CPU: .5}}}},
		Totals:       map[string]results.Total{results.Beacon: {Answered: 1000, Statuses: map[string]int64{"202": 1000}, Latency: results.Summary(h), Histogram: text}},
		Conservation: &results.Conservation{Acknowledged: 5, Counted: 4, Lost: 1, Wrong: []results.Difference{{Site: "a", Acknowledged: 5, Counted: 4}}}}
	file := filepath.Join(t.TempDir(), "new", "r.json")
	if err := results.WriteFile(file, run); err != nil {
		t.Fatal(err)
	}
	got, err := results.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, run) {
		t.Errorf("got %+v\nwant %+v", got, run)
	}
	back, err := results.Decode(got.Totals[results.Beacon].Histogram)
	if err != nil || back.TotalCount() != 1000 || results.Summary(back) != run.Totals[results.Beacon].Latency {
		t.Errorf("the histogram: %v, %+v", err, results.Summary(back))
	}
	if got.CPUPerThousand() != 1500 || got.AnsweredPerSecond() != 500 || got.Conservation.Holds() {
		t.Errorf("%v ms per 1,000, %v per second, holds %v", got.CPUPerThousand(), got.AnsweredPerSecond(), got.Conservation.Holds())
	}
}

func TestOtherVersionsAreRefused(t *testing.T) {
	for _, text := range []string{`{"version":2}`, `{"version":0}`, `{}`, `[]`, ``} {
		if _, err := results.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "read results") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := results.Read(strings.NewReader(`{"version":1,"new_field":5}`)); err != nil {
		t.Errorf("a new field: %v", err)
	}
}

func TestLimitsAndComparisonsSurviveToo(t *testing.T) {
	var b bytes.Buffer
	l := &results.Limit{Version: 1, Rate: 5, Trials: []results.Trial{{Rate: 5, Good: true}}}
	if err := results.Write(&b, l); err != nil {
		t.Fatal(err)
	}
	if got, err := results.ReadLimit(&b); err != nil || !reflect.DeepEqual(got, l) {
		t.Errorf("%+v, %v", got, err)
	}
	c := &results.Comparison{Version: 1, Rows: []results.Compared{{Name: "a", CPURatio: 1.5}}}
	if err := results.Write(&b, c); err != nil {
		t.Fatal(err)
	}
	if got, err := results.ReadComparison(&b); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v", got, err)
	}
}
