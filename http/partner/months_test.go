package partner

import (
	"testing"

	"footfall/analytics/query"
)

func TestMonthsAnswersInTheDocumentedForm(t *testing.T) {
	w := newWorld(t)
	w.asker.answer = func(_ int, q *query.Question) (*query.Answer, error) {
		a := &query.Answer{Index: 123}
		switch {
		case len(q.Dimensions) == 0:
			a.Rows = []query.Row{{Values: num(40, 20, 100, 2.5, 44, 60)}}
		case q.Dimensions[0] == query.TimeMonth:
			a.Rows = []query.Row{{Dims: []string{"2026-04-01"}, Values: num(90, 50, 180, 2, 50, 30)}, {Dims: []string{"2026-05-01"}, Values: num(60, 30, 91, 1.516, 41, 75)}}
		case q.Dimensions[0] == query.EventPage:
			a.Rows = []query.Row{{Dims: []string{"/"}, Values: num(80, 25)}}
		default:
			a.Rows = []query.Row{{Dims: []string{"Direct / None"}, Values: num(25, 30)}}
		}
		return a, nil
	}
	got := w.call(key, "GET", "/v1/sites/example.com/months?months=2", "")
	want := `{"site":"example.com","timezone":"Europe/Berlin","as_of":123,"months":[` +
		`{"month":"2026-05","partial":true,"days_elapsed":13,"days":31,"visits":60,"visitors":30,"pageviews":91,"views_per_visit":1.52,"bounce_rate":41,"visit_duration":75,` +
		`"new_pages":0,"best_pages":[{"page":"/","pageviews":80,"visitors":25}],"best_sources":[{"source":"Direct / None","visitors":25,"visits":30}],` +
		`"change":{"month":{"visits":50,"visitors":50,"pageviews":-9,"views_per_visit":-39,"bounce_rate":-3,"visit_duration":25},"year":null}},` +
		`{"month":"2026-04","partial":false,"days_elapsed":30,"days":30,"visits":90,"visitors":50,"pageviews":180,"views_per_visit":2,"bounce_rate":50,"visit_duration":30,` +
		`"new_pages":0,"best_pages":[{"page":"/","pageviews":80,"visitors":25}],"best_sources":[{"source":"Direct / None","visitors":25,"visits":30}],` +
		`"change":{"month":{"visits":100,"visitors":100,"pageviews":100,"views_per_visit":100,"bounce_rate":50,"visit_duration":100},"year":null}}]}`
	if got.status != 200 || got.body != want || got.header.Get("X-Footfall-Index") != "123" {
		t.Errorf("got %d %s\nwant %s", got.status, got.body, want)
	}
}

func TestMonthsOfASiteWithoutEvents(t *testing.T) {
	w := newWorld(t)
	delete(w.firsts, 1)
	got := w.call(key, "GET", "/v1/sites/example.com/months", "")
	if want := `{"site":"example.com","timezone":"Europe/Berlin","as_of":0,"months":[]}`; got.status != 200 || got.body != want {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestEveryErrorOfMonthsNamesItsField(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{"months=0", "months: must be a number between 1 and 120"},
		{"months=121", "months: must be a number between 1 and 120"},
		{"months=two", "months: must be a number between 1 and 120"},
		{"end=2026", "end: must be a month, YYYY-MM"},
		{"end=2026-13", "end: must be a month, YYYY-MM"},
		{"end=2026-06", "end: 2026-06 has not begun"},
	} {
		w := newWorld(t)
		if got := w.call(key, "GET", "/v1/sites/example.com/months?"+c.query, ""); got.status != 400 || got.problem(t) != c.want {
			t.Errorf("%s: got %d %s", c.query, got.status, got.body)
		}
	}
}
