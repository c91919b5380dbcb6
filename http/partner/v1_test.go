package partner

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"footfall/analytics/query"
)

// stats makes the target of a v1 request from "name=value" parts.
func stats(endpoint string, parts ...string) string {
	v := url.Values{"site_id": {"example.com"}}
	for _, p := range parts {
		name, value, _ := strings.Cut(p, "=")
		v.Set(name, value)
	}
	return "/api/v1/stats/" + endpoint + "?" + v.Encode()
}

func TestEveryErrorOfV1HasItsText(t *testing.T) {
	const docs = "/v1/openapi.yaml"
	for _, c := range []struct {
		target, want string
		status       int
	}{
		{stats("aggregate", "period=9d"), "Error parsing `period` parameter: invalid period `9d`. Please find accepted values in our docs: " + docs, 400},
		{stats("aggregate", "period=day", "date=yesterday"), "Error parsing `date` parameter: invalid date `yesterday`. Please specify a valid date in ISO-8601 format.", 400},
		{stats("aggregate", "period=custom"), "The `date` parameter is required when using a custom period. See " + docs, 400},
		{stats("timeseries", "period=custom", "date=2026-01-01"), "Invalid format for `date` parameter. When using a custom period, please include two ISO-8601 formatted dates joined by a comma. See " + docs, 400},
		{stats("aggregate", "period=custom", "date=2026-01-02,2026-01-01"), "Invalid format for `date` parameter. When using a custom period, please include two ISO-8601 formatted dates joined by a comma. See " + docs, 400},
		{stats("breakdown"), "The `property` parameter is required. Please provide at least one property to show a breakdown by.", 400},
		{stats("breakdown", "property=badproperty"), "Invalid property 'badproperty'. Please provide a valid property for the breakdown endpoint: " + docs, 400},
		{stats("breakdown", "property=time:day"), "Invalid property 'time:day'. Please provide a valid property for the breakdown endpoint: " + docs, 400},
		{stats("breakdown", "property=event:hostname"), "Property 'event:hostname' is currently not supported for breakdowns. Please provide a valid property for the breakdown endpoint: " + docs, 400},
		{stats("breakdown", "property=event:page", "limit=1001"), "Please provide limit as a number between 1 and 1000.", 400},
		{stats("breakdown", "property=event:page", "limit=bad_limit"), "Please provide limit as a number between 1 and 1000.", 400},
		{stats("breakdown", "property=event:page", "page=0"), "Please provide page as a number between 1 and 1000000.", 400},
		{stats("aggregate", "metrics=visitors,baa"), "The metric `baa` is not recognized. Find valid metrics from the documentation: " + docs, 400},
		{stats("aggregate", "metrics=visitors,visitors"), "Metrics cannot be queried multiple times.", 400},
		{stats("aggregate", "metrics=conversion_rate"), "Metric `conversion_rate` can only be queried in a goal breakdown or with a goal filter", 400},
		{stats("aggregate", "metrics=time_on_page"), "Metric `time_on_page` can only be queried in a page breakdown or with a page filter.", 400},
		{stats("aggregate", "metrics=views_per_visit", "filters=event:page==/"), "Metric `views_per_visit` cannot be queried with a filter on `event:page`.", 400},
		{stats("breakdown", "metrics=views_per_visit", "property=event:page"), "Metric `views_per_visit` is not supported in breakdown queries", 400},
		{stats("breakdown", "metrics=visitors,bounce_rate", "property=event:props:url"), "Session metric `bounce_rate` cannot be queried for breakdown by `event:props:url`.", 400},
		{stats("timeseries", "metrics=visit_duration", "filters=event:name==Signup"), "Session metric `visit_duration` cannot be queried when using a filter on `event:name`.", 400},
		{stats("timeseries", "interval=hour"), "Error parsing `interval` parameter: invalid interval `hour`. Valid intervals are `day`, `month`", 400},
		{stats("aggregate", "compare=year"), "Invalid `compare` parameter `year`. Only `previous_period` is supported.", 400},
		{stats("aggregate", "filters=visit:country==Estonia"), "Invalid visit:country filter, visit:country needs to be a valid 2-letter country code.", 400},
		{stats("aggregate", "filters=badproperty==x"), "Invalid filter property 'badproperty'. Please provide a valid filter property: " + docs, 400},
		{stats("aggregate", "filters=event:page==/;visit:source"), "Invalid filter 'visit:source'. A filter is a property, == or != and a value: " + docs, 400},
		{stats("aggregate", "filters=event:page=="), "Invalid filter 'event:page=='. A filter is a property, == or != and a value: " + docs, 400},
		{stats("aggregate", "filters=event:goal==Visit /a"), "The goal `Visit /a` is not configured for this site. Find out how to configure goals here: " + docs, 400},
		{stats("aggregate", "filters=event:goal==Purchase|Gone"), "The goal `Gone` is not configured for this site. Find out how to configure goals here: " + docs, 400},
		{stats("aggregate", "filters=event:goal==Nothing*"), "The goal `Nothing*` is not configured for this site. Find out how to configure goals here: " + docs, 400},
		{stats("aggregate", "filters=event:goal!=Signup"), "Invalid filter 'event:goal!=Signup'. A goal can only be filtered by with ==: " + docs, 400},
		{stats("breakdown", "metrics=conversion_rate", "property=visit:source"), "Metric `conversion_rate` can only be queried in a goal breakdown or with a goal filter", 400},
		{stats("breakdown", "metrics=bounce_rate", "property=event:goal"), "Session metric `bounce_rate` cannot be queried for breakdown by `event:goal`.", 400},
		{stats("breakdown", "metrics=visit_duration", "property=event:name"), "Session metric `visit_duration` cannot be queried for breakdown by `event:name`.", 400},
		{stats("aggregate", "metrics=bounce_rate", "filters=event:goal==Signup"), "Session metric `bounce_rate` cannot be queried when using a filter on `event:goal`.", 400},
		{stats("breakdown", "metrics=time_on_page", "property=visit:source"), "Metric `time_on_page` can only be queried in a page breakdown or with a page filter.", 400},
		{stats("timeseries", "metrics=total_revenue"), "The metric `total_revenue` is not recognized. Find valid metrics from the documentation: " + docs, 400},
		{stats("aggregate", "filters=event:page=="+strings.Repeat("a", 1001)+"*"), "filters: a value with a wildcard has more than 1000 bytes", 400},
		{stats("aggregate", "filters=event:page=="+strings.Repeat(strings.Repeat("a", 900)+"*|", 9)+"b"), "filters: the values with wildcards have more than 8000 bytes together", 400},
		{stats("aggregate", "filters=event:page=="+strings.Repeat("a|", 5000)+"a"), "filters: more than 5000 values of event:page", 400},
		{stats("aggregate", "filters="+strings.Repeat("event:page==a;", 257)), "filters: more than 256 filters", 400},
		{stats("realtime/visitors", "site_id="), textMissingSite, 400},
		{stats("realtime/visitors", "site_id=nowhere.test"), textInvalidKey, 401},
		{stats("aggregate", "site_id=elsewhere.org"), textInvalidKey, 401},
		{stats("aggregate", "token=x"), "token: must look like 12-3456", 400},
	} {
		w := newWorld(t).define()
		got := w.call(key, "GET", c.target, "")
		if got.status != c.status || got.problem(t) != c.want {
			t.Errorf("%s\n got %d %s\nwant %d %s", c.target, got.status, got.body, c.status, c.want)
		}
	}
}

