package chaos

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// cell is what is counted: a page of a site in an hour.
type cell struct {
	Site int
	Page string
	Hour int64 // Unix hours, UTC
}

// ledger is what the clients know. Safe for concurrent use.
type ledger struct {
	domains []string
	sites   []account

	mu     sync.Mutex
	sure   map[cell]int // acknowledged, the hour known
	either map[cell]int // acknowledged, in this hour or the one before or after
}

// account is what is known of a site.
type account struct {
	begun atomic.Int64 // views sent at least once
	acked atomic.Int64 // views acknowledged

	mu     sync.Mutex
	shard  string   // of its write tokens; "" before the first
	tokens []uint64 // log index of each acknowledged view that has one
	sorted bool     // tokens are; then there are some
	top    uint64   // the highest
	read   uint64   // the highest that a reader of registers was shown
	pages  map[string]int
}

func newLedger(domains []string) *ledger {
	l := &ledger{domains: domains, sites: make([]account, len(domains)), sure: map[cell]int{}, either: map[cell]int{}}
	for i := range l.sites {
		l.sites[i].pages = map[string]int{}
	}
	return l
}

// view is one view that a client reports; each is acknowledged at most once.
type view struct {
	Site int
	Page string
	ID   string
	Time time.Time // of a batch's view that says its time; else zero
}

// acked takes an acknowledged view, first sent at sent. index is 0 where it has
// no write token.
func (l *ledger) acked(v view, sent, now time.Time, shard string, index uint64) {
	from, to := hourOf(sent), hourOf(now)
	if !v.Time.IsZero() {
		from, to = hourOf(v.Time), hourOf(v.Time)
	}
	l.mu.Lock()
	if from == to {
		l.sure[cell{v.Site, v.Page, from}]++
	} else {
		for hour := from; hour <= to; hour++ {
			l.either[cell{v.Site, v.Page, hour}]++
		}
	}
	l.mu.Unlock()
	a := &l.sites[v.Site]
	a.mu.Lock()
	a.pages[v.Page]++
	if index > 0 {
		a.shard, a.top = shard, max(a.top, index)
		a.sorted = a.sorted && index >= a.tokens[len(a.tokens)-1]
		a.tokens = append(a.tokens, index)
	}
	a.mu.Unlock()
	a.acked.Add(1)
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// balance is the difference between what is known and what was counted.
type balance struct {
	Lost, Doubled int
	Names         []string // of the first cells that differ
}

// namesMax bounds what a failure prints.
const namesMax = 20

func (b *balance) add(name string, least, most, got int) {
	switch {
	case got < least:
		b.Lost += least - got
	case got > most:
		b.Doubled += got - most
	default:
		return
	}
	if len(b.Names) < namesMax {
		b.Names = append(b.Names, name)
	}
}

// compare holds the counted cells of a site against what is known of it. What is
// lost in one cell cannot make up for what is doubled in another.
func (l *ledger) compare(site int, got map[cell]int) (b balance) {
	pages := map[string]int{}
	l.mu.Lock()
	for c, n := range got {
		pages[c.Page] += n
		if c.Site == site {
			b.add(l.name(c, n), l.sure[c], l.sure[c]+l.either[c], n)
		}
	}
	for c, n := range l.sure {
		if _, seen := got[c]; c.Site == site && !seen {
			b.add(l.name(c, 0), n, n, 0)
		}
	}
	l.mu.Unlock()
	if b.Lost+b.Doubled > 0 {
		return b
	}
	// Between two hours only the page knows.
	a := &l.sites[site]
	a.mu.Lock()
	defer a.mu.Unlock()
	for page, n := range a.pages {
		b.add(l.domains[site]+page, n, n, pages[page])
	}
	return b
}

func (l *ledger) name(c cell, got int) string {
	return difference(l.domains[c.Site]+c.Page, time.Unix(c.Hour*3600, 0).UTC(), l.sure[c], l.either[c], got)
}

// at is how many acknowledged views of a site an answer as of a log index holds
// at least.
func (a *account) at(index uint64) (least int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sorted {
		slices.Sort(a.tokens)
		a.sorted = true
	}
	n, _ := slices.BinarySearch(a.tokens, index+1)
	return int64(n)
}

// newest is the highest write token of a site.
func (a *account) newest() (shard string, index uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shard, a.top
}
