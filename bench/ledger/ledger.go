// Package ledger keeps account of what was acknowledged to visitors, so that it
// can be compared with what servers count. It must never allocate while a load
// runs. Start at New.
package ledger

import "sync/atomic"

// Ledger counts by site, and by page where there are few enough. Its methods
// are safe for concurrent use.
type Ledger struct {
	pages        int            // 0: pages are not kept
	acknowledged []atomic.Int64 // events of a site: views and custom events
	uncertain    []atomic.Int64
	paged        []atomic.Int64 // views of a page, site by site
	doubtful     []atomic.Int64 // views of a page that nobody knows about
}

// New makes a ledger. With pages 0 it counts by site only.
func New(sites, pages int) *Ledger {
	return &Ledger{pages: pages, acknowledged: make([]atomic.Int64, sites), uncertain: make([]atomic.Int64, sites),
		paged: make([]atomic.Int64, sites*pages), doubtful: make([]atomic.Int64, sites*pages)}
}

// Acknowledge notes an event that a server promised to count; view tells a page
// view from a custom event.
func (l *Ledger) Acknowledge(site, page int, view bool) {
	l.acknowledged[site].Add(1)
	if view && l.pages > 0 {
		l.paged[site*l.pages+page].Add(1)
	}
}

// Doubt notes an event that was sent, and whose fate is not known: it may be
// counted or not.
func (l *Ledger) Doubt(site, page int, view bool) {
	l.uncertain[site].Add(1)
	if view && l.pages > 0 {
		l.doubtful[site*l.pages+page].Add(1)
	}
}

// Sites is how many sites there are, Pages how many pages each has that are
// kept.
func (l *Ledger) Sites() int { return len(l.acknowledged) }

// Pages is how many pages of a site are kept, 0 if none.
func (l *Ledger) Pages() int { return l.pages }

// Site gives a site's sums.
func (l *Ledger) Site(site int) (acknowledged, uncertain int64) {
	return l.acknowledged[site].Load(), l.uncertain[site].Load()
}

// Page gives a page's sums.
func (l *Ledger) Page(site, page int) (acknowledged, uncertain int64) {
	i := site*l.pages + page
	return l.paged[i].Load(), l.doubtful[i].Load()
}

// Total gives the sums over all sites.
func (l *Ledger) Total() (acknowledged, uncertain int64) {
	for i := range l.acknowledged {
		acknowledged += l.acknowledged[i].Load()
		uncertain += l.uncertain[i].Load()
	}
	return acknowledged, uncertain
}
