package actors

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/persistence"
)

// ErrElsewhere is given to whoever asks for a site whose shard is not kept here.
var ErrElsewhere error = &analytics.Error{Code: analytics.Unavailable, Text: "the site's data is kept elsewhere: it was not found on this node"}

// errReplaced is given to whoever reads while the shard's state is replaced.
var errReplaced = &analytics.Error{Code: analytics.Unavailable, Text: "the site's data is being replaced, ask again"}

// shard is the state of one shard: which batches counted, and the sites that are
// in memory.
type shard struct {
	mu      sync.Mutex // guards all below but life; held for map work only
	present bool
	sites   map[analytics.SiteID]*ref
	dirty   map[analytics.SiteID]*ref
	applied uint64          // last index handed to Apply
	table   *delivery.Table // nil: not read yet
	written uint64          // index as of which the table is in the store

	// life rises when the shard's records are taken away or replaced. What was begun
	// in an earlier life is not written any more, and what is read in it is not used.
	life atomic.Uint64

	// writes is held, shared, while records of the shard are written; taken before
	// mu. Whoever ends a life holds it alone, so that nothing of the old one is
	// written after.
	writes   sync.RWMutex
	flushing sync.Mutex // one flush of the shard at a time; never taken under mu
	loading  sync.Mutex // one reading of the table at a time; never taken under mu
}

// tableKey is where a shard's delivery table is: under site 0, which never is.
func tableKey(n uint16) []byte { return persistence.SiteKey(n, 0, 0, 0, 0) }

// loaded makes sure that the shard's table was read.
func (s *Sites) loaded(n uint16) error {
	sh := &s.shards[n]
	sh.loading.Lock()
	defer sh.loading.Unlock()
	sh.mu.Lock()
	life, have := sh.life.Load(), sh.table != nil
	sh.mu.Unlock()
	if have {
		return nil
	}
	t := &delivery.Table{}
	switch b, err := s.cfg.Store.Get(tableKey(n)); {
	case errors.Is(err, persistence.ErrNotFound):
	case err != nil:
		return fmt.Errorf("read delivery table of shard %d: %w", n, err)
	default:
		if t, err = delivery.Decode(b); err != nil {
			return fmt.Errorf("read delivery table of shard %d: %w", n, err)
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.life.Load() != life {
		return errReplaced
	}
	sh.table, sh.written = t, t.Index()
	sh.applied = max(sh.applied, t.Index())
	return nil
}

// Present tells whether the shard is kept here.
func (s *Sites) Present(n uint16) bool {
	sh := &s.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.present
}

// Add says that the shard is kept here, with the records that are in the store.
// One that is here already stays as it is.
func (s *Sites) Add(n uint16) error {
	if err := s.loaded(n); err != nil {
		return err
	}
	sh := &s.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.present = true
	return nil
}

// Drop forgets a shard: its sites leave memory, and after it returned none of
// them writes a record any more. It is called when the shard's replica was
// removed, before its records are, and before records are replaced by a
// snapshot's; then Reset follows. Questions get ErrElsewhere meanwhile; those
// under way get an answer from before, or Unavailable. A flush under way is
// abandoned. No Apply of the shard may be running or follow before Reset or Add.
func (s *Sites) Drop(n uint16) {
	sh := &s.shards[n]
	sh.writes.Lock()
	sh.mu.Lock()
	sh.life.Add(1)
	for _, r := range sh.sites {
		s.resident.Add(-1)
		s.system.Root.Poison(r.pid) // after what is in its mailbox
	}
	sh.sites, sh.dirty = make(map[analytics.SiteID]*ref), make(map[analytics.SiteID]*ref)
	sh.present, sh.applied, sh.table, sh.written = false, 0, nil, 0
	sh.mu.Unlock()
	sh.writes.Unlock()
	s.days.forgetShard(n)
}

// Reset takes up a shard whose records in the store are now, as a whole, those as
// of a log index: a snapshot was installed. Drop must have been called before the
// records were replaced; where it was not, Reset does it, and records written
// meanwhile by the old state may be among the new. The next Apply of the shard is
// of a later index.
func (s *Sites) Reset(n uint16, index uint64) error {
	if s.Present(n) {
		s.Drop(n)
	}
	if err := s.loaded(n); err != nil {
		return err
	}
	sh := &s.shards[n]
	sh.mu.Lock()
	if got := sh.table.Index(); got > index {
		sh.mu.Unlock()
		return fmt.Errorf("shard %d: the records are said to be of entry %d, but its delivery table is of entry %d", n, index, got)
	}
	sh.applied, sh.written, sh.present = index, index, true
	sh.mu.Unlock()
	s.live.wake()
	return nil
}

// Digest gives the running digest of a shard's log and of what was decided on
// it, as of the last entry applied: two replicas with the same index and another
// sum have diverged. A shard that is not here gives zeros.
func (s *Sites) Digest(n uint16) (index, sum uint64) {
	sh := &s.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.table == nil {
		return 0, 0
	}
	return sh.table.Digest()
}

// DigestAt gives the running digest of a shard as it was at a log index of the
// recent past, so that replicas can be compared while entries come in.
func (s *Sites) DigestAt(n uint16, index uint64) (sum uint64, ok bool) {
	sh := &s.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.table == nil {
		return 0, false
	}
	return sh.table.DigestAt(index)
}

// Applied is the log index of the last entry of a shard handed to Apply, or of
// the snapshot it began with.
func (s *Sites) Applied(n uint16) uint64 {
	sh := &s.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.applied
}
