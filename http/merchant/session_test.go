package merchant

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

const setupToken = "the one-time token of this test"

func (n *node) offer() {
	n.must(&accounts.OfferSetup{Hash: accounts.HashOf([]byte(setupToken))})
}

func setupBody(change func(map[string]string)) string {
	in := map[string]string{"token": setupToken, "email": "Ada@Example.com", "name": "Ada", "password": goodPassword, "domain": "https://www.Shop.example/", "timezone": "Europe/Berlin"}
	if change != nil {
		change(in)
	}
	text, _ := json.Marshal(in)
	return string(text)
}

func TestTheFirstAccountIsMadeThroughTheOneTimeLink(t *testing.T) {
	n := newNode(t, nil)
	n.offer()
	b := n.browser()
	link := "/v1/setup/" + url.PathEscape(setupToken)
	b.do("GET", link, "").want(204)
	b.do("GET", "/v1/setup/other", "").want(404, "token: ")
	b.do("POST", "/v1/setup", setupBody(nil)).
		want(201, `"email":"ada@example.com"`, `"role":"owner"`)
	b.do("GET", "/v1/session", "").want(200, `"name":"Ada"`)
	b.do("GET", "/v1/sites", "").want(200, `"domain":"shop.example"`, `"timezone":"Europe/Berlin"`)
	b.do("GET", link, "").want(404)
	b.do("POST", "/v1/setup", setupBody(func(in map[string]string) { in["email"] = "eve@example.com" })).want(404, "token: ")
}

func TestSetupNamesWhatIsWrongAndKeepsTheLinkGood(t *testing.T) {
	n := newNode(t, nil)
	n.offer()
	b := n.browser()
	for want, change := range map[string]func(map[string]string){
		"token: ":            func(in map[string]string) { in["token"] = "guess" },
		"email: ":            func(in map[string]string) { in["email"] = "ada" },
		"name: ":             func(in map[string]string) { in["name"] = strings.Repeat("n", 200) },
		"password: must":     func(in map[string]string) { in["password"] = "short" },
		"password: is one":   func(in map[string]string) { in["password"] = "password123" },
		"password: longer":   func(in map[string]string) { in["password"] = strings.Repeat("long pass", 30) },
		"domain: ":           func(in map[string]string) { in["domain"] = "a b" },
		"timezone: ":         func(in map[string]string) { in["timezone"] = "Mars/Olympus" },
		"colour: is not a f": func(in map[string]string) { in["colour"] = "red" },
	} {
		if got := b.do("POST", "/v1/setup", setupBody(change)); got.status != 400 && got.status != 404 || !strings.Contains(got.body, want) {
			t.Errorf("got %d %s, want %q", got.status, got.body, want)
		}
	}
	b.do("POST", "/v1/setup", setupBody(nil)).want(201)
}

func TestCookieFitsTheWayTheRequestCame(t *testing.T) {
	for _, c := range []struct {
		name    string
		trusted bool
		headers map[string]string
		cookie  string // "" is refused
	}{
		{"plain http on this machine", true, nil, "footfall"},
		{"plain http on localhost", true, map[string]string{"Host": "localhost:8080"}, "footfall"},
		{"plain http on a name below localhost", true, map[string]string{"Host": "app.localhost:8080"}, "footfall"},
		{"plain http on IPv6 loopback", true, map[string]string{"Host": "[::1]:8080"}, "footfall"},
		{"plain http on another name", true, map[string]string{"Host": "stats.example.com"}, ""},
		{"plain http on a name that looks local", true, map[string]string{"Host": "localhost.example.com"}, ""},
		{"plain http on a numeric look-alike", true, map[string]string{"Host": "127.0.0.1.example.com"}, ""},
		{"https through a trusted proxy", true, map[string]string{"Host": "stats.example.com", "X-Forwarded-Proto": "https"}, "__Host-footfall"},
		{"https claimed by a stranger", false, map[string]string{"Host": "stats.example.com", "X-Forwarded-Proto": "https"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, func(o *Options) {
				if !c.trusted {
					o.Trusted = nil
				}
			})
			p := n.people()
			b := n.browser()
			for k, v := range c.headers {
				b.headers[k] = v
			}
			got := b.signIn(p.user[Owner].Email, goodPassword)
			if c.cookie == "" {
				got.want(403, "https: ")
				if len(got.header.Values("Set-Cookie")) != 0 {
					t.Errorf("cookie %v", got.header.Values("Set-Cookie"))
				}
				return
			}
			got.want(200)
			set, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
			if err != nil {
				t.Fatal(err)
			}
			if set.Name != c.cookie || !set.HttpOnly || set.SameSite != http.SameSiteLaxMode || set.Path != "/" || set.Domain != "" ||
				set.Secure != (c.cookie == "__Host-footfall") || len(set.Value) != 43 || set.MaxAge != 14*24*3600 {
				t.Errorf("cookie %s", set)
			}
			b.do("GET", "/v1/session", "").want(200, "owner@example.com")
			b.do("DELETE", "/v1/session", "").want(204)
			if len(b.cookies) != 0 {
				t.Errorf("the browser keeps %v", b.cookies)
			}
		})
	}
}

