package scenario_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"footfall/bench/scenario"
	"footfall/bench/scenarios"
	"footfall/bench/schedule"
)

func TestWhatIsWrongNamesTheField(t *testing.T) {
	const ok = "duration: 1s\nrate: 10\n"
	for text, want := range map[string]string{
		"":                          "the file is empty",
		ok + "rte: 5":               "unknown field rte",
		ok + "sites: {cuont: 5}":    "unknown field cuont",
		ok + "flood: {speed: 5}":    "unknown field speed",
		ok + "rate: 5":              "rate",
		"duration: 1s":              "rate: 0 is not from",
		"rate: 10":                  "duration: 0s is not from",
		"duration: long\nrate: 1":   "long",
		ok + "mode: fast":           `mode: "fast" is not one of steady, ramp, step, soak`,
		ok + "dialect: ga4":         "dialect:",
		ok + "array: 10":            "array: only the native dialect",
		ok + "sites: {domain: x.y}": "sites.domain: must contain {n}",
		ok + "sites: {count: 0}":    "sites.count:",
		ok + "pages: {zipf: -1}":    "pages.zipf:",
		ok + "visits: {bounce: 2}":  "visits.bounce:",
		ok + "bots: .nan":           "bots:",
		ok + "events: {custom: 1, names: [pageview]}":          "events.names:",
		ok + "flood: {site: 10, from: 0s, to: 1s, rate: 5}":    "flood.site:",
		ok + "flood: {site: 1, from: 0s, to: 2s, rate: 5}":     "flood.to:",
		ok + "curve: {day: 1s, hours: [1, 2]}":                 "curve.hours: has 2 numbers",
		"mode: ramp\nduration: 1s":                             "ramp: gives no load",
		"mode: step\nstep: {from: 5, to: 1, by: 1, every: 1s}": "step.to:",
		ok + "queries: {viewers: -1}":                          "queries.viewers:",
		ok + "referrers: {list: [\"a b\"]}":                    "referrers.list:",
		ok + "---\nrate: 1":                                    "more than one document",
	} {
		_, err := scenario.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestScenariosThatComeWithTheProgram(t *testing.T) {
	names := scenarios.Names()
	if len(names) < 7 {
		t.Errorf("there are %v", names)
	}
	for _, name := range names {
		text, err := scenarios.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Name != name || s.Description == "" {
			t.Errorf("%s calls itself %q, %q", name, s.Name, s.Description)
		}
	}
	if _, err := scenarios.Open("nothing"); err == nil || !strings.Contains(err.Error(), "smoke") {
		t.Errorf("an unknown name: %v", err)
	}
}

// A curve moves the load within the day and leaves its sum alone.
func TestACurveKeepsTheMeanRate(t *testing.T) {
	s, err := scenario.Parse([]byte("duration: 48s\nrate: 100\ncurve: {day: 24s}"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := schedule.New(s.Pieces(), false, 0)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(x.Total()-4800) > 1 || x.Length() != 48*time.Second {
		t.Errorf("%v requests in %v, want 4,800 in 48s", x.Total(), x.Length())
	}
	if night, evening := x.Rate(4*time.Second), x.Rate(20*time.Second); night > 20 || evening < 180 {
		t.Errorf("at four %v, at twenty %v requests per second", night, evening)
	}
}

func TestStepsAndFlood(t *testing.T) {
	s, err := scenario.Parse([]byte("mode: step\nstep: {from: 10, to: 30, by: 10, every: 2s}\nflood: {site: 1, from: 1s, to: 3s, rate: 50}"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Length() != 6*time.Second {
		t.Errorf("length %v, want 6s", s.Length())
	}
	x, err := schedule.New(schedule.Join(s.Pieces(), s.FloodPieces()), false, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]float64{500 * time.Millisecond: 10, 1500 * time.Millisecond: 60, 2500 * time.Millisecond: 70, 3500 * time.Millisecond: 20, 5 * time.Second: 30} {
		if got := x.Rate(at); math.Abs(got-want) > 1e-9 {
			t.Errorf("rate at %v: %v, want %v", at, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range scenarios.Names() {
		text, err := scenarios.Open(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("mode: step\nstep: {from: 1e-300, to: 1e7, by: 1e-3, every: 1ms}"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := scenario.Parse(text)
		if err != nil {
			return
		}
		if _, err := schedule.New(schedule.Join(s.Pieces(), s.FloodPieces()), false, 0); err != nil {
			t.Errorf("%q is taken and has no schedule: %v", text, err)
		}
	})
}
