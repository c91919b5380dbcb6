package merchant

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

func TestASiteFromMakingToRemoval(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PublicURL = "https://stats.example.com/" })
	p := n.people()
	b := n.as(p, Admin)
	b.do("POST", "/v1/sites", `{"domain":"https://www.Bücher.example/","timezone":"Asia/Kolkata"}`).
		want(201, `"domain":"xn--bcher-kva.example"`, `"timezone":"Asia/Kolkata"`, `"created":"2026-11-18T10:30:00Z"`, `"public":false`, `"hostnames":[]`,
			`data-domain=\"xn--bcher-kva.example\" src=\"https://stats.example.com/js/footfall.js\"`)
	b.do("POST", "/v1/sites", `{"domain":"bücher.example","timezone":"UTC"}`).want(409, "domain: ")
	b.do("GET", "/v1/sites/www.BÜCHER.example", "").want(200, "xn--bcher-kva.example")
	b.do("PUT", "/v1/sites/xn--bcher-kva.example", `{"hostnames":["*.Books.example"],"blocked_pages":["/admin/*"],"blocked_ips":["192.0.2.7/24"],"blocked_countries":["de"]}`).
		want(200, `"hostnames":["*.books.example"]`, `"blocked_pages":["/admin/*"]`, `"blocked_ips":["192.0.2.0/24"]`, `"blocked_countries":["DE"]`, `"timezone":"Asia/Kolkata"`)
	b.do("PUT", "/v1/sites/xn--bcher-kva.example", `{"domain":"books.example","hostnames":[]}`).want(200, `"domain":"books.example"`, `"hostnames":[]`, `"blocked_countries":["DE"]`)
	b.do("GET", "/v1/sites/xn--bcher-kva.example", "").want(404)
	b.do("DELETE", "/v1/sites/books.example", "").want(204)
	b.do("GET", "/v1/sites/books.example", "").want(404)
}

func TestErrorsNameTheField(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Owner)
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/v1/sites", `{"domain":"a b","timezone":"UTC"}`, "domain: "},
		{"POST", "/v1/sites", `{"domain":"a.example"}`, "timezone: "},
		{"POST", "/v1/sites", `{"domain":7,"timezone":"UTC"}`, "domain: must be a text"},
		{"POST", "/v1/sites", `{"domain":"a.example","timezone":"UTC","public":"yes"}`, "public: must be true or false"},
		{"POST", "/v1/sites", `{"domain":"a.example","timezone":"UTC","publik":true}`, "publik: is not a field"},
		{"POST", "/v1/sites", `{"domain":"a.example","timezone":"UTC"}x`, "body: "},
		{"POST", "/v1/sites", `[]`, "body: "},
		{"POST", "/v1/sites", ``, "body: "},
		{"POST", "/v1/sites", strings.Repeat("[", 100_000), "body: "},
		{"PUT", "/v1/sites/shop.example", `{"hostnames":["a/b"]}`, "hostnames[0]: "},
		{"PUT", "/v1/sites/shop.example", `{"hostnames":"a"}`, "hostnames: must be a list"},
		{"PUT", "/v1/sites/shop.example", `{"blocked_pages":["x"]}`, "blocked_pages[0]: "},
		{"PUT", "/v1/sites/shop.example", `{"blocked_ips":["x"]}`, "blocked_ips[0]: "},
		{"PUT", "/v1/sites/shop.example", `{"blocked_countries":["x"]}`, "blocked_countries[0]: "},
		{"PUT", "/v1/sites/shop.example", `{"timezone":"Moon"}`, "timezone: "},
		{"POST", "/v1/keys", `{"scope":"stats:read"}`, "name: "},
		{"POST", "/v1/keys", `{"name":"k"}`, "scope: "},
		{"POST", "/v1/keys", `{"name":"k","scope":"all"}`, "scope: "},
		{"POST", "/v1/keys", `{"name":"k","scope":"sites:provision","site":"shop.example"}`, "site: "},
		{"POST", "/v1/users", `{"email":"x","password":"a fine long sentence","role":"viewer"}`, "email: "},
		{"POST", "/v1/users", `{"email":"x@y.zz","password":"short","role":"viewer"}`, "password: "},
		{"POST", "/v1/users", `{"email":"x@y.zz","password":"a fine long sentence","role":"king"}`, "role: "},
		{"GET", "/v1/sites?limit=0", ``, "limit: "},
		{"GET", "/v1/overview?limit=501", ``, "limit: "},
	} {
		if got := b.do(c.method, c.path, c.body); got.status != 400 || !strings.Contains(got.body, `{"error":"`+c.want) {
			t.Errorf("%s %s %.60s: got %d %s, want %q", c.method, c.path, c.body, got.status, got.body, c.want)
		}
	}
}

