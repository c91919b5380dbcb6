// Package readcache keeps answers in memory, so that what has been asked of a
// site is not computed again until its numbers change. It stands in front of a
// Source and is a Source's asker itself. It must never give an answer that
// differs from a fresh one except where it is asked to (see since.go), keep an
// error, or let one site's question meet another's answer.
//
// An answer is filed under the site, the version of the data that it depends on
// and the whole question (see key.go). Data that change get another version, so
// nothing is ever taken out: what is no longer asked for falls out of the ring
// when newer answers need the room. A question about closed days stays answered
// for as long as there is room, one about today until the next view.
//
// What many ask at the same time is computed once (see flight.go). An answer is
// kept only when the version was the same before and after it was computed:
// versions never come back, so then it is the answer of that version and of no
// other.
//
// The cost of a hit: one Version, one encoding of the question, two hashes and
// one decoding of the answer; a few microseconds for some dozen rows. Start at
// New and Cache.Ask.
package readcache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"footfall/analytics"
	"footfall/analytics/query"
)

// Source computes answers. Calls are concurrent.
type Source interface {
	// Ask answers from a state that contains everything up to after. It stops
	// with ctx.
	Ask(ctx context.Context, site analytics.SiteID, q *query.Question, after analytics.Token) (*query.Answer, error)
	// Version numbers the data of [from, to), Unix milliseconds, in a state that
	// contains everything up to after; index says how far that state looks into
	// the site's log. Two equal numbers for the same range mean that every
	// question about it has the same answer; a number that was left never comes
	// back. Of two calls, one after the other, the later never looks less far.
	Version(ctx context.Context, site analytics.SiteID, from, to int64, after analytics.Token) (version, index uint64, err error)
}

// BytesDefault is the room for answers unless Options say otherwise.
const BytesDefault = 64 << 20

// Options are what a Cache is made of. Source is required.
type Options struct {
	Source Source
	// Bytes bounds the room for answers, which lies outside the heap of Go; 0 is
	// BytesDefault, less than 32 MiB is 32 MiB. The index of what is kept comes on
	// top, about 50 bytes an answer.
	Bytes   int
	Metrics *metrics.Set
}

// Cache answers questions. Safe for concurrent use; it needs a Close.
type Cache struct {
	source  Source
	store   store
	answers flights[*query.Answer]
	bodies  flights[[]byte]
	count   counters
	scratch sync.Pool // of *scratch
	begin   time.Time // what the age of answers is reckoned from
}

// scratch is the working memory of one lookup.
type scratch struct{ key, value []byte }

// scratchBytesMax is how much of it is kept for the next lookup.
const scratchBytesMax = 64 << 10

// New makes a cache. It takes no memory for answers before the first is kept.
func New(opts Options) *Cache {
	if opts.Bytes <= 0 {
		opts.Bytes = BytesDefault
	}
	if opts.Metrics == nil {
		opts.Metrics = metrics.NewSet()
	}
	c := &Cache{source: opts.Source, store: store{bytesMax: opts.Bytes}, begin: time.Now()}
	c.scratch.New = func() any { return new(scratch) }
	c.count.init(opts.Metrics, &c.store)
	c.answers.panics, c.bodies.panics = c.count.panics, c.count.panics
	return c
}

// Close gives the memory up, ends what is being computed and waits for it; who
// waits for an answer gets Unavailable. What is asked later goes to the source.
func (c *Cache) Close() error {
	c.answers.close()
	c.bodies.close()
	c.store.close()
	return nil
}

