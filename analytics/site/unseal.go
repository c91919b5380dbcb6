package site

import (
	"slices"

	"footfall/analytics/column"
)

// segment is visits that are over, with all of their events: rows of theirs are
// nowhere else. sealed is nil once they are on disk only.
type segment struct {
	chunk          uint32
	visits, events uint32
	start, last    int64 // earliest start, latest activity, Unix ms
	flags          uint8
	written        bool
	sealed         *column.Sealed
}

// Bits of segment.flags.
const (
	segmentNumbered = 1 << 0 // visitors without a name are known by number only
	segmentNamed    = 1 << 1 // has visits of named visitors
)

func (g *segment) ref(day int32) Ref { return Ref{KindSealed, uint32(day), g.chunk} }

// joinable tells whether an event can still be of one of the visitors.
func (g *segment) joinable() bool { return g.flags != segmentNumbered }

// makeSegment describes s.
func makeSegment(chunk uint32, s *column.Sealed, numbered bool) segment {
	g := segment{chunk: chunk, visits: uint32(s.Len()), events: uint32(len(s.At)), sealed: s}
	if numbered {
		g.flags |= segmentNumbered
	}
	for i := range s.Number {
		x := s.Sum(i)
		if i == 0 || x.Start < g.start {
			g.start = x.Start
		}
		if i == 0 || x.Last > g.last {
			g.last = x.Last
		}
		if s.Named[i] != 0 {
			g.flags |= segmentNamed
		}
	}
	return g
}

// provideSealed makes the visits of a segment live again.
func (m *Machine) provideSealed(d *day, chunk uint32, value []byte) error {
	for i := range d.sealed {
		g := &d.sealed[i]
		if g.chunk != chunk {
			continue
		}
		s := g.sealed
		if s == nil {
			var err error
			if s, err = column.DecodeSealed(value, m.packer); err != nil {
				return err
			}
		}
		return m.unseal(d, i, s)
	}
	return nil
}

// lookSealed looks whether the visitor to be erased is in a segment, and makes it
// live again if so.
func (m *Machine) lookSealed(ref Ref, value []byte) error {
	d := m.findDay(int32(ref.Period))
	if d == nil {
		return errDamaged
	}
	i := slices.IndexFunc(d.sealed, func(g segment) bool { return g.chunk == ref.Chunk })
	if i < 0 {
		return nil
	}
	s := d.sealed[i].sealed
	var visitors []uint64
	if s != nil {
		visitors = s.Visitor
	} else {
		var err error
		if _, _, visitors, err = column.SealedVisitors(value, m.packer); err != nil {
			return err
		}
	}
	if slices.Contains(visitors, m.removal.visitor) {
		return m.provideSealed(d, ref.Chunk, value)
	}
	m.removal.looked[ref] = true
	return nil
}

// unseal takes segment i of the day apart: its visits are live again and its
// events rows of their days.
func (m *Machine) unseal(d *day, i int, s *column.Sealed) error {
	if s.Day != d.n {
		return errDamaged
	}
	rows, err := m.rowIDs(s)
	if err != nil {
		return err
	}
	if d.sealed[i].written {
		m.obsolete = append(m.obsolete, d.sealed[i].ref(d.n))
	}
	d.sealed = append(d.sealed[:i:i], d.sealed[i+1:]...)
	texts := make([]uint32, len(s.Dict))
	for k, t := range s.Dict {
		texts[k] = m.dict.idOf(t)
	}
	full := map[int32]*day{}
	d.moved++
	for v := range s.Number {
		x := sealedVisit(s, v)
		for _, t := range []*uint32{&x.agent, &x.place, &x.acquisition, &x.language, &x.screen, &x.entry, &x.exit, &x.entryHost, &x.exitHost} {
			*t = texts[*t]
		}
		m.addVisit(x)
		for e := s.First[v]; e < s.First[v+1]; e++ {
			n := column.DayOf(s.At[e])
			to := m.openDay(n)
			m.putBack(to, s, int(e), rows[e], texts)
			full[n] = to
		}
	}
	for _, to := range m.days { // in order
		if full[to.n] == nil {
			continue
		}
		if to != d {
			to.moved++
		}
		if to.tail.Len() >= EventsBlockRows {
			m.sealEvents(to)
		}
	}
	m.dirty, m.view = true, nil
	return nil
}

