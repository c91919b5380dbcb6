package merchant

import (
	"strings"
	"testing"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

func TestHowLongVisitorsAndEventsAreKeptIsASetting(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Admin)
	b.do("GET", "/v1/sites/shop.example", "").want(200, `"visitor_id":"daily"`, `"retention_days":0`)
	b.do("PUT", "/v1/sites/shop.example", `{"visitor_id":"monthly","retention_days":400}`).want(200, `"visitor_id":"monthly"`, `"retention_days":400`)
	b.do("PUT", "/v1/sites/shop.example", `{"timezone":"Asia/Tokyo"}`).want(200, `"visitor_id":"monthly"`, `"retention_days":400`)
	if site, _ := n.house.View().Site([]byte("shop.example")); site.Uniques != analytics.UniquesMonthly || site.RetentionDays != 400 {
		t.Errorf("the site is %+v", site)
	}
	b.do("PUT", "/v1/sites/shop.example", `{"visitor_id":"daily","retention_days":0}`).want(200, `"visitor_id":"daily"`, `"retention_days":0`)
	for body, want := range map[string]string{
		`{"retention_days":-1}`:    "retention_days: must be from 0 to 36500",
		`{"retention_days":36501}`: "retention_days: must be from 0 to 36500",
		`{"retention_days":1.5}`:   "retention_days: must be a number",
		`{"visitor_id":"yearly"}`:  "visitor_id: must be daily, weekly or monthly",
		`{"visitor_id":""}`:        "visitor_id: must be daily, weekly or monthly",
	} {
		b.do("PUT", "/v1/sites/shop.example", body).want(400, `{"error":"`+want)
	}
}

func TestGuestsSeeTheSiteThatTheyWereAskedInTo(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	stranger := n.as(p, Stranger)
	stranger.do("GET", "/v1/sites/shop.example", "").want(404)
	n.must(&accounts.PutGuest{Site: p.site.ID, Email: p.user[Stranger].Email})
	stranger.do("GET", "/v1/sites/shop.example", "").want(200)
	stranger.do("GET", "/v1/sites", "").want(200, `"domain":"shop.example"`, `"domain":"theirs.example"`)
	stranger.do("GET", "/v1/overview", "").want(200, `"domain":"shop.example"`)
	if got := stranger.do("PUT", "/v1/sites/shop.example", `{"public":true}`); got.status != 404 {
		t.Errorf("a guest who reads may change the site: %d", got.status)
	}
	n.must(&accounts.PutGuest{Site: p.site.ID, Email: p.user[Stranger].Email, Editor: true})
	stranger.do("PUT", "/v1/sites/shop.example", `{"hostnames":["shop.example"]}`).want(200, `"hostnames":["shop.example"]`)
	if got := stranger.do("DELETE", "/v1/sites/shop.example", ""); got.status != 404 {
		t.Errorf("a guest may remove the site: %d", got.status)
	}
	n.must(&accounts.RemoveGuest{Site: p.site.ID, Email: p.user[Stranger].Email})
	stranger.do("GET", "/v1/sites/shop.example", "").want(404)
	if got := stranger.do("GET", "/v1/sites", "").want(200); strings.Contains(got.body, "shop.example") {
		t.Errorf("the list has %s", got.body)
	}
}
