package clustertest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// TestARebuiltNodeLosesNoView: what only one node has accepted is in its spool;
// rebuilding the node delivers it first. So does rebuilding it once more after
// the node was removed by others.
func TestARebuiltNodeLosesNoView(t *testing.T) {
	w := newWorld(t, testcluster.Options{}, 12)
	l := w.quiet()
	w.written(l, w.Nodes[2])
	for _, removed := range []bool{false, true} {
		victim := w.Nodes[2]
		rest := w.others(victim)
		w.alone(l, victim, 5)
		victim.Kill()
		w.Heal()
		w.led(rest...)
		s, err := w.status(rest[0])
		if err != nil {
			t.Fatal(err)
		}
		number := fmt.Sprint(s.number(victim.Name))
		if removed {
			w.order(rest[0], "nodes/"+number+"/remove?force=true")
		}
		// Another node's data is not taken for it.
		out := testnode.Run(t, testnode.Command{Dev: true, Args: []string{"cluster", "rebuild", "1", "--node-data", victim.Data, "--data", rest[0].Data}})
		if out.Code == 0 || !strings.Contains(out.Stderr, "is of node "+number) {
			t.Errorf("data of node %s is given up as node 1's: code %d\n%s%s", number, out.Code, out.Stdout, out.Stderr)
		}
		said := rest[0].Footfall(t, "cluster", "rebuild", number, "--node-data", victim.Data)
		if !strings.Contains(said, "is delivered") {
			t.Errorf("rebuild says: %s", said)
		}
		// Nobody waits for the node: its views are there.
		l.check(rest...)
		victim.Resume()
		w.placed(w.Nodes...)
		l.check(w.Nodes...)
		w.verify(w.Nodes[0])
	}
}

// alone isolates a node and sends it views, which it keeps in its spool.
func (w *world) alone(l *load, n *testcluster.Node, each int) {
	w.t.Helper()
	w.Isolate(n.Index)
	eventually(w.t, n.Name+" knows that it is alone", func() (bool, string) {
		a := n.Call(w.t, http.StatusOK, testnode.Request{Path: "/readyz"})
		return strings.Contains(string(a.Body), "256 of 256 are read-only"), string(a.Body)
	})
	for _, site := range w.sites {
		for range each {
			v := l.view(site)
			a, err := n.Send(w.t.Context(), v)
			if err != nil || a.Status != http.StatusAccepted || a.Token() != "" {
				w.t.Fatalf("a view to a node alone: %d %s %q %v", a.Status, a.Body, a.Token(), err)
			}
			l.know(v)
		}
	}
	if n.Metric(w.t, "footfall_spool_bytes") <= 0 {
		w.t.Errorf("%s has nothing in its spool", n.Name)
	}
}

// TestARemovedNodeThatIsIsolatedIsNoMember: a node is removed by force while
// nobody can tell it. Started again alone it may answer, read-only and as old as
// it is, and keep views; it counts none. Once a single node has told it, its disk
// never serves again, whomever it can reach.
func TestARemovedNodeThatIsIsolatedIsNoMember(t *testing.T) {
	w := newWorld(t, testcluster.Options{}, 12)
	l := w.quiet()
	w.written(l, w.Nodes[0])
	n := w.Nodes[2]
	rest := w.others(n)
	l.check(n)
	n.Kill()
	w.Isolate(n.Index)
	w.led(rest...)
	s, err := w.status(rest[0])
	if err != nil {
		t.Fatal(err)
	}
	number := s.number(n.Name)
	w.order(rest[0], fmt.Sprintf("nodes/%d/remove?force=true", number))
	before := map[string]int{}
	for _, site := range w.sites {
		before[site] = count(t, rest[0], site)
	}
	w.written(l, rest[0]) // which it does not hear of
	n.Resume()
	w.alone(l, n, 3) // views are kept,
	for _, site := range w.sites {
		a := n.Call(t, http.StatusOK, testnode.Request{Path: "/api/v2/query", Body: question(site), Key: testnode.AsOperator})
		if a.Header.Get("X-Footfall-Read-Only") != "true" || a.Header.Get("X-Footfall-Staleness") == "" {
			t.Errorf("%s: the answer does not say that it is read-only: %v", site, a.Header)
		}
		if got := count(t, n, site); got != before[site] { // and not counted.
			t.Errorf("%s: alone it counts %d, it had %d", site, got, before[site])
		}
	}
	// One node tells it, by refusing it.
	w.Mend(n.Index, rest[0].Index)
	if code := n.AwaitEnd(); code == 0 || !strings.Contains(string(n.Printed()), "was removed from the cluster") {
		t.Errorf("told that it was removed it ended with code %d:\n%s", code, n.Printed())
	}
	// Alone again, it remembers.
	w.Isolate(n.Index)
	refuses(t, n, "was removed from the cluster")
	// What it had accepted is not lost.
	w.Heal()
	rest[0].Footfall(t, "cluster", "rebuild", fmt.Sprint(number), "--node-data", n.Data)
	n.Resume()
	w.placed(rest[0], rest[1], n)
	l.check(rest[0], rest[1], n)
	w.verify(rest[0])
}
