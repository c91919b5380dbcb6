package report

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

// visits sends a little traffic of the 12th and 13th of May.
func visits(h *house) {
	h.send("2026-05-12 10:00:00", analytics.Event{Visitor: 1, Page: "/", Acquisition: analytics.Acquisition{Source: "Google"}, Place: analytics.Place{Country: "DE"}, Agent: analytics.Agent{Device: "Mobile"}})
	h.view("2026-05-12 10:01:00", 1, "/pricing")
	h.send("2026-05-12 10:01:30", analytics.Event{Kind: analytics.Engagement, Visitor: 1, Page: "/pricing", ScrollDepth: 55, EngagedMS: 25_000})
	h.send("2026-05-12 10:03:00", analytics.Event{Kind: analytics.Custom, Name: "Signup", Visitor: 1, Page: "/pricing", Props: []analytics.Prop{{Key: "plan", Value: "pro"}}})
	h.view("2026-05-12 10:00:00", 2, "/")
	h.view("2026-05-12 10:00:20", 2, "/pricing")
	h.view("2026-05-12 18:00:00", 2, "/")
	h.view("2026-05-13 14:29:00", 3, "/pricing")
}

func TestAFunnelAnswersInTheDocumentedForm(t *testing.T) {
	h := newHouse(t)
	visits(h)
	h.goals = []*analytics.Goal{{ID: 1, Name: "Pro signup", Kind: analytics.GoalEvent, Event: "Signup", Props: []analytics.Prop{{Key: "plan", Value: "pro"}}}}
	got := h.post("funnel", `{"date_range":["2026-05-12","2026-05-12"],"steps":[{"page":"/","name":"Home"},{"page":"/pri*"},{"goal":"Pro signup"}]}`)
	want := `{"site":"example.com","timezone":"Europe/Berlin","query":{"from":"2026-05-12T00:00:00+02:00","to":"2026-05-12T23:59:59+02:00","window":"visit"},"ids":"day","steps":[` +
		`{"name":"Home","visitors":2,"visits":3,"conversion_rate":100,"step_conversion_rate":null,"dropped":0,"median_seconds":null},` +
		`{"name":"Visit /pri*","visitors":2,"visits":2,"conversion_rate":100,"step_conversion_rate":100,"dropped":0,"median_seconds":20},` +
		`{"name":"Pro signup","visitors":1,"visits":1,"conversion_rate":50,"step_conversion_rate":50,"dropped":1,"median_seconds":120}],` +
		`"meta":{"as_of":8,"elapsed_us":0,"served_by":"n1","partial":false}}`
	if got.status != 200 || got.body != want || got.header.Get("X-Footfall-Index") != "8" {
		t.Errorf("got  %d %s\nwant %s", got.status, got.body, want)
	}
	got = h.post("funnel", `{"date_range":["2026-05-12","2026-05-12"],"window":"12h","filters":[["is","event:page",["/pricing"]]],
		"steps":[{"page":"/**"},{"page":"/pricing","scroll":50},{"event":"Signup","props":{"plan":"pro"}}]}`)
	want = `[{"name":"Visit /**","visitors":2,"visits":null,"conversion_rate":100,"step_conversion_rate":null,"dropped":0,"median_seconds":null},` +
		`{"name":"Scroll 50% on /pricing","visitors":1,"visits":null,"conversion_rate":50,"step_conversion_rate":50,"dropped":1,"median_seconds":30},` +
		`{"name":"Signup","visitors":1,"visits":null,"conversion_rate":50,"step_conversion_rate":100,"dropped":0,"median_seconds":90}]`
	if steps := got.part(t, "steps"); steps != want {
		t.Errorf("got  %s\nwant %s", steps, want)
	}
}

