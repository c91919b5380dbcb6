package queryscript

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/http/door"
)

// What one request may allocate in all, if it is refused and if it is answered. The
// latter is for the longest lists of buckets that are allowed.
const (
	refusedMax  = 24 << 20
	answeredMax = 160 << 20
)

// hostile is a question that would cost much if it were taken at its word.
type hostile struct {
	name, method, path, body string // body: parameters where the method is GET
	status                   int
	want                     string // that the error contains
}

func repeated(n int, separator, text string) string {
	return strings.Repeat(text+separator, n-1) + text
}

func numbered(n int, separator, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(separator)
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// asked is a body of v2 with some members; those that are not given are plain ones.
func asked(members ...string) string {
	all := append([]string{`"site_id":"example.com"`}, members...)
	has := func(key string) bool {
		return slices.ContainsFunc(members, func(m string) bool { return strings.HasPrefix(m, `"`+key+`"`) })
	}
	if !has("metrics") {
		all = append(all, `"metrics":["visitors"]`)
	}
	if !has("date_range") {
		all = append(all, `"date_range":["2026-03-01","2026-03-29"]`)
	}
	return "{" + strings.Join(all, ",") + "}"
}

func hostiles() (out []hostile) {
	const (
		page    = `["is","event:page",["/"]]`
		queryV2 = "/api/v2/query"
		site    = "/v1/sites/example.com/"
	)
	v2 := func(name, body string, status int, want string) {
		out = append(out, hostile{name, "POST", queryV2, body, status, want})
	}
	filters := func(f string) string { return asked(`"filters":[` + f + `]`) }
	matches := func(p string) string { return filters(`["matches","event:page",[` + p + `]]`) }
	tooLarge, noRange := "is too large when it is written out", "#/date_range: Invalid date range"

	v2("brackets", strings.Repeat("[", 200_000), 400, "Invalid JSON")
	v2("brackets in a filter", filters(strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)), 400, "")
	v2("not not not", filters(strings.Repeat(`["not",`, 9000)+page+strings.Repeat("]", 9000)), 400, "nested deeper than 16")
	v2("not not not without end", filters(strings.Repeat(`["not",`, 30_000)+page+strings.Repeat("]", 30_000)), 400, "Invalid JSON")
	v2("and or and or", filters(strings.Repeat(`["and",[["or",[`, 2000)+page+strings.Repeat("]]]]", 2000)), 400, "nested deeper than 16")
	v2("has_done of nots", filters(`["has_done",`+strings.Repeat(`["not",`, 5000)+page+strings.Repeat("]", 5000)+"]"), 400, "nested deeper than 16")
	v2("100,000 clauses", filters(`["is","event:page",[`+numbered(100_000, ",", `"/%d"`)+`]]`), 413, "")
	v2("100,000 short clauses", filters(`["is","event:page",[`+repeated(100_000, ",", `""`)+`]]`), 413, "")
	v2("50,000 clauses", filters(`["is","event:page",[`+repeated(50_000, ",", `"a"`)+`]]`), 400, "more than 5000 clauses")
	v2("10,000 filters", filters(repeated(10_000, ",", page)), 400, "more than 256 filters")
	v2("10,000 filters in one", filters(`["or",[`+repeated(10_000, ",", page)+`]]`), 400, "more than 256 filters")
	v2("10,000 metrics", asked(`"metrics":[`+numbered(10_000, ",", `"m%d"`)+`]`), 400, "Invalid metric")
	v2("10,000 times a metric", asked(`"metrics":[`+repeated(10_000, ",", `"visitors"`)+`]`), 400, "unique")
	v2("10,000 dimensions", asked(`"dimensions":[`+numbered(10_000, ",", `"event:props:%d"`)+`]`), 400, "maximum of 8 items")
	v2("5,000 orders", asked(`"order_by":[`+repeated(5000, ",", `["visitors","asc"]`)+`]`), 400, "maximum of 32 items")
	v2("10,000 unknown members", asked(numbered(10_000, ",", `"k%d":1`)), 400, "additional properties")
	v2("a long text everywhere", asked(`"metrics":["`+strings.Repeat("m", 100_000)+`"]`), 400, "Invalid metric")
	v2("a page of a row beyond numbers", asked(`"pagination":{"offset":99999999999999999999}`), 400, "#/pagination/offset")

	v2("(a+)+$", matches(`"(a+)+$"`), 200, "")
	v2("(a|aa)+$ of any text", matches(`"^(([a-z/])+.)+[A-Z]([a-z])+$","(a|aa)+$","(.*a){20}"`), 200, "")
	v2("(x+x+)+y of a long text", matches(`"(x+x+)+y"`), 200, "")
	v2("counted repetitions of counted repetitions", matches(`"((a{1000}){1000}){1000}"`), 400, "is not a regular expression")
	v2("a thousand of everything", matches(`"(.{1000}){1000}"`), 400, "is not a regular expression")
	v2("large counted repetitions", matches(`"`+repeated(100, "", "a{1000}")+`"`), 400, tooLarge)
	v2("large classes", matches(`"(\\pL\\pN\\pS\\pP){900}"`), 400, tooLarge)
	v2("many expressions", matches(numbered(4000, ",", `"^/page/%d/.*$"`)), 400, tooLarge)
	v2("a long expression", matches(`"`+strings.Repeat("(a|b)", 400)+`"`), 400, "more than 1000 bytes")
	v2("an expression with a nest", matches(`"`+strings.Repeat("(", 490)+strings.Repeat(")", 490)+`"`), 200, "")
	v2("half an expression", matches(`"(((("`), 400, "is not a regular expression")

	v2("centuries by the hour", asked(`"date_range":["1900-01-01","2999-12-31"]`, `"dimensions":["time:hour"]`), 400, "at most 150000 buckets")
	v2("years by the minute", asked(`"date_range":["2020-01-01","2026-12-31"]`, `"dimensions":["time:minute"]`), 400, "at most 150000 buckets")
	v2("centuries by the day", asked(`"date_range":["1900-01-01","2999-12-31"]`, `"dimensions":["time:day"]`), 400, "at most 150000 buckets")
	v2("all of time", asked(`"date_range":["0001-01-01","9999-12-31"]`, `"dimensions":["time:month"]`), 400, noRange)
	v2("beyond time", asked(`"date_range":["292277026596-12-04","292277026597-01-01"]`), 400, noRange)
	v2("days without end", asked(`"date_range":"`+strings.Repeat("9", 1000)+`d"`), 400, noRange)
	v2("an unknown zone", asked(`"date_range":["2026-03-01T00:00:00[Mars/Olympus]","2026-03-02T00:00:00[Mars/Olympus]"]`), 400, noRange)
	v2("an offset of days", asked(`"date_range":["2026-03-01T00:00:00+99:59","2026-03-02T00:00:00+99:59"]`), 400, noRange)
	v2("a comparison with all of time", asked(`"include":{"comparisons":{"mode":"custom","date_range":["0001-01-01","9999-12-31"]}}`), 400, "#/include/comparisons/date_range")

	// What is allowed, as much of it as is.
	v2("the longest list of buckets", asked(`"date_range":["2026-01-01","2026-03-31"]`, `"dimensions":["time:minute","event:page","visit:source"]`, `"include":{"time_labels":true,"total_rows":true}`), 200, "")
	v2("seventeen years by the hour", asked(`"date_range":["2010-01-01","2026-12-31"]`, `"dimensions":["time:hour"]`, `"include":{"time_labels":true}`), 200, "")
	v2("all dimensions that fit", asked(`"dimensions":["event:page","event:name","event:hostname","event:props:plan","visit:source","visit:country","visit:browser","time:hour"]`,
		`"metrics":["visitors","events","percentage"]`), 200, "")
	v2("all metrics", asked(`"metrics":["visitors","visits","pageviews","bounce_rate","visit_duration","events","percentage","conversion_rate","group_conversion_rate","total_revenue","average_revenue"]`,
		`"filters":[["is","event:goal",["Buy"]]]`), 200, "")
	v2("5,000 clauses", filters(`["is","event:page",[`+numbered(5000, ",", `"/page/of/some/length/%d"`)+`]]`), 200, "")
	v2("sixteen deep", filters(strings.Repeat(`["not",`, 16)+page+strings.Repeat("]", 16)), 200, "")
	v2("250 conditions on the visit", filters(repeated(250, ",", `["has_done",["contains","event:page",["b"]]]`)), 400, "more than 256 filters")
	v2("120 conditions on the visit", filters(repeated(120, ",", `["has_done",["contains","event:page",["b"]]]`)), 200, "")

	get := func(name, path, parameters string, want string) {
		out = append(out, hostile{name, "GET", path, "site_id=example.com&" + parameters, 400, want})
	}
	get("v1: 10,000 metrics", "/api/v1/stats/aggregate", "period=30d&metrics="+repeated(10_000, ",", "visitors"), "multiple times")
	get("v1: centuries", "/api/v1/stats/timeseries", "period=custom&date=0001-01-01,9999-12-31", "date")
	get("v1: a nest of alternatives", "/api/v1/stats/aggregate", "period=30d&filters=event:page=="+repeated(10_000, "|", "a"), "more than")
	get("v1: wildcards", "/api/v1/stats/aggregate", "period=30d&filters=event:page=="+strings.Repeat("*a", 800), "wildcard")
	get("v1: conditions", "/api/v1/stats/aggregate", "period=30d&filters="+repeated(1000, ";", "event:page==/"), "more than 256 filters")
	get("v1: a page without end", "/api/v1/stats/breakdown", "period=30d&property=event:page&page=999999999999", "page")
	get("v1: rows without end", "/api/v1/stats/breakdown", "period=30d&property=event:page&limit=999999999999", "limit")

	report := func(name, which, body, want string) {
		out = append(out, hostile{"report: " + name, "POST", site + which, body, 400, want})
	}
	report("10,000 steps", "funnel", `{"steps":[`+repeated(10_000, ",", `{"page":"/"}`)+`]}`, "steps")
	report("steps of many globs", "funnel", `{"steps":[{"page":"`+strings.Repeat("*a", 2000)+`"},{"page":"/"}]}`, "steps")
	report("centuries", "heatmap", `{"date_range":["1800-01-01","2199-12-31"]}`, "date_range")
	report("a window of years", "funnel", `{"steps":[{"page":"/"},{"page":"/a"}],"window":"99999d"}`, "window")
	report("journeys of a thousand steps", "journeys", `{"steps":1000}`, "steps")
	report("a deep filter", "returning", `{"filters":[`+strings.Repeat(`["not",`, 5000)+page+strings.Repeat("]", 5000)+`]}`, "deeper")
	report("brackets", "page", strings.Repeat(`{"page":`, 20_000), "body")
	return out
}

