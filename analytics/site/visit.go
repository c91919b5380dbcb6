package site

import (
	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
)

// visit is a visit that may still change. Texts are numbers of Machine.dict.
type visit struct {
	id                                          column.VisitID
	visitor                                     uint64
	start                                       int64 // Unix ms of the first event
	last                                        int64 // Unix ms of the last activity, engagement included
	lastEvent                                   int64 // Unix ms of the last event; Invariant: start <= lastEvent <= last
	entryAt                                     int64 // Unix ms of the first page view, if views > 0
	exitAt                                      int64
	views                                       uint32
	customs                                     uint32
	flags                                       uint8
	entry, exit, entryHost, exitHost            uint32
	agent, place, acquisition, language, screen uint32
	older                                       int32 // slot of another visit of the visitor, -1 if none
}

// attributes takes what the item says of the visitor.
func (v *visit) attributes(d *dict, it *entry.Item) {
	agent, place, acquisition, language, screen := it.Attributes()
	v.agent, v.place, v.acquisition = d.id(agent), d.id(place), d.id(acquisition)
	v.language, v.screen = d.id(language), d.id(screen)
}

// note counts an event that joined the visit. The result does not depend on the
// order in which the events of a visit arrive, except among events of the same
// millisecond, where the first to arrive is the first.
func (v *visit) note(d *dict, it *entry.Item, page, host uint32) {
	t := it.Time
	if it.Kind == analytics.Engagement {
		v.last = max(v.last, t)
		return
	}
	if t < v.start {
		v.start = t
		v.attributes(d, it)
	}
	v.lastEvent = max(v.lastEvent, t)
	v.last = max(v.last, t)
	if it.Kind == analytics.Custom {
		v.customs++
		if !it.NonInteractive {
			v.flags |= column.Interactive
		}
		return
	}
	if v.views == 0 || t < v.entryAt {
		v.entryAt, v.entry, v.entryHost = t, page, host
	}
	if v.views == 0 || t >= v.exitAt {
		v.exitAt, v.exit, v.exitHost = t, page, host
	}
	v.views++
}

// absorb takes over the later visit w of the same visitor.
func (v *visit) absorb(w *visit) {
	if w.start < v.start {
		v.start, v.agent, v.place, v.acquisition, v.language, v.screen =
			w.start, w.agent, w.place, w.acquisition, w.language, w.screen
	}
	if w.views > 0 && (v.views == 0 || w.entryAt < v.entryAt) {
		v.entryAt, v.entry, v.entryHost = w.entryAt, w.entry, w.entryHost
	}
	if w.views > 0 && (v.views == 0 || w.exitAt >= v.exitAt) {
		v.exitAt, v.exit, v.exitHost = w.exitAt, w.exit, w.exitHost
	}
	v.views += w.views
	v.customs += w.customs
	v.flags |= w.flags
	v.last, v.lastEvent = max(v.last, w.last), max(v.lastEvent, w.lastEvent)
	w.views, w.customs, w.flags = 0, 0, column.Dead
}

// near tells whether an event at t belongs to the visit.
func (v *visit) near(t int64) bool {
	return v.flags&column.Dead == 0 && t > v.start-analytics.VisitGapMS && t < v.last+analytics.VisitGapMS
}

// appendTo adds the visit as a row. Texts keep the numbers of the caller's dict.
func (v *visit) appendTo(c *column.Visits) {
	c.Number = append(c.Number, v.id.Number())
	c.Visitor = append(c.Visitor, v.visitor)
	c.Start, c.Last = append(c.Start, v.start), append(c.Last, v.last)
	c.EntryAt, c.ExitAt = append(c.EntryAt, v.entryAt), append(c.ExitAt, v.exitAt)
	c.Views, c.Customs = append(c.Views, v.views), append(c.Customs, v.customs)
	c.Flags = append(c.Flags, v.flags)
	c.Entry, c.Exit = append(c.Entry, v.entry), append(c.Exit, v.exit)
	c.EntryHost, c.ExitHost = append(c.EntryHost, v.entryHost), append(c.ExitHost, v.exitHost)
	c.Agent, c.Place, c.Acquisition = append(c.Agent, v.agent), append(c.Place, v.place), append(c.Acquisition, v.acquisition)
	c.Language, c.Screen = append(c.Language, v.language), append(c.Screen, v.screen)
	c.LastEvent = append(c.LastEvent, v.lastEvent)
}

// visitOf reads row i back; texts get numbers of d.
func visitOf(c *column.Visits, i int, d *dict) visit {
	t := func(n uint32) uint32 { return d.idOf(c.Dict[n]) }
	return visit{
		id: column.MakeVisitID(c.Day, c.Number[i]), visitor: c.Visitor[i],
		start: c.Start[i], last: c.Last[i], lastEvent: c.LastEvent[i], entryAt: c.EntryAt[i], exitAt: c.ExitAt[i],
		views: c.Views[i], customs: c.Customs[i], flags: c.Flags[i],
		entry: t(c.Entry[i]), exit: t(c.Exit[i]), entryHost: t(c.EntryHost[i]), exitHost: t(c.ExitHost[i]),
		agent: t(c.Agent[i]), place: t(c.Place[i]), acquisition: t(c.Acquisition[i]),
		language: t(c.Language[i]), screen: t(c.Screen[i]), older: -1,
	}
}