func TestJourneysAnswerInTheDocumentedForm(t *testing.T) {
	h := newHouse(t)
	visits(h)
	h.view("2026-05-12 11:00:00", 5, "/")
	h.view("2026-05-12 11:01:00", 5, "/blog")
	got := h.post("journeys", `{"date_range":["2026-05-12","2026-05-12"],"page":"/","steps":1,"top":1}`)
	want := `{"site":"example.com","timezone":"Europe/Berlin","query":{"from":"2026-05-12T00:00:00+02:00","to":"2026-05-12T23:59:59+02:00","page":"/","direction":"next","steps":1,"top":1},"visits":4,` +
		`"nodes":[{"step":0,"page":"/","pages":1,"visits":4,"exits":1},{"step":1,"page":"/pricing","pages":1,"visits":2,"exits":2},{"step":1,"page":"(other)","pages":1,"visits":1,"exits":1}],` +
		`"links":[{"from":0,"to":1,"visits":2},{"from":0,"to":2,"visits":1}],"meta":{"as_of":10,"elapsed_us":0,"served_by":"n1","partial":false}}`
	if got.body != want {
		t.Errorf("got  %s\nwant %s", got.body, want)
	}
	got = h.post("journeys", `{"date_range":"day","direction":"previous"}`)
	if got.part(t, "nodes") != `[{"step":0,"page":"/pricing","pages":1,"visits":1,"exits":1}]` || got.part(t, "query", "page") != "null" || got.part(t, "meta", "partial") != "true" {
		t.Errorf("got %s", got.body)
	}
}

func TestRetentionFollowsWhoseIDsLast(t *testing.T) {
	h := newHouse(t)
	named := func(at string, visitor uint64) { h.send(at, analytics.Event{Visitor: visitor, Named: true}) }
	named("2026-04-20 10:00:00", 1)
	named("2026-04-29 10:00:00", 1)
	named("2026-05-12 10:00:00", 1)
	named("2026-04-28 10:00:00", 2)
	h.view("2026-05-12 10:00:00", 7, "/")
	h.view("2026-05-13 10:00:00", 7, "/")
	got := h.get("retention?from=2026-04-20&to=2026-05-17&periods=2")
	want := `"query":{"from":"2026-04-20T00:00:00+02:00","to":"2026-05-17T23:59:59+02:00","interval":"week","periods":2},"visitors":"named","followed_visits":4,"other_visits":2,"cohorts":[` +
		`{"start":"2026-04-20","partial":false,"visitors":1,"returned":[1,0],"return_rates":[100,0]},` +
		`{"start":"2026-04-27","partial":false,"visitors":1,"returned":[0,0],"return_rates":[0,0]},` +
		`{"start":"2026-05-04","partial":false,"visitors":0,"returned":[0],"return_rates":[0]},` +
		`{"start":"2026-05-11","partial":true,"visitors":0,"returned":[],"return_rates":[]}]`
	if got.status != 200 || !strings.Contains(got.body, want) {
		t.Errorf("got  %d %s\nwant … %s …", got.status, got.body, want)
	}
	if got = h.get("retention?date_range=2026-05-13,2026-05-13"); got.status != 400 || !strings.HasPrefix(got.problem(t), "interval: visitor ids of this site do not last for a week") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for _, c := range []struct {
		domain, interval, want string
	}{
		{"monthly.test", "week", `"all_within_month"`},
		{"monthly.test", "month", `"named"`},
		{"weekly.test", "week", `"named"`},
	} {
		got := h.call(reader, "POST", "/v1/sites/"+c.domain+"/retention", fmt.Sprintf(`{"date_range":["2026-04-20","2026-05-13"],"interval":%q}`, c.interval))
		if who := got.part(t, "visitors"); who != c.want {
			t.Errorf("%s by %s: %s", c.domain, c.interval, who)
		}
	}
}

func TestAHeatmapHasTheHoursOfTheWeek(t *testing.T) {
	h := newHouse(t)
	visits(h)
	got := h.get("heatmap?date_range=2026-05-11,2026-05-24")
	for _, want := range []string{
		`{"weekday":2,"hour":10,"visitors":2,"visits":2,"pageviews":4,"hours":2}`,
		`{"weekday":2,"hour":18,"visitors":1,"visits":1,"pageviews":1,"hours":2}`,
		`{"weekday":3,"hour":14,"visitors":1,"visits":1,"pageviews":1,"hours":2}`,
		`{"weekday":7,"hour":23,"visitors":0,"visits":0,"pageviews":0,"hours":2}`,
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %s in %s", want, got.body)
		}
	}
	filtered := h.post("heatmap", `{"date_range":["2026-05-11","2026-05-24"],"filters":[["is","visit:source",["Google"]]]}`)
	if want := `{"weekday":2,"hour":10,"visitors":1,"visits":1,"pageviews":2,"hours":2}`; !strings.Contains(filtered.body, want) {
		t.Errorf("no %s in %s", want, filtered.body)
	}
}

