// Package results is what a load run leaves behind: figures, their histogram
// and how they were come by, as one JSON document with a version. Writers of
// reports and the capacity planner read it. It must never measure or judge
// anything itself, and a document of a newer version is refused, not guessed
// at. The format is described in docs/reference/load-results.md. Start at Run.
package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Version is that of the documents which this package writes. It grows when a
// field changes its meaning or goes; new fields leave it as it is.
const Version = 1

// The kinds of requests, which are counted apart.
const (
	Beacon = "beacon" // a view or event; one request may carry many
	Query  = "query"  // of a dashboard
	API    = "api"    // of the stats API
	SSE    = "sse"    // a viewer who stays connected; one request per connection
)

// Run is one run of load against one or more servers.
type Run struct {
	Version     int    `json:"version"`
	Name        string `json:"name"`               // what was measured, in words
	Scenario    string `json:"scenario"`           // its name
	Description string `json:"description"`        // the scenario's own words
	Mode        string `json:"mode"`               // steady, ramp, step, soak or closed
	Dialect     string `json:"dialect"`            // of the beacons
	Arrays      int    `json:"arrays,omitempty"`   // events in one beacon request; 0 and 1: one
	Seed        uint64 `json:"seed"`               //
	Commit      string `json:"commit"`             // of the generator; "unknown" if not known
	Nodes       int    `json:"nodes,omitempty"`    // servers that the run started itself
	Replicas    int    `json:"replicas,omitempty"` // of each site, where known

	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`         // from the first intended request to the last answer
	RatePerSec  float64   `json:"rate_per_second"` // intended beacon requests, mean; 0 for a closed loop
	Connections int       `json:"connections"`     // bound of those that carry beacons
	Interrupted bool      `json:"interrupted,omitempty"`

	Machine   Machine          `json:"machine"`   // the generator's
	Generator Process          `json:"generator"` // what the generator itself used
	Servers   []Server         `json:"servers"`
	Intervals []Interval       `json:"intervals"`
	Totals    map[string]Total `json:"totals"` // by kind; kinds without a request are missing

	Conservation *Conservation `json:"conservation,omitempty"` // nil: not checked
	Notes        []string      `json:"notes,omitempty"`        // what a reader has to know
}

// Machine is where the generator ran.
type Machine struct {
	Cores       int     `json:"cores"`
	CPU         string  `json:"cpu"`
	OS          string  `json:"os"` // and architecture, linux/amd64
	Go          string  `json:"go"`
	MemoryBytes int64   `json:"memory_bytes,omitempty"`
	LoadBefore  float64 `json:"load_before"` // runnable processes, mean of a minute
}

// Process is what a process used during a run.
type Process struct {
	CPUSeconds float64 `json:"cpu_seconds"` // user and system
	RSSPeak    int64   `json:"rss_peak_bytes"`
}

// Server is a server under load. What could not be read of it is 0, and Scraped
// tells whether its metrics were there at all.
type Server struct {
	Name    string `json:"name"`
	Addr    string `json:"addr"`
	Cores   int    `json:"cores,omitempty"` // that it may use; 0: not known
	Scraped bool   `json:"scraped"`
	Process

	HeapPeak       int64 `json:"heap_peak_bytes"`
	GoroutinesPeak int   `json:"goroutines_peak"`
	GoroutinesEnd  int   `json:"goroutines_end"`
	DiskBefore     int64 `json:"disk_bytes_before"` // of the data directory, for servers that the run started
	DiskAfter      int64 `json:"disk_bytes_after"`

	// Before and After hold every metric of the server without labels, and
	// sums over the labels of those with labels.
	Before map[string]float64 `json:"metrics_before,omitempty"`
	After  map[string]float64 `json:"metrics_after,omitempty"`
}

// Interval is one second of a run. Requests are counted in the second in which
// they were due, whenever they were answered.
type Interval struct {
	At       float64 `json:"at"` // seconds from the start to the interval's beginning
	Seconds  float64 `json:"seconds"`
	Intended int64   `json:"intended"` // beacon requests due
	Sent     int64   `json:"sent"`     // written at least once
	Answered int64   `json:"answered"` // with 2xx
	Refused  int64   `json:"refused"`  // with another status
	Failed   int64   `json:"failed"`   // without an answer, after all tries
	Views    int64   `json:"views"`    // carried by the answered ones

	// Latencies of beacons from when they were due, µs.
	P50  int64 `json:"p50_us"`
	P90  int64 `json:"p90_us"`
	P99  int64 `json:"p99_us"`
	P999 int64 `json:"p999_us"`
	Max  int64 `json:"max_us"`

	Others  int64    `json:"others"`            // requests of other kinds answered
	Servers []Sample `json:"servers,omitempty"` // in the order of Run.Servers
}

// Sample is a server's state at an interval's end.
type Sample struct {
	CPU        float64 `json:"cpu"` // cores used since the sample before
	RSS        int64   `json:"rss_bytes"`
	Heap       int64   `json:"heap_bytes"`
	Goroutines int     `json:"goroutines"`
	Spool      int64   `json:"spool_bytes"`
}

// Total is a kind's sum over the run.
type Total struct {
	Intended int64 `json:"intended"`
	Sent     int64 `json:"sent"`
	Answered int64 `json:"answered"`
	Refused  int64 `json:"refused"`
	Failed   int64 `json:"failed"`
	Retried  int64 `json:"retried"` // tries after the first
	Views    int64 `json:"views"`   // carried by answered beacons, dropped and repeated ones included
	Dropped  int64 `json:"dropped"` // of those, not counted by a rule (bots)
	Bytes    int64 `json:"bytes_sent"`
	Received int64 `json:"bytes_received"`
	Messages int64 `json:"messages,omitempty"` // events that SSE viewers saw

	Statuses map[string]int64 `json:"statuses,omitempty"`

	Latency Latency `json:"latency"`
	// Lag is from when a request was due to when the generator began to send it:
	// what of the latency is the generator's doing, or that of connections which
	// were all busy.
	Lag Latency `json:"lag"`
	// Histogram is all latencies in µs, an HdrHistogram (V2, compressed,
	// base64). Of sse it is the time to the first event.
	Histogram string `json:"histogram,omitempty"`
}

// Latency sums a histogram up, µs from when a request was due.
type Latency struct {
	Mean  float64 `json:"mean_us"`
	P50   int64   `json:"p50_us"`
	P75   int64   `json:"p75_us"`
	P90   int64   `json:"p90_us"`
	P95   int64   `json:"p95_us"`
	P99   int64   `json:"p99_us"`
	P999  int64   `json:"p999_us"`
	P9999 int64   `json:"p9999_us"`
	Max   int64   `json:"max_us"`
}

// Conservation compares what was acknowledged with what the servers count.
type Conservation struct {
	Acknowledged int64   `json:"acknowledged"` // views answered with 2xx and not dropped, each id once
	Counted      int64   `json:"counted"`      // views that the servers report
	Uncertain    int64   `json:"uncertain"`    // views sent whose answer nobody knows; they may count or not
	Lost         int64   `json:"lost"`         // acknowledged, not counted
	Doubled      int64   `json:"doubled"`      // counted beyond acknowledged and uncertain
	Sites        int     `json:"sites"`        // compared
	Pages        int     `json:"pages"`        // compared; 0: sites only
	Visible      bool    `json:"visible"`      // the figures came to rest before the time for it was over
	WaitSeconds  float64 `json:"wait_seconds"` // until they did
	// Wrong are the sites and pages that differ, 100 at most.
	Wrong []Difference `json:"wrong,omitempty"`
}

// Holds tells whether nothing was lost and nothing counted twice.
func (c *Conservation) Holds() bool { return c.Lost == 0 && c.Doubled == 0 }

// Difference is one site or page whose figure is wrong.
type Difference struct {
	Site         string `json:"site"`
	Page         string `json:"page,omitempty"`
	Acknowledged int64  `json:"acknowledged"`
	Uncertain    int64  `json:"uncertain,omitempty"`
	Counted      int64  `json:"counted"`
}

// CPUSeconds is the time that all servers used.
func (r *Run) CPUSeconds() (sum float64) {
	for i := range r.Servers {
		sum += r.Servers[i].CPUSeconds
	}
	return sum
}

// CPUPerThousand is the servers' CPU in ms per 1,000 beacon requests answered,
// 0 if none was.
func (r *Run) CPUPerThousand() float64 {
	if n := r.Totals[Beacon].Answered; n > 0 {
		return r.CPUSeconds() * 1e6 / float64(n)
	}
	return 0
}

// AnsweredPerSecond is the rate of beacon requests answered with 2xx.
func (r *Run) AnsweredPerSecond() float64 {
	if r.Seconds <= 0 {
		return 0
	}
	return float64(r.Totals[Beacon].Answered) / r.Seconds
}

// Write encodes v, indented; v is a *Run, *Limit or *Comparison.
func Write(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// WriteFile writes v to a file, making its folder. The file appears whole.
func WriteFile(name string, v any) error {
	var b bytes.Buffer
	if err := Write(&b, v); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.WriteFile(name+".part", b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := os.Rename(name+".part", name); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// Read decodes a run. Unknown fields are those of a newer writer of the same
// version, and are passed over.
func Read(r io.Reader) (*Run, error) {
	var run Run
	if err := decode(r, &run, func() int { return run.Version }); err != nil {
		return nil, err
	}
	return &run, nil
}

// ReadFile reads a run from a file.
func ReadFile(name string) (*Run, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer f.Close()
	run, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return run, nil
}

func decode(r io.Reader, v any, version func() int) error {
	if err := json.NewDecoder(r).Decode(v); err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	if n := version(); n < 1 || n > Version {
		return fmt.Errorf("read results: version %d is not known, this program reads 1 to %d", n, Version)
	}
	return nil
}

// Kinds gives the kinds that a run has totals of, beacons first.
func (r *Run) Kinds() []string {
	out := make([]string, 0, len(r.Totals))
	for _, k := range []string{Beacon, Query, API, SSE} {
		if _, ok := r.Totals[k]; ok {
			out = append(out, k)
		}
	}
	for k := range r.Totals {
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}