func TestThePlainCookieIsWorthNothingUnderAnotherName(t *testing.T) {
	n := newNode(t, nil)
	b := n.as(n.people(), Owner)
	b.do("GET", "/v1/session", "").want(200)
	b.headers["Host"] = "stats.example.com"
	b.do("GET", "/v1/session", "").want(401)
}

func TestWrongPasswordAndUnknownUserLookAlike(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.browser()
	known := b.signIn(p.user[Owner].Email, "not the password").want(401)
	compared := n.house.checked
	unknown := b.signIn("nobody@example.com", "not the password").want(401)
	if known.body != unknown.body {
		t.Errorf("%s and %s", known.body, unknown.body)
	}
	if n.house.checked != compared+1 {
		t.Error("no password was compared for the unknown user: the time tells them apart")
	}
	b.signIn("nobody@example.com", strings.Repeat("x", 300)).want(401)
	b.signIn("nobody@example.com", "").want(400, "password: ")
	b.signIn("nobody", goodPassword).want(400, "email: ")
}

func TestGuessingIsHeldBackPerAccountAndPerAddress(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	from := func(addr string) *browser {
		b := n.browser()
		b.headers["X-Forwarded-For"] = addr
		return b
	}
	for i := range 10 {
		from(fmt.Sprintf("198.51.100.%d", i)).signIn(p.user[Owner].Email, "wrong").want(401)
	}
	held := from("203.0.113.1").signIn(p.user[Owner].Email, goodPassword).want(429, "too many attempts")
	if held.header.Get("Retry-After") != "15" {
		t.Errorf("Retry-After %q", held.header.Get("Retry-After"))
	}
	from("203.0.113.1").signIn(p.user[Viewer].Email, goodPassword).want(200)
	n.now.Add(16_000)
	from("203.0.113.1").signIn(p.user[Owner].Email, goodPassword).want(200)

	// One network tries many accounts.
	for i := range 50 {
		from(fmt.Sprintf("2001:db8::%x", i+1)).signIn(fmt.Sprintf("user%d@example.com", i), "wrong").want(401)
	}
	from("2001:db8::ffff").signIn(p.user[Viewer].Email, goodPassword).want(429)
	from("2001:db8:0:1::1").signIn(p.user[Viewer].Email, goodPassword).want(200)

	// Signing in again and again is no attack.
	for range 60 {
		from("203.0.113.99").signIn(p.user[Viewer].Email, goodPassword).want(200)
	}
}

func TestSignInRotatesTheSession(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Owner)
	old := b.cookies[plainCookie]
	b.signIn(p.user[Owner].Email, goodPassword).want(200)
	if b.cookies[plainCookie] == old {
		t.Fatal("the session id is the same")
	}
	thief := n.browser()
	thief.cookies[plainCookie] = old
	thief.do("GET", "/v1/session", "").want(401)
	// A session id that somebody planted before the sign-in is not taken over.
	planted := n.browser()
	planted.cookies[plainCookie] = strings.Repeat("A", 43)
	planted.signIn(p.user[Owner].Email, goodPassword).want(200)
	if planted.cookies[plainCookie] == strings.Repeat("A", 43) {
		t.Error("the planted id became the session")
	}
}

func TestSessionsEndByIdlenessAndByAge(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	idle := n.as(p, Owner)
	n.now.Add((24*time.Hour - time.Second).Milliseconds())
	idle.do("GET", "/v1/session", "").want(200)
	n.now.Add(time.Second.Milliseconds())
	idle.do("GET", "/v1/session", "").want(401)

	old := n.as(p, Owner)
	for range 14 * 2 { // used twice a day
		old.do("GET", "/v1/session", "").want(200)
		n.now.Add((12 * time.Hour).Milliseconds())
		for s := range n.house.View().SessionsOf(p.user[Owner].ID) {
			n.must(&accounts.Touch{Sessions: []accounts.Seen{{ID: s.ID, At: n.now.Load()}}})
		}
	}
	old.do("GET", "/v1/session", "").want(401)
}

