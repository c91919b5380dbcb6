package column

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A block is one encoded segment:
//
//	block  = version(1)=1  type(1)  day(varint)  rows(uvarint)  dict  column*  crc32c(4, over all before)
//	dict   = count(uvarint) text*                     without the empty text, which is number 0
//	column = length(uvarint) bytes
//
// Columns follow in the order of the fields of Events or Visits. Text columns
// are numbers of 1, 2 or 4 bytes, little endian, by the size of dict; times are
// zigzag varints, each the difference to the row before (or to another column
// of the row); bytes are bytes. A column of zeros is empty. The store below
// compresses.
const (
	blockVersion = 1
	typeEvents   = 1
	typeVisits   = 2
)

// ErrBlock means that bytes are not a block of a known version, or damaged.
var ErrBlock = errors.New("column block: unknown or damaged format")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// remap gives the texts of cols their numbers in a dictionary of the block's
// own, in order of first use. Number 0 stays the empty text.
func remap(dict []string, cols ...[]uint32) (texts []string, out [][]uint32) {
	number := make([]uint32, len(dict)) // in texts; 0 is not seen yet
	texts = []string{""}
	for _, col := range cols {
		ids := make([]uint32, len(col))
		for i, id := range col {
			n := uint32(0)
			if id != 0 {
				if n = number[id]; n == 0 {
					n = uint32(len(texts))
					number[id] = n
					texts = append(texts, dict[id])
				}
			}
			ids[i] = n
		}
		out = append(out, ids)
	}
	return texts, out
}

// Compact gives the same events with a dictionary that holds only what they use
// and slices of their own.
func (e *Events) Compact() *Events {
	texts, cols := remap(e.Dict, e.Name, e.Page, e.Host, e.Props, e.Revenue)
	return &Events{Day: e.Day, At: clone(e.At), Visit: clone(e.Visit), Back: clone(e.Back), Kind: clone(e.Kind),
		Name: cols[0], Page: cols[1], Host: cols[2], Props: cols[3], Revenue: cols[4],
		Scroll: clone(e.Scroll), Engaged: clone(e.Engaged), Dict: texts}
}

func clone[T any](s []T) []T { return append(make([]T, 0, len(s)), s...) }

// AppendEvents encodes e, which must be compact.
func AppendEvents(dst []byte, e *Events) []byte {
	start := len(dst)
	dst = header(dst, typeEvents, e.Day, e.Len(), e.Dict)
	dst = deltas32(dst, e.At)
	dst = deltas32(dst, e.Visit)
	dst = bytesColumn(dst, e.Back, 0)
	dst = bytesColumn(dst, e.Kind, 0)
	for _, col := range [][]uint32{e.Name, e.Page, e.Host, e.Props, e.Revenue} {
		dst = ids(dst, col, len(e.Dict))
	}
	dst = bytesColumn(dst, e.Scroll, 255)
	dst = plain32(dst, e.Engaged)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// DecodeEvents reads what AppendEvents wrote.
func DecodeEvents(b []byte) (*Events, error) {
	r, day, rows, dict, err := open(b, typeEvents)
	if err != nil {
		return nil, err
	}
	e := &Events{Day: day, Dict: dict}
	e.At, e.Visit = r.deltas32(rows), r.deltas32(rows)
	e.Back, e.Kind = r.bytes(rows, 0), r.bytes(rows, 0)
	for _, col := range []*[]uint32{&e.Name, &e.Page, &e.Host, &e.Props, &e.Revenue} {
		*col = r.ids(rows, len(dict))
	}
	e.Scroll, e.Engaged = r.bytes(rows, 255), r.plain32(rows)
	return e, r.err
}

// Compact is Events.Compact for visits.
func (v *Visits) Compact() *Visits {
	texts, c := remap(v.Dict, v.Entry, v.Exit, v.EntryHost, v.ExitHost, v.Agent, v.Place, v.Acquisition, v.Language, v.Screen)
	w := *v
	w.Entry, w.Exit, w.EntryHost, w.ExitHost, w.Agent, w.Place, w.Acquisition, w.Language, w.Screen =
		c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]
	w.Dict = texts
	return &w
}