func TestSitesAreListedByDomainInPages(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	for _, d := range []string{"b.example", "d.example", "a.example", "c.example"} {
		n.must(&accounts.CreateSite{Org: p.site.Org, Domain: d, Timezone: "UTC", Secret: accounts.Secret{1}})
	}
	b := n.as(p, Viewer)
	var got []string
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		var out struct {
			Sites []struct{ Domain string }
			Next  string
		}
		b.do("GET", "/v1/sites?limit=2&after="+after, "").want(200).read(&out)
		for _, s := range out.Sites {
			got = append(got, s.Domain)
		}
		after = out.Next
	}
	if text := strings.Join(got, " "); text != "a.example b.example c.example d.example shop.example" {
		t.Errorf("got %s", text)
	}
	n.bearer(n.operatorToken).do("GET", "/v1/sites", "").want(200, "shop.example", "theirs.example")
}

func TestTheSnippetTakesTheAddressOfTheRequest(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, ReadKey)
	b.headers["Host"] = "stats.example.com"
	b.do("GET", "/v1/sites/shop.example", "").want(200, `src=\"http://stats.example.com/js/footfall.js\"`)
	b.headers["X-Forwarded-Proto"] = "https"
	b.do("GET", "/v1/sites/shop.example", "").want(200, `src=\"https://stats.example.com/js/footfall.js\"`)
}

func TestAKeyIsShownOnceAndWorksUntilRevoked(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Owner)
	var made struct {
		ID     uint64
		Key    string
		Prefix string
		Site   string
	}
	b.do("POST", "/v1/keys", `{"name":"import","scopes":["stats:read","events:write"],"site":"shop.example"}`).
		want(201, `"scopes":["events:write","stats:read"]`, `"site":"shop.example"`, `"last_used":null`).read(&made)
	if len(made.Key) != 46 || !strings.HasPrefix(made.Key, "ff_") || !strings.HasPrefix(made.Key, made.Prefix) || len(made.Prefix) > 10 {
		t.Fatalf("key %+v", made)
	}
	list := b.do("GET", "/v1/keys", "").want(200, `"name":"import"`, made.Prefix)
	if strings.Contains(list.body, made.Key) || strings.Contains(list.body, `"key":`) {
		t.Error("the list shows the key")
	}
	n.bearer(made.Key).do("GET", "/v1/sites/shop.example", "").want(200)
	lower := n.browser()
	lower.headers["Authorization"] = "bearer " + made.Key
	lower.do("GET", "/v1/sites/shop.example", "").want(200)
	n.bearer(made.Key+"x").do("GET", "/v1/sites/shop.example", "").want(401)
	b.do("DELETE", fmt.Sprintf("/v1/keys/%d", made.ID), "").want(204)
	n.bearer(made.Key).do("GET", "/v1/sites/shop.example", "").want(401)
	b.do("DELETE", fmt.Sprintf("/v1/keys/%d", made.ID), "").want(404, "key: ")
	b.do("DELETE", "/v1/keys/x", "").want(404, "key: ")
}

func TestUsersAreMadeAndRemovedByOwners(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Owner)
	var made struct{ User userBody }
	b.do("POST", "/v1/users", `{"email":"Grace@Example.com","name":"Grace","password":"a fine long sentence","role":"admin"}`).
		want(201, `"email":"grace@example.com"`, `"role":"admin"`).read(&made)
	b.do("POST", "/v1/users", `{"email":"grace@example.com","name":"","password":"a fine long sentence","role":"admin"}`).want(409, "email: ")
	grace := n.browser()
	grace.signIn("grace@example.com", goodPassword).want(200)
	grace.do("POST", "/v1/sites", `{"domain":"grace.example","timezone":"UTC"}`).want(201)
	if got := b.do("GET", "/v1/users", "").want(200, "grace@example.com"); strings.Contains(got.body, "password") || strings.Contains(got.body, "stranger") {
		t.Errorf("got %s", got.body)
	}
	b.do("DELETE", fmt.Sprintf("/v1/users/%d", made.User.ID), "").want(204)
	grace.do("GET", "/v1/session", "").want(401)
	b.do("DELETE", fmt.Sprintf("/v1/users/%d", p.user[Owner].ID), "").want(409, "only owner")
}

