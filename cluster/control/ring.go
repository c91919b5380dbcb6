package control

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// ringMax is how many of the last commands are remembered. It is part of the
// format: all replicas must pass over the same commands.
const ringMax = 10_000

// ring remembers the ids of the last commands of the log, so that one that was
// sent twice, because its first way was cut off, is executed once. It is part of
// the replicated state: a function of the log, kept in records.
type ring struct {
	slots []commandID // command n is in slot n % ringMax
	count uint64      // commands so far
	known map[commandID]struct{}
	dirty map[uint64]struct{} // slots changed since the last flush
}

func newRing() *ring {
	return &ring{known: map[commandID]struct{}{}, dirty: map[uint64]struct{}{}}
}

// add takes a command's id in; false if it is there already.
func (r *ring) add(id commandID) bool {
	if r.has(id) {
		return false
	}
	slot := r.count % ringMax
	if slot == uint64(len(r.slots)) {
		r.slots = append(r.slots, id)
	} else {
		delete(r.known, r.slots[slot])
		r.slots[slot] = id
	}
	r.known[id] = struct{}{}
	r.dirty[slot] = struct{}{}
	r.count++
	return true
}

func (r *ring) has(id commandID) bool {
	_, ok := r.known[id]
	return ok
}

// A record of the ring, under its slot:
//
//	version(1) number(8, big-endian) id(16)
const (
	ringVersion = 1
	ringLen     = 1 + 8 + 16
)

// ringRecord is one slot as it is stored.
type ringRecord struct {
	slot uint64
	data []byte
}

// takeDirty gives the records that changed since it was called last, in order.
func (r *ring) takeDirty() []ringRecord {
	out := make([]ringRecord, 0, len(r.dirty))
	for slot := range r.dirty {
		number := r.count - 1 - (r.count-1-slot)%ringMax // the last one to have this slot
		data := binary.BigEndian.AppendUint64([]byte{ringVersion}, number)
		out = append(out, ringRecord{slot, append(data, r.slots[slot][:]...)})
	}
	clear(r.dirty)
	slices.SortFunc(out, func(a, b ringRecord) int { return cmp.Compare(a.slot, b.slot) })
	return out
}

// restore puts back a record. They come in order of slots, without gaps.
func (r *ring) restore(slot uint64, b []byte) error {
	switch {
	case len(b) > 0 && b[0] != ringVersion:
		return fmt.Errorf("read command record %d: format %d is not known to this release, which knows %d", slot, b[0], ringVersion)
	case len(b) != ringLen:
		return fmt.Errorf("read command record %d: it has %d bytes", slot, len(b))
	case slot >= ringMax || slot != uint64(len(r.slots)):
		return fmt.Errorf("read command record %d: those before it are missing", slot)
	}
	number, id := binary.BigEndian.Uint64(b[1:]), commandID(b[9:])
	if number%ringMax != slot {
		return fmt.Errorf("read command record %d: it says its number is %d", slot, number)
	}
	if r.has(id) {
		return fmt.Errorf("read command record %d: its command is there twice", slot)
	}
	r.slots = append(r.slots, id)
	r.known[id] = struct{}{}
	r.count = max(r.count, number+1)
	return nil
}
