package rafthost

import (
	"fmt"
	"sync/atomic"

	"footfall/persistence"
)

// retention bounds what the logs keep below their persisted indexes for members
// that are behind. The bound of the host is kept by shortening each log when
// its records are written next.
type retention struct {
	groupMax int64
	hostMax  int64
	kept     atomic.Int64 // Invariant: the bytes of all entries at or below persisted
	groups   atomic.Int64 // groups with other members
}

// allowance is what one group may keep now.
func (r *retention) allowance() int64 {
	if r.kept.Load() < r.hostMax {
		return r.groupMax
	}
	return min(r.groupMax, r.hostMax/max(1, r.groups.Load()))
}

// persist adds to b that records hold everything up to index, and removes what
// nobody needs any more.
func (l *groupLog) persist(b persistence.Batch, index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone || index <= l.persisted.index {
		return
	}
	term, err := l.termLocked(index)
	if err != nil {
		panic(fmt.Sprintf("raft group %d: persist %d of (%d, %d]: %v", l.id, index, l.begin.index, l.last, err))
	}
	// A plan that truncated was not told of yet may be on disk already.
	cut := max(l.cutLine(index), l.plan.begin.index)
	l.plan = plan{persisted: point{index, term}}
	if term, err = l.termLocked(cut); err != nil {
		panic(fmt.Sprintf("raft group %d: truncate %d of (%d, %d]: %v", l.id, cut, l.begin.index, l.last, err))
	}
	l.plan.begin = point{cut, term}
	b.Set(groupKey(l.id, keyPersisted), l.plan.persisted.encode())
	if l.plan.begin != l.plan.persisted {
		b.Set(groupKey(l.id, keyTruncated), l.plan.begin.encode())
		l.marked = true
	} else if l.marked {
		b.Delete(groupKey(l.id, keyTruncated))
	}
	if cut > l.begin.index {
		b.DeleteRange(logKey(l.id, l.begin.index), logKey(l.id, cut+1))
	}
}

// cutLine is the last entry that goes when records hold everything up to index.
// The caller holds mu.
func (l *groupLog) cutLine(index uint64) uint64 {
	if l.alone.Load() {
		return index
	}
	cut := min(index, l.needed.Load())
	if allowed, at := l.keep.allowance(), l.totalAtLocked(index); at-l.low > allowed {
		for _, m := range l.marks {
			if m.index > index {
				break
			}
			if m.total >= at-allowed {
				cut = max(cut, m.index)
				break
			}
		}
	}
	cut = max(cut, min(index, l.purge.Load()))
	for held := range l.holds {
		cut = min(cut, held)
	}
	return max(cut, l.begin.index)
}

// Purge has the entries of g up to index go with the next writing of records that
// holds them, although members that are behind may still want them: those get a
// snapshot. It is for what must not be kept, such as a visitor that was erased.
func (h *Host) Purge(g Group, index uint64) {
	if gr := h.find(g); gr != nil {
		for {
			old := gr.log.purge.Load()
			if index <= old || gr.log.purge.CompareAndSwap(old, index) {
				return
			}
		}
	}
}

// truncated forgets what persist with the same index removed.
func (l *groupLog) truncated(index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index <= l.persisted.index || l.plan.persisted.index != index {
		return
	}
	l.moveLocked(l.plan.begin, l.plan.persisted)
	l.marked = l.begin != l.persisted
}

// moveLocked moves both ends of the log up.
func (l *groupLog) moveLocked(begin, persisted point) {
	if n := len(l.cache); n > 0 && begin.index >= l.cacheFrom {
		l.releaseLocked(int(min(begin.index-l.cacheFrom+1, uint64(n))))
	}
	base, low := l.totalAtLocked(persisted.index), l.totalAtLocked(begin.index)
	l.hostBytes.Add(l.base - base)
	l.keep.kept.Add((base - low) - (l.base - l.low))
	l.base, l.low = base, low
	for len(l.marks) > 0 && l.marks[0].index <= begin.index {
		l.marks = l.marks[1:]
	}
	for len(l.terms) > 1 && l.terms[1].index <= begin.index+1 {
		l.terms = l.terms[1:]
	}
	l.begin, l.persisted = begin, persisted
}

// bump adds to b that records hold everything up to p, which is true because no
// entry after the persisted index changed any; the log stays. The caller
// commits b and then calls bumped.
func (l *groupLog) bump(b persistence.Batch, p point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.Set(groupKey(l.id, keyPersisted), p.encode())
	begin := l.begin
	if l.plan.begin.index > begin.index { // may be on disk already
		begin = l.plan.begin
	}
	b.Set(groupKey(l.id, keyTruncated), begin.encode())
	l.marked = true
}

func (l *groupLog) bumped(p point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moveLocked(l.begin, p)
}

// installed forgets everything: a snapshot as of p has replaced log and records.
func (l *groupLog) installed(p point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clearLocked()
	l.begin, l.persisted, l.last = p, p, p.index
}

// drop is told that the replica was removed.
func (l *groupLog) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clearLocked()
	l.gone = true
}

func (l *groupLog) clearLocked() {
	l.releaseLocked(len(l.cache))
	l.hostBytes.Add(l.base - l.total)
	l.keep.kept.Add(l.low - l.base)
	l.total, l.base, l.low = 0, 0, 0
	l.marks, l.terms, l.plan, l.marked = nil, nil, plan{}, false
	l.begin, l.persisted, l.last = point{}, point{}, 0
}

// hold keeps what follows index until release is called as often.
func (l *groupLog) hold(index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds == nil {
		l.holds = map[uint64]int{}
	}
	l.holds[index]++
}

func (l *groupLog) unhold(index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds[index]--; l.holds[index] <= 0 {
		delete(l.holds, index)
	}
}

// ends gives both ends of the log and its last entry.
func (l *groupLog) ends() (begin, persisted point, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begin, l.persisted, l.last
}

// totalAtLocked is the count of bytes up to index, rounded down to a mark.
func (l *groupLog) totalAtLocked(index uint64) int64 {
	if index >= l.last {
		return l.total
	}
	total := l.low
	if index >= l.persisted.index {
		total = l.base
	}
	for _, m := range l.marks {
		if m.index > index {
			break
		}
		total = max(total, m.total)
	}
	return total
}

// bytes is the size of the entries beyond the persisted index.
func (l *groupLog) bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total - l.base
}
