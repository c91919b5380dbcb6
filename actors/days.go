package actors

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/session"
	"footfall/analytics/site"
	"footfall/persistence"
)

// dayCache holds what questions read: days of sites in session form, and what
// was worked out of them. All of it is made from records and live rows and can be
// dropped at any time; together it is bounded in bytes.
type dayCache struct {
	cache *otter.Cache[dayKey, any]
	max   uint64
	sizes atomic.Uint64 // generations given so far

	mu    sync.Mutex // guards sites
	sites map[analytics.SiteID]*siteDays
}

// dayKey names a day, or what was remembered under a text. A generation is never
// used again, so what belongs to a lexicon that is gone is never found.
type dayKey struct {
	generation uint64
	day        int32
	memory     string
}

// siteDays is the days of one site: all have texts of one lexicon.
type siteDays struct {
	c          *dayCache
	generation uint64
	blocks     *shardBlocks
	fresh      freshView
	lexicon    *session.Lexicon
	pinned     int // guarded by dayCache.mu: pictures that use it

	building sync.Mutex // guards making
	making   map[int32]*making
}

// freshView gives a view of the site as it is now.
type freshView func(context.Context) (*site.View, error)

// making is a day in the making, which others wait for.
type making struct {
	version uint64
	done    chan struct{}
	day     *session.Day
	err     error
}

// cachedDay is a day as of a version of it, and the view it was made from.
type cachedDay struct {
	version uint64
	day     *session.Day
	view    *site.View
}

const (
	sitesCachedMax = 4096 // lexicons; idle ones beyond it go
	lexiconShare   = 4    // of the cache that one lexicon may take
)

func newDayCache(bytes uint64) *dayCache {
	c := &dayCache{max: bytes, sites: map[analytics.SiteID]*siteDays{}}
	c.cache = otter.Must(&otter.Options[dayKey, any]{
		MaximumWeight: bytes,
		Weigher:       func(k dayKey, v any) uint32 { return dayWeight(k, v) },
	})
	return c
}

// remembered is a value of Remember.
type remembered struct {
	v     any
	bytes int
}

func dayWeight(k dayKey, v any) uint32 {
	n := 96 + len(k.memory)
	switch x := v.(type) {
	case *cachedDay:
		n += 128
		for _, l := range x.day.Layers {
			n += 81*l.Len() + 17*len(l.At) + 20*len(l.Rares)
		}
	case *remembered:
		n += x.bytes
	}
	return uint32(min(n, 1<<31))
}

// of gives the days of a site for one picture; release must be called once.
func (c *dayCache) of(id analytics.SiteID, blocks *shardBlocks, fresh freshView) (s *siteDays, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = c.sites[id]
	if s == nil || s.blocks.life != blocks.life || uint64(s.lexicon.Bytes()) > c.max/lexiconShare {
		if len(c.sites) >= sitesCachedMax {
			c.dropIdleLocked()
		}
		s = &siteDays{c: c, generation: c.sizes.Add(1), blocks: blocks, fresh: fresh, lexicon: session.NewLexicon(), making: map[int32]*making{}}
		c.sites[id] = s
	}
	s.pinned++
	return s, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.pinned--
	}
}

// dropIdleLocked lets half of the lexicons go that nobody uses just now.
func (c *dayCache) dropIdleLocked() {
	n := len(c.sites) / 2
	for id, s := range c.sites {
		if n--; n < 0 {
			return
		}
		if s.pinned == 0 {
			delete(c.sites, id)
		}
	}
}

// forget drops what is held of a site.
func (c *dayCache) forget(id analytics.SiteID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sites, id)
}

// forgetShard drops what is held of the sites of a shard.
func (c *dayCache) forgetShard(n uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.sites {
		if s.blocks.shard == n {
			delete(c.sites, id)
		}
	}
}

// bytes is the size of all that is held, lexicons apart.
func (c *dayCache) bytes() uint64 { return c.cache.WeightedSize() }

// Lexicon gives the texts of all days of the site.
func (s *siteDays) Lexicon() *session.Lexicon { return s.lexicon }

// Day gives a day of the view, making it if need be; who asks for one that is in
// the making waits for it.
func (s *siteDays) Day(ctx context.Context, view *site.View, day int32) (*session.Day, error) {
	version := version(view, day)
	k := dayKey{generation: s.generation, day: day}
	var old *cachedDay
	if v, ok := s.c.cache.GetIfPresent(k); ok {
		if old = v.(*cachedDay); old.version == version {
			return old.day, nil
		}
	}
	s.building.Lock()
	m := s.making[day]
	if m != nil && m.version == version {
		s.building.Unlock()
		select {
		case <-m.done:
			if m.err == nil {
				return m.day, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return s.make(ctx, old, view, day) // whoever made it was stopped
	}
	m = &making{version: version, done: make(chan struct{})}
	s.making[day] = m
	s.building.Unlock()
	m.day, m.err = s.make(ctx, old, view, day)
	if m.err == nil && (old == nil || old.version < version) {
		s.c.cache.Set(k, &cachedDay{version, m.day, view})
	}
	s.building.Lock()
	if s.making[day] == m {
		delete(s.making, day)
	}
	s.building.Unlock()
	close(m.done)
	return m.day, m.err
}

// freshTries is how often a day is made anew because its records were replaced
// while it was read.
const freshTries = 5

// make makes a day. Records that a view names go when what they hold is sealed,
// rewritten or brought back; mostly a newer view says the same of the day, from
// other records.
func (s *siteDays) make(ctx context.Context, old *cachedDay, view *site.View, day int32) (*session.Day, error) {
	d, err := s.makeFrom(ctx, old, view, day)
	for range freshTries {
		if !errors.Is(err, persistence.ErrNotFound) {
			return d, err
		}
		now, failed := s.fresh(ctx)
		if failed != nil {
			return nil, failed
		}
		if version(now, day) != version(view, day) {
			return nil, &analytics.Error{Code: analytics.Unavailable, Text: "the data asked about changed meanwhile, ask again", Err: err}
		}
		d, err = s.makeFrom(ctx, nil, now, day)
	}
	return d, err
}

// makeFrom makes a day from an earlier state of it, if there is one.
func (s *siteDays) makeFrom(ctx context.Context, old *cachedDay, view *site.View, day int32) (*session.Day, error) {
	if old == nil || old.version > version(view, day) {
		return session.Build(ctx, view, day, s.blocks, s.lexicon)
	}
	return session.Advance(ctx, old.day, old.view, view, s.blocks)
}

// version is that of what a day of the view holds.
func version(view *site.View, day int32) uint64 {
	return view.Version(int64(day)*column.DayMS, int64(day+1)*column.DayMS)
}

// Recall gives what was remembered.
func (s *siteDays) Recall(key string) (any, bool) {
	v, ok := s.c.cache.GetIfPresent(dayKey{generation: s.generation, memory: key})
	if !ok {
		return nil, false
	}
	return v.(*remembered).v, true
}

// Remember keeps v until there is no room.
func (s *siteDays) Remember(key string, v any, bytes int) {
	s.c.cache.Set(dayKey{generation: s.generation, memory: key}, &remembered{v, bytes})
}
