package load

import (
	"context"
	"slices"
	"sync"
	"time"

	"footfall/bench/probe"
	"footfall/bench/results"
)

// watch reads the servers' state and tells of progress, once a second.
type watch struct {
	r      *run
	before []reading
	after  []reading
	last   []reading
	series [][]results.Sample // by interval, by server
	peak   []results.Server
}

type reading struct {
	probe.Reading
	ok bool
}

// readMax is how long a server may take to tell its state.
const readMax = 900 * time.Millisecond

func newWatch(r *run) *watch {
	n := len(r.Servers)
	w := &watch{r: r, series: make([][]results.Sample, len(r.rec.intervals)), peak: make([]results.Server, n)}
	for i, s := range r.Servers {
		w.peak[i].Name, w.peak[i].Addr = s.Name, s.Addr
	}
	return w
}

// read asks all servers at a time.
func (w *watch) read(ctx context.Context, max time.Duration) []reading {
	out := make([]reading, len(w.r.Servers))
	limit, cancel := context.WithTimeout(ctx, max)
	defer cancel()
	var wg sync.WaitGroup
	for i, s := range w.r.Servers {
		if s.Probe == nil {
			continue
		}
		wg.Go(func() {
			got, err := s.Probe.Read(limit)
			out[i] = reading{got, err == nil} // a server under load may be too busy to tell: the sample is missing
		})
	}
	wg.Wait()
	return out
}

const readAtEndMax = 10 * time.Second

func (w *watch) begin(ctx context.Context) {
	w.before = w.read(ctx, readAtEndMax)
	w.last = slices.Clone(w.before)
	for i, s := range w.r.Servers {
		if s.Disk != nil {
			w.peak[i].DiskBefore = s.Disk()
		}
		w.note(i, w.before[i])
	}
}

func (w *watch) end(ctx context.Context) {
	w.after = w.read(ctx, readAtEndMax)
	for i, s := range w.r.Servers {
		if s.Disk != nil {
			w.peak[i].DiskAfter = s.Disk()
		}
		w.note(i, w.after[i])
	}
}

func (w *watch) note(i int, x reading) {
	if !x.ok {
		return
	}
	p := &w.peak[i]
	p.Scraped = p.Scraped || x.Metrics != nil
	p.Cores = max(p.Cores, x.Cores)
	p.RSSPeak = max(p.RSSPeak, x.RSS)
	p.HeapPeak = max(p.HeapPeak, x.Heap)
	p.GoroutinesPeak = max(p.GoroutinesPeak, x.Goroutines)
	p.GoroutinesEnd = x.Goroutines
}

func (w *watch) run(ctx context.Context, start time.Time) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := w.read(ctx, readMax)
		at := time.Since(start)
		i := min(len(w.series)-1, int((at-time.Second/2)/w.r.rec.width))
		samples := make([]results.Sample, len(now))
		for k, x := range now {
			w.note(k, x)
			if !x.ok {
				continue
			}
			s := results.Sample{RSS: x.RSS, Heap: x.Heap, Goroutines: x.Goroutines, Spool: x.Spool}
			if before := w.last[k]; before.ok {
				if passed := x.At.Sub(before.At).Seconds(); passed > 0 {
					s.CPU = max(0, x.CPU-before.CPU) / passed
				}
			}
			samples[k] = s
			w.last[k] = x
		}
		if i >= 0 && ctx.Err() == nil {
			w.series[i] = samples
		}
		w.progress(at)
	}
}

func (w *watch) progress(at time.Duration) {
	if w.r.Progress == nil {
		return
	}
	t := w.r.streams[0].tally
	p := Progress{At: at, Length: w.r.length, Answered: t.answered.Load(), Wrong: t.refused.Load() + t.failed.Load()}
	if i := min(len(w.series)-1, int(at/w.r.rec.width)-1); i >= 0 {
		p.Interval = w.r.rec.interval(i, w.r.length)
		p.Interval.Servers = w.series[i]
	}
	w.r.Progress(p)
}

func (w *watch) samples(i int) []results.Sample { return w.series[i] }

// servers gives what each server used.
func (w *watch) servers() []results.Server {
	for i := range w.peak {
		a, b, p := w.before[i], w.after[i], &w.peak[i]
		if !a.ok || !b.ok {
			continue
		}
		if p.CPUSeconds = b.CPU - a.CPU; p.CPUSeconds < 0 {
			p.CPUSeconds = b.CPU // it was restarted
			w.r.out.Notes = append(w.r.out.Notes, p.Name+" was restarted during the run.")
		}
		p.Before, p.After = a.Metrics, b.Metrics
	}
	return w.peak
}
