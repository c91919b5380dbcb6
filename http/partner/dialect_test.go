package partner

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
)

// decoded gives a body as doors hand it on.
func decoded(t *testing.T, body string) map[string]any {
	t.Helper()
	m, err := decodeObject([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOtherDoorsReadAWholeQuestion(t *testing.T) {
	w := newWorld(t).define()
	site, now := w.sites["example.com"], w.now.UnixMilli()
	q, err := w.door.Question(context.Background(), site, key, decoded(t, `{"site_id":"x","metrics":["visitors"],"date_range":"month","dimensions":["time","event:goal"],
		"filters":[["is","event:goal",["Signup"]],["is","segment",[11]]],"order_by":[["time","desc"]],"include":{"trim_relative_date_range":true},"pagination":{"limit":7,"offset":3}}`), now)
	if err != nil {
		t.Fatal(err)
	}
	checkQuestion(t, q)
	if q.From != at(t, "2026-05-01T00:00:00+02:00") || q.To != at(t, "2026-05-14T00:00:00+02:00") || q.Limit != 7 || q.Offset != 3 || q.Now != now ||
		!reflect.DeepEqual(q.Dimensions, []query.Dimension{query.TimeDay, query.EventGoal}) || !reflect.DeepEqual(q.OrderBy, []query.Order{{Dimension: query.TimeDay, Desc: true}}) ||
		show(q.Filter) != "and(reached event:goal [Signup], is visit:country [DE])" || !reflect.DeepEqual(goalNames(q.Goals), []string{"Signup"}) {
		t.Errorf("%+v, %s", q, show(q.Filter))
	}
	q, err = w.door.Question(context.Background(), site, key, decoded(t, with("")), now)
	if err != nil || q.Limit != 0 {
		t.Errorf("a limit that nobody asked for: %+v, %v", q, err)
	}
	for body, want := range map[string]string{
		with(`"include":{"comparisons":{"mode":"previous_period"}}`):            "#/include/comparisons: cannot be asked for here",
		`{"metrics":["visitors"]}`:                                              "#: Required property date_range was not present.",
		`{"metrics":["visitors"],"date_range":"never"}`:                         `#/date_range: Invalid date range "never"`,
		`{"metrics":["visitors"],"date_range":"day","filters":[["is","x",[]]]}`: `#/filters/0: Invalid filter ["is","x",[]]`,
	} {
		if _, err := w.door.Question(context.Background(), site, key, decoded(t, body), now); err == nil || err.Error() != want || analytics.CodeOf(err) != analytics.Invalid {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestOtherDoorsReadSpansAndFilters(t *testing.T) {
	w := newWorld(t).define()
	site, now := w.sites["example.com"], w.now.UnixMilli()
	p, err := w.door.Span(context.Background(), site, "all", now)
	if err != nil || p.From != at(t, "2026-02-10T00:00:00+01:00") || p.To != at(t, "2026-05-14T00:00:00+02:00") {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := w.door.Span(context.Background(), site, nil, now); err == nil || err.Error() != "#/date_range: Invalid date range null" {
		t.Errorf("no range: %v", err)
	}
	w.door.cfg.First = noFirst{}
	if _, err := w.door.Span(context.Background(), site, "all", now); analytics.CodeOf(err) != analytics.Unavailable {
		t.Errorf("no first event: %v", err)
	}
	f, err := w.door.Filter(context.Background(), site, accounts.Identity{User: 3, Org: 1, Role: accounts.Viewer}, decoded(t, `{"f":[["is","segment",[13]]]}`)["f"])
	if err != nil || show(f) != "is visit:city [2950159]" {
		t.Errorf("%s, %v", show(f), err)
	}
	if _, err := w.door.Filter(context.Background(), site, key, decoded(t, `{"f":[["is","segment",[13]]]}`)["f"]); err == nil || !strings.Contains(err.Error(), "segments") {
		t.Errorf("another's segment: %v", err)
	}
	if f, err := w.door.Filter(context.Background(), site, key, nil); f != nil || err != nil {
		t.Errorf("none: %v, %v", f, err)
	}
	if _, err := w.door.Filter(context.Background(), site, key, "is"); err == nil || err.Error() != "#/filters: Type mismatch. Expected Array but got String." {
		t.Errorf("no list: %v", err)
	}
}

func TestOtherDoorsFindSites(t *testing.T) {
	w := newWorld(t)
	var ctx fasthttp.RequestCtx
	if s, err := w.door.Site(&ctx, key, "WWW.example.com"); err != nil || s.ID != 1 {
		t.Errorf("%v, %v", s, err)
	}
	if _, err := w.door.Site(&ctx, key, "elsewhere.org"); analytics.CodeOf(err) != analytics.Unauthorized {
		t.Errorf("another's site: %v", err)
	}
}
