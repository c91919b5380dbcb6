package beacon

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"footfall/analytics"
)

// TestConformance walks the dialect's rules one by one, as a tracker sees them.
func TestConformance(t *testing.T) {
	const base = `"u":"https://example.com/","d":"example.com"`
	pv := func(more string) string { return `{"n":"pageview",` + base + more + `}` }
	for _, c := range []struct {
		name    string
		body    string
		headers []string
		status  int
		dropped string // x-plausible-dropped
		reason  string // x-footfall-dropped
		check   func(t *testing.T, e recorded)
	}{
		{name: "1 short names", body: `{"n":"buy","u":"https://example.com/a","d":"example.com","r":"https://ref.example/x","p":{"a":"b"},"i":false,"$":{"amount":"1.50","currency":"EUR"}}`,
			status: 202, check: wantBuy},
		{name: "1 long names", body: `{"name":"buy","url":"https://example.com/a","domain":"example.com","referrer":"https://ref.example/x","props":{"a":"b"},"interactive":false,"revenue":{"amount":"1.50","currency":"EUR"}}`,
			status: 202, check: wantBuy},
		{name: "1 the short name is tried first", body: `{"name":"long","n":"short",` + base + `}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "name", e.Name, "short") }},
		{name: "1 null gives way to the long name", body: `{"name":"long","n":null,` + base + `}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "name", e.Name, "long") }},
		{name: "2 text/plain", body: pv(""), headers: []string{"Content-Type", "text/plain"}, status: 202},
		{name: "2 application/json", body: pv(""), headers: []string{"Content-Type", "application/json"}, status: 202},
		{name: "4 unknown domain", body: `{"n":"pageview","u":"https://nobody.example/","d":"nobody.example"}`, status: 202, dropped: "1", reason: "unknown_site"},
		{name: "6 31 props", body: pv(`,"p":{` + manyProps(31) + `}`), status: 202, check: func(t *testing.T, e recorded) {
			want(t, "props", len(e.Props), 30)
			want(t, "first", e.Props[0], analytics.Prop{Key: "k0", Value: "v0"})
			want(t, "last", e.Props[29], analytics.Prop{Key: "k29", Value: "v29"})
		}},
		{name: "7 list and empty props", body: pv(`,"p":{"l":["a"],"o":{"b":1},"e":"","s":"  ","":"x"," ":"y","n":null,"ok":"yes","num":7,"f":1.5,"t":true,"no":false}`), status: 202, check: func(t *testing.T, e recorded) {
			want(t, "props", fmt.Sprint(e.Props), "[{ok yes} {num 7} {f 1.5} {t true} {no false}]")
		}},
		{name: "8 prop key of 300 bytes", body: pv(`,"p":{"` + strings.Repeat("k", 300) + `":"` + strings.Repeat("v", 2000) + `"}`), status: 202},
		{name: "props as JSON text", body: pv(`,"p":"{\"plan\":\"pro\",\"n\":1}"`), status: 202, check: func(t *testing.T, e recorded) {
			want(t, "props", fmt.Sprint(e.Props), "[{plan pro} {n 1}]")
		}},
		{name: "props as text that is no JSON", body: pv(`,"p":"{rubbish"`), status: 202, check: func(t *testing.T, e recorded) { want(t, "props", len(e.Props), 0) }},
		{name: "props by m before props", body: pv(`,"props":{"a":"1"},"m":{"b":"2"}`), status: 202, check: func(t *testing.T, e recorded) { want(t, "props", fmt.Sprint(e.Props), "[{b 2}]") }},
		{name: "props by meta before p", body: pv(`,"p":{"a":"1"},"meta":{"b":"2"}`), status: 202, check: func(t *testing.T, e recorded) { want(t, "props", fmt.Sprint(e.Props), "[{b 2}]") }},
		{name: "props: the last of a key counts", body: pv(`,"p":{"a":"1","b":"2","a":"3"}`), status: 202, check: func(t *testing.T, e recorded) { want(t, "props", fmt.Sprint(e.Props), "[{a 3} {b 2}]") }},
		{name: "9 www", body: `{"n":"pageview","u":"https://www.Example.com/","d":" www.EXAMPLE.com "}`, status: 202, check: func(t *testing.T, e recorded) {
			want(t, "host", e.Host, "example.com")
			want(t, "site", e.site, analytics.SiteID(1))
		}},
		{name: "10 hash mode", body: `{"n":"pageview","u":"https://example.com/app?x=1#/caf%C3%A9","d":"example.com","h":1}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "page", e.Page, "/app#/café") }},
		{name: "10 no hash mode", body: `{"n":"pageview","u":"https://example.com/app#/x","d":"example.com","h":0}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "page", e.Page, "/app") }},
		{name: "10 hashMode", body: `{"n":"pageview","u":"https://example.com/app#x","d":"example.com","hashMode":1}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "page", e.Page, "/app#x") }},
		{name: "11 engagement without session", body: `{"n":"engagement","sd":50,"e":1000,` + base + `}`, headers: []string{"X-Forwarded-For", "203.0.113.200"}, status: 202, dropped: "1", reason: "no_visit"},
		{name: "13 integer name", body: `{"n":404,"u":"https://example.com/gone","d":"example.com"}`, status: 202, check: func(t *testing.T, e recorded) {
			want(t, "name", e.Name, "404")
			want(t, "props", fmt.Sprint(e.Props), "[{path /gone}]")
		}},
		{name: "404 with a path of its own", body: `{"n":"404","u":"https://example.com/gone","d":"example.com","p":{"path":"/mine"}}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "props", fmt.Sprint(e.Props), "[{path /mine}]") }},
		{name: "404: the path counts among the thirty", body: `{"n":"404","u":"https://example.com/gone","d":"example.com","p":{` + manyProps(31) + `}}`, status: 202, check: func(t *testing.T, e recorded) {
			want(t, "props", len(e.Props), 30)
			want(t, "first", e.Props[0], analytics.Prop{Key: "path", Value: "/gone"})
		}},
		{name: "16 not interactive", body: `{"n":"scroll","i":false,` + base + `}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "non-interactive", e.NonInteractive, true) }},
		{name: "16 interactive", body: `{"n":"scroll","i":true,` + base + `}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "non-interactive", e.NonInteractive, false) }},
		{name: "16 long name false", body: `{"n":"scroll","interactive":false,` + base + `}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "non-interactive", e.NonInteractive, true) }},
		{name: "17 invalid currency", body: `{"n":"buy","$":{"amount":5,"currency":"XXQ"},` + base + `}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "revenue", e.Revenue, analytics.Revenue{}) }},
		{name: "17 invalid amount", body: `{"n":"buy","$":{"amount":"five","currency":"EUR"},` + base + `}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "revenue", e.Revenue, analytics.Revenue{}) }},
		{name: "revenue as JSON text", body: `{"n":"buy","$":"{\"amount\":12.34,\"currency\":\"usd\"}",` + base + `}`, status: 202, check: func(t *testing.T, e recorded) {
			want(t, "revenue", e.Revenue, analytics.Revenue{Amount: 12_340_000, Currency: "USD"})
		}},
		{name: "revenue: the long name is tried first", body: `{"n":"buy","$":{"amount":1,"currency":"EUR"},"revenue":{"amount":2,"currency":"EUR"},` + base + `}`, status: 202, check: func(t *testing.T, e recorded) {
			want(t, "amount", e.Revenue.Amount, int64(2_000_000))
		}},
		{name: "20 XFF list with port", body: pv(""), headers: []string{"X-Forwarded-For", "203.0.113.99:4711, 10.0.0.1"}, status: 202, check: func(t *testing.T, e recorded) { want(t, "country", e.Place.Country, "DE") }},
		{name: "20 mapped address", body: pv(""), headers: []string{"X-Forwarded-For", "[::ffff:203.0.113.99]:1"}, status: 202, check: func(t *testing.T, e recorded) { want(t, "city", e.Place.City, "Berlin") }},
		{name: "20 a stranger's header", body: pv(""), headers: []string{"peer", "198.51.100.1:5", "X-Forwarded-For", "203.0.113.99"}, status: 202, check: func(t *testing.T, e recorded) { want(t, "place", e.Place, analytics.Place{}) }},
		{name: "domain from the url", body: `{"n":"pageview","u":"https://www.shop.org/"}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "site", e.site, analytics.SiteID(2)) }},
		{name: "url without host", body: `{"n":"pageview","u":"/just/a/path","d":"example.com"}`, status: 202, check: func(t *testing.T, e recorded) {
			want(t, "host", e.Host, "(none)")
			want(t, "page", e.Page, "/just/a/path")
		}},
		{name: "decoded path", body: `{"n":"pageview","u":"https://example.com/a%20b/%E4%BD%A0%20%20?x=%2F#f","d":"example.com"}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "page", e.Page, "/a b/你") }},
		{name: "no path", body: `{"n":"pageview","u":"https://example.com?utm_source=x","d":"example.com"}`, status: 202, check: func(t *testing.T, e recorded) {
			want(t, "page", e.Page, "/")
			want(t, "utm", e.Acquisition.UTMSource, "x")
		}},
		{name: "referrer that is no text", body: pv(`,"r":{"a":1}`), status: 202, check: func(t *testing.T, e recorded) { want(t, "referrer", e.Acquisition.Referrer, "") }},
		{name: "long referrer is cut", body: pv(`,"r":"https://r.example/` + strings.Repeat("é", 1500) + `"`), status: 202, check: func(t *testing.T, e recorded) {
			if n := len(e.Acquisition.Referrer); n > 2000 || n < 1998 || !strings.HasSuffix(e.Acquisition.Referrer, "é") {
				t.Errorf("referrer has %d bytes", n)
			}
		}},
		{name: "unknown and ignored keys", body: pv(`,"v":36,"x":{"deep":[1,{"a":"b"}]},"t":"title","w":1500,"l":"de-DE"`), status: 202, check: func(t *testing.T, e recorded) {
			want(t, "screen", e.Screen, "LG")
			want(t, "language", e.Language, "de-DE")
		}},
		{name: "escapes", body: `{"n":"pageview","u":"https:\/\/example.com\/\u00fc","d":"example.com"}`, status: 202, check: func(t *testing.T, e recorded) { want(t, "page", e.Page, "/ü") }},
		{name: "language of the browser", body: pv(""), headers: []string{"Accept-Language", "de-DE,de;q=0.9"}, status: 202, check: func(t *testing.T, e recorded) { want(t, "language", e.Language, "de-DE") }},
		{name: "agent", body: pv(""), status: 202, check: func(t *testing.T, e recorded) { want(t, "browser", e.Agent.BrowserVersion, "126.0") }},
		{name: "client hints", body: pv(""), headers: []string{"User-Agent", "x", "Sec-CH-UA-Platform", `"macOS"`, "Sec-CH-UA-Mobile", "?0"}, status: 202, check: func(t *testing.T, e recorded) {
			want(t, "os", e.Agent.OS, `"macOS"`)
			want(t, "mobile", e.Agent.Device, "?0")
		}},
		{name: "time is the server's", body: pv(""), status: 202, check: func(t *testing.T, e recorded) {
			want(t, "time", e.Time, noon)
			want(t, "explicit", e.Explicit, false)
		}},
		{name: "bot", body: pv(""), headers: []string{"User-Agent", "Googlebot/2.1"}, status: 202, dropped: "1", reason: "bot"},
		{name: "no user agent", body: pv(""), headers: []string{"User-Agent", ""}, status: 202, dropped: "1", reason: "bot"},
		{name: "spam", body: pv(`,"r":"https://spam.example/"`), status: 202, dropped: "1", reason: "spam_referrer"},
		{name: "data centre", body: pv(""), headers: []string{"X-Plausible-IP-Type", "dc_ip"}, status: 202, dropped: "1", reason: "dc_ip"},
		{name: "data centre on a stranger's word", body: pv(""), headers: []string{"peer", "198.51.100.1:5", "X-Plausible-IP-Type", "dc_ip"}, status: 202},
		{name: "anonymous network", body: pv(""), headers: []string{"X-Plausible-IP-Type", "anonymous_vpn_ip"}, status: 202, check: func(t *testing.T, e recorded) { want(t, "place", e.Place, analytics.Place{Country: "A1"}) }},
		{name: "verification", body: pv(""), headers: []string{"User-Agent", browser + " Plausible Verification Agent - if abused, contact us"}, status: 202, dropped: "1", reason: "verification_agent"},
		{name: "hostname not listed", body: `{"n":"pageview","u":"https://evil.example/","d":"strict.dev"}`, status: 202, dropped: "1", reason: "hostname_blocked"},
		{name: "hostname listed by glob", body: `{"n":"pageview","u":"https://blog.strict.dev/","d":"strict.dev"}`, status: 202},
		{name: "page blocked", body: `{"n":"pageview","u":"https://strict.dev/admin/users","d":"strict.dev"}`, status: 202, dropped: "1", reason: "page_blocked"},
		{name: "page not quite blocked", body: `{"n":"pageview","u":"https://strict.dev/secrets","d":"strict.dev"}`, status: 202},
		{name: "address blocked", body: `{"n":"pageview","u":"https://strict.dev/","d":"strict.dev"}`, headers: []string{"X-Forwarded-For", "198.51.100.77"}, status: 202, dropped: "1", reason: "ip_blocked"},
		{name: "IPv6 address blocked", body: `{"n":"pageview","u":"https://strict.dev/","d":"strict.dev"}`, headers: []string{"X-Forwarded-For", "2001:db8::1"}, status: 202, dropped: "1", reason: "ip_blocked"},
		{name: "country blocked", body: `{"n":"pageview","u":"https://strict.dev/","d":"strict.dev"}`, headers: []string{"X-Forwarded-For", "203.0.113.99"}, status: 202, dropped: "1", reason: "country_blocked"},
		{name: "order: spam before unknown site", body: `{"n":"pageview","u":"https://x.example/","d":"x.example","r":"https://spam.example/"}`, status: 202, dropped: "1", reason: "spam_referrer"},
		{name: "order: unknown site before bot", body: `{"n":"pageview","u":"https://x.example/","d":"x.example"}`, headers: []string{"User-Agent", "bot"}, status: 202, dropped: "1", reason: "unknown_site"},
		{name: "order: verification before data centre", body: pv(""), headers: []string{"User-Agent", "Verification Agent", "X-Plausible-IP-Type", "dc_ip"}, status: 202, dropped: "1", reason: "verification_agent"},
		{name: "order: data centre before hostname", body: `{"n":"pageview","u":"https://evil.example/","d":"strict.dev"}`, headers: []string{"X-Plausible-IP-Type", "dc_ip"}, status: 202, dropped: "1", reason: "dc_ip"},
		{name: "order: hostname before page", body: `{"n":"pageview","u":"https://evil.example/admin","d":"strict.dev"}`, status: 202, dropped: "1", reason: "hostname_blocked"},
		{name: "order: page before address", body: `{"n":"pageview","u":"https://strict.dev/admin","d":"strict.dev"}`, headers: []string{"X-Forwarded-For", "198.51.100.77"}, status: 202, dropped: "1", reason: "page_blocked"},
		{name: "order: country before bot", body: `{"n":"pageview","u":"https://strict.dev/","d":"strict.dev"}`, headers: []string{"X-Forwarded-For", "203.0.113.99", "User-Agent", "bot"}, status: 202, dropped: "1", reason: "country_blocked"},
		{name: "name of 120 bytes", body: `{"n":"` + strings.Repeat("n", 120) + `",` + base + `}`, status: 202},
		{name: "url of 2000 bytes", body: `{"n":"pageview","u":"https://example.com/` + strings.Repeat("a", 2000-20) + `","d":"example.com"}`, status: 202},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, nil)
			resp := f.send("POST /api/event", c.body, c.headers...)
			if got := resp.StatusCode(); got != c.status {
				t.Fatalf("status %d %s, want %d", got, resp.Body(), c.status)
			}
			want(t, "body", string(resp.Body()), "ok")
			want(t, "origin", string(resp.Header.Peek("Access-Control-Allow-Origin")), "*")
			want(t, "x-plausible-dropped", string(resp.Header.Peek("x-plausible-dropped")), c.dropped)
			want(t, "x-footfall-dropped", string(resp.Header.Peek("x-footfall-dropped")), c.reason)
			switch {
			case c.dropped != "":
				want(t, "recorded", len(f.book.events), 0)
				if c.reason != "no_visit" { // that one the recorder decides and counts
					want(t, "drops", len(f.book.drops), 1)
					want(t, "reason", string(f.book.drops[0].reason), c.reason)
				}
			case len(f.book.events) != 1:
				t.Fatalf("%d events recorded", len(f.book.events))
			default:
				want(t, "token", string(resp.Header.Peek("X-Footfall-Token")), "7-1")
				if c.check != nil {
					c.check(t, f.last())
				}
			}
		})
	}
}

func wantBuy(t *testing.T, e recorded) {
	want(t, "kind", e.Kind, analytics.Custom)
	want(t, "name", e.Name, "buy")
	want(t, "page", e.Page, "/a")
	want(t, "referrer", e.Acquisition.Referrer, "https://ref.example/x")
	want(t, "props", fmt.Sprint(e.Props), "[{a b}]")
	want(t, "interactive", e.NonInteractive, true)
	want(t, "revenue", e.Revenue, analytics.Revenue{Amount: 1_500_000, Currency: "EUR"})
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func manyProps(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`"k%d":"v%d"`, i, i))
	}
	return strings.Join(parts, ",")
}

func TestErrorTexts(t *testing.T) {
	const base = `"u":"https://example.com/","d":"example.com"`
	for body, errors := range map[string]string{
		``:                        `{"request":["Unable to parse request body as json"]}`,
		`[]`:                      `{"request":["Unable to parse request body as json"]}`,
		`{"n":"pageview"`:         `{"request":["Unable to parse request body as json"]}`,
		`{"n":"pageview"} x`:      `{"request":["Unable to parse request body as json"]}`,
		`null`:                    `{"request":["Unable to parse request body as json"]}`,
		`{"n":"pageview"}`:        `{"url":["is required"]}`,
		`{"n":"pageview","u":""}`: `{"url":["is required"]}`,
		`{"n":"pageview","u":7,"d":"example.com"}`:                                                       `{"url":["is required"]}`,
		`{"n":"pageview","u":"data:text/html,x","d":"example.com"}`:                                      `{"url":["scheme is not allowed"]}`,
		`{"n":"pageview","u":"https://exa mple.com/","d":"example.com"}`:                                 `{"url":["must be a valid url"]}`,
		`{"n":"pageview","u":"https://exa<mple.com/","d":"example.com"}`:                                 `{"url":["must be a valid url"]}`,
		`{"n":"pageview","u":"https://example.com/` + strings.Repeat("a", 1981) + `","d":"example.com"}`: `{"url":["should be at most 2000 byte(s)"]}`,
		`{"n":"pageview","u":"https://example.com/","d":""}`:                                             `{"domain":["can't be blank"]}`,
		`{"n":"pageview","u":"https://example.com/","d":" , "}`:                                          `{"domain":["can't be blank"]}`,
		`{"n":"pageview","u":"https://example.com/","d":["example.com"]}`:                                `{"domain":["can't be blank"]}`,
		`{"n":"pageview","u":"/path"}`:                                                                   `{"domain":["can't be blank"]}`,
		`{"n":"pageview","u":"https://example.com/","d":"` + strings.Repeat("a,", 20) + `a"}`:            `{"domain":["should name at most 20 sites"]}`,
		`{` + base + `}`:                                                                   `{"event_name":["can't be blank"]}`,
		`{"n":"",` + base + `}`:                                                            `{"event_name":["can't be blank"]}`,
		`{"n":" ",` + base + `}`:                                                           `{"event_name":["can't be blank"]}`,
		`{"n":{"a":1},` + base + `}`:                                                       `{"event_name":["is invalid"]}`,
		`{"n":1.5,` + base + `}`:                                                           `{"event_name":["is invalid"]}`,
		`{"n":"` + strings.Repeat("n", 121) + `",` + base + `}`:                            `{"event_name":["should be at most 120 character(s)"]}`,
		`{"n":"engagement",` + base + `}`:                                                  `{"event_name":["engagement event requires a valid integer value for at least one of 'sd' or 'e' fields"]}`,
		`{"n":"engagement","sd":"x","e":-1,` + base + `}`:                                  `{"event_name":["engagement event requires a valid integer value for at least one of 'sd' or 'e' fields"]}`,
		`{"n":"engagement","e":2592000000,` + base + `}`:                                   `{"event_name":["engagement event requires a valid integer value for at least one of 'sd' or 'e' fields"]}`,
		`{"n":"engagement","sd":1.5,` + base + `}`:                                         `{"event_name":["engagement event requires a valid integer value for at least one of 'sd' or 'e' fields"]}`,
		`{"n":"pageview","p":{"` + strings.Repeat("k", 301) + `":"v"},` + base + `}`:       `{"props":["keys should have at most 300 bytes and values 2000 bytes"]}`,
		`{"n":"pageview","p":{"k":"` + strings.Repeat("v", 2001) + `"},` + base + `}`:      `{"props":["keys should have at most 300 bytes and values 2000 bytes"]}`,
		`{"n":"pageview","id":"` + strings.Repeat("i", 129) + `",` + base + `}`:            `{"id":["should be at most 128 byte(s)"]}`,
		`{"p":{"k":"` + strings.Repeat("v", 2001) + `"},"d":"","u":"https://example.com"}`: `{"domain":["can't be blank"],"event_name":["can't be blank"],"props":["keys should have at most 300 bytes and values 2000 bytes"]}`,
	} {
		f := newFixture(t, nil)
		resp := f.send("POST /api/event", body)
		if got, want := string(resp.Body()), `{"errors":`+errors+`}`; resp.StatusCode() != 400 || got != want {
			t.Errorf("%.80s:\n got %d %s\nwant 400 %s", body, resp.StatusCode(), got, want)
		}
		if !json.Valid(resp.Body()) {
			t.Errorf("%.80s: not JSON: %s", body, resp.Body())
		}
		if len(f.book.events) != 0 || len(f.book.drops) != 1 || f.book.drops[0].reason != analytics.DropInvalid {
			t.Errorf("%.80s: recorded %d, drops %v", body, len(f.book.events), f.book.drops)
		}
		want(t, "origin", string(resp.Header.Peek("Access-Control-Allow-Origin")), "*")
	}
}

func TestInvalidBodiesCountForTheirSite(t *testing.T) {
	f := newFixture(t, nil)
	f.send("POST /api/event", `{"u":"https://example.com/","d":"example.com,shop.org,nobody.example"}`)
	want(t, "drops", fmt.Sprint(f.book.drops), "[{1 invalid} {2 invalid}]")
}

func TestOneEventForSeveralSites(t *testing.T) {
	f := newFixture(t, nil)
	resp := f.send("POST /api/event", `{"n":"pageview","u":"https://example.com/","d":"example.com, www.shop.org,,nobody.example,other.net,x.example"}`)
	want(t, "status", resp.StatusCode(), 202)
	want(t, "dropped", string(resp.Header.Peek("x-plausible-dropped")), "2")
	want(t, "reasons", string(resp.Header.Peek("x-footfall-dropped")), "unknown_site")
	var sites []analytics.SiteID
	visitors := map[uint64]bool{}
	for _, e := range f.book.events {
		sites = append(sites, e.site)
		visitors[e.Visitor] = true
	}
	want(t, "sites", fmt.Sprint(sites), "[1 2 3]")
	want(t, "visitors, one per site", len(visitors), 3)
}

func TestEngagement(t *testing.T) {
	const page = `"u":"https://example.com/","d":"example.com"`
	for body, check := range map[string]struct {
		scroll  uint8
		engaged uint32
	}{
		`{"n":"engagement","sd":140,"e":1500,` + page + `}`:         {100, 1500}, // conformance 12
		`{"n":"engagement","sd":"42","e":"7",` + page + `}`:         {42, 7},
		`{"n":"engagement","sd":0,` + page + `}`:                    {0, 0},
		`{"n":"engagement","e":0,` + page + `}`:                     {analytics.ScrollNone, 0},
		`{"n":"engagement","e":2591999999,` + page + `}`:            {analytics.ScrollNone, 2591999999},
		`{"n":"engagement","sd":-1,"e":5,` + page + `}`:             {analytics.ScrollNone, 5},
		`{"n":"engagement","sd":70,"e":2592000000,` + page + `}`:    {70, 0},
		`{"n":"engagement","sd":70,"e":1.5,` + page + `}`:           {70, 0},
		`{"n":"engagement","sd":99999999999,"e":null,` + page + `}`: {100, 0},
	} {
		f := newFixture(t, nil)
		f.send("POST /api/event", `{"n":"pageview",`+page+`}`)
		resp := f.send("POST /api/event", body)
		want(t, body+": status", resp.StatusCode(), 202)
		e := f.last()
		want(t, body+": kind", e.Kind, analytics.Engagement)
		want(t, body+": scroll", e.ScrollDepth, check.scroll)
		want(t, body+": engaged", e.EngagedMS, check.engaged)
	}
	f := newFixture(t, nil)
	f.send("POST /api/event", `{"n":"pageview","sd":50,"e":50,`+page+`}`)
	want(t, "scroll of a page view", f.last().ScrollDepth, uint8(analytics.ScrollNone))
	want(t, "engaged time of a page view", f.last().EngagedMS, uint32(0))
}

func TestARetryIsAnsweredAndNotCountedAgain(t *testing.T) {
	const body = `{"n":"pageview","u":"https://example.com/","d":"example.com"`
	for name, again := range map[string]func(f *fixture) (string, []string){
		"id in the body":         func(*fixture) (string, []string) { return body + `,"id":"abc"}`, nil },
		"X-Event-Id":             func(*fixture) (string, []string) { return body + `}`, []string{"X-Event-Id", "abc"} },
		"Idempotency-Key":        func(*fixture) (string, []string) { return body + `}`, []string{"Idempotency-Key", "abc"} },
		"the same by every name": func(*fixture) (string, []string) { return body + `}`, []string{"X-Event-Id", "abc"} },
	} {
		f := newFixture(t, nil)
		f.send("POST /api/event", body+`,"id":"abc"}`)
		text, headers := again(f)
		resp := f.send("POST /api/event", text, headers...)
		want(t, name+": status", resp.StatusCode(), 202)
		want(t, name+": dropped", string(resp.Header.Peek("x-plausible-dropped")), "")
		want(t, name+": reason", string(resp.Header.Peek("x-footfall-dropped")), "duplicate")
		want(t, name+": recorded", len(f.book.events), 1)
	}
	f := newFixture(t, nil)
	f.send("POST /api/event", body+`}`)
	f.send("POST /api/event", body+`}`)
	want(t, "without ids", len(f.book.events), 2)
	f.send("POST /api/event", body+`,"id":"1"}`)
	f.send("POST /api/event", strings.Replace(body, `"d":"example.com"`, `"d":"shop.org"`, 1)+`,"id":"1"}`)
	want(t, "ids belong to a site", len(f.book.events), 4)
}

func TestVisitors(t *testing.T) {
	f := newFixture(t, nil)
	id := func(body string, headers ...string) recorded {
		f.send("POST /api/event", body, headers...)
		return f.last()
	}
	const page = `{"n":"pageview","u":"https://example.com/","d":"example.com"}`
	one := id(page, "X-Forwarded-For", "203.0.113.1")
	want(t, "the same visitor again", id(page, "X-Forwarded-For", "203.0.113.1").Visitor, one.Visitor)
	for name, other := range map[string]recorded{
		"another address": id(page, "X-Forwarded-For", "203.0.113.2"),
		"another agent":   id(page, "X-Forwarded-For", "203.0.113.1", "User-Agent", "Mozilla/5.0"),
		"another domain":  id(`{"n":"pageview","u":"https://elsewhere.example/","d":"example.com"}`, "X-Forwarded-For", "203.0.113.1"),
	} {
		if other.Visitor == one.Visitor {
			t.Errorf("%s gives the same visitor", name)
		}
	}
	want(t, "a subdomain", id(`{"n":"pageview","u":"https://blog.example.com/","d":"example.com"}`, "X-Forwarded-For", "203.0.113.1").Visitor, one.Visitor)
	if one.Previous == 0 || one.Previous == one.Visitor {
		t.Errorf("previous id %d of %d", one.Previous, one.Visitor)
	}
	rotated := newFixture(t, func(o *Options) { o.Salts = &salts{current: [16]byte{9}, previous: [16]byte{1}} })
	rotated.send("POST /api/event", page, "X-Forwarded-For", "203.0.113.1")
	want(t, "the id before the rotation", rotated.last().Previous, one.Visitor)
}

func TestNothingIsCountedWhenTheRecorderCannot(t *testing.T) {
	for err, status := range map[error]int{
		errBusy: 503,
		analytics.Errorf(analytics.Unavailable, "disk: nearly full"): 503,
	} {
		f := newFixture(t, nil)
		f.book.fail = err
		resp := f.send("POST /api/event", `{"n":"pageview","u":"https://example.com/","d":"example.com"}`)
		want(t, "status", resp.StatusCode(), status)
		if len(resp.Header.Peek("Retry-After")) == 0 {
			t.Error("no Retry-After")
		}
		want(t, "origin", string(resp.Header.Peek("Access-Control-Allow-Origin")), "*")
		want(t, "drops", len(f.book.drops), 0)
	}
}

func TestDebugAnswersWithTheAddress(t *testing.T) {
	f := newFixture(t, nil)
	resp := f.send("POST /api/event", `{}`, "X-Debug-Request", "true", "X-Forwarded-For", "203.0.113.8, 10.0.0.1")
	want(t, "status", resp.StatusCode(), 200)
	want(t, "body", string(resp.Body()), "203.0.113.8")
	want(t, "recorded", len(f.book.events)+len(f.book.drops), 0)
}

func TestPreflight(t *testing.T) {
	f := newFixture(t, nil)
	resp := f.send("OPTIONS /api/event", "")
	want(t, "status", resp.StatusCode(), 204)
	want(t, "origin", string(resp.Header.Peek("Access-Control-Allow-Origin")), "*")
	if !strings.Contains(string(resp.Header.Peek("Access-Control-Allow-Headers")), "Content-Type") {
		t.Errorf("headers %s", resp.Header.String())
	}
}

func TestRateLimits(t *testing.T) {
	const body = `{"n":"pageview","u":"https://example.com/","d":"example.com"}`
	f := newFixture(t, func(o *Options) { o.PerAddress, o.PerAddressBurst = 10, 3 })
	statuses := func(addr string, n int) (out []int) {
		for range n {
			out = append(out, f.send("POST /api/event", body, "X-Forwarded-For", addr).StatusCode())
		}
		return out
	}
	want(t, "a burst", fmt.Sprint(statuses("203.0.113.1", 5)), "[202 202 202 429 429]")
	want(t, "another address", fmt.Sprint(statuses("203.0.113.2", 1)), "[202]")
	f.now = f.now.Add(200e6)
	want(t, "later", fmt.Sprint(statuses("203.0.113.1", 3)), "[202 202 429]")
	want(t, "drops", fmt.Sprint(f.book.drops), "[{0 rate_limited} {0 rate_limited} {0 rate_limited}]")
	want(t, "one IPv6 network", fmt.Sprint(statuses("2001:db8:1:2::1", 2), statuses("2001:db8:1:2::2", 2), statuses("2001:db8:1:3::2", 1)), "[202 202] [202 429] [202]")
	resp := f.send("POST /api/event", body, "X-Forwarded-For", "203.0.113.1")
	want(t, "Retry-After", string(resp.Header.Peek("Retry-After")), "1")

	f = newFixture(t, func(o *Options) { o.PerSite, o.PerSiteBurst = 1, 2 })
	want(t, "a site's burst", fmt.Sprint(statuses("203.0.113.1", 1), statuses("203.0.113.2", 2)), "[202] [202 429]")
	want(t, "the site's drops", fmt.Sprint(f.book.drops), "[{1 rate_limited}]")
	resp = f.send("POST /api/event", `{"n":"pageview","u":"https://example.com/","d":"example.com,shop.org"}`)
	want(t, "one of two sites", resp.StatusCode(), 202)
	want(t, "its reason", string(resp.Header.Peek("x-footfall-dropped")), "rate_limited")
}
