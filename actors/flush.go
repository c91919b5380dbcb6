package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/persistence"
)

// Policy of the flush cycle and of memory.
const (
	flushEvery       = 5 * time.Minute
	flushLogBytes    = 64 << 20
	flushDirtySites  = 8192
	passivateAfter   = 10 * time.Minute
	residentSitesMax = 16384 // above, clean sites leave memory at once
	flushParallel    = 256   // sites flushed at a time
	flushRest        = 3     // times a flush's length that is paused after it
)

// Run flushes and passivates until ctx ends. logBytes tells how much log has
// not been flushed yet.
func (s *Sites) Run(ctx context.Context, logBytes func() uint64) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		full := logBytes() >= flushLogBytes || s.dirty() >= flushDirtySites
		if !full && time.Since(last) < flushEvery && s.Resident() < residentSitesMax {
			continue
		}
		last = time.Now()
		if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Error("flush", "error", err)
		}
	}
}

// Flush is one turn of the cycle: every shard is flushed, at leisure unless
// memory fills with sites, then idle sites leave memory.
func (s *Sites) Flush(ctx context.Context) error {
	err := s.flushShards(ctx, s.Resident() < residentSitesMax/4)
	s.passivate()
	return err
}

func (s *Sites) dirty() (n int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		n += len(sh.dirty)
		sh.mu.Unlock()
	}
	return n
}

// FlushAll brings the records of every shard up to its log as applied so far
// and lets the log be truncated up to there.
func (s *Sites) FlushAll(ctx context.Context) error { return s.flushShards(ctx, false) }

// flushShards flushes every shard. At leisure it pauses after each for as long
// as flushRest times the flush took, so that views under way keep the cores.
func (s *Sites) flushShards(ctx context.Context, leisure bool) error {
	var errs []error
	for i := range s.shards { // a quarantined site holds up its own shard only
		begin := time.Now()
		errs = append(errs, s.flush(ctx, uint16(i)))
		if rest := flushRest * time.Since(begin); leisure && rest > time.Millisecond {
			select {
			case <-ctx.Done():
			case <-time.After(rest):
			}
		}
	}
	return errors.Join(errs...)
}

// FlushShard writes the records of one shard now, so that a snapshot can be sent.
func (s *Sites) FlushShard(ctx context.Context, n uint16) error { return s.flush(ctx, n) }

// flush is the cycle of one shard: note the index F and a copy of the delivery
// table as of F, let every site that is dirty at or before F write its records,
// then write the table and that records hold the log up to F. All of it is
// unsynced and in this order in one write-ahead log. A shard whose records are
// replaced meanwhile is left alone.
func (s *Sites) flush(ctx context.Context, n uint16) error {
	sh := &s.shards[n]
	sh.flushing.Lock()
	defer sh.flushing.Unlock()
	sh.mu.Lock()
	if !sh.present || sh.table == nil || len(sh.dirty) == 0 && sh.applied == sh.written {
		sh.mu.Unlock()
		return nil
	}
	life, to, table := sh.life.Load(), sh.applied, sh.table.Clone()
	dirty := sh.dirty
	sh.dirty = make(map[analytics.SiteID]*ref)
	sh.mu.Unlock()
	done, err := s.flushSites(ctx, sh, life, dirty)
	sh.mu.Lock()
	if sh.life.Load() != life {
		sh.mu.Unlock()
		return nil
	}
	for id, applied := range done {
		dirty[id].flushed = applied
	}
	if err != nil { // try again next time
		for id, r := range dirty {
			if sh.sites[id] == r { // one that left memory was clean
				sh.dirty[id] = r
			}
		}
	}
	sh.mu.Unlock()
	if err != nil {
		return fmt.Errorf("flush shard %d: %w", n, err)
	}
	return s.flushed(n, life, to, table)
}

