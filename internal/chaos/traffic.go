package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"footfall/analytics"
	"footfall/internal/testnode"
)

// Bounds of the clients.
const (
	giveUp     = 3 * time.Minute       // a view that is not acknowledged for so long is an error
	attemptMax = 10 * time.Second      // of a request
	backoffMin = 20 * time.Millisecond // between two tries; doubles
	backoffMax = time.Second
	pagesHot   = 150
	batchMax   = 12
	readers    = 4
)

// traffic is clients and readers at work.
type traffic struct {
	r              *campaign
	client         *http.Client
	reader, sender string // keys for all sites

	acked, spooled, retries, reads, unread, flushes atomic.Int64
	flying                                          atomic.Int64 // requests without an answer yet

	registers, metas history
	answers          answers

	stop  chan struct{}
	ended time.Time
	work  sync.WaitGroup
}

// startTraffic lets clients and readers work until end.
func startTraffic(r *campaign, random *rand.Rand) *traffic {
	t := &traffic{r: r, stop: make(chan struct{}), registers: history{begin: time.Now()}, metas: history{begin: time.Now()}}
	t.client = testnode.NewClient()
	t.client.Timeout = attemptMax
	t.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 2 * r.o.Clients
	t.reader, t.sender = r.node(0).AddKey(r.t, "stats:read", ""), r.node(0).AddKey(r.t, "events:write", "")
	own := func() *rand.Rand { return rand.New(rand.NewPCG(random.Uint64(), random.Uint64())) }
	each := time.Duration(r.o.Clients) * time.Second / time.Duration(r.o.Rate)
	for i := range r.o.Clients {
		mine := own()
		t.work.Go(func() { t.report(i, mine, each) })
	}
	for range readers {
		mine := own()
		t.work.Go(func() { t.read(mine) })
	}
	flusher := own()
	t.work.Go(func() { t.flush(flusher) })
	for i := range registerClients {
		mine := own()
		t.work.Go(func() { t.useRegisters(i, mine) })
	}
	for i := range siteClients {
		mine := own()
		t.work.Go(func() { t.useSites(i, mine) })
	}
	return t
}

// end lets every client finish its view, and everybody go.
func (t *traffic) end() {
	close(t.stop)
	t.work.Wait()
	t.ended = time.Now()
	t.client.CloseIdleConnections()
}

func (t *traffic) over() bool {
	select {
	case <-t.stop:
		return true
	default:
		return false
	}
}

// flushEvery is how often the records of some node are written, which by itself
// takes minutes: what is cut off the log behind them must not be needed any more.
const flushEvery = 1500 * time.Millisecond

// flush has the records of nodes written.
func (t *traffic) flush(random *rand.Rand) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for t.pace(tick.C) {
		ctx, cancel := context.WithTimeout(context.Background(), attemptMax)
		a, err := t.direct(ctx, random.IntN(len(t.r.c.Nodes)), testnode.Request{Method: http.MethodPost, Path: "/dev/flush"})
		cancel()
		if err == nil && a.Status == http.StatusOK {
			t.flushes.Add(1)
		}
	}
}

// pace waits until it is time for the next; false when it is time to go.
func (t *traffic) pace(tick <-chan time.Time) bool {
	select {
	case <-tick:
		return !t.over()
	case <-t.stop:
		return false
	}
}

// report sends views: most clients one at a time, every fourth in batches, every
// eighth several copies through different nodes. Between them views that must not
// be counted.
func (t *traffic) report(number int, random *rand.Rand, each time.Duration) {
	popular := rand.NewZipf(random, 1.2, 1, pagesHot-1)
	size := 1
	if number%4 == 3 {
		size = batchMax / 2 // on average
	}
	tick := time.NewTicker(max(time.Duration(size)*each, time.Microsecond))
	defer tick.Stop()
	for t.pace(tick.C) {
		v := t.view(random, popular)
		ok := true
		switch {
		case number%4 == 3:
			batch := []view{v}
			for range random.IntN(batchMax) {
				next := t.view(random, popular)
				if next.Site = v.Site; random.IntN(2) == 0 {
					next.Time = time.Now().Add(-time.Duration(random.Int64N(int64(5 * time.Hour)))).Truncate(time.Second)
				}
				batch = append(batch, next)
			}
			ok = t.deliverBatch(batch)
		case number%8 == 1:
			ok = t.deliverCopies(v, 2+random.IntN(4), random)
		case random.IntN(20) == 0:
			ok = t.deliverRefused(v)
		default:
			ok = t.deliver(v)
		}
		if !ok {
			return
		}
	}
}

