package clustertest

import (
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// TestADeadNodeCostsNothingButTime kills one node after the other without
// warning, and makes one vanish, under load through the balancer.
func TestADeadNodeCostsNothingButTime(t *testing.T) {
	w := newWorld(t, testcluster.Options{Consul: true, HAProxy: true}, 24)
	l := w.startLoad(w.Nodes...)
	l.more(100, 50)
	for round, victim := range []*testcluster.Node{w.Nodes[0], w.Nodes[1], w.Nodes[2], w.Nodes[0]} {
		rest := w.others(victim)
		l.only(rest...)
		vanishes := round == 3
		if vanishes { // nobody is told: no connection ends
			w.Isolate(victim.Index)
			victim.Pause()
		} else {
			victim.Kill()
		}
		l.more(100, 50)
		w.led(rest...)
		w.written(l, rest[0])
		w.written(l, rest[1])
		l.more(100, 50)
		if vanishes {
			w.Heal()
			victim.Continue()
		} else {
			victim.Resume()
		}
		w.placed(w.Nodes...)
		testnode.Until(t, "the balancer has it back", func() bool { return w.Balancer.Sees(len(w.Nodes)) })
		l.only(w.Nodes...)
		l.more(50, 20)
	}
	l.end()
	w.settled(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(w.Nodes[0])
}

// TestADeadNodeIsReplacedByASpare: after the grace time, what it held is made
// anew on the spare, and its disk is welcome again, empty.
func TestADeadNodeIsReplacedByASpare(t *testing.T) {
	w := newWorld(t, testcluster.Options{Nodes: 4, Args: []string{"--replace-after", "15s"}}, 8)
	l := w.quiet()
	w.written(l, w.Nodes[0])
	victim := w.Nodes[3]
	victim.Kill()
	rest := w.others(victim)
	w.placed(rest...)
	w.written(l, rest[0])
	w.settled(rest...)
	l.check(rest...)
	victim.Resume()
	w.placed(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(rest[0])
}
