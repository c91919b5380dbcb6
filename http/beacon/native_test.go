package beacon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

var (
	writer   = accounts.Identity{Key: 1, Org: 1, Scopes: []accounts.Scope{accounts.EventsWrite}}
	oneSite  = accounts.Identity{Key: 2, Org: 1, Scopes: []accounts.Scope{accounts.EventsWrite}, KeySite: 2}
	reader   = accounts.Identity{Key: 3, Org: 1, Scopes: []accounts.Scope{accounts.StatsRead}}
	somebody = accounts.Identity{User: 1, Org: 1, Role: accounts.Owner}
	operator = accounts.Identity{Operator: true}
)

type batchAnswer struct {
	Results                        []struct{ Status, Reason string }
	Accepted, Duplicates, Rejected int
	Token                          string
	Tokens                         map[string]string
	Error                          string
}

// post sends a body to /v1/events and reads the answer. An odd number of
// headers begins with a query.
func (f *fixture) post(who accounts.Identity, body string, headers ...string) (int, batchAnswer) {
	f.t.Helper()
	uri := "/v1/events"
	if len(headers)%2 == 1 {
		uri, headers = uri+headers[0], headers[1:]
	}
	resp := f.sendAs(who, "POST "+uri, body, headers...)
	var a batchAnswer
	if err := json.Unmarshal(resp.Body(), &a); err != nil {
		f.t.Fatalf("%s: %v", resp.Body(), err)
	}
	if a.Error == "" && a.Token != string(resp.Header.Peek("X-Footfall-Token")) {
		f.t.Errorf("token %q in the body, %q in the header", a.Token, resp.Header.Peek("X-Footfall-Token"))
	}
	return resp.StatusCode(), a
}

// one is an event that is right, with more fields in front.
func one(more string) string {
	if more != "" {
		more += ","
	}
	return `{` + more + `"site":"example.com","url":"https://example.com/a","visitor":"v1"}`
}

func TestNativeFields(t *testing.T) {
	f := newFixture(t, nil)
	status, answer := f.post(writer, `{"id":"e1","timestamp":"2026-01-02T03:04:05.678+01:00","visitor":"alice","site":"www.Example.com","name":"buy",
		"url":"https://shop.example.com/a%20b?utm_source=mail","referrer":"https://ref.example/","props":{"plan":"pro","n":3,"none":null},
		"revenue":{"amount":"12.34","currency":"eur"},"interactive":false,"click_id":"gclid","source":"Paper","channel":"Print",
		"utm_source":"poster","utm_medium":"print","utm_campaign":"spring","utm_content":"c","utm_term":"t","country":"fr","region":"FR-75","city":"Paris",
		"browser":"Lynx","browser_version":"2.9","os":"Plan 9","os_version":4,"device":"Desktop","screen":"XL","language":"de-DE","unknown":{"x":[1]}}`)
	want(t, "status", status, 202)
	want(t, "answer", fmt.Sprint(answer), "{[{accepted }] 1 0 0 7-1 map[] }")
	e := f.last()
	got := e.Event
	if got.ID == 0 || got.Visitor == 0 || got.Previous != 0 {
		t.Errorf("ids %d %d %d", got.ID, got.Visitor, got.Previous)
	}
	got.ID, got.Visitor = 0, 0
	wanted := analytics.Event{
		Kind: analytics.Custom, Explicit: true, Time: 1767319445678, Name: "buy", Page: "/a b", Host: "shop.example.com", Named: true, NonInteractive: true,
		ScrollDepth: analytics.ScrollNone, Props: []analytics.Prop{{Key: "plan", Value: "pro"}, {Key: "n", Value: "3"}},
		Revenue:     analytics.Revenue{Amount: 12_340_000, Currency: "EUR"},
		Agent:       analytics.Agent{Browser: "Lynx", BrowserVersion: "2.9", OS: "Plan 9", OSVersion: "4", Device: "Desktop"},
		Place:       analytics.Place{Country: "FR", Region: "FR-75", City: "Paris"},
		Acquisition: analytics.Acquisition{Source: "Paper", Referrer: "https://ref.example/", Channel: "Print", UTMSource: "poster", Campaign: "spring", ClickID: "gclid"},
		Language:    "de-DE", Screen: "XL",
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("got  %+v\nwant %+v", got, wanted)
	}
}

