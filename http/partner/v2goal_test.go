package partner

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
)

const goalHelp = " is not configured for this site. Find out how to configure goals here: /v1/openapi.yaml"

func TestEveryErrorOfGoalsAndSegmentsHasItsText(t *testing.T) {
	metric := func(name, members string) string {
		return `{"site_id":"example.com","metrics":["` + name + `"],"date_range":"day"` + members + `}`
	}
	const (
		topLevel   = "Invalid filters. Dimension `event:goal` can only be filtered at the top level."
		onlyEvents = "Invalid filters. Behavioral filters (has_done, has_not_done) can only be used with event dimension filters."
		segments   = "Invalid filters. Some segments don't exist or aren't accessible."
		nested     = "Invalid filters. When `conversion_rate` or `group_conversion_rate` metrics are used, custom property filters can only be used on top level."
		needsGoal  = " can only be queried with event:goal filters or dimensions."
	)
	for _, c := range []struct{ body, want string }{
		{with(`"filters":[["is","event:goal",["Signup","Gone"]]]`), "Invalid filters. The goal `Gone`" + goalHelp},
		{with(`"filters":[["is","event:goal",["signup"]]]`), "Invalid filters. The goal `signup`" + goalHelp},
		{with(`"filters":[["contains","event:goal",["Purch","gone"]]]`), "Invalid filters. The goal `gone`" + goalHelp},
		{with(`"filters":[["has_done",["is","event:goal",["Gone"]]]]`), "Invalid filters. The goal `Gone`" + goalHelp},
		{with(`"filters":[["is_not","event:goal",["Signup"]]]`), "Invalid filters. Operator `is_not` is not supported for `event:goal`, only `is` and `contains` are."},
		{with(`"filters":[["matches","event:goal",["S.*"]]]`), "Invalid filters. Operator `matches` is not supported for `event:goal`, only `is` and `contains` are."},
		{with(`"filters":[["not",["is","event:goal",["Signup"]]]]`), topLevel},
		{with(`"filters":[["and",[["is","event:goal",["Signup"]]]]]`), topLevel},
		{with(`"filters":[["is","event:goal",[1]]]`), `#/filters/0: Invalid filter ["is","event:goal",[1]]`},
		{with(`"filters":[["contains","event:goal",["` + strings.Repeat(`a","`, 200) + `"]]]`), "Invalid filters. `event:goal` cannot contain more than 200 texts."},
		{metric("conversion_rate", ``), "Metric `conversion_rate`" + needsGoal},
		{metric("group_conversion_rate", `,"filters":[["is","event:page",["/"]]]`), "Metric `group_conversion_rate`" + needsGoal},
		{metric("conversion_rate", `,"filters":[["has_done",["is","event:goal",["Signup"]]]]`), "Metric `conversion_rate`" + needsGoal},
		{metric("conversion_rate", `,"dimensions":["event:goal"],"filters":[["or",[["is","event:props:plan",["a"]],["is","visit:os",["Mac"]]]]]`), nested},
		{metric("group_conversion_rate", `,"dimensions":["event:goal"],"filters":[["not",["is","event:props:plan",["a"]]]]`), nested},
		{metric("bounce_rate", `,"dimensions":["event:goal"]`), "Session metric(s) `bounce_rate` cannot be queried along with event dimensions."},
		{metric("views_per_visit", `,"dimensions":["event:goal"]`), "Metric `views_per_visit` cannot be queried with `dimensions`."},
		{metric("time_on_page", `,"filters":[["has_done",["is","event:page",["/"]]]]`), "Metric `time_on_page` can only be queried with event:page filters or dimensions."},
		{metric("scroll_depth", `,"filters":[["has_not_done",["is","event:page",["/"]]]]`), "Metric `scroll_depth` can only be queried with event:page filters or dimensions."},
		{with(`"filters":[["has_done",["or",[["is","event:page",["/"]],["is","visit:source",["Google"]]]]]]`), onlyEvents},
		{with(`"filters":[["has_done",["is","segment",[11]]]]`), onlyEvents},
		{with(`"filters":[["has_done"]]`), `#/filters/0: Invalid filter ["has_done"]`},
		{with(`"filters":[["has_done",["is","event:page",["/"]],{}]]`), `#/filters/0: Invalid filter ["has_done",["is","event:page",["/"]],{}]`},
		{with(`"filters":[["is","segment",[99]]]`), segments},
		{with(`"filters":[["is","segment",[20]]]`), segments},
		{with(`"filters":[["is","segment",["no number"]]]`), segments},
		{with(`"filters":[["is","segment",[-11]]]`), segments},
		{with(`"filters":[["is","segment",[13]]]`), segments},
		{with(`"filters":[["is","segment",[11,13]]]`), segments},
		{with(`"filters":[["is_not","segment",[11]]]`), "Invalid filters. Operator `is_not` is not supported for `segment`, only `is` is."},
		{with(`"filters":[["contains","segment",[11]]]`), "Invalid filters. Operator `contains` is not supported for `segment`, only `is` is."},
		{with(`"filters":[["is","segment",[16]]]`), "Invalid filters. A segment cannot be made of segments."},
		{with(`"filters":[["is","segment",[17]]]`), "Invalid filters. Segment 17 has no filters that can be read."},
		{with(`"filters":[["is","segment",[18]]]`), "Invalid filters. Segment 18 has no filters that can be read."},
		{with(`"filters":[["is","segment",[19]]]`), "Invalid filters. The goal `Gone`" + goalHelp},
		{with(`"filters":[["is","segment",[15,11]]]`), topLevel},
		{with(`"filters":[["is","segment",[]]]`), `#/filters/0: Invalid filter ["is","segment",[]]`},
		{with(`"filters":[["is","segment",[1.5]]]`), `#/filters/0: Invalid filter ["is","segment",[1.5]]`},
		{with(`"filters":[["is","segment"]]`), `#/filters/0: Invalid filter ["is","segment"]`},
		{with(`"filters":[["is","segment",[11],{"case_sensitive":false}]]`), `#/filters/0: Invalid filter ["is","segment",[11],{"case_sensitive":false}]`},
		{with(`"filters":[["is","visit:country",[11]]]`), `#/filters/0: Invalid filter ["is","visit:country",[11]]`},
	} {
		w := newWorld(t).define()
		got := w.query(c.body)
		if got.status != 400 || got.problem(t) != c.want {
			t.Errorf("%s\n got %d %s\nwant 400 %s", c.body, got.status, got.body, c.want)
		}
		if len(w.asker.asked) > 0 {
			t.Errorf("%s was asked all the same", c.body)
		}
	}
}

