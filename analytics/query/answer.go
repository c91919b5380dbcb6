package query

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// byEntryAndExit takes figures that belong to the entering or leaving page, not
// to every page of a visit, from questions of their own: the bounce rate under a
// page filter or breakdown is that of visits entering there.
func (ev *evaluation) byEntryAndExit() error {
	q := ev.q
	ev.override, ev.overrideAll = map[Metric]map[string]Value{}, map[Metric]bool{}
	paged := q.Filter.uses(EventPage) || slices.Contains(q.Dimensions, EventPage)
	ask := func(m, as Metric, with map[Dimension]Dimension) error {
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
		a, err := Evaluate(ev.ctx, ev.view, ev.src, &sub)
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
	if paged {
		entering := map[Dimension]Dimension{EventPage: EntryPage}
		if err := ask(BounceRate, BounceRate, entering); err != nil {
			return err
		}
		if err := ask(Entries, Entries, entering); err != nil {
			return err
		}
		if err := ask(Exits, Exits, map[Dimension]Dimension{EventPage: ExitPage}); err != nil {
			return err
		}
	}
	if err := ask(ExitRate, Pageviews, map[Dimension]Dimension{ExitPage: EventPage}); err != nil {
		return err
	}
	if ev.has(Percentage) {
		sub := *q
		sub.Metrics, sub.Dimensions, sub.OrderBy, sub.Limit, sub.Offset = []Metric{Visitors}, nil, nil, 0, 0
		a, err := Evaluate(ev.ctx, ev.view, ev.src, &sub)
		if err != nil {
			return err
		}
		ev.everyone = a.Rows[0].Values[0].Number
	}
	return nil
}

func (ev *evaluation) answer() (*Answer, error) {
	a := &Answer{Index: ev.view.Index}
	rows := make([]row, 0, len(ev.groups))
	for i := range ev.groups {
		x := &ev.groups[i]
		if x.empty() && len(ev.q.Dimensions) > 0 {
			continue
		}
		r := row{Row: Row{Dims: ev.dims(x)}, bucket: x.bucket}
		key := strings.Join(r.Dims, "\x00")
		for _, m := range ev.q.Metrics {
			v, warning := ev.value(x, m, key)
			if warning.Code != "" {
				if a.Warnings == nil {
					a.Warnings = map[Metric]Warning{}
				}
				a.Warnings[m] = warning
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
	return a, nil
}

// row keeps the bucket, because two hours of a day can have one name.
type row struct {
	Row
	bucket int32
}

// empty tells whether nothing was counted in the group that a row would show.
func (x *group) empty() bool {
	return x.events == 0 && x.visits == 0 && x.sessions == 0 && x.durations == 0 && x.engaged == 0
}

func (ev *evaluation) dims(x *group) []string {
	out := make([]string, len(ev.q.Dimensions))
	if ev.timeAt >= 0 {
		out[ev.timeAt] = ev.buckets[x.bucket].Label
	}
	for k, at := range ev.visitAt {
		out[at] = ev.visitVal[k].texts[ev.visitTup.list[x.visit][k]]
	}
	for k, at := range ev.eventAt {
		out[at] = ev.eventVal[k].texts[ev.eventTup.list[x.event][k]]
	}
	return out
}

func count(n uint64) Value { return Value{Number: float64(n)} }

// rounded gives x with the given number of decimals.
func rounded(x float64, decimals int) Value {
	p := math.Pow10(decimals)
	return Value{Number: math.Round(x*p) / p}
}

func (ev *evaluation) value(x *group, m Metric, key string) (Value, Warning) {
	if m != ExitRate && ev.overrideAll[m] {
		return ev.override[m][key], Warning{}
	}
	switch m {
	case Visitors:
		return count(x.visitors), Warning{}
	case Visits:
		return count(x.visits), Warning{}
	case Pageviews:
		return count(x.pageviews), Warning{}
	case Events:
		return count(x.events), Warning{}
	case ViewsPerVisit:
		return over(float64(x.sessionViews), x.sessions, 2), Warning{}
	case BounceRate:
		return over(100*float64(x.bounces), x.sessions, 0), Warning{}
	case VisitDuration:
		return over(float64(x.durationMS)/1000, x.durations, 0), Warning{}
	case Entries, Exits:
		return count(x.entries), Warning{}
	case Percentage:
		return over(100*float64(x.visitors), uint64(ev.everyone), 2), Warning{}
	case ExitRate:
		views := ev.override[ExitRate][key].Number
		if views == 0 {
			return Value{Null: true}, Warning{}
		}
		return rounded(100*float64(x.entries)/views, 1), Warning{}
	case ScrollDepth:
		if x.scrolls == 0 {
			return Value{Null: true}, Warning{}
		}
		return over(float64(x.scrollSum), x.scrolls, 0), Warning{}
	case TimeOnPage:
		if x.engaged == 0 || x.viewing == 0 {
			return Value{Null: true}, Warning{}
		}
		return over(float64(x.engagedMS)/1000, x.viewing, 0), Warning{}
	case TotalRevenue, AverageRevenue:
		return x.money(m)
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

func (x *group) money(m Metric) (Value, Warning) {
	if len(x.revenue) == 0 {
		return Value{Null: true}, Warning{}
	}
	if len(x.revenue) > 1 {
		return Value{Null: true}, Warning{Code: "no_single_revenue_currency",
			Text: "Revenue metrics are null as there are several currencies among the events."}
	}
	for currency, r := range x.revenue {
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
func (ev *evaluation) sort(rows []row) {
	order := ev.q.OrderBy
	if len(order) == 0 {
		if ev.timeAt >= 0 {
			order = append(order, Order{Dimension: ev.q.Dimensions[ev.timeAt]})
		}
		order = append(order, Order{Metric: ev.q.Metrics[0], Desc: true})
	}
	slices.SortStableFunc(rows, func(a, b row) int {
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

func (ev *evaluation) compareDim(a, b row, i int) int {
	if i == ev.timeAt {
		return cmp.Compare(a.bucket, b.bucket)
	}
	return strings.Compare(a.Dims[i], b.Dims[i])
}