// view invents one. One in a hundred has a page of its own, which names it when it
// is lost or doubled.
func (t *traffic) view(random *rand.Rand, popular *rand.Zipf) view {
	v := view{Site: random.IntN(len(t.r.ledger.domains)), ID: fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())}
	v.Page = fmt.Sprintf("/p/%d", popular.Uint64())
	if random.IntN(100) == 0 {
		v.Page = "/only/" + v.ID
	}
	return v
}

func (t *traffic) request(v view) testnode.Request {
	return testnode.View{Site: t.r.ledger.domains[v.Site], Page: v.Page, ID: v.ID, Addr: "10.1." + fmt.Sprintf("%d.%d", v.ID[0], v.ID[1])}.Request()
}

// Ways of a request: the balancer, or a node.
func (t *traffic) balanced(ctx context.Context, q testnode.Request) (testnode.Answer, error) {
	return testnode.Ask(ctx, t.client, t.r.c.Balancer.URL, q)
}

func (t *traffic) direct(ctx context.Context, i int, q testnode.Request) (testnode.Answer, error) {
	return testnode.Ask(ctx, t.client, "http://"+t.r.c.Nodes[i].HTTP, q)
}

func (t *traffic) deliver(v view) bool {
	t.r.ledger.sites[v.Site].begun.Add(1)
	sent := time.Now()
	q := t.request(v)
	a, ok := t.untilAcked(v.ID, func(ctx context.Context) (testnode.Answer, error) { return t.balanced(ctx, q) }, counted)
	if ok {
		t.settled(v, sent, a.Token())
	}
	return ok
}

// counted tells whether an answer to a single view says that it is counted.
func counted(a testnode.Answer) error {
	if d := a.Dropped(); d != "" && d != "duplicate" {
		return fmt.Errorf("dropped: %s", d)
	}
	return nil
}

// deliverCopies sends one view several times at once, each copy through another
// node until it is acknowledged.
func (t *traffic) deliverCopies(v view, copies int, random *rand.Rand) bool {
	t.r.ledger.sites[v.Site].begun.Add(1)
	sent := time.Now()
	q := t.request(v)
	var sending sync.WaitGroup
	oks, tokens := make([]bool, copies), make([]string, copies)
	nodes := random.Perm(len(t.r.c.Nodes))
	for i := range copies {
		sending.Go(func() {
			try := i
			a, ok := t.untilAcked(v.ID, func(ctx context.Context) (testnode.Answer, error) {
				try++
				return t.direct(ctx, nodes[try%len(nodes)], q)
			}, counted)
			oks[i], tokens[i] = ok, a.Token()
		})
	}
	sending.Wait()
	if slices.Contains(oks, false) {
		return false
	}
	token := "" // the earliest has counted it, whichever that was
	if !slices.Contains(tokens, "") {
		token = slices.MaxFunc(tokens, func(a, b string) int { _, i := parseToken(a); _, j := parseToken(b); return int(int64(i) - int64(j)) })
	}
	t.settled(v, sent, token)
	return true
}

// refusedPages begins the pages of views that must not be counted.
const refusedPages = "/refused/"

// deliverRefused sends a view of a robot, or one that is none.
func (t *traffic) deliverRefused(v view) bool {
	v.Page = refusedPages + v.ID
	q, want := t.request(v), http.StatusAccepted
	if v.ID[0]%2 == 0 {
		q.Header["User-Agent"] = "Googlebot/2.1 (+http://www.google.com/bot.html)"
	} else {
		q.Body, want = map[string]any{"u": "https://x.example" + v.Page, "d": t.r.ledger.domains[v.Site]}, http.StatusBadRequest
	}
	ctx, cancel := context.WithTimeout(context.Background(), attemptMax)
	defer cancel()
	a, err := t.balanced(ctx, q)
	if err == nil && a.Status < 500 && (a.Status != want || want == http.StatusAccepted && a.Dropped() == "") {
		t.r.t.Errorf("a view that must be refused: got %d %q %s", a.Status, a.Dropped(), a.Body)
		return false
	}
	return true
}

