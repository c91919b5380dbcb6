package query_test

import (
	"fmt"
	"slices"
	"strings"

	"footfall/analytics"
	"footfall/analytics/column"
)

// ledger is the oracle's memory of a site: visits as lists of raw events, put
// together in order of arrival by the rules of the metrics and nothing else. No
// columns, blocks, days, groups, or numbers for texts.
type ledger struct {
	seen     map[uint64]bool // ids of events that were counted
	visitors map[uint64][]*bookedVisit
	visits   []*bookedVisit
	kept     int32 // earlier days are closed

	merged, removed, overnight, tardy int // what happened, to see that everything does
}

func newLedger() *ledger {
	return &ledger{seen: map[uint64]bool{}, visitors: map[uint64][]*bookedVisit{}}
}

// bookedVisit is a visit of a visitor as the ledger has it.
type bookedVisit struct {
	visitor uint64
	filed   int32              // UTC day of its event that arrived first
	all     []*analytics.Event // by time, then arrival

	known   bool // what follows is worked out of all
	first   *analytics.Event
	counted []*analytics.Event // all but engagements
	views   []*analytics.Event
	bounced bool
	active  int64 // latest activity, engagement included
	daily   string
	lasting string
}

// fill works out what questions need of a visit again and again.
func (v *bookedVisit) fill() {
	if v.known {
		return
	}
	v.known, v.counted, v.views, v.bounced = true, nil, nil, true
	for _, e := range v.all {
		v.active = e.Time
		if e.Kind == analytics.Engagement {
			continue
		}
		v.counted = append(v.counted, e)
		if e.Kind == analytics.Pageview {
			v.views = append(v.views, e)
		}
		if e.Kind == analytics.Custom && !e.NonInteractive {
			v.bounced = false
		}
	}
	v.bounced = v.bounced && len(v.views) < 2
	v.first = v.counted[0]
	v.daily, v.lasting = "", ""
}

func (v *bookedVisit) start() int64 { v.fill(); return v.first.Time }
func (v *bookedVisit) last() int64  { v.fill(); return v.counted[len(v.counted)-1].Time }

// who tells visitors apart: those whose id does not last are others every day.
func (v *bookedVisit) who(lasting bool) string {
	v.fill()
	if v.lasting == "" {
		v.lasting = fmt.Sprint(v.visitor)
		v.daily = fmt.Sprint(v.visitor, "@", column.DayOf(v.first.Time))
	}
	if lasting || v.first.Named {
		return v.lasting
	}
	return v.daily
}

// near tells whether an event at t belongs to the visit.
func (v *bookedVisit) near(t int64) bool {
	v.fill()
	return t > v.start()-analytics.VisitGapMS && t < v.active+analytics.VisitGapMS
}

// add puts an event in its place.
func (v *bookedVisit) add(events ...*analytics.Event) {
	v.all, v.known = append(v.all, events...), false
	slices.SortStableFunc(v.all, func(a, b *analytics.Event) int { return int(a.Time - b.Time) })
}

// apply counts an event and says what should become of it. got is what did: of an
// id that was seen on a day that is closed now, both reasons are right.
func (l *ledger) apply(e analytics.Event, got analytics.Reason) analytics.Reason {
	day := column.DayOf(e.Time)
	switch {
	case l.seen[e.ID] && day < l.kept && got == analytics.DropTooOld:
		return got
	case l.seen[e.ID]:
		return analytics.DropDuplicate
	case day < l.kept:
		return analytics.DropTooOld
	}
	v := l.join(e.Visitor, e.Time)
	if v == nil && e.Previous != 0 {
		v = l.join(e.Previous, e.Time)
	}
	if v == nil {
		if e.Kind == analytics.Engagement {
			return analytics.DropNoVisit
		}
		v = &bookedVisit{visitor: e.Visitor, filed: day}
		l.visits = append(l.visits, v)
		l.visitors[e.Visitor] = append(l.visitors[e.Visitor], v)
	}
	if day > v.filed {
		l.overnight++
	}
	if day < v.filed {
		l.tardy++
	}
	v.add(&e)
	l.seen[e.ID] = true
	return analytics.Counted
}

// join finds the visit that an event belongs to. Those that it bridges become one,
// the earliest.
func (l *ledger) join(visitor uint64, t int64) *bookedVisit {
	var found []*bookedVisit
	for _, v := range l.visitors[visitor] {
		if v.near(t) {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortFunc(found, func(a, b *bookedVisit) int { return int(a.start() - b.start()) })
	for _, v := range found[1:] {
		l.merged++
		found[0].add(v.all...)
		l.visits = slices.DeleteFunc(l.visits, func(x *bookedVisit) bool { return x == v })
		l.visitors[visitor] = slices.DeleteFunc(l.visitors[visitor], func(x *bookedVisit) bool { return x == v })
	}
	return found[0]
}

// remove takes visits away and counts them and their events.
func (l *ledger) remove(gone func(*bookedVisit) bool) (visits, events int) {
	l.visits = slices.DeleteFunc(l.visits, func(v *bookedVisit) bool {
		if !gone(v) {
			return false
		}
		v.fill()
		l.removed++
		visits++
		events += len(v.counted)
		l.visitors[v.visitor] = slices.DeleteFunc(l.visitors[v.visitor], func(x *bookedVisit) bool { return x == v })
		return true
	})
	return visits, events
}

// first is the time of the earliest event, 0 without any.
func (l *ledger) first() (first int64) {
	for _, v := range l.visits {
		if t := v.start(); first == 0 || t < first {
			first = t
		}
	}
	return first
}

// prop gives a property of an event, "" without it.
func prop(e *analytics.Event, key string) string {
	for _, p := range e.Props {
		if p.Key == key {
			return p.Value
		}
	}
	return ""
}

// globbed tells whether a path is one of a glob: "*" is any text without a slash,
// "**" any text.
func globbed(glob, path string) bool {
	switch {
	case glob == "":
		return path == ""
	case strings.HasPrefix(glob, "**"):
		for i := range len(path) + 1 {
			if globbed(glob[2:], path[i:]) {
				return true
			}
		}
		return false
	case glob[0] == '*':
		for i := range len(path) + 1 {
			if globbed(glob[1:], path[i:]) {
				return true
			}
			if i < len(path) && path[i] == '/' {
				break
			}
		}
		return false
	}
	return path != "" && path[0] == glob[0] && globbed(glob[1:], path[1:])
}