func TestNativeDefaults(t *testing.T) {
	f := newFixture(t, nil)
	f.post(writer, `{"site":"example.com","page":"/from %41 page ","ip":"203.0.113.99","user_agent":"`+browser+`"}`)
	e := f.last()
	want(t, "name", e.Name, "pageview")
	want(t, "kind", e.Kind, analytics.Pageview)
	want(t, "page is decoded already", e.Page, "/from %41 page")
	want(t, "host", e.Host, "example.com")
	want(t, "explicit", e.Explicit, false)
	want(t, "time", e.Time, noon)
	want(t, "country of the ip", e.Place.Country, "DE")
	want(t, "browser of the agent", e.Agent.Browser, "Chrome")
	if e.Previous == 0 {
		t.Error("no previous id of a live view")
	}
	f.send("POST /api/event", `{"n":"pageview","u":"https://example.com/","d":"example.com"}`, "X-Forwarded-For", "203.0.113.99")
	want(t, "the visitor of the beacon", f.last().Visitor, e.Visitor)

	f.post(writer, `{"url":"https://shop.org/x?y=z","page":"no slash","visitor":"v"}`)
	want(t, "site of the url", f.last().site, analytics.SiteID(2))
	want(t, "page", f.last().Page, "/no slash")
	f.post(writer, `{"site":"example.com","url":"https://bad host/","page":"/x","visitor":"v"}`)
	want(t, "page beats a url that is wrong", f.last().Page, "/x")
	f.post(writer, `{"site":"example.com","url":"https://example.com/","visitor":"v","country":"US","ip":"203.0.113.99"}`)
	want(t, "a given country stands alone", f.last().Place, analytics.Place{Country: "US"})
}

func TestNativeEngagement(t *testing.T) {
	f := newFixture(t, nil)
	status, answer := f.post(writer, `[`+one("")+`,`+one(`"name":"engagement","scroll_depth":40,"engagement_time_ms":1500`)+`,`+
		one(`"name":"engagement"`)+`,`+strings.Replace(one(`"name":"engagement","scroll_depth":1`), "v1", "v2", 1)+`]`)
	want(t, "status", status, 202)
	want(t, "results", fmt.Sprint(answer.Results), "[{accepted } {accepted } {rejected events[2].engagement_time_ms: an engagement needs it or scroll_depth} {rejected no_visit}]")
	want(t, "scroll", f.last().ScrollDepth, uint8(40))
	want(t, "engaged", f.last().EngagedMS, uint32(1500))
}

