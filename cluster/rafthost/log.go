package rafthost

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"footfall/persistence"
)

var _ raft.Storage = (*groupLog)(nil)

// groupLog is one group's log: where it begins and ends, the term of every
// entry, and the entries that were written but not applied yet. It implements
// raft.Storage. Safe for concurrent use: the worker appends and reads, whoever
// persists the group's records truncates.
type groupLog struct {
	id    Group
	store persistence.Store
	conf  conf      // of the newest change applied; the worker's
	start hardState // as found at Open, for InitialState

	// snapshot makes what raft asks Snapshot for; nil: there are none.
	snapshot func() (*raftpb.Snapshot, error)

	// What the host counts over all groups.
	hostCache *atomic.Int64
	hostBytes *atomic.Int64
	cacheMax  int64
	keep      *retention

	alone  atomic.Bool   // no other member will ask for entries
	needed atomic.Uint64 // entries above it may be asked for by a member
	purge  atomic.Uint64 // entries up to it go as soon as records hold them

	// tail is the last entry on disk or in the round being written; the worker's.
	tail uint64

	mu        sync.Mutex // guards everything below; never held over I/O
	begin     point      // the log begins after it
	persisted point      // Invariant: begin.index <= persisted.index <= last
	last      uint64
	terms     []point // where a term begins; Invariant: indexes and terms rise
	// cache holds the entries [cacheFrom, cacheFrom+len(cache)); Invariant: the
	// range ends at last when it is not empty.
	cache      []*raftpb.Entry
	cacheFrom  uint64
	cacheBytes int64
	// total counts the bytes of all entries ever appended, marks remember it at
	// some indexes, base is its value at persisted and low at begin.
	total, base, low int64
	marks            []sizeMark
	plan             plan           // of the persist that truncated follows
	holds            map[uint64]int // what follows these indexes is kept, for snapshots under way
	marked           bool           // the store has, or may have, a record of begin
	gone             bool           // the replica was removed
}

// plan is where persist moves the two ends of the log.
type plan struct{ begin, persisted point }

// sizeMark says that the entries up to index made total bytes.
type sizeMark struct {
	index uint64
	total int64
}

// markEvery is the grain of LogBytes.
const markEvery = 32 << 10

func entryBytes(e *raftpb.Entry) int64 { return int64(logKeyLen + entryHeader + len(e.GetData())) }

// InitialState implements raft.Storage.
func (l *groupLog) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	s := l.start
	return &raftpb.HardState{Term: &s.term, Vote: &s.vote, Commit: &s.commit},
		l.conf.state(), nil
}

// FirstIndex implements raft.Storage.
func (l *groupLog) FirstIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begin.index + 1, nil
}

// LastIndex implements raft.Storage.
func (l *groupLog) LastIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, nil
}

// Term implements raft.Storage.
func (l *groupLog) Term(i uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.termLocked(i)
}

func (l *groupLog) termLocked(i uint64) (uint64, error) {
	switch {
	case i < l.begin.index:
		return 0, raft.ErrCompacted
	case i == l.begin.index:
		return l.begin.term, nil
	case i > l.last:
		return 0, raft.ErrUnavailable
	}
	for k := len(l.terms) - 1; k >= 0; k-- {
		if l.terms[k].index <= i {
			return l.terms[k].term, nil
		}
	}
	panic(fmt.Sprintf("raft group %d: no term for entry %d of (%d, %d]", l.id, i, l.begin.index, l.last))
}

// Snapshot implements raft.Storage.
func (l *groupLog) Snapshot() (*raftpb.Snapshot, error) {
	if l.snapshot == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return l.snapshot()
}

// Entries implements raft.Storage.
func (l *groupLog) Entries(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	l.mu.Lock()
	if lo <= l.begin.index {
		l.mu.Unlock()
		return nil, raft.ErrCompacted
	}
	if hi > l.last+1 {
		l.mu.Unlock()
		return nil, raft.ErrUnavailable
	}
	if len(l.cache) > 0 && lo >= l.cacheFrom {
		out := l.cache[lo-l.cacheFrom : hi-l.cacheFrom]
		n, size := 0, uint64(0)
		for _, e := range out {
			if size += uint64(entryBytes(e)); n > 0 && size > maxSize {
				break
			}
			n++
		}
		out = append(make([]*raftpb.Entry, 0, n), out[:n]...) // release clears the cache's own
		l.mu.Unlock()
		return out, nil
	}
	if len(l.cache) > 0 {
		hi = min(hi, l.cacheFrom)
	}
	l.mu.Unlock()
	return l.read(lo, hi, maxSize)
}

var errEnough = errors.New("enough")

