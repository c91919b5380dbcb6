package query

import (
	"context"
	"sort"
	"time"
)

// Returning asks who is new. As far as ids tell: a visitor whose id lasts is new
// when their first visit of all is active in the range, and returning when it
// was over before. An id that lasts for a day only tells of that UTC day: its
// visitor is new when the visits in question include the day's first one and no
// other, and returning when they include a later one.
//
// A visit is new when it is the first of its visitor, of all or of the day.
// Visits in question are those active in the range for which Filter holds; what
// came before them is looked up among all visits.
type Returning struct {
	From, To int64 // Unix ms, half open
	Filter   *Filter
	Lasting  bool // as in Question
	// Lookback is how long ids that last, but not of visitors whom the merchant
	// named, can have been in use: visits that ended longer before From are not
	// looked at for them. 0 means for ever.
	Lookback    time.Duration
	VisitorsMax int // more whose ids last give TooLarge; 0 means VisitorsMaxDefault
}

// ReturningResult holds the counts. New and returning ones add up to all.
type ReturningResult struct {
	NewVisitors, ReturningVisitors int
	NewVisits, ReturningVisits     int
	// LastingVisitors is how many of the visitors have ids that last.
	LastingVisitors int
	Index           uint64 // as in Answer
}

// Returning evaluates r. Errors are TooLarge, or those of reading. Where ids last
// it reads all days before the range as well.
func (p *Picture) Returning(ctx context.Context, r *Returning) (*ReturningResult, error) {
	run := &returningRun{r: r, out: &ReturningResult{Index: p.Index()}, ids: map[uint64]*acquaintance{}}
	if err := p.scanVisitors(ctx, r.From, r.To, r.Filter, run.visitor); err != nil {
		return nil, err
	}
	if len(run.ids) > 0 {
		since := p.View.First
		if !run.named && r.Lookback > 0 {
			since = max(since, r.From-r.Lookback.Milliseconds())
		}
		if err := p.scanVisits(ctx, min(since, r.From), r.To, nil, run.history); err != nil {
			return nil, err
		}
	}
	run.finish()
	return run.out, nil
}

// acquaintance is what is known of a visitor whose id lasts.
type acquaintance struct {
	asked       int64 // start of their first visit in question, Unix ms
	first, last int64 // start and last event of their first visit of all
}

type returningRun struct {
	r     *Returning
	out   *ReturningResult
	ids   map[uint64]*acquaintance
	named bool // one of them was named
}

// visitor takes the visits in question of a visitor that begin in one day.
func (r *returningRun) visitor(visits []Visit) error {
	if visits[0].Lasts(r.r.Lasting) {
		return r.lasting(visits)
	}
	later := len(visits)
	if firstOfDay(visits[0]) {
		r.out.NewVisits++
		later--
	}
	r.out.ReturningVisits += later
	if later > 0 {
		r.out.ReturningVisitors++
	} else {
		r.out.NewVisitors++
	}
	return nil
}

func (r *returningRun) lasting(visits []Visit) error {
	v := visits[0]
	r.named = r.named || v.Lasts(false)
	r.out.ReturningVisits += len(visits) // but for first ones, see finish
	a := r.ids[v.visitor()]
	if a == nil {
		if len(r.ids) >= visitorsMax(r.r.VisitorsMax) {
			return tooManyVisitors(r.r.VisitorsMax)
		}
		a = &acquaintance{asked: v.start(), first: v.start(), last: v.Layer.LastEvent[v.I]}
		r.ids[v.visitor()] = a
	}
	a.asked = min(a.asked, v.start())
	a.meet(v)
	return nil
}

// meet notes a visit, which may be the first.
func (a *acquaintance) meet(v Visit) {
	if start := v.start(); start < a.first {
		a.first, a.last = start, v.Layer.LastEvent[v.I]
	}
}

func (r *returningRun) history(v Visit) error {
	if !v.Lasts(r.r.Lasting) {
		return nil
	}
	if a := r.ids[v.visitor()]; a != nil {
		a.meet(v)
	}
	return nil
}

func (r *returningRun) finish() {
	r.out.LastingVisitors = len(r.ids)
	for _, a := range r.ids {
		if a.last >= r.r.From {
			r.out.NewVisitors++
		} else {
			r.out.ReturningVisitors++
		}
		if a.asked == a.first {
			r.out.NewVisits++
			r.out.ReturningVisits--
		}
	}
}

// firstOfDay tells whether no other visit of the visitor begins earlier in the
// day.
func firstOfDay(v Visit) bool {
	who, start := v.visitor(), v.start()
	for _, l := range v.Day.Layers {
		end := v.I // visits of a layer are in order of visitor and start
		if l != v.Layer {
			end = sort.Search(l.Len(), func(i int) bool { return l.Visitor[i] > who || l.Visitor[i] == who && l.Start[i] >= start })
		}
		for i := end - 1; i >= 0 && l.Visitor[i] == who; i-- {
			if l.Start[i] < start && !l.Hides(i) && l.Views[i]+l.Customs[i] > 0 {
				return false
			}
		}
	}
	return true
}
