package beacon

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"footfall/analytics"
	"footfall/enrich"
)

func TestParseURL(t *testing.T) {
	for u, want := range map[string]struct {
		page  enrich.URL
		wrong string
	}{
		"https://www.example.com/a?b=c#d":     {page: enrich.URL{Host: "example.com", Page: "/a", Query: "b=c", Fragment: "d"}},
		"http://EXAMPLE.com:8080/A":           {page: enrich.URL{Host: "example.com", Page: "/A"}},
		"/x/y":                                {page: enrich.URL{Host: "(none)", Page: "/x/y"}},
		"https://example.com/%FF%25":          {page: enrich.URL{Host: "example.com", Page: "/\ufffd%"}},
		"https://example.com/a%20%20":         {page: enrich.URL{Host: "example.com", Page: "/a"}},
		"":                                    {wrong: "is required"},
		"data:text/html,hi":                   {wrong: "scheme is not allowed"},
		"https://exa mple.com/":               {wrong: "must be a valid url"},
		"https://example.com/a\nb":            {wrong: "must be a valid url"},
		"https://" + strings.Repeat("a", 254): {wrong: "must be a valid url"},
	} {
		if page, wrong := parseURL([]byte(u)); wrong != want.wrong || wrong == "" && page != want.page {
			t.Errorf("%q: got %+v %q, want %+v", u, page, wrong, want)
		}
	}
}

