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
	ev.override, ev.overrideAll = map[Metric]map[string]Value{}, map[Metric]bool{}
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
	if ev.has(Percentage) {
		sub := *q
		sub.Metrics, sub.Dimensions, sub.OrderBy, sub.Limit, sub.Offset = []Metric{Visitors}, nil, nil, 0, 0
		a, err := ev.picture.Ask(ev.ctx, &sub)
		if err != nil {
			return err
		}
		ev.everyone = a.Rows[0].Values[0].Number
	}
	return ev.conversions()
}

// ask answers metric m by a question for metric as with other dimensions.
func (ev *evaluation) ask(m, as Metric, with map[Dimension]Dimension) error {
	q := ev.q
	if !ev.has(m) {
		return nil
	}
	sub := *q
	sub.Metrics, sub.OrderBy, sub.Limit, sub.Offset = []Metric{as}, nil, 0, 0
	sub.Filter = swap(q.Filter, with)
	sub.Dimensions = slices.Clone(q.Dimensions)
	for i, d := range sub.Dimensions {
		if to, ok := with[d]; ok {
			sub.Dimensions[i] = to
		}
	}
	return ev.rowsOf(m, &sub)
}

// rowsOf notes the first figure of each row of the answer to sub under m.
func (ev *evaluation) rowsOf(m Metric, sub *Question) error {
	a, err := ev.picture.Ask(ev.ctx, sub)
	if err != nil {
		return err
	}
	rows := make(map[string]Value, len(a.Rows))
	for _, r := range a.Rows {
		rows[strings.Join(r.Dims, "\x00")] = r.Values[0]
	}
	ev.override[m], ev.overrideAll[m] = rows, true
	return nil
}

// conversions asks how many visitors there are without the goals: in all, and in
// each group of the other dimensions.
func (ev *evaluation) conversions() error {
	q := ev.q
	if !ev.has(ConversionRate, GroupConversionRate) {
		return nil
	}
	sub := *q
	sub.Metrics, sub.OrderBy, sub.Limit, sub.Offset = []Metric{Visitors}, nil, 0, 0
	sub.Filter, sub.Goals = q.Filter.withoutGoals(), nil
	if ev.has(GroupConversionRate) {
		sub.Dimensions = slices.DeleteFunc(slices.Clone(q.Dimensions), func(d Dimension) bool { return d == EventGoal })
		if err := ev.rowsOf(GroupConversionRate, &sub); err != nil {
			return err
		}
	}
	if ev.has(ConversionRate) {
		sub.Dimensions = slices.DeleteFunc(slices.Clone(q.Dimensions), func(d Dimension) bool { _, ok := IntervalOf(d); return !ok })
		return ev.rowsOf(ConversionRate, &sub)
	}
	return nil
}

// withoutGoal gives the key of a row among those of conversions: its values of
// all dimensions but the goal, or of the time alone.
func (ev *evaluation) withoutGoal(dims []string, timeOnly bool) string {
	var left []string
	for i, d := range ev.q.Dimensions {
		if _, isTime := IntervalOf(d); d != EventGoal && (isTime || !timeOnly) {
			left = append(left, dims[i])
		}
	}
	return strings.Join(left, "\x00")
}