// AppendVisits encodes v, which must be compact.
func AppendVisits(dst []byte, v *Visits) []byte {
	start := len(dst)
	dst = header(dst, typeVisits, v.Day, v.Len(), v.Dict)
	dst = deltas32(dst, v.Number)
	dst = column(dst, func(d []byte) []byte {
		for _, x := range v.Visitor {
			d = binary.LittleEndian.AppendUint64(d, x)
		}
		return d
	})
	base := int64(v.Day) * DayMS
	dst = column(dst, func(d []byte) []byte {
		prev := base
		for _, x := range v.Start {
			d = binary.AppendVarint(d, x-prev)
			prev = x
		}
		return d
	})
	dst = differences(dst, v.Last, v.Start)
	dst = differences(dst, v.EntryAt, v.Start)
	dst = differences(dst, v.ExitAt, v.Last)
	dst = plain32(dst, v.Views)
	dst = plain32(dst, v.Customs)
	dst = bytesColumn(dst, v.Flags, 0)
	for _, col := range [][]uint32{v.Entry, v.Exit, v.EntryHost, v.ExitHost, v.Agent, v.Place, v.Acquisition, v.Language, v.Screen} {
		dst = ids(dst, col, len(v.Dict))
	}
	dst = differences(dst, v.LastEvent, v.Last)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// DecodeVisits reads what AppendVisits wrote.
func DecodeVisits(b []byte) (*Visits, error) {
	r, day, rows, dict, err := open(b, typeVisits)
	if err != nil {
		return nil, err
	}
	v := &Visits{Day: day, Dict: dict}
	v.Number = r.deltas32(rows)
	v.Visitor = r.plain64(rows)
	v.Start = r.running(rows, int64(day)*DayMS)
	v.Last = r.differences(v.Start)
	v.EntryAt = r.differences(v.Start)
	v.ExitAt = r.differences(v.Last)
	v.Views, v.Customs = r.plain32(rows), r.plain32(rows)
	v.Flags = r.bytes(rows, 0)
	for _, col := range []*[]uint32{&v.Entry, &v.Exit, &v.EntryHost, &v.ExitHost, &v.Agent, &v.Place, &v.Acquisition, &v.Language, &v.Screen} {
		*col = r.ids(rows, len(dict))
	}
	v.LastEvent = r.differences(v.Last)
	return v, r.err
}

func header(dst []byte, typ byte, day int32, rows int, dict []string) []byte {
	dst = append(dst, blockVersion, typ)
	dst = binary.AppendVarint(dst, int64(day))
	dst = binary.AppendUvarint(dst, uint64(rows))
	dst = binary.AppendUvarint(dst, uint64(len(dict)))
	for _, s := range dict[min(1, len(dict)):] {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

// column writes length and bytes; the length takes four bytes.
func column(dst []byte, fill func([]byte) []byte) []byte {
	at := len(dst)
	dst = fill(append(dst, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

func deltas32(dst []byte, col []uint32) []byte {
	return column(dst, func(d []byte) []byte {
		prev := int64(0)
		for _, x := range col {
			d = binary.AppendVarint(d, int64(x)-prev)
			prev = int64(x)
		}
		return d
	})
}

func differences(dst []byte, col, from []int64) []byte {
	return column(dst, func(d []byte) []byte {
		for i, x := range col {
			d = binary.AppendVarint(d, x-from[i])
		}
		return d
	})
}

func plain32(dst []byte, col []uint32) []byte {
	return column(dst, func(d []byte) []byte {
		if uniform(col, 0) {
			return d
		}
		for _, x := range col {
			d = binary.AppendUvarint(d, uint64(x))
		}
		return d
	})
}

func bytesColumn(dst []byte, col []uint8, usual uint8) []byte {
	return column(dst, func(d []byte) []byte {
		if uniform(col, usual) {
			return d
		}
		return append(d, col...)
	})
}

func uniform[T comparable](col []T, x T) bool {
	for _, y := range col {
		if y != x {
			return false
		}
	}
	return true
}

func width(dict int) int {
	switch {
	case dict <= 1<<8:
		return 1
	case dict <= 1<<16:
		return 2
	}
	return 4
}

func ids(dst []byte, col []uint32, dict int) []byte {
	return column(dst, func(d []byte) []byte {
		if uniform(col, 0) {
			return d
		}
		switch width(dict) {
		case 1:
			for _, x := range col {
				d = append(d, byte(x))
			}
		case 2:
			for _, x := range col {
				d = binary.LittleEndian.AppendUint16(d, uint16(x))
			}
		default:
			for _, x := range col {
				d = binary.LittleEndian.AppendUint32(d, x)
			}
		}
		return d
	})
}

type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() { r.err, r.b = ErrBlock, nil }

func open(b []byte, typ byte) (r *reader, day int32, rows int, dict []string, err error) {
	if len(b) < 8 || b[0] != blockVersion || b[1] != typ ||
		crc32.Checksum(b[:len(b)-4], castagnoli) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return nil, 0, 0, nil, ErrBlock
	}
	r = &reader{b: b[2 : len(b)-4]}
	d := r.varint()
	n := r.uvarint()
	count := r.uvarint()
	if n > 1<<28 || count > uint64(len(r.b))+1 {
		return nil, 0, 0, nil, ErrBlock
	}
	text := string(r.b) // one allocation that all texts share
	off := 0
	dict = make([]string, 1, count+1)
	for i := uint64(1); i < count && r.err == nil; i++ {
		l := r.uvarint()
		off = len(text) - len(r.b)
		if l > uint64(len(r.b)) {
			r.fail()
			break
		}
		dict = append(dict, text[off:off+int(l)])
		r.b = r.b[l:]
	}
	return r, int32(d), int(n), dict, r.err
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return x
}

// next cuts the next column out.
func (r *reader) next() *reader {
	if len(r.b) < 4 || uint64(binary.LittleEndian.Uint32(r.b)) > uint64(len(r.b)-4) {
		r.fail()
		return &reader{err: ErrBlock}
	}
	n := binary.LittleEndian.Uint32(r.b)
	c := &reader{b: r.b[4 : 4+n]}
	r.b = r.b[4+n:]
	return c
}

// size guards an allocation of rows by the bytes that are there to fill it.
func (r *reader) size(c *reader, rows, each int) bool {
	if r.err != nil || len(c.b) < rows*each {
		r.fail()
		return false
	}
	return true
}

func (r *reader) deltas32(rows int) []uint32 {
	c := r.next()
	if !r.size(c, rows, 1) {
		return nil
	}
	out := make([]uint32, rows)
	prev := int64(0)
	for i := range out {
		prev += c.varint()
		out[i] = uint32(prev)
	}
	r.note(c)
	return out
}

func (r *reader) note(c *reader) {
	if c.err != nil {
		r.fail()
	}
}

func (r *reader) running(rows int, prev int64) []int64 {
	c := r.next()
	if !r.size(c, rows, 1) {
		return nil
	}
	out := make([]int64, rows)
	for i := range out {
		prev += c.varint()
		out[i] = prev
	}
	r.note(c)
	return out
}

func (r *reader) differences(from []int64) []int64 {
	c := r.next()
	if !r.size(c, len(from), 1) {
		return nil
	}
	out := make([]int64, len(from))
	for i := range out {
		out[i] = from[i] + c.varint()
	}
	r.note(c)
	return out
}

func (r *reader) plain32(rows int) []uint32 {
	c := r.next()
	if r.err == nil && len(c.b) == 0 {
		return r.zeros(rows)
	}
	if !r.size(c, rows, 1) {
		return nil
	}
	out := make([]uint32, rows)
	for i := range out {
		out[i] = uint32(c.uvarint())
	}
	r.note(c)
	return out
}

// zeros is bounded by the columns before it, which hold a byte for each row.
func (r *reader) zeros(rows int) []uint32 { return make([]uint32, rows) }

func (r *reader) plain64(rows int) []uint64 {
	c := r.next()
	if !r.size(c, rows, 8) {
		return nil
	}
	out := make([]uint64, rows)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(c.b[8*i:])
	}
	return out
}

func (r *reader) bytes(rows int, usual uint8) []uint8 {
	c := r.next()
	if r.err != nil {
		return nil
	}
	out := make([]uint8, rows)
	if len(c.b) == 0 {
		for i := range out {
			out[i] = usual
		}
		return out
	}
	if !r.size(c, rows, 1) {
		return nil
	}
	copy(out, c.b)
	return out
}

func (r *reader) ids(rows, dict int) []uint32 {
	c := r.next()
	if r.err == nil && len(c.b) == 0 {
		return r.zeros(rows)
	}
	w := width(dict)
	if !r.size(c, rows, w) {
		return nil
	}
	out := make([]uint32, rows)
	for i := range out {
		switch w {
		case 1:
			out[i] = uint32(c.b[i])
		case 2:
			out[i] = uint32(binary.LittleEndian.Uint16(c.b[2*i:]))
		default:
			out[i] = binary.LittleEndian.Uint32(c.b[4*i:])
		}
		if int(out[i]) >= dict {
			r.fail()
			return nil
		}
	}
	return out
}
