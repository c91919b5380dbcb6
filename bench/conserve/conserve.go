// Package conserve compares what servers acknowledged with what they count:
// nothing may be lost and nothing counted twice. It must never pass over a site
// that it could not ask. Start at Begin.
package conserve

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"footfall/bench/ledger"
	"footfall/bench/results"
	"footfall/bench/visitors"
)

// Counter tells what is counted. Calls are concurrent.
type Counter interface {
	// Events gives the page views and custom events of a site.
	Events(ctx context.Context, domain string) (int64, error)
	// Pages gives the page views of each page of a site.
	Pages(ctx context.Context, domain string) (map[string]int64, error)
}

const (
	parallel  = 8
	wrongMax  = 100
	pollBegin = 100 * time.Millisecond
	pollMax   = 2 * time.Second
)

// Check is a comparison that has begun: it knows what was counted before.
type Check struct {
	counter Counter
	domains []string
	pages   int // of each site; 0: they are not compared
	before  []int64
	paged   []map[string]int64
}

// Begin notes what is counted before the load. pages is how many pages of each
// site will be compared, 0 for none.
func Begin(ctx context.Context, counter Counter, domains []string, pages int) (*Check, error) {
	c := &Check{counter: counter, domains: domains, pages: pages}
	var err error
	c.before, c.paged, err = c.look(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("what is counted before the run: %w", err)
	}
	return c, nil
}

// look asks for the figures of sites; nil are all of them.
func (c *Check) look(ctx context.Context, sites []int) ([]int64, []map[string]int64, error) {
	events, pages := make([]int64, len(c.domains)), make([]map[string]int64, len(c.domains))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	if sites == nil {
		sites = make([]int, len(c.domains))
		for i := range sites {
			sites[i] = i
		}
	}
	for _, i := range sites {
		group.Go(func() (err error) {
			if events[i], err = c.counter.Events(ctx, c.domains[i]); err == nil && c.pages > 0 {
				pages[i], err = c.counter.Pages(ctx, c.domains[i])
			}
			return err
		})
	}
	return events, pages, group.Wait()
}

// End compares. It asks until the figures agree, wait at most.
func (c *Check) End(ctx context.Context, l *ledger.Ledger, wait time.Duration) (*results.Conservation, error) {
	start := time.Now()
	var sites []int
	for i := range c.domains {
		sites = append(sites, i)
	}
	var found sync.Map // of int: siteResult
	out := &results.Conservation{Sites: len(c.domains)}
	out.Acknowledged, out.Uncertain = l.Total()
	for poll := pollBegin; ; poll = min(2*poll, pollMax) {
		events, pages, err := c.look(ctx, sites)
		if err != nil {
			return nil, fmt.Errorf("compare with what is counted: %w", err)
		}
		var still []int
		for _, i := range sites {
			r := c.compare(i, l, events[i], pages[i])
			found.Store(i, r)
			if r.lost > 0 {
				still = append(still, i)
			}
		}
		sites = still
		left := wait - time.Since(start)
		if out.Visible = len(sites) == 0; out.Visible || left <= 0 {
			break
		}
		t := time.NewTimer(min(poll, left))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
	out.WaitSeconds = time.Since(start).Seconds()
	for i := range c.domains {
		v, _ := found.Load(i)
		r := v.(siteResult)
		out.Counted += r.counted
		out.Lost += r.lost
		out.Doubled += r.doubled
		out.Pages += r.pages
		for _, d := range r.wrong {
			if len(out.Wrong) < wrongMax {
				out.Wrong = append(out.Wrong, d)
			}
		}
	}
	return out, nil
}

type siteResult struct {
	counted, lost, doubled int64
	pages                  int
	wrong                  []results.Difference
}

// off tells how many are missing and how many too many.
func off(acknowledged, uncertain, counted int64) (lost, doubled int64) {
	return max(0, acknowledged-counted), max(0, counted-acknowledged-uncertain)
}

// compare judges a site by its sum and by its pages. What its pages lack or have
// too much counts if it is more than the sum shows: a lost view may hide behind
// one that counted twice.
func (c *Check) compare(i int, l *ledger.Ledger, events int64, pages map[string]int64) siteResult {
	ack, doubt := l.Site(i)
	r := siteResult{counted: events - c.before[i]}
	r.lost, r.doubled = off(ack, doubt, r.counted)
	if r.lost+r.doubled > 0 {
		r.wrong = append(r.wrong, results.Difference{Site: c.domains[i], Acknowledged: ack, Uncertain: doubt, Counted: r.counted})
	}
	if c.pages == 0 || l.Pages() == 0 {
		return r
	}
	var lost, doubled int64
	var path []byte
	for p := range l.Pages() {
		ack, doubt := l.Page(i, p)
		path = visitors.AppendPath(path[:0], p)
		counted := pages[string(path)] - c.paged[i][string(path)]
		a, b := off(ack, doubt, counted)
		lost, doubled = lost+a, doubled+b
		r.pages++
		if a+b > 0 && len(r.wrong) < wrongMax {
			r.wrong = append(r.wrong, results.Difference{Site: c.domains[i], Page: string(path), Acknowledged: ack, Uncertain: doubt, Counted: counted})
		}
	}
	r.lost, r.doubled = max(r.lost, lost), max(r.doubled, doubled)
	return r
}