func TestRealtimeShowsTheLastHalfHour(t *testing.T) {
	h := newHouse(t)
	visits(h)
	h.send("2026-05-13 14:01:10", analytics.Event{Visitor: 4, Page: "/blog"})
	got := h.get("realtime")
	if got.part(t, "visitors") != "1" || got.part(t, "pages") != `[{"page":"/pricing","visitors":1}]` ||
		got.part(t, "sources") != `[{"source":"Direct / None","visitors":1}]` || got.part(t, "countries") != `[{"country":"(not set)","visitors":1}]` {
		t.Errorf("got %s", got.body)
	}
	minutes := got.part(t, "minutes")
	if strings.Count(minutes, `"time"`) != 30 || !strings.HasPrefix(minutes, `[{"time":"2026-05-13 14:01:00","pageviews":1,"visitors":1},`) ||
		!strings.HasSuffix(minutes, `{"time":"2026-05-13 14:29:00","pageviews":1,"visitors":1},{"time":"2026-05-13 14:30:00","pageviews":0,"visitors":0}]`) {
		t.Errorf("minutes %s", minutes)
	}
	if got := h.get("realtime?filters=" + url.QueryEscape(`[["is","visit:source",["Google"]]]`)); got.part(t, "visitors") != "0" {
		t.Errorf("filtered: %s", got.body)
	}
}

func TestAPageReportAnswersInTheDocumentedForm(t *testing.T) {
	h := newHouse(t)
	visits(h)
	got := h.get("page?page=/pricing&date_range=2026-05-12,2026-05-13")
	for path, want := range map[string]string{
		"figures":   `{"visitors":3,"visits":3,"pageviews":3,"entries":1,"exits":3,"exit_rate":100,"bounce_rate":100,"time_on_page":8,"time_on_page_median":0,"time_on_page_p90":25,"scroll_depth":55}`,
		"series":    `[{"time":"2026-05-12","visitors":2,"visits":2,"pageviews":2},{"time":"2026-05-13","visitors":1,"visits":1,"pageviews":1}]`,
		"previous":  `{"pages":[{"page":"/","views":2}],"other":0,"none":1}`,
		"next":      `{"pages":[],"other":0,"none":3}`,
		"sources":   `[{"source":"Direct / None","visitors":2,"visits":2,"pageviews":2},{"source":"Google","visitors":1,"visits":1,"pageviews":1}]`,
		"devices":   `[{"device":"(not set)","visitors":2,"visits":2,"pageviews":2},{"device":"Mobile","visitors":1,"visits":1,"pageviews":1}]`,
		"countries": `[{"country":"(not set)","visitors":2,"visits":2,"pageviews":2},{"country":"DE","visitors":1,"visits":1,"pageviews":1}]`,
	} {
		if part := got.part(t, path); part != want {
			t.Errorf("%s: got %s\nwant %s", path, part, want)
		}
	}
	if !strings.Contains(got.part(t, "scroll"), `{"from":50,"visitors":1}`) {
		t.Errorf("scroll %s", got.part(t, "scroll"))
	}
	hourly := h.post("page", `{"page":"/pricing","date_range":["2026-05-12","2026-05-12"],"interval":"hour"}`)
	if series := hourly.part(t, "series"); strings.Count(series, `"time"`) != 24 || !strings.Contains(series, `{"time":"2026-05-12 10:00:00","visitors":2,"visits":2,"pageviews":2}`) {
		t.Errorf("series %s", series)
	}
}

func TestReturningSaysWhatItMeans(t *testing.T) {
	h := newHouse(t)
	visits(h)
	h.send("2026-05-01 10:00:00", analytics.Event{Visitor: 9, Named: true})
	h.send("2026-05-12 20:00:00", analytics.Event{Visitor: 9, Named: true})
	got := h.get("returning?date_range=2026-05-12,2026-05-13")
	want := `"ids":"day","definition":"` + newByDay + `","visitors":{"new":2,"returning":2},"visits":{"new":3,"returning":2},"lasting_visitors":1,`
	if !strings.Contains(got.body, want) {
		t.Errorf("got %s\nwant … %s …", got.body, want)
	}
	got = h.call(reader, "POST", "/v1/sites/monthly.test/returning", `{"date_range":["2026-05-12","2026-05-13"]}`)
	if got.part(t, "ids") != `"month"` || got.part(t, "visitors") != `{"new":3,"returning":1}` {
		t.Errorf("got %s", got.body)
	}
}