// read gives entries from the store, at least one.
func (l *groupLog) read(lo, hi, maxSize uint64) ([]*raftpb.Entry, error) {
	var out []*raftpb.Entry
	size := uint64(0)
	err := l.store.Scan(logKey(l.id, lo), logKey(l.id, hi), func(k, v []byte) error {
		if size += uint64(len(k) + len(v)); len(out) > 0 && size > maxSize {
			return errEnough
		}
		e, err := decodeEntry(k, v)
		if err != nil {
			return fmt.Errorf("entry %d: %w", lo+uint64(len(out)), err)
		}
		if e.GetIndex() != lo+uint64(len(out)) {
			return raft.ErrCompacted // removed by a commit that Truncated has not followed yet
		}
		out = append(out, e)
		return nil
	})
	switch {
	case len(out) > 0 && (err == nil || errors.Is(err, errEnough)):
		return out, nil
	case err == nil, errors.Is(err, raft.ErrCompacted):
		return nil, raft.ErrCompacted // as it is: raft compares
	}
	return nil, fmt.Errorf("read log of raft group %d: %w", l.id, err)
}

// write adds entries, which follow one another, to b.
func (l *groupLog) write(b persistence.Batch, entries []*raftpb.Entry, scratch []byte) []byte {
	if first := entries[0].GetIndex(); first <= l.tail { // another leader's entries replace ours
		b.DeleteRange(logKey(l.id, first), logKey(l.id, l.tail+1))
	}
	l.tail = entries[len(entries)-1].GetIndex()
	for _, e := range entries {
		scratch = appendLogKey(scratch[:0], l.id, e.GetIndex())
		scratch = appendEntry(scratch, scratch[:logKeyLen], e)
		b.Set(scratch[:logKeyLen], scratch[logKeyLen:])
	}
	return scratch
}

// appended records in memory what write put into a batch that is committed now.
func (l *groupLog) appended(entries []*raftpb.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := entries[0].GetIndex()
	if first > l.last+1 || first <= l.persisted.index {
		panic(fmt.Sprintf("raft group %d: entry %d appended to (%d, %d]", l.id, first, l.begin.index, l.last))
	}
	if first <= l.last {
		l.cutLocked(first)
	}
	for _, e := range entries {
		n := entryBytes(e)
		l.total += n
		l.hostBytes.Add(n)
		if n := len(l.terms); n == 0 || l.terms[n-1].term != e.GetTerm() {
			l.terms = append(l.terms, point{e.GetIndex(), e.GetTerm()})
		}
		l.last = e.GetIndex()
		if n := len(l.marks); n == 0 || l.total-l.marks[n-1].total >= markEvery {
			l.marks = append(l.marks, sizeMark{l.last, l.total})
		}
		l.cacheLocked(e)
	}
}

// cacheLocked keeps e until it is applied when there is room, and otherwise
// drops the group's cache, whose range must end at the last entry.
func (l *groupLog) cacheLocked(e *raftpb.Entry) {
	n := entryBytes(e)
	if l.hostCache.Add(n) > l.cacheMax {
		l.hostCache.Add(-n)
		l.releaseLocked(len(l.cache))
		return
	}
	if len(l.cache) == 0 {
		l.cacheFrom = e.GetIndex()
	}
	l.cache = append(l.cache, e)
	l.cacheBytes += n
}

// releaseLocked drops the first n cached entries.
func (l *groupLog) releaseLocked(n int) {
	freed := int64(0)
	for i := range n {
		freed += entryBytes(l.cache[i])
		l.cache[i] = nil
	}
	l.cacheBytes -= freed
	l.hostCache.Add(-freed)
	l.cacheFrom += uint64(n)
	if l.cache = l.cache[n:]; len(l.cache) == 0 {
		l.cache = nil
	}
}

// release drops cached entries up to index.
func (l *groupLog) release(index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.cache) > 0 && index >= l.cacheFrom {
		l.releaseLocked(int(min(index-l.cacheFrom+1, uint64(len(l.cache)))))
	}
}

// cutLocked forgets the entries from index on, which are replaced.
func (l *groupLog) cutLocked(index uint64) {
	for len(l.terms) > 0 && l.terms[len(l.terms)-1].index >= index {
		l.terms = l.terms[:len(l.terms)-1]
	}
	l.releaseLocked(len(l.cache))
	before := l.totalAtLocked(index - 1)
	l.hostBytes.Add(before - l.total)
	l.total = before
	for len(l.marks) > 0 && l.marks[len(l.marks)-1].index >= index {
		l.marks = l.marks[:len(l.marks)-1]
	}
	l.last = index - 1
}