// TestHostileQuestionsAreRefusedOrAnsweredInLittleMemory sends each to the real
// doors over a site with a page whose path is made for expressions that go astray.
func TestHostileQuestionsAreRefusedOrAnsweredInLittleMemory(t *testing.T) {
	w := smallSite(t)
	if err := w.load("2026-03-29 10:00 eve /" + strings.Repeat("a", 1500) + strings.Repeat("x", 400) + "!"); err != nil {
		t.Fatal(err)
	}
	var slowest time.Duration
	var slow string
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			r := &request{h.method, h.path, []byte(h.body)}
			if h.method == "GET" {
				r = &request{h.method, h.path + "?" + strings.ReplaceAll(h.body, "|", "%7C"), nil}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			status, body := w.refusable(t, r)
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > refusedMax && status != fasthttp.StatusOK || used > answeredMax {
				t.Errorf("it took %d MB to give %d", used>>20, status)
			}
			if took > slowest {
				slowest, slow = took, h.name
			}
			var problem struct {
				Error string `json:"error"`
			}
			if err := json.Unmarshal(body, &problem); err != nil && status != fasthttp.StatusRequestEntityTooLarge {
				t.Fatal(err)
			}
			if status != h.status || !strings.Contains(problem.Error, h.want) {
				t.Errorf("got %d %.300s\nwant %d %s", status, body, h.status, h.want)
			}
		})
	}
	t.Logf("the slowest was %q with %s", slow, slowest)
}

// refusable sends a request as the edge does: a body that is larger than its route
// allows does not get to the door.
func (w *world) refusable(t *testing.T, r *request) (status int, body []byte) {
	t.Helper()
	route := slices.IndexFunc(w.routes, func(x door.Route) bool {
		return x.Method == r.method && strings.Replace(x.Path, "{site}", w.site.Domain, 1) == r.target
	})
	if route >= 0 && w.routes[route].BodyMax > 0 && len(r.body) > w.routes[route].BodyMax {
		return fasthttp.StatusRequestEntityTooLarge, nil
	}
	return w.exchange(t, r)
}
