package query

import "math"

// uniquesMax is how many pairs of group and visitor are held at most; each takes
// about 20 bytes.
const uniquesMax = 4 << 20

// uniques counts distinct visitors of groups whose ids last longer than a day.
// It is exact up to max pairs in all; beyond, it keeps the ids of a half, a
// quarter … of all visitors, chosen by their hash, and gives estimates. Adaptive
// sampling after Flajolet, "On adaptive sampling", Computing 43 (1990): with a
// share of 2^-level kept, the standard error of n visitors is
// sqrt((2^level - 1)/n) of n.
type uniques struct {
	pairs
	level uint
	max   int
}

func newUniques(n int) *uniques { return &uniques{max: n} }

// sampled tells whether visitors with this id are among those kept at a level.
func sampled(id uint64, level uint) bool { return mix(0, id)>>(64-level) == 0 }

func (u *uniques) put(group uint32, id uint64) {
	if u.level > 0 && !sampled(id, u.level) {
		return
	}
	if u.add(group, id) && u.n > u.max {
		u.raise(u.level + 1)
	}
}

// raise keeps the visitors of a higher level only, and so on until they are few
// enough.
func (u *uniques) raise(level uint) {
	for {
		old := u.pairs
		u.pairs, u.level = pairs{}, level
		for i, g := range old.groups {
			if g != 0 && sampled(old.ids[i], level) {
				u.add(g-1, old.ids[i])
			}
		}
		if u.n <= u.max {
			return
		}
		level++
	}
}

// merge takes over what o has, whose groups have other numbers here.
func (u *uniques) merge(o *uniques, moved []uint32) {
	if o.level > u.level {
		u.raise(o.level)
	}
	for i, g := range o.groups {
		if g != 0 {
			u.put(moved[g-1], o.ids[i])
		}
	}
}

// perGroup gives the visitors of each of n groups.
func (u *uniques) perGroup(n int) []uint64 {
	out := make([]uint64, n)
	for _, g := range u.groups {
		if g != 0 {
			out[g-1] += 1 << u.level
		}
	}
	return out
}

// percentError is the standard error of an estimate of n, in percent; 0 while
// the count is exact.
func (u *uniques) percentError(n float64) float64 {
	if u.level == 0 || n == 0 {
		return 0
	}
	return 100 * math.Sqrt((math.Exp2(float64(u.level))-1)/n)
}