func TestGoalsSegmentsAndBehaviorAreAskedAndEchoed(t *testing.T) {
	for _, c := range []struct{ filters, want, echo string }{
		{`[["is","event:goal",["Donation","Signup"]]]`, `reached event:goal [Signup Donation]`, ``},
		{`[["is","event:goal",["SIGNUP"],{"case_sensitive":false}]]`, `reached event:goal [Signup]`, ``},
		{`[["contains","event:goal",["Purchase","/blog"]]]`, `reached event:goal [Visit /blog/** Purchase Purchase of a friend]`, ``},
		{`[["contains","event:goal",["purchase"],{"case_sensitive":false}]]`, `reached event:goal [Purchase Purchase of a friend]`, ``},
		{`[["is","event:goal",["Visit /blog/**"]],["is","event:props:plan",["a"]]]`, `and(reached event:goal [Visit /blog/**], is event:props:plan [a])`, ``},
		{`[["has_done",["is","event:goal",["Signup"]]]]`, `has_done(reached event:goal [Signup])`, ``},
		{`[["has_not_done",["and",[["is","event:page",["/"]],["is","event:hostname",["a.com"]],["not",["contains","event:props:x",["y"]]]]]]]`,
			`not(has_done(and(is event:page [/], is event:hostname [a.com], not(contains event:props:x [y]))))`, ``},
		{`[["or",[["has_done",["is","event:goal",["Signup"]]],["is","visit:os",["Mac"]]]]]`, `or(has_done(reached event:goal [Signup]), is visit:os [Mac])`, ``},
		{`[["is","segment",[11]]]`, `is visit:country [DE]`, `[["is","visit:country",["DE"]]]`},
		{`[["is","segment",["11"]]]`, `is visit:country [DE]`, `[["is","visit:country",["DE"]]]`},
		{`[["is","visit:os",["iOS"]],["is","segment",[12]]]`, `and(is visit:os [iOS], is visit:os [Mac], contains fold event:page [/a])`,
			`[["is","visit:os",["iOS"]],["is","visit:os",["Mac"]],["contains","event:page",["/a"],{"case_sensitive":false}]]`},
		{`[["is","segment",[11,12]]]`, `or(is visit:country [DE], and(is visit:os [Mac], contains fold event:page [/a]))`,
			`[["or",[["is","visit:country",["DE"]],["and",[["is","visit:os",["Mac"]],["contains","event:page",["/a"],{"case_sensitive":false}]]]]]]`},
		{`[["not",["is","segment",[12]]]]`, `not(and(is visit:os [Mac], contains fold event:page [/a]))`,
			`[["not",["and",[["is","visit:os",["Mac"]],["contains","event:page",["/a"],{"case_sensitive":false}]]]]]`},
		{`[["is","segment",[15]]]`, `and(reached event:goal [Signup], is event:hostname [a.com])`, `[["is","event:goal",["Signup"]],["is","event:hostname",["a.com"]]]`},
		{`[["is","segment",[14]]]`, `is visit:os [iOS]`, `[["is","visit:os",["iOS"]]]`},
	} {
		w := newWorld(t, query.Row{Values: num(1)}).define()
		got := w.query(with(`"filters":` + c.filters))
		if got.status != 200 {
			t.Errorf("%s: %d %s", c.filters, got.status, got.body)
			continue
		}
		checkQuestion(t, w.asker.asked[0])
		if asked := show(w.asker.asked[0].Filter); asked != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.filters, asked, c.want)
		}
		if c.echo == "" {
			c.echo = c.filters
		}
		var body struct {
			Query struct{ Filters json.RawMessage }
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || string(body.Query.Filters) != c.echo {
			t.Errorf("%s: echoed as %s, want %s", c.filters, body.Query.Filters, c.echo)
		}
	}
}

