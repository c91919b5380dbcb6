package readcache

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

// newestLife is how long an answer may be given to those who name the state they
// know of, although there may be a newer one.
const newestLife = 2 * time.Second

// newestHead is what stands before such an answer: index and time.
const newestHead = 8 + 8

// AskSince answers q from a state whose Index is at least since, not necessarily
// the newest: whoever was told that a site's log has come to since asks this way,
// and all who were told the same share one answer, however many events come in
// meanwhile. An answer given this way is at most two seconds older than a fresh
// one. Where the state does not reach since yet, as on a replica that is behind,
// it answers as Ask without a token does.
func (c *Cache) AskSince(ctx context.Context, site analytics.SiteID, q *query.Question, since uint64) (*query.Answer, error) {
	s := c.scratch.Get().(*scratch)
	defer c.release(s)
	s.key = appendQuestion(appendHead(s.key[:0], ofNewest, site, 0), q)
	if a, ok := c.newest(s, since); ok {
		c.count.hits.Inc()
		return a, nil
	}
	newest, own := string(s.key), ownQuestion(q)
	f, err := c.answers.do(ctx, string(binary.BigEndian.AppendUint64(s.key, since)), func(ctx context.Context) (*query.Answer, error) {
		began := time.Since(c.begin)
		a, err := c.Ask(ctx, site, own, analytics.Token{})
		if err != nil || a.Index < since {
			return a, err
		}
		var head [newestHead]byte
		binary.BigEndian.PutUint64(head[:], a.Index)
		binary.BigEndian.PutUint64(head[8:], uint64(began))
		if body, ok := appendAnswer(head[:], a, entryBytesMax-len(newest)-newestHead); ok {
			c.store.set([]byte(newest), body)
		}
		return a, nil
	})
	if errors.Is(err, errClosed) {
		return c.source.Ask(ctx, site, q, analytics.Token{})
	}
	if err != nil {
		return nil, err
	}
	if !f.shared {
		return f.value, nil
	}
	if !f.first {
		c.count.shared.Inc()
	}
	a := cloneAnswer(f.value)
	a.Index = f.value.Index
	return a, nil
}

// newest gives what is kept under s.key if it reaches since and is not too old.
func (c *Cache) newest(s *scratch, since uint64) (*query.Answer, bool) {
	s.value = c.store.get(s.value[:0], s.key)
	if len(s.value) < newestHead {
		return nil, false
	}
	index := binary.BigEndian.Uint64(s.value)
	made := time.Duration(binary.BigEndian.Uint64(s.value[8:]))
	if index < since || time.Since(c.begin)-made > newestLife {
		return nil, false
	}
	a, ok := decodeAnswer(s.value[newestHead:])
	if ok {
		a.Index = index
	}
	return a, ok
}
