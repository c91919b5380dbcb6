package nodetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"footfall/internal/testnode"
)

// load is clients that report views and never give one up: the same id goes out
// again until it is acknowledged. So at the end nothing is unknown, and what
// the node counts must be what the clients know.
type load struct {
	t     *testing.T
	node  *testnode.Node
	sites []string
	begun []atomic.Int64 // by site: views sent at least once
	acked []atomic.Int64 // by site: views acknowledged

	total  atomic.Int64 // views acknowledged
	flying atomic.Int64 // requests without an answer yet
	broken atomic.Int64 // requests that never got one
	busy   atomic.Int64 // requests that were told to come again

	mu    sync.Mutex
	known map[string]map[string]int // acknowledged views by site and page

	stop    chan struct{}
	clients sync.WaitGroup
}

const (
	loadMax  = 2 * time.Minute      // a client that gets nowhere for so long gives up
	backoff  = 5 * time.Millisecond // between two tries of a client
	pagesHot = 150
)

// startLoad lets clients work until end.
func startLoad(t *testing.T, n *testnode.Node, sites []string, clients int, random *rand.Rand) *load {
	t.Helper()
	l := &load{t: t, node: n, sites: sites, begun: make([]atomic.Int64, len(sites)), acked: make([]atomic.Int64, len(sites)),
		known: map[string]map[string]int{}, stop: make(chan struct{})}
	for _, site := range sites {
		l.known[site] = map[string]int{}
	}
	for i := range clients {
		own := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		l.clients.Go(func() { l.client(i, own) })
	}
	return l
}

// end lets every client finish its view.
func (l *load) end() {
	close(l.stop)
	l.clients.Wait()
}

// client reports one view after the other; every fourth client sends batches by
// the native door instead, half of them with a time of yesterday.
func (l *load) client(number int, random *rand.Rand) {
	popular := rand.NewZipf(random, 1.2, 1, pagesHot-1)
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		i := random.IntN(len(l.sites))
		batch := make([]testnode.View, 1)
		if number%4 == 3 {
			batch = make([]testnode.View, 1+random.IntN(12))
		}
		for k := range batch {
			batch[k] = l.view(i, random, popular)
		}
		l.begun[i].Add(int64(len(batch)))
		delivered := false
		if number%4 == 3 {
			delivered = l.deliverBatch(batch, random.IntN(2) == 0)
		} else {
			delivered = l.deliver(batch[0])
		}
		if !delivered {
			return
		}
		l.mu.Lock()
		for _, v := range batch {
			l.known[v.Site][v.Page]++
		}
		l.mu.Unlock()
		l.acked[i].Add(int64(len(batch)))
		l.total.Add(int64(len(batch)))
	}
}

func (l *load) view(site int, random *rand.Rand, popular *rand.Zipf) testnode.View {
	v := testnode.View{
		Site: l.sites[site],
		ID:   fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64()),
		Addr: fmt.Sprintf("10.%d.%d.%d", random.IntN(4), random.IntN(256), random.IntN(256)),
		Page: fmt.Sprintf("/p/%d", popular.Uint64()),
	}
	if random.IntN(50) == 0 {
		v.Page = "/only/" + v.ID // names the view that is lost or doubled
	}
	return v
}

func (l *load) deliver(v testnode.View) bool {
	return l.untilAcknowledged(v.ID,
		func(ctx context.Context) (testnode.Answer, error) { return l.node.Send(ctx, v) },
		func(a testnode.Answer) bool { return a.Dropped() == "" || a.Dropped() == "duplicate" })
}

func (l *load) deliverBatch(views []testnode.View, timed bool) bool {
	var events []map[string]any
	for _, v := range views {
		e := map[string]any{"id": v.ID, "url": "https://" + v.Site + v.Page, "ip": v.Addr, "user_agent": testnode.Firefox}
		if timed {
			e["timestamp"] = time.Now().Add(-24 * time.Hour).Format(time.RFC3339)
		}
		events = append(events, e)
	}
	return l.untilAcknowledged("of a batch", func(ctx context.Context) (testnode.Answer, error) {
		return l.node.Do(ctx, testnode.Request{Path: "/v1/events", Body: events, Key: testnode.AsOperator})
	}, func(a testnode.Answer) bool {
		var out nativeAnswer
		return json.Unmarshal(a.Body, &out) == nil && out.Accepted+out.Duplicates == len(views)
	})
}

