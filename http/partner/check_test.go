package partner

import (
	"slices"
	"testing"

	"footfall/analytics/query"
)

// checkQuestion holds a question to what package query is promised: whatever a
// caller sends, only questions that are complete and checked are asked.
func checkQuestion(t testing.TB, q *query.Question) {
	t.Helper()
	if q.Zone == nil || q.Now == 0 || len(q.Metrics) == 0 || q.To < q.From {
		t.Errorf("incomplete: %+v", q)
	}
	for i, m := range q.Metrics {
		if _, ok := metricNamed(string(m)); !ok || slices.Contains(q.Metrics[:i], m) {
			t.Errorf("metrics %q", q.Metrics)
		}
	}
	times := 0
	for i, d := range q.Dimensions {
		if _, ok := dimensionNamed(string(d)); !ok || d == query.Time || slices.Contains(q.Dimensions[:i], d) {
			t.Errorf("dimensions %q", q.Dimensions)
		}
		if isTime(d) {
			times++
		}
		if width := widthOf(d); width > 0 && (q.To-q.From)/width > bucketsMax {
			t.Errorf("%d ms by %s", q.To-q.From, d)
		}
	}
	if times > 1 {
		t.Errorf("dimensions %q", q.Dimensions)
	}
	if len(q.Goals) > 0 && !slices.Contains(q.Dimensions, query.EventGoal) {
		t.Errorf("goals without rows for them: %+v", q)
	}
	for _, o := range q.OrderBy {
		if o.Metric != "" && !slices.Contains(q.Metrics, o.Metric) || o.Metric == "" && !slices.Contains(q.Dimensions, o.Dimension) {
			t.Errorf("order %+v of %q, %q", o, q.Metrics, q.Dimensions)
		}
	}
	checkFilter(t, q.Filter, false)
}

func checkFilter(t testing.TB, f *query.Filter, inside bool) {
	t.Helper()
	if f == nil {
		return
	}
	switch f.Op {
	case query.And, query.Or:
		if len(f.Children) == 0 {
			t.Errorf("nothing in %+v", f)
		}
	case query.Not:
		if len(f.Children) != 1 {
			t.Errorf("%d children: %+v", len(f.Children), f)
		}
	case query.HasDone:
		if len(f.Children) != 1 || inside {
			t.Errorf("%d children, inside another: %v: %+v", len(f.Children), inside, f)
		}
		inside = true
	case query.Reached:
		if len(f.Goals) == 0 || slices.Contains(f.Goals, nil) || f.Negated {
			t.Errorf("goals %v", f.Goals)
		}
	default:
		if d, ok := dimensionNamed(string(f.Dim)); !ok || isTime(d) || d == query.EventGoal || inside && !ofEvents(d) {
			t.Errorf("a test of %q, inside has_done: %v", f.Dim, inside)
		}
		if (f.Op == query.Matches) != (len(f.Patterns) > 0) || (f.Op == query.Matches) == (len(f.Values) > 0) {
			t.Errorf("%d values and %d patterns of %+v", len(f.Values), len(f.Patterns), f)
		}
	}
	for _, c := range f.Children {
		checkFilter(t, c, inside)
	}
}