func TestEveryErrorNamesItsField(t *testing.T) {
	many := strings.Repeat(`{"page":"/"},`, 20)
	for _, c := range []struct{ target, body, want string }{
		{"funnel", ``, "steps: must be a list of 2 to 20 steps"},
		{"funnel", ` `, "body: must be a JSON object"},
		{"funnel", `[]`, "body: must be a JSON object"},
		{"funnel", `{} {}`, "body: must be a JSON object"},
		{"funnel", `{"steps":[{"page":"/"}]}`, "steps: must be a list of 2 to 20 steps"},
		{"funnel", `{"steps":[` + many + `{"page":"/"}]}`, "steps: must be a list of 2 to 20 steps"},
		{"funnel", `{"steps":[{"page":"/"},7]}`, "steps/1: must be an object with page, event or goal"},
		{"funnel", `{"steps":[{"page":"/"},{}]}`, "steps/1/page: give exactly one of page, event and goal"},
		{"funnel", `{"steps":[{"page":"/"},{"page":"/","event":"x"}]}`, "steps/1/page: give exactly one of page, event and goal"},
		{"funnel", `{"steps":[{"page":"a"},{"page":"/"}]}`, "steps/0/page: must begin with / or *"},
		{"funnel", `{"steps":[{"page":"/` + strings.Repeat("*a", 17) + `"},{"page":"/"}]}`, "steps/0/page: more than 16 wildcards"},
		{"funnel", `{"steps":[{"page":"/` + strings.Repeat("a", 2000) + `"},{"page":"/"}]}`, "steps/0/page: longer than 2000 bytes"},
		{"funnel", `{"steps":[{"event":""},{"page":"/"}]}`, "steps/0/event: must not be empty"},
		{"funnel", `{"steps":[{"event":5},{"page":"/"}]}`, "steps/0/event: must be a text"},
		{"funnel", `{"steps":[{"event":"engagement"},{"page":"/"}]}`, "steps/0/event: engagement is no event that is counted"},
		{"funnel", `{"steps":[{"event":"x","scroll":5},{"page":"/"}]}`, "steps/0/scroll: goes with page only"},
		{"funnel", `{"steps":[{"page":"/","scroll":101},{"page":"/"}]}`, "steps/0/scroll: must be a whole number from 1 to 100"},
		{"funnel", `{"steps":[{"goal":"None"},{"page":"/"}]}`, `steps/0/goal: "None" is not configured for this site`},
		{"funnel", `{"steps":[{"goal":"None","props":{}},{"page":"/"}]}`, `steps/0/goal: "None" is not configured for this site`},
		{"funnel", `{"steps":[{"page":"/","props":[]},{"page":"/"}]}`, "steps/0/props: must be an object with at most 3 members"},
		{"funnel", `{"steps":[{"page":"/","props":{"a":"","b":"","c":"","d":""}},{"page":"/"}]}`, "steps/0/props: must be an object with at most 3 members"},
		{"funnel", `{"steps":[{"page":"/","props":{"a":1}},{"page":"/"}]}`, "steps/0/props/a: must be a text of at most 2000 bytes"},
		{"funnel", `{"steps":[{"page":"/","color":"red"},{"page":"/"}]}`, "steps/0/color: there is no such member here"},
		{"funnel", `{"steps":[{"page":"/"},{"page":"/"}],"window":"1w"}`, "window: must be visit, or a number of minutes, hours or days such as 30m, 12h or 7d"},
		{"funnel", `{"steps":[{"page":"/"},{"page":"/"}],"window":""}`, "window: must be visit, or a number of minutes, hours or days such as 30m, 12h or 7d"},
		{"funnel", `{"steps":[{"page":"/"},{"page":"/"}],"window":"07d"}`, "window: must be visit, or a number of minutes, hours or days such as 30m, 12h or 7d"},
		{"funnel", `{"steps":[{"page":"/"},{"page":"/"}],"window":"-7d"}`, "window: must be visit, or a number of minutes, hours or days such as 30m, 12h or 7d"},
		{"funnel", `{"steps":[{"page":"/"},{"page":"/"}],"window":"91d"}`, "window: must be at most 90 days"},
		{"funnel", `{"steps":[{"page":"/"},{"page":"/"}],"window":"99999999999m"}`, "window: must be at most 90 days"},
		{"funnel", `{"steps":[{"page":"/"},{"page":"/"}],"colour":1}`, "colour: there is no such member here"},
		{"journeys", `{"steps":0}`, "steps: must be a whole number from 1 to 5"},
		{"journeys", `{"steps":2.5}`, "steps: must be a whole number from 1 to 5"},
		{"journeys", `{"steps":"3"}`, "steps: must be a whole number from 1 to 5"},
		{"journeys", `{"steps":[]}`, "steps: must be a whole number from 1 to 5"},
		{"journeys", `{"top":51}`, "top: must be a whole number from 1 to 50"},
		{"journeys", `{"page":""}`, "page: must begin with / or *"},
		{"journeys", `{"direction":"up"}`, "direction: must be next or previous"},
		{"retention", `{"interval":"day"}`, "interval: must be week or month"},
		{"retention", `{"interval":3}`, "interval: must be week or month"},
		{"retention", `{"periods":61}`, "periods: must be a whole number from 1 to 60"},
		{"heatmap", `{"date_range":["2020-01-01","2026-01-01"]}`, "date_range: longer than five years"},
		{"heatmap", `{"date_range":"fortnight"}`, `#/date_range: Invalid date range "fortnight"`},
		{"heatmap", `{"filters":[["is","visit:colour",["red"]]]}`, `#/filters/0/1: Invalid dimension "visit:colour"`},
		{"page", `{}`, "page: is missing"},
		{"page", `{"page":"/","interval":"minute"}`, "interval: must be day or hour or week or month"},
		{"page", `{"page":"/","interval":"hour","date_range":["2022-01-01","2026-01-01"]}`, "interval: hour is too fine for this range, at most 10000 hours"},
		{"returning", `{"lasting":true}`, "lasting: there is no such member here"},
	} {
		h := newHouse(t)
		got := h.post(c.target, c.body)
		if got.status != 400 || got.problem(t) != c.want {
			t.Errorf("%s %s: got %d %s", c.target, cut(c.body), got.status, got.body)
		}
		if h.looks > 0 {
			t.Errorf("%s %s was asked all the same", c.target, cut(c.body))
		}
	}
	for _, c := range []struct{ target, want string }{
		{"heatmap?from=2026-05-01", "to: is missing beside from"},
		{"heatmap?to=2026-05-01", "from: is missing beside to"},
		{"heatmap?from=2026-05-01&to=2026-05-02&date_range=day", "date_range: cannot be given together with from and to"},
		{"heatmap?date_range=day&date_range=7d", "date_range: given twice"},
		{"heatmap?filters=[[", "filters: must be JSON, a list of filters"},
		{"heatmap?day=monday", "day: there is no such member here"},
		{"page?page=%FF", "page: must be UTF-8"},
		{"retention?periods=many", "periods: must be a whole number from 1 to 60"},
		{"realtime?date_range=day", "date_range: there is no such member here"},
		{"heatmap?token=x", "token: must be shard-index"},
	} {
		h := newHouse(t)
		if got := h.get(c.target); got.status != 400 || !strings.HasPrefix(got.problem(t), strings.SplitAfter(c.want, ":")[0]) || c.target != "heatmap?token=x" && got.problem(t) != c.want {
			t.Errorf("%s: got %d %s", c.target, got.status, got.body)
		}
	}
}

