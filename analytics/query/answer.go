package query

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// others takes figures that are not counted in the row itself from questions of
// their own: the bounce rate under a page filter or breakdown is that of visits
// entering there, rates are of all visitors.
func (ev *evaluation) others() error {
	ev.sub = map[Metric]*part{}
	q := ev.q
	if q.Filter.uses(EventPage) || slices.Contains(q.Dimensions, EventPage) {
		entering := map[Dimension]Dimension{EventPage: EntryPage}
		for _, x := range []struct {
			m    Metric
			with map[Dimension]Dimension
		}{{BounceRate, entering}, {Entries, entering}, {Exits, map[Dimension]Dimension{EventPage: ExitPage}}} {
			if err := ev.ask(x.m, x.m, x.with); err != nil {
				return err
			}
		}
	}
	if err := ev.ask(ExitRate, Pageviews, map[Dimension]Dimension{ExitPage: EventPage}); err != nil {
		return err
	}
	none := func(Dimension) bool { return false }
	if err := ev.among(Percentage, q.Filter, none); err != nil {
		return err
	}
	// Without the goals, and the properties by which they are narrowed: in each
	// group of the other dimensions, and in all.
	rest := q.Filter.withoutGoals().withoutProps()
	if err := ev.among(GroupConversionRate, rest, func(d Dimension) bool { return d != EventGoal }); err != nil {
		return err
	}
	return ev.among(ConversionRate, rest, func(d Dimension) bool { _, isTime := IntervalOf(d); return isTime })
}

// part is a question of which a metric is taken, and where each of its
// dimensions stands in the whole question.
type part struct {
	*evaluation
	from []int
}

// ask answers metric m by a question for metric as with other dimensions.
func (ev *evaluation) ask(m, as Metric, with map[Dimension]Dimension) error {
	if !ev.has(m) {
		return nil
	}
	sub := *ev.q
	sub.Metrics, sub.Filter, sub.Dimensions = []Metric{as}, swap(ev.q.Filter, with), slices.Clone(ev.q.Dimensions)
	from := make([]int, len(sub.Dimensions))
	for i, d := range sub.Dimensions {
		from[i] = i
		if to, ok := with[d]; ok {
			sub.Dimensions[i] = to
		}
	}
	return ev.answerPart(m, &sub, from)
}

// among answers metric m by the visitors of a filter, in groups of some of the
// dimensions.
func (ev *evaluation) among(m Metric, f *Filter, keep func(Dimension) bool) error {
	if !ev.has(m) {
		return nil
	}
	sub := *ev.q
	sub.Metrics, sub.Filter, sub.Goals, sub.Dimensions = []Metric{Visitors}, f, nil, nil
	if slices.ContainsFunc(ev.q.Dimensions, func(d Dimension) bool { return d == EventGoal && keep(d) }) {
		sub.Goals = ev.q.Goals
	}
	var from []int
	for i, d := range ev.q.Dimensions {
		if keep(d) {
			sub.Dimensions, from = append(sub.Dimensions, d), append(from, i)
		}
	}
	return ev.answerPart(m, &sub, from)
}

func (ev *evaluation) answerPart(m Metric, q *Question, from []int) error {
	sub, err := ev.picture.evaluate(ev.ctx, q)
	if err != nil {
		return err
	}
	ev.sub[m] = &part{sub, from}
	return nil
}

// value gives the part's figure for a row of the whole.
func (p *part) value(row rowKey) Value {
	var mine rowKey
	mine.bucket = -1
	for i, at := range p.from {
		if i == p.timeAt {
			mine.bucket = row.bucket
		}
		mine.values[i] = row.values[at]
	}
	g, ok := p.find(mine)
	if !ok {
		return Value{}
	}
	return p.evaluation.value(g, p.q.Metrics[0])
}

// dimensionsMax is how many dimensions a question can have.
const dimensionsMax = 2*tupleMax + 1

// rowKey is the values of a row in the order of the question's dimensions, as
// numbers of the lexicon, and its bucket.
type rowKey struct {
	bucket int32
	values [dimensionsMax]uint32
}

func (ev *evaluation) rowKey(g int) rowKey {
	k := ev.total.keys[g]
	r := rowKey{bucket: k.bucket}
	visit, event := ev.total.visits.at(k.visit), ev.total.events.at(k.event)
	for i, at := range ev.visitAt {
		r.values[at] = visit[i]
	}
	for i, at := range ev.eventAt {
		r.values[at] = event[i]
	}
	return r
}

// find gives the group of a row.
func (ev *evaluation) find(r rowKey) (g int, ok bool) {
	k := key{bucket: r.bucket}
	var visit, event tuple
	for i, at := range ev.visitAt {
		visit[i] = r.values[at]
	}
	for i, at := range ev.eventAt {
		event[i] = r.values[at]
	}
	if k.visit, ok = ev.total.visits.find(visit); !ok {
		return 0, false
	}
	if k.event, ok = ev.total.events.find(event); !ok {
		return 0, false
	}
	return ev.total.find(k)
}