func TestSessionsAreListedAndEndedEverywhere(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	laptop, phone := n.as(p, Owner), n.browser()
	phone.headers["User-Agent"] = "Phone/1.0"
	phone.signIn(p.user[Owner].Email, goodPassword).want(200)
	other := n.as(p, Viewer)
	var list struct {
		Sessions []struct {
			ID      uint64 `json:"id"`
			Agent   string `json:"agent"`
			Created string `json:"created"`
			Expires string `json:"expires"`
			Current bool   `json:"current"`
		} `json:"sessions"`
	}
	got := phone.do("GET", "/v1/sessions", "").want(200)
	got.read(&list)
	if len(list.Sessions) != 2 || list.Sessions[0].Current || !list.Sessions[1].Current || list.Sessions[1].Agent != "Phone/1.0" ||
		list.Sessions[1].Created != "2026-11-18T10:30:00Z" || list.Sessions[1].Expires != "2026-12-02T10:30:00Z" {
		t.Errorf("got %s", got.body)
	}
	foreign := &list.Sessions[0]
	other.do("DELETE", fmt.Sprintf("/v1/sessions/%d", foreign.ID), "").want(404)
	laptop.do("GET", "/v1/session", "").want(200)
	other.do("DELETE", "/v1/sessions/nonsense", "").want(404)

	tablet := n.browser()
	tablet.signIn(p.user[Owner].Email, goodPassword).want(200)
	phone.do("GET", "/v1/sessions", "").want(200).read(&list)
	phone.do("DELETE", fmt.Sprintf("/v1/sessions/%d", list.Sessions[2].ID), "").want(204)
	tablet.do("GET", "/v1/session", "").want(401)
	laptop.do("GET", "/v1/session", "").want(200)
	phone.do("DELETE", fmt.Sprintf("/v1/sessions/%d", list.Sessions[2].ID), "").want(404)

	phone.do("DELETE", "/v1/sessions", "").want(204)
	laptop.do("GET", "/v1/session", "").want(401)
	phone.do("GET", "/v1/session", "").want(401)
	other.do("GET", "/v1/session", "").want(200)
}

func TestSignOutEndsThisSessionOnly(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	a, b := n.as(p, Owner), n.as(p, Owner)
	id := a.cookies[plainCookie]
	a.do("DELETE", "/v1/session", "").want(204)
	a.cookies[plainCookie] = id // as a thief would
	a.do("GET", "/v1/session", "").want(401)
	b.do("GET", "/v1/session", "").want(200)
}

func TestChangingThePasswordEndsTheOtherSessions(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	here, there := n.as(p, Viewer), n.as(p, Viewer)
	here.do("PUT", "/v1/password", `{"current":"wrong","password":"another fine sentence"}`).want(403, "current: ")
	here.do("PUT", "/v1/password", `{"current":"a fine long sentence","password":"1234567890"}`).want(400, "password: ")
	there.do("GET", "/v1/session", "").want(200)
	here.do("PUT", "/v1/password", `{"current":"a fine long sentence","password":"another fine sentence"}`).want(204)
	here.do("GET", "/v1/session", "").want(200)
	there.do("GET", "/v1/session", "").want(401)
	n.browser().signIn(p.user[Viewer].Email, goodPassword).want(401)
	n.browser().signIn(p.user[Viewer].Email, "another fine sentence").want(200)
}

func TestFormsOfOtherPagesCannotSignAnybodyIn(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "TEXT/PLAIN;charset=utf-8"} {
		b := n.browser()
		b.headers["Content-Type"] = kind
		b.signIn(p.user[Owner].Email, goodPassword).want(400, "content-type: ")
	}
}

func TestAnOverloadedNodeSaysSo(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Owner)
	n.house.refuse = analytics.Errorf(analytics.Overloaded, "too many changes are waiting")
	got := b.do("POST", "/v1/sites", `{"domain":"x.example","timezone":"UTC"}`).want(503)
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	n.browser().signIn(p.user[Viewer].Email, goodPassword).want(503)
}

func TestNoSecretIsInTheState(t *testing.T) {
	n := newNode(t, nil)
	n.offer()
	b := n.browser()
	b.do("POST", "/v1/setup", setupBody(nil)).want(201)
	var made struct{ Key string }
	b.do("POST", "/v1/keys", `{"name":"k","scope":"events:write"}`).want(201).read(&made)
	state, err := n.house.View().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{"setup token": setupToken, "password": goodPassword, "session id": b.cookies[plainCookie], "key": made.Key} {
		if secret == "" || strings.Contains(string(state), secret) {
			t.Errorf("the state has the %s %q", what, secret)
		}
	}
}