// rowIDs gives for each event the id of a visit by which its row can name the
// visit: its own, or that of one merged into it that is near enough.
func (m *Machine) rowIDs(s *column.Sealed) ([]column.VisitID, error) {
	ids := make([]column.VisitID, len(s.At))
	for v, number := range s.Number {
		own := column.MakeVisitID(s.Day, number)
		for e := s.First[v]; e < s.First[v+1]; e++ {
			n := column.DayOf(s.At[e])
			if ids[e] = own; column.Reaches(n, own) {
				continue
			}
			found := false
			for from, to := range m.alias {
				if to == own && column.Reaches(n, from) && (!found || from < ids[e]) {
					ids[e], found = from, true
				}
			}
			if !found {
				return nil, errDamaged
			}
		}
	}
	return ids, nil
}

// sealedVisit makes visit i of a segment what it was, with the segment's texts.
func sealedVisit(s *column.Sealed, i int) visit {
	x := s.Sum(i)
	v := visit{
		id: column.MakeVisitID(s.Day, s.Number[i]), visitor: s.Visitor[i], start: x.Start, last: x.Last, lastEvent: x.LastEvent,
		views: x.Views, customs: x.Customs, flags: x.Flags,
		agent: s.Agent[i], place: s.Place[i], acquisition: s.Acquisition[i], language: s.Language[i], screen: s.Screen[i], older: -1,
	}
	if s.Named[i] != 0 {
		v.flags |= column.Named
	}
	if x.Entry >= 0 {
		v.entryAt, v.entry, v.entryHost = s.At[x.Entry], s.Page[x.Entry], s.Host[x.Entry]
		v.exitAt, v.exit, v.exitHost = s.At[x.Exit], s.Page[x.Exit], s.Host[x.Exit]
	}
	return v
}

// putBack makes event e of a segment a row of its day again.
func (m *Machine) putBack(d *day, s *column.Sealed, e int, id column.VisitID, texts []uint32) {
	if d.tail == nil {
		d.tail = &column.Events{Day: d.n}
	}
	t, r := d.tail, s.RareOf(e)
	t.At = append(t.At, uint32(s.At[e]-int64(d.n)*column.DayMS))
	t.Visit, t.Back = append(t.Visit, id.Number()), append(t.Back, column.BackTo(d.n, id))
	t.Kind = append(t.Kind, s.Kind[e])
	t.Name, t.Page, t.Host = append(t.Name, texts[r.Name]), append(t.Page, texts[s.Page[e]]), append(t.Host, texts[s.Host[e]])
	t.Props, t.Revenue = append(t.Props, texts[r.Props]), append(t.Revenue, texts[r.Revenue])
	t.Scroll, t.Engaged = append(t.Scroll, r.Scroll), append(t.Engaged, r.Engaged)
}

// earliestSealed is the earliest start of a sealed visit that is filed under a
// day or later, Unix ms.
func (m *Machine) earliestSealed(day int32) int64 {
	first := int64(1 << 62)
	for _, d := range m.days {
		if d.n < day {
			continue
		}
		for i := range d.sealed {
			first = min(first, d.sealed[i].start)
		}
	}
	return first
}

// shedSealed drops the segments of a day that goes; their visits take events of
// later days along.
func (m *Machine) shedSealed(d *day) {
	for i := range d.sealed {
		g := &d.sealed[i]
		if g.written {
			m.obsolete = append(m.obsolete, g.ref(d.n))
		}
		for _, later := range m.days {
			if later.n > d.n && later.n <= column.DayOf(g.last) {
				m.changes(later)
			}
		}
	}
	d.sealed = nil
}
