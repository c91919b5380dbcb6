package partner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
)

func TestWhoMayReadWhat(t *testing.T) {
	anonymous := accounts.Identity{}
	for _, c := range []struct {
		name, site string
		who        accounts.Identity
		header     []string
		status     int
		want       string
	}{
		{"nobody", "example.com", anonymous, nil, 401, textMissingKey},
		{"nobody, no such site", "nowhere.test", anonymous, nil, 401, textMissingKey},
		{"nobody, no site", "", anonymous, nil, 401, textMissingKey},
		{"nobody, a public site", "public.test", anonymous, nil, 200, ""},
		{"an unknown key", "example.com", anonymous, []string{"Authorization", "Bearer ff_unknown"}, 401, textInvalidKey},
		{"an unknown key, a public site", "public.test", anonymous, []string{"Authorization", "Bearer ff_unknown"}, 200, ""},
		{"a key", "example.com", key, nil, 200, ""},
		{"a key, with www and capitals", "WWW.Example.COM", key, nil, 200, ""},
		{"a key, another's site", "elsewhere.org", key, nil, 401, textInvalidKey},
		{"a key, no such site", "nowhere.test", key, nil, 401, textInvalidKey},
		{"a key, a very long site", strings.Repeat("a", 300), key, nil, 401, textInvalidKey},
		{"a key for another site of the organisation", "example.com", accounts.Identity{Org: 1, Key: 8, KeySite: 99, Scopes: key.Scopes}, nil, 401, textInvalidKey},
		{"a key that may only write", "example.com", accounts.Identity{Org: 1, Key: 9, Scopes: []accounts.Scope{accounts.EventsWrite}}, nil, 401, textInvalidKey},
		{"a key that may only provision", "example.com", accounts.Identity{Org: 1, Key: 9, Scopes: []accounts.Scope{accounts.SitesProvision}}, nil, 401, textInvalidKey},
		{"a viewer", "example.com", accounts.Identity{User: 3, Org: 1, Role: accounts.Viewer}, nil, 200, ""},
		{"a viewer of another organisation", "example.com", accounts.Identity{User: 3, Org: 2, Role: accounts.Owner}, nil, 401, textInvalidKey},
		{"the operator", "elsewhere.org", accounts.Identity{Operator: true}, nil, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range []struct{ method, target, body string }{
				{"POST", "/api/v2/query", fmt.Sprintf(`{"site_id":%q,"metrics":["visitors"],"date_range":"7d"}`, c.site)},
				{"GET", stats("realtime/visitors", "site_id="+c.site), ""},
				{"GET", stats("aggregate", "site_id="+c.site), ""},
				{"GET", stats("timeseries", "site_id="+c.site), ""},
				{"GET", stats("breakdown", "site_id="+c.site, "property=event:page"), ""},
				{"GET", "/v1/sites/" + c.site + "/months", ""},
			} {
				if c.site == "" && strings.HasSuffix(r.target, "/months") {
					continue
				}
				w := newWorld(t)
				w.asker.answer = func(_ int, q *query.Question) (*query.Answer, error) {
					if len(q.Dimensions) > 0 {
						return &query.Answer{Index: 1}, nil
					}
					return &query.Answer{Rows: []query.Row{{Values: make([]query.Value, len(q.Metrics))}}, Index: 1}, nil
				}
				got := w.call(c.who, r.method, r.target, r.body, c.header...)
				if got.status != c.status || c.want != "" && got.problem(t) != c.want {
					t.Errorf("%s %s: got %d %s", r.method, r.target, got.status, got.body)
				}
				if c.status != 200 && len(w.asker.asked) > 0 {
					t.Errorf("%s %s was asked all the same", r.method, r.target)
				}
			}
		})
	}
}

