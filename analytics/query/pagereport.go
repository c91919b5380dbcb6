package query

import (
	"context"
	"time"

	"footfall/analytics"
)

const pageTop = 10

// PageReport asks about one page. Events are those on the page for which Filter
// holds as well.
type PageReport struct {
	From, To    int64 // Unix ms, half open
	Zone        *time.Location
	Page        string // path, to the letter
	Filter      *Filter
	Series      Dimension // a time dimension
	Lasting     bool      // as in Question
	Now         int64
	VisitorsMax int // more whose ids last give TooLarge; 0 means VisitorsMaxDefault
}

// PageResult is what is known of a page.
type PageResult struct {
	// Figures as questions about the page give them: entries, exits and bounce rate
	// are those of visits that entered or left there.
	Visitors, Visits, Pageviews, Entries, Exits Value
	BounceRate                                  Value // of visits that entered here
	ExitRate                                    Value // exits in percent of page views, 1 decimal; null without views
	TimeOnPage, ScrollDepth                     Value // means

	// Of the engaged time of each visit that viewed the page, whole seconds: half of
	// the visits, and nine in ten, stay no longer. Null where no time was reported.
	TimeMedian, TimeP90 Value
	// Scroll holds how many visitors got how deep at most: place i those from 10·i
	// percent to less than ten more, the last one those from 90 to 100.
	Scroll [10]int

	Series []Row // visitors, visits, page views of each bucket that has any
	// Sources, countries and devices: visitors, visits, page views of the page.
	// At most ten, most visitors first.
	Sources, Countries, Devices []Row

	// The pages viewed right before and after, by how often; at most ten each.
	// Views of the page in a row are one. Nothing came before Entered of them and
	// nothing after Left; BeforeOther and AfterOther are those of pages not shown.
	Before, After           []Share
	Entered, Left           int
	BeforeOther, AfterOther int

	Index uint64 // as in Answer
	// Warnings are those of the questions behind it.
	Warnings map[Metric]Warning
}

// Page evaluates r. Errors are those of Ask, and TooLarge.
func (p *Picture) Page(ctx context.Context, r *PageReport) (*PageResult, error) {
	out := &PageResult{Index: p.Index(), TimeMedian: Value{Null: true}, TimeP90: Value{Null: true}}
	if err := r.figures(ctx, p, out); err != nil {
		return nil, err
	}
	by := []Metric{Visitors, Visits, Pageviews}
	for _, part := range []struct {
		by    Dimension
		limit int
		rows  *[]Row
	}{{r.Series, 0, &out.Series}, {Source, pageTop, &out.Sources}, {Country, pageTop, &out.Countries}, {Device, pageTop, &out.Devices}} {
		q := r.question(by, part.by)
		q.Limit = part.limit
		a, err := p.Ask(ctx, q)
		if err != nil {
			return nil, err
		}
		*part.rows = a.Rows
		out.warn(a)
	}
	run := &pageRun{r: r, out: out, depth: analytics.ScrollNone, deepest: map[uint64]uint8{}, before: map[uint32]int{}, after: map[uint32]int{}}
	if err := p.Scan(ctx, r.From, r.To, r.filter(), run.visit); err != nil {
		return nil, err
	}
	run.finish()
	return out, nil
}

// filter is that of the report and the page.
func (r *PageReport) filter() *Filter {
	page := &Filter{Op: Is, Dim: EventPage, Values: []string{r.Page}}
	if r.Filter == nil {
		return page
	}
	return &Filter{Op: And, Children: []*Filter{r.Filter, page}}
}

func (r *PageReport) question(metrics []Metric, dims ...Dimension) *Question {
	return &Question{From: r.From, To: r.To, Zone: r.Zone, Metrics: metrics, Dimensions: dims, Filter: r.filter(), Lasting: r.Lasting, Now: r.Now}
}

func (r *PageReport) figures(ctx context.Context, p *Picture, out *PageResult) error {
	a, err := p.Ask(ctx, r.question([]Metric{Visitors, Visits, Pageviews, Entries, Exits, BounceRate, TimeOnPage, ScrollDepth}))
	if err != nil {
		return err
	}
	out.warn(a)
	v := []Value{{}, {}, {}, {}, {}, {}, {Null: true}, {Null: true}}
	if len(a.Rows) > 0 {
		v = a.Rows[0].Values
	}
	out.Visitors, out.Visits, out.Pageviews, out.Entries, out.Exits = v[0], v[1], v[2], v[3], v[4]
	out.BounceRate, out.TimeOnPage, out.ScrollDepth = v[5], v[6], v[7]
	out.ExitRate = Value{Null: true}
	if views := out.Pageviews.Number; views > 0 {
		out.ExitRate = rounded(100*out.Exits.Number/views, 1)
	}
	return nil
}

