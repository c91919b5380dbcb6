package rafthost_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"footfall/cluster/rafthost"
	"footfall/persistence/pebblestore"
)

// load is a closed loop: every proposer waits for its entry before the next.
type load struct {
	size  int
	text  []byte // half random, half zero
	mu    []sync.Mutex
	queue [][]*proposal
	live  []map[uint64]*proposal // by the number in the entry
	next  atomic.Uint64
}

type proposal struct {
	n    uint64
	done chan struct{}
}

func newLoad(groups, size int) *load {
	l := &load{size: size, mu: make([]sync.Mutex, groups), queue: make([][]*proposal, groups), live: make([]map[uint64]*proposal, groups)}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range size {
		l.text = append(l.text, byte(rng.Uint32()>>8&rng.Uint32()>>16<<4)*byte(i>>5&1))
	}
	for i := range l.live {
		l.live[i] = map[uint64]*proposal{}
	}
	return l
}

func (l *load) Next(g Group) []byte {
	if int(g) >= len(l.mu) {
		return nil
	}
	l.mu[g].Lock()
	defer l.mu[g].Unlock()
	q := l.queue[g]
	if len(q) == 0 {
		return nil
	}
	p := q[0]
	l.queue[g] = q[1:]
	data := append(make([]byte, 0, l.size), l.text[:l.size]...)
	for i := range 8 {
		data[i] = byte(p.n >> (8 * i))
	}
	l.live[g][p.n] = p
	return data
}

func (l *load) Apply(g Group, _ uint64, data []byte) {
	n := uint64(0)
	for i := range 8 {
		n |= uint64(data[i]) << (8 * i)
	}
	l.mu[g].Lock()
	p := l.live[g][n]
	delete(l.live[g], n)
	l.mu[g].Unlock()
	p.done <- struct{}{}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func switches() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Nvcsw + u.Nivcsw
}

// BenchmarkRound measures whole rounds on a real disk: proposal, raft, synced
// write, apply, answer.
func BenchmarkRound(b *testing.B) {
	for _, c := range []struct{ groups, proposers, size, workers int }{
		{1, 1, 4 << 10, 0}, {1, 1, 512, 0}, {1, 64, 4 << 10, 0}, {10, 64, 4 << 10, 1}, {10, 64, 4 << 10, 2}, {10, 64, 512, 2}, {10, 64, 32 << 10, 2}, {257, 256, 2 << 10, 2},
	} {
		b.Run(fmt.Sprintf("groups=%d/proposers=%d/bytes=%d/workers=%d", c.groups, c.proposers, c.size, c.workers), func(b *testing.B) {
			s, err := pebblestore.Open(b.TempDir(), pebblestore.Options{})
			if err != nil {
				b.Fatal(err)
			}
			l := newLoad(c.groups, c.size)
			h, err := rafthost.Open(rafthost.Config{Store: s, Source: l, Applier: l, Groups: groups(c.groups), Workers: c.workers})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var run sync.WaitGroup
			run.Go(func() {
				if err := h.Run(ctx); err != nil {
					b.Error(err)
				}
			})
			<-h.Replayed()
			before, c0, w0 := h.Stats(), cpu(), switches()
			b.ResetTimer()
			stop := make(chan struct{})
			var keeper sync.WaitGroup
			keeper.Go(func() { truncate(b, h, s, c.groups, stop) })
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for i := range c.proposers {
				wg.Go(func() {
					g := Group(i % c.groups)
					p := &proposal{done: make(chan struct{}, 1)}
					for k := 1; left.Add(-1) >= 0; k++ {
						p.n = l.next.Add(1)
						l.mu[g].Lock()
						l.queue[g] = append(l.queue[g], p)
						l.mu[g].Unlock()
						h.Notify(g)
						<-p.done
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			close(stop)
			keeper.Wait()
			after, c1, w1 := h.Stats(), cpu(), switches()
			cancel()
			run.Wait()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			n := float64(b.N)
			b.ReportMetric(n/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(c1-c0)/n/1e3, "cpu-µs/entry")
			b.ReportMetric(n/float64(after.Syncs-before.Syncs), "entries/sync")
			b.ReportMetric(float64(w1-w0)/n, "switches/entry")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// truncate keeps the log of all groups near 64 MiB, as the flush of site records
// does.
func truncate(b *testing.B, h *rafthost.Host, s *pebblestore.Store, groups int, stop chan struct{}) {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		if h.TotalLogBytes() < 64<<20 {
			continue
		}
		for g := range Group(groups) {
			at := h.Applied(g)
			pb := s.NewBatch()
			h.Persisted(pb, g, at)
			if err := s.Commit(pb, false); err != nil {
				b.Error(err)
			}
			h.Truncated(g, at)
		}
	}
}
