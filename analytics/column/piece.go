package column

import (
	"encoding/binary"
	"math/bits"
)

// Packer compresses the pieces of a sealed segment. Safe for concurrent use.
type Packer interface {
	// Pack appends src, compressed, to dst.
	Pack(dst, src []byte) []byte
	// Unpack appends what Pack was given to dst; an error if that is not n bytes.
	Unpack(dst, src []byte, n int) ([]byte, error)
}

// Pieces of a sealed segment:
//
//	piece  = 0 length(uvarint) bytes                as they are
//	       | 1 size(uvarint) length(uvarint) bytes  compressed; size is that of the bytes behind it
//	       | 2 size(uvarint) byte                   all bytes are one
//	spread = unit(uvarint) classes(piece) rest(piece)
//
// A spread is numbers of very different sizes. Each is divided by unit; its class
// is its length in bits, a byte, which compresses well; the bits below the first
// one are as good as random and stand in rest, packed from the lowest bit on.
// Signed numbers are zigzag coded after the division.
const (
	pieceRaw     = 0
	piecePacked  = 1
	pieceUniform = 2

	packMin = 24 // smaller pieces are not worth a try
)

// writer appends pieces to dst.
type writer struct {
	dst  []byte
	pack Packer // nil: nothing is compressed

	packed, classes, rest []byte // scratch
}

func (w *writer) uvarint(x uint64) { w.dst = binary.AppendUvarint(w.dst, x) }

// piece writes b in the shortest form.
func (w *writer) piece(b []byte) {
	if len(b) > 2 && uniform(b, b[0]) {
		w.dst = append(w.dst, pieceUniform)
		w.uvarint(uint64(len(b)))
		w.dst = append(w.dst, b[0])
		return
	}
	if w.pack != nil && len(b) >= packMin {
		if w.packed = w.pack.Pack(w.packed[:0], b); len(w.packed)+3 < len(b) {
			w.dst = append(w.dst, piecePacked)
			w.uvarint(uint64(len(b)))
			w.uvarint(uint64(len(w.packed)))
			w.dst = append(w.dst, w.packed...)
			return
		}
	}
	w.raw(b)
}

func (w *writer) raw(b []byte) {
	w.dst = append(w.dst, pieceRaw)
	w.uvarint(uint64(len(b)))
	w.dst = append(w.dst, b...)
}

// spread writes numbers; signed ones may be negative.
func (w *writer) spread(values []int64, signed bool) {
	unit := int64(0)
	for _, v := range values {
		if unit = gcd(unit, v); unit == 1 {
			break
		}
	}
	unit = max(unit, 1)
	w.uvarint(uint64(unit))
	w.classes, w.rest = w.classes[:0], w.rest[:0]
	var acc uint64
	held := 0
	for _, v := range values {
		x := uint64(v / unit)
		if signed {
			x = x<<1 ^ uint64(int64(x)>>63)
		}
		n := bits.Len64(x)
		w.classes = append(w.classes, byte(n))
		for left := n - 1; left > 0; {
			take := min(left, 32, 64-held)
			acc |= x & (1<<take - 1) << held
			x >>= take
			held += take
			left -= take
			for held >= 8 {
				w.rest = append(w.rest, byte(acc))
				acc >>= 8
				held -= 8
			}
		}
	}
	if held > 0 {
		w.rest = append(w.rest, byte(acc))
	}
	w.piece(w.classes)
	w.raw(w.rest)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	if a < 0 {
		return -a
	}
	return a
}

// pieces reads what a writer wrote. After a failure everything is empty.
type pieces struct {
	reader
	pack    Packer
	scratch []byte
}

// piece reads a piece of n bytes; any number up to most if n is negative. What it
// gives is good until the next call.
func (r *pieces) piece(n, most int) []byte {
	if len(r.b) == 0 {
		r.fail()
		return nil
	}
	method := r.b[0]
	r.b = r.b[1:]
	size := r.uvarint()
	if n < 0 && size <= uint64(most) {
		n = int(size)
	}
	if r.err != nil || method > pieceUniform || size != uint64(n) {
		r.fail()
		return nil
	}
	switch method {
	case pieceRaw:
		return r.cut(n)
	case pieceUniform:
		one := r.cut(1)
		if one == nil {
			return nil
		}
		r.room(n)
		r.scratch = r.scratch[:n]
		for i := range r.scratch {
			r.scratch[i] = one[0]
		}
		return r.scratch
	}
	length := r.uvarint()
	if length > uint64(len(r.b)) || r.pack == nil {
		r.fail()
		return nil
	}
	src := r.cut(int(length))
	if r.err != nil {
		return nil
	}
	r.room(n)
	out, err := r.pack.Unpack(r.scratch[:0], src, n)
	if err != nil || len(out) != n {
		r.fail()
		return nil
	}
	r.scratch = out
	return out
}

// room makes scratch large enough for n bytes.
func (r *pieces) room(n int) {
	if cap(r.scratch) < n {
		r.scratch = make([]byte, 0, n)
	}
}

// cut takes the next n bytes.
func (r *pieces) cut(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// spread reads len(out) numbers.
func (r *pieces) spread(out []int64, signed bool) {
	unit := int64(r.uvarint())
	classes := r.piece(len(out), 0)
	if r.err != nil {
		return
	}
	total := 0
	for _, c := range classes {
		if c > 64 {
			r.fail()
			return
		}
		total += max(0, int(c)-1)
	}
	held := r.scratch // the next piece is raw and does not touch it
	if len(r.b) == 0 || r.b[0] != pieceRaw {
		r.fail()
		return
	}
	rest := r.piece((total+7)/8, 0)
	r.scratch = held
	if r.err != nil {
		return
	}
	pos := 0
	for i, c := range classes {
		if c == 0 {
			out[i] = 0
			continue
		}
		n := int(c) - 1
		x := take(rest, pos, n) | 1<<n
		pos += n
		if signed {
			out[i] = (int64(x>>1) ^ -int64(x&1)) * unit
		} else {
			out[i] = int64(x) * unit
		}
	}
}

// take gives n bits of b from bit pos on; n is below 64.
func take(b []byte, pos, n int) uint64 {
	at := pos >> 3
	if at+8 <= len(b) && n <= 56 {
		return binary.LittleEndian.Uint64(b[at:]) >> (pos & 7) & (1<<n - 1)
	}
	x := uint64(0)
	for i := 0; i < n; i++ {
		x |= uint64(b[(pos+i)>>3]>>((pos+i)&7)&1) << i
	}
	return x
}
