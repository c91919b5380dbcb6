// Package driver sends requests to a server over many keep-alive connections
// and reports rate, latency and the server's CPU. Closed loop: every connection
// sends its next request when the answer to the one before is there. Open loop:
// requests are due at fixed times, and latency is taken from when they were
// due. It must never interpret what it sends. Start at Run.
package driver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"footfall/bench/traffic"
)

// Load is what to send. Rate 0 is a closed loop; otherwise it is requests per
// second over all connections.
type Load struct {
	Addr        string
	Mix         traffic.Mix
	Connections int
	Duration    time.Duration
	Requests    int // ends earlier after so many; 0: no limit
	Rate        float64
	PID         int // of the server, for its CPU; 0: not measured
}

// Result is what came of it.
type Result struct {
	Answers   int           // with a status of 2xx
	Refused   int           // any other status
	Failed    int           // no answer
	Elapsed   time.Duration //
	CPU       time.Duration // of the server, user and system
	Latencies *hdrhistogram.Histogram
}

// PerSecond is the rate of 2xx answers.
func (r Result) PerSecond() float64 { return float64(r.Answers) / r.Elapsed.Seconds() }

// CPUPerThousand is the server's CPU in milliseconds per 1,000 answers.
func (r Result) CPUPerThousand() float64 {
	return r.CPU.Seconds() * 1000 / float64(max(1, r.Answers)) * 1000
}

// Quantile gives a latency, q in percent.
func (r Result) Quantile(q float64) time.Duration {
	return time.Duration(r.Latencies.ValueAtQuantile(q)) * time.Microsecond
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

// Run sends a load and waits for its end.
func Run(ctx context.Context, l Load) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, l.Duration)
	defer cancel()
	results := make([]Result, l.Connections)
	errs := make([]error, l.Connections)
	conns := make([]net.Conn, l.Connections)
	for i := range conns {
		c, err := net.Dial("tcp", l.Addr)
		if err != nil {
			return Result{}, fmt.Errorf("connection %d: %w", i, err)
		}
		defer c.Close()
		conns[i] = c
	}
	before, err := CPU(l.PID)
	if err != nil {
		return Result{}, err
	}
	start := time.Now()
	var wg sync.WaitGroup
	for i := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			results[i], errs[i] = one(ctx, l, i, conns[i], start)
		}()
	}
	wg.Wait()
	total := Result{Elapsed: time.Since(start), Latencies: newHistogram()}
	after, err := CPU(l.PID)
	if err != nil {
		return Result{}, err
	}
	total.CPU = after - before
	for i, r := range results {
		total.Answers += r.Answers
		total.Refused += r.Refused
		total.Failed += r.Failed
		total.Latencies.Merge(r.Latencies)
		if err := errs[i]; err != nil && total.Answers == 0 {
			return total, err
		}
	}
	return total, nil
}

// one drives one connection.
func one(ctx context.Context, l Load, n int, c net.Conn, start time.Time) (Result, error) {
	r := Result{Latencies: newHistogram()}
	src := traffic.New(l.Mix, n)
	in := bufio.NewReaderSize(c, 2048)
	var buf []byte
	end, _ := ctx.Deadline()
	if err := c.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return r, err
	}
	var step, due time.Duration
	if l.Rate > 0 {
		step = time.Duration(float64(l.Connections) / l.Rate * float64(time.Second))
		due = step * time.Duration(n) / time.Duration(l.Connections)
	}
	limit := l.Requests / l.Connections
	for k := 0; (l.Requests == 0 || k < limit) && ctx.Err() == nil; k++ {
		at := time.Now()
		if l.Rate > 0 {
			at = start.Add(due)
			due += step
			if wait := time.Until(at); wait > 0 {
				t := time.NewTimer(wait)
				select {
				case <-t.C:
				case <-ctx.Done():
					t.Stop()
					return r, nil
				}
			}
		}
		buf = src.Append(buf[:0])
		if _, err := c.Write(buf); err != nil {
			r.Failed++
			return r, err
		}
		status, err := answer(in)
		if err != nil {
			r.Failed++
			return r, err
		}
		if status >= 200 && status < 300 {
			r.Answers++
		} else {
			r.Refused++
		}
		_ = r.Latencies.RecordValue(max(1, time.Since(at).Microseconds()))
	}
	return r, nil
}

var errAnswer = errors.New("malformed answer")

// answer reads one response and gives its status.
func answer(in *bufio.Reader) (int, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, errAnswer
	}
	status := int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	length := 0
	for {
		line, err = in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if (line[0] == 'C' || line[0] == 'c') && len(line) > 16 && strings.EqualFold(string(line[:15]), "content-length:") {
			length = 0
			for _, b := range line[15:] {
				if b >= '0' && b <= '9' {
					length = length*10 + int(b-'0')
				}
			}
		}
	}
	if length > 0 {
		if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
			return 0, err
		}
	}
	return status, nil
}
