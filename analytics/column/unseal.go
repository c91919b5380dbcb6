package column

import (
	"encoding/binary"
	"hash/crc32"
)

// opened is a sealed segment in the course of being read.
type opened struct {
	pieces
	s              *Sealed
	visits, events int
	n              []int64 // scratch
}

func openSealed(b []byte, pack Packer) (*opened, error) {
	if len(b) < 8 || b[0] != sealedVersion || b[1] != typeSealed ||
		crc32.Checksum(b[:len(b)-4], castagnoli) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return nil, ErrBlock
	}
	r := &opened{pieces: pieces{reader: reader{b: b[2 : len(b)-4]}, pack: pack}}
	r.s = &Sealed{Day: int32(r.varint())}
	visits, events := r.uvarint(), r.uvarint()
	if r.err != nil || visits > SealedVisitsMax || events > SealedEventsMax || events < visits {
		return nil, ErrBlock
	}
	r.visits, r.events = int(visits), int(events)
	r.n = make([]int64, r.events)
	return r, nil
}

// SealedVisitors reads the visits' numbers and visitors only.
func SealedVisitors(b []byte, pack Packer) (day int32, number []uint32, visitor []uint64, err error) {
	r, err := openSealed(b, pack)
	if err != nil {
		return 0, nil, nil, err
	}
	r.people()
	return r.s.Day, r.s.Number, r.s.Visitor, r.err
}

// DecodeSealed reads what AppendSealed wrote.
func DecodeSealed(b []byte, pack Packer) (*Sealed, error) {
	r, err := openSealed(b, pack)
	if err != nil {
		return nil, err
	}
	s := r.s
	r.people()
	bases, counts := r.texts()
	ints := make([]uint32, 5*r.visits)
	for c, col := range []*[]uint32{&s.Agent, &s.Place, &s.Acquisition, &s.Language, &s.Screen} {
		*col, ints = ints[:r.visits:r.visits], ints[r.visits:]
		r.ids(*col, bases[firstOfVisits+c], counts[firstOfVisits+c])
	}
	r.readFirst()
	r.readTimes()
	r.readEvents(bases, counts)
	if r.err != nil || len(r.b) > 0 {
		return nil, ErrBlock
	}
	return s, nil
}

// people reads who the visits are of.
func (r *opened) people() {
	s, n := r.s, r.n[:r.visits]
	r.spread(n, true)
	s.Number = make([]uint32, r.visits)
	x := int64(0)
	for i, d := range n {
		x += d
		s.Number[i] = uint32(x)
	}
	s.Named = append([]uint8(nil), r.piece(r.visits, 0)...)
	r.spread(n, false)
	ids := r.piece8()
	others := r.numbers(r.visits)
	if r.err != nil {
		return
	}
	s.Visitor = make([]uint64, r.visits)
	known := make([]uint64, 0, r.visits)
	for i, v := range n {
		switch {
		case v == 0:
			s.Visitor[i] = VisitorOf(s.Day, s.Number[i])
		case v == 1 && len(ids) >= 8:
			s.Visitor[i] = binary.LittleEndian.Uint64(ids)
			ids = ids[8:]
		case v == 2 && len(others) > 0:
			s.Visitor[i] = VisitorOf(s.Day, uint32(others[0]))
			others = others[1:]
		case v > 2 && v-2 <= int64(len(known)):
			s.Visitor[i] = known[int64(len(known))-(v-2)]
			continue
		default:
			r.fail()
			return
		}
		known = append(known, s.Visitor[i])
	}
}

// piece8 reads a count and so many times 8 bytes.
func (r *opened) piece8() []byte {
	n := r.uvarint()
	if n > uint64(r.visits) {
		r.fail()
		return nil
	}
	return append([]byte(nil), r.piece(int(n)*8, 0)...)
}

// numbers reads a count of at most most, and a spread of so many.
func (r *opened) numbers(most int) []int64 {
	n := r.uvarint()
	if n > uint64(most) {
		r.fail()
		return nil
	}
	out := make([]int64, n)
	r.spread(out, false)
	return out
}

// texts reads the dictionary; a text column's texts begin behind its base.
func (r *opened) texts() (bases, counts [textColumns]int) {
	total := 0
	for c := range counts {
		n := r.uvarint()
		if n > uint64(r.events) {
			r.fail()
			return
		}
		bases[c], counts[c] = total, int(n)
		total += int(n)
	}
	shared := append([]byte(nil), r.piece(total, 0)...)
	lengths := make([]int64, total)
	r.spread(lengths, false)
	bytes := 0
	for i, l := range lengths {
		if r.err != nil || l < 0 || l > textBytesMax || bytes > textBytesMax {
			r.fail()
			return
		}
		bytes += int(l) + int(shared[i])
	}
	suffixes := r.piece(-1, textBytesMax)
	all := make([]byte, 0, bytes)
	ends := make([]int, total)
	from := 0 // of the text before
	for i, l := range lengths {
		k := int(shared[i])
		if r.err != nil || int(l) > len(suffixes) || k > len(all)-from {
			r.fail()
			return
		}
		at := len(all)
		all = append(all, all[from:from+k]...)
		all = append(all, suffixes[:l]...)
		suffixes = suffixes[l:]
		from, ends[i] = at, len(all)
	}
	text := string(all) // one allocation that all texts share
	r.s.Dict = make([]string, 1, total+1)
	from = 0
	for _, end := range ends {
		r.s.Dict = append(r.s.Dict, text[from:end])
		from = end
	}
	return bases, counts
}

