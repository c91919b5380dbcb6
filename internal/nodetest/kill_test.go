package nodetest

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"footfall/internal/testnode"
)

// zones are where the sites of the tests have their days.
var zones = []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"}

// addSites makes sites in turns of time zones.
func addSites(t *testing.T, n *testnode.Node, count int) (domains []string) {
	t.Helper()
	for i := range count {
		domain := fmt.Sprintf("shop%d.example", i)
		n.AddSite(t, domain, zones[i%len(zones)])
		domains = append(domains, domain)
	}
	return domains
}

// unlimited lets all clients come from one address.
var unlimited = []string{"--rate-limit-address", "0"}

const (
	clients        = 16
	perSecondLeast = 50 // acknowledged views; with less a run says nothing
)

func TestFiftyKillsUnderLoadLoseNothingAndDoubleNothing(t *testing.T) {
	random := seeded(t)
	n := testnode.Start(t, testnode.Options{Args: unlimited})
	sites := addSites(t, n, 4)
	l := startLoad(t, n, sites, clients, random)
	answered, watched := l.watch()
	begin := time.Now()
	idle := 0
	const kills = 50
	for range kills {
		least := l.total.Load() + 20 + random.Int64N(120)
		testnode.Until(t, "views are acknowledged", func() bool { return l.total.Load() >= least || t.Failed() })
		wait(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
		if l.flying.Load() == 0 {
			idle++
		}
		n.Kill()
		n.Resume()
		if t.Failed() {
			break
		}
	}
	took := time.Since(begin)
	l.end()
	watched()
	if rate := float64(l.total.Load()) / took.Seconds(); rate < perSecondLeast || idle > 0 || l.broken.Load() < kills || answered.Load() == 0 {
		t.Fatalf("the run is void: %.0f views/s acknowledged, %d of %d kills with no view under way, %d requests broken, %d questions answered meanwhile",
			rate, idle, kills, l.broken.Load(), answered.Load())
	}
	t.Logf("%d views acknowledged in %v, %d requests broken, %d questions answered", l.total.Load(), took, l.broken.Load(), answered.Load())
	l.check("after the last kill")
	n.Stop()
	n.Resume()
	l.check("after an orderly end")
	n.Kill()
	n.Resume()
	l.check("after a kill at rest")
}

// TestKillsInTheMiddleOfAnOrderlyEndLoseNothing strikes while the node writes
// the records of its sites, which it does at its end.
func TestKillsInTheMiddleOfAnOrderlyEndLoseNothing(t *testing.T) {
	random := seeded(t)
	n := testnode.Start(t, testnode.Options{Args: unlimited})
	sites := addSites(t, n, 40)
	l := startLoad(t, n, sites, clients, random)
	longest := time.Duration(0)
	whole, cut := 0, 0
	for round := 0; round < 16 && !t.Failed(); round++ {
		least := l.total.Load() + 100
		testnode.Until(t, "views are acknowledged", func() bool { return l.total.Load() >= least || t.Failed() })
		begin := time.Now()
		switch {
		case round%5 == 0: // tells how long an end takes
			if code := n.Terminate(nil); code != 0 {
				t.Fatalf("an orderly end has code %d", code)
			}
			longest = time.Since(begin)
			whole++
		case round%5 == 3:
			n.Kill()
		default:
			if n.Terminate(time.After(time.Duration(random.Int64N(int64(longest))))) == -1 {
				cut++
			}
		}
		n.Resume()
	}
	l.end()
	if !t.Failed() && (whole == 0 || cut == 0 || l.broken.Load() == 0) {
		t.Fatalf("the run is void: %d whole ends, %d cut short, %d requests broken", whole, cut, l.broken.Load())
	}
	t.Logf("%d views acknowledged, %d ends of up to %v, %d cut short", l.total.Load(), whole, longest, cut)
	l.check("after the last end")
	n.Stop()
	n.Resume()
	l.check("after one more")
}

// TestKillsWhileRecordsAreWrittenLoseNothing lets the flush cycle turn without
// a pause, which cuts the log behind it, and strikes at any moment of it.
func TestKillsWhileRecordsAreWrittenLoseNothing(t *testing.T) {
	random := seeded(t)
	n := testnode.Start(t, testnode.Options{Args: unlimited, Dev: true})
	sites := addSites(t, n, 6)
	l := startLoad(t, n, sites, clients, random)
	ctx, stop := context.WithCancel(t.Context())
	var flushes atomic.Int64
	var flusher sync.WaitGroup
	flusher.Go(func() {
		for ctx.Err() == nil {
			if a, err := n.Do(ctx, testnode.Request{Method: http.MethodPost, Path: "/dev/flush"}); err == nil && a.Status == http.StatusOK {
				flushes.Add(1)
			}
		}
	})
	const kills = 20
	for range kills {
		least, turns := l.total.Load()+20+random.Int64N(80), flushes.Load()+1+random.Int64N(4)
		testnode.Until(t, "views are acknowledged and records written", func() bool {
			return l.total.Load() >= least && flushes.Load() >= turns || t.Failed()
		})
		wait(time.Duration(random.Int64N(int64(10 * time.Millisecond))))
		n.Kill()
		n.Resume()
		if t.Failed() {
			break
		}
	}
	stop()
	flusher.Wait()
	l.end()
	t.Logf("%d views acknowledged, %d flushes, %d requests broken", l.total.Load(), flushes.Load(), l.broken.Load())
	l.check("after the last kill")
	n.Kill()
	n.Resume()
	l.check("after a kill at rest")
}