func TestNativeErrorsNameTheField(t *testing.T) {
	for event, reason := range map[string]string{
		`7`:                              "events[0]: must be an object",
		`{"a":}`:                         "events[0]: not readable as JSON",
		one(`"id":true`):                 "events[0].id: must be a text",
		one(`"id":"` + long(129) + `"`):  "events[0].id: longer than 128 bytes",
		one(`"timestamp":"yesterday"`):   "events[0].timestamp: must be a time of RFC 3339, as 2026-01-02T15:04:05Z",
		one(`"timestamp":1700000000000`): "events[0].timestamp: must be a time of RFC 3339, as 2026-01-02T15:04:05Z",
		one(`"timestamp":"1994-12-31T23:59:59Z"`):                        "events[0].timestamp: is before 1995 or in the future",
		one(`"timestamp":"2026-07-03T12:06:00Z"`):                        "events[0].timestamp: is before 1995 or in the future",
		one(`"name":"` + long(121) + `"`):                                "events[0].name: longer than 120 bytes",
		one(`"name":["x"]`):                                              "events[0].name: must be a text",
		one(`"referrer":"` + long(2001) + `"`):                           "events[0].referrer: longer than 2000 bytes",
		one(`"user_agent":"` + long(2001) + `"`):                         "events[0].user_agent: longer than 2000 bytes",
		one(`"page":"` + long(2001) + `"`):                               "events[0].page: longer than 2000 bytes",
		one(`"ip":"1.2.3"`):                                              "events[0].ip: is not an IP address",
		one(`"props":["a"]`):                                             "events[0].props: must be an object",
		one(`"props":{"a":{}}`):                                          "events[0].props: values must be texts, numbers or truth values",
		one(`"props":{` + manyProps(31) + `}`):                           "events[0].props: more than 30",
		one(`"props":{"` + long(301) + `":"v"}`):                         "events[0].props: a key is longer than 300 bytes",
		one(`"props":{"k":"` + long(2001) + `"}`):                        "events[0].props: a value is longer than 2000 bytes",
		one(`"revenue":5`):                                               "events[0].revenue: must be an object",
		one(`"revenue":{"amount":5}`):                                    "events[0].revenue: needs a decimal amount and a currency of ISO 4217",
		one(`"revenue":{"amount":"x","currency":"EUR"}`):                 "events[0].revenue: needs a decimal amount and a currency of ISO 4217",
		one(`"interactive":"no"`):                                        "events[0].interactive: must be true or false",
		one(`"scroll_depth":101`):                                        "events[0].scroll_depth: must be a whole number from 0 to 100",
		one(`"engagement_time_ms":-1`):                                   "events[0].engagement_time_ms: must be a whole number from 0 to 2591999999",
		one(`"country":"GER"`):                                           "events[0].country: must be a two-letter code of ISO 3166-1",
		one(`"screen":"XXL"`):                                            "events[0].screen: must be XS, SM, MD, LG or XL",
		one(`"source":"` + long(257) + `"`):                              "events[0].source: longer than 256 bytes",
		one(`"utm_term":"` + long(257) + `"`):                            "events[0].utm_term: longer than 256 bytes",
		one(`"pad":"` + long(66_000) + `"`):                              "events[0]: longer than 65536 bytes",
		`{"url":"https://example.com/"}`:                                 "events[0].visitor: is required, or ip and user_agent",
		`{"visitor":"v","page":"/x"}`:                                    "events[0].site: is required",
		`{"visitor":"v","site":"example.com"}`:                           "events[0].url: is required",
		`{"visitor":"v","site":"example.com","url":"data:x"}`:            "events[0].url: scheme is not allowed",
		`{"visitor":"` + long(257) + `","site":"example.com","url":"/"}`: "events[0].visitor: longer than 256 bytes",
		`{"visitor":"v","site":"nobody.example","url":"/"}`:              "unknown_site",
	} {
		f := newFixture(t, nil)
		status, answer := f.post(writer, `[`+event+`]`)
		if status != 400 || len(answer.Results) != 1 || answer.Results[0].Status != "rejected" || answer.Results[0].Reason != reason {
			t.Errorf("%.100s:\n got %d %+v\nwant 400 %s", event, status, answer, reason)
		}
		if len(f.book.events) != 0 || len(f.book.drops) != 1 {
			t.Errorf("%.100s: recorded %d, dropped %v", event, len(f.book.events), f.book.drops)
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

func TestNativeUnreadableBodies(t *testing.T) {
	many := `[` + strings.Repeat(`{},`, analytics.BatchEventsMax) + `{}]`
	for body, text := range map[string]string{
		"":              "body: is empty",
		"hello":         "body: not readable as JSON at byte 0",
		"[":             "body: not readable as JSON at byte 1",
		"[]":            "events: there must be at least one",
		"[{}":           "body: not readable as JSON at byte 3",
		"[{},]":         "body: not readable as JSON at byte 4",
		"[{}] x":        "body: not readable as JSON at byte 5",
		"[{}{}]":        "body: not readable as JSON at byte 3",
		`{"a":1`:        "body: not readable as JSON at byte 6",
		`{"events":[]}`: "events: there must be at least one",
		many:            "events: more than 10000",
	} {
		f := newFixture(t, nil)
		status, answer := f.post(writer, body)
		wantStatus := 400
		if body == many {
			wantStatus = 413
		}
		if status != wantStatus || answer.Error != text {
			t.Errorf("%.40s: got %d %q, want %q", body, status, answer.Error, text)
		}
	}
}

func TestOneBadEventLosesNoOther(t *testing.T) {
	f := newFixture(t, nil)
	status, answer := f.post(writer, `[`+one(`"id":"1"`)+`,{"site":"example.com","x":"]}\"},"},`+one(`"id":"2"`)+`,{"broken":tru},`+one(`"id":"1"`)+`,null,`+one(`"id":"3"`)+`]`)
	want(t, "status", status, 202)
	var words []string
	for _, r := range answer.Results {
		words = append(words, r.Status)
	}
	want(t, "results", fmt.Sprint(words), "[accepted rejected accepted rejected duplicate rejected accepted]")
	want(t, "counts", fmt.Sprint(answer.Accepted, answer.Duplicates, answer.Rejected), "3 1 3")
	want(t, "token", answer.Token, "7-4")
	want(t, "recorded", len(f.book.events), 3)
}

func TestWhoMayWrite(t *testing.T) {
	body := `[` + one("") + `,{"site":"shop.org","url":"/","visitor":"v"},{"site":"other.net","url":"/","visitor":"v"}]`
	const no = "rejected site: not allowed"
	for _, c := range []struct {
		name   string
		who    accounts.Identity
		status int
		want   []string
	}{
		{"key of the organisation", writer, 202, []string{"accepted ", "accepted ", no}},
		{"key of one site", oneSite, 202, []string{no, "accepted ", no}},
		{"key of another scope", reader, 403, []string{no, no, no}},
		{"a user", somebody, 403, []string{no, no, no}},
		{"the operator", operator, 202, []string{"accepted ", "accepted ", "accepted "}},
	} {
		f := newFixture(t, nil)
		status, answer := f.post(c.who, body)
		want(t, c.name+": status", status, c.status)
		for i, r := range answer.Results {
			want(t, fmt.Sprint(c.name, ": ", i), r.Status+" "+r.Reason, c.want[i])
		}
		want(t, c.name+": recorded", len(f.book.events), answer.Accepted)
		for _, d := range f.book.drops {
			t.Errorf("%s: dropped at the cost of a site: %v", c.name, d)
		}
	}
	f := newFixture(t, nil)
	_, answer := f.post(operator, body)
	want(t, "tokens of several sites", fmt.Sprint(answer.Tokens), "map[example.com:7-1 other.net:7-3 shop.org:7-2]")
}

func TestNativeDrops(t *testing.T) {
	strict := func(more string) string {
		return `{"site":"strict.dev","url":"https://strict.dev/","visitor":"v"` + more + `}`
	}
	for event, reason := range map[string]string{
		one(`"user_agent":"some bot"`):                "bot",
		one(`"user_agent":""`):                        "bot",
		one(`"referrer":"https://spam.example/"`):     "spam_referrer",
		strict(`,"url":"https://elsewhere.example/"`): "hostname_blocked",
		strict(`,"page":"/admin"`):                    "page_blocked",
		strict(`,"ip":"198.51.100.7"`):                "ip_blocked",
		strict(`,"country":"de"`):                     "country_blocked",
	} {
		f := newFixture(t, nil)
		status, answer := f.post(writer, event)
		want(t, event+": status", status, 202)
		want(t, event+": results", fmt.Sprint(answer.Results), "[{rejected "+reason+"}]")
		want(t, event+": recorded", len(f.book.events), 0)
		want(t, event+": drop", string(f.book.drops[0].reason), reason)
	}
}

func TestKeepBots(t *testing.T) {
	bot := one(`"user_agent":"some bot"`)
	for name, c := range map[string]struct {
		body  string
		query string
		kept  int
	}{
		"not asked for":      {`[` + bot + `]`, "", 0},
		"by the event":       {`[` + one(`"user_agent":"some bot","keep_bots":true`) + `,` + bot + `]`, "", 1},
		"by the envelope":    {`{"keep_bots":true,"events":[` + bot + `,` + bot + `]}`, "", 2},
		"by the query":       {`[` + bot + `,` + bot + `]`, "?keep_bots=1", 2},
		"false is no":        {`{"keep_bots":false,"events":[` + bot + `]}`, "", 0},
		"one event, by both": {one(`"user_agent":"some bot","keep_bots":true`), "?keep_bots=true", 1},
	} {
		f := newFixture(t, nil)
		f.post(writer, c.body, c.query)
		want(t, name, len(f.book.events), c.kept)
	}
}

func TestVisitorsOfOldEvents(t *testing.T) {
	f := newFixture(t, nil)
	at := func(when, ip string) recorded {
		f.post(writer, `{"site":"example.com","url":"https://example.com/","ip":"`+ip+`","user_agent":"`+browser+`","timestamp":"`+when+`"}`)
		return f.last()
	}
	late, early := at("2026-01-02T23:55:00Z", "192.0.2.1"), at("2026-01-03T00:05:00Z", "192.0.2.1")
	if late.Visitor == early.Visitor {
		t.Error("one visitor id on two days")
	}
	want(t, "the day before joins", early.Previous, late.Visitor)
	want(t, "the same day", at("2026-01-02T01:00:00Z", "192.0.2.1").Visitor, late.Visitor)
	want(t, "the same day in another zone", at("2026-01-03T08:00:00+08:00", "192.0.2.1").Visitor, early.Visitor)
	if at("2026-01-02T01:00:00Z", "192.0.2.2").Visitor == late.Visitor {
		t.Error("two addresses are one visitor")
	}
	named := func(when string) uint64 {
		f.post(writer, `{"site":"example.com","url":"/","visitor":"alice","timestamp":"`+when+`"}`)
		return f.last().Visitor
	}
	want(t, "a named visitor on another day", named("2026-01-02T01:00:00Z"), named("2026-02-03T01:00:00Z"))
}

func TestNativeCompression(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprint(z, one(""))
	z.Close()
	packer, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := packer.EncodeAll([]byte(one("")), nil)
	zeros := make([]byte, analytics.BatchBodyBytesMax+1)
	var bomb bytes.Buffer
	z = gzip.NewWriter(&bomb)
	z.Write(zeros)
	z.Close()
	packedBomb := packer.EncodeAll(zeros, nil)
	packer.Close()
	for _, c := range []struct {
		name, encoding, body string
		status               int
		text                 string
	}{
		{"gzip", "gzip", zipped.String(), 202, ""},
		{"zstd", "zstd", string(packed), 202, ""},
		{"identity", "identity", one(""), 202, ""},
		{"unknown", "br", one(""), 400, "content-encoding: must be gzip, zstd or identity"},
		{"not gzip", "gzip", one(""), 400, "body: not readable as gzip"},
		{"not zstd", "zstd", one(""), 400, "body: not readable as zstd"},
		{"half a gzip", "gzip", zipped.String()[:zipped.Len()/2], 400, "body: not readable as gzip"},
		{"gzip bomb", "gzip", bomb.String(), 413, "body: longer than 33554432 bytes after decompression"},
		{"zstd bomb", "zstd", string(packedBomb), 413, "body: longer than 33554432 bytes after decompression"},
	} {
		f := newFixture(t, nil)
		status, answer := f.post(writer, c.body, "Content-Encoding", c.encoding)
		if status != c.status || answer.Error != c.text {
			t.Errorf("%s: got %d %q, want %d %q", c.name, status, answer.Error, c.status, c.text)
		}
	}
}

func TestBatchOfTheLargestSize(t *testing.T) {
	f := newFixture(t, nil)
	var events []string
	for i := range analytics.BatchEventsMax {
		events = append(events, one(fmt.Sprintf(`"id":"%d"`, i)))
	}
	body := `[` + strings.Join(events, ",") + `]`
	status, answer := f.post(writer, body)
	want(t, "status", status, 202)
	want(t, "accepted", answer.Accepted, analytics.BatchEventsMax)
	status, answer = f.post(writer, body)
	want(t, "again", fmt.Sprint(status, answer.Accepted, answer.Duplicates), "202 0 10000")
}

func TestNativeRecorderFails(t *testing.T) {
	f := newFixture(t, nil)
	f.book.fail = errBusy
	status, answer := f.post(writer, one(""))
	want(t, "status", status, 503)
	want(t, "error", answer.Error, errBusy.Error())
	want(t, "drops", len(f.book.drops), 0)
}

func FuzzEvents(f *testing.F) {
	for _, body := range []string{one(""), `[` + one("") + `,` + one(`"name":"x"`) + `]`, `{"events":[{}],"keep_bots":true}`, `[{"props":{"a":"b"}}]`, `[1,"a",null,[],{}]`,
		`{"\u0065vents":[{}]}`, `[{"a":"\\"}]`, `[{"a":"\"]"}]`, one(`"timestamp":"2026-01-02T03:04:05Z"`), one(`"revenue":{"amount":1e3,"currency":"usd"}`), `{"events":{"a":1}}`, `[}`, `{"a" "b"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fx := newFixture(t, nil)
		resp := fx.sendAs(writer, "POST /v1/events", string(body))
		if !json.Valid(resp.Body()) {
			t.Fatalf("answer %q", resp.Body())
		}
		var a batchAnswer
		if err := json.Unmarshal(resp.Body(), &a); err != nil {
			t.Fatal(err)
		}
		switch resp.StatusCode() {
		case 202, 400, 403, 413:
		default:
			t.Fatalf("status %d", resp.StatusCode())
		}
		if len(fx.book.events) != a.Accepted || a.Accepted+a.Duplicates+a.Rejected != len(a.Results) {
			t.Fatalf("recorded %d, answer %+v", len(fx.book.events), a)
		}
		for _, e := range fx.book.events {
			checkEvent(t, e)
		}
	})
}