// ids reads a column of texts.
func (r *opened) ids(out []uint32, base, count int) {
	if count <= bytesIDsMax {
		for i, x := range r.piece(len(out), 0) {
			if int(x) > count {
				r.fail()
				return
			}
			if x != 0 {
				out[i] = uint32(base) + uint32(x)
			}
		}
		return
	}
	n := r.n[:len(out)]
	r.spread(n, false)
	for i, x := range n {
		if r.err != nil || x < 0 || x > int64(count) {
			r.fail()
			return
		}
		if x != 0 {
			out[i] = uint32(base) + uint32(x)
		}
	}
}

func (r *opened) readFirst() {
	n := r.n[:r.visits]
	r.spread(n, false)
	r.s.First = make([]uint32, r.visits+1)
	total := int64(0)
	for i, x := range n {
		if r.err != nil || x < 1 || x > int64(r.events) {
			r.fail()
			return
		}
		total += x
		r.s.First[i+1] = uint32(min(total, int64(r.events)))
	}
	if total != int64(r.events) {
		r.fail()
	}
}

func (r *opened) readTimes() {
	s := r.s
	begins := make([]int64, r.visits)
	r.spread(begins, true)
	gaps := r.n[:r.events-r.visits]
	r.spread(gaps, false)
	if r.err != nil {
		return
	}
	times := make([]int64, r.events)
	at := int64(s.Day) * DayMS
	for i, d := range begins {
		at += d
		e, end := s.First[i], s.First[i+1]
		x := at
		times[e] = x
		for e++; e < end; e++ {
			if gaps[0] < 0 {
				r.fail()
				return
			}
			x += gaps[0]
			times[e] = x
			gaps = gaps[1:]
		}
	}
	s.At = times
}

func (r *opened) readEvents(bases, counts [textColumns]int) {
	s := r.s
	shapes := append([]byte(nil), r.piece(r.events, 0)...)
	if r.err != nil {
		return
	}
	var has [5]int
	rares := 0
	for _, b := range shapes {
		if b>>3 == 0 {
			continue
		}
		rares++
		for k := range has {
			has[k] += int(b >> (3 + k) & 1)
		}
	}
	r.readPages(bases[ofPage], counts[ofPage])
	s.Host = make([]uint32, r.events)
	r.ids(s.Host, bases[ofHost], counts[ofHost])
	var texts [3][]uint32
	for k := range texts {
		texts[k] = make([]uint32, has[k])
		r.ids(texts[k], bases[ofName+k], counts[ofName+k])
	}
	engaged := r.numbers(r.events)
	if n := r.uvarint(); n != uint64(has[4]) || len(engaged) != has[3] {
		r.fail()
	}
	scroll := r.piece(has[4], 0)
	if r.err != nil {
		return
	}
	kinds, rare, all := shapes, make([]uint32, r.events), make([]Rare, 0, rares)
	for e, b := range shapes {
		if b>>3 == 0 {
			continue
		}
		x := plain
		for k, to := range [3]*uint32{&x.Name, &x.Props, &x.Revenue} {
			if b>>(3+k)&1 != 0 {
				*to, texts[k] = texts[k][0], texts[k][1:]
			}
		}
		if b&shapeEngaged != 0 {
			x.Engaged, engaged = uint32(engaged[0]), engaged[1:]
		}
		if b&shapeScroll != 0 {
			x.Scroll, scroll = scroll[0], scroll[1:]
		}
		kinds[e] = b & shapeKind
		all = append(all, x)
		rare[e] = uint32(len(all))
	}
	s.Kind, s.Rare, s.Rares = kinds, rare, all
}

// readPages reads the pages of events.
func (r *opened) readPages(base, count int) {
	s := r.s
	pages, first := make([]uint32, r.events), s.First
	n := r.n[:r.events]
	if count <= bytesIDsMax {
		for i, x := range r.piece(r.events, 0) {
			n[i] = int64(x)
		}
	} else {
		r.spread(n, false)
	}
	if r.err != nil {
		return
	}
	for i := range s.Number {
		page := uint32(0)
		for e := first[i]; e < first[i+1]; e++ {
			x := n[e]
			if x < 0 || x > int64(count)+1 {
				r.fail()
				return
			}
			switch x {
			case 0:
			case 1:
				page = 0
			default:
				page = uint32(base) + uint32(x-1)
			}
			pages[e] = page
		}
	}
	s.Page = pages
}
