package query

import (
	"cmp"
	"context"
	"slices"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/session"
)

// VisitorsMaxDefault is the most visitors that a report remembers one by one,
// which it must where ids last longer than a day; each takes from twenty bytes
// in retention to a few hundred in a funnel of many steps.
const VisitorsMaxDefault = 2_000_000

// visitor gives the id of the visit's visitor.
func (v Visit) visitor() uint64 { return v.Layer.Visitor[v.I] }

// start gives when the visit began, Unix ms.
func (v Visit) start() int64 { return v.Layer.Start[v.I] }

// rows gives the rows of all of the visit's events.
func (v Visit) rows() (from, to int) {
	return int(v.Layer.FirstEvent[v.I]), int(v.Layer.FirstEvent[v.I+1])
}

// kind gives what event e of a layer is.
func kind(l *session.Layer, e int) analytics.Kind {
	return analytics.Kind(l.Kind[e] & column.KindMask)
}

// anyCounted tells whether one of the events is more than an engagement.
func anyCounted(l *session.Layer, events []int) bool {
	for _, e := range events {
		if kind(l, e) != analytics.Engagement {
			return true
		}
	}
	return false
}

// current is the visitor whose visits of a day a scan goes through.
type current struct {
	day     int32
	visitor uint64
	any     bool
}

// next tells whether the visit is of another visitor or day than the one before.
func (c *current) next(v Visit) bool {
	if c.any && c.day == v.Day.Day && c.visitor == v.visitor() {
		return false
	}
	c.day, c.visitor, c.any = v.Day.Day, v.visitor(), true
	return true
}

// scanVisits calls fn with every visit that a question over [from, to) with the
// filter f counts: active in the range by more than an engagement and, if f has
// conditions on events, with such an event that matches. Otherwise it is as Scan.
func (p *Picture) scanVisits(ctx context.Context, from, to int64, f *Filter, fn func(v Visit) error) error {
	c, err := compile(f, p.Days)
	if err != nil {
		return err
	}
	byEvents := c.needsEvents()
	return p.Scan(ctx, from, to, f, func(v Visit, events []int) error {
		if v.Layer.LastEvent[v.I] < from || v.Layer.Start[v.I] >= to || byEvents && !anyCounted(v.Layer, events) {
			return nil
		}
		return fn(v)
	})
}

// scanVisitors is scanVisits, but gives the visits of one visitor that begin in
// one day together, in order of their start. fn must not keep them.
func (p *Picture) scanVisitors(ctx context.Context, from, to int64, f *Filter, fn func(visits []Visit) error) error {
	var now current
	var visits []Visit
	end := func() error {
		if len(visits) == 0 {
			return nil
		}
		slices.SortFunc(visits, func(a, b Visit) int { return cmp.Compare(a.start(), b.start()) })
		err := fn(visits)
		visits = visits[:0]
		return err
	}
	err := p.scanVisits(ctx, from, to, f, func(v Visit) error {
		if now.next(v) {
			if err := end(); err != nil {
				return err
			}
		}
		visits = append(visits, v)
		return nil
	})
	if err != nil {
		return err
	}
	return end()
}

func visitorsMax(n int) int {
	if n == 0 {
		return VisitorsMaxDefault
	}
	return n
}

func tooManyVisitors(n int) error {
	return analytics.Errorf(analytics.TooLarge, "date_range: more than %d visitors would have to be told apart; ask for a shorter range, or filter", visitorsMax(n))
}
