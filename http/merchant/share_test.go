package merchant

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"footfall/analytics/accounts"
)

const sharePath = "/v1/shared-link/session"

// shared makes a shared link of a site, with a password if it is not "".
func (n *node) shared(p people, password string, expires time.Time) *accounts.SharedLink {
	n.t.Helper()
	slug, err := n.house.NewSecret()
	if err != nil {
		n.t.Fatal(err)
	}
	change := &accounts.PutSharedLink{Site: p.site.ID, Name: "link " + slug[:8], Slug: slug}
	if password != "" {
		if change.PasswordHash, err = n.house.HashPassword(context.Background(), password); err != nil {
			n.t.Fatal(err)
		}
	}
	if !expires.IsZero() {
		change.Expires = expires.UnixMilli()
	}
	return n.must(change).Link
}

func opening(l *accounts.SharedLink, password string) string {
	return fmt.Sprintf(`{"slug":%q,"password":%q}`, l.Slug, password)
}

func TestASharedLinkOpensItsSiteAndNothingElse(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	l := n.shared(p, "", time.Time{})
	b := n.browser()
	b.do("GET", "/v1/sites/shop.example", "").want(401)
	a := b.do("POST", sharePath, `{"slug":"`+l.Slug+`"}`).want(200, `"domain":"shop.example"`, `"expires":"2026-11-18T22:30:00Z"`)
	if cookie := a.header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || !strings.Contains(strings.ToLower(cookie), "max-age=43200") {
		t.Errorf("cookie %s", cookie)
	}
	b.do("GET", "/v1/sites/shop.example", "").want(200)
	b.do("GET", "/v1/sites/shop.example/live", "").want(200)
	for _, refused := range []string{"GET /v1/sites/theirs.example", "GET /v1/sites", "GET /v1/overview", "GET " + inspectorPath, "GET /v1/session", "GET /v1/sites/shop.example/reports",
		"PUT /v1/sites/shop.example", "DELETE /v1/sites/shop.example", "POST /v1/sites/shop.example/annotations"} {
		method, path, _ := strings.Cut(refused, " ")
		b.do(method, path, `{}`).want(401)
	}
	// Whoever is signed in keeps their own rights and has the link's besides.
	b.signIn(p.user[Stranger].Email, goodPassword).want(200)
	b.do("GET", "/v1/sites/shop.example", "").want(200)
	b.do("GET", "/v1/sites/theirs.example", "").want(200)
	b.do("PUT", "/v1/sites/shop.example", `{}`).want(404)
}

func TestASharedLinkEnds(t *testing.T) {
	for name, c := range map[string]struct {
		expires time.Time
		end     func(n *node, p people, l *accounts.SharedLink)
	}{
		"by its cookie": {time.Time{}, func(n *node, _ people, _ *accounts.SharedLink) { n.now.Add((12 * time.Hour).Milliseconds()) }},
		"by its date":   {begin.Add(time.Hour), func(n *node, _ people, _ *accounts.SharedLink) { n.now.Add(time.Hour.Milliseconds()) }},
		"by its owner": {time.Time{}, func(n *node, p people, l *accounts.SharedLink) {
			n.must(&accounts.DeleteSharedLink{Site: p.site.ID, ID: l.ID})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, func(o *Options) { o.PingInterval = 5 * time.Millisecond })
			p := n.people()
			l := n.shared(p, "", c.expires)
			b := n.browser()
			b.do("POST", sharePath, opening(l, "")).want(200)
			b.do("GET", "/v1/sites/shop.example", "").want(200)
			lines := b.events(t.Context(), livePath)
			line(t, lines, ": ping")
			c.end(n, p, l)
			b.do("GET", "/v1/sites/shop.example", "").want(401)
			for range lines { // the stream ends too
			}
			if name != "by its cookie" {
				b.do("POST", sharePath, opening(l, "")).want(404, "slug: ")
			}
		})
	}
}

