// Package load drives servers with a scenario: beacons, questions and people
// who watch, each at the times their schedule says whether or not the servers
// keep up (open loop), so that what a slow server makes wait is measured and
// not left out. There is a goroutine per connection, none per request; one
// request costs the generator about 4 µs, most of it the kernel's. It must
// never judge what it measures. Start at Run.
package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"footfall/bench/ledger"
	"footfall/bench/machine"
	"footfall/bench/probe"
	"footfall/bench/results"
	"footfall/bench/scenario"
	"footfall/bench/schedule"
	"footfall/bench/visitors"
	"footfall/bench/zipf"
)

// Plan is a run that is to be made.
type Plan struct {
	Scenario *scenario.Scenario
	Targets  []*Target
	Servers  []Server // whose state is read meanwhile
	Ledger   *ledger.Ledger
	Run      uint64 // tells the events of this run from those of all others
	Closed   bool   // every connection sends its next request at once; the scenario's rate is not used
	Drain    time.Duration
	Commit   string
	// ViewerKeys are the credentials of those who watch, in turns; the targets'
	// own when there are none.
	ViewerKeys []string
	// Progress is called about once a second by one goroutine; nil for nobody.
	Progress func(Progress)
}

// Server is a server whose state is read.
type Server struct {
	Name  string
	Addr  string
	Probe probe.Probe  // nil: nothing is read
	Disk  func() int64 // of its data; nil: not known
}

// Progress is how far a run is.
type Progress struct {
	At, Length time.Duration
	Interval   results.Interval // the last that is over by a second or more
	Answered   int64            // beacons, so far
	Wrong      int64            // refused and failed
}

// drainDefault is how long requests that are overdue at the end are still sent.
const drainDefault = 10 * time.Second

// Run makes a run. When ctx is over it stops sending, waits for the answers
// that are due and gives the results so far, marked as interrupted.
func Run(ctx context.Context, p Plan) (*results.Run, error) {
	r, err := prepare(p)
	if err != nil {
		return nil, err
	}
	return r.run(ctx)
}

type run struct {
	Plan
	world   *visitors.World
	length  time.Duration
	rec     *recorder
	streams []*stream
	viewers *viewers
	watch   *watch
	out     *results.Run
}

func prepare(p Plan) (*run, error) {
	s := p.Scenario
	if len(p.Targets) == 0 {
		return nil, errors.New("targets: there is none")
	}
	if p.Drain == 0 {
		p.Drain = drainDefault
	}
	r := &run{Plan: p, length: s.Length(), out: &results.Run{Version: results.Version, Name: s.Name, Scenario: s.Name, Description: s.Description,
		Mode: s.Mode, Dialect: s.Dialect, Seed: s.Seed, Commit: p.Commit, Connections: s.Connections, Machine: machine.Look(),
		Totals: map[string]results.Total{}}}
	if s.Array > 1 {
		r.out.Arrays = s.Array
	}
	base, err := schedule.New(s.Pieces(), false, 0)
	if err != nil {
		return nil, err
	}
	r.world = visitors.NewWorld(s, p.Run, base.Rate)
	r.rec = newRecorder(r.length)
	beacon := r.stream(results.Beacon, s.Connections)
	beacon.keep = s.Dialect == "native"
	beacon.source = func(n int) (Source, error) { return newBeacons(r.world, p.Ledger, n) }
	if p.Closed {
		r.out.Mode = "closed"
	} else {
		pieces := s.Pieces()
		if s.Flood != nil {
			pieces = schedule.Join(pieces, s.FloodPieces())
		}
		if beacon.schedule, err = schedule.New(pieces, s.Arrivals == "poisson", s.Seed); err != nil {
			return nil, err
		}
		r.out.RatePerSec = beacon.schedule.Total() / r.length.Seconds()
	}
	sites := zipf.New(s.Sites.Count, s.Sites.Zipf)
	for _, q := range []struct {
		kind  string
		rate  float64
		texts []string
	}{{results.Query, s.Queries.Dashboard, panels}, {results.API, s.Queries.API, questions}} {
		if q.rate == 0 {
			continue
		}
		x := r.stream(q.kind, s.Queries.Connections)
		x.schedule, err = schedule.New([]schedule.Piece{{Length: r.length, From: q.rate, To: q.rate}}, s.Arrivals == "poisson", s.Seed+uint64(len(q.kind)))
		if err != nil {
			return nil, err
		}
		x.source = func(n int) (Source, error) { return newAsker(r.world, sites, q.texts, n), nil }
	}
	if s.Queries.Viewers > 0 {
		keys := p.ViewerKeys
		if len(keys) == 0 {
			keys = []string{p.Targets[0].To.Bearer}
		}
		r.viewers = &viewers{count: s.Queries.Viewers, targets: p.Targets, keys: keys, tally: newTally(),
			domain: func(n int) string { return r.world.Domains[n%len(r.world.Domains)] }}
	}
	r.watch = newWatch(r)
	return r, nil
}

