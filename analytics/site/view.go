package site

import (
	"footfall/analytics"
	"footfall/analytics/column"
)

// View is an immutable picture of a site as of one log index. Safe for
// concurrent use, for as long as wanted.
type View struct {
	Site  analytics.SiteID
	Index uint64 // log index of the last change contained
	Now   int64  // log time, Unix ms
	First int64  // time of the earliest event, Unix ms; 0 if none
	Days  []ViewDay
	Alias map[column.VisitID]column.VisitID // merged visits; nil mostly
	Kept  int32                             // earlier days are closed by the retention setting; 0: none
	Seals []Seal                            // closed months in order, without holes
	// Removals counts the commands that took rows away. Between two views with the
	// same number, rows of events were only added and visits only grew or merged.
	Removals uint64

	removedAt   uint64 // index of the last removal of days
	removedLast int64  // latest activity of anything removed with its day, Unix ms
}

// ViewDay is one UTC day.
type ViewDay struct {
	Day    int32
	Visits uint32 // visit numbers of the day are below
	Start  int64  // no visit filed under the day has an earlier activity, engagement included, Unix ms
	Last   int64  // nor a later one
	// Changed is the log index of the last entry that changed something of the
	// day: an event on it, or a visit that is filed under it or starts on it, with
	// whatever events. Of two views with the same Changed, those are the same.
	Changed uint64
	// Moved changes whenever rows of the day, or visits filed under it, went from
	// blocks into sealed segments or back. What they say stays the same.
	Moved  uint64
	Events []ViewEvents
	Filed  []ViewVisits
	Sealed []ViewSealed
}

// Version gives a number for what a question about [from, to), Unix ms, can see:
// events in it, and visits that are active in it, whole. Two views of a site with
// the same number give the same answer. It only grows.
func (v *View) Version(from, to int64) (version uint64) {
	if from <= v.removedLast {
		version = v.removedAt
	}
	for i := range v.Days {
		d := &v.Days[i]
		if d.Start < to && max(d.Last, int64(d.Day+1)*column.DayMS-1) >= from {
			version = max(version, d.Changed)
		}
	}
	return version
}

// DayVersions gives Version of each of Days, whole.
func (v *View) DayVersions() []uint64 {
	// How many days before and after a day reach into it, at most.
	back, ahead := int32(0), int32(0)
	for i := range v.Days {
		d := &v.Days[i]
		back = max(back, column.DayOf(d.Last)-d.Day)
		ahead = max(ahead, d.Day-column.DayOf(d.Start))
	}
	out := make([]uint64, len(v.Days))
	for i := range v.Days {
		from := int64(v.Days[i].Day) * column.DayMS
		to := from + column.DayMS
		if from <= v.removedLast {
			out[i] = v.removedAt
		}
		for j := i; j >= 0 && v.Days[j].Day >= v.Days[i].Day-back; j-- {
			if d := &v.Days[j]; d.Start < to && max(d.Last, int64(d.Day+1)*column.DayMS-1) >= from {
				out[i] = max(out[i], d.Changed)
			}
		}
		for j := i + 1; j < len(v.Days) && v.Days[j].Day <= v.Days[i].Day+ahead; j++ {
			if d := &v.Days[j]; d.Start < to {
				out[i] = max(out[i], d.Changed)
			}
		}
	}
	return out
}

// ViewEvents are events between From and To, Unix ms, both included: at hand,
// or in the record named by Ref.
type ViewEvents struct {
	Rows     int
	From, To int64
	Ref      Ref
	Events   *column.Events // nil: load Ref
}

// ViewVisits are visits, at hand or in the record named by Ref. Start is the
// earliest start and Last the latest activity, Unix ms.
type ViewVisits struct {
	Rows        int
	Start, Last int64
	Ref         Ref
	Visits      *column.Visits // nil: load Ref
}

// ViewSealed are visits filed under the day with all of their events, whatever
// day they fall on, at hand or in the record named by Ref; no row of theirs is
// anywhere else. Start is the earliest start and Last the latest activity, Unix
// ms.
type ViewSealed struct {
	Visits, Events int
	Start, Last    int64
	Ref            Ref
	Sealed         *column.Sealed // nil: load Ref
}

const chunkRows = 2048

// visitChunk is what views share of chunkRows live visits, by day.
type visitChunk struct {
	valid bool
	segs  []*column.Visits
}