func TestAnUnreadableQueryOfNobodyTellsOfTheMissingKey(t *testing.T) {
	w := newWorld(t)
	if got := w.call(accounts.Identity{}, "POST", "/api/v2/query", `{`); got.status != 401 || got.problem(t) != textMissingKey {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestAKeyHasItsRequestsPerHour(t *testing.T) {
	w := newWorld(t, query.Row{Values: num(1)})
	w.door = New(Config{Asker: w.asker, Directory: w.catalog, First: w.firsts, Clock: func() time.Time { return w.now }, RequestsPerHour: 3})
	ask := func(who accounts.Identity) response { return w.call(who, "GET", stats("realtime/visitors"), "") }
	for i, left := range []string{"2", "1", "0"} {
		got := ask(key)
		if got.status != 200 || got.header.Get("X-RateLimit-Limit") != "3" || got.header.Get("X-RateLimit-Remaining") != left {
			t.Fatalf("request %d: %d %v", i, got.status, got.header)
		}
		w.now = w.now.Add(10 * time.Minute)
	}
	got := ask(key)
	want := "Too many API requests. Your API key is limited to 3 requests per hour. Please contact the operator of this server to request more capacity."
	if got.status != 429 || got.problem(t) != want || got.header.Get("Retry-After") != "1800" || got.header.Get("X-RateLimit-Reset") != "1800" {
		t.Errorf("got %d %s %v", got.status, got.body, got.header)
	}
	other := key
	other.Key = 8
	if got := ask(other); got.status != 200 {
		t.Errorf("another key: %d", got.status)
	}
	for i := range 5 {
		for _, who := range []accounts.Identity{{User: 3, Org: 1, Role: accounts.Viewer}, {Operator: true}} {
			if got := ask(who); got.status != 200 || got.header.Get("X-RateLimit-Limit") != "" {
				t.Errorf("request %d of %+v: %d", i, who, got.status)
			}
		}
	}
	w.now = w.now.Add(30 * time.Minute)
	if got := ask(key); got.status != 200 || got.header.Get("X-RateLimit-Remaining") != "2" {
		t.Errorf("an hour later: %d %v", got.status, got.header)
	}
}

func TestTheDefaultIs600RequestsPerHour(t *testing.T) {
	w := newWorld(t, query.Row{Values: num(1)})
	w.door = New(Config{Asker: w.asker, Directory: w.catalog, First: w.firsts, Clock: func() time.Time { return w.now }})
	if got := w.call(key, "GET", stats("realtime/visitors"), ""); got.header.Get("X-RateLimit-Limit") != "600" {
		t.Errorf("%v", got.header)
	}
}

func TestAQuotaForgetsKeysThatStayAway(t *testing.T) {
	q := newQuota(2, time.Hour)
	now := time.Unix(1_800_000_000, 0)
	for k := range uint64(50_000) {
		q.take(k, now)
		now = now.Add(time.Second)
	}
	if len(q.keys) > 2*3600+sweepMin {
		t.Errorf("%d keys are held of 3,600 that asked in the last hour", len(q.keys))
	}
	q.take(1, now)
	if _, reset, ok := q.take(1, now.Add(-48*time.Hour)); !ok || reset > time.Hour {
		t.Errorf("a clock set back: %v %v", reset, ok)
	}
}

func TestErrorsOfAnAskerAreAnswered(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{analytics.Errorf(analytics.Unavailable, "shard: no leader"), 503, "shard: no leader"},
		{analytics.Errorf(analytics.Invalid, "filters: more than 64 conditions on visits"), 400, "filters: more than 64 conditions on visits"},
		{fmt.Errorf("ask site 1: %w", context.DeadlineExceeded), 503, "query: took too long, ask about less or try again"},
	} {
		w := newWorld(t)
		w.asker.answer = func(int, *query.Question) (*query.Answer, error) { return nil, c.err }
		got := w.query(with(""))
		if got.status != c.status || got.problem(t) != c.text || (got.status == 503) != (got.header.Get("Retry-After") != "") {
			t.Errorf("%v: got %d %s %v", c.err, got.status, got.body, got.header)
		}
	}
}

func TestAnErrorOfOursShowsNothing(t *testing.T) {
	w := newWorld(t)
	w.asker.answer = func(int, *query.Question) (*query.Answer, error) { return nil, errors.New("open /data/secret: gone") }
	got := w.query(with(""))
	if got.status != 500 || strings.Contains(got.body, "secret") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestAWriteTokenIsPassedOn(t *testing.T) {
	w := newWorld(t, query.Row{Values: num(1)})
	got := w.call(key, "POST", "/api/v2/query", with(""), "X-Footfall-Token", "12-3456")
	if got.status != 200 || w.asker.after[0] != (analytics.Token{Shard: 12, Index: 3456}) || got.header.Get("X-Footfall-Index") != "77" {
		t.Errorf("%d %v %v", got.status, w.asker.after, got.header)
	}
	if got := w.call(key, "POST", "/api/v2/query", with(""), "X-Footfall-Token", "12"); got.status != 400 {
		t.Errorf("a bad token: %d %s", got.status, got.body)
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	got := w.call(accounts.Identity{}, "GET", "/v1/openapi.yaml", "")
	if got.status != 200 || !strings.HasPrefix(got.body, "openapi: 3.1.0\n") || !strings.HasPrefix(got.header.Get("Content-Type"), "application/yaml") {
		t.Errorf("%d %v %.40s", got.status, got.header, got.body)
	}
}
