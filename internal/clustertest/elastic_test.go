package clustertest

import (
	"fmt"
	"strings"
	"testing"

	"footfall/internal/testcluster"
)

// TestNodesJoinAndLeaveUnderLoad is a cluster's life: one node alone, three, five,
// and three again, the founder not among them. All the time it counts and
// answers.
func TestNodesJoinAndLeaveUnderLoad(t *testing.T) {
	w := newWorld(t, testcluster.Options{Nodes: 1, Spares: 4, HAProxy: true}, 16)
	all := w.Nodes
	l := w.startLoad(all[0])
	l.more(100, 20)
	grow := func(from, to int) {
		t.Helper()
		for _, n := range all[from:to] {
			n.Begin()
		}
		for _, n := range all[from:to] {
			n.AwaitReady()
		}
		w.placed(all[:to]...)
		l.only(all[:to]...)
		l.more(100, 50)
	}
	grow(1, 3)
	grow(3, 5)
	stay := []*testcluster.Node{all[1], all[2], all[4]}
	gone := []*testcluster.Node{all[0], all[3]}
	s, err := w.status(stay[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range gone {
		w.order(stay[0], fmt.Sprintf("nodes/%d/drain", s.number(n.Name)))
	}
	w.placed(stay...)
	eventually(t, "drained nodes hold nothing", func() (bool, string) {
		s, err := w.status(stay[0])
		if err != nil {
			return false, err.Error()
		}
		for _, n := range gone {
			if x := s.node(n.Name); x.Replicas != 0 || x.Leaders != 0 || x.State != "draining" && x.State != "drained" {
				return false, fmt.Sprintf("%+v", x)
			}
		}
		return true, ""
	})
	l.more(50, 50) // they still answer
	// An operator takes them out of the balancer by stopping them: then nothing is
	// under way there any more.
	l.only(stay...)
	for _, n := range gone {
		eventually(t, n.Name+" has nothing on its disk", func() (bool, string) {
			left := n.Metric(t, "footfall_shards_here")
			return left == 0, fmt.Sprintf("%v shards", left)
		})
		n.Stop()
		w.order(stay[0], fmt.Sprintf("nodes/%d/remove", s.number(n.Name)))
	}
	l.more(100, 50)
	l.end()
	w.settled(stay...)
	l.check(stay...)
	w.verify(stay[0])
	for _, n := range gone {
		refuses(t, n, "was removed from the cluster")
	}
}

// refuses wants a node that is started to end by itself, never ready, with a
// reason.
func refuses(t *testing.T, n *testcluster.Node, why string) {
	t.Helper()
	n.Begin()
	code := n.AwaitEnd()
	if code == 0 || !strings.Contains(string(n.Printed()), why) {
		t.Errorf("%s: ended with code %d and does not say %q", n.Name, code, why)
	}
}
