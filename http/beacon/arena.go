package beacon

// arena keeps many small texts in few pieces of memory. What it gave out is
// never overwritten.
type arena struct{ free []byte }

const arenaBytes = 32 << 10

// add keeps a copy of b.
func (a *arena) add(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > arenaBytes/4 {
		return string(b)
	}
	if cap(a.free)-len(a.free) < len(b) {
		a.free = make([]byte, 0, arenaBytes)
	}
	from := len(a.free)
	a.free = append(a.free, b...)
	return text(a.free[from:len(a.free):len(a.free)])
}
