package pebblestore

import (
	"context"
	"fmt"
	"time"
)

// Stats describes a store at one moment; counters count from Open.
type Stats struct {
	DiskBytes        uint64 // everything in the directory that belongs to the store
	WALBytes         uint64 // live log files
	WALIn            uint64 // bytes committed
	WALWritten       uint64 // bytes the log made of them
	MemTableBytes    uint64
	CacheBytes       int64
	CacheHits        int64
	CacheMisses      int64
	Tables           int64
	Flushes          int64
	Compactions      int64
	CompactionDebt   uint64 // bytes waiting to be compacted
	Commits          uint64
	Syncs            uint64 // commits that waited for the disk
	WriteStalls      uint64 // writes that waited for flushes, and slow disk operations
	Stalled          bool   // writes wait right now
	BackgroundErrors uint64
	Corruptions      uint64 // damaged blocks met by reads and scrubs
	Views            int    // open views
	ViewAgeMax       time.Duration
	ZombieBytes      uint64 // tables that are not needed any more but by a view or a scan
	Installs         uint64 // stages installed
}

// Stats gathers the figures; it costs some microseconds and takes Pebble's
// lock, so call it per scrape, not per request.
func (s *Store) Stats() Stats {
	m := s.db.Metrics()
	st := Stats{
		DiskBytes:        m.DiskSpaceUsage(),
		WALBytes:         m.WAL.PhysicalSize,
		WALIn:            m.WAL.BytesIn,
		WALWritten:       m.WAL.BytesWritten,
		MemTableBytes:    m.MemTable.Size,
		CacheBytes:       m.BlockCache.Size,
		CacheHits:        m.BlockCache.Hits,
		CacheMisses:      m.BlockCache.Misses,
		Flushes:          m.Flush.Count,
		Compactions:      m.Compact.Count,
		CompactionDebt:   m.Compact.EstimatedDebt,
		Commits:          s.commits.Load(),
		Syncs:            s.syncs.Load(),
		WriteStalls:      s.events.stalls.Load(),
		Stalled:          s.events.stalled.Load(),
		BackgroundErrors: s.events.backgroundErrors.Load(),
		Corruptions:      s.events.corruptions.Load(),
		ZombieBytes:      m.Table.ZombieSize,
		Installs:         s.installs.Load(),
	}
	st.Views, st.ViewAgeMax = s.views.oldest(s.now())
	for _, l := range m.Levels {
		st.Tables += int64(l.TablesCount)
	}
	return st
}

// DiskSize is the number of bytes on disk that belong to the store.
func (s *Store) DiskSize() uint64 { return s.db.Metrics().DiskSpaceUsage() }

// Settle flushes what is in memory and compacts everything, for measuring the
// size at rest. It may take minutes; ctx ends it early.
func (s *Store) Settle(ctx context.Context) error {
	if err := s.db.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if err := s.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}