func TestTheCookieOfALinkThatExpiresSoonEndsWithIt(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	n.browser().do("POST", sharePath, opening(n.shared(p, "", begin.Add(time.Minute)), "")).want(200, `"expires":"2026-11-18T10:31:00Z"`)
}

func TestAPasswordIsAskedForAndTriesAreLimited(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	l := n.shared(p, "open sesame", time.Time{})
	b := n.browser()
	b.do("POST", sharePath, opening(l, "")).want(401, `"password":true`, "password: this shared link needs one")
	b.do("POST", sharePath, opening(l, "open sesame")).want(200)
	b.do("GET", "/v1/sites/shop.example", "").want(200)
	other := n.browser()
	for range 10 {
		other.do("POST", sharePath, opening(l, "wrong")).want(401, `"password":true`, "password: not right")
	}
	if a := other.do("POST", sharePath, opening(l, "open sesame")).want(429, "too many attempts"); a.header.Get("Retry-After") == "" {
		t.Error("it does not say how long to wait")
	}
	if other.do("GET", "/v1/sites/shop.example", ""); len(other.cookies) != 0 {
		t.Errorf("cookies %v", other.cookies)
	}
	n.now.Add(15_000)
	other.do("POST", sharePath, opening(l, "open sesame")).want(200)
}

func TestSlugsCannotBeGuessedFast(t *testing.T) {
	n := newNode(t, nil)
	b := n.browser()
	for range 50 {
		b.do("POST", sharePath, `{"slug":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`).want(404, "slug: ")
	}
	b.do("POST", sharePath, `{"slug":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`).want(429, "slug: too many attempts")
}

func TestForgedCookiesOpenNothing(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	l, secret := n.shared(p, "", time.Time{}), n.shared(p, "open sesame", time.Time{})
	b := n.browser()
	b.do("POST", sharePath, opening(l, "")).want(200)
	name := plainSharePrefix + fmt.Sprint(l.ID)
	good := b.cookies[name]
	until, mac, _ := strings.Cut(good, "-")
	for _, c := range []struct{ name, value string }{
		{name, ""}, {name, "-"}, {name, until}, {name, until + "-"}, {name, until + "-" + mac[:len(mac)-4]},
		{name, "zzzzzz-" + mac}, {name, "-1-" + mac}, {name, until + "-" + strings.Repeat("A", len(mac))},
		{plainSharePrefix + fmt.Sprint(secret.ID), good}, {plainSharePrefix + "x", good}, {plainSharePrefix + "99", good}, {plainSharePrefix, good},
	} {
		forged := n.browser()
		forged.cookies[c.name] = c.value
		forged.do("GET", "/v1/sites/shop.example", "").want(401)
	}
	again := n.browser()
	again.cookies[name] = good
	again.do("GET", "/v1/sites/shop.example", "").want(200)
	many := n.browser()
	for i := range 30 {
		many.cookies[plainSharePrefix+fmt.Sprint(1000+i)] = good
	}
	many.do("GET", "/v1/sites/shop.example", "").want(401)
}

func TestOverHTTPSTheCookieWorksInFrames(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.browser()
	b.headers["X-Forwarded-Proto"] = "https"
	a := b.do("POST", sharePath, opening(n.shared(p, "", time.Time{}), "")).want(200)
	cookie := strings.ToLower(a.header.Get("Set-Cookie"))
	for _, want := range []string{"__host-footfall-share-", "secure", "samesite=none", "partitioned", "httponly", "path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("%s has no %s", cookie, want)
		}
	}
	b.do("GET", "/v1/sites/shop.example", "").want(200)
}

func FuzzReadShared(f *testing.F) {
	link := &accounts.SharedLink{ID: 7, Slug: strings.Repeat("s", 43)}
	for _, value := range []string{"", "-", "abc-", "t8kp80-" + strings.Repeat("A", 32), "-1-AAAA", "zzzzzzzzzzzzzzzz-AAAA"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if until, ok := readShared(link, value); ok { // nobody finds a good one by chance
			t.Errorf("%q opens the link until %d", value, until)
		}
	})
}
