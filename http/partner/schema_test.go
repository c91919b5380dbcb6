package partner

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"footfall/analytics/accounts"
)

// acceptedQueries have everything that a query of v2 can have.
var acceptedQueries = []string{
	with(``),
	with(`"dimensions":[],"filters":[],"order_by":[],"include":{},"pagination":{}`),
	with(`"dimensions":["time","event:props:a b","visit:language","visit:screen_class"],"order_by":[["time","desc"],["event:props:a b","asc"],["visitors","desc"]]`),
	with(`"filters":[["is","event:page",["/"]],["is_not","visit:source",["Google"],{"case_sensitive":false}],["contains","visit:utm_term",["x"]],["contains_not","event:name",["y"],{}]]`),
	with(`"filters":[["matches","event:page",["^/a"]],["matches_not","event:props:plan",["b$"],{}]]`),
	with(`"filters":[["is","visit:city",[2950159,"12"]],["is","visit:country",["DE"]]]`),
	with(`"filters":[["and",[["or",[["not",["is","visit:os",["Mac"]]],["is","visit:os",["iOS"]]]]]]]`),
	with(`"filters":[["has_done",["is","event:goal",["Signup"]]],["has_not_done",["contains","event:page",["/a"]]]]`),
	with(`"filters":[["is","segment",[11,12]],["is","segment",["14"]]]`),
	with(`"filters":[["is","event:goal",["Signup"]],["contains","event:goal",["sign"],{"case_sensitive":false}],["is","event:hostname",["a.com"]]]`),
	with(`"include":{"imports":true,"time_labels":false,"total_rows":true,"trim_relative_date_range":true,"comparisons":{"mode":"custom","date_range":["2026-01-01","2026-01-02"]}}`),
	with(`"dimensions":["time:minute"],"include":{"time_labels":true,"comparisons":{"mode":"year_over_year","match_day_of_week":true}},"pagination":{"limit":1,"offset":1000000000}`),
	`{"site_id":"example.com","metrics":["visitors","visits","pageviews","events","bounce_rate","visit_duration","percentage","entries","exits","total_revenue","average_revenue"],"date_range":"5000d"}`,
	`{"site_id":"example.com","metrics":["conversion_rate","group_conversion_rate","total_revenue"],"date_range":"12mo","dimensions":["event:goal"]}`,
	`{"site_id":"example.com","metrics":["scroll_depth","time_on_page"],"date_range":"realtime","dimensions":["event:page"]}`,
	`{"site_id":"example.com","metrics":["exit_rate"],"date_range":"30m","dimensions":["visit:exit_page"]}`,
	`{"site_id":"example.com","metrics":["views_per_visit"],"date_range":["2026-05-01T12:00:00","2026-05-01T13:00:00Z"],"dimensions":["time:hour"]}`,
}

// refusedQueries are wrong in ways that the schema can tell too.
var refusedQueries = []string{
	`[]`,
	`{"metrics":["visitors"],"date_range":"day"}`,
	`{"site_id":"example.com","date_range":"day"}`,
	`{"site_id":"example.com","metrics":["visitors"]}`,
	`{"site_id":"example.com","metrics":[],"date_range":"day"}`,
	`{"site_id":"example.com","metrics":["visitors","visitors"],"date_range":"day"}`,
	`{"site_id":"example.com","metrics":["baa"],"date_range":"day"}`,
	`{"site_id":"example.com","metrics":["visitors"],"date_range":"0d"}`,
	`{"site_id":"example.com","metrics":["visitors"],"date_range":["2026-01-01"]}`,
	with(`"metric":[]`),
	with(`"dimensions":["event:props:"]`),
	with(`"dimensions":["visit:source","visit:source"]`),
	with(`"filters":[[]]`),
	with(`"filters":[["is","event:page"]]`),
	with(`"filters":[["is","event:page",[]]]`),
	with(`"filters":[["equals","event:page",["/"]]]`),
	with(`"filters":[["is","time:day",["2026-01-01"]]]`),
	with(`"filters":[["is_not","event:goal",["Signup"]]]`),
	with(`"filters":[["is_not","segment",[11]]]`),
	with(`"filters":[["matches","event:page",["a"],{"case_sensitive":true}]]`),
	with(`"filters":[["not"]]`),
	with(`"filters":[["and",[]]]`),
	with(`"order_by":[["visitors","down"]]`),
	with(`"include":{"labels":true}`),
	with(`"include":{"comparisons":{}}`),
	with(`"pagination":{"limit":10001}`),
	with(`"pagination":{"offset":-1}`),
}

func TestThePublicSchemaSaysWhatTheParserTakes(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("query.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("query.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(body string) error {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return compiled.Validate(v)
	}
	w := newWorld(t).define()
	for _, body := range acceptedQueries {
		if got := w.query(body); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
		if err := valid(body); err != nil {
			t.Errorf("%s: the parser takes it, the schema does not: %v", body, err)
		}
	}
	for _, body := range refusedQueries {
		if got := w.query(body); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
		if valid(body) == nil {
			t.Errorf("%s: the schema takes it, the parser does not", body)
		}
	}
}

func TestThePublicSchemaIsServed(t *testing.T) {
	for _, path := range []string{"/api/v2/schema", "/api/docs/query/schema.json"} {
		got := newWorld(t).call(accounts.Identity{}, "GET", path, "")
		if got.status != http.StatusOK || got.body != string(schema) || !strings.HasPrefix(got.header.Get("Content-Type"), "application/schema+json") {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
}
