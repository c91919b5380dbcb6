package beacon

// arena keeps many small texts in few pieces of memory. What it gave out is not
// overwritten before reset.
type arena struct {
	free   []byte
	pieces [][]byte
	used   int // of pieces
}

const (
	arenaBytes     = 32 << 10
	arenaPiecesMax = 64 // that are kept for the next request
)

// add keeps a copy of b.
func (a *arena) add(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > arenaBytes/4 {
		return string(b)
	}
	if cap(a.free)-len(a.free) < len(b) {
		if a.used == len(a.pieces) {
			a.pieces = append(a.pieces, make([]byte, 0, arenaBytes))
		}
		a.free = a.pieces[a.used]
		a.used++
	}
	from := len(a.free)
	a.free = append(a.free, b...)
	return text(a.free[from:len(a.free):len(a.free)])
}

// reset makes room for other texts; those given out must not be used any more.
func (a *arena) reset() {
	a.free, a.used = nil, 0
	if len(a.pieces) > arenaPiecesMax {
		clear(a.pieces[arenaPiecesMax:])
		a.pieces = a.pieces[:arenaPiecesMax]
	}
}