func (t *traffic) deliverBatch(batch []view) bool {
	var events []map[string]any
	for _, v := range batch {
		domain := t.r.ledger.domains[v.Site]
		e := map[string]any{"id": v.ID, "site": domain, "url": "https://" + domain + v.Page, "ip": "10.2.3.4", "user_agent": testnode.Firefox}
		if !v.Time.IsZero() {
			e["timestamp"] = v.Time.UTC().Format(time.RFC3339)
		}
		events = append(events, e)
	}
	t.r.ledger.sites[batch[0].Site].begun.Add(int64(len(batch)))
	sent := time.Now()
	q := testnode.Request{Path: "/v1/events", Body: events, Key: t.sender}
	var out struct {
		Accepted, Duplicates, Rejected int
		Token                          string
	}
	_, ok := t.untilAcked("of a batch", func(ctx context.Context) (testnode.Answer, error) { return t.balanced(ctx, q) }, func(a testnode.Answer) error {
		if err := json.Unmarshal(a.Body, &out); err != nil {
			return err
		}
		if out.Accepted+out.Duplicates == len(batch) {
			return nil
		}
		if strings.Contains(string(a.Body), "unavailable: send it again") {
			return errAgain
		}
		return fmt.Errorf("%s", a.Body)
	})
	if ok {
		for _, v := range batch {
			t.settled(v, sent, out.Token)
		}
	}
	return ok
}

// settled writes down an acknowledged view.
func (t *traffic) settled(v view, sent time.Time, token string) {
	shard, index := parseToken(token)
	t.r.ledger.acked(v, sent, time.Now(), shard, index)
	t.acked.Add(1)
	if index == 0 {
		t.spooled.Add(1)
	}
}

func parseToken(text string) (shard string, index uint64) {
	token, err := analytics.ParseToken(text)
	if err != nil || token.Index == 0 {
		return "", 0
	}
	return fmt.Sprint(token.Shard), token.Index
}

// errAgain says that an answer asks for the request once more.
var errAgain = fmt.Errorf("to be sent again")

// untilAcked sends until the answer is 202 and good; false after one that nobody
// may give, or too long a time.
func (t *traffic) untilAcked(what string, send func(context.Context) (testnode.Answer, error), good func(testnode.Answer) error) (testnode.Answer, bool) {
	begin, backoff := time.Now(), backoffMin
	for {
		ctx, cancel := context.WithTimeout(context.Background(), attemptMax)
		t.flying.Add(1)
		a, err := send(ctx)
		t.flying.Add(-1)
		cancel()
		switch {
		case err == nil && a.Status == http.StatusAccepted:
			if err = good(a); err == nil {
				return a, true
			}
			if err != errAgain {
				t.r.t.Errorf("view %s: a good view was not taken: %v", what, err)
				return a, false
			}
		case err == nil && (a.Status < 500 || a.Status == http.StatusInternalServerError):
			t.r.t.Errorf("view %s: got %d %s", what, a.Status, a.Body)
			return a, false
		}
		if time.Since(begin) > giveUp {
			t.r.t.Errorf("view %s: not acknowledged after %v, last %d %s %v", what, giveUp, a.Status, a.Body, err)
			return a, false
		}
		t.retries.Add(1)
		wait(backoff)
		backoff = min(2*backoff, backoffMax)
	}
}

// fill writes what happened into the report.
func (t *traffic) fill(r *Report) {
	r.Acked, r.Spooled, r.Retries, r.Reads, r.Unread, r.Flushes = t.acked.Load(), t.spooled.Load(), t.retries.Load(), t.reads.Load(), t.unread.Load(), t.flushes.Load()
}