// requests is a good one of each route.
var requests = []struct{ method, report, body string }{
	{"POST", "funnel", `{"steps":[{"page":"/"},{"event":"Signup"}]}`},
	{"POST", "journeys", `{}`},
	{"GET", "retention", ""},
	{"POST", "retention", `{}`},
	{"GET", "heatmap", ""},
	{"POST", "heatmap", `{}`},
	{"GET", "realtime", ""},
	{"GET", "page?page=/", ""},
	{"POST", "page", `{"page":"/"}`},
	{"GET", "returning", ""},
	{"POST", "returning", ``},
}

func TestWhoMayReadReports(t *testing.T) {
	for _, c := range []struct {
		name, site string
		who        accounts.Identity
		status     int
	}{
		{"nobody", "example.com", accounts.Identity{}, 401},
		{"nobody, a public site", "public.test", accounts.Identity{}, 200},
		{"nobody, no such site", "nowhere.test", accounts.Identity{}, 401},
		{"a key", "example.com", reader, 200},
		{"a key for another site", "example.com", accounts.Identity{Org: 1, Key: 8, KeySite: 99, Scopes: reader.Scopes}, 401},
		{"a key that may only write", "example.com", accounts.Identity{Org: 1, Key: 9, Scopes: []accounts.Scope{accounts.EventsWrite}}, 401},
		{"a viewer", "example.com", accounts.Identity{User: 3, Org: 1, Role: accounts.Viewer}, 200},
		{"an owner of another organisation", "example.com", accounts.Identity{User: 3, Org: 2, Role: accounts.Owner}, 401},
		{"the operator", "example.com", accounts.Identity{Operator: true}, 200},
	} {
		for _, r := range requests {
			h := newHouse(t)
			got := h.call(c.who, r.method, "/v1/sites/"+c.site+"/"+r.report, r.body)
			if got.status != c.status {
				t.Errorf("%s: %s %s: got %d %s", c.name, r.method, r.report, got.status, got.body)
			}
			if c.status != 200 && h.looks > 0 {
				t.Errorf("%s: %s %s was looked at all the same", c.name, r.method, r.report)
			}
		}
	}
}

