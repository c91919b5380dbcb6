package site

import (
	"fmt"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
)

// removal is a command that takes visits away, with the sealed rows that it has
// to look at. Rows that it leaves alone are not held: their place says nil.
type removal struct {
	command entry.Command
	visitor uint64
	day     int32
	gone    goneVisits // of Erase, as far as known
	visits  map[Ref]*column.Visits
	events  map[Ref]*column.Events
	looked  map[Ref]bool // segments in which the visitor is not
}

// goneVisits are visits to be removed, with the span in which their events lie.
type goneVisits map[column.VisitID]span

type span struct{ from, to int64 } // Unix ms, both included

func (g goneVisits) touches(from, to int64) bool {
	for _, s := range g {
		if s.from <= to && from <= s.to {
			return true
		}
	}
	return false
}

// needOf gives the records that the command still has to see, in stages: what
// the later ones are depends on what was in the earlier ones.
func (m *Machine) needOf(c *entry.Item) []Ref {
	if c.Command != entry.Erase && c.Command != entry.Retain {
		m.removal = nil
		return nil
	}
	if r := m.removal; r == nil || r.command != c.Command || r.visitor != c.Visitor || r.day != c.Day {
		m.removal = &removal{command: c.Command, visitor: c.Visitor, day: c.Day,
			visits: map[Ref]*column.Visits{}, events: map[Ref]*column.Events{}, looked: map[Ref]bool{}}
	}
	if c.Command == entry.Retain {
		return m.needOfRetain(c.Day)
	}
	return m.needOfErase(c.Day)
}

func (m *Machine) needOfErase(day int32) []Ref {
	r := m.removal
	var need []Ref
	if d := m.findDay(day); d != nil {
		need = r.missingVisits(need, d)
		for i := range d.sealed {
			if g := &d.sealed[i]; g.joinable() && !r.looked[g.ref(d.n)] {
				need = append(need, g.ref(d.n))
			}
		}
	}
	if len(need) > 0 {
		return need
	}
	r.gone = m.goneOf(r)
	for from, to := range m.alias {
		if _, ok := r.gone[to]; ok {
			if d := m.findDay(from.Day()); d != nil {
				need = r.missingVisits(need, d)
			}
		}
	}
	if len(need) > 0 {
		return unique(need)
	}
	for _, d := range m.days {
		for i := range d.blocks {
			if b := &d.blocks[i]; r.gone.touches(b.from, b.to) {
				need = r.missingEvents(need, d, b)
			}
		}
	}
	return need
}

// missingVisits adds the day's blocks of visits that are on disk only and were
// not looked at.
func (r *removal) missingVisits(need []Ref, d *day) []Ref {
	for i := range d.vblocks {
		b := &d.vblocks[i]
		ref := Ref{KindVisits, uint32(d.n), b.chunk}
		if _, ok := r.visits[ref]; !ok && b.visits == nil {
			need = append(need, ref)
		}
	}
	return need
}

func (r *removal) missingEvents(need []Ref, d *day, b *block) []Ref {
	ref := Ref{KindEvents, uint32(d.n), b.chunk}
	if _, ok := r.events[ref]; !ok && b.events == nil {
		need = append(need, ref)
	}
	return need
}

// provide looks at a record and keeps its rows if some of them will go.
func (r *removal) provide(m *Machine, ref Ref, value []byte) error {
	if ref.Kind == KindSealed {
		return m.lookSealed(ref, value)
	}
	if ref.Kind == KindVisits {
		v, err := column.DecodeVisits(value)
		if err != nil {
			return err
		}
		r.visits[ref] = nil
		for i := range v.Number {
			if r.command == entry.Retain && m.hollow(v, i, r.day) || r.command == entry.Erase && v.Visitor[i] == r.visitor {
				r.visits[ref] = v
				break
			}
		}
		return nil
	}
	e, err := column.DecodeEvents(value)
	if err != nil {
		return err
	}
	r.events[ref] = nil
	for i := range e.At {
		// Of a day that goes whole, what stays is what counts.
		if r.takes(m, e.VisitID(i)) != (r.command == entry.Retain && e.Day < r.day) {
			r.events[ref] = e
			break
		}
	}
	return nil
}

// takes tells whether an event of the visit goes.
func (r *removal) takes(m *Machine, id column.VisitID) bool {
	if r.command == entry.Retain {
		return m.resolve(id).Day() < r.day
	}
	_, ok := r.gone[m.resolve(id)]
	return ok
}

// resolve gives the visit that took over id, or id.
func (m *Machine) resolve(id column.VisitID) column.VisitID {
	if to, ok := m.alias[id]; ok {
		return to
	}
	return id
}

// hollow tells whether row i is a visit that was merged into one that a Retain
// of the day takes, while the row itself is filed later.
func (m *Machine) hollow(v *column.Visits, i int, day int32) bool {
	if v.Flags[i]&column.Dead == 0 || v.Day < day {
		return false
	}
	return m.resolve(column.MakeVisitID(v.Day, v.Number[i])).Day() < day
}

// goneOf gives the visits of the visitor that are filed under the day, with
// those that were merged into them.
func (m *Machine) goneOf(r *removal) goneVisits {
	gone := goneVisits{}
	take := func(id column.VisitID, visitor uint64, start, last int64) {
		if visitor == r.visitor && m.resolve(id).Day() == r.day {
			// Engagement can come before the first event, see visit.near.
			gone[id] = span{start - analytics.VisitGapMS, last}
		}
	}
	for i := range m.visits {
		v := &m.visits[i]
		take(v.id, v.visitor, v.start, v.last)
	}
	for _, d := range m.days {
		for i := range d.vblocks {
			v := d.vblocks[i].visits
			if v == nil {
				v = r.visits[Ref{KindVisits, uint32(d.n), d.vblocks[i].chunk}]
			}
			if v == nil {
				continue
			}
			for j, n := range v.Number {
				take(column.MakeVisitID(d.n, n), v.Visitor[j], v.Start[j], v.Last[j])
			}
		}
	}
	return gone
}

