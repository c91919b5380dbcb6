package partner

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"footfall/analytics/query"
)

// with puts members into the smallest query.
func with(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"site_id":"example.com","metrics":["visitors"],"date_range":"day"` + members + `}`
}

func TestEveryErrorOfV2HasItsText(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"site_id":"example.com","metrics":["visitors","baa"],"date_range":"day"}`, `#/metrics/1: Invalid metric "baa"`},
		{`{"site_id":"example.com","metrics":["visitors",3],"date_range":"day"}`, `#/metrics/1: Invalid metric 3`},
		{`{"site_id":"example.com","metrics":["visitors","visitors"],"date_range":"day"}`, `#/metrics: Expected items to be unique but they were not.`},
		{`{"site_id":"example.com","metrics":[],"date_range":"day"}`, `#/metrics: Expected a minimum of 1 items but got 0.`},
		{`{"site_id":"example.com","metrics":"visitors","date_range":"day"}`, `#/metrics: Type mismatch. Expected Array but got String.`},
		{`{"site_id":"example.com","date_range":"day"}`, `#: Required property metrics was not present.`},
		{`{"site_id":"example.com","metrics":["visitors"]}`, `#: Required property date_range was not present.`},
		{`{"metrics":["visitors"],"date_range":"day"}`, `Missing site ID. Please provide the required site_id parameter with your request.`},
		{`{"site_id":7,"metrics":["visitors"],"date_range":"day"}`, `Missing site ID. Please provide the required site_id parameter with your request.`},
		{`{"site_id"`, `#: Invalid JSON`},
		{with("") + "x", `#: Invalid JSON`},
		{`[]`, `#: Type mismatch. Expected Object but got Array.`},
		{with(`"metric":1,"a":2`), `#/a: Schema does not allow additional properties.`},
		{with(`"dimensions":["badproperty"]`), `#/dimensions/0: Invalid dimension "badproperty"`},
		{with(`"dimensions":["event:props:"]`), `#/dimensions/0: Invalid dimension "event:props:"`},
		{with(`"dimensions":["visit:source","visit:goal"]`), `#/dimensions/1: Invalid dimension "visit:goal"`},
		{with(`"dimensions":["visit:source","visit:source"]`), `#/dimensions: Expected items to be unique but they were not.`},
		{with(`"dimensions":["time:day","time"]`), `#/dimensions: only one time dimension is allowed`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":"bad_period"}`, `#/date_range: Invalid date range "bad_period"`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":"0d"}`, `#/date_range: Invalid date range "0d"`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":"5001d"}`, `#/date_range: Invalid date range "5001d"`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":"101mo"}`, `#/date_range: Invalid date range "101mo"`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":"07d"}`, `#/date_range: Invalid date range "07d"`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":["2026-01-02","2026-01-01"]}`, `#/date_range: Invalid date range ["2026-01-02","2026-01-01"]`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":["2026-01-02"]}`, `#/date_range: Invalid date range ["2026-01-02"]`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":["2026-02-30","2026-03-01"]}`, `#/date_range: Invalid date range ["2026-02-30","2026-03-01"]`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":[1,2]}`, `#/date_range: Invalid date range [1,2]`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":null}`, `#/date_range: Invalid date range null`},
		{`{"site_id":"example.com","metrics":["visitors"],"date_range":["1900-01-01","2999-01-01"],"dimensions":["time:hour"]}`, `#/date_range: too long for time:hour, at most 150000 buckets`},
		{`{"site_id":"example.com","metrics":["conversion_rate"],"date_range":"day"}`, "Metric `conversion_rate` can only be queried with event:goal filters or dimensions."},
		{`{"site_id":"example.com","metrics":["visitors","group_conversion_rate"],"date_range":"day"}`, "Metric `group_conversion_rate` can only be queried with event:goal filters or dimensions."},
		{`{"site_id":"example.com","metrics":["bounce_rate","visitors","visit_duration"],"date_range":"day","dimensions":["event:props:plan"]}`, "Session metric(s) `bounce_rate`, `visit_duration` cannot be queried along with event dimensions."},
		{`{"site_id":"example.com","metrics":["bounce_rate"],"date_range":"day","dimensions":["event:name"]}`, "Session metric(s) `bounce_rate` cannot be queried along with event dimensions."},
		{`{"site_id":"example.com","metrics":["views_per_visit"],"date_range":"day","filters":[["is","event:page",["/"]]]}`, "Metric `views_per_visit` cannot be queried with a filter on `event:page`."},
		{`{"site_id":"example.com","metrics":["views_per_visit"],"date_range":"day","dimensions":["visit:source"]}`, "Metric `views_per_visit` cannot be queried with `dimensions`."},
		{`{"site_id":"example.com","metrics":["scroll_depth"],"date_range":"day"}`, "Metric `scroll_depth` can only be queried with event:page filters or dimensions."},
		{`{"site_id":"example.com","metrics":["time_on_page"],"date_range":"day","dimensions":["visit:source"]}`, "Metric `time_on_page` can only be queried with event:page filters or dimensions."},
		{`{"site_id":"example.com","metrics":["exit_rate"],"date_range":"day"}`, "Metric `exit_rate` requires a `\"visit:exit_page\"` dimension. No other dimensions are allowed."},
		{`{"site_id":"example.com","metrics":["exit_rate"],"date_range":"day","dimensions":["visit:exit_page","time:day"]}`, "Metric `exit_rate` requires a `\"visit:exit_page\"` dimension. No other dimensions are allowed."},
		{with(`"filters":[["is","visit:country",["Estonia"]]]`), "Invalid visit:country filter, visit:country needs to be a valid 2-letter country code."},
		{with(`"filters":[["is_not","visit:country",["EE","USA"]]]`), "Invalid visit:country filter, visit:country needs to be a valid 2-letter country code."},
		{with(`"filters":[["is","event:goal",["Signup"]]]`), "Invalid filters. The goal `Signup` is not configured for this site. Find out how to configure goals here: /v1/openapi.yaml"},
		{with(`"filters":[["matches","event:goal",["S.*"]]]`), "Invalid filters. Operator `matches` is not supported for `event:goal`, only `is` and `contains` are."},
		{with(`"filters":[["or",[["is","event:goal",["Signup"]],["is","event:page",["/"]]]]]`), "Invalid filters. Dimension `event:goal` can only be filtered at the top level."},
		{with(`"filters":[["not",["is","event:hostname",["a.com"]]]]`), "Invalid filters. Dimension `event:hostname` can only be filtered at the top level."},
		{with(`"filters":[["has_done",["has_not_done",["is","event:page",["/"]]]]]`), "Invalid filters. Behavioral filters (has_done, has_not_done) cannot be nested."},
		{with(`"filters":[["has_done",["or",[["is","event:page",["/"]],["has_done",["is","event:page",["/"]]]]]]]`), "Invalid filters. Behavioral filters (has_done, has_not_done) cannot be nested."},
		{with(`"filters":[["has_done",["is","visit:source",["Google"]]]]`), "Invalid filters. Behavioral filters (has_done, has_not_done) can only be used with event dimension filters."},
		{with(`"filters":[["is","segment",[12]]]`), "Invalid filters. Some segments don't exist or aren't accessible."},
		{with(`"filters":[["is","time:day",["2026-01-01"]]]`), `#/filters/0/1: Invalid dimension "time:day"`},
		{with(`"filters":[["is","event:page",["/"]],["is","nothing",["/"]]]`), `#/filters/1/1: Invalid dimension "nothing"`},
		{with(`"filters":[["and",[["is","event:page",["/"]],["equals","event:page",["/"]]]]]`), `#/filters/0/1/1/0: Invalid filter operator "equals"`},
		{with(`"filters":[["is","event:page"]]`), `#/filters/0: Invalid filter ["is","event:page"]`},
		{with(`"filters":[["is","event:page","/"]]`), `#/filters/0: Invalid filter ["is","event:page","/"]`},
		{with(`"filters":[["is","event:page",[]]]`), `#/filters/0: Invalid filter ["is","event:page",[]]`},
		{with(`"filters":[["is","event:page",[7]]]`), `#/filters/0: Invalid filter ["is","event:page",[7]]`},
		{with(`"filters":[["is","visit:city",[1.5]]]`), `#/filters/0: Invalid filter ["is","visit:city",[1.5]]`},
		{with(`"filters":[[]]`), `#/filters/0: Invalid filter []`},
		{with(`"filters":["is"]`), `#/filters/0: Invalid filter "is"`},
		{with(`"filters":[["not"]]`), `#/filters/0: Invalid filter ["not"]`},
		{with(`"filters":[["and",[]]]`), `#/filters/0: Invalid filter ["and",[]]`},
		{with(`"filters":{}`), `#/filters: Type mismatch. Expected Array but got Object.`},
		{with(`"filters":[["matches","event:page",["^/a"],{"case_sensitive":false}]]`), "Invalid filters. The case_sensitive modifier is not allowed with pattern operators (matches, matches_not)."},
		{with(`"filters":[["is","event:page",["/a"],{"case":false}]]`), "#/filters/0/3/case: Schema does not allow additional properties."},
		{with(`"filters":[["is","event:page",["/a"],{"case_sensitive":"no"}]]`), "#/filters/0/3/case_sensitive: Type mismatch. Expected Boolean but got String."},
		{with(`"filters":[["matches","event:page",["(["]]]`), "Invalid filters. \"([\" is not a regular expression: error parsing regexp: missing closing ]: `[`"},
		{with(`"filters":[["matches","event:page",["` + strings.Repeat("a", 1001) + `"]]]`), "Invalid filters. A regular expression has more than 1000 bytes."},
		{with(`"filters":[` + strings.Repeat(`["not",`, 18) + `["is","event:page",["/"]]` + strings.Repeat(`]`, 18) + `]`), "#/filters: nested deeper than 16"},
		{with(`"order_by":[["pageviews","desc"]]`), `Invalid order_by entry '["pageviews","desc"]'. Entry is not a queried metric or dimension.`},
		{with(`"order_by":[["visit:source","asc"]]`), `Invalid order_by entry '["visit:source","asc"]'. Entry is not a queried metric or dimension.`},
		{with(`"order_by":[["visitors","down"]]`), `#/order_by/0: Invalid value in order_by ["visitors","down"]`},
		{with(`"order_by":["visitors"]`), `#/order_by/0: Invalid value in order_by "visitors"`},
		{with(`"include":{"time_labels":true}`), `Invalid include.time_labels: requires a time dimension.`},
		{with(`"include":{"time_labels":1}`), `#/include/time_labels: Type mismatch. Expected Boolean but got Number.`},
		{with(`"include":{"labels":true}`), `#/include/labels: Schema does not allow additional properties.`},
		{with(`"include":{"comparisons":{"mode":"never"}}`), `#/include/comparisons/mode: Invalid comparison mode "never"`},
		{with(`"include":{"comparisons":{}}`), `#/include/comparisons/mode: Invalid comparison mode null`},
		{with(`"include":{"comparisons":{"mode":"custom"}}`), `#/include/comparisons: Required property date_range was not present.`},
		{with(`"include":{"comparisons":{"mode":"custom","date_range":"x"}}`), `#/include/comparisons/date_range: Invalid date range "x"`},
		{with(`"include":{"comparisons":{"mode":"year_over_year","date_range":"day"}}`), `#/include/comparisons/date_range: only allowed with mode "custom"`},
		{with(`"pagination":{"limit":0}`), `#/pagination/limit: Expected the value to be >= 1`},
		{with(`"pagination":{"limit":10001}`), `#/pagination/limit: Expected the value to be <= 10000`},
		{with(`"pagination":{"limit":1.5}`), `#/pagination/limit: Type mismatch. Expected Integer but got Number.`},
		{with(`"pagination":{"offset":-1}`), `#/pagination/offset: Expected the value to be >= 0`},
		{with(`"pagination":{"offset":99999999999999999999}`), `#/pagination/offset: Expected the value to be <= 1000000000`},
		{with(`"pagination":{"page":1}`), `#/pagination/page: Schema does not allow additional properties.`},
	} {
		w := newWorld(t)
		got := w.query(c.body)
		if got.status != http.StatusBadRequest || got.problem(t) != c.want {
			t.Errorf("%s\n got %d %s\nwant 400 %s", c.body, got.status, got.body, c.want)
		}
		if len(w.asker.asked) > 0 {
			t.Errorf("%s was asked all the same", c.body)
		}
	}
}