func TestWhatEndsAReport(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{context.DeadlineExceeded, 503, "date_range: took too long; ask about less or try again"},
		{fmt.Errorf("day: %w", context.Canceled), 503, "request: was ended"},
		{analytics.Errorf(analytics.TooLarge, "date_range: too much"), 413, "date_range: too much"},
		{errors.New("disk on fire"), 500, ""},
	} {
		h := newHouse(t)
		h.fail = c.err
		got := h.get("heatmap")
		if got.status != c.status || c.want != "" && got.problem(t) != c.want || strings.Contains(got.body, "fire") {
			t.Errorf("%v: got %d %s", c.err, got.status, got.body)
		}
	}
}

// shelf is a cache that keeps everything under its full key.
type shelf struct {
	bodies map[string][]byte
	made   int
	spans  [][2]int64
}

func (s *shelf) Bytes(ctx context.Context, id analytics.SiteID, from, to int64, _ analytics.Token, key []byte,
	makeBody func(context.Context) ([]byte, error)) ([]byte, uint64, bool, error) {
	s.spans = append(s.spans, [2]int64{from, to})
	full := fmt.Sprint(id, from, to, string(key))
	if b, ok := s.bodies[full]; ok {
		return b, 99, true, nil
	}
	b, err := makeBody(ctx)
	if err == nil {
		s.made++
		s.bodies[full] = b
	}
	return b, 99, false, err
}