// erase removes the visits of a visitor that are filed under a day. The ids of
// their events stay known, so that none comes back.
func (m *Machine) erase(it *entry.Item) (visits, events uint64) {
	m.prepared(it)
	r := m.removal
	r.gone = m.goneOf(r)
	if len(r.gone) == 0 {
		return 0, 0
	}
	m.removals++
	lost := make([]bool, len(m.visits))
	for i := range m.visits {
		v := &m.visits[i]
		if _, lost[i] = r.gone[v.id]; lost[i] {
			m.markVisit(v)
			if v.flags&column.Dead == 0 {
				visits++
			}
		}
	}
	for _, d := range m.days {
		m.rewriteVisits(d, func(v *column.Visits, i int) bool {
			_, ok := r.gone[column.MakeVisitID(v.Day, v.Number[i])]
			if !ok {
				return true
			}
			if v.Flags[i]&column.Dead == 0 {
				visits++
			}
			m.changes(d)
			m.mark(column.DayOf(v.Start[i]))
			return false
		})
		events += m.rewriteEvents(d, func(b *block) bool { return r.gone.touches(b.from, b.to) })
	}
	for from, to := range m.alias {
		if _, ok := r.gone[to]; ok {
			delete(m.alias, from)
		}
	}
	m.forget(lost)
	return visits, events
}

// prepared panics when records that the command needs were not provided: the
// state would not be what the log says.
func (m *Machine) prepared(it *entry.Item) {
	if need := m.needOf(it); len(need) > 0 {
		panic(fmt.Sprintf("site %d: command %d at index %d lacks record %v", m.id, it.Command, m.applied, need[0]))
	}
}

// forget drops live visits and the texts that only they used, and finds the
// earliest event anew.
func (m *Machine) forget(lost []bool) {
	m.compactVisits(lost)
	m.rebuildDict()
	m.first = 0
	earlier := func(t int64) {
		if m.first == 0 || t < m.first {
			m.first = t
		}
	}
	for i := range m.visits {
		if v := &m.visits[i]; v.flags&column.Dead == 0 {
			earlier(v.start)
		}
	}
	for _, d := range m.days {
		for i := range d.vblocks {
			earlier(d.vblocks[i].from)
		}
		for i := range d.sealed {
			earlier(d.sealed[i].start)
		}
	}
}

// rewriteVisits makes the day's sealed blocks of visits anew, where keep does
// not hold for all rows. Blocks on disk are those that were provided.
func (m *Machine) rewriteVisits(d *day, keep func(*column.Visits, int) bool) {
	blocks := d.vblocks[:0:0]
	for _, b := range d.vblocks {
		ref := Ref{KindVisits, uint32(d.n), b.chunk}
		v := b.visits
		if v == nil {
			v = m.removal.visits[ref]
		}
		if v == nil {
			blocks = append(blocks, b)
			continue
		}
		rows := rowsWhere(v.Len(), func(i int) bool { return keep(v, i) })
		if len(rows) == v.Len() {
			blocks = append(blocks, b)
			continue
		}
		m.discard(ref, &b)
		if len(rows) > 0 {
			blocks = append(blocks, visitsBlock(d.chunk, pickVisits(v, rows).Compact()))
			d.chunk++
		}
	}
	d.vblocks = blocks
}

// rewriteEvents makes the day's events anew without those that go, and counts
// those but for engagements. Blocks for which touched does not hold stay as they
// are.
func (m *Machine) rewriteEvents(d *day, touched func(*block) bool) (events uint64) {
	keep := func(e *column.Events) (rows []int32, all bool) {
		rows = rowsWhere(e.Len(), func(i int) bool {
			if !m.removal.takes(m, e.VisitID(i)) {
				return true
			}
			if analytics.Kind(e.Kind[i]&column.KindMask) != analytics.Engagement {
				events++
			}
			return false
		})
		if len(rows) < e.Len() {
			d.events -= uint32(e.Len() - len(rows))
			m.changes(d)
		}
		return rows, len(rows) == e.Len()
	}
	blocks := d.blocks[:0:0]
	for _, b := range d.blocks {
		ref := Ref{KindEvents, uint32(d.n), b.chunk}
		e := b.events
		if e == nil {
			e = m.removal.events[ref]
		}
		if e == nil || !touched(&b) {
			blocks = append(blocks, b)
			continue
		}
		rows, all := keep(e)
		if all {
			blocks = append(blocks, b)
			continue
		}
		m.discard(ref, &b)
		if len(rows) > 0 {
			blocks = append(blocks, eventsBlock(d.chunk, pickEvents(e, rows).Compact()))
			d.chunk++
		}
	}
	d.blocks = blocks
	if d.tail != nil {
		switch rows, all := keep(d.tail); {
		case all:
		case len(rows) == 0:
			d.tail = nil
		default:
			d.tail = pickEvents(d.tail, rows)
		}
	}
	return events
}

// discard lets a block's record be deleted at the next flush.
func (m *Machine) discard(r Ref, b *block) {
	if b.written {
		m.obsolete = append(m.obsolete, r)
	}
}
