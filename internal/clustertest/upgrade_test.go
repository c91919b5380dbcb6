package clustertest

import (
	"fmt"
	"strings"
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// TestARollingUpgradeFailsNoRequest exchanges the binaries of a cluster's nodes,
// one after the other, while visitors and readers go through the balancer: for
// those of the release after this one, which speaks a newer version of the
// protocol too and reads newer formats. In between a node goes back, which it may
// until the upgrade is said to be finished.
func TestARollingUpgradeFailsNoRequest(t *testing.T) {
	w := newWorld(t, testcluster.Options{HAProxy: true}, 12)
	now, next := testnode.Binary(t, true), testnode.Build(t, "dev", "next")
	l := w.startLoad(w.Nodes...)
	l.more(100, 50)
	exchange := func(n *testcluster.Node, binary string) {
		t.Helper()
		l.only(w.others(n)...)
		n.Stop() // with code 0, or the test ends
		w.led(w.others(n)...)
		n.Use(binary)
		n.Resume()
		w.placed(w.Nodes...)
		testnode.Until(t, "the balancer has it back", func() bool { return w.Balancer.Sees(len(w.Nodes)) })
		l.only(w.Nodes...)
		l.more(50, 20)
	}
	for i, n := range w.Nodes {
		exchange(n, next)
		w.releases(w.Nodes[:i+1], w.Nodes[i+1:])
		if i == 1 {
			exchange(n, now)
			w.releases(w.Nodes[:i], w.Nodes[i:])
			exchange(n, next)
		}
	}
	// The end of the upgrade: from now on formats may be written that only the next
	// release reads, so this one serves no more.
	w.Nodes[1].Footfall(t, "cluster", "finish-upgrade")
	eventually(t, "all nodes know that the gate is raised", func() (bool, string) {
		s, err := w.status(w.Nodes[2])
		return err == nil && s.Cluster.Gate == 2, fmt.Sprint(s, err)
	})
	back := w.Nodes[0]
	l.only(w.others(back)...)
	back.Stop()
	w.led(w.others(back)...)
	back.Use(now)
	refuses(t, back, "use the newer release")
	back.Use(next)
	back.Resume()
	w.placed(w.Nodes...)
	l.only(w.Nodes...)
	l.more(50, 20)
	l.end()
	w.settled(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(w.Nodes[0])
}

// releases waits until the cluster knows which of its nodes are of the next
// release and which are of this one. What is written stays what all can read.
func (w *world) releases(next, now []*testcluster.Node) {
	w.t.Helper()
	eventually(w.t, "the cluster knows the releases of its nodes", func() (bool, string) {
		s, err := w.status(w.Nodes[0])
		if err != nil {
			return false, err.Error()
		}
		if s.Cluster.Gate != 1 {
			w.t.Fatalf("formats of generation %d may be written", s.Cluster.Gate)
		}
		for _, n := range next {
			if x := s.node(n.Name); !strings.HasSuffix(x.Version, "-next") || x.GateMax != 2 {
				return false, n.Name + " is " + x.Version
			}
		}
		for _, n := range now {
			if x := s.node(n.Name); strings.HasSuffix(x.Version, "-next") || x.GateMax != 1 {
				return false, n.Name + " is " + x.Version
			}
		}
		return true, ""
	})
}
