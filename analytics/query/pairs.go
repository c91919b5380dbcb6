package query

// pairs is a set of (group, 64-bit id). Open addressing at most three quarters
// full; ids are mixed, since visit numbers are not hashes.
type pairs struct {
	ids    []uint64
	groups []uint32 // group + 1; 0 is an empty slot
	n      int
}

func mix(group uint32, id uint64) uint64 {
	h := (id ^ uint64(group)*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	h ^= h >> 32
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>29
}

// add puts the pair in and tells whether it was new.
func (p *pairs) add(group uint32, id uint64) bool {
	if 4*(p.n+1) > 3*len(p.ids) {
		p.grow()
	}
	mask := uint64(len(p.ids) - 1)
	for i := mix(group, id) & mask; ; i = (i + 1) & mask {
		if p.groups[i] == 0 {
			p.ids[i], p.groups[i] = id, group+1
			p.n++
			return true
		}
		if p.ids[i] == id && p.groups[i] == group+1 {
			return false
		}
	}
}

func (p *pairs) grow() {
	ids, groups := p.ids, p.groups
	size := max(64, 2*len(ids))
	p.ids, p.groups = make([]uint64, size), make([]uint32, size)
	mask := uint64(size - 1)
	for k, g := range groups {
		if g == 0 {
			continue
		}
		i := mix(g-1, ids[k]) & mask
		for p.groups[i] != 0 {
			i = (i + 1) & mask
		}
		p.ids[i], p.groups[i] = ids[k], g
	}
}
