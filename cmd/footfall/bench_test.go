package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"footfall/bench/results"
)

func TestBenchRefusesWhatItCannotMeasure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(file, []byte("duration: 1s\nrate: 5\nrte: 5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"load"}, "--target: give at least one, or --local"},
		{[]string{"load", "--target", "http://127.0.0.1:1", "--local"}, "--target: not together"},
		{[]string{"load", "--target", "nonsense"}, "--target:"},
		{[]string{"load", "--local-nodes", "2"}, "--local-nodes: must be 1 or 3"},
		{[]string{"load", "--local", "--scenario", "nothing"}, "smoke"},
		{[]string{"load", "--local", "--scenario", file}, "unknown field rte"},
		{[]string{"load", "--local", "--rate", "-1"}, "rate:"},
		{[]string{"load", "--local", "--dialect", "ga4"}, "dialect:"},
		{[]string{"find-limit", "--local", "--p99", "0s"}, "--p99"},
		{[]string{"compare", "--servers", "two"}, `--servers: "two"`},
		{[]string{"compare", "--servers", "", "--also", "x@y"}, "--also:"},
	} {
		code, _, stderr := call(t, "", nil, append([]string{"bench"}, c.args...)...)
		if code != exitUsage || !strings.Contains(stderr, c.text) {
			t.Errorf("%v: got %d %q, want %q", c.args, code, stderr, c.text)
		}
	}
}

func TestBenchListsItsScenarios(t *testing.T) {
	code, out, _ := call(t, "", nil, "bench", "scenarios")
	if code != exitOK {
		t.Fatalf("code %d", code)
	}
	for _, name := range []string{"smoke", "steady", "peak-day", "flood", "mixed", "soak", "arrays"} {
		if !strings.Contains(out, name) {
			t.Errorf("%s is missing in\n%s", name, out)
		}
	}
	if code, out, _ := call(t, "", nil, "bench", "scenarios", "flood"); code != exitOK || !strings.Contains(out, "flood: {site: 7") {
		t.Errorf("its text: %d\n%s", code, out)
	}
}

// otherProduct takes hits as GoatCounter does: GET /count, and no keep-alive.
func otherProduct(t *testing.T, busy time.Duration) (url string, hits *atomic.Int64) {
	hits = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/count" || r.URL.Query().Get("p") == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		hits.Add(1)
		if busy > 0 {
			select {
			case <-time.After(busy):
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Type", "image/gif")
		w.Write([]byte("GIF89a"))
	}))
	t.Cleanup(s.Close)
	return s.URL, hits
}

func TestBenchLoadDrivesOtherProductsAndWritesAllReports(t *testing.T) {
	url, hits := otherProduct(t, 0)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	code, out, stderr := call(t, "", nil, "bench", "load", "--target", url, "--scenario", "steady", "--dialect", "goatcounter", "--rate", "100", "--duration", "1s",
		"--connections", "4", "--json", file("r.json"), "--markdown", file("r.md"), "--html", file("r.html"))
	if code != exitOK {
		t.Fatalf("%d %s", code, stderr)
	}
	run, err := results.ReadFile(file("r.json"))
	if err != nil {
		t.Fatal(err)
	}
	if n := run.Totals[results.Beacon].Answered; n != hits.Load() || n < 50 || run.Dialect != "goatcounter" || run.Conservation != nil {
		t.Errorf("answered %d, the server saw %d: %+v", n, hits.Load(), run.Conservation)
	}
	if b, err := os.ReadFile(file("r.md")); err != nil || string(b) != out {
		t.Errorf("the Markdown file is not what was printed: %v", err)
	}
	if b, err := os.ReadFile(file("r.html")); err != nil || !strings.HasPrefix(string(b), "<!doctype html>") {
		t.Errorf("the page: %v", err)
	}
}

func TestBenchFindLimitOfAServerThatIsTooSlow(t *testing.T) {
	url, _ := otherProduct(t, 50*time.Millisecond)
	file := filepath.Join(t.TempDir(), "l.json")
	code, out, stderr := call(t, "", nil, "bench", "find-limit", "--target", url, "--dialect", "goatcounter", "--p99", "5ms", "--from", "1000", "--max", "1000",
		"--trial", "200ms", "--warm", "0s", "--json", file)
	if code != exitOK || !strings.Contains(out, "No rate held") || !strings.Contains(stderr, "bad: p99 above 5ms") {
		t.Errorf("%d %s\n%s", code, stderr, out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if l, err := results.ReadLimit(f); err != nil || l.Rate != 0 || len(l.Trials) < 2 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestBenchCompareOfOtherProducts(t *testing.T) {
	fast, _ := otherProduct(t, 0)
	slow, _ := otherProduct(t, 20*time.Millisecond)
	code, out, stderr := call(t, "", nil, "bench", "compare", "--servers", "", "--also", "fast=goatcounter@"+fast, "--also", "slow=goatcounter@"+slow,
		"--at", "2", "--rounds", "1", "--each", "300ms")
	if code != exitOK || !strings.Contains(out, "| 2 | fast | goatcounter |") || !strings.Contains(out, "| 2 | slow | goatcounter |") {
		t.Errorf("%d %s\n%s", code, stderr, out)
	}
}

func TestViewsThatAreLostFailTheCommand(t *testing.T) {
	for _, c := range []struct {
		c    *results.Conservation
		fail bool
	}{{nil, false}, {&results.Conservation{Acknowledged: 5, Counted: 5}, false}, {&results.Conservation{Lost: 1}, true}, {&results.Conservation{Doubled: 1}, true}} {
		if err := conserved(c.c); (err != nil) != c.fail || err != nil && codeOf(err) != exitError {
			t.Errorf("%+v: %v", c.c, err)
		}
	}
}

func TestATrialHoldsOnlyWithoutAnyFault(t *testing.T) {
	good := results.Total{Intended: 100, Sent: 100, Answered: 100, Latency: results.Latency{P99: 9_000}}
	for want, change := range map[string]func(*results.Run, *results.Total){
		"":                                func(*results.Run, *results.Total) {},
		"p99 above 10ms":                  func(_ *results.Run, t *results.Total) { t.Latency.P99 = 10_001 },
		"1 refused, 0 failed":             func(_ *results.Run, t *results.Total) { t.Refused = 1 },
		"3 never sent":                    func(_ *results.Run, t *results.Total) { t.Sent = 97 },
		"99 requests are too few to tell": func(_ *results.Run, t *results.Total) { t.Intended, t.Sent = 99, 99 },
		"2 lost, 0 doubled":               func(r *results.Run, _ *results.Total) { r.Conservation = &results.Conservation{Lost: 2} },
	} {
		run, total := &results.Run{Seconds: 1}, good
		change(run, &total)
		run.Totals = map[string]results.Total{results.Beacon: total}
		if got := judge(run, 10*time.Millisecond); got.Why != want || got.Good != (want == "") {
			t.Errorf("got %v, %q; want %q", got.Good, got.Why, want)
		}
	}
}
