package query

import (
	"context"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/session"
	"footfall/analytics/site"
)

// DaySource gives the visits of one site by the UTC day in which they begin, all
// with texts of one lexicon, and remembers what was worked out of them. Safe for
// concurrent use.
type DaySource interface {
	Lexicon() *session.Lexicon
	Day(ctx context.Context, view *site.View, day int32) (*session.Day, error)
	// Recall gives what Remember was given for a key, unless it was forgotten.
	// Bytes estimates the memory of v.
	Recall(key string) (v any, ok bool)
	Remember(key string, v any, bytes int)
}

// Picture is one state of a site, of which anything can be asked. Safe for
// concurrent use.
type Picture struct {
	View *site.View
	Days DaySource
	// Fan is called for heavy work: it waits for its turn, runs task(0) … task(n-1),
	// in any order and perhaps at the same time, and comes back when all have ended,
	// or when ctx is done before they began. nil runs them one after the other.
	Fan func(ctx context.Context, n int, task func(i int)) error
	// Yield is called now and then during heavy work, to let others go first; nil
	// does nothing.
	Yield func()
	// Budget is how many events and visits one question may look at; 0 means
	// no limit. Beyond, TooLarge.
	Budget int64
}

// Index is how far into the site's log the picture looks.
func (p *Picture) Index() uint64 { return p.View.Index }

// Ask answers q. It is exact unless the answer warns of an estimate; it stops
// with ctx. The rules by which visits count in buckets are written in
// docs/reference/metrics.md.
func (p *Picture) Ask(ctx context.Context, q *Question) (*Answer, error) {
	ev, err := p.evaluate(ctx, q)
	if err != nil {
		return nil, err
	}
	return ev.answer(), nil
}

// evaluate counts what q asks for, and what its metrics need besides.
func (p *Picture) evaluate(ctx context.Context, q *Question) (*evaluation, error) {
	ev := &evaluation{ctx: ctx, picture: p, q: landing(q)}
	if err := ev.prepare(); err != nil {
		return nil, err
	}
	if err := ev.run(); err != nil {
		return nil, err
	}
	ev.visitors()
	return ev, ev.others()
}

// span is a day in which visits may begin that are active in a range, and the
// bounds of what they do, Unix ms, both included.
type span struct {
	day         int32
	first, last int64
	rows        int // of events and visits filed there, about
	version     uint64
}

// spans lists the days whose visits can be active in [from, to), ascending.
func (p *Picture) spans(from, to int64) []span {
	days := p.View.Days
	var out []span
	versions := p.View.DayVersions()
	latest := make([]int64, len(days)) // activity of what is filed under a day
	ahead := int32(0)                  // how many days later visits can be filed that begin in a day
	for i := range days {
		ahead = max(ahead, days[i].Day-column.DayOf(days[i].Start))
		latest[i] = days[i].Last
		for j := range days[i].Filed {
			latest[i] = max(latest[i], days[i].Filed[j].Last)
		}
	}
	for i := range days {
		d := &days[i]
		begin := int64(d.Day) * column.DayMS
		s := span{day: d.Day, first: min(begin, max(d.Start, begin-analytics.VisitGapMS)), last: latest[i], version: versions[i]}
		if s.first >= to {
			break
		}
		for j := range d.Events {
			s.rows += d.Events[j].Rows
		}
		for j := range d.Filed {
			s.rows += d.Filed[j].Rows
		}
		for j := range d.Sealed {
			s.rows += d.Sealed[j].Events + d.Sealed[j].Visits
		}
		end := int64(d.Day+1) * column.DayMS
		for k := i + 1; k < len(days) && days[k].Day <= d.Day+ahead; k++ { // visits that late events moved to an earlier start
			if days[k].Start < end {
				s.last = max(s.last, latest[k])
			}
		}
		if s.last >= from {
			out = append(out, s)
		}
	}
	return out
}

// Visit is a visit under a scan: row I of Layer. What is in Layer must not be
// changed.
type Visit struct {
	Day   *session.Day
	Layer *session.Layer
	I     int
}

// Lasts tells whether the visitor's id means the same visitor on other days.
func (v Visit) Lasts(q bool) bool { return q || v.Layer.Flags[v.I]&column.Named != 0 }

// Scan calls fn with every visit that is active in [from, to) and for which f
// holds: its conditions on visits hold and, if it has conditions on events, one
// event in the range at least matches. events are the rows of those that match,
// engagements included, in order of time; without conditions on events all of
// the range. fn must not keep events. Days ascend; the visits of a day come in
// order of visitor, then start. It stops with ctx and with the first error of fn.
func (p *Picture) Scan(ctx context.Context, from, to int64, f *Filter, fn func(v Visit, events []int) error) error {
	spans := p.spans(from, to)
	rows := 0
	for _, s := range spans {
		rows += s.rows
	}
	if err := p.afford(rows); err != nil {
		return err
	}
	var err error
	if turn := p.fan(ctx, rows, 1, func(int) { err = p.scan(ctx, spans, from, to, f, fn) }); turn != nil {
		return turn
	}
	return err
}

// lightRows is how many events and visits are looked at without waiting for a
// turn.
const lightRows = 50_000

// fan runs tasks that look at rows in all.
func (p *Picture) fan(ctx context.Context, rows, n int, task func(i int)) error {
	if p.Fan != nil && rows > lightRows {
		return p.Fan(ctx, n, task)
	}
	for i := range n {
		task(i)
	}
	return nil
}

func (p *Picture) scan(ctx context.Context, spans []span, from, to int64, f *Filter, fn func(v Visit, events []int) error) error {
	c, err := compile(f, p.Days)
	if err != nil {
		return err
	}
	var events []int
	for _, s := range spans {
		d, err := p.day(ctx, s.day)
		if err != nil {
			return err
		}
		err = d.Runs(func(l *session.Layer, first, end int) error {
			row := c.row(l, from, to)
			for i := first; i < end; i++ {
				p.yield(i)
				if l.Last[i] < from || l.Start[i] >= to && l.Begins(i) >= to || l.Hides(i) {
					continue
				}
				row.visit(i)
				if !row.matchVisit() {
					continue
				}
				events = events[:0]
				for e := int(l.FirstEvent[i]); e < int(l.FirstEvent[i+1]); e++ {
					if l.At[e] >= from && l.At[e] < to && (!c.needsEvents() || row.matchEvent(e)) {
						events = append(events, e)
					}
				}
				if len(events) == 0 && (c.needsEvents() || l.LastEvent[i] < from || l.Start[i] >= to) {
					continue
				}
				if err := fn(Visit{d, l, i}, events); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// afford tells whether a question may look at so many rows.
func (p *Picture) afford(rows int) error {
	if p.Budget > 0 && int64(rows) > p.Budget {
		return analytics.Errorf(analytics.TooLarge,
			"date_range: more than %d events and visits would have to be looked at; ask for a shorter range", p.Budget)
	}
	return nil
}

// yieldEvery is after how many visits others are let go first.
const yieldEvery = 512

func (p *Picture) yield(i int) {
	if i%yieldEvery == 0 && p.Yield != nil {
		p.Yield()
	}
}

func (p *Picture) day(ctx context.Context, day int32) (*session.Day, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p.Days.Day(ctx, p.View, day)
}
