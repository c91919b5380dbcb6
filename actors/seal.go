package actors

import (
	"context"
	"fmt"

	"footfall/analytics"
	"footfall/analytics/site"
)

// Parts of days that are sealed before a flush, so that it stays short, and
// between two when nothing else is to be done.
const (
	sealPartsMax  = 2
	sealBatchMax  = 8
	sealSitesOpen = 16 // sites that SealAll works on at a time
)

// sealRequest asks a site to seal all that it can.
type sealRequest struct {
	ctx   context.Context
	reply chan<- error
}

// seal seals up to so many parts of days that are over and tells how many it
// were. They are on disk after the next flush. A day that cannot be sealed stays
// as it is.
func (a *siteActor) seal(hurry bool, parts int) (n int, err error) {
	rule := site.SealRule{Hurry: hurry, Forget: a.sites.cfg.Lasting != nil && !a.sites.cfg.Lasting(a.id)}
	for n < parts {
		p, ok := a.machine.NextSeal(rule)
		if !ok {
			break
		}
		n++
		records := make(map[site.Ref][]byte, len(p.Need))
		for _, r := range p.Need {
			if records[r], err = a.sites.cfg.Store.Get(a.key(r)); err != nil {
				return n, fmt.Errorf("load record %v of site %d: %w", r, a.id, err)
			}
		}
		if err := a.machine.SealPart(p, records); err != nil {
			a.sites.cfg.Logger.Warn("a day is not sealed", "site", uint64(a.id), "day", p.Day, "error", err)
		}
	}
	return n, nil
}

// sealAll seals and writes until nothing is left.
func (a *siteActor) sealAll(ctx context.Context) error {
	for {
		n, err := a.seal(true, sealBatchMax)
		if err == nil && n > 0 {
			err = a.write()
		}
		if err != nil || n == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return nil // whoever asked knows
		}
	}
}

// SealAll seals all days that are over of every site in memory, those that were
// changed just now too, and writes them. The flush cycle does so little by
// little; this is for whoever has imported much and wants it done.
func (s *Sites) SealAll(ctx context.Context) error {
	replies := make(chan error, sealSitesOpen)
	open := 0
	var failed error
	take := func() {
		select {
		case err := <-replies:
			open--
			if err != nil {
				failed = err
			}
		case <-ctx.Done():
			failed, open = ctx.Err(), 0
		}
	}
	for i := range s.shards {
		for _, id := range s.residents(uint16(i)) {
			for open >= sealSitesOpen {
				take()
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := s.tell(uint16(i), id, &sealRequest{ctx, replies}); err != nil {
				return err
			}
			open++
		}
	}
	for open > 0 {
		take()
	}
	return failed
}

// residents lists the sites of a shard in memory.
func (s *Sites) residents(n uint16) (ids []analytics.SiteID) {
	sh := &s.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for id := range sh.sites {
		ids = append(ids, id)
	}
	return ids
}