// warn takes over the warnings of an answer, of each metric the first.
func (r *PageResult) warn(a *Answer) {
	for m, w := range a.Warnings {
		if r.Warnings == nil {
			r.Warnings = map[Metric]Warning{}
		}
		if _, ok := r.Warnings[m]; !ok {
			r.Warnings[m] = w
		}
	}
}

// pageRun reads what no question tells.
type pageRun struct {
	r   *PageReport
	out *PageResult

	pages book
	path  []uint32
	at    []int64 // when each page of path was first viewed

	times   stopwatch
	engaged bool // any time was reported

	now     current // visitor whose ids do not last, and how deep they got
	depth   uint8
	deepest map[uint64]uint8 // of the others

	before, after map[uint32]int
}

func (p *pageRun) visit(v Visit, events []int) error {
	lasts := v.Lasts(p.r.Lasting)
	if !lasts && p.now.next(v) {
		p.scrolled(p.depth)
		p.depth = analytics.ScrollNone
	}
	l := v.Layer
	ms, viewed, depth := int64(0), false, uint8(analytics.ScrollNone)
	for _, e := range events {
		switch kind(l, e) {
		case analytics.Pageview:
			viewed = true
		case analytics.Engagement:
			p.engaged = true
			ms += int64(l.Engaged(e))
			depth = deeper(depth, l.Scroll(e))
		}
	}
	if viewed {
		p.times.add(ms)
		p.neighbours(v)
	}
	if !lasts {
		p.depth = deeper(p.depth, depth)
		return nil
	}
	if depth == analytics.ScrollNone {
		return nil
	}
	old, ok := p.deepest[v.visitor()]
	if !ok && len(p.deepest) >= visitorsMax(p.r.VisitorsMax) {
		return tooManyVisitors(p.r.VisitorsMax)
	}
	if !ok || depth > old {
		p.deepest[v.visitor()] = depth
	}
	return nil
}

// deeper gives the deeper of two scrolls, either of which can be missing.
func deeper(a, b uint8) uint8 {
	if a == analytics.ScrollNone {
		return b
	}
	if b == analytics.ScrollNone {
		return a
	}
	return max(a, b)
}

// scrolled counts a visitor who got as deep as that.
func (p *pageRun) scrolled(depth uint8) {
	if depth != analytics.ScrollNone {
		p.out.Scroll[min(depth/10, 9)]++
	}
}

// neighbours counts what came right before and after the views of the page that
// lie in the range.
func (p *pageRun) neighbours(v Visit) {
	p.pages.use(v.Day)
	p.path, p.at = p.path[:0], p.at[:0]
	from, to := v.rows()
	for e := from; e < to; e++ {
		if kind(v.Layer, e) != analytics.Pageview {
			continue
		}
		if page := p.pages.of(v.Layer.Page[e]); len(p.path) == 0 || p.path[len(p.path)-1] != page {
			p.path, p.at = append(p.path, page), append(p.at, v.Layer.At[e])
		}
	}
	for i, page := range p.path {
		if p.at[i] < p.r.From || p.at[i] >= p.r.To || p.pages.texts[page] != p.r.Page {
			continue
		}
		if i == 0 {
			p.out.Entered++
		} else {
			p.before[p.path[i-1]]++
		}
		if i == len(p.path)-1 {
			p.out.Left++
		} else {
			p.after[p.path[i+1]]++
		}
	}
}

func (p *pageRun) finish() {
	p.scrolled(p.depth)
	for _, depth := range p.deepest {
		p.scrolled(depth)
	}
	if p.engaged {
		p.out.TimeMedian, p.out.TimeP90 = p.times.quantile(50), p.times.quantile(90)
	}
	p.out.Before, p.out.BeforeOther = p.named(p.before)
	p.out.After, p.out.AfterOther = p.named(p.after)
}

// named gives the top of counts by name, and the sum of the others.
func (p *pageRun) named(counts map[uint32]int) (top []Share, other int) {
	byName := make(map[string]int, len(counts))
	for page, n := range counts {
		byName[p.pages.texts[page]] = n
		other += n
	}
	top = topShares(byName, pageTop)
	for _, s := range top {
		other -= s.Count
	}
	return top, other
}
