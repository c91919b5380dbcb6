package query

// The counters of a group.
const (
	nPageviews = iota
	nEvents
	nVisits
	nVisitors
	nSessions // visits that bounces and views are taken over
	nBounces
	nSessionViews
	nDurations // visits whose duration counts here
	nDurationMS
	nEntries
	nScrollSum
	nScrolls
	nEngagedMS
	nEngaged // engagements
	nViewing // visits with a page view
	counters
)

// tupleMax is how many dimensions of one scope can be asked for at once; doors
// allow no more in all.
const tupleMax = 8

// tuple is the values of dimensions, numbers of a lexicon.
type tuple [tupleMax]uint32

// tuples gives combinations of values numbers. Where there is but one dimension,
// the value is the number.
type tuples struct {
	n    int
	ids  map[tuple]uint32
	list []tuple
}

func newTuples(n int) *tuples {
	t := &tuples{n: n}
	if n > 1 {
		t.ids, t.list = map[tuple]uint32{}, make([]tuple, 1)
	}
	return t
}

// find gives the number of values, if they have one.
func (t *tuples) find(v tuple) (uint32, bool) {
	if t.n <= 1 {
		return v[0], true
	}
	n, ok := t.ids[v]
	return n, ok
}

func (t *tuples) of(v tuple) uint32 {
	if t.n <= 1 {
		return v[0]
	}
	n, ok := t.ids[v]
	if !ok {
		n = uint32(len(t.list))
		t.ids[v] = n
		t.list = append(t.list, v)
	}
	return n
}

func (t *tuples) at(n uint32) tuple {
	if t.n <= 1 {
		return tuple{n}
	}
	return t.list[n]
}

// key names a group: when, which visits, which events.
type key struct {
	bucket int32 // index into the buckets, -1 without a time dimension
	visit  uint32
	event  uint32
}

func (k key) hash() uint64 {
	h := (uint64(k.visit)<<32|uint64(k.event))*0x9e3779b97f4a7c15 ^ uint64(uint32(k.bucket))*0xff51afd7ed558ccd
	h ^= h >> 32
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>29
}

// tally is groups and what was counted in them. Only the counters that are asked
// for are kept.
type tally struct {
	place  [counters]int // of a counter in a row; unused ones share the last place
	stride int
	visits *tuples
	events *tuples

	keys    []key
	counts  []uint64 // stride for each group
	index   []uint32 // open addressing: group + 1
	direct  []uint32 // group + 1 by the one value there is, instead of index
	revenue map[uint32]map[string]money
	max     int
	values  int  // texts there are, at most so many values are expected
	full    bool // there are more groups than max
}

type money struct {
	sum   int64
	count int64
}

func newTally(wanted []int, visits, events *tuples, rowsMax, values int) *tally {
	t := &tally{visits: visits, events: events, max: rowsMax, values: values}
	for i := range t.place {
		t.place[i] = -1
	}
	for i, c := range wanted {
		t.place[c] = i
	}
	for i := range t.place {
		if t.place[i] < 0 {
			t.place[i] = len(wanted)
		}
	}
	t.stride = len(wanted) + 1
	return t
}

// group finds or makes the group of a key. Beyond the most there may be, it gives
// the last one and notes that.
func (t *tally) group(k key) uint32 {
	if t.single(k) {
		v := int(k.visit | k.event)
		if v >= len(t.direct) {
			direct := make([]uint32, max(t.values, v+1+v/4))
			copy(direct, t.direct)
			t.direct = direct
		}
		if t.direct[v] == 0 {
			if !t.room() {
				return uint32(len(t.keys) - 1)
			}
			t.direct[v] = t.add(k) + 1
		}
		return t.direct[v] - 1
	}
	if 4*(len(t.keys)+1) > 3*len(t.index) {
		t.grow()
	}
	mask := uint64(len(t.index) - 1)
	for i := k.hash() & mask; ; i = (i + 1) & mask {
		switch g := t.index[i]; {
		case g == 0:
			if !t.room() {
				return uint32(len(t.keys) - 1)
			}
			t.index[i] = t.add(k) + 1
			return t.index[i] - 1
		case t.keys[g-1] == k:
			return g - 1
		}
	}
}

// find gives the group of a key, if there is one.
func (t *tally) find(k key) (int, bool) {
	if t.single(k) {
		if v := int(k.visit | k.event); v < len(t.direct) && t.direct[v] != 0 {
			return int(t.direct[v] - 1), true
		}
		return 0, false
	}
	if len(t.index) == 0 {
		return 0, false
	}
	mask := uint64(len(t.index) - 1)
	for i := k.hash() & mask; t.index[i] != 0; i = (i + 1) & mask {
		if g := t.index[i] - 1; t.keys[g] == k {
			return int(g), true
		}
	}
	return 0, false
}