func (ev *evaluation) answer() (*Answer, error) {
	a := &Answer{Index: ev.picture.View.Index}
	ev.visitors()
	rows := make([]sortedRow, 0, len(ev.total.keys))
	for g := range ev.total.keys {
		if len(ev.q.Dimensions) > 0 && ev.empty(g) {
			continue
		}
		r := sortedRow{Row: Row{Dims: ev.dims(g)}, bucket: ev.total.keys[g].bucket}
		joined := strings.Join(r.Dims, "\x00")
		for _, m := range ev.q.Metrics {
			v, warning := ev.value(g, m, r.Dims, joined)
			if warning.Code != "" {
				a.warn(m, warning)
			}
			r.Values = append(r.Values, v)
		}
		rows = append(rows, r)
	}
	ev.sort(rows)
	a.TotalRows = len(rows)
	rows = rows[min(ev.q.Offset, len(rows)):]
	if ev.q.Limit > 0 && len(rows) > ev.q.Limit {
		rows = rows[:ev.q.Limit]
	}
	a.Rows = make([]Row, len(rows))
	for i := range rows {
		a.Rows[i] = rows[i].Row
	}
	ev.estimated(a)
	return a, nil
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

// row keeps the bucket, because two hours of a day can have one name.
type sortedRow struct {
	Row
	bucket int32
}

// empty tells whether nothing was counted in the group that a row would show.
func (ev *evaluation) empty(g int) bool {
	for _, c := range []int{nEvents, nVisits, nSessions, nDurations, nEngaged} {
		if ev.total.get(g, c) > 0 {
			return false
		}
	}
	return true
}

func (ev *evaluation) dims(g int) []string {
	k := ev.total.keys[g]
	lex := ev.picture.Days.Lexicon()
	out := make([]string, len(ev.q.Dimensions))
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
	return out
}

func count(n uint64) Value { return Value{Number: float64(n)} }

// rounded gives x with the given number of decimals.
func rounded(x float64, decimals int) Value {
	p := math.Pow10(decimals)
	return Value{Number: math.Round(x*p) / p}
}

func (ev *evaluation) value(g int, m Metric, dims []string, joined string) (Value, Warning) {
	x := func(counter int) uint64 { return ev.total.get(g, counter) }
	switch m {
	case ConversionRate:
		return over(100*float64(x(nVisitors)), uint64(ev.override[m][ev.withoutGoal(dims, true)].Number), 2), Warning{}
	case GroupConversionRate:
		return over(100*float64(x(nVisitors)), uint64(ev.override[m][ev.withoutGoal(dims, false)].Number), 2), Warning{}
	case ExitRate:
		views := ev.override[ExitRate][joined].Number
		if views == 0 {
			return Value{Null: true}, Warning{}
		}
		return rounded(100*float64(x(nEntries))/views, 1), Warning{}
	}
	if ev.overrideAll[m] {
		return ev.override[m][joined], Warning{}
	}
	switch m {
	case Visitors:
		return count(x(nVisitors)), Warning{}
	case Visits:
		return count(x(nVisits)), Warning{}
	case Pageviews:
		return count(x(nPageviews)), Warning{}
	case Events:
		return count(x(nEvents)), Warning{}
	case ViewsPerVisit:
		return over(float64(x(nSessionViews)), x(nSessions), 2), Warning{}
	case BounceRate:
		return over(100*float64(x(nBounces)), x(nSessions), 0), Warning{}
	case VisitDuration:
		return over(float64(x(nDurationMS))/1000, x(nDurations), 0), Warning{}
	case Entries, Exits:
		return count(x(nEntries)), Warning{}
	case Percentage:
		return over(100*float64(x(nVisitors)), uint64(ev.everyone), 2), Warning{}
	case ScrollDepth:
		if x(nScrolls) == 0 {
			return Value{Null: true}, Warning{}
		}
		return over(float64(x(nScrollSum)), x(nScrolls), 0), Warning{}
	case TimeOnPage:
		if x(nEngaged) == 0 || x(nViewing) == 0 {
			return Value{Null: true}, Warning{}
		}
		return over(float64(x(nEngagedMS))/1000, x(nViewing), 0), Warning{}
	case TotalRevenue, AverageRevenue:
		return worth(ev.total.revenue[uint32(g)], m)
	}
	return Value{Null: true}, Warning{}
}

// over divides; 0 over nothing is 0.
func over(a float64, b uint64, decimals int) Value {
	if b == 0 {
		return Value{}
	}
	return rounded(a/float64(b), decimals)
}

// worth is a sum of money or its mean, if it is in one currency.
func worth(revenue map[string]money, m Metric) (Value, Warning) {
	if len(revenue) == 0 {
		return Value{Null: true}, Warning{}
	}
	if len(revenue) > 1 {
		return Value{Null: true}, Warning{Code: "no_single_revenue_currency",
			Text: "Revenue metrics are null as there are several currencies among the events."}
	}
	for currency, r := range revenue {
		v := Value{Currency: currency, Number: float64(r.sum) / 1e6}
		if m == AverageRevenue {
			v.Number /= float64(r.count)
		}
		return v, Warning{}
	}
	return Value{}, Warning{}
}

// sort orders the rows: as asked, or time ascending, then the first metric
// descending, then dimensions ascending; ties always by dimensions ascending.
func (ev *evaluation) sort(rows []sortedRow) {
	order := ev.q.OrderBy
	if len(order) == 0 {
		if ev.timeAt >= 0 {
			order = append(order, Order{Dimension: ev.q.Dimensions[ev.timeAt]})
		}
		order = append(order, Order{Metric: ev.q.Metrics[0], Desc: true})
	}
	slices.SortStableFunc(rows, func(a, b sortedRow) int {
		for _, o := range order {
			c := 0
			if o.Metric != "" {
				i := slices.Index(ev.q.Metrics, o.Metric)
				x, y := a.Values[i], b.Values[i]
				if x.Null != y.Null {
					if x.Null {
						return 1 // no figure comes last in either direction
					}
					return -1
				}
				c = cmp.Compare(x.Number, y.Number)
			} else {
				c = ev.compareDim(a, b, slices.Index(ev.q.Dimensions, o.Dimension))
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
	})
}

func (ev *evaluation) compareDim(a, b sortedRow, i int) int {
	if i == ev.timeAt {
		return cmp.Compare(a.bucket, b.bucket)
	}
	return strings.Compare(a.Dims[i], b.Dims[i])
}
