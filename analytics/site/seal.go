package site

import (
	"sort"

	"footfall/analytics"
	"footfall/analytics/column"
)

// sealEvents turns the live rows of a day into an immutable block.
func (m *Machine) sealEvents(d *day) {
	d.tail.Dict = m.dict.texts
	e := d.tail.Compact()
	d.tail = nil
	from, to := e.Time(0), e.Time(0)
	for i := 1; i < e.Len(); i++ {
		from, to = min(from, e.Time(i)), max(to, e.Time(i))
	}
	d.blocks = append(d.blocks, block{chunk: d.chunk, rows: uint32(e.Len()), from: from, to: to, events: e})
	d.chunk++
	if m.dict.bytes > max(dictBytesMax, 2*m.dict.kept) { // not at every seal where live rows alone have so many
		m.rebuildDict()
	}
}

// over tells whether a day has ended so long ago that none of its visits can
// still be running.
func (m *Machine) over(n int32) bool {
	return int64(n+1)*column.DayMS+analytics.VisitGapMS < m.now
}

// sealVisits moves visits that no live event can join any more into blocks:
// those of days that are over, and those of running days once there are enough.
func (m *Machine) sealVisits() {
	closed := make(map[int32][]int32) // day -> slots
	for i := range m.visits {
		if v := &m.visits[i]; v.last+analytics.VisitGapMS <= m.now {
			closed[v.id.Day()] = append(closed[v.id.Day()], int32(i))
		}
	}
	gone := make([]bool, len(m.visits))
	moved := 0
	for _, d := range m.days {
		n, slots := d.n, closed[d.n]
		if !m.over(n) && len(slots) < visitsSealMin {
			continue
		}
		sort.Slice(slots, func(i, j int) bool { return m.visits[slots[i]].id < m.visits[slots[j]].id })
		for len(slots) > 0 {
			part := slots[:min(len(slots), VisitsBlockRows)]
			slots = slots[len(part):]
			c := column.NewVisits(n, len(part), m.dict.texts)
			b := block{chunk: d.chunk, rows: uint32(len(part)), from: m.visits[part[0]].start}
			for _, s := range part {
				v := &m.visits[s]
				b.from, b.to = min(b.from, v.start), max(b.to, v.last)
				v.appendTo(c)
				gone[s] = true
			}
			b.visits = c.Compact()
			m.sealedLast = max(m.sealedLast, b.to)
			d.vblocks = append(d.vblocks, b)
			d.chunk++
			moved += len(part)
		}
	}
	if moved > 0 {
		m.compactVisits(gone)
	}
	m.sealAt = max(visitsSealMin, 2*len(m.visits))
}

// compactVisits closes the gaps that sealing left and indexes anew.
func (m *Machine) compactVisits(gone []bool) {
	kept := make([]visit, 0, len(m.visits)-countTrue(gone)+64)
	for i := range m.visits {
		if !gone[i] {
			kept = append(kept, m.visits[i])
		}
	}
	m.visits, m.clean, m.view = nil, nil, nil
	m.index = make(map[uint64]int32, len(kept))
	m.visits = kept[:0]
	for _, v := range kept {
		m.addVisit(v)
	}
}

func countTrue(b []bool) (n int) {
	for _, x := range b {
		if x {
			n++
		}
	}
	return n
}

// rebuildDict drops texts that nothing live uses. Shared columns stay as they
// are: new ones are made.
func (m *Machine) rebuildDict() {
	old := m.dict.texts
	m.dict = dict{}
	numbers := make([]uint32, len(old)) // new ones by old ones, 0 while not given
	t := func(n uint32) uint32 {
		if n == 0 {
			return 0
		}
		if numbers[n] == 0 {
			numbers[n] = m.dict.idOf(old[n])
		}
		return numbers[n]
	}
	for i := range m.visits {
		v := &m.visits[i]
		v.entry, v.exit, v.entryHost, v.exitHost = t(v.entry), t(v.exit), t(v.entryHost), t(v.exitHost)
		v.agent, v.place, v.acquisition = t(v.agent), t(v.place), t(v.acquisition)
		v.language, v.screen = t(v.language), t(v.screen)
	}
	for _, d := range m.days {
		if d.tail == nil {
			continue
		}
		e := *d.tail
		for _, col := range []*[]uint32{&e.Name, &e.Page, &e.Host, &e.Props, &e.Revenue} {
			fresh := make([]uint32, len(*col), cap(*col))
			for i, n := range *col {
				fresh[i] = t(n)
			}
			*col = fresh
		}
		d.tail = &e
	}
	m.dict.kept = m.dict.bytes
	m.clean, m.view = nil, nil
}