// untilAcknowledged sends until the answer is 202 and good; false after one that
// no node may give.
func (l *load) untilAcknowledged(id string, send func(context.Context) (testnode.Answer, error), good func(testnode.Answer) bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), loadMax)
	defer cancel()
	for {
		l.flying.Add(1)
		a, err := send(ctx)
		l.flying.Add(-1)
		switch {
		case ctx.Err() != nil:
			l.t.Errorf("view %s: not acknowledged in %v, last %d %v", id, loadMax, a.Status, err)
			return false
		case err != nil:
			l.broken.Add(1)
		case a.Status == http.StatusAccepted && good(a):
			return true
		case a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "":
			l.t.Errorf("view %s: got %d %s %v", id, a.Status, a.Body, a.Header)
			return false
		default:
			l.busy.Add(1)
		}
		wait(backoff)
	}
}

// wait lets some time pass between two tries, or before a fault strikes; no test
// takes it as a sign that anything happened.
func wait(d time.Duration) { <-time.NewTimer(d).C }

// check compares what the node counts with what was acknowledged, by page, and
// one way of adding up with the others.
func (l *load) check(when string) {
	l.t.Helper()
	lost, doubled, views := 0, 0, 0
	for _, site := range l.sites {
		got := l.node.Pages(l.t, site)
		sum := 0
		for page, count := range got {
			sum += count
			if more := count - l.known[site][page]; more > 0 {
				if doubled += more; doubled <= 10 {
					l.t.Errorf("%s: %s%s was counted %d times, acknowledged %d times", when, site, page, count, l.known[site][page])
				}
			}
		}
		for page, count := range l.known[site] {
			views += count
			if less := count - got[page]; less > 0 {
				if lost += less; lost <= 10 {
					l.t.Errorf("%s: %s%s was counted %d times, acknowledged %d times", when, site, page, got[page], count)
				}
			}
		}
		checkSums(l.t, l.node, site, sum)
	}
	if lost+doubled > 0 {
		l.t.Fatalf("%s: of %d acknowledged views %d are lost, %d are counted too often", when, views, lost, doubled)
	}
	if int64(views) != l.total.Load() {
		l.t.Fatalf("the clients know %d views by page and %d in all", views, l.total.Load())
	}
}

// checkSums adds up a site's page views in every other way.
func checkSums(t *testing.T, n *testnode.Node, site string, want int) {
	t.Helper()
	for _, metric := range []string{"pageviews", "events"} {
		if got := n.Count(t, site, metric); got != want {
			t.Errorf("%s: %s is %d, its pages add up to %d", site, metric, got, want)
		}
	}
	for _, dimension := range []string{"time:hour", "time:day", "time:month", "visit:browser", "event:hostname"} {
		sum := 0
		for _, count := range n.By(t, site, dimension) {
			sum += count
		}
		if sum != want {
			t.Errorf("%s: %s adds up to %d, its pages to %d", site, dimension, sum, want)
		}
	}
}

// watch asks for totals while faults happen: they never fall, never miss a view
// that was acknowledged before the question, never hold one not yet sent. It
// ends with the load.
func (l *load) watch() (answered *atomic.Int64, wait func()) {
	answered = new(atomic.Int64)
	var watching sync.WaitGroup
	watching.Go(func() {
		last := make([]int64, len(l.sites))
		for i := 0; ; i = (i + 1) % len(l.sites) {
			select {
			case <-l.stop:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), loadMax)
			before := l.acked[i].Load()
			r, err := l.node.Ask(ctx, testnode.Question{Site: l.sites[i], Metrics: []string{"pageviews"}, Range: "all"})
			after := l.begun[i].Load()
			cancel()
			if err != nil || len(r.Rows) != 1 { // killed meanwhile
				continue
			}
			got := int64(r.Rows[0].Metrics[0])
			switch {
			case got < last[i]:
				l.t.Errorf("%s: the count fell from %d to %d", l.sites[i], last[i], got)
			case got < before:
				l.t.Errorf("%s: the count is %d after %d views were acknowledged", l.sites[i], got, before)
			case got > after:
				l.t.Errorf("%s: the count is %d when %d views had been sent", l.sites[i], got, after)
			}
			last[i] = got
			answered.Add(1)
		}
	})
	return answered, watching.Wait
}
