package actors

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/site"
	"footfall/persistence"
)

// blockCache holds decoded blocks, bounded in bytes. Blocks never change, so
// nothing is ever stale; a record that is replaced gets a new number.
type blockCache struct {
	store   persistence.Store
	squeeze *squeezer
	cache   *otter.Cache[blockKey, any]
}

type blockKey struct {
	site analytics.SiteID
	ref  site.Ref
	life uint64 // of the shard: in another the same name may mean another record
}

func newBlockCache(store persistence.Store, squeeze *squeezer, bytes uint64) *blockCache {
	c := &blockCache{store: store, squeeze: squeeze}
	c.cache = otter.Must(&otter.Options[blockKey, any]{
		MaximumWeight: bytes,
		Weigher:       func(_ blockKey, v any) uint32 { return weight(v) },
	})
	return c
}

// weight estimates the heap of a decoded block.
func weight(v any) uint32 {
	n := 256
	texts := func(dict []string) {
		for _, s := range dict {
			n += 16 + len(s)
		}
	}
	switch b := v.(type) {
	case *column.Events:
		n += 35 * b.Len()
		texts(b.Dict)
	case *column.Visits:
		n += 97 * b.Len()
		texts(b.Dict)
	}
	return uint32(n)
}

func (c *blockCache) size() uint64 { return c.cache.WeightedSize() }

// keep puts freshly written blocks in.
func (c *blockCache) keep(id analytics.SiteID, life uint64, writes []site.Write) {
	for _, w := range writes {
		switch {
		case w.Events != nil:
			c.cache.Set(blockKey{id, w.Ref, life}, w.Events)
		case w.Visits != nil:
			c.cache.Set(blockKey{id, w.Ref, life}, w.Visits)
		}
	}
}

// shardBlocks gives the blocks of a shard's sites in one life of the shard.
type shardBlocks struct {
	c       *blockCache
	shard   uint16
	life    uint64
	current *atomic.Uint64
}

// blocksOf gives the blocks of a shard as it is now.
func (s *Sites) blocksOf(n uint16) *shardBlocks {
	life := &s.shards[n].life
	return &shardBlocks{s.blocks, n, life.Load(), life}
}

func (b *shardBlocks) get(id analytics.SiteID, r site.Ref) ([]byte, error) {
	runtime.Gosched() // a block is a piece of work: counting goes first
	value, err := b.c.store.Get(persistence.SiteKey(b.shard, uint64(id), r.Kind, r.Period, r.Chunk))
	if err != nil {
		return nil, fmt.Errorf("read block %v of site %d: %w", r, id, err)
	}
	if b.current.Load() != b.life { // it may be a record of the new state
		return nil, errReplaced
	}
	return value, nil
}

func (b *shardBlocks) Events(_ context.Context, id analytics.SiteID, r site.Ref) (*column.Events, error) {
	k := blockKey{id, r, b.life}
	if v, ok := b.c.cache.GetIfPresent(k); ok {
		return v.(*column.Events), nil
	}
	value, err := b.get(id, r)
	if err != nil {
		return nil, err
	}
	e, err := column.DecodeEvents(value)
	if err != nil {
		return nil, fmt.Errorf("decode block %v of site %d: %w", r, id, err)
	}
	b.c.cache.Set(k, e)
	return e, nil
}

func (b *shardBlocks) Visits(_ context.Context, id analytics.SiteID, r site.Ref) (*column.Visits, error) {
	k := blockKey{id, r, b.life}
	if v, ok := b.c.cache.GetIfPresent(k); ok {
		return v.(*column.Visits), nil
	}
	value, err := b.get(id, r)
	if err != nil {
		return nil, err
	}
	v, err := column.DecodeVisits(value)
	if err != nil {
		return nil, fmt.Errorf("decode block %v of site %d: %w", r, id, err)
	}
	b.c.cache.Set(k, v)
	return v, nil
}

// Sealed is not cached: what is made of it is, see dayCache.
func (b *shardBlocks) Sealed(_ context.Context, id analytics.SiteID, r site.Ref) (*column.Sealed, error) {
	value, err := b.get(id, r)
	if err != nil {
		return nil, err
	}
	s, err := column.DecodeSealed(value, b.c.squeeze)
	if err != nil {
		return nil, fmt.Errorf("decode segment %v of site %d: %w", r, id, err)
	}
	return s, nil
}