func TestPersonalSegmentsAreTheirOwners(t *testing.T) {
	for _, c := range []struct {
		name   string
		who    accounts.Identity
		id     string
		status int
	}{
		{"the owner", accounts.Identity{User: 3, Org: 1, Role: accounts.Viewer}, "13", 200},
		{"another user", accounts.Identity{User: 4, Org: 1, Role: accounts.Owner}, "13", 400},
		{"a key", key, "13", 400},
		{"the operator", accounts.Identity{Operator: true}, "13", 200},
		{"a key, one that a key made", key, "14", 200},
		{"a user, one that a key made", accounts.Identity{User: 3, Org: 1, Role: accounts.Viewer}, "14", 400},
		{"another user, one of the site", accounts.Identity{User: 4, Org: 1, Role: accounts.Viewer}, "11", 200},
	} {
		w := newWorld(t, query.Row{Values: num(1)}).define()
		if got := w.call(c.who, "POST", "/api/v2/query", with(`"filters":[["is","segment",[`+c.id+`]]]`)); got.status != c.status {
			t.Errorf("%s: %d %s", c.name, got.status, got.body)
		}
	}
	w := newWorld(t, query.Row{Values: num(1)}).define()
	w.sites["example.com"] = site(t, 1, "example.com", "UTC", 1, true)
	if got := w.call(accounts.Identity{}, "POST", "/api/v2/query", with(`"filters":[["is","segment",[14]]]`)); got.status != 400 {
		t.Errorf("nobody, a personal one of a public site: %d %s", got.status, got.body)
	}
}

func TestRowsOfGoalsAreThoseOfTheFilters(t *testing.T) {
	all := []string{"Signup", "Visit /blog/**", "Purchase", "Donation", "Purchase of a friend", "Read | all; of it"}
	for _, c := range []struct {
		members string
		want    []string
	}{
		{`"dimensions":["event:goal"]`, all},
		{`"dimensions":["visit:source","event:goal"],"filters":[["has_done",["is","event:goal",["Signup"]]]]`, all},
		{`"dimensions":["event:goal"],"filters":[["is","event:goal",["Donation","Signup"]]]`, []string{"Signup", "Donation"}},
		{`"dimensions":["event:goal"],"filters":[["is","event:goal",["Donation","Signup"]],["contains","event:goal",["Don"]]]`, []string{"Donation"}},
		{`"dimensions":["visit:source"],"filters":[["is","event:goal",["Signup"]]]`, nil},
	} {
		w := newWorld(t).define()
		if got := w.query(with(c.members)); got.status != 200 {
			t.Fatalf("%s: %s", c.members, got.body)
		}
		checkQuestion(t, w.asker.asked[0])
		if got := goalNames(w.asker.asked[0].Goals); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.members, got, c.want)
		}
	}
}

