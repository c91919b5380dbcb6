package clustertest

import (
	"net/http"
	"strings"
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// TestTheLastNodeAnswersAndKeepsViews is a cluster that has lost its majority:
// what is left answers, says so, and keeps views until the others are back.
func TestTheLastNodeAnswersAndKeepsViews(t *testing.T) {
	w := newWorld(t, testcluster.Options{}, 16)
	l := w.quiet()
	for range 10 {
		w.written(l, w.Nodes[0])
	}
	last := w.Nodes[2]
	l.check(last)
	for _, n := range w.others(last) {
		n.Kill()
	}
	readOnly(t, w, last)
	tokenless := 0
	for _, site := range w.sites {
		for range 5 {
			v := l.view(site)
			a, err := last.Send(t.Context(), v)
			if err != nil || a.Status != http.StatusAccepted {
				t.Fatalf("a view without a majority: %d %s %v", a.Status, a.Body, err)
			}
			l.know(v)
			if a.Token() != "" {
				t.Errorf("a view without a majority has the token %s", a.Token())
			}
			tokenless++
		}
	}
	if got := last.Metric(t, "footfall_spool_bytes"); got <= 0 {
		t.Errorf("the spool has %v bytes after %d views", got, tokenless)
	}
	if got := last.Metric(t, "footfall_spool_oldest_timestamp_seconds"); got <= 0 {
		t.Errorf("the oldest batch of the spool is from %v", got)
	}
	// A change of accounts is refused, not lost.
	a, err := last.Do(t.Context(), testnode.Request{Path: "/v1/sites", Body: map[string]any{"domain": "late.example", "timezone": "UTC"}, Key: testnode.AsOperator})
	if err != nil || a.Status != http.StatusServiceUnavailable {
		t.Errorf("a new site without a majority: %d %s %v", a.Status, a.Body, err)
	}
	// The spool outlives its process.
	last.Kill()
	last.Resume()
	readOnly(t, w, last)
	for _, n := range w.others(last) {
		n.Begin()
	}
	for _, n := range w.others(last) {
		n.AwaitReady()
	}
	w.placed(w.Nodes...)
	w.written(l, last)
	w.settled(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(last)
	eventually(t, "nothing is read-only any more", func() (bool, string) {
		a := last.Call(t, http.StatusOK, testnode.Request{Path: "/readyz"})
		return !strings.Contains(string(a.Body), "read-only"), string(a.Body)
	})
}

// readOnly waits until n knows that nobody leads, and wants answers about every
// site that say so.
func readOnly(t *testing.T, w *world, n *testcluster.Node) {
	t.Helper()
	eventually(t, n.Name+" knows that nobody leads", func() (bool, string) {
		a := n.Call(t, http.StatusOK, testnode.Request{Path: "/readyz"})
		return strings.Contains(string(a.Body), "256 of 256 are read-only"), string(a.Body)
	})
	if got := n.Metric(t, "footfall_shards_leaderless"); got != shardsMax {
		t.Errorf("%v shards have no leader, want all", got)
	}
	for _, site := range w.sites {
		a := n.Call(t, http.StatusOK, testnode.Request{Path: "/api/v2/query", Body: question(site), Key: testnode.AsOperator})
		if a.Header.Get("X-Footfall-Read-Only") != "true" || a.Header.Get("X-Footfall-Staleness") == "" {
			t.Errorf("%s: the answer does not say that it is read-only: %v", site, a.Header)
		}
		// So do those that the dashboard lives on.
		for _, path := range []string{"/v1/sites/" + site + "/drops", "/v1/sites/" + site + "/check", "/v1/sites/" + site + "/seals", "/v1/overview"} {
			a := n.Call(t, http.StatusOK, testnode.Request{Path: path, Key: testnode.AsOperator})
			if a.Header.Get("X-Footfall-Read-Only") != "true" || a.Header.Get("X-Footfall-Staleness") == "" {
				t.Errorf("%s does not say that it is read-only: %v", path, a.Header)
			}
		}
		// Who wants it fresh is told that it is not to be had.
		a = n.Call(t, http.StatusServiceUnavailable, testnode.Request{Path: "/api/v2/query", Body: question(site), Key: testnode.AsOperator,
			Header: map[string]string{"X-Footfall-Max-Staleness": "1"}})
		if !strings.Contains(string(a.Body), "error") {
			t.Errorf("%s: %s", site, a.Body)
		}
	}
}
