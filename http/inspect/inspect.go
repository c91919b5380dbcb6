// Package inspect remembers the last events of the sites that somebody looks at,
// each with what was decided about it, for the inspector and the event feed. It
// lives in the memory of the node that took the events. It must never keep an
// address or the id of a visitor, cost the way of a view anything noticeable while
// nobody looks, or hold more than its bounds, whatever is sent.
//
// The hot path, a view of a site that nobody looks at: one atomic load and one
// look into a small map, no lock, no allocation. Of a site that is looked at: one
// mutex of its own and about 300 bytes copied into a place that is used again.
// Start at Watch.Watching and Watch.Note; Merge joins what several nodes have.
package inspect

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"footfall/analytics"
)

// Bounds of a Watch.
const (
	// EventsMax is how many events of a site are kept, the newest.
	EventsMax = 1000
	// SitesMax is how many sites are watched at a time; the one that was looked at
	// longest ago makes room.
	SitesMax = 1024
	// BytesMax bounds what all of them hold; it is met as SitesMax is.
	BytesMax = 64 << 20
	// Lasting is how long a site is watched after somebody has looked.
	Lasting = time.Hour

	// textBytesMax cuts each text of an event.
	textBytesMax = 500
)

// Options are what a Watch is made of. Edge and Now are required.
type Options struct {
	Edge string // name of this node
	Now  func() time.Time

	EventsMax, SitesMax, BytesMax int // EventsMax, SitesMax, BytesMax if 0; for tests
}

// Watch holds the events. All methods may be called concurrently.
type Watch struct {
	opts  Options
	bytes atomic.Int64

	// rings is replaced, never changed: readers take no lock.
	rings atomic.Pointer[map[analytics.SiteID]*ring]
	mu    sync.Mutex // guards changes of rings; taken before a ring's own
}

// New makes a Watch that watches nothing.
func New(opts Options) *Watch {
	if opts.EventsMax <= 0 {
		opts.EventsMax = EventsMax
	}
	if opts.SitesMax <= 0 {
		opts.SitesMax = SitesMax
	}
	if opts.BytesMax <= 0 {
		opts.BytesMax = BytesMax
	}
	w := &Watch{opts: opts}
	w.rings.Store(&map[analytics.SiteID]*ring{})
	return w
}

func (w *Watch) ring(site analytics.SiteID) *ring { return (*w.rings.Load())[site] }

// Watching tells whether somebody has looked at a site within Lasting before now,
// Unix ms. It neither waits nor allocates.
func (w *Watch) Watching(site analytics.SiteID, now int64) bool {
	r := w.ring(site)
	return r != nil && now-r.looked.Load() < Lasting.Milliseconds()
}

// Note remembers an event of a site and what was decided about it; rule is what
// spoke against it, "" for nothing in particular. It keeps neither ev nor any of
// its texts, nor rule. An event of a site that is not watched is passed over.
func (w *Watch) Note(site analytics.SiteID, ev *analytics.Event, verdict analytics.Reason, rule string) {
	r := w.ring(site)
	if r == nil {
		return
	}
	if grown := r.add(ev, verdict, rule, w.opts.EventsMax); grown > 0 && w.bytes.Add(int64(grown)) > int64(w.opts.BytesMax) {
		w.makeRoom(site)
	}
}

// Look gives what is kept of a site, and watches it from now on. Verdicts that
// ask.Wants refuses are left out.
func (w *Watch) Look(site analytics.SiteID, ask Ask) Part {
	r := w.watch(site)
	p := r.part(ask)
	p.Edge = w.opts.Edge
	for i := range p.Events {
		e := &p.Events[i]
		e.Edge, e.ID = p.Edge, p.Edge+"-"+e.ID
	}
	return p
}

// Subscription tells of the counted events of one site. It is for one goroutine.
type Subscription struct {
	// C has room for one signal and is never closed.
	C <-chan struct{}

	w    *Watch
	site analytics.SiteID
	ch   chan struct{}
	ring *ring
}

// Subscribe signals every counted event of a site, which is watched from now on.
// The caller must call Keep now and then, and Close in the end.
func (w *Watch) Subscribe(site analytics.SiteID) *Subscription {
	ch := make(chan struct{}, 1)
	s := &Subscription{C: ch, w: w, site: site, ch: ch}
	s.Keep()
	return s
}

// Keep lets the site be watched for another hour. It is called at least once in
// Lasting, and after each signal: where the site had to make room for others, it
// begins anew.
func (s *Subscription) Keep() {
	for {
		r := s.w.watch(s.site)
		if r == s.ring && !r.gone() || r.subscribe(s.ch) {
			s.ring = r
			return
		}
	}
}

// Close ends the subscription.
func (s *Subscription) Close() { s.ring.unsubscribe(s.ch) }

// watch finds the ring of a site or makes one, and notes that it was looked at.
func (w *Watch) watch(site analytics.SiteID) *ring {
	now := w.opts.Now().UnixMilli()
	if r := w.ring(site); r != nil && now-r.looked.Load() < Lasting.Milliseconds() {
		r.looked.Store(now)
		return r
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	next := maps.Clone(*w.rings.Load())
	for id, r := range next { // those that nobody looks at any more
		if now-r.looked.Load() >= Lasting.Milliseconds() {
			w.dropLocked(next, id)
		}
	}
	r := next[site]
	if r == nil {
		for len(next) >= w.opts.SitesMax {
			w.dropLocked(next, longestAgo(next, 0))
		}
		r = newRing(now)
		next[site] = r
	}
	r.looked.Store(now)
	w.rings.Store(&next)
	return r
}

// makeRoom lets go of the sites that were looked at longest ago, not of but.
func (w *Watch) makeRoom(but analytics.SiteID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := maps.Clone(*w.rings.Load())
	for len(next) > 1 && w.bytes.Load() > int64(w.opts.BytesMax) {
		w.dropLocked(next, longestAgo(next, but))
	}
	w.rings.Store(&next)
}

func (w *Watch) dropLocked(rings map[analytics.SiteID]*ring, site analytics.SiteID) {
	r := rings[site]
	delete(rings, site)
	w.bytes.Add(-int64(r.close()))
}

func longestAgo(rings map[analytics.SiteID]*ring, but analytics.SiteID) (site analytics.SiteID) {
	var oldest *ring
	for id, r := range rings {
		if id != but && (oldest == nil || r.looked.Load() < oldest.looked.Load()) {
			site, oldest = id, r
		}
	}
	return site
}

// Sites is how many sites are watched, Bytes what they hold.
func (w *Watch) Sites() int { return len(*w.rings.Load()) }

// Bytes is what the kept events take.
func (w *Watch) Bytes() int64 { return w.bytes.Load() }