func TestReportsThatDifferAreKeptApart(t *testing.T) {
	h := newHouse(t)
	visits(h)
	s := &shelf{bodies: map[string][]byte{}}
	h.door.cfg.Cache = s
	h.goals = []*analytics.Goal{{ID: 1, Name: "Goal", Kind: analytics.GoalEvent, Event: "Signup"}}
	all := []struct{ report, body string }{
		{"heatmap", `{"date_range":["2026-05-12","2026-05-12"]}`},
		{"heatmap", `{"date_range":["2026-05-12","2026-05-13"]}`},
		{"heatmap", `{"date_range":["2026-05-12","2026-05-12"],"filters":[["is","visit:source",["Google"]]]}`},
		{"heatmap", `{"date_range":["2026-05-12","2026-05-12"],"filters":[["contains","visit:source",["Google"]]]}`},
		{"heatmap", `{"date_range":["2026-05-12","2026-05-12"],"filters":[["matches","visit:source",["Google"]]]}`},
		{"heatmap", `{"date_range":["2026-05-12","2026-05-12"],"filters":[["matches","visit:source",["Bing"]]]}`},
		{"journeys", `{"date_range":["2026-05-12","2026-05-12"]}`},
		{"journeys", `{"date_range":["2026-05-12","2026-05-12"],"top":2}`},
		{"journeys", `{"date_range":["2026-05-12","2026-05-12"],"direction":"previous"}`},
		{"funnel", `{"date_range":["2026-05-12","2026-05-12"],"steps":[{"page":"/"},{"goal":"Goal"}]}`},
		{"funnel", `{"date_range":["2026-05-12","2026-05-12"],"steps":[{"page":"/"},{"goal":"Goal","name":"Other"}]}`},
		{"funnel", `{"date_range":["2026-05-12","2026-05-12"],"window":"1h","steps":[{"page":"/"},{"goal":"Goal"}]}`},
		{"page", `{"date_range":["2026-05-12","2026-05-12"],"page":"/"}`},
		{"page", `{"date_range":["2026-05-12","2026-05-12"],"page":"/pricing"}`},
		{"page", `{"date_range":["2026-05-12","2026-05-12"],"page":"/pricing","interval":"week"}`},
		{"returning", `{"date_range":["2026-05-12","2026-05-12"]}`},
	}
	for round := range 2 {
		for _, r := range all {
			with := h.post(r.report, r.body)
			h.door.cfg.Cache = nil
			without := h.post(r.report, r.body)
			h.door.cfg.Cache = s
			if want := strings.Replace(without.body, `"as_of":8`, `"as_of":99`, 1); with.body != want {
				t.Errorf("%s %s: got %s\nwant %s", r.report, r.body, with.body, want)
			}
		}
		if s.made != len(all) {
			t.Errorf("round %d: %d reports were made, want %d", round, s.made, len(all))
		}
	}
	made := s.made
	h.goals = []*analytics.Goal{{ID: 1, Name: "Goal", Kind: analytics.GoalEvent, Event: "Download"}}
	if h.post("funnel", all[9].body); s.made != made+1 {
		t.Error("a funnel is taken from before its goal changed")
	}
	if last := s.spans[len(s.spans)-1]; last != [2]int64{instant(t, "2026-05-11T22:00:00Z"), instant(t, "2026-05-12T22:00:00Z")} {
		t.Errorf("a funnel depends on %v", last)
	}
	if h.post("returning", all[15].body); s.spans[len(s.spans)-1][0] != 0 {
		t.Error("returning visitors depend on all that was before")
	}
	spans := len(s.spans)
	if h.get("realtime"); len(s.spans) != spans {
		t.Error("what is going on now was looked for among what was kept")
	}
}

func TestRetentionIsMadeAnewWhenADayHasEnded(t *testing.T) {
	h := newHouse(t)
	s := &shelf{bodies: map[string][]byte{}}
	h.door.cfg.Cache = s
	const body = `{"date_range":["2026-05-04","2026-05-17"]}`
	for _, c := range []struct {
		now  string
		made int
		last string
	}{{"2026-05-13T12:30:00Z", 1, "true"}, {"2026-05-13T20:00:00Z", 1, "true"}, {"2026-05-17T22:00:00Z", 2, "false"}} {
		h.now = time.UnixMilli(instant(t, c.now))
		got := h.post("retention", body)
		if s.made != c.made || !strings.Contains(got.body, `"start":"2026-05-11","partial":`+c.last) {
			t.Errorf("%s: made %d times, %s", c.now, s.made, got.body)
		}
	}
}

func FuzzAnyBodyIsAnsweredOrRefused(f *testing.F) {
	for _, r := range requests {
		f.Add(strings.SplitN(r.report, "?", 2)[0], r.body)
	}
	f.Add("funnel", `{"steps":[{"page":"/**","scroll":5,"props":{"a":"b"}},{"goal":"Goal"}],"window":"7d","filters":[["not",["is","event:page",["/"]]]]}`)
	f.Add("journeys", `{"page":"/*","direction":"previous","steps":5,"top":50,"date_range":"all"}`)
	f.Fuzz(func(t *testing.T, report, body string) {
		h := newHouse(t)
		visits(h)
		for _, r := range h.door.Routes() {
			if r.Method == "POST" && strings.HasSuffix(r.Path, "/"+report) {
				if got := h.post(report, body); got.status != 200 && got.status != 400 && got.status != 413 {
					t.Errorf("%s %q: %d %s", report, body, got.status, got.body)
				}
				return
			}
		}
	})
}