func (r *run) stream(kind string, connections int) *stream {
	s := &stream{kind: kind, length: r.length, drain: r.Drain, connections: connections, timeout: r.Scenario.Timeout, tries: r.Scenario.Tries,
		targets: r.Targets, tally: newTally(), rec: r.rec}
	r.streams = append(r.streams, s)
	return s
}

func (r *run) run(ctx context.Context) (*results.Run, error) {
	self := probe.Process{PID: os.Getpid()}
	r.watch.begin(ctx)
	before, selfErr := self.Read(ctx)
	r.out.Started = time.Now().UTC()
	start := time.Now()

	asking, stop := context.WithCancel(ctx)
	defer stop()
	var others sync.WaitGroup // end with the load
	others.Go(func() { r.watch.run(asking, start) })
	if r.viewers != nil {
		others.Go(func() { r.viewers.run(asking) })
	}
	errs := make([]error, len(r.streams))
	var wg sync.WaitGroup
	for i, s := range r.streams {
		wg.Go(func() { errs[i] = s.run(ctx, start) })
	}
	wg.Wait()
	r.out.Seconds = time.Since(start).Seconds()
	r.out.Interrupted = ctx.Err() != nil
	stop()
	others.Wait()
	r.watch.end(context.WithoutCancel(ctx))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if after, err := self.Read(ctx); err == nil && selfErr == nil {
		r.out.Generator = results.Process{CPUSeconds: after.CPU - before.CPU, RSSPeak: after.RSS}
	}
	return r.out, r.sum()
}

// sum brings what was recorded into the results.
func (r *run) sum() error {
	for _, s := range r.streams {
		t, err := total(s.tally)
		if err != nil {
			return err
		}
		r.out.Totals[s.kind] = t
	}
	if r.viewers != nil {
		t, err := total(r.viewers.tally)
		if err != nil {
			return err
		}
		r.out.Totals[results.SSE] = t
	}
	for i := range r.rec.intervals {
		at := time.Duration(i) * r.rec.width
		if at.Seconds() >= r.out.Seconds {
			break
		}
		x := r.rec.interval(i, r.length)
		x.Servers = r.watch.samples(i)
		r.out.Intervals = append(r.out.Intervals, x)
	}
	r.out.Servers = r.watch.servers()
	if n := r.out.Totals[results.Beacon]; n.Intended > n.Sent+n.Failed {
		r.out.Notes = append(r.out.Notes, fmt.Sprintf("%d requests were due and never sent: all %d connections were busy until %v after the end. They count with the time they waited.",
			n.Intended-n.Sent, r.Scenario.Connections, r.Drain))
	}
	if lag := r.out.Totals[results.Beacon].Lag; !r.Closed && lag.P50 > 1500 {
		r.out.Notes = append(r.out.Notes, fmt.Sprintf("Half of the requests were sent %.1f ms or more after they were due: the generator's machine or its connections are the bottleneck.", float64(lag.P50)/1000))
	}
	return nil
}

func total(t *tally) (results.Total, error) {
	h := t.latencies.histogram()
	text, err := results.Encode(h)
	if err != nil {
		return results.Total{}, err
	}
	out := results.Total{Intended: t.intended.Load(), Sent: t.sent.Load(), Answered: t.answered.Load(), Refused: t.refused.Load(), Failed: t.failed.Load(),
		Retried: t.retried.Load(), Views: t.views.Load(), Dropped: t.dropped.Load(), Bytes: t.bytes.Load(), Received: t.received.Load(), Messages: t.messages.Load(),
		Latency: results.Summary(h), Lag: results.Summary(t.lag.histogram()), Histogram: text}
	for status := range t.statuses {
		if n := t.statuses[status].Load(); n > 0 {
			if out.Statuses == nil {
				out.Statuses = map[string]int64{}
			}
			out.Statuses[strconv.Itoa(status)] = n
		}
	}
	return out, nil
}

// interval reads one interval.
func (r *recorder) interval(i int, length time.Duration) results.Interval {
	x := &r.intervals[i]
	q, highest := x.latencies.quantiles(50, 90, 99, 99.9)
	at := time.Duration(i) * r.width
	return results.Interval{At: at.Seconds(), Seconds: min(r.width, length-at).Seconds(), Intended: x.intended.Load(), Sent: x.sent.Load(),
		Answered: x.answered.Load(), Refused: x.refused.Load(), Failed: x.failed.Load(), Views: x.views.Load(), Others: x.others.Load(),
		P50: q[0], P90: q[1], P99: q[2], P999: q[3], Max: highest}
}
