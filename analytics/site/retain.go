package site

import (
	"math"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
)

// What a Retain takes is decided by visit, so that sums over events and over
// visits still agree: a visit that is filed under a day that goes takes its
// events along, those after midnight too; one that is filed under a day that
// stays keeps all of them, those before midnight too.

// reach gives the span of time around the start of a day in which events and
// visits lie on different sides of it: from the earliest activity of a visit
// that stays to the latest of one that goes.
func (m *Machine) reach(day int32) (from, to int64) {
	from, to = math.MaxInt64, math.MinInt64
	note := func(n int32, start, last int64) {
		if n < day {
			to = max(to, last)
		} else {
			from = min(from, start-analytics.VisitGapMS)
		}
	}
	for i := range m.visits {
		v := &m.visits[i]
		note(v.id.Day(), v.start, v.last)
	}
	for _, d := range m.days {
		for i := range d.vblocks {
			note(d.n, d.vblocks[i].from, d.vblocks[i].to)
		}
	}
	return from, to
}

func (m *Machine) needOfRetain(day int32) (need []Ref) {
	if day <= m.kept {
		return nil
	}
	r := m.removal
	from, to := m.reach(day)
	for _, d := range m.days {
		for i := range d.blocks {
			if b := &d.blocks[i]; d.n < day && b.to >= from || d.n >= day && b.from <= to {
				need = r.missingEvents(need, d, b)
			}
		}
	}
	for id, keeper := range m.alias {
		if id.Day() >= day && keeper.Day() < day {
			if d := m.findDay(id.Day()); d != nil {
				need = r.missingVisits(need, d)
			}
		}
	}
	return unique(need)
}

// retain closes the days before it.Day and removes what is filed under them,
// the ids of events with given times too: such events are refused from now on
// because they are too old. Ids of live events stay for their time.
func (m *Machine) retain(it *entry.Item) analytics.Reason {
	if it.Day <= m.kept {
		return analytics.DropDuplicate
	}
	m.prepared(it)
	from, to := m.reach(it.Day)
	m.kept = it.Day
	m.removals++
	lost := make([]bool, len(m.visits))
	for i := range m.visits {
		lost[i] = m.resolve(m.visits[i].id).Day() < it.Day || m.visits[i].id.Day() < it.Day
	}
	days := m.days[:0:0]
	early := m.earliestSealed(it.Day)
	for _, d := range m.days {
		if d.n >= it.Day {
			m.rewriteVisits(d, func(v *column.Visits, i int) bool { return !m.hollow(v, i, it.Day) })
			m.rewriteEvents(d, func(b *block) bool { return b.from <= to })
			days = append(days, d)
			continue
		}
		m.removedAt, m.removedLast = m.applied, max(m.removedLast, d.last, int64(d.n+1)*column.DayMS-1)
		if m.shed(d, from) || early < int64(d.n+1)*column.DayMS {
			days = append(days, d)
		}
	}
	m.days = days
	for id, keeper := range m.alias {
		if keeper.Day() < it.Day {
			delete(m.alias, id)
		}
	}
	m.forget(lost)
	return analytics.Counted
}

// shed takes everything from a day but the events of visits that stay, none of
// which is earlier than from, and tells whether there are any.
func (m *Machine) shed(d *day, from int64) bool {
	blocks := d.blocks
	d.blocks = nil
	for _, b := range blocks {
		ref := Ref{KindEvents, uint32(d.n), b.chunk}
		e := b.events
		if e == nil {
			e = m.removal.events[ref]
		}
		if e != nil && b.to >= from {
			d.blocks = append(d.blocks, b)
		} else {
			m.discard(ref, &b)
		}
	}
	m.rewriteEvents(d, func(*block) bool { return true })
	for i := range d.vblocks {
		m.discard(Ref{KindVisits, uint32(d.n), d.vblocks[i].chunk}, &d.vblocks[i])
	}
	for c := range d.idChunks {
		m.obsolete = append(m.obsolete, Ref{KindIDs, uint32(d.n), c})
	}
	d.vblocks, d.ids, d.fresh, d.idChunks, d.idsLoaded = nil, idSet{}, nil, 0, true
	m.shedSealed(d)
	m.changes(d)
	return len(d.blocks) > 0 || d.tail != nil
}
