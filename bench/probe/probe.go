// Package probe reads how a server is doing while it is under load: from its
// /metrics, or of a process on this machine. It must never wait longer than it
// is told to, nor take a figure for 0 that it could not read. Start at Metrics
// and Process.
package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"footfall/bench/driver"
)

// Reading is a server's state at a moment.
type Reading struct {
	At         time.Time
	CPU        float64 // seconds, user and system, since its start
	RSS        int64   // bytes
	Heap       int64
	Goroutines int
	Spool      int64
	Cores      int
	Metrics    map[string]float64 // nil where there are none
}

// Probe reads a server's state. Calls are not concurrent.
type Probe interface {
	Read(ctx context.Context) (Reading, error)
}

// Metrics reads the /metrics of a Footfall node, or of another product that
// names its process's figures alike.
type Metrics struct {
	URL    string // of the metrics
	Bearer string // "" for none
	Client *http.Client
}

const metricsBytesMax = 16 << 20

// Read asks the server.
func (m *Metrics) Read(ctx context.Context) (Reading, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL, nil)
	if err != nil {
		return Reading{}, fmt.Errorf("metrics of %s: %w", m.URL, err)
	}
	if m.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+m.Bearer)
	}
	res, err := m.Client.Do(req)
	if err != nil {
		return Reading{}, fmt.Errorf("metrics: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Reading{}, fmt.Errorf("metrics of %s: %s", m.URL, res.Status)
	}
	all, err := Parse(io.LimitReader(res.Body, metricsBytesMax))
	if err != nil {
		return Reading{}, fmt.Errorf("metrics of %s: %w", m.URL, err)
	}
	if _, ok := all["process_cpu_seconds_total"]; !ok {
		return Reading{}, fmt.Errorf("metrics of %s: there is no process_cpu_seconds_total", m.URL)
	}
	return Reading{At: time.Now(), CPU: all["process_cpu_seconds_total"], RSS: int64(all["process_resident_memory_bytes"]),
		Heap: int64(all["go_memstats_heap_inuse_bytes"]), Goroutines: int(all["go_goroutines"]), Spool: int64(all["footfall_spool_bytes"]),
		Cores: int(all["go_gomaxprocs"]), Metrics: all}, nil
}

// Parse reads the text form of metrics and adds up over labels. Buckets of
// histograms and quantiles of summaries are left out.
func Parse(r io.Reader) (map[string]float64, error) {
	out := map[string]float64{}
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 4096), 1<<20)
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest := line, ""
		if brace := strings.IndexByte(line, '{'); brace >= 0 {
			end := strings.LastIndexByte(line, '}')
			if end < brace {
				return nil, fmt.Errorf("%.60q is not a metric", line)
			}
			labels := line[brace+1 : end]
			if strings.Contains(labels, `le="`) || strings.Contains(labels, `quantile="`) || strings.Contains(labels, `vmrange="`) {
				continue
			}
			name, rest = line[:brace], line[end+1:]
		} else if space := strings.IndexByte(line, ' '); space > 0 {
			name, rest = line[:space], line[space:]
		}
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ") // a time may follow
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("%.60q is not a metric", line)
		}
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[name] += v
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// Process reads a process of this machine.
type Process struct{ PID int }

// Read looks it up.
func (p Process) Read(context.Context) (Reading, error) {
	cpu, err := driver.CPU(p.PID)
	if err != nil {
		return Reading{}, err
	}
	rss, err := driver.Resident(p.PID)
	if err != nil {
		return Reading{}, err
	}
	return Reading{At: time.Now(), CPU: cpu.Seconds(), RSS: rss}, nil
}
