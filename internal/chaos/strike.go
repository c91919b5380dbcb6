package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"footfall/internal/testnode"
)

// strikeAll plays the schedule until there were enough faults and the time is
// over. After each the views must flow again before the next.
func (r *campaign) strikeAll(random *rand.Rand, begin time.Time) {
	r.t.Helper()
	s := &schedule{random: random, nodes: len(r.c.Nodes), first: slices.Clone(r.o.First)}
	r.flow(20)
	for r.report.Faults < r.o.Faults || time.Since(begin) < r.o.For {
		f := s.next()
		wait(f.Before)
		r.o.Log("%6.1fs %s", time.Since(begin).Seconds(), f)
		testnode.Until(r.t, "a view is under way", func() bool { return r.traffic.flying.Load() > 0 })
		r.strike(f)
		r.report.Faults++
		r.flow(30)
		if r.t.Failed() {
			return
		}
	}
}

// flow waits until n more views are acknowledged.
func (r *campaign) flow(n int64) {
	r.t.Helper()
	least := r.traffic.acked.Load() + n
	r.until(fmt.Sprintf("%d more views are acknowledged", n), func() error {
		if got := r.traffic.acked.Load(); got < least && !r.t.Failed() {
			return fmt.Errorf("%d are missing", least-got)
		}
		return nil
	})
}

// strike makes a fault, lets it last, heals it and fails the test if it hit
// nothing.
func (r *campaign) strike(f fault) {
	r.t.Helper()
	switch f.Kind {
	case killLeader:
		r.kill(r.leading(true), f.For)
	case killStandby:
		r.kill(r.leading(false), f.For)
	case killAny:
		r.kill(f.A, f.For)
	case killAll:
		for i := range r.c.Nodes {
			r.node(i).Kill()
		}
		for i := range r.c.Nodes {
			r.node((f.A + i) % len(r.c.Nodes)).Begin()
		}
		for i := range r.c.Nodes {
			r.node(i).AwaitReady()
		}
	case killAllButLate:
		// A majority goes on without the one who may be alone in having what was
		// acknowledged last.
		late := r.controlLeader()
		for i := range r.c.Nodes {
			r.node(i).Kill()
		}
		for i := range r.c.Nodes {
			if i != late {
				r.node(i).Begin()
			}
		}
		for i := range r.c.Nodes {
			if i != late {
				r.node(i).AwaitReady()
			}
		}
		r.flow(10)
		wait(f.For / 2)
		r.node(late).Resume()
	case killTwice:
		r.node(f.A).Kill()
		r.node(f.A).Begin()
		wait(f.For / 8)
		r.kill(f.A, 0)
	case pause:
		n := r.node(f.A)
		n.Pause()
		testnode.Until(r.t, "the process is stopped", func() bool { return processState(n.PID()) == "T" })
		wait(f.For)
		n.Continue()
	case isolate:
		r.apart(f.For, func() { r.c.Isolate(f.A) })
	case isolateLeader:
		leader := r.leading(true)
		r.apart(f.For, func() { r.c.Isolate(leader) })
	case oneWay:
		r.apart(f.For, func() { r.c.LoseOneWay(f.A, f.B) })
	case delay:
		r.apart(f.For, func() { r.c.Delay(200 * time.Millisecond) })
	case killWhileApart:
		r.apart(f.For, func() {
			r.c.Isolate(f.A)
			r.node(f.B).Kill()
			wait(f.For / 2)
			r.node(f.B).Begin()
		})
		r.node(f.B).AwaitReady()
	case consulDown:
		r.c.Consul.Kill()
		wait(f.For)
		r.flow(10) // counting goes on without it
		r.c.Consul.Resume()
	case balancerAgain:
		r.c.Balancer.Restart()
	case gracefulAgain:
		r.node(f.A).Stop()
		r.node(f.A).Resume()
	default:
		r.t.Fatalf("no such fault: %s", f.Kind)
	}
}

func (r *campaign) kill(i int, down time.Duration) {
	r.t.Helper()
	r.node(i).Kill()
	wait(down)
	r.node(i).Resume()
}

// apart breaks the network for some time, at least until something met the fault.
func (r *campaign) apart(d time.Duration, fault func()) {
	r.t.Helper()
	before := r.c.Hindered()
	fault()
	wait(d)
	testnode.Until(r.t, "a message meets the fault", func() bool { return r.c.Hindered() > before })
	r.c.Heal()
}

// controlLeader is the node that leads the control group.
func (r *campaign) controlLeader() (leader int) {
	r.t.Helper()
	r.until("some node tells who leads the control group", func() error {
		s, err := r.status(0)
		if err != nil {
			return err
		}
		for i, n := range r.c.Nodes {
			if s.leadsControl(n.Name) {
				leader = i
				return nil
			}
		}
		return errors.New("nobody does")
	})
	return leader
}

// leading is the node that leads most shards, or least.
func (r *campaign) leading(most bool) (best int) {
	r.t.Helper()
	var s status
	r.until("some node tells who leads", func() (err error) {
		for i := range r.c.Nodes {
			if s, err = r.status(i); err == nil && s.Leading {
				return nil
			}
		}
		return err
	})
	count := map[string]int{}
	for _, n := range s.Nodes {
		count[n.Name] = n.Leaders
	}
	for i, n := range r.c.Nodes {
		if c, b := count[n.Name], count[r.c.Nodes[best].Name]; most && c > b || !most && c < b {
			best = i
		}
	}
	return best
}

// processState is the state letter of a process.
func processState(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return err.Error()
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest[:1]
}
