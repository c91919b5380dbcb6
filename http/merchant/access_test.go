package merchant

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
	"footfall/http/door"
)

// TestEveryRouteAnswersEveryCallerAsTheTableSays makes a good request as every
// caller, each on a fresh node, because many of them change something.
func TestEveryRouteAnswersEveryCallerAsTheTableSays(t *testing.T) {
	rows := map[string]Access{}
	for _, row := range AccessTable() {
		rows[row.Method+" "+row.Path] = row
	}
	var current atomic.Pointer[node] // all share one server
	url := serve(t, func(ctx *fasthttp.RequestCtx) { current.Load().handle(ctx) }, 5*time.Second, func() {})
	for _, r := range New(Options{}).Routes() {
		row, ok := rows[r.Method+" "+r.Path]
		if !ok {
			t.Errorf("%s %s has no row in the table", r.Method, r.Path)
			continue
		}
		delete(rows, r.Method+" "+r.Path)
		for _, caller := range Callers() {
			t.Run(fmt.Sprintf("%s %s as %s", r.Method, r.Path, caller), func(t *testing.T) {
				n := build(t, nil)
				n.url = url
				current.Store(n)
				t.Cleanup(n.handler.CloseStreams)
				p := n.people()
				b := n.as(p, caller)
				n.ready(p, r, b)
				path := strings.NewReplacer("{site}", p.site.Domain, "{token}", "nonsense").Replace(r.Path)
				switch {
				case strings.HasPrefix(path, "/v1/sites/"):
					path = strings.ReplaceAll(path, "{id}", "1") // what ready made
				case strings.HasPrefix(path, "/v1/users"):
					path = strings.ReplaceAll(path, "{id}", fmt.Sprint(p.target.ID))
				default:
					path = strings.ReplaceAll(path, "{id}", fmt.Sprint(p.spare.ID))
				}
				before, err := n.house.View().Encode()
				if err != nil {
					t.Fatal(err)
				}
				got := b.do(r.Method, path, strings.ReplaceAll(goodBody[r.Method+" "+r.Path], "{code}", n.code(0)))
				if got.status != row.Status[caller] {
					t.Fatalf("got %d %s, want %d", got.status, got.body, row.Status[caller])
				}
				after, err := n.house.View().Encode()
				if err != nil {
					t.Fatal(err)
				}
				if got.status >= 400 && string(before) != string(after) {
					t.Error("a refused request changed the accounts")
				}
				if got.status >= 400 && !strings.HasPrefix(got.body, `{"error":"`) {
					t.Errorf("body %s", got.body)
				}
				if caller == Stranger && strings.Contains(got.body, p.site.Domain) && r.Method == "GET" {
					t.Errorf("the stranger sees %s", got.body)
				}
			})
		}
	}
	for left := range rows {
		t.Errorf("the table has a row for %s, which is not a route", left)
	}
}

var goodBody = map[string]string{
	"POST /v1/setup":       `{"token":"nonsense","email":"a@b.c","name":"A","password":"a fine long sentence"}`,
	"POST /v1/session":     `{"email":"viewer@example.com","password":"a fine long sentence"}`,
	"PUT /v1/password":     `{"current":"a fine long sentence","password":"another fine sentence"}`,
	"POST /v1/orgs":        `{"name":"Third"}`,
	"POST /v1/users":       `{"email":"new@example.com","name":"New","password":"a fine long sentence","role":"viewer"}`,
	"POST /v1/keys":        `{"name":"new","scope":"stats:read"}`,
	"POST /v1/sites":       `{"domain":"new.example","timezone":"Europe/Berlin"}`,
	"PUT /v1/sites/{site}": `{"public":true}`,

	"POST /v1/sites/{site}/erase": `{"visitor":"anna"}`,

	"POST /v1/second-factor":                `{"password":"a fine long sentence"}`,
	"PUT /v1/second-factor":                 `{"code":"{code}"}`,
	"DELETE /v1/second-factor":              `{"password":"a fine long sentence","code":"{code}"}`,
	"PUT /v1/preferences":                   `{"pinned":[],"groups":[],"theme":"dark","language":"de","week_start":"monday"}`,
	"PUT /v1/users/{id}":                    `{"role":"admin"}`,
	"POST /v1/sites/{site}/annotations":     `{"date":"2026-11-02","text":"Sale"}`,
	"PUT /v1/sites/{site}/annotations/{id}": `{"text":"Sale"}`,
	"POST /v1/sites/{site}/funnels":         `{"name":"Checkout","steps":[{"page":"/cart"},{"page":"/thanks"}]}`,
	"PUT /v1/sites/{site}/funnels/{id}":     `{"name":"Order"}`,
	"POST /v1/shared-link/session":          `{"slug":"nonsense"}`,
	"PUT /v1/sites/{site}/reports":          `{"weekly":{"emails":["a@b.example"]},"monthly":{}}`,
}