func TestV1AnswersInTheDocumentedForm(t *testing.T) {
	for _, c := range []struct {
		name, target string
		answers      []*query.Answer
		want         string
	}{
		{"realtime", stats("realtime/visitors"), []*query.Answer{{Rows: []query.Row{{Values: num(21)}}}}, `21`},
		{"aggregate", stats("aggregate", "period=6mo", "metrics=visitors,bounce_rate,visit_duration,views_per_visit"),
			[]*query.Answer{{Rows: []query.Row{{Values: num(671814, 53.2, 86.4, 2.348)}}}},
			`{"results":{"visitors":{"value":671814},"bounce_rate":{"value":53},"visit_duration":{"value":86},"views_per_visit":{"value":2.35}}}`},
		{"aggregate compared", stats("aggregate", "metrics=visitors,bounce_rate,time_on_page", "filters=event:page==/", "compare=previous_period"),
			[]*query.Answer{{Rows: []query.Row{{Values: append(num(150, 40), query.Value{Null: true})}}}, {Rows: []query.Row{{Values: num(100, 45, 3)}}}},
			`{"results":{"visitors":{"value":150,"change":50},"bounce_rate":{"value":40,"change":-5},"time_on_page":{"value":null,"change":null}}}`},
		{"a series is filled with zeros", stats("timeseries", "period=custom", "date=2026-03-28,2026-03-31", "metrics=visitors,bounce_rate,visit_duration"),
			[]*query.Answer{{Rows: []query.Row{{Dims: []string{"2026-03-29"}, Values: num(4, 25, 10)}, {Dims: []string{"2026-03-31"}, Values: num(1, 100, 0)}}}},
			`{"results":[{"date":"2026-03-28","visitors":0,"bounce_rate":0,"visit_duration":null},{"date":"2026-03-29","visitors":4,"bounce_rate":25,"visit_duration":10},` +
				`{"date":"2026-03-30","visitors":0,"bounce_rate":0,"visit_duration":null},{"date":"2026-03-31","visitors":1,"bounce_rate":100,"visit_duration":0}]}`},
		{"six months are months", stats("timeseries", "period=6mo"),
			[]*query.Answer{{Rows: []query.Row{{Dims: []string{"2026-04-01"}, Values: num(9)}}}},
			`{"results":[{"date":"2025-11-01","visitors":0},{"date":"2025-12-01","visitors":0},{"date":"2026-01-01","visitors":0},` +
				`{"date":"2026-02-01","visitors":0},{"date":"2026-03-01","visitors":0},{"date":"2026-04-01","visitors":9}]}`},
		{"a breakdown", stats("breakdown", "property=visit:source", "metrics=visitors,bounce_rate"),
			[]*query.Answer{{Rows: []query.Row{{Dims: []string{"Direct / None"}, Values: num(9, 50)}, {Dims: []string{"Google"}, Values: num(3, 33.3)}}}},
			`{"results":[{"source":"Direct / None","visitors":9,"bounce_rate":50},{"source":"Google","visitors":3,"bounce_rate":33}]}`},
		{"a breakdown by a property", stats("breakdown", "property=event:props:package:name", "period=day", "date=2026-01-01"),
			[]*query.Answer{{Rows: []query.Row{{Dims: []string{"(none)"}, Values: num(9)}}}},
			`{"results":[{"package:name":"(none)","visitors":9}]}`},
		{"a breakdown by goal", stats("breakdown", "property=event:goal", "metrics=visitors,events"),
			[]*query.Answer{{Rows: []query.Row{{Dims: []string{"Signup"}, Values: num(9, 10)}}}},
			`{"results":[{"goal":"Signup","visitors":9,"events":10}]}`},
		{"conversions are named as asked for", stats("breakdown", "property=visit:source", "metrics=conversion_rate", "filters=event:goal==Signup"),
			[]*query.Answer{{Rows: []query.Row{{Dims: []string{"Google"}, Values: num(25)}}}},
			`{"results":[{"source":"Google","conversion_rate":25}]}`},
		{"a series of conversions has zeros", stats("timeseries", "period=custom", "date=2026-03-28,2026-03-29", "metrics=conversion_rate,events", "filters=event:goal==Signup"),
			[]*query.Answer{{Rows: []query.Row{{Dims: []string{"2026-03-29"}, Values: num(25, 3)}}}},
			`{"results":[{"date":"2026-03-28","conversion_rate":0,"events":0},{"date":"2026-03-29","conversion_rate":25,"events":3}]}`},
		{"imported statistics are warned of", stats("aggregate", "with_imported=true"), []*query.Answer{{Rows: []query.Row{{Values: num(7)}}}},
			`{"results":{"visitors":{"value":7}},"warning":"` + textNoImports + `"}`},
		{"imported statistics are warned of in a series", stats("timeseries", "period=day", "with_imported=true"), []*query.Answer{{}},
			`{"results":[{"date":"2026-05-13","visitors":0}],"warning":"` + textNoImports + `"}`},
		{"imported statistics are warned of in a breakdown", stats("breakdown", "property=event:page", "with_imported=true"), []*query.Answer{{}},
			`{"results":[],"warning":"` + textNoImports + `"}`},
		{"nothing is warned of without them", stats("aggregate", "with_imported=false"), []*query.Answer{{Rows: []query.Row{{Values: num(7)}}}},
			`{"results":{"visitors":{"value":7}}}`},
		{"an empty breakdown", stats("breakdown", "property=event:page"), []*query.Answer{{}}, `{"results":[]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t).define()
			w.asker.answer = func(n int, _ *query.Question) (*query.Answer, error) { return c.answers[n], nil }
			if got := w.call(key, "GET", c.target, ""); got.status != 200 || got.body != c.want {
				t.Errorf("got %d %s\nwant %s", got.status, got.body, c.want)
			}
		})
	}
}

// TestV1PeriodsAreOfTheSitesZone: now is 2026-05-13 14:30 in Berlin.
func TestV1PeriodsAreOfTheSitesZone(t *testing.T) {
	for _, c := range []struct{ period, date, from, to string }{
		{"day", "", "2026-05-13T00:00:00+02:00", "2026-05-14T00:00:00+02:00"},
		{"day", "2026-03-29", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{"7d", "", "2026-05-06T00:00:00+02:00", "2026-05-13T00:00:00+02:00"},
		{"30d", "2026-04-01", "2026-03-02T00:00:00+01:00", "2026-04-01T00:00:00+02:00"},
		{"month", "", "2026-05-01T00:00:00+02:00", "2026-06-01T00:00:00+02:00"},
		{"month", "2024-02-29", "2024-02-01T00:00:00+01:00", "2024-03-01T00:00:00+01:00"},
		{"6mo", "", "2025-11-01T00:00:00+01:00", "2026-05-01T00:00:00+02:00"},
		{"12mo", "2026-01-31", "2025-01-01T00:00:00+01:00", "2026-01-01T00:00:00+01:00"},
		{"custom", "2026-01-05,2026-01-06", "2026-01-05T00:00:00+01:00", "2026-01-07T00:00:00+01:00"},
	} {
		w := newWorld(t, query.Row{Values: num(1)})
		if got := w.call(key, "GET", stats("aggregate", "period="+c.period, "date="+c.date), ""); got.status != 200 {
			t.Fatalf("%s %s: %s", c.period, c.date, got.body)
		}
		if q := w.asker.asked[0]; q.From != at(t, c.from) || q.To != at(t, c.to) {
			t.Errorf("%s %s: asked from %s to %s", c.period, c.date, stamp(q.From, q.Zone), stamp(q.To, q.Zone))
		}
	}
}

func TestV1ComparesTodayWithTheSamePartOfYesterday(t *testing.T) {
	w := newWorld(t, query.Row{Values: num(1)})
	w.call(key, "GET", stats("aggregate", "period=day", "compare=previous_period"), "")
	if q := w.asker.asked[1]; q.From != at(t, "2026-05-12T00:00:00+02:00") || q.To != at(t, "2026-05-12T14:30:00+02:00") {
		t.Errorf("compared with %s … %s", stamp(q.From, q.Zone), stamp(q.To, q.Zone))
	}
}

func TestV1BreakdownPages(t *testing.T) {
	w := newWorld(t)
	w.call(key, "GET", stats("breakdown", "property=event:page", "limit=20", "page=3"), "")
	if q := w.asker.asked[0]; q.Limit != 20 || q.Offset != 40 || q.Dimensions[0] != query.EventPage {
		t.Errorf("asked %+v", q)
	}
}

func TestTheFilterTextOfV1(t *testing.T) {
	w := newWorld(t).define()
	defined := w.door.words(w.sites["example.com"], key)
	for _, c := range []struct{ text, want string }{
		{``, `none`},
		{`event:page==/`, `is event:page [/]`},
		{`visit:country!=FR`, `is not visit:country [FR]`},
		{`visit:source==GitHub|Twitter`, `is visit:source [GitHub Twitter]`},
		{`visit:utm_campaign==campaign\|one`, `is visit:utm_campaign [campaign|one]`},
		{`visit:browser==Chrome;visit:os!=Mac|Windows`, `and(is visit:browser [Chrome], is not visit:os [Mac Windows])`},
		{`event:page==/a==b!=c`, `is event:page [/a==b!=c]`},
		{`event:page!=/a==b`, `is not event:page [/a==b]`},
		{`event:page==/a\;b`, `is event:page [/a;b]`},
		{`event:page==C:\dir\\x`, `is event:page [C:\dir\x]`},
		{`event:page==/blog/*`, `matches event:page [(?s)\A/blog/.*\z]`},
		{`event:page==/a.b**|/c`, `matches event:page [(?s)\A/a\.b.*\z (?s)\A/c\z]`},
		{`event:page==*a***`, `matches event:page [(?s)\A.*a.*\z]`},
		{`event:page==**`, `matches event:page [(?s)\A.*\z]`},
		{`event:hostname!=*.example.com`, `matches not event:hostname [(?s)\A.*\.example\.com\z]`},
		{`event:props:a|b==x`, `is event:props:a|b [x]`},
		{` visit:device ==Mobile`, `is visit:device [Mobile]`},
		{`visit:country==(not set)`, `is visit:country [(not set)]`},
		{`event:goal==Signup`, `reached event:goal [Signup]`},
		{`event:goal==Purchase*|Signup`, `reached event:goal [Signup Purchase Purchase of a friend]`},
		{`event:goal==Visit /blog/**`, `reached event:goal [Visit /blog/**]`},
		{`event:goal==Visit *`, `reached event:goal [Visit /blog/**]`},
		{`event:goal==Read \| all\; of it;visit:os==Mac`, `and(reached event:goal [Read | all; of it], is visit:os [Mac])`},
	} {
		f, err := parseFilterText(c.text, defined)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := show(f.filter); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func FuzzFilterTextOfV1(f *testing.F) {
	for _, s := range []string{`event:page==/`, `visit:source==a|b\|c;visit:os!=d*`, `event:props:x==\\|\`, `;;==`, `event:page==***`, `visit:country==DE`,
		`event:goal==Signup|Purchase*;event:goal==Visit /blog/**`, `event:goal==Read \| all\; of it`, `event:goal!=Signup`} {
		f.Add(s)
	}
	w := newWorld(f).define()
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseFilterText(s, w.door.words(w.sites["example.com"], key))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "Invalid") && !strings.HasPrefix(err.Error(), "filters:") && !strings.HasPrefix(err.Error(), "The goal") {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if (got.filter == nil) != (s == "") || len(got.dims) > strings.Count(s, ";")+1 {
			t.Errorf("%q: %s, %v", s, show(got.filter), got.dims)
		}
		checkFilter(t, got.filter, false)
		for _, d := range got.dims {
			if !d.Known() && d != query.EventGoal {
				t.Errorf("%q filters by %q", s, d)
			}
		}
	})
}

// TestV1AsksAboutGoals holds the questions of v1 that goals are in.
func TestV1AsksAboutGoals(t *testing.T) {
	all := []string{"Signup", "Visit /blog/**", "Purchase", "Donation", "Purchase of a friend", "Read | all; of it"}
	for _, c := range []struct {
		name, target string
		metric       query.Metric
		goals        []string
		filter       string
	}{
		{"every goal", stats("breakdown", "property=event:goal", "metrics=conversion_rate"), query.ConversionRate, all, "none"},
		{"the goals of the filter", stats("breakdown", "property=event:goal", "metrics=conversion_rate", "filters=event:goal==Signup|Donation"), query.ConversionRate,
			[]string{"Signup", "Donation"}, "reached event:goal [Signup Donation]"},
		{"those of both filters", stats("breakdown", "property=event:goal", "filters=event:goal==Signup|Donation;event:goal==Donation"), query.Visitors,
			[]string{"Donation"}, "and(reached event:goal [Signup Donation], reached event:goal [Donation])"},
		{"rows of their own visitors", stats("breakdown", "property=visit:source", "metrics=conversion_rate", "filters=event:goal==Signup"), query.GroupConversionRate, nil, "reached event:goal [Signup]"},
		{"rows by property", stats("breakdown", "property=event:props:plan", "metrics=conversion_rate", "filters=event:goal==Signup"), query.ConversionRate, nil, "reached event:goal [Signup]"},
		{"an aggregate", stats("aggregate", "metrics=conversion_rate", "filters=event:goal==Signup"), query.ConversionRate, nil, "reached event:goal [Signup]"},
		{"a series", stats("timeseries", "metrics=conversion_rate", "filters=event:goal==Signup"), query.ConversionRate, nil, "reached event:goal [Signup]"},
		{"page views of the last minutes", stats("realtime/visitors"), query.Visitors, nil, "is event:name [pageview]"},
	} {
		w := newWorld(t, query.Row{Dims: []string{"Signup"}, Values: num(1)}).define()
		if got := w.call(key, "GET", c.target, ""); got.status != 200 {
			t.Fatalf("%s: %s", c.name, got.body)
		}
		q := w.asker.asked[0]
		checkQuestion(t, q)
		if q.Metrics[0] != c.metric || !slices.Equal(goalNames(q.Goals), c.goals) || show(q.Filter) != c.filter {
			t.Errorf("%s: asked for %v of %v where %s", c.name, q.Metrics, goalNames(q.Goals), show(q.Filter))
		}
	}
}

func TestASiteWithoutGoalsHasAnEmptyBreakdownOfThem(t *testing.T) {
	w := newWorld(t)
	if got := w.call(key, "GET", stats("breakdown", "property=event:goal"), ""); got.status != 200 || got.body != `{"results":[]}` {
		t.Errorf("%d %s", got.status, got.body)
	}
}
