package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// TestAnEdgeWithoutDataKeepsWhatItCannotDeliver is a node that only takes views
// and questions: it brings them to where the shards are, keeps them while nobody
// leads, refuses them once its spool is full, and forgets none when it is killed.
func TestAnEdgeWithoutDataKeepsWhatItCannotDeliver(t *testing.T) {
	w := newWorld(t, testcluster.Options{Spares: 1, ArgsOf: func(n *testcluster.Node) []string {
		if n.Index == 3 {
			return []string{"--roles", "edge", "--spool-max", "1MiB"}
		}
		return nil
	}}, 8)
	data, edge := w.Nodes[:3], w.Nodes[3]
	edge.Begin()
	edge.AwaitReady()
	w.knows(edge)
	l := w.quiet()
	for range 5 {
		w.written(l, edge)
	}
	l.check(edge)
	w.placed(data...)
	if here := edge.Metric(t, "footfall_shards_here"); here != 0 {
		t.Errorf("an edge holds %v shards", here)
	}

	last := data[2]
	for _, n := range w.others(last)[:2] {
		n.Kill()
	}
	eventually(t, "the edge can do nothing but keep views", func() (bool, string) {
		v := l.view(w.sites[0])
		a, err := edge.Send(t.Context(), v)
		if err == nil && a.Status == http.StatusAccepted {
			l.know(v)
		}
		return err == nil && a.Status == http.StatusAccepted && a.Token() == "", fmt.Sprintf("%d %s %v", a.Status, a.Body, err)
	})
	// Answers come from the only node with data.
	eventually(t, "the edge answers read-only", func() (bool, string) {
		a, err := edge.Do(t.Context(), testnode.Request{Path: "/api/v2/query", Body: question(w.sites[1]), Key: testnode.AsOperator})
		return err == nil && a.Status == http.StatusOK && a.Header.Get("X-Footfall-Read-Only") == "true", fmt.Sprintf("%d %s %v %v", a.Status, a.Body, a.Header, err)
	})

	refused := fillSpool(t, w, l, edge)
	full := edge.Metric(t, "footfall_spool_bytes")
	edge.Kill()
	edge.Resume()
	if got := edge.Metric(t, "footfall_spool_bytes"); got != full {
		t.Errorf("the spool holds %v bytes after a kill, %v before", got, full)
	}
	if a := sendBatch(t, edge, refused); a.Status != http.StatusServiceUnavailable {
		t.Errorf("a full spool takes a batch after a kill: %d %s", a.Status, a.Body)
	}
	for _, n := range w.others(last)[:2] {
		n.Begin()
	}
	for _, n := range w.others(last)[:2] {
		n.AwaitReady()
	}
	w.placed(data...)
	w.settled(edge)
	// The same ids again: whatever became of them, they count once.
	eventually(t, "what was refused is taken", func() (bool, string) {
		a := sendBatch(t, edge, refused)
		return a.Status == http.StatusAccepted, fmt.Sprintf("%d %s", a.Status, a.Body)
	})
	for _, v := range refused {
		l.know(v)
	}
	w.written(l, edge)
	w.settled(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(edge)
}

// fillSpool sends batches until one is refused, and gives that one.
func fillSpool(t *testing.T, w *world, l *load, n *testcluster.Node) (refused []testnode.View) {
	t.Helper()
	for i := range 1000 {
		site := w.sites[i%len(w.sites)]
		var batch []testnode.View
		for range 50 {
			v := l.view(site)
			v.Page += "?" + strings.Repeat("long", 300)
			v.Page = strings.Replace(v.Page, "?", "/", 1)
			batch = append(batch, v)
		}
		switch a := sendBatch(t, n, batch); a.Status {
		case http.StatusAccepted:
			for _, v := range batch {
				l.know(v)
			}
		case http.StatusServiceUnavailable:
			if a.Header.Get("Retry-After") == "" || !strings.Contains(string(a.Body), "spool is full") {
				t.Errorf("refused without a word on when to come again: %v %s", a.Header, a.Body)
			}
			return batch
		default:
			t.Fatalf("a batch: %d %s", a.Status, a.Body)
		}
	}
	t.Fatal("the spool is never full")
	return nil
}

// sendBatch reports views by the native door.
func sendBatch(t *testing.T, n *testcluster.Node, views []testnode.View) testnode.Answer {
	t.Helper()
	var events []map[string]any
	for _, v := range views {
		events = append(events, map[string]any{"id": v.ID, "url": "https://" + v.Site + v.Page, "ip": "10.1.2.3", "user_agent": testnode.Firefox})
	}
	a, err := n.Do(t.Context(), testnode.Request{Path: "/v1/events", Body: events, Key: testnode.AsOperator})
	if err != nil {
		t.Fatalf("send a batch: %v", err)
	}
	var out struct{ Accepted, Duplicates int }
	if a.Status == http.StatusAccepted && (json.Unmarshal(a.Body, &out) != nil || out.Accepted+out.Duplicates != len(views)) {
		t.Fatalf("a batch of %d: %s", len(views), a.Body)
	}
	return a
}
