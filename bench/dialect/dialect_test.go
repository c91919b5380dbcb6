package dialect_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/bench/dialect"
	"footfall/bench/scenario"
	"footfall/bench/visitors"
)

// read takes a request apart with a real HTTP server's parser.
func read(t *testing.T, name string, change func(*scenario.Scenario), events ...visitors.Event) *fasthttp.Request {
	t.Helper()
	s := scenario.Defaults()
	s.Rate, s.Duration, s.Dialect = 1, time.Second, name
	if change != nil {
		change(&s)
	}
	x, err := dialect.New(visitors.NewWorld(&s, 35, nil))
	if err != nil {
		t.Fatal(err)
	}
	to := &dialect.To{Host: "stats.example", Base: "/base", Bearer: "secret"}
	raw := x.Append(nil, to, events)
	if again := x.Append(nil, to, events); !bytes.Equal(raw, again) {
		t.Errorf("%s: the same event is written differently again:\n%s\n%s", name, raw, again)
	}
	r := &fasthttp.Request{}
	in := bufio.NewReader(bytes.NewReader(raw))
	if err := r.Read(in); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, raw)
	}
	if rest, _ := in.Peek(1); len(rest) > 0 {
		t.Errorf("%s: something follows the request: %s", name, raw)
	}
	return r
}

var (
	view   = visitors.Event{ID: 36, Site: 2, Page: 40, Referrer: visitors.OwnReferrer, Agent: 3, Visitor: 1<<16 | 2<<8 | 3}
	custom = visitors.Event{ID: 37, Kind: visitors.Custom, Site: 2, Page: 40, Referrer: visitors.NoReferrer, Name: 0}
)

func TestEachDialectSaysWhatTheProductWants(t *testing.T) {
	field := func(r *fasthttp.Request, path ...string) any {
		var v any
		if err := json.Unmarshal(r.Body(), &v); err != nil {
			t.Fatalf("%v: %s", err, r.Body())
		}
		for _, p := range path {
			if list, ok := v.([]any); ok {
				v = list[0]
			}
			v = v.(map[string]any)[p]
		}
		return v
	}
	const page = "https://site-2.bench/shop/category-3/product-40"
	for _, c := range []struct {
		name   string
		path   string
		method string
		check  func(r *fasthttp.Request) []any // got and want in turns
	}{
		{"plausible", "/base/api/event", "POST", func(r *fasthttp.Request) []any {
			return []any{field(r, "d"), "site-2.bench", field(r, "u"), page, field(r, "n"), "pageview", field(r, "id"), "z-10", field(r, "r"), "https://site-2.bench/"}
		}},
		{"vince", "/base/api/event", "POST", func(r *fasthttp.Request) []any {
			return []any{field(r, "d"), "site-2.bench", field(r, "u"), page, field(r, "id"), nil}
		}},
		{"native", "/base/v1/events", "POST", func(r *fasthttp.Request) []any {
			return []any{field(r, "site"), "site-2.bench", field(r, "url"), page, field(r, "ip"), "81.1.2.3", field(r, "id"), "z-10", string(r.Header.Peek("Authorization")), "Bearer secret"}
		}},
		{"goatcounter", "/base/count", "GET", func(r *fasthttp.Request) []any {
			q := r.URI().QueryArgs()
			return []any{string(q.Peek("p")), "/shop/category-3/product-40", string(q.Peek("r")), "https://site-2.bench/", string(q.Peek("e")), ""}
		}},
		{"umami", "/base/api/send", "POST", func(r *fasthttp.Request) []any {
			return []any{field(r, "type"), "event", field(r, "payload", "website"), "3", field(r, "payload", "url"), "/shop/category-3/product-40", field(r, "payload", "name"), nil}
		}},
		{"matomo", "/base/matomo.php", "GET", func(r *fasthttp.Request) []any {
			q := r.URI().QueryArgs()
			return []any{string(q.Peek("idsite")), "3", string(q.Peek("rec")), "1", string(q.Peek("url")), page, len(q.Peek("_id")), 16, string(q.Peek("urlref")), "https://site-2.bench/"}
		}},
	} {
		r := read(t, c.name, nil, view)
		if got := string(r.URI().Path()); got != c.path || string(r.Header.Method()) != c.method {
			t.Errorf("%s: %s %s, want %s %s", c.name, r.Header.Method(), got, c.method, c.path)
		}
		if c.name != "native" {
			if got := string(r.Header.Peek("X-Forwarded-For")); got != "81.1.2.3" || !strings.HasPrefix(string(r.Header.UserAgent()), "Mozilla/5.0") {
				t.Errorf("%s: comes from %s with %s", c.name, got, r.Header.UserAgent())
			}
			if got := r.Header.Peek("Authorization"); len(got) > 0 {
				t.Errorf("%s: a visitor shows the key %s", c.name, got)
			}
		}
		pairs := c.check(r)
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] != pairs[i+1] {
				t.Errorf("%s: figure %d is %v, want %v", c.name, i/2, pairs[i], pairs[i+1])
			}
		}
	}
}

func TestCustomEventsHaveTheirNameEverywhere(t *testing.T) {
	for _, name := range scenario.Dialects() {
		r := read(t, name, nil, custom)
		text, err := url.QueryUnescape(string(r.Body()) + r.URI().String())
		if err != nil || !strings.Contains(text, "Add to cart") {
			t.Errorf("%s: %s (%v)", name, text, err)
		}
	}
}

func TestSitesCanHaveTheProductsOwnIDs(t *testing.T) {
	ids := func(s *scenario.Scenario) { s.Sites.IDs = []string{"a", "b", "c.example"} }
	if r := read(t, "umami", ids, view); !strings.Contains(string(r.Body()), `"website":"c.example"`) {
		t.Errorf("umami: %s", r.Body())
	}
	if r := read(t, "goatcounter", ids, view); string(r.Host()) != "c.example" {
		t.Errorf("goatcounter: host %s", r.Host())
	}
	if r := read(t, "matomo", ids, view); string(r.URI().QueryArgs().Peek("idsite")) != "c.example" {
		t.Errorf("matomo: %s", r.URI())
	}
}

func TestArraysHoldAllEvents(t *testing.T) {
	r := read(t, "native", func(s *scenario.Scenario) { s.Array = 2 }, view, custom)
	var got []struct{ ID, Name string }
	if err := json.Unmarshal(r.Body(), &got); err != nil || len(got) != 2 || got[0].ID == got[1].ID || got[1].Name != "Add to cart" {
		t.Errorf("%v: %s", err, r.Body())
	}
}
