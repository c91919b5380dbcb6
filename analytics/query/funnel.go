package query

import (
	"context"
	"slices"
	"time"

	"footfall/analytics"
)

// Bounds of a funnel.
const (
	FunnelStepsMin  = 2
	FunnelStepsMax  = 20
	FunnelWindowMax = 90 * 24 * time.Hour
)

// Funnel asks how many get from a first step to a last one. Steps are goals: a
// page, an event or a scroll, with or without conditions on properties.
//
// A chain of k steps is k events in the range at strictly rising times, of which
// the first reaches step 1, the second step 2, and so on; other events may lie
// between them. Without a Window all events of a chain are of one visit; with
// one they are of one visitor, and none is later than Window after the first.
// A visitor gets as far as their longest chain.
//
// Filter chooses visits: those for which it holds, as in any question. All of
// their events in the range can be steps.
type Funnel struct {
	From, To int64 // Unix ms, half open
	Filter   *Filter
	Steps    []*Goal       // FunnelStepsMin to FunnelStepsMax
	Window   time.Duration // 0: within one visit; at most FunnelWindowMax
	// Lasting says that visitors have the same id on several days, as in Question;
	// otherwise a chain is within the visits that begin in one UTC day, but for
	// visitors whom the merchant named.
	Lasting     bool
	VisitorsMax int // more whose ids last give TooLarge; 0 means VisitorsMaxDefault
}

// FunnelResult is one row for each step.
type FunnelResult struct {
	Steps []FunnelStep
	Index uint64 // as in Answer
}

// FunnelStep tells who got to a step.
type FunnelStep struct {
	Name     string
	Visitors int // with a chain that reaches the step
	Visits   int // the same; 0 with a window, where chains go over visits
	// FromStart and FromBefore are Visitors in percent of those of the first step
	// and of the step before, 2 decimals; null where those are none.
	FromStart, FromBefore Value
	Dropped               int // visitors of the step before who did not get here
	// Median is the time since the step before in whole seconds, over visits
	// without a window, else over visitors: of the chain that was the first to get
	// as far as the visit or visitor got, and of several such of the one that began
	// last, each of its steps as early as it can be. Null for the first step.
	Median Value
}

// Funnel evaluates f. Errors are Invalid, TooLarge, or those of reading.
func (p *Picture) Funnel(ctx context.Context, f *Funnel) (*FunnelResult, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	r := &funnelRun{f: f, m: newMatcher(f.Steps), visits: make([]int, len(f.Steps)), visitors: make([]int, len(f.Steps)), times: make([]stopwatch, len(f.Steps)),
		window: f.Window.Milliseconds(), kept: map[uint64]*chains{}, far: map[uint64]uint8{}}
	if err := p.scanVisitors(ctx, f.From, f.To, f.Filter, r.visitor); err != nil {
		return nil, err
	}
	r.finish()
	return r.result(p.Index()), nil
}

func (f *Funnel) check() error {
	switch {
	case len(f.Steps) < FunnelStepsMin || len(f.Steps) > FunnelStepsMax:
		return analytics.Errorf(analytics.Invalid, "steps: must be %d to %d, not %d", FunnelStepsMin, FunnelStepsMax, len(f.Steps))
	case f.Window < 0 || f.Window > FunnelWindowMax:
		return analytics.Errorf(analytics.Invalid, "window: must be at most %d days", int(FunnelWindowMax.Hours()/24))
	}
	return nil
}

// chains is how far somebody got. Of all chains of k steps so far only the one
// that began last matters to what follows: it can go on for the longest time.
type chains struct {
	reach int
	// times has the times of the steps of that chain for each k up to reach, one
	// chain after the other: that of k steps is at k(k-1)/2.
	times []int64
	first []int64 // of the first chain of reach steps
}

func (c *chains) of(k int) []int64 { at := k * (k - 1) / 2; return c.times[at : at+k] }

func (c *chains) clear() { c.reach, c.times, c.first = 0, c.times[:0], c.first[:0] }

// step takes what happened at t, later than everything before: mask has a bit
// for each step that is reached.
func (c *chains) step(t int64, mask uint32, steps int, window int64) {
	for k := min(c.reach+1, steps); k >= 1; k-- {
		if mask&(1<<(k-1)) == 0 {
			continue
		}
		begin := t
		if k > 1 {
			if begin = c.of(k - 1)[0]; window > 0 && t-begin > window {
				continue
			}
		}
		if k > c.reach {
			c.reach = k
			c.times = append(c.times, make([]int64, k)...)
		} else if c.of(k)[0] >= begin {
			continue
		}
		now := c.of(k)
		if k > 1 {
			copy(now, c.of(k-1))
		}
		now[k-1] = t
		if k == c.reach && len(c.first) < k {
			c.first = append(c.first[:0], now...)
		}
	}
}

