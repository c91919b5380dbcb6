// Package chaos puts a cluster of real processes under fire and counts what is
// left: clients report views through the balancer and never give one up, readers
// hold every answer against what was acknowledged, faults strike by a schedule
// that a seed repeats, and at the end every node must count exactly the views that
// were acknowledged, each once. It knows nothing but what users see; it must never
// look into a node, excuse a difference, or count a run in which nothing happened.
// Start at Run.
package chaos

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// Options of a campaign. The zero value is a short one.
type Options struct {
	Seed    uint64        // of schedule and traffic
	Faults  int           // at least so many; default one of each kind
	For     time.Duration // at least so long
	Rate    int           // views per second in all; default 150
	Clients int           // default 24
	Sites   int           // default 24
	Env     []string      // further environment of the nodes, "NAME=value"
	Hasty   bool          // end with the first thing that does not hold
	First   []kind        // faults before those of the schedule
	Log     func(format string, args ...any)
}

// Report is what a campaign saw.
type Report struct {
	Acked, Spooled   int64 // views; those acknowledged without a write token
	Retries          int64 // requests sent again
	Reads, Unread    int64 // answers, and questions without one
	Flushes          int64 // of a node's records
	Faults           int
	Lost, Doubled    int
	Took             time.Duration // under fire
	Registers, Metas int           // operations that the checker judged
}

// String is one line.
func (r Report) String() string {
	return fmt.Sprintf("%d views acknowledged (%.0f/s, %d of them by the spool), %d retries, %d faults, %d flushes, %d reads, %d without an answer, %d lost, %d doubled; %d register and %d site operations checked",
		r.Acked, float64(r.Acked)/max(r.Took.Seconds(), 1), r.Spooled, r.Retries, r.Faults, r.Flushes, r.Reads, r.Unread, r.Lost, r.Doubled, r.Registers, r.Metas)
}

// perSecondLeast is how many acknowledged views a run must have on average to
// say anything.
const perSecondLeast = 50

// campaign is one run.
type campaign struct {
	t       testing.TB
	o       Options
	c       *testcluster.Cluster
	ledger  *ledger
	traffic *traffic
	report  Report
}

// Run plays a campaign against a cluster of three nodes with Consul and HAProxy.
// Whatever does not hold fails t.
func Run(t testing.TB, o Options) Report {
	t.Helper()
	if o.Rate == 0 {
		o.Rate = 150
	}
	if o.Clients == 0 {
		o.Clients = 24
	}
	if o.Sites == 0 {
		o.Sites = 24
	}
	if o.Faults == 0 {
		o.Faults = len(kinds)
	}
	if o.Log == nil {
		o.Log = t.Logf
	}
	r := &campaign{t: t, o: o}
	r.begin()
	begin := time.Now()
	random := rand.New(rand.NewPCG(o.Seed, 1))
	r.traffic = startTraffic(r, rand.New(rand.NewPCG(o.Seed, 2)))
	r.strikeAll(random, begin)
	r.report.Took = time.Since(begin)
	r.traffic.end()
	r.traffic.fill(&r.report)
	if o.Hasty && t.Failed() {
		return r.report
	}
	r.settle()
	r.judge()
	if rate := float64(r.report.Acked) / r.report.Took.Seconds(); rate < min(perSecondLeast, float64(o.Rate)/3) || r.report.Reads == 0 || r.report.Retries == 0 || r.report.Flushes == 0 {
		t.Errorf("the run is void: %s", r.report)
	}
	o.Log("%s", r.report)
	return r.report
}

// begin starts the cluster and waits until it is whole: all shards have their
// three replicas, and every node knows all sites.
func (r *campaign) begin() {
	r.t.Helper()
	r.c = testcluster.Start(r.t, testcluster.Options{Consul: true, HAProxy: true, Zones: []string{"a", "b", "c"},
		Args: []string{"--api-keys-per-hour", "0"}, Env: r.o.Env})
	r.until("all shards have three replicas that are level", func() error {
		s, err := r.status(0)
		if err != nil {
			return err
		}
		return s.whole(len(r.c.Nodes))
	})
	var sites []string
	for i := range r.o.Sites {
		domain := fmt.Sprintf("shop%d.example", i)
		r.until("site "+domain+" is made", func() error { return r.makeSite(0, domain) })
		sites = append(sites, domain)
	}
	r.ledger = newLedger(sites)
	for i := range r.c.Nodes {
		for _, domain := range sites {
			r.until(fmt.Sprintf("node %d knows %s", i+1, domain), func() error { return r.knows(i, domain) })
		}
	}
}

// settle heals everything and waits until nothing is under way any more.
func (r *campaign) settle() {
	r.t.Helper()
	r.c.Heal()
	r.until("the spools are empty and all replicas level", func() error {
		s, err := r.status(0)
		if err != nil {
			return err
		}
		return s.quiet(len(r.c.Nodes), r.traffic.ended)
	})
}

// calmMax is how long a cluster may take to be as it should after all is healed,
// on a busy machine.
const calmMax = 4 * time.Minute

// until asks again and again until there is no error.
func (r *campaign) until(what string, ok func() error) {
	r.t.Helper()
	most := calmMax
	if r.o.Hasty {
		most /= 3
	}
	deadline := time.Now().Add(most)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("waited %v in vain until %s: %v", most, what, err)
		}
		wait(100 * time.Millisecond)
	}
}

// wait lets some time pass: between two tries, or while a fault lasts. Nothing
// takes it as a sign that anything happened.
func wait(d time.Duration) { <-time.NewTimer(d).C }

// node is the i-th node.
func (r *campaign) node(i int) *testnode.Node { return r.c.Nodes[i].Node }
