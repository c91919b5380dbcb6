package clustertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// load is clients that report views through the balancer, once each, and readers
// that ask the balancer and every node that is there. Every answer but a good one
// is a failure of the test. What was acknowledged is what must be counted.
type load struct {
	w *world

	acked atomic.Int64 // views acknowledged
	read  atomic.Int64 // questions answered

	mu     sync.Mutex
	random *rand.Rand
	here   []*testcluster.Node       // that must answer
	known  map[string]map[string]int // acknowledged views by site and page
	failed map[string]int            // by kind of request
	first  []string                  // the first failures in full

	ctx     context.Context
	stop    context.CancelFunc
	clients sync.WaitGroup
}

// Load that a busy machine bears beside the nodes.
const (
	senders   = 4
	readers   = 2
	pause     = 10 * time.Millisecond // of a client between two requests
	pagesHot  = 40
	failedMax = 10 // told in full
	giveUp    = 2 * time.Minute
)

// startLoad lets clients work until end; nodes are those that are asked directly.
func (w *world) startLoad(nodes ...*testcluster.Node) *load {
	w.t.Helper()
	if w.Balancer == nil {
		w.t.Fatal("a load needs a balancer")
	}
	l := w.quiet()
	l.only(nodes...)
	w.t.Cleanup(func() { l.stop(); l.clients.Wait() })
	for range senders {
		l.clients.Go(func() { l.repeat(l.send) })
	}
	for range readers {
		l.clients.Go(func() { l.repeat(l.ask) })
	}
	return l
}

// quiet is a load without clients, for views that the test sends itself.
func (w *world) quiet() *load {
	l := &load{w: w, random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)), known: map[string]map[string]int{}, failed: map[string]int{}}
	for _, site := range w.sites {
		l.known[site] = map[string]int{}
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	w.t.Cleanup(l.stop)
	return l
}

func (l *load) repeat(do func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for l.ctx.Err() == nil {
		do()
		select {
		case <-l.ctx.Done():
		case <-tick.C:
		}
	}
}

// end lets every client finish what it is doing and fails the test if anything
// failed.
func (l *load) end() {
	l.w.t.Helper()
	l.stop()
	l.clients.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.t.Logf("%d views acknowledged, %d questions answered, failed: %v", l.acked.Load(), l.read.Load(), l.failed)
	for _, text := range l.first {
		l.w.t.Error(text)
	}
}

// more waits until so many further views and questions were answered.
func (l *load) more(views, questions int64) {
	l.w.t.Helper()
	v, q := l.acked.Load()+views, l.read.Load()+questions
	eventually(l.w.t, "the load goes on", func() (bool, string) {
		return l.acked.Load() >= v && l.read.Load() >= q, fmt.Sprintf("%d of %d views, %d of %d questions", l.acked.Load(), v, l.read.Load(), q)
	})
}

// fail notes a failure.
func (l *load) fail(kind, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed[kind]++
	if len(l.first) < failedMax {
		l.first = append(l.first, time.Now().Format("15:04:05.000 ")+kind+": "+fmt.Sprintf(format, args...))
	}
}

// view makes a view of a site; "" is any of them.
func (l *load) view(site string) testnode.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	if site == "" {
		site = l.w.sites[l.random.IntN(len(l.w.sites))]
	}
	v := testnode.View{Site: site, ID: fmt.Sprintf("%016x%016x", l.random.Uint64(), l.random.Uint64()),
		Page: fmt.Sprintf("/p/%d", l.random.IntN(pagesHot))}
	if l.random.IntN(20) == 0 {
		v.Page = "/only/" + v.ID // names the view that is lost or doubled
	}
	return v
}

// know notes that a view was acknowledged.
func (l *load) know(v testnode.View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[v.Site][v.Page]++
	l.acked.Add(1)
}

// send reports a view through the balancer. One that fails is sent again, so that
// it is known at the end, but it has failed.
func (l *load) send() {
	v := l.view("")
	ctx, cancel := context.WithTimeout(context.Background(), giveUp)
	defer cancel()
	for {
		start := time.Now()
		a, err := l.w.Send(ctx, v)
		if err == nil && a.Status == http.StatusAccepted && (a.Dropped() == "" || a.Dropped() == "duplicate") {
			l.know(v)
			return
		}
		l.fail("view", "%s%s: got %d %s %v after %v", v.Site, v.Page, a.Status, a.Body, err, time.Since(start))
		if ctx.Err() != nil {
			return
		}
	}
}

// ask asks the balancer or one of the nodes that must answer.
func (l *load) ask() {
	l.mu.Lock()
	site := l.w.sites[l.random.IntN(len(l.w.sites))]
	k := l.random.IntN(len(l.here) + 2)
	var n *testcluster.Node
	if k < len(l.here) {
		n = l.here[k]
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), giveUp)
	defer cancel()
	var kind string
	var a testnode.Answer
	var err error
	start := time.Now()
	switch {
	case n != nil:
		kind = "question to " + n.Name
		a, err = n.Do(ctx, testnode.Request{Path: "/api/v2/query", Body: question(site), Key: testnode.AsOperator})
	default:
		kind = "question to the balancer"
		a, err = l.w.Do(ctx, testnode.Request{Path: "/api/v1/stats/aggregate?metrics=pageviews&period=day&site_id=" + url.QueryEscape(site), Key: l.w.key})
	}
	switch {
	case err == nil && a.Status == http.StatusOK:
		l.read.Add(1)
	case n != nil && !l.mustAnswer(n): // it was taken out meanwhile
	default:
		l.fail(kind, "%s: got %d %s %v after %v", site, a.Status, a.Body, err, time.Since(start))
	}
}

func (l *load) mustAnswer(n *testcluster.Node) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.here, n)
}

// only says which nodes must answer from now on.
func (l *load) only(nodes ...*testcluster.Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.here = slices.Clone(nodes)
}

// check compares what each node counts with what was acknowledged, by page, once
// it has as many.
func (l *load) check(nodes ...*testcluster.Node) {
	l.w.t.Helper()
	for _, n := range nodes {
		for site, known := range l.known {
			l.compare(n, site, known)
		}
	}
}

func (l *load) compare(n *testcluster.Node, site string, known map[string]int) {
	t := l.w.t
	t.Helper()
	want := 0
	for _, count := range known {
		want += count
	}
	eventually(t, fmt.Sprintf("%s counts %d views of %s", n.Name, want, site), func() (bool, string) {
		got := count(t, n, site)
		return got >= want, fmt.Sprintf("%d; lost are %s", got, difference(known, pages(t, n, site)))
	})
	if got := pages(t, n, site); !equal(got, known) {
		t.Errorf("%s: %s: acknowledged but not counted: %s; counted too often: %s", n.Name, site, difference(known, got), difference(got, known))
	}
}

func count(t *testing.T, n *testcluster.Node, site string) int {
	t.Helper()
	return n.Count(t, site, "pageviews")
}

func pages(t *testing.T, n *testcluster.Node, site string) map[string]int {
	t.Helper()
	return n.Pages(t, site)
}

func equal(a, b map[string]int) bool { return difference(a, b) == "" && difference(b, a) == "" }

// difference lists what a has more of than b.
func difference(a, b map[string]int) string {
	text, left := "", 10
	for page, count := range a {
		if more := count - b[page]; more > 0 {
			if left--; left >= 0 {
				text += fmt.Sprintf("%s ×%d ", page, more)
			}
		}
	}
	return text
}