// flushed writes that the records of a shard hold its log up to an index, and
// the delivery table as of that index, at once.
func (s *Sites) flushed(n uint16, life, to uint64, table *delivery.Table) error {
	b := s.cfg.Store.NewBatch()
	b.Set(tableKey(n), table.Encode())
	s.cfg.Log.Persisted(b, n, to)
	switch err := s.commit(n, life, b, false); {
	case errors.Is(err, errReplaced):
		return nil
	case err != nil:
		return fmt.Errorf("flush shard %d: %w", n, err)
	}
	s.cfg.Log.Truncated(n, to)
	sh := &s.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.life.Load() == life {
		sh.written = to
	}
	return nil
}

// commit writes records of a shard, unless its life has ended: then b is
// discarded and the error is errReplaced.
func (s *Sites) commit(n uint16, life uint64, b persistence.Batch, sync bool) error {
	sh := &s.shards[n]
	sh.writes.RLock()
	defer sh.writes.RUnlock()
	if sh.life.Load() != life {
		b.Discard()
		return errReplaced
	}
	return s.cfg.Store.Commit(b, sync)
}

// flushSites gives the index up to which each site's records hold it now.
func (s *Sites) flushSites(ctx context.Context, sh *shard, life uint64, dirty map[analytics.SiteID]*ref) (map[analytics.SiteID]uint64, error) {
	done := make(map[analytics.SiteID]uint64, len(dirty))
	replies := make(chan flushResult, flushParallel)
	open := 0
	var failed error
	take := func() {
		select {
		case r := <-replies:
			open--
			if r.err != nil {
				failed = r.err
				return
			}
			done[r.id] = r.applied
		case <-ctx.Done():
			failed = ctx.Err()
			open = 0
		}
	}
	for id, r := range dirty {
		for open >= flushParallel {
			take()
		}
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
		sh.mu.Lock()
		if sh.life.Load() != life { // nobody would answer
			sh.mu.Unlock()
			failed = errReplaced
			break
		}
		if sh.sites[id] != r { // it left memory clean, or was erased: nobody would answer
			sh.mu.Unlock()
			continue
		}
		s.system.Root.Send(r.pid, &flushRequest{reply: replies})
		sh.mu.Unlock()
		open++
	}
	for open > 0 {
		take()
	}
	return done, failed
}

// passivate lets clean sites that nobody used for a while leave memory; when
// there are too many, all clean ones.
func (s *Sites) passivate() {
	crowded := s.Resident() > residentSitesMax/2
	now := s.cfg.Clock()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for id, r := range sh.sites {
			if r.sent > r.flushed || !crowded && now.Sub(r.used) < passivateAfter {
				continue
			}
			delete(sh.sites, id)
			delete(sh.dirty, id) // there when an entry came while it was being flushed, and was flushed too
			s.resident.Add(-1)
			// Everything sent is in the records: a new actor may load them while
			// this one answers what is still in its mailbox.
			s.system.Root.Poison(r.pid)
		}
		sh.mu.Unlock()
	}
}

// Erase removes a site and all its records, those of a quarantined site too.
// The shard is flushed before, so that a replay does not bring the site back;
// where that fails, what comes back belongs to no site and is never read.
func (s *Sites) Erase(ctx context.Context, n uint16, id analytics.SiteID) error {
	if err := s.flush(ctx, n); err != nil {
		s.cfg.Logger.Warn("flush before a site is erased", "site", uint64(id), "error", err)
	}
	sh := &s.shards[n]
	sh.writes.RLock()
	defer sh.writes.RUnlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.present {
		return ErrElsewhere
	}
	if r := sh.sites[id]; r != nil {
		delete(sh.sites, id)
		delete(sh.dirty, id)
		s.resident.Add(-1)
		s.system.Root.Poison(r.pid)
	}
	b := s.cfg.Store.NewBatch()
	b.DeleteRange(persistence.SiteSpan(n, uint64(id)))
	if err := s.cfg.Store.Commit(b, true); err != nil {
		return fmt.Errorf("erase site %d: %w", id, err)
	}
	return nil
}

// Close flushes everything and stops the actors. No call may follow.
func (s *Sites) Close(ctx context.Context) error {
	s.stopped.Store(true)
	err := s.FlushAll(ctx)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, r := range sh.sites {
			_ = s.system.Root.StopFuture(r.pid).Wait()
		}
		sh.mu.Unlock()
	}
	s.system.Shutdown()
	return err
}
