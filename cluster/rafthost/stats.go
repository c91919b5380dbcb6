package rafthost

import (
	"sync/atomic"
	"time"
)

// batchBuckets counts rounds by how many entries they wrote: 1, 2, up to 4, 8, …
// 1024, more.
const batchBuckets = 12

type workerStats struct {
	syncs, entries, bytes, syncNanos atomic.Uint64
	batches                          [batchBuckets]atomic.Uint64
}

func (s *workerStats) note(entries, bytes int, took time.Duration) {
	s.syncs.Add(1)
	s.entries.Add(uint64(entries))
	s.bytes.Add(uint64(bytes))
	s.syncNanos.Add(uint64(took))
	k := 0
	for k < batchBuckets-1 && entries > 1<<k {
		k++
	}
	s.batches[k].Add(1)
}

// Stats counts what a host wrote since Open.
type Stats struct {
	Syncs    uint64 // rounds that waited for the disk; the store may merge them
	Entries  uint64 // raft's own included
	Bytes    uint64 // given to the store in those rounds
	SyncTime time.Duration
	// Batches counts rounds by entries: Batches[k] had at most 2^k and more than
	// Batches[k-1]; the last has no upper end.
	Batches    [batchBuckets]uint64
	CacheBytes int64 // entries held between write and apply
	LogBytes   int64 // TotalLogBytes
	Leading    int   // groups that take proposals

	Groups        int    // replicas here
	Standing      int    // of them, those that stand still; see Status.Failed
	RetainedBytes int64  // entries kept below the persisted indexes, for members that are behind
	Dropped       uint64 // messages of other members that had no place or no replica here
	// Snapshots sent, taken, and given up in either direction.
	SnapshotsSent, SnapshotsTaken, SnapshotsFailed uint64
}

// Stats adds up the workers' counters; they may be a round apart.
func (h *Host) Stats() Stats {
	s := Stats{CacheBytes: h.cacheBytes.Load(), LogBytes: h.logBytes.Load(), RetainedBytes: h.keep.kept.Load(),
		Dropped: h.dropped.Load(), SnapshotsSent: h.snapshotsSent.Load(), SnapshotsTaken: h.snapshotsTaken.Load(), SnapshotsFailed: h.snapshotsFailed.Load()}
	for _, w := range h.workers {
		s.Syncs += w.stats.syncs.Load()
		s.Entries += w.stats.entries.Load()
		s.Bytes += w.stats.bytes.Load()
		s.SyncTime += time.Duration(w.stats.syncNanos.Load())
		for k := range s.Batches {
			s.Batches[k] += w.stats.batches[k].Load()
		}
	}
	for _, g := range *h.groups.Load() {
		s.Groups++
		if g.serving.Load() {
			s.Leading++
		}
		if g.failure.Load() != nil {
			s.Standing++
		}
	}
	return s
}