// totpSecret is that of every second factor that tests make themselves.
var totpSecret = accounts.TOTPSecret([]byte("12345678901234567890"))

// code gives the code of a step after the present one.
func (n *node) code(after int) string {
	return totpSecret.Code(uint64(n.now.Load()/30_000 + int64(after)))
}

// ready makes what a request to r is about.
func (n *node) ready(p people, r door.Route, b *browser) {
	n.t.Helper()
	session := accounts.HashOf([]byte(b.cookies[plainCookie]))
	offer := func(user *accounts.User) {
		n.must(&accounts.OfferSecondFactor{User: user.ID, Secret: totpSecret})
	}
	enable := func(user *accounts.User) {
		offer(user)
		n.must(&accounts.ConfirmSecondFactor{User: user.ID, Offer: accounts.HashOf(totpSecret[:]), Step: 1, Keep: &session})
	}
	switch {
	case r.Path == "/v1/second-factor" && (r.Method == "PUT" || r.Method == "DELETE"):
		for _, user := range p.user {
			if r.Method == "PUT" {
				offer(user)
			} else {
				enable(user)
			}
		}
	case r.Path == "/v1/users/{id}/second-factor":
		enable(p.target)
	case strings.HasSuffix(r.Path, "/annotations/{id}"):
		n.must(&accounts.CreateAnnotation{Site: p.site.ID, Date: "2026-11-02", Text: "Sale"})
	case strings.HasSuffix(r.Path, "/funnels/{id}"):
		n.must(&accounts.CreateFunnel{Site: p.site.ID, Name: "First", Steps: []accounts.FunnelStep{{Page: "/"}, {Page: "/x"}}})
	}
}

func TestAPublicSiteIsReadByAnybodyAndManagedByNobodyElse(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	n.must(&accounts.UpdateSite{ID: p.site.ID, Public: new(true), IPs: &[]string{"192.0.2.7"}, Pages: &[]string{"/secret"}})
	for _, c := range []Caller{Anonymous, Stranger} {
		b := n.as(p, c)
		got := b.do("GET", "/v1/sites/shop.example", "").want(200, `"public":true`)
		if strings.Contains(got.body, "192.0.2.7") || strings.Contains(got.body, "/secret") {
			t.Errorf("%s sees the settings: %s", c, got.body)
		}
		if got := b.do("PUT", "/v1/sites/shop.example", `{"public":false}`); got.status != 401 && got.status != 403 {
			t.Errorf("%s may change it: %d", c, got.status)
		}
	}
	n.as(p, Viewer).do("GET", "/v1/sites/shop.example", "").want(200, "192.0.2.7")
}

func TestAKeyOfOneSiteSeesNoOther(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	other := n.must(&accounts.CreateSite{Org: p.site.Org, Domain: "second.example", Timezone: "UTC", Secret: accounts.Secret{1}}).Site
	n.must(&accounts.CreateKey{Org: p.site.Org, Site: other.ID, Name: "one", Scopes: []accounts.Scope{accounts.StatsRead}, Hash: accounts.HashOf([]byte("ff_one"))})
	b := n.bearer("ff_one")
	b.do("GET", "/v1/sites/second.example", "").want(200)
	b.do("GET", "/v1/sites/shop.example", "").want(403)
	b.do("GET", "/v1/sites/theirs.example", "").want(404)
	if got := b.do("GET", "/v1/sites", "").want(200, "second.example"); strings.Contains(got.body, "shop.example") {
		t.Errorf("the list has %s", got.body)
	}
	if got := b.do("GET", "/v1/overview", "").want(200, "second.example"); strings.Contains(got.body, "shop.example") {
		t.Errorf("the overview has %s", got.body)
	}
}

func TestNobodyNamesAnotherOrganisationButTheOperator(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	theirs := p.user[Stranger].Org
	b := n.as(p, Owner)
	for path, body := range map[string]string{
		"/v1/users": `{"email":"x@y.zz","name":"","password":"a fine long sentence","role":"owner","org":%d}`,
		"/v1/keys":  `{"name":"k","scope":"stats:read","org":%d}`,
		"/v1/sites": `{"domain":"x.example","timezone":"UTC","org":%d}`,
	} {
		b.do("POST", path, fmt.Sprintf(body, theirs)).want(403, "org: ")
		b.do("GET", path+fmt.Sprintf("?org=%d", theirs), "").want(403, "org: ")
		n.bearer(n.operatorToken).do("POST", path, fmt.Sprintf(body, theirs)).want(201)
		got := n.bearer(n.operatorToken).do("GET", path+fmt.Sprintf("?org=%d", theirs), "").want(200)
		if strings.Contains(got.body, "shop.example") || strings.Contains(got.body, "owner@example.com") || strings.Contains(got.body, "spare") {
			t.Errorf("%s of one organisation lists %s", path, got.body)
		}
	}
	b.do("POST", "/v1/keys", `{"name":"k","scope":"stats:read","site":"theirs.example"}`).want(404, "site: ")
}