// funnelRun is a funnel under evaluation.
type funnelRun struct {
	f      *Funnel
	m      *matcher
	window int64 // ms

	visits, visitors []int // that got to each step
	times            []stopwatch

	one  chains             // of what is at hand
	kept map[uint64]*chains // with a window, of visitors whose ids last
	far  map[uint64]uint8   // how far they got, without a window
}

// visitor takes the visits of a visitor that begin in one day.
func (r *funnelRun) visitor(visits []Visit) error {
	r.m.use(visits[0].Day)
	if r.window > 0 {
		return r.inWindow(visits)
	}
	lasts, reach := false, 0
	for _, v := range visits {
		r.one.clear()
		r.walk(&r.one, v)
		for k := range r.one.reach {
			r.visits[k]++
		}
		r.took(&r.one)
		reach = max(reach, r.one.reach)
		lasts = lasts || v.Lasts(r.f.Lasting)
	}
	if !lasts {
		r.got(reach)
		return nil
	}
	who := visits[0].visitor()
	if far, ok := r.far[who]; reach > int(far) {
		if !ok && len(r.far) >= visitorsMax(r.f.VisitorsMax) {
			return tooManyVisitors(r.f.VisitorsMax)
		}
		r.far[who] = uint8(reach)
	}
	return nil
}

func (r *funnelRun) inWindow(visits []Visit) error {
	who, lasts := visits[0].visitor(), visits[0].Lasts(r.f.Lasting)
	c := r.kept[who]
	known := c != nil
	if !known {
		c = &r.one
		c.clear()
	}
	for _, v := range visits {
		r.walk(c, v)
	}
	switch {
	case known || c.reach == 0:
	case !lasts:
		r.took(c)
		r.got(c.reach)
	case len(r.kept) >= visitorsMax(r.f.VisitorsMax):
		return tooManyVisitors(r.f.VisitorsMax)
	default:
		r.kept[who] = &chains{reach: c.reach, times: slices.Clone(c.times), first: slices.Clone(c.first)}
	}
	return nil
}

// walk goes through the visit's events in the range. Those of one millisecond
// happen together: none of them follows another.
func (r *funnelRun) walk(c *chains, v Visit) {
	l := v.Layer
	from, to := v.rows()
	for e := from; e < to; {
		mask, t := r.m.reached(l, e), l.At[e]
		for e++; e < to && l.At[e] == t; e++ {
			mask |= r.m.reached(l, e)
		}
		if mask != 0 && t >= r.f.From && t < r.f.To {
			c.step(t, mask, len(r.f.Steps), r.window)
		}
	}
}

// took notes how long the steps took.
func (r *funnelRun) took(c *chains) {
	for k := 1; k < c.reach; k++ {
		r.times[k].add(c.first[k] - c.first[k-1])
	}
}

// got counts a visitor who got as far as a step.
func (r *funnelRun) got(reach int) {
	for k := range reach {
		r.visitors[k]++
	}
}

func (r *funnelRun) finish() {
	for _, c := range r.kept {
		r.took(c)
		r.got(c.reach)
	}
	for _, far := range r.far {
		r.got(int(far))
	}
}

func (r *funnelRun) result(index uint64) *FunnelResult {
	out := &FunnelResult{Index: index, Steps: make([]FunnelStep, len(r.f.Steps))}
	for k, g := range r.f.Steps {
		s := &out.Steps[k]
		*s = FunnelStep{Name: g.Name, Visitors: r.visitors[k], Visits: r.visits[k], FromBefore: Value{Null: true}, Median: Value{Null: true}}
		s.FromStart = share(r.visitors[k], r.visitors[0])
		if k > 0 {
			s.FromBefore = share(r.visitors[k], r.visitors[k-1])
			s.Dropped = r.visitors[k-1] - r.visitors[k]
			s.Median = r.times[k].quantile(50)
		}
	}
	return out
}

// share gives part in percent of all, 2 decimals; null of nothing.
func share(part, all int) Value {
	if all == 0 {
		return Value{Null: true}
	}
	return rounded(100*float64(part)/float64(all), 2)
}
