package site

import "hash/maphash"

// idSet is a set of non-zero 64-bit ids that are hashes already. Open
// addressing at most three quarters full: 11–21 bytes an id.
type idSet struct {
	slots []uint64
	n     int
}

func (s *idSet) has(id uint64) bool {
	if s.n == 0 {
		return false
	}
	mask := uint64(len(s.slots) - 1)
	for i := id & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case id:
			return true
		case 0:
			return false
		}
	}
}

// add puts id in and tells whether it was new.
func (s *idSet) add(id uint64) bool {
	if 4*(s.n+1) > 3*len(s.slots) {
		s.grow()
	}
	mask := uint64(len(s.slots) - 1)
	for i := id & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case id:
			return false
		case 0:
			s.slots[i] = id
			s.n++
			return true
		}
	}
}

func (s *idSet) grow() {
	old := s.slots
	s.slots = make([]uint64, max(8, 2*len(old)))
	mask := uint64(len(s.slots) - 1)
	for _, id := range old {
		if id == 0 {
			continue
		}
		i := id & mask
		for s.slots[i] != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = id
	}
}

// generations is how many spans the window of live ids is cut into; one more is
// kept than the window is long, so that an id is remembered at least that long.
const generations = 6

// window remembers the ids of live events for analytics.IDWindowMS of log time,
// in generations of equal span that are dropped whole.
type window struct {
	gens []generation // oldest first
}

type generation struct {
	number int64 // log time divided by the span
	set    idSet
	fresh  []uint64 // added since the last flush
	chunks uint32   // records written so far
}

func (w *window) has(id uint64) bool {
	for i := len(w.gens) - 1; i >= 0; i-- {
		if w.gens[i].set.has(id) {
			return true
		}
	}
	return false
}

// at gives the generation of log time now, making it, and the numbers of those
// that are over.
func (w *window) at(number int64) (g *generation, over []generation) {
	if n := len(w.gens); n > 0 && w.gens[n-1].number >= number {
		return &w.gens[n-1], nil
	}
	keep := 0
	for keep < len(w.gens) && w.gens[keep].number < number-generations {
		keep++
	}
	over = append(over, w.gens[:keep]...)
	w.gens = append(append(make([]generation, 0, len(w.gens)-keep+1), w.gens[keep:]...), generation{number: number})
	return &w.gens[len(w.gens)-1], over
}

// size is the number of ids remembered.
func (w *window) size() (n int) {
	for i := range w.gens {
		n += w.gens[i].set.n
	}
	return n
}

// dict gives texts numbers. Number 0 is "". It only grows; shared slices of
// texts stay valid.
type dict struct {
	table []named // open addressing, at most three quarters full; see find
	seed  maphash.Seed
	texts []string
	bytes int
	kept  int // bytes after the last rebuilding
}

// named is a slot of the table: a text's number, 0 for none, and a part of its
// hash, which spares looking at texts that are others.
type named struct{ hash, id uint32 }

func (d *dict) id(b []byte) uint32 {
	if len(b) == 0 {
		return 0
	}
	if d.table == nil {
		d.begin()
	}
	h := maphash.Bytes(d.seed, b)
	if id := find(d, h, b); id != 0 {
		return id
	}
	return d.add(h, string(b))
}

func (d *dict) idOf(s string) uint32 {
	if s == "" {
		return 0
	}
	if d.table == nil {
		d.begin()
	}
	h := maphash.String(d.seed, s)
	if id := find(d, h, s); id != 0 {
		return id
	}
	return d.add(h, s)
}

// begin makes an empty table. The seed decides where texts are in it and
// nothing else: no number depends on it.
func (d *dict) begin() {
	d.seed, d.table = maphash.MakeSeed(), make([]named, 16)
	d.texts = append(make([]string, 0, 16), "")
}

// find gives the number of a text with hash h, 0 if it has none.
func find[T string | []byte](d *dict, h uint64, text T) uint32 {
	mask := uint64(len(d.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		n := d.table[i]
		if n.id == 0 || n.hash == uint32(h>>32) && d.texts[n.id] == string(text) {
			return n.id
		}
	}
}

// add numbers a text that has no number.
func (d *dict) add(h uint64, s string) uint32 {
	if 4*len(d.texts) > 3*len(d.table) {
		d.grow()
	}
	id := uint32(len(d.texts))
	d.texts = append(d.texts, s)
	d.put(named{uint32(h >> 32), id}, h)
	d.bytes += len(s) + 48
	return id
}

func (d *dict) put(n named, h uint64) {
	mask := uint64(len(d.table) - 1)
	i := h & mask
	for d.table[i].id != 0 {
		i = (i + 1) & mask
	}
	d.table[i] = n
}

func (d *dict) grow() {
	d.table = make([]named, 2*len(d.table))
	for id := 1; id < len(d.texts); id++ {
		h := maphash.String(d.seed, d.texts[id])
		d.put(named{uint32(h >> 32), uint32(id)}, h)
	}
}
