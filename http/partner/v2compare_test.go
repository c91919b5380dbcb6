package partner

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"footfall/analytics/query"
)

// compared asks with comparisons; the answers are those to the two questions.
func compared(w *world, members, comparisons string, now, then []query.Row) (results, meta string) {
	w.t.Helper()
	w.asker.asked = nil
	w.asker.answer = func(n int, _ *query.Question) (*query.Answer, error) {
		if n == 0 {
			return &query.Answer{Rows: now, TotalRows: len(now), Index: 9}, nil
		}
		return &query.Answer{Rows: then, TotalRows: len(then), Index: 8}, nil
	}
	got := w.query(`{"site_id":"example.com",` + members + `,"include":{"time_labels":` + boolText(strings.Contains(members, `"time`)) + `,"comparisons":` + comparisons + `}}`)
	var parts struct{ Results, Meta json.RawMessage }
	if err := json.Unmarshal([]byte(got.body), &parts); err != nil || got.status != 200 {
		w.t.Fatalf("%d %s", got.status, got.body)
	}
	return string(parts.Results), string(parts.Meta)
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func TestComparisonsAskForTheRightRange(t *testing.T) {
	for _, c := range []struct{ name, dateRange, comparisons, from, to string }{
		{"seven days before", `"7d"`, `{"mode":"previous_period"}`, "2026-04-29T00:00:00+02:00", "2026-05-06T00:00:00+02:00"},
		{"today, to the same minute", `"day"`, `{"mode":"previous_period"}`, "2026-05-12T00:00:00+02:00", "2026-05-12T14:30:00+02:00"},
		{"the month before, to the same day", `"month"`, `{"mode":"previous_period"}`, "2026-04-01T00:00:00+02:00", "2026-04-13T14:30:00+02:00"},
		{"six months before", `"6mo"`, `{"mode":"previous_period"}`, "2025-05-01T00:00:00+02:00", "2025-11-01T00:00:00+01:00"},
		{"the year before, to the same day", `"year"`, `{"mode":"year_over_year"}`, "2025-01-01T00:00:00+01:00", "2025-05-13T14:30:00+02:00"},
		{"seven days a year before", `"7d"`, `{"mode":"year_over_year"}`, "2025-05-06T00:00:00+02:00", "2025-05-13T00:00:00+02:00"},
		{"weekdays together", `"7d"`, `{"mode":"year_over_year","match_day_of_week":true}`, "2025-05-07T00:00:00+02:00", "2025-05-14T00:00:00+02:00"},
		{"two dates", `"7d"`, `{"mode":"custom","date_range":["2026-01-01","2026-01-03"]}`, "2026-01-01T00:00:00+01:00", "2026-01-04T00:00:00+01:00"},
		{"24 hours before", `"24h"`, `{"mode":"previous_period"}`, "2026-05-11T14:30:00+02:00", "2026-05-12T14:30:00+02:00"},
	} {
		w := newWorld(t)
		compared(w, `"metrics":["visitors"],"date_range":`+c.dateRange, c.comparisons, []query.Row{{Values: num(1)}}, []query.Row{{Values: num(1)}})
		q := w.asker.asked[1]
		if c.name == "24 hours before" { // both spans have a millisecond more, for what happens now
			q.From++
		}
		if q.From != at(t, c.from) || q.To != at(t, c.to) {
			t.Errorf("%s: asked for %s … %s, want %s … %s", c.name, stamp(q.From, q.Zone), stamp(q.To, q.Zone), c.from, c.to)
		}
	}
}

func TestComparedRowsAreJoined(t *testing.T) {
	null := query.Value{Null: true}
	for _, c := range []struct {
		name, members string
		now, then     []query.Row
		want          string
	}{
		{"an aggregate", `"metrics":["visitors","bounce_rate"],"date_range":"7d"`,
			[]query.Row{{Values: num(150, 40)}}, []query.Row{{Values: num(100, 45)}},
			`[{"dimensions":[],"metrics":[150,40],"comparison":{"dimensions":[],"metrics":[100,45],"change":[50,-5]}}]`},
		{"a breakdown, by value", `"metrics":["visitors","scroll_depth"],"date_range":"7d","dimensions":["event:page","visit:source"]`,
			[]query.Row{{Dims: []string{"/a", "Google"}, Values: append(num(4), null)}, {Dims: []string{"/b", "Bing"}, Values: num(2, 50)}},
			[]query.Row{{Dims: []string{"/c", "Google"}, Values: num(9, 9)}, {Dims: []string{"/a", "Google"}, Values: num(8, 10)}},
			`[{"dimensions":["/a","Google"],"metrics":[4,null],"comparison":{"dimensions":["/a","Google"],"metrics":[8,10],"change":[-50,null]}},` +
				`{"dimensions":["/b","Bing"],"metrics":[2,50],"comparison":{"dimensions":["/b","Bing"],"metrics":[0,null],"change":[100,null]}}]`},
		{"a series, by position, without holes", `"metrics":["visitors"],"date_range":["2026-03-02","2026-03-05"],"dimensions":["time:day"]`,
			[]query.Row{{Dims: []string{"2026-03-02"}, Values: num(4)}, {Dims: []string{"2026-03-05"}, Values: num(6)}},
			[]query.Row{{Dims: []string{"2026-02-26"}, Values: num(2)}, {Dims: []string{"2026-02-27"}, Values: num(7)}},
			`[{"dimensions":["2026-03-02"],"metrics":[4],"comparison":{"dimensions":["2026-02-26"],"metrics":[2],"change":[100]}},` +
				`{"dimensions":["2026-03-03"],"metrics":[0],"comparison":{"dimensions":["2026-02-27"],"metrics":[7],"change":[-100]}},` +
				`{"dimensions":["2026-03-05"],"metrics":[6],"comparison":{"dimensions":["2026-03-01"],"metrics":[0],"change":[100]}}]`},
		{"a series in another order, and a page of it", `"metrics":["visitors"],"date_range":["2026-03-02","2026-03-05"],"dimensions":["time:day"],"order_by":[["visitors","desc"]],"pagination":{"limit":1,"offset":1}`,
			[]query.Row{{Dims: []string{"2026-03-05"}, Values: num(6)}, {Dims: []string{"2026-03-02"}, Values: num(4)}},
			[]query.Row{{Dims: []string{"2026-02-27"}, Values: num(7)}},
			`[{"dimensions":["2026-03-02"],"metrics":[4],"comparison":{"dimensions":["2026-02-26"],"metrics":[0],"change":[100]}}]`},
		{"a month and a longer one", `"metrics":["visitors"],"date_range":["2026-03-31","2026-03-31"],"dimensions":["time:day","visit:os"]`,
			[]query.Row{{Dims: []string{"2026-03-31", "Mac"}, Values: num(6)}},
			[]query.Row{{Dims: []string{"2026-03-30", "iOS"}, Values: num(1)}, {Dims: []string{"2026-03-30", "Mac"}, Values: num(3)}},
			`[{"dimensions":["2026-03-31","Mac"],"metrics":[6],"comparison":{"dimensions":["2026-03-30","Mac"],"metrics":[3],"change":[100]}}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			got, _ := compared(w, c.members, `{"mode":"previous_period"}`, c.now, c.then)
			if got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestHoursThatOccurTwiceKeepTheirPlaces(t *testing.T) {
	w := newWorld(t)
	w.now = time.UnixMilli(at(t, "2026-10-27T12:00:00Z"))
	row := func(hour string, n float64) query.Row {
		return query.Row{Dims: []string{"2026-10-25 " + hour + ":00:00"}, Values: num(n)}
	}
	got, meta := compared(w, `"metrics":["visitors"],"date_range":["2026-10-25","2026-10-25"],"dimensions":["time:hour"]`, `{"mode":"previous_period"}`,
		[]query.Row{row("02", 1), row("02", 2), row("03", 3)},
		[]query.Row{{Dims: []string{"2026-10-24 03:00:00"}, Values: num(4)}, {Dims: []string{"2026-10-24 04:00:00"}, Values: num(6)}})
	want := `[{"dimensions":["2026-10-25 02:00:00"],"metrics":[1],"comparison":{"dimensions":["2026-10-24 02:00:00"],"metrics":[0],"change":[100]}},` +
		`{"dimensions":["2026-10-25 02:00:00"],"metrics":[2],"comparison":{"dimensions":["2026-10-24 03:00:00"],"metrics":[4],"change":[-50]}},` +
		`{"dimensions":["2026-10-25 03:00:00"],"metrics":[3],"comparison":{"dimensions":["2026-10-24 04:00:00"],"metrics":[6],"change":[-50]}}]`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if n := strings.Count(meta, `"2026-10-25 `); n != 24 {
		t.Errorf("%d labels: %s", n, meta)
	}
}

func TestAComparisonTellsItsRangeAndTheLeastIndex(t *testing.T) {
	w := newWorld(t)
	_, meta := compared(w, `"metrics":["visitors"],"date_range":["2026-03-02","2026-03-03"],"dimensions":["time:day"]`, `{"mode":"previous_period"}`, nil, nil)
	want := `{"as_of":8,"partial":false,"time_labels":["2026-03-02","2026-03-03"],"partial_time_labels":[],` +
		`"comparison_time_labels":["2026-02-28","2026-03-01"],"comparison_date_range":["2026-02-28T00:00:00+01:00","2026-03-01T23:59:59+01:00"]}`
	if meta != want {
		t.Errorf("got %s\nwant %s", meta, want)
	}
}
