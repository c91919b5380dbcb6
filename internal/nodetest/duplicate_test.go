package nodetest

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"footfall/internal/testnode"
)

// TestManyCopiesOfAViewCountOnce sends every view two to twenty times, shuffled,
// by both doors and through restarts.
func TestManyCopiesOfAViewCountOnce(t *testing.T) {
	random := seeded(t)
	n := testnode.Start(t, testnode.Options{Args: unlimited})
	const site, views = "shop.example", 250
	n.AddSite(t, site, "Europe/Berlin")
	n.AddSite(t, "other.example", "UTC")

	var copies []testnode.View
	for i := range views {
		v := testnode.View{Site: site, Page: fmt.Sprintf("/only/%d", i), ID: fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())}
		for range 2 + random.IntN(19) {
			v.Addr = fmt.Sprintf("10.9.%d.%d", random.IntN(256), random.IntN(256)) // the id decides, not the visitor
			copies = append(copies, v)
		}
	}
	random.Shuffle(len(copies), func(i, j int) { copies[i], copies[j] = copies[j], copies[i] })

	// Three faults split the copies into four parts, so that ids are met again
	// from memory, from the log and from records.
	faults := []func(){n.Kill, n.Stop, n.Kill}
	for part := range 4 {
		sendAll(t, n, copies[part*len(copies)/4:(part+1)*len(copies)/4])
		if part < len(faults) {
			faults[part]()
			n.Resume()
		}
	}
	checkOnce := func(when string) {
		t.Helper()
		got := n.Pages(t, site)
		for i := range views {
			if page := fmt.Sprintf("/only/%d", i); got[page] != 1 {
				t.Errorf("%s: %s was counted %d times", when, page, got[page])
			}
		}
		checkSums(t, n, site, views)
	}
	checkOnce("after all copies")

	// The native door knows the same ids, tells that they are not new, and counts
	// them for another site, because ids belong to a site.
	answer := sendNative(t, n, site, copies[:200])
	if answer.Accepted != 0 || answer.Duplicates != 200 {
		t.Errorf("copies by the native door: %d accepted, %d duplicates", answer.Accepted, answer.Duplicates)
	}
	for i, r := range answer.Results {
		if r.Status != "duplicate" {
			t.Errorf("copy %d is %q %q", i, r.Status, r.Reason)
		}
	}
	distinct := map[string]bool{}
	for _, v := range copies[:200] {
		distinct[v.ID] = true
	}
	answer = sendNative(t, n, "other.example", copies[:200])
	if answer.Accepted != len(distinct) || answer.Duplicates != 200-len(distinct) {
		t.Errorf("the ids at another site: %d accepted, %d duplicates, want %d and %d", answer.Accepted, answer.Duplicates, len(distinct), 200-len(distinct))
	}
	checkOnce("after copies by the native door")
	n.Kill()
	n.Resume()
	checkOnce("after one more kill")
	checkSums(t, n, "other.example", len(distinct))
}

// sendAll delivers views from several clients at a time.
func sendAll(t *testing.T, n *testnode.Node, views []testnode.View) {
	t.Helper()
	queue := make(chan testnode.View)
	var sending sync.WaitGroup
	for range 8 {
		sending.Go(func() {
			for v := range queue {
				ctx, cancel := context.WithTimeout(context.Background(), loadMax)
				if a, err := n.Send(ctx, v); err != nil || a.Status != http.StatusAccepted {
					t.Errorf("copy of %s: %d %s %v", v.Page, a.Status, a.Body, err)
				}
				cancel()
			}
		})
	}
	for _, v := range views {
		queue <- v
	}
	close(queue)
	sending.Wait()
}

// nativeAnswer is the answer of POST /v1/events.
type nativeAnswer struct {
	Results []struct{ Status, Reason string }

	Accepted, Duplicates, Rejected int
	Token                          string
}

// sendNative sends views in one request to the native door, as the operator.
func sendNative(t *testing.T, n *testnode.Node, site string, views []testnode.View) (out nativeAnswer) {
	t.Helper()
	var events []map[string]any
	for _, v := range views {
		events = append(events, map[string]any{"id": v.ID, "site": site, "url": "https://" + site + v.Page, "ip": v.Addr, "user_agent": testnode.Firefox})
	}
	n.Call(t, http.StatusAccepted, testnode.Request{Path: "/v1/events", Body: events, Key: testnode.AsOperator}).JSON(t, &out)
	if len(out.Results) != len(views) {
		t.Fatalf("%d results for %d events", len(out.Results), len(views))
	}
	return out
}

// TestAnEventWithATimeIsKnownForEver: imports are repeated long after the ids
// of live views are forgotten.
func TestAnEventWithATimeIsKnownForEver(t *testing.T) {
	n := testnode.Start(t, testnode.Options{Dev: true})
	n.AddSite(t, "shop.example", "UTC")
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	n.SetClock(t, at)
	event := map[string]any{"id": "line 1", "site": "shop.example", "url": "https://shop.example/old", "visitor": "v", "timestamp": at.Add(-72 * time.Hour)}
	live := map[string]any{"id": "live 1", "site": "shop.example", "url": "https://shop.example/live", "visitor": "v"}
	send := func(want string, events ...any) {
		t.Helper()
		var out nativeAnswer
		n.Call(t, http.StatusAccepted, testnode.Request{Path: "/v1/events", Body: events, Key: testnode.AsOperator}).JSON(t, &out)
		for i, r := range out.Results {
			if r.Status != want {
				t.Errorf("event %d is %q %q, want %q", i, r.Status, r.Reason, want)
			}
		}
	}
	send("accepted", event, live)
	n.SetClock(t, at.Add(23*time.Hour))
	send("duplicate", event, live)
	n.Stop()
	n.Resume()
	n.SetClock(t, at.Add(100*24*time.Hour))
	send("accepted", map[string]any{"id": "live 2", "site": "shop.example", "url": "https://shop.example/late", "visitor": "v"})
	send("duplicate", event)
	n.Kill()
	n.Resume()
	n.SetClock(t, at.Add(100*24*time.Hour))
	send("duplicate", event)
	if got := n.Pages(t, "shop.example"); got["/old"] != 1 || got["/live"] != 1 {
		t.Errorf("got %v", got)
	}
}
