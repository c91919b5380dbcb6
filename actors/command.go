package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/site"
	"footfall/persistence"
)

// outcomeRequest asks what an Erase took away.
type outcomeRequest struct {
	index uint64
	reply chan<- Erasure
}

// Erasure is what an Erase took away. Known is false where it is not remembered
// any more, or the site is quarantined.
type Erasure struct {
	Visits, Events uint64
	Known          bool
}

func (a *siteActor) outcome(index uint64) (o Erasure) {
	if a.fault == nil {
		o.Visits, o.Events, o.Known = a.machine.Outcome(index)
	}
	return o
}

// Outcome tells what the Erase at a log index of a site took away, once it is
// applied.
func (s *Sites) Outcome(ctx context.Context, n uint16, id analytics.SiteID, index uint64) (Erasure, error) {
	reply := make(chan Erasure, 1)
	if err := s.tell(n, id, &outcomeRequest{index, reply}); err != nil {
		return Erasure{}, err
	}
	select {
	case o := <-reply:
		return o, nil
	case <-ctx.Done():
		return Erasure{}, ctx.Err()
	}
}

// visitorTries is how often a search starts again because blocks were rewritten
// under it.
const visitorTries = 5

// VisitorDays gives the UTC days under which visits of a visitor are filed, in
// order: each of them needs an Erase. It reads all visits of the site on the
// caller's goroutine, so that counting goes on.
func (s *Sites) VisitorDays(ctx context.Context, n uint16, id analytics.SiteID, visitor uint64) (days []int32, err error) {
	for range visitorTries {
		var v *site.View
		blocks := s.blocksOf(n)
		if v, err = s.View(ctx, n, id); err != nil {
			return nil, err
		}
		days, err = s.visitorDays(ctx, blocks, v, visitor)
		if !errors.Is(err, persistence.ErrNotFound) {
			return days, err
		}
	}
	return nil, err
}

func (s *Sites) visitorDays(ctx context.Context, blocks *shardBlocks, v *site.View, visitor uint64) ([]int32, error) {
	found := map[int32]bool{}
	for i := range v.Days {
		for _, f := range v.Days[i].Filed {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c := f.Visits
			if c == nil {
				value, err := blocks.get(v.Site, f.Ref) // once read, it is of no more use
				if err != nil {
					return nil, err
				}
				if c, err = column.DecodeVisits(value); err != nil {
					return nil, fmt.Errorf("decode block %v of site %d: %w", f.Ref, v.Site, err)
				}
			}
			for j, of := range c.Visitor {
				if of != visitor {
					continue
				}
				id := column.MakeVisitID(c.Day, c.Number[j])
				if to, ok := v.Alias[id]; ok {
					id = to // a merged visit goes with the one that took it over
				}
				found[id.Day()] = true
			}
		}
		for _, g := range v.Days[i].Sealed {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			there, err := s.inSealed(blocks, v.Site, &g, visitor)
			if err != nil {
				return nil, err
			}
			if there {
				found[v.Days[i].Day] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// inSealed tells whether a visitor is in a sealed segment.
func (s *Sites) inSealed(blocks *shardBlocks, id analytics.SiteID, g *site.ViewSealed, visitor uint64) (bool, error) {
	if g.Sealed != nil {
		return slices.Contains(g.Sealed.Visitor, visitor), nil
	}
	value, err := blocks.get(id, g.Ref)
	if err != nil {
		return false, err
	}
	_, _, visitors, err := column.SealedVisitors(value, s.squeeze)
	if err != nil {
		return false, fmt.Errorf("decode segment %v of site %d: %w", g.Ref, id, err)
	}
	return slices.Contains(visitors, visitor), nil
}

// Settle writes the records of a shard now, so that its log can be truncated up
// to here and records that were replaced are deleted, and forgets what caches
// hold of a site.
func (s *Sites) Settle(ctx context.Context, n uint16, id analytics.SiteID) error {
	err := s.flush(ctx, n)
	s.days.forget(id)
	return err
}

// Summary reads what the header of a site says as of its last flush. The site
// is not made live; ok is false if nothing of it was written yet.
func (s *Sites) Summary(n uint16, id analytics.SiteID) (sum site.Summary, ok bool, err error) {
	if !s.Present(n) {
		return site.Summary{}, false, ErrElsewhere
	}
	header, err := s.cfg.Store.Get(persistence.SiteKey(n, uint64(id), site.KindHeader, 0, 0))
	if errors.Is(err, persistence.ErrNotFound) {
		return site.Summary{}, false, nil
	}
	if err == nil {
		sum, err = site.Summarize(header)
	}
	if err != nil {
		return site.Summary{}, false, fmt.Errorf("read header of site %d: %w", id, err)
	}
	return sum, true, nil
}

// forget drops blocks that were deleted.
func (c *blockCache) forget(id analytics.SiteID, life uint64, writes []site.Write) {
	for _, w := range writes {
		if w.Value == nil && (w.Ref.Kind == site.KindEvents || w.Ref.Kind == site.KindVisits) {
			c.cache.Invalidate(blockKey{id, w.Ref, life})
		}
	}
}