// single tells whether the key is one value.
func (t *tally) single(k key) bool {
	return k.bucket < 0 && t.visits.n+t.events.n == 1
}

// reset makes the tally empty. It costs what was in it.
func (t *tally) reset() {
	for _, k := range t.keys {
		if t.single(k) {
			t.direct[k.visit|k.event] = 0
		}
	}
	clear(t.index)
	if len(t.index) > 1<<12 {
		t.index = nil // made for a day larger than most
	}
	t.keys, t.counts, t.revenue, t.full = t.keys[:0], t.counts[:0], nil, false
	t.visits, t.events = newTuples(t.visits.n), newTuples(t.events.n)
}

func (t *tally) room() bool {
	t.full = t.full || len(t.keys) >= t.max
	return !t.full
}

func (t *tally) add(k key) uint32 {
	t.keys = append(t.keys, k)
	n := len(t.counts)
	if n+t.stride > cap(t.counts) {
		t.reserve(max(64, len(t.keys)))
	}
	t.counts = t.counts[:n+t.stride]
	clear(t.counts[n:])
	return uint32(len(t.keys) - 1)
}

// reserve makes room for n groups more.
func (t *tally) reserve(n int) {
	if need := len(t.counts) + n*t.stride; need > cap(t.counts) {
		counts := make([]uint64, len(t.counts), need)
		copy(counts, t.counts)
		t.counts = counts
		keys := make([]key, len(t.keys), len(t.keys)+n)
		copy(keys, t.keys)
		t.keys = keys
	}
}

func (t *tally) grow() {
	t.index = make([]uint32, max(64, 2*len(t.index)))
	mask := uint64(len(t.index) - 1)
	for g, k := range t.keys {
		i := k.hash() & mask
		for t.index[i] != 0 {
			i = (i + 1) & mask
		}
		t.index[i] = uint32(g) + 1
	}
}

func (t *tally) inc(g uint32, counter int, by uint64) {
	t.counts[int(g)*t.stride+t.place[counter]] += by
}

func (t *tally) get(g, counter int) uint64 {
	if p := t.place[counter]; p < t.stride-1 {
		return t.counts[g*t.stride+p]
	}
	return 0
}

func (t *tally) pay(g uint32, currency string, amount, count int64) {
	if t.revenue == nil {
		t.revenue = map[uint32]map[string]money{}
	}
	if t.revenue[g] == nil {
		t.revenue[g] = map[string]money{}
	}
	m := t.revenue[g][currency]
	m.sum += amount
	m.count += count
	t.revenue[g][currency] = m
}

// merge adds what o counted, whose groups have buckets of their own numbering:
// bucket translates. moved gives for each group of o the one in t.
func (t *tally) merge(o *tally, bucket func(int32) int32) (moved []uint32) {
	moved = make([]uint32, len(o.keys))
	if len(t.keys) == 0 {
		t.reserve(len(o.keys))
	}
	for i, k := range o.keys {
		if o.visits.n > 1 {
			k.visit = t.visits.of(o.visits.list[k.visit])
		}
		if o.events.n > 1 {
			k.event = t.events.of(o.events.list[k.event])
		}
		if bucket != nil {
			k.bucket = bucket(k.bucket)
		}
		g := t.group(k)
		moved[i] = g
		to, from := t.counts[int(g)*t.stride:][:t.stride], o.counts[i*o.stride:][:o.stride]
		for j := range to {
			to[j] += from[j]
		}
	}
	for i, m := range o.revenue {
		for currency, x := range m {
			t.pay(moved[i], currency, x.sum, x.count)
		}
	}
	return moved
}

// bytes estimates the memory of a tally that is kept.
func (t *tally) bytes() int {
	return 256 + 12*len(t.keys) + 8*len(t.counts) + 48*t.visits.size() + 48*t.events.size() + 128*len(t.revenue)
}

func (t *tuples) size() int { return len(t.list) }

// frozen gives a copy to be kept: without what is needed for adding only. Groups
// of one value each are in the order of the values, because adding up several
// such copies then goes through memory from one end to the other.
func (t *tally) frozen() *tally {
	c := *t
	c.index, c.direct = nil, nil
	c.keys, c.counts = make([]key, 0, len(t.keys)), make([]uint64, 0, len(t.counts))
	if len(t.keys) > 0 && t.single(t.keys[0]) && t.revenue == nil {
		for _, g := range t.direct {
			if g != 0 {
				c.keys = append(c.keys, t.keys[g-1])
				c.counts = append(c.counts, t.counts[int(g-1)*t.stride:int(g)*t.stride]...)
			}
		}
	} else {
		c.keys, c.counts = append(c.keys, t.keys...), append(c.counts, t.counts...)
	}
	c.visits, c.events = &tuples{n: t.visits.n, list: t.visits.list}, &tuples{n: t.events.n, list: t.events.list}
	return &c
}