func TestRevenueHasTheCurrencyOfItsGoals(t *testing.T) {
	null, euro := query.Value{Null: true}, query.Value{Number: 12.5, Currency: "EUR"}
	const (
		shown       = `{"value":12.5,"currency":"EUR","short":"€12.50","long":"€12.50"}`
		zero        = `{"value":0,"currency":"EUR","short":"€0.00","long":"€0.00"}`
		warnNone    = `{"total_revenue":{"code":"no_revenue_goals_matching","warning":"` + textNoRevenueGoals + `"}}`
		warnSeveral = `{"total_revenue":{"code":"no_single_revenue_currency","warning":"` + textSeveralCurrencies + `"}}`
	)
	for _, c := range []struct {
		name, members string
		rows          []query.Row
		results       string
		warnings      string
	}{
		{"without a goal", ``, []query.Row{{Values: []query.Value{euro}}}, `[{"dimensions":[],"metrics":[null]}]`, warnNone},
		{"with goals without revenue", `,"filters":[["is","event:goal",["Signup"]]]`, []query.Row{{Values: []query.Value{euro}}}, `[{"dimensions":[],"metrics":[null]}]`, warnNone},
		{"what the visit did besides is no goal of the query", `,"filters":[["has_done",["is","event:goal",["Purchase"]]]]`,
			[]query.Row{{Values: []query.Value{euro}}}, `[{"dimensions":[],"metrics":[null]}]`, warnNone},
		{"with one currency", `,"filters":[["contains","event:goal",["Purchase","Sign"]]]`, []query.Row{{Values: []query.Value{euro}}}, `[{"dimensions":[],"metrics":[` + shown + `]}]`, ``},
		{"with no event", `,"filters":[["is","event:goal",["Purchase"]]]`, []query.Row{{Values: []query.Value{null}}}, `[{"dimensions":[],"metrics":[` + zero + `]}]`, ``},
		{"with two currencies", `,"filters":[["is","event:goal",["Purchase","Donation"]]]`, []query.Row{{Values: []query.Value{euro}}}, `[{"dimensions":[],"metrics":[null]}]`, warnSeveral},
		{"with events of another currency", `,"filters":[["is","event:goal",["Donation"]]]`, []query.Row{{Values: []query.Value{euro}}}, `[{"dimensions":[],"metrics":[null]}]`, warnSeveral},
		{"by source", `,"dimensions":["visit:source"],"filters":[["is","event:goal",["Purchase"]]]`,
			[]query.Row{{Dims: []string{"A"}, Values: []query.Value{euro}}, {Dims: []string{"B"}, Values: []query.Value{null}}},
			`[{"dimensions":["A"],"metrics":[` + shown + `]},{"dimensions":["B"],"metrics":[` + zero + `]}]`, ``},
		{"by goal", `,"dimensions":["event:goal"]`,
			[]query.Row{{Dims: []string{"Purchase"}, Values: []query.Value{euro}}, {Dims: []string{"Signup"}, Values: []query.Value{euro}},
				{Dims: []string{"Donation"}, Values: []query.Value{{Number: 1500, Currency: "USD"}}}, {Dims: []string{"Purchase of a friend"}, Values: []query.Value{null}}},
			`[{"dimensions":["Purchase"],"metrics":[` + shown + `]},{"dimensions":["Signup"],"metrics":[null]},` +
				`{"dimensions":["Donation"],"metrics":[{"value":1500,"currency":"USD","short":"$1.5K","long":"$1,500.00"}]},{"dimensions":["Purchase of a friend"],"metrics":[` + zero + `]}]`, ``},
		{"by goal, none of which has revenue", `,"dimensions":["event:goal"],"filters":[["is","event:goal",["Signup"]]]`,
			[]query.Row{{Dims: []string{"Signup"}, Values: []query.Value{null}}}, `[{"dimensions":["Signup"],"metrics":[null]}]`, warnNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.rows...).define()
			given := c.rows[0].Values[0]
			got := w.query(`{"site_id":"example.com","metrics":["total_revenue"],"date_range":"day"` + c.members + `}`)
			var body struct {
				Results json.RawMessage
				Meta    struct {
					Warnings json.RawMessage `json:"metric_warnings"`
				}
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if string(body.Results) != c.results || string(body.Meta.Warnings) != c.warnings {
				t.Errorf("got %s %s\nwant %s %s", body.Results, body.Meta.Warnings, c.results, c.warnings)
			}
			if c.rows[0].Values[0] != given {
				t.Error("the asker's answer was changed")
			}
		})
	}
}

