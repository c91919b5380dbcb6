package merchant

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
)

func request(headers ...string) *fasthttp.RequestCtx {
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.SetRequestURI("/")
	for i := 0; i < len(headers); i += 2 {
		ctx.Request.Header.Set(headers[i], headers[i+1])
	}
	return ctx
}

func TestAuthenticate(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Admin)
	id := b.cookies[plainCookie]
	auth := NewAuthenticator(n.house, accounts.HashOf([]byte("the token")), func() time.Time { return begin })
	admin := p.user[Admin]
	for name, c := range map[string]struct {
		headers []string
		check   func(accounts.Identity) bool
	}{
		"nothing":  {nil, func(w accounts.Identity) bool { return w.Anonymous() && !w.Refused }},
		"operator": {[]string{"Authorization", "Bearer the token"}, func(w accounts.Identity) bool { return w.Operator }},
		"key": {[]string{"Authorization", "Bearer ff_stats:read"}, func(w accounts.Identity) bool {
			return w.Key != 0 && w.Org == admin.Org && w.Scopes[0] == accounts.StatsRead
		}},
		"unknown key":  {[]string{"Authorization", "Bearer ff_nobody"}, func(w accounts.Identity) bool { return w.Anonymous() && w.Refused }},
		"empty key":    {[]string{"Authorization", "Bearer "}, func(w accounts.Identity) bool { return w.Anonymous() && w.Refused }},
		"other scheme": {[]string{"Authorization", "Basic dGhlIHRva2Vu"}, func(w accounts.Identity) bool { return w.Anonymous() && w.Refused }},
		"https cookie": {[]string{"Host", "stats.example.com", "Cookie", "a=b; __Host-footfall=" + id}, func(w accounts.Identity) bool {
			return w.User == admin.ID && w.Role == accounts.Admin && w.Session != ""
		}},
		"local cookie":           {[]string{"Host", "127.0.0.1:80", "Cookie", "footfall=" + id}, func(w accounts.Identity) bool { return w.User == admin.ID }},
		"local cookie elsewhere": {[]string{"Host", "stats.example.com", "Cookie", "footfall=" + id}, func(w accounts.Identity) bool { return w.Anonymous() && !w.Refused }},
		"damaged cookie":         {[]string{"Cookie", "__Host-footfall=" + id[:42] + "!"}, accounts.Identity.Anonymous},
		"stale cookie":           {[]string{"Cookie", "__Host-footfall=" + strings.Repeat("A", 43)}, accounts.Identity.Anonymous},
		"a bad key wins over a good cookie": {[]string{"Authorization", "Bearer x", "Cookie", "__Host-footfall=" + id},
			func(w accounts.Identity) bool { return w.Anonymous() && w.Refused }},
	} {
		who, err := auth.Authenticate(request(c.headers...))
		if err != nil || !c.check(who) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	nobody := NewAuthenticator(n.house, accounts.Hash{}, nil)
	if who, _ := nobody.Authenticate(request("Authorization", "Bearer ")); who.Operator {
		t.Error("without a token file everybody is the operator")
	}
	for name, ctx := range map[string]*fasthttp.RequestCtx{
		"key":    request("Authorization", "Bearer ff_stats:read"),
		"cookie": request("Host", "stats.example.com", "Cookie", "__Host-footfall="+id),
		"none":   request("Host", "stats.example.com"),
	} {
		if allocs := testing.AllocsPerRun(100, func() { _, _ = auth.Authenticate(ctx) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

func FuzzAuthenticate(f *testing.F) {
	f.Add("Bearer ff_x", "__Host-footfall=abc", "localhost:80", "br;q=0.1, gzip")
	f.Add("bearer", "footfall="+strings.Repeat("A", 43), "[::1", ",;q=,")
	f.Add("", "a=b;", "[fe80::1%25eth0]:1", "gzip;q=;")
	auth := NewAuthenticator(newHouse(time.Now), accounts.HashOf([]byte("t0ken")), nil)
	f.Fuzz(func(t *testing.T, authorization, cookies, host, encoding string) {
		ctx := &fasthttp.RequestCtx{}
		ctx.Request.Header.Set("Authorization", authorization)
		ctx.Request.Header.Set("Cookie", cookies)
		ctx.Request.Header.SetHost(host)
		who, err := auth.Authenticate(ctx)
		if err != nil || who.User != 0 || who.Key != 0 || who.Operator && !strings.Contains(authorization, "t0ken") {
			t.Fatalf("%+v, %v", who, err)
		}
		if loopbackHost(ctx) && !strings.Contains(strings.ToLower(host), "localhost") && !strings.ContainsAny(host, "0123456789:") {
			t.Fatalf("%q counts as this machine", host)
		}
		accepts(encoding, "gzip")
	})
}

func FuzzReadJSON(f *testing.F) {
	f.Add(`{"domain":"a.example","timezone":"UTC","public":true}`)
	f.Add(`{"domain":{"domain":1}}`)
	f.Add(`[[[`)
	f.Fuzz(func(t *testing.T, body string) {
		ctx := &fasthttp.RequestCtx{}
		ctx.Request.SetBodyString(body)
		var in struct {
			Domain   string    `json:"domain"`
			Timezone *string   `json:"timezone"`
			Hosts    *[]string `json:"hostnames"`
			Public   bool      `json:"public"`
		}
		if err := readJSON(ctx, &in); err != nil && (!strings.Contains(err.Error(), ": ") || len(err.Error()) > 200) {
			t.Fatalf("%q", err)
		}
		if domain, err := asciiDomain(in.Domain); err == nil {
			_, _ = accounts.NormalizeDomain(domain)
		}
	})
}

func TestThrottleForgetsWhoIsNotHeldBackFirst(t *testing.T) {
	th := newThrottle(5, time.Minute)
	now := begin.UnixMilli()
	for range 5 {
		if _, ok := th.take("victim", now); !ok {
			t.Fatal("held back too early")
		}
	}
	for i := range 100_000 { // a flood of others, each once
		th.take(fmt.Sprint(i), now)
	}
	if wait, ok := th.take("victim", now); ok || wait != time.Minute {
		t.Errorf("the flood freed the victim: %v %v", wait, ok)
	}
	if _, ok := th.take("victim", now+60_000); !ok {
		t.Error("still held back after a minute")
	}
	if _, ok := th.take("victim", now+60_000); ok {
		t.Error("two for the price of one")
	}
	th.giveBack("victim", now+60_000)
	if _, ok := th.take("victim", now+60_000); !ok {
		t.Error("what was given back is lost")
	}
	if _, ok := th.take("victim", now-1000); ok {
		t.Error("a clock that goes back gives tokens")
	}
}
