package probe_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"footfall/bench/probe"
)

const text = `# HELP x y
process_cpu_seconds_total 1.5
process_resident_memory_bytes 1e6
go_goroutines 28
go_gomaxprocs 2
go_memstats_heap_inuse_bytes 17022976
footfall_events_total{result="accepted"} 5
footfall_events_total{result="duplicate"} 2
go_gc_pauses_seconds_bucket{le="0.1"} 24
go_gc_duration_seconds{quantile="1"} 0.005
with_time{a="b}"} 3 1700000000
`

func TestMetricsAreReadAndAddedUp(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer k" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Write([]byte(text))
	}))
	defer s.Close()
	m := &probe.Metrics{URL: s.URL, Bearer: "k", Client: s.Client()}
	got, err := m.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.CPU != 1.5 || got.RSS != 1_000_000 || got.Goroutines != 28 || got.Cores != 2 || got.Heap != 17022976 || got.Metrics["footfall_events_total"] != 7 || got.Metrics["with_time"] != 3 {
		t.Errorf("%+v", got)
	}
	if _, ok := got.Metrics["go_gc_pauses_seconds_bucket"]; ok {
		t.Error("the buckets of a histogram were added up")
	}
	m.Bearer = ""
	if _, err := m.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a key: %v", err)
	}
}

func TestAProcessIsRead(t *testing.T) {
	got, err := probe.Process{PID: os.Getpid()}.Read(t.Context())
	if err != nil {
		t.Skip("there is no /proc here: ", err)
	}
	if got.RSS < 1<<20 || got.Metrics != nil {
		t.Errorf("%+v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(text)
	f.Add("a{ 1\n}b")
	f.Add("x NaN\ny +Inf")
	f.Fuzz(func(t *testing.T, s string) {
		all, err := probe.Parse(strings.NewReader(s))
		if err == nil && all == nil {
			t.Error("neither metrics nor an error")
		}
	})
}