func TestV2AnswersInTheDocumentedForm(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		answer           *query.Answer
	}{
		{
			name:   "an aggregate",
			body:   `{"site_id":"www.Example.com","metrics":["visitors","bounce_rate","visit_duration","views_per_visit"],"date_range":"7d"}`,
			answer: &query.Answer{Rows: []query.Row{{Values: num(1234, 41.5, 74.6, 1.516)}}, TotalRows: 1, Index: 77},
			want: `{"results":[{"dimensions":[],"metrics":[1234,42,75,1.52]}],"meta":{"as_of":77,"partial":false},` +
				`"query":{"site_id":"example.com","metrics":["visitors","bounce_rate","visit_duration","views_per_visit"],` +
				`"date_range":["2026-05-06T00:00:00+02:00","2026-05-12T23:59:59+02:00"],"filters":[],"dimensions":[],"order_by":[["visitors","desc"]],` +
				`"include":{"imports":false,"time_labels":false,"total_rows":false,"trim_relative_date_range":false},"pagination":{"limit":10000,"offset":0}}}`,
		},
		{
			name: "a breakdown",
			body: `{"site_id":"example.com","metrics":["visitors","percentage","scroll_depth"],"date_range":["2026-03-28","2026-03-29"],` +
				`"dimensions":["event:page","visit:screen"],"filters":[["contains","event:page",["<b>","é"],{"case_sensitive":false}],["is","visit:city",[2950159]]],` +
				`"order_by":[["event:page","asc"]],"include":{"total_rows":true,"imports":true},"pagination":{"limit":2,"offset":4}}`,
			answer: &query.Answer{Rows: []query.Row{
				{Dims: []string{"/a\"b", "Mobile"}, Values: []query.Value{{Number: 2}, {Number: 33.333}, {Null: true}}},
				{Dims: []string{"/x", "(not set)"}, Values: []query.Value{{Number: 1}, {Number: 16.666}, {Number: 80}}},
			}, TotalRows: 9, Index: 5},
			want: `{"results":[{"dimensions":["/a\"b","Mobile"],"metrics":[2,33.33,null]},{"dimensions":["/x","(not set)"],"metrics":[1,16.67,80]}],` +
				`"meta":{"as_of":5,"partial":false,"imports_included":false,"imports_skip_reason":"no_imported_data","total_rows":9},` +
				`"query":{"site_id":"example.com","metrics":["visitors","percentage","scroll_depth"],"date_range":["2026-03-28T00:00:00+01:00","2026-03-29T23:59:59+02:00"],` +
				`"filters":[["contains","event:page",["<b>","é"],{"case_sensitive":false}],["is","visit:city",[2950159]]],"dimensions":["event:page","visit:screen"],` +
				`"order_by":[["event:page","asc"]],"include":{"imports":true,"time_labels":false,"total_rows":true,"trim_relative_date_range":false},"pagination":{"limit":2,"offset":4}}}`,
		},
		{
			name:   "a series of today by the hour",
			body:   `{"site_id":"example.com","metrics":["pageviews"],"date_range":"day","dimensions":["time"],"include":{"time_labels":true,"trim_relative_date_range":true}}`,
			answer: &query.Answer{Rows: []query.Row{{Dims: []string{"2026-05-13 09:00:00"}, Values: num(3)}}, TotalRows: 1, Index: 6},
			want: `{"results":[{"dimensions":["2026-05-13 09:00:00"],"metrics":[3]}],"meta":{"as_of":6,"partial":true,"time_labels":["2026-05-13 00:00:00",` +
				`"2026-05-13 01:00:00","2026-05-13 02:00:00","2026-05-13 03:00:00","2026-05-13 04:00:00","2026-05-13 05:00:00","2026-05-13 06:00:00",` +
				`"2026-05-13 07:00:00","2026-05-13 08:00:00","2026-05-13 09:00:00","2026-05-13 10:00:00","2026-05-13 11:00:00","2026-05-13 12:00:00",` +
				`"2026-05-13 13:00:00","2026-05-13 14:00:00"],"partial_time_labels":["2026-05-13 14:00:00"]},` +
				`"query":{"site_id":"example.com","metrics":["pageviews"],"date_range":["2026-05-13T00:00:00+02:00","2026-05-13T14:59:59+02:00"],"filters":[],` +
				`"dimensions":["time:hour"],"order_by":[["time:hour","asc"],["pageviews","desc"]],` +
				`"include":{"imports":false,"time_labels":true,"total_rows":false,"trim_relative_date_range":true},"pagination":{"limit":10000,"offset":0}}}`,
		},
		{
			name: "revenue and its warning",
			body: `{"site_id":"example.com","metrics":["total_revenue","average_revenue"],"date_range":["2026-05-12T10:00:00+02:00","2026-05-12T11:59:59+02:00"],"filters":[["is","event:goal",["Purchase"]]]}`,
			answer: &query.Answer{Rows: []query.Row{{Values: []query.Value{{Number: 1234567.5, Currency: "EUR"}, {Null: true}}}}, TotalRows: 1, Index: 1,
				Warnings: map[query.Metric]query.Warning{query.AverageRevenue: {Code: "no_single_revenue_currency", Text: "Several."}}},
			want: `{"results":[{"dimensions":[],"metrics":[{"value":1234567.5,"currency":"EUR","short":"€1.2M","long":"€1,234,567.50"},null]}],` +
				`"meta":{"as_of":1,"partial":false,"metric_warnings":{"average_revenue":{"code":"no_single_revenue_currency","warning":"Several."}}},` +
				`"query":{"site_id":"example.com","metrics":["total_revenue","average_revenue"],"date_range":["2026-05-12T10:00:00+02:00","2026-05-12T11:59:59+02:00"],` +
				`"filters":[["is","event:goal",["Purchase"]]],"dimensions":[],"order_by":[["total_revenue","desc"]],` +
				`"include":{"imports":false,"time_labels":false,"total_rows":false,"trim_relative_date_range":false},"pagination":{"limit":10000,"offset":0}}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t).define()
			w.asker.answer = func(int, *query.Question) (*query.Answer, error) { return c.answer, nil }
			got := w.query(c.body)
			if got.status != 200 || got.body != c.want {
				t.Errorf("got %d %s\nwant %s", got.status, got.body, c.want)
			}
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Footfall-Index") == "" {
				t.Errorf("headers %v", got.header)
			}
		})
	}
}

func TestV2AsksWhatTheQueryMeans(t *testing.T) {
	w := newWorld(t)
	w.call(key, "POST", "/api/v2/query?token=3-9", `{"site_id":"example.com","metrics":["events","visitors"],"date_range":"30d","dimensions":["visit:source","time:week"],
		"order_by":[["visit:source","asc"],["events","desc"]],"pagination":{"limit":5,"offset":10}}`)
	q := w.asker.asked[0]
	want := &query.Question{From: at(t, "2026-04-13T00:00:00+02:00"), To: at(t, "2026-05-13T00:00:00+02:00"), Zone: w.sites["example.com"].Zone(),
		Metrics: []query.Metric{query.Events, query.Visitors}, Dimensions: []query.Dimension{query.Source, query.TimeWeek},
		OrderBy: []query.Order{{Dimension: query.Source}, {Metric: query.Events, Desc: true}}, Limit: 5, Offset: 10, Now: w.now.UnixMilli()}
	if !reflect.DeepEqual(q, want) {
		t.Errorf("asked %+v\nwant %+v", q, want)
	}
	if w.asker.after[0].String() != "3-9" {
		t.Errorf("token %v", w.asker.after[0])
	}
}

func TestV2FiltersAreReadInFull(t *testing.T) {
	leaf := func(op query.Op, negated, fold bool, d query.Dimension, values ...string) string {
		return show(&query.Filter{Op: op, Negated: negated, Fold: fold, Dim: d, Values: values})
	}
	for _, c := range []struct{ filters, want string }{
		{`[]`, `none`},
		{`[["is","event:page",["/","/a"]]]`, leaf(query.Is, false, false, query.EventPage, "/", "/a")},
		{`[["is_not","visit:source",["Direct / None"],{"case_sensitive":true}]]`, leaf(query.Is, true, false, query.Source, "Direct / None")},
		{`[["contains","event:props:a b:c",["x"],{"case_sensitive":false}]]`, leaf(query.Contains, false, true, "event:props:a b:c", "x")},
		{`[["contains_not","visit:utm_campaign",["x"],{}]]`, leaf(query.Contains, true, false, query.UTMCampaign, "x")},
		{`[["is","visit:city",[2950159,"12"]]]`, leaf(query.Is, false, false, query.City, "2950159", "12")},
		{`[["is","visit:country",["DE","(not set)"]]]`, leaf(query.Is, false, false, query.Country, "DE", "(not set)")},
		{`[["is","event:hostname",["a.com"]],["is","visit:os",["Mac"]]]`, `and(is event:hostname [a.com], is visit:os [Mac])`},
		{`[["matches_not","event:page",["^/a","b$"]]]`, `matches not event:page [^/a b$]`},
		{`[["or",[["not",["is","visit:os",["Mac"]]],["and",[["matches","event:page",["x"]],["is","event:name",["pageview"]]]]]]]`,
			`or(not(is visit:os [Mac]), and(matches event:page [x], is event:name [pageview]))`},
	} {
		w := newWorld(t, query.Row{Values: num(1)})
		if got := w.query(with(`"filters":` + c.filters)); got.status != 200 {
			t.Errorf("%s: %d %s", c.filters, got.status, got.body)
			continue
		}
		if got := show(w.asker.asked[0].Filter); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.filters, got, c.want)
		}
	}
}

// show writes a filter tree.
func show(f *query.Filter) string {
	if f == nil {
		return "none"
	}
	name := map[query.Op]string{query.And: "and", query.Or: "or", query.Not: "not", query.Is: "is", query.Contains: "contains",
		query.Matches: "matches", query.Reached: "reached", query.HasDone: "has_done"}[f.Op]
	if len(f.Children) > 0 {
		var parts []string
		for _, c := range f.Children {
			parts = append(parts, show(c))
		}
		return name + "(" + strings.Join(parts, ", ") + ")"
	}
	if f.Negated {
		name += " not"
	}
	if f.Fold {
		name += " fold"
	}
	values := append(slices.Clone(f.Values), goalNames(f.Goals)...)
	for _, p := range f.Patterns {
		values = append(values, p.String())
	}
	return name + " " + string(f.Dim) + " [" + strings.Join(values, " ") + "]"
}

func FuzzV2NeverFailsOnItsSide(f *testing.F) {
	for _, s := range []string{
		with(""), with(`"filters":[["or",[["not",["is","visit:os",["Mac"]]],["matches","event:page",["x"]]]]]`),
		with(`"dimensions":["time","visit:source"],"order_by":[["time","desc"]],"include":{"time_labels":true,"total_rows":true,"comparisons":{"mode":"year_over_year","match_day_of_week":true}}`),
		`{"site_id":"example.com","metrics":["visitors"],"date_range":["2026-01-01T00:00:00Z","2026-01-02T00:00:00+13:00"],"dimensions":["time"]}`,
		`{"site_id":"example.com","metrics":["total_revenue"],"date_range":"100mo","pagination":{"limit":1,"offset":1}}`,
		with(`"filters":[["has_done",["is","event:goal",["\u0000"]]]]`), `[`, `null`, `{"site_id":"example.com"}{}`,
	} {
		f.Add(s)
	}
	for _, s := range acceptedQueries {
		f.Add(s)
	}
	w := newWorld(f).define()
	w.asker.answer = func(_ int, q *query.Question) (*query.Answer, error) {
		checkQuestion(w.t, q)
		w.asker.asked, w.asker.after = nil, nil
		row := query.Row{Dims: make([]string, len(q.Dimensions)), Values: make([]query.Value, len(q.Metrics))}
		return &query.Answer{Rows: []query.Row{row}, TotalRows: 1, Index: 1}, nil
	}
	f.Fuzz(func(t *testing.T, body string) {
		w.t = t
		got := w.query(body)
		if got.status != 200 && got.status != 400 && got.status != 401 {
			t.Errorf("%q: %d %s", body, got.status, got.body)
		}
	})
}