// touch says that the visit in slot changed.
func (m *Machine) touch(slot int32) {
	c := int(slot) / chunkRows
	if c < len(m.clean) {
		m.clean[c].valid = false
	}
}

// View gives the current picture. It costs what changed since the one before.
func (m *Machine) View() *View {
	if m.view != nil {
		return m.view
	}
	v := &View{Site: m.id, Index: m.applied, Now: m.now, First: m.first, Days: make([]ViewDay, len(m.days)),
		Kept: m.kept, Seals: m.seals[:len(m.seals):len(m.seals)], Removals: m.removals, removedAt: m.removedAt, removedLast: m.removedLast}
	at := make(map[int32]*ViewDay, len(m.days))
	for i, d := range m.days {
		vd := &v.Days[i]
		*vd = ViewDay{Day: d.n, Visits: d.visits, Start: d.start, Last: d.last, Changed: d.changed, Moved: d.moved}
		at[d.n] = vd
		for j := range d.blocks {
			b := &d.blocks[j]
			vd.Events = append(vd.Events, ViewEvents{Rows: int(b.rows), From: b.from, To: b.to,
				Ref: Ref{KindEvents, uint32(d.n), b.chunk}, Events: b.events})
		}
		if d.tail != nil {
			e := *d.tail
			e.Dict = m.dict.texts
			vd.Events = append(vd.Events, ViewEvents{Rows: e.Len(), From: int64(d.n) * column.DayMS,
				To: int64(d.n+1)*column.DayMS - 1, Events: &e})
		}
		for j := range d.vblocks {
			b := &d.vblocks[j]
			vd.Filed = append(vd.Filed, ViewVisits{Rows: int(b.rows), Start: b.from, Last: b.to,
				Ref: Ref{KindVisits, uint32(d.n), b.chunk}, Visits: b.visits})
		}
	}
	for i, d := range m.days {
		for j := range d.sealed {
			g := &d.sealed[j]
			v.Days[i].Sealed = append(v.Days[i].Sealed, ViewSealed{Visits: int(g.visits), Events: int(g.events), Start: g.start, Last: g.last,
				Ref: g.ref(d.n), Sealed: g.sealed})
		}
	}
	for _, seg := range m.liveVisits() {
		vd := at[seg.Day]
		first, last := seg.Start[0], seg.Last[0]
		for i := range seg.Start {
			first, last = min(first, seg.Start[i]), max(last, seg.Last[i])
		}
		vd.Filed = append(vd.Filed, ViewVisits{Rows: seg.Len(), Start: first, Last: last, Visits: seg})
	}
	if len(m.alias) > 0 {
		v.Alias = make(map[column.VisitID]column.VisitID, len(m.alias))
		for k, x := range m.alias {
			v.Alias[k] = x
		}
	}
	m.view = v
	return v
}

// liveVisits gives the live visits as columns, making anew only the chunks that
// changed.
func (m *Machine) liveVisits() []*column.Visits {
	n := (len(m.visits) + chunkRows - 1) / chunkRows
	for len(m.clean) < n {
		m.clean = append(m.clean, visitChunk{})
	}
	var all []*column.Visits
	for c := 0; c < n; c++ {
		ch := &m.clean[c]
		if !ch.valid {
			ch.segs = ch.segs[:0:0]
			end := min((c+1)*chunkRows, len(m.visits))
			for i := c * chunkRows; i < end; i++ {
				v := &m.visits[i]
				v.appendTo(segOf(&ch.segs, v.id.Day(), end-i, m.dict.texts))
			}
			ch.valid = true
		}
		all = append(all, ch.segs...)
	}
	return all
}

// segOf finds the segment of a day, making it with room for n rows. Texts added
// later than the segment's rows are not used by them, so the dict's length then
// is enough.
func segOf(segs *[]*column.Visits, day int32, n int, texts []string) *column.Visits {
	for _, s := range *segs {
		if s.Day == day {
			return s
		}
	}
	s := column.NewVisits(day, n, texts)
	*segs = append(*segs, s)
	return s
}

// Drops gives the counts of dropped events by UTC day and reason.
func (m *Machine) Drops() map[int32]map[analytics.Reason]uint64 {
	out := make(map[int32]map[analytics.Reason]uint64)
	for k, n := range m.drops {
		if out[k.day] == nil {
			out[k.day] = make(map[analytics.Reason]uint64)
		}
		out[k.day][analytics.Reasons[k.reason]] += n
	}
	return out
}