func (ev *evaluation) answer() *Answer {
	a := &Answer{Index: ev.picture.View.Index}
	groups := make([]int, 0, len(ev.total.keys))
	for g := range ev.total.keys {
		if len(ev.q.Dimensions) == 0 || !ev.empty(g) {
			groups = append(groups, g)
		}
	}
	a.TotalRows = len(groups)
	end := len(groups)
	if ev.q.Limit > 0 {
		end = min(end, ev.q.Offset+ev.q.Limit)
	}
	groups = ev.best(groups, end)
	groups = groups[min(ev.q.Offset, len(groups)):]
	a.Rows = make([]Row, len(groups))
	dims := make([]string, len(groups)*len(ev.q.Dimensions))
	values := make([]Value, len(groups)*len(ev.q.Metrics))
	for i, g := range groups {
		r := &a.Rows[i]
		r.Dims, dims = dims[:len(ev.q.Dimensions):len(ev.q.Dimensions)], dims[len(ev.q.Dimensions):]
		r.Values, values = values[:len(ev.q.Metrics):len(ev.q.Metrics)], values[len(ev.q.Metrics):]
		ev.dims(r.Dims, g)
		for k, m := range ev.q.Metrics {
			r.Values[k] = ev.value(g, m)
		}
	}
	ev.severalCurrencies(a)
	ev.estimated(a)
	return a
}

// severalCurrencies warns of revenue that has no sum, in whatever row.
func (ev *evaluation) severalCurrencies(a *Answer) {
	for _, m := range []Metric{TotalRevenue, AverageRevenue} {
		if !ev.has(m) {
			continue
		}
		for _, r := range ev.total.revenue {
			if len(r) > 1 {
				a.warn(m, Warning{Code: "no_single_revenue_currency",
					Text: "Revenue metrics are null as there are several currencies among the events."})
				break
			}
		}
	}
}

func (a *Answer) warn(m Metric, w Warning) {
	if a.Warnings == nil {
		a.Warnings = map[Metric]Warning{}
	}
	a.Warnings[m] = w
}

// visitors adds those whose ids last to the others.
func (ev *evaluation) visitors() {
	if ev.lasting.n == 0 {
		return
	}
	for g, n := range ev.lasting.perGroup(len(ev.total.keys)) {
		ev.total.inc(uint32(g), nVisitors, n)
	}
}

// estimated says of visitors that they are, if they are, with the standard error
// of the largest row.
func (ev *evaluation) estimated(a *Answer) {
	if ev.lasting.level == 0 {
		return
	}
	most := 0.0
	for _, n := range ev.lasting.perGroup(len(ev.total.keys)) {
		most = max(most, float64(n))
	}
	text := fmt.Sprintf("Visitors are estimated, because there are more than %d of them; the standard error of the largest row is %.2g %%.",
		uniquesMax, ev.lasting.percentError(most))
	for _, m := range []Metric{Visitors, Percentage, ConversionRate, GroupConversionRate} {
		if ev.has(m) {
			a.warn(m, Warning{Code: "estimated", Text: text})
		}
	}
}

// empty tells whether nothing was counted in the group that a row would show.
func (ev *evaluation) empty(g int) bool {
	row := ev.total.counts[g*ev.total.stride:][:ev.total.stride]
	for _, c := range [...]int{nEvents, nVisits, nSessions, nDurations, nEngaged} {
		if p := ev.total.place[c]; p < len(row)-1 && row[p] > 0 {
			return false
		}
	}
	return true
}

// dims writes the texts of a row.
func (ev *evaluation) dims(out []string, g int) {
	k := ev.total.keys[g]
	lex := ev.picture.Days.Lexicon()
	if ev.timeAt >= 0 {
		out[ev.timeAt] = ev.buckets[k.bucket].Label
	}
	visit, event := ev.total.visits.at(k.visit), ev.total.events.at(k.event)
	for i, at := range ev.visitAt {
		out[at] = lex.Text(visit[i])
	}
	for i, at := range ev.eventAt {
		out[at] = lex.Text(event[i])
	}
}

func count(n uint64) Value { return Value{Number: float64(n)} }

// rounded gives x with the given number of decimals.
func rounded(x float64, decimals int) Value {
	p := math.Pow10(decimals)
	return Value{Number: math.Round(x*p) / p}
}

