package clustertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// TestARollingRestartFailsNoRequest restarts one node after the other in order,
// twice around, while visitors and readers go through the balancer.
func TestARollingRestartFailsNoRequest(t *testing.T) {
	w := newWorld(t, testcluster.Options{Consul: true, HAProxy: true}, 16)
	l := w.startLoad(w.Nodes...)
	l.more(100, 50)
	for range 2 {
		for i, n := range w.Nodes {
			l.only(w.others(n)...)
			seen := w.observe(n)
			stream := n.Live(t, w.sites[0])
			n.Stop() // with code 0, or the test ends
			stream.Ended()
			seen.inOrder(t)
			w.led(w.others(n)...)
			l.more(50, 20)
			n.Resume()
			w.placed(w.Nodes...)
			testnode.Until(t, "the balancer has it back", func() bool { return w.Balancer.Sees(len(w.Nodes)) })
			l.only(w.Nodes...)
			l.more(50, 20)
			if i == 0 {
				w.settled(w.Nodes...)
			}
		}
	}
	l.end()
	w.settled(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(w.Nodes[0])
}

// others are all nodes but n.
func (w *world) others(n *testcluster.Node) (rest []*testcluster.Node) {
	for _, other := range w.Nodes {
		if other != n {
			rest = append(rest, other)
		}
	}
	return rest
}

// observer watches the end of a node as a balancer does.
type observer struct {
	node   *testcluster.Node
	done   sync.WaitGroup
	states []string // each once it differs from the one before
}

// observe begins to watch; it ends with the node's life.
func (w *world) observe(n *testcluster.Node) *observer {
	o := &observer{node: n}
	base := n.URL()
	client := testnode.NewClient()
	first := make(chan struct{})
	o.done.Go(func() {
		defer client.CloseIdleConnections()
		for begun := false; ; {
			a, err := testnode.Ask(context.Background(), client, base, testnode.Request{Path: "/readyz"})
			state := ""
			switch {
			case err != nil && errors.Is(err, context.DeadlineExceeded):
				state = "hangs"
			case err != nil:
				state = "gone"
			case a.Status == http.StatusOK:
				state = "ready"
			case strings.Contains(string(a.Body), "stopping"):
				state = "stopping"
			default:
				state = fmt.Sprint(a.Status, string(a.Body))
			}
			if k := len(o.states); k == 0 || o.states[k-1] != state {
				o.states = append(o.states, state)
			}
			if !begun {
				begun = true
				close(first)
			}
			if state == "gone" {
				return
			}
			<-time.After(time.Millisecond) // of the observer alone
		}
	})
	<-first
	return o
}

// inOrder wants that the node said that it stops while it still answered.
func (o *observer) inOrder(t *testing.T) {
	t.Helper()
	o.done.Wait()
	if got := strings.Join(o.states, ", "); got != "ready, stopping, gone" {
		t.Errorf("%s: seen by a balancer: %s", o.node.Name, got)
	}
}