func TestRevenueThatIsNullSortsNothing(t *testing.T) {
	for _, c := range []struct{ members, want string }{
		{`"dimensions":["visit:source"]`, `[{ visit:source false}]`},
		{`"dimensions":["visit:source","time:day"]`, `[{ time:day false}]`},
		{`"dimensions":["visit:source"],"order_by":[["total_revenue","desc"],["visitors","asc"]]`, `[{visitors  false}]`},
		{`"dimensions":["visit:source"],"order_by":[["total_revenue","asc"]]`, `[{ visit:source false}]`},
		{`"filters":[["is","event:goal",["Purchase"]]],"dimensions":["visit:source"],"order_by":[["total_revenue","asc"]]`, `[{total_revenue  false}]`},
	} {
		w := newWorld(t).define()
		if got := w.query(`{"site_id":"example.com","metrics":["total_revenue","visitors"],"date_range":"day",` + c.members + `}`); got.status != 200 {
			t.Fatalf("%s: %s", c.members, got.body)
		}
		if got := orderText(w.asker.asked[0].OrderBy); got != c.want {
			t.Errorf("%s: sorted by %s, want %s", c.members, got, c.want)
		}
	}
}

func orderText(order []query.Order) string {
	var parts []string
	for _, o := range order {
		way := "false"
		if o.Desc {
			way = "true"
		}
		parts = append(parts, "{"+string(o.Metric)+" "+string(o.Dimension)+" "+way+"}")
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func TestComparedRevenueHasACurrencyOnBothSides(t *testing.T) {
	w := newWorld(t).define()
	got, _ := compared(w, `"metrics":["total_revenue"],"date_range":["2026-03-02","2026-03-03"],"dimensions":["time:day"],"filters":[["is","event:goal",["Purchase"]]]`, `{"mode":"previous_period"}`,
		[]query.Row{{Dims: []string{"2026-03-02"}, Values: []query.Value{{Number: 3, Currency: "EUR"}}}}, nil)
	want := `[{"dimensions":["2026-03-02"],"metrics":[{"value":3,"currency":"EUR","short":"€3.00","long":"€3.00"}],` +
		`"comparison":{"dimensions":["2026-02-28"],"metrics":[{"value":0,"currency":"EUR","short":"€0.00","long":"€0.00"}],"change":[100]}}]`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestConversionsAreShownWithTwoDecimals(t *testing.T) {
	w := newWorld(t, query.Row{Values: num(12.345, 50)}).define()
	got := w.query(`{"site_id":"example.com","metrics":["conversion_rate","group_conversion_rate"],"date_range":"day","filters":[["is","event:goal",["Signup"]],["is","event:props:plan",["a"]]]}`)
	if !strings.Contains(got.body, `"metrics":[12.35,50]}`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestVisitorsLastAsTheSiteSays(t *testing.T) {
	for uniques, want := range map[analytics.Uniques]bool{"": false, analytics.UniquesDaily: false, analytics.UniquesWeekly: true, analytics.UniquesMonthly: true} {
		w := newWorld(t, query.Row{Values: num(1)})
		s := *w.sites["example.com"]
		s.Uniques = uniques
		w.sites["example.com"] = &s
		w.query(with(""))
		w.call(key, "GET", stats("aggregate"), "")
		for _, q := range w.asker.asked {
			if q.Lasting != want {
				t.Errorf("%q: lasting %v", uniques, q.Lasting)
			}
		}
	}
}

func TestTheFirstEventThatCannotBeFoundIsAnError(t *testing.T) {
	w := newWorld(t, query.Row{Values: num(1)})
	w.door.cfg.First = noFirst{}
	if got := w.query(`{"site_id":"example.com","metrics":["visitors"],"date_range":"all"}`); got.status != 503 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

type noFirst struct{}

var errNoLeader = errors.New("no leader")

func (noFirst) FirstEvent(analytics.SiteID) (int64, bool, error) {
	return 0, false, &analytics.Error{Code: analytics.Unavailable, Text: "no leader", Err: errNoLeader}
}