func TestOverviewShowsEverySiteAtAGlance(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	n.must(&accounts.CreateSite{Org: p.site.Org, Domain: "empty.example", Timezone: "America/New_York", Secret: accounts.Secret{1}})
	berlin := time.FixedZone("Berlin in November", 3600)
	at := func(day, hour, min int) time.Time { return time.Date(2026, 11, day, hour, min, 0, 0, berlin) }
	// Now is 18 November, 11:30 in Berlin.
	for i, when := range []time.Time{
		at(18, 0, 0), at(18, 11, 24), at(18, 11, 26), at(18, 11, 29), at(18, 11, 29), // today: 5 views, 3 of them live
		at(17, 23, 59), at(17, 0, 0), // yesterday
		at(12, 0, 0),                                 // first of the seven days
		at(11, 23, 59),                               // out of the seven days, and after the same time a week ago
		at(11, 0, 0), at(11, 11, 29), at(11, 11, 30), // the same part of the day a week ago
	} {
		visitor := i
		if i == 4 {
			visitor = 3 // came twice
		}
		n.count.add(p.site.ID, when, visitor)
	}
	var out struct {
		Sites []struct {
			Domain, Timezone string
			Live             int
			Pageviews        []int
			VisitorsToday    int `json:"visitors_today"`
			PageviewsToday   int `json:"pageviews_today"`
			Change           *int
		}
	}
	n.as(p, Viewer).do("GET", "/v1/overview", "").want(200, `"change":null`).read(&out)
	if len(out.Sites) != 2 {
		t.Fatalf("%d sites", len(out.Sites))
	}
	empty, shop := out.Sites[0], out.Sites[1]
	if empty.Domain != "empty.example" || empty.Live != 0 || fmt.Sprint(empty.Pageviews) != "[0 0 0 0 0 0 0]" || empty.Change != nil {
		t.Errorf("empty site %+v", empty)
	}
	if shop.Domain != "shop.example" || shop.Timezone != "Europe/Berlin" || shop.Live != 2 || fmt.Sprint(shop.Pageviews) != "[1 0 0 0 0 2 5]" ||
		shop.VisitorsToday != 4 || shop.PageviewsToday != 5 || shop.Change == nil || *shop.Change != 67 {
		t.Errorf("shop %+v", shop)
	}
	n.count.err = analytics.Errorf(analytics.Overloaded, "too many questions")
	n.as(p, Viewer).do("GET", "/v1/overview", "").want(503, "too many questions")
}

func TestDropsOfThirtyDays(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	today := int32(begin.Unix() / 86400)
	n.dropped[today] = map[analytics.Reason]uint64{analytics.DropBot: 3, analytics.DropSpam: 1}
	n.dropped[today-29] = map[analytics.Reason]uint64{analytics.DropBot: 4}
	n.dropped[today-30] = map[analytics.Reason]uint64{analytics.DropBot: 1000}
	n.dropped[today-1] = map[analytics.Reason]uint64{}
	n.as(p, Viewer).do("GET", "/v1/sites/shop.example/drops", "").
		want(200, `{"days":[{"date":"2026-10-20","reasons":{"bot":4}},{"date":"2026-11-18","reasons":{"bot":3,"spam_referrer":1}}],"total":{"bot":7,"spam_referrer":1}}`)
	n.dropped = nil
	n.as(p, Viewer).do("GET", "/v1/sites/shop.example/drops", "").want(200, `{"days":[],"total":{}}`)
	n.count.err = analytics.Errorf(analytics.Unavailable, "the site has no leader")
	n.as(p, Viewer).do("GET", "/v1/sites/shop.example/drops", "").want(503, "no leader")
}