func (ev *evaluation) value(g int, m Metric) Value {
	x := func(counter int) uint64 { return ev.total.get(g, counter) }
	if p := ev.sub[m]; p != nil {
		v := p.value(ev.rowKey(g))
		switch m {
		case Percentage, ConversionRate, GroupConversionRate:
			return over(100*float64(x(nVisitors)), uint64(v.Number), 2)
		case ExitRate:
			if v.Number == 0 {
				return Value{Null: true}
			}
			return rounded(100*float64(x(nEntries))/v.Number, 1)
		}
		return v
	}
	switch m {
	case Visitors:
		return count(x(nVisitors))
	case Visits:
		return count(x(nVisits))
	case Pageviews:
		return count(x(nPageviews))
	case Events:
		return count(x(nEvents))
	case ViewsPerVisit:
		return over(float64(x(nSessionViews)), x(nSessions), 2)
	case BounceRate:
		return over(100*float64(x(nBounces)), x(nSessions), 0)
	case VisitDuration:
		return over(float64(x(nDurationMS))/1000, x(nDurations), 0)
	case Entries, Exits:
		return count(x(nEntries))
	case ScrollDepth:
		if x(nScrolls) == 0 {
			return Value{Null: true}
		}
		return over(float64(x(nScrollSum)), x(nScrolls), 0)
	case TimeOnPage:
		if x(nEngaged) == 0 || x(nViewing) == 0 {
			return Value{Null: true}
		}
		return over(float64(x(nEngagedMS))/1000, x(nViewing), 0)
	case TotalRevenue, AverageRevenue:
		return worth(ev.total.revenue[uint32(g)], m)
	}
	return Value{Null: true}
}

// over divides; 0 over nothing is 0.
func over(a float64, b uint64, decimals int) Value {
	if b == 0 {
		return Value{}
	}
	return rounded(a/float64(b), decimals)
}

// worth is a sum of money or its mean, if it is in one currency.
func worth(revenue map[string]money, m Metric) Value {
	if len(revenue) != 1 {
		return Value{Null: true}
	}
	for currency, r := range revenue {
		v := Value{Currency: currency, Number: float64(r.sum) / 1e6}
		if m == AverageRevenue {
			v.Number /= float64(r.count)
		}
		return v
	}
	return Value{}
}

// best gives the first n of groups in order: as asked, or time ascending, then
// the first metric descending, then dimensions ascending; ties always by
// dimensions ascending.
func (ev *evaluation) best(groups []int, n int) []int {
	compare := ev.order(groups)
	if n < len(groups)/4 {
		groups = choose(groups, n, compare)
	}
	slices.SortFunc(groups, compare)
	return groups[:n]
}

// choose gives the first n of groups in any order, by a heap of the best so far
// with the last of them on top.
func choose(groups []int, n int, compare func(a, b int) int) []int {
	heap := groups[:0:0]
	down := func(i int) {
		for {
			c := 2*i + 1
			if c >= len(heap) {
				return
			}
			if c+1 < len(heap) && compare(heap[c+1], heap[c]) > 0 {
				c++
			}
			if compare(heap[i], heap[c]) >= 0 {
				return
			}
			heap[i], heap[c] = heap[c], heap[i]
			i = c
		}
	}
	if n == 0 {
		return heap
	}
	heap = append(heap, groups[:n]...)
	for i := n/2 - 1; i >= 0; i-- {
		down(i)
	}
	for _, g := range groups[n:] {
		if compare(g, heap[0]) < 0 {
			heap[0] = g
			down(0)
		}
	}
	return heap
}

// order gives the comparison of groups; what it compares by is worked out once.
func (ev *evaluation) order(groups []int) func(a, b int) int {
	order := slices.Clone(ev.q.OrderBy)
	if len(order) == 0 {
		if ev.timeAt >= 0 {
			order = append(order, Order{Dimension: ev.q.Dimensions[ev.timeAt]})
		}
		order = append(order, Order{Metric: ev.q.Metrics[0], Desc: true})
	}
	by := make([][]float64, len(order)) // NaN where there is no figure
	at := make([]int, len(order))
	for k, o := range order {
		if o.Metric == "" {
			at[k] = slices.Index(ev.q.Dimensions, o.Dimension)
			continue
		}
		by[k] = make([]float64, len(ev.total.keys))
		for _, g := range groups {
			if v := ev.value(g, o.Metric); v.Null {
				by[k][g] = math.NaN()
			} else {
				by[k][g] = v.Number
			}
		}
	}
	return func(a, b int) int {
		for k, o := range order {
			c := 0
			if by[k] != nil {
				x, y := by[k][a], by[k][b]
				if none := math.IsNaN(x); none != math.IsNaN(y) {
					if none {
						return 1 // no figure comes last in either direction
					}
					return -1
				}
				c = cmp.Compare(x, y)
			} else {
				c = ev.compareDim(a, b, at[k])
			}
			if o.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		for i := range ev.q.Dimensions {
			if c := ev.compareDim(a, b, i); c != 0 {
				return c
			}
		}
		return 0
	}
}

func (ev *evaluation) compareDim(a, b, i int) int {
	if i == ev.timeAt {
		return cmp.Compare(ev.total.keys[a].bucket, ev.total.keys[b].bucket)
	}
	lex := ev.picture.Days.Lexicon()
	x, y := ev.rowKey(a).values[i], ev.rowKey(b).values[i]
	if x == y {
		return 0
	}
	return strings.Compare(lex.Text(x), lex.Text(y))
}