func TestAmount(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "1": 1_000_000, "12.34": 12_340_000, "-5": -5_000_000, "+1": 1_000_000, "0.000001": 1, "0.0000004": 0, "0.0000005": 1,
		"-0.0000005": -1, "1e3": 1_000_000_000, "1.5E-2": 15_000, "0001.10": 1_100_000, ".5": 500_000, "5.": 5_000_000,
		"9223372036854.775807": 9223372036854775807, "0e999": 0, "1e-999": 0, "19.99": 19_990_000, "0.29": 290_000,
	} {
		if got, ok := amount([]byte(in)); !ok || got != want {
			t.Errorf("%q: got %d %v, want %d", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "-", ".", "e5", "1e", "1e1234", "1.2.3", "1,5", "12a", " 1", "9223372036854.775808", "1e30", "NaN", "inf", "0x1", strings.Repeat("1", 50)} {
		if got, ok := amount([]byte(in)); ok {
			t.Errorf("%q: got %d", in, got)
		}
	}
}

func TestCurrency(t *testing.T) {
	for in, want := range map[string]string{"EUR": "EUR", "usd": "USD", "jPy": "JPY", "XXX": "", "EU": "", "EURO": "", "R U": "", "N A": "", "": "", "ZWL": "ZWL", "AED": "AED"} {
		if got, ok := analytics.Currency([]byte(in)); got != want || ok != (want != "") {
			t.Errorf("%q: got %q %v, want %q", in, got, ok, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"/a", "/a", true}, {"/a", "/ab", false}, {"/a*", "/a", true}, {"/a*", "/a/b/c", true}, {"*", "", true}, {"*.x.dev", "a.x.dev", true},
		{"*.x.dev", "x.dev", false}, {"/a*b*c", "/a1b2b3c", true}, {"/a*b*c", "/a1b2b3", false}, {"", "", true}, {"", "a", false}, {"**", "abc", true},
	} {
		if got := glob(c.pattern, c.s); got != c.want {
			t.Errorf("%q of %q: %v", c.pattern, c.s, got)
		}
	}
}

func TestRulesFollowTheSite(t *testing.T) {
	var book ruleBook
	site := &analytics.Site{ID: 1, IPs: []string{"198.51.100.0/24", "::ffff:203.0.113.5", "::ffff:192.0.2.0/120"}}
	for addr, want := range map[string]bool{"198.51.100.9": true, "203.0.113.5": true, "192.0.2.77": true, "203.0.113.6": false, "::1": false} {
		if got := book.of(site).blocksAddr(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	changed := *site
	changed.IPs = []string{"::1"}
	if book.of(&changed).blocksAddr(netip.MustParseAddr("198.51.100.9")) || !book.of(&changed).blocksAddr(netip.MustParseAddr("::1")) {
		t.Error("old rules are still in force")
	}
	if book.of(&analytics.Site{ID: 1}) != nil {
		t.Error("a site without rules has some")
	}
}

func TestLimiterIsBoundedAndForgetsTheIdle(t *testing.T) {
	l := newLimiter(1, 1)
	for i := range 300_000 {
		l.takeNumber(uint64(i), 1000)
	}
	if !l.takeNumber(1_000_000, 1000) {
		t.Error("a newcomer is refused")
	}
	if l.takeNumber(1_000_000, 1000) {
		t.Error("the second in the same second is let through")
	}
	if !l.takeNumber(1_000_000, 2000) {
		t.Error("a second later it is still refused")
	}
	if l.takeNumber(1_000_000, 0) {
		t.Error("a clock that is set back fills the bucket")
	}
	if !l.takeNumber(1_000_000, 1<<62) {
		t.Error("an age later it is refused")
	}
	var off *limiter
	if !off.takeNumber(1, 0) || !off.takeAddr(netip.Addr{}, 0) {
		t.Error("no limit refuses")
	}
	if n := testing.AllocsPerRun(100, func() { l.takeAddr(netip.MustParseAddr("192.0.2.1"), 5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// bodies are the seeds of the fuzz targets: real trackers' bodies, and everything
// that once was a problem.
var bodies = []string{
	`{"n":"pageview","v":36,"u":"https://example.com/","d":"example.com","r":null}`,
	`{"n":"pageview","u":"https://example.com/","d":"example.com","r":"https://www.google.com/","w":1280,"h":0,"p":"{\"plan\":\"pro\"}"}`,
	`{"n":"engagement","sd":74,"d":"example.com","u":"https://example.com/","e":1330,"v":36,"p":{"a":"b"}}`,
	`{"name":"buy","url":"https://example.com/","domain":"example.com","referrer":"","props":{"a":1,"b":true,"c":null,"d":-1.5},"revenue":{"amount":"9.99","currency":"EUR"}}`,
	`{"n":"x","i":false,"h":1,"id":"abc","l":"en","w":"12"}`, `{}`, ` { } `, `{"a":[1,{"b":2}]}`, `{"n":1e5}`, `{"n":01}`, `{"n":-}`, `{"n":1.}`, `{"n":.5}`,
	`{"n":"a\u00fcb"}`, `{"n":"\ud800"}`, "{\"n\":\"\x00\x01\n\"}", `{"n":"a","n":"b"}`, `{"p":{"a":"1"},"p":{"b":"2"}}`, `{"p":{"a":{"b":1}}}`, `{"p":{}}`,
	`{"\u006e":"x"}`, `{"n":tru}`, `{"n":true}`, `{"n":truex}`, `{"n":nullnull}`, `{"n":1 2}`, `{"n":"a"}}`, `{"n":"a"},`, `{"n":"a",}`, `{,}`, `{"n"}`, `{"n":}`,
	`{"n" : "a" , "u" : 1 }`, `{n:1}`, `[]`, `"x"`, `{"n":"a"`, `{"n":"a`, `{"p":{"a":1,}}`, `{"p":{"a":1`, `{"n":nan}`, `{"n":Infinity}`, `{"n":1-2}`, `{"n":1]}`,
	"\ufeff{}", `{"$":{"amount":1,"currency":"EUR"},"$":null}`,
}

func TestScannerTakesTheCommonShape(t *testing.T) {
	for _, body := range bodies[:4] {
		var f form
		if got, want := f.scan([]byte(body)), !strings.Contains(body, `\`); got != want {
			t.Errorf("%s: scanned %v", body, got)
		}
	}
}

// FuzzBody holds the hand-written scanner against the general parser, and
// whatever is accepted against what an event may be.
func FuzzBody(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > analytics.BeaconBodyBytesMax {
			return
		}
		var fast, slow form
		if fast.scan(body) {
			if !slow.fallback(body) {
				t.Fatalf("%q: scanned, but not readable", body)
			}
			if a, b := flatten(&fast), flatten(&slow); !reflect.DeepEqual(a, b) {
				t.Fatalf("%q:\n fast %v\n slow %v", body, a, b)
			}
		}
		fx := newFixture(t, nil)
		resp := fx.send("POST /api/event", string(body))
		checkAnswer(t, fx, resp.StatusCode(), resp.Body())
	})
}

// flatten makes two forms comparable.
func flatten(f *form) []string {
	var out []string
	for s, v := range f.values {
		line := fmt.Sprintf("%d %d %q", s, v.kind, v.text)
		for _, m := range f.members[v.from:v.to] {
			line += fmt.Sprintf(" %q=%d:%q", m.key, m.kind, m.text)
		}
		out = append(out, line)
	}
	return out
}

// checkAnswer holds an answer, and what was recorded, against what every answer
// and event must be.
func checkAnswer(t *testing.T, fx *fixture, status int, body []byte) {
	t.Helper()
	switch status {
	case 202:
		if n := len(fx.book.events) + len(fx.book.drops); n == 0 && fx.book.index == 0 {
			t.Fatal("202, but nothing was recorded or dropped")
		}
	case 400:
		if !json.Valid(body) || len(fx.book.events) != 0 {
			t.Fatalf("400 %s with %d events", body, len(fx.book.events))
		}
	default:
		t.Fatalf("status %d %s", status, body)
	}
	for _, e := range fx.book.events {
		checkEvent(t, e)
	}
}

func checkEvent(t *testing.T, e recorded) {
	t.Helper()
	switch {
	case e.ID == 0 || e.Visitor == 0 || e.site == 0:
		t.Fatalf("an id is missing: %+v", e)
	case len(e.Name) == 0 || len(e.Name) > analytics.NameBytesMax || !utf8.ValidString(e.Name):
		t.Fatalf("name %q", e.Name)
	case !strings.HasPrefix(e.Page, "/") || len(e.Page) > analytics.URLBytesMax || !utf8.ValidString(e.Page):
		t.Fatalf("page %q", e.Page)
	case e.Host == "" || len(e.Host) > analytics.DomainBytesMax || strings.HasPrefix(e.Host, "www.www.") || !utf8.ValidString(e.Host):
		t.Fatalf("host %q", e.Host)
	case len(e.Props) > analytics.PropsMax || len(e.Acquisition.Referrer) > analytics.ReferrerBytesMax || !utf8.ValidString(e.Acquisition.Referrer):
		t.Fatalf("props %v, referrer %q", e.Props, e.Acquisition.Referrer)
	case e.ScrollDepth > 100 && e.ScrollDepth != analytics.ScrollNone:
		t.Fatalf("scroll %d", e.ScrollDepth)
	case (e.Revenue.Currency == "") && e.Revenue.Amount != 0:
		t.Fatalf("revenue %v", e.Revenue)
	}
	keys := map[string]bool{}
	for _, p := range e.Props {
		if keys[p.Key] || p.Key == "" || len(p.Key) > analytics.PropKeyBytesMax || len(p.Value) > analytics.PropValueBytesMax ||
			!utf8.ValidString(p.Key) || !utf8.ValidString(p.Value) {
			t.Fatalf("prop %q", p)
		}
		keys[p.Key] = true
	}
}

func FuzzPixel(f *testing.F) {
	for _, q := range []string{"site=example.com", "site=example.com&p=/a&r=https://x.example/", "p=/", "site=a,b", "site=%00&p=%", "site=example.com&p=data:x", "site=example.com&id=1&p=//h/x"} {
		f.Add(q, "https://example.com/x")
	}
	f.Fuzz(func(t *testing.T, query, referer string) {
		fx := newFixture(t, nil)
		resp := fx.send("GET /pixel.gif?"+query, "", "Referer", referer)
		if resp.StatusCode() != 200 || len(resp.Body()) != 43 {
			t.Fatalf("%d, %d bytes", resp.StatusCode(), len(resp.Body()))
		}
		if len(fx.book.events)+len(fx.book.drops) != 1 {
			t.Fatalf("recorded %d, dropped %d", len(fx.book.events), len(fx.book.drops))
		}
		for _, e := range fx.book.events {
			checkEvent(t, e)
		}
	})
}