// Ask answers q as the source would, with an Index that is at least as far as
// after and as any Index given for the same question before; it differs from
// the source's answer in nothing else. The answer belongs to the caller. Errors
// are those of the source and of ctx.
//
// What q holds must not be changed after the call, even when it has ended with
// an error: others may be waiting for the answer to it. No text in it may lie in
// memory that is used again.
func (c *Cache) Ask(ctx context.Context, site analytics.SiteID, q *query.Question, after analytics.Token) (*query.Answer, error) {
	version, index, err := c.source.Version(ctx, site, q.From, q.To, after)
	if err != nil {
		return nil, err
	}
	s := c.scratch.Get().(*scratch)
	defer c.release(s)
	s.key = appendQuestion(appendHead(s.key[:0], ofQuestion, site, version), q)
	if s.value = c.store.get(s.value[:0], s.key); len(s.value) > 0 {
		if a, ok := decodeAnswer(s.value); ok {
			c.count.hits.Inc()
			a.Index = index
			return a, nil
		}
	}
	key, own := string(s.key), ownQuestion(q)
	f, err := c.answers.do(ctx, key, func(ctx context.Context) (*query.Answer, error) {
		c.count.misses.Inc()
		return c.compute(ctx, site, own, after, version, key)
	})
	if errors.Is(err, errClosed) {
		return c.source.Ask(ctx, site, q, after)
	}
	if err != nil {
		return nil, err
	}
	if !f.first {
		c.count.shared.Inc()
	}
	a := f.value
	if f.shared {
		a = cloneAnswer(a)
	}
	// Either the answer is of the version that was found above, which still was
	// that of the state at index; or of a later one, and then of a later state.
	a.Index = max(a.Index, index)
	return a, nil
}

// compute asks the source and keeps the answer if the version is still the same.
func (c *Cache) compute(ctx context.Context, site analytics.SiteID, q *query.Question, after analytics.Token, version uint64, key string) (*query.Answer, error) {
	a, err := c.source.Ask(ctx, site, q, after)
	if err != nil || !c.settled(ctx, site, q.From, q.To, after, version) {
		return a, err
	}
	if body, ok := appendAnswer(nil, a, entryBytesMax-len(key)); ok {
		c.store.set([]byte(key), body)
	} else {
		c.count.tooLarge.Inc()
	}
	return a, nil
}

// settled tells whether the version is still the one given. A source that cannot
// tell any more has answered all the same; that answer is not kept.
func (c *Cache) settled(ctx context.Context, site analytics.SiteID, from, to int64, after analytics.Token, version uint64) bool {
	now, _, err := c.source.Version(ctx, site, from, to, after)
	if err != nil || now != version {
		c.count.unsettled.Inc()
		return false
	}
	return true
}

// Bytes gives what makeBody makes, or made before from the same data of
// [from, to): an encoded report, say. key must name, without ambiguity,
// everything else that the body depends on, the kind of report first; it is not
// kept. makeBody must look at a state that contains everything up to after and
// stop with its context; it runs on another goroutine and, when others wait for
// the body too, longer than this call, so it must not touch the caller's request.
// hit is false for the one caller for whom it ran.
//
// The body contains everything up to index; where the numbers changed while it
// was made, it may contain more. It may be shared and must not be changed.
// Errors are those of the source, of makeBody and of ctx.
func (c *Cache) Bytes(ctx context.Context, site analytics.SiteID, from, to int64, after analytics.Token, key []byte,
	makeBody func(context.Context) ([]byte, error)) (body []byte, index uint64, hit bool, err error) {
	version, index, err := c.source.Version(ctx, site, from, to, after)
	if err != nil {
		return nil, 0, false, err
	}
	s := c.scratch.Get().(*scratch)
	defer c.release(s)
	s.key = append(appendRange(appendHead(s.key[:0], ofBytes, site, version), from, to), key...)
	// One byte stands before the body, so that an empty one can be kept.
	if s.value = c.store.get(s.value[:0], s.key); len(s.value) > 0 {
		c.count.hits.Inc()
		return slices.Clone(s.value[1:]), index, true, nil
	}
	full := string(s.key)
	f, err := c.bodies.do(ctx, full, func(ctx context.Context) ([]byte, error) {
		c.count.misses.Inc()
		body, err := makeBody(ctx)
		if err != nil {
			return nil, err
		}
		switch {
		case !c.settled(ctx, site, from, to, after, version):
		case len(full)+1+len(body) > entryBytesMax:
			c.count.tooLarge.Inc()
		default:
			c.store.set([]byte(full), append([]byte{0}, body...))
		}
		return body, nil
	})
	if errors.Is(err, errClosed) {
		body, err = makeBody(ctx)
		return body, index, false, err
	}
	if err != nil {
		return nil, 0, false, err
	}
	if !f.first {
		c.count.shared.Inc()
	}
	return f.value, index, !f.first, nil
}

func (c *Cache) release(s *scratch) {
	if cap(s.key)+cap(s.value) <= scratchBytesMax {
		c.scratch.Put(s)
	}
}
