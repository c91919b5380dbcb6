package merchant

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"footfall/analytics/accounts"
	"footfall/analytics/query"
)

const noPreferences = `{"pinned":[],"groups":[],"theme":"system","language":"","week_start":""}`

func TestPreferencesAreOfTheUserAndReplacedWhole(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Viewer)
	second := n.must(&accounts.CreateSite{Org: p.site.Org, Domain: "second.example", Timezone: "UTC", Secret: accounts.Secret{1}}).Site
	b.do("GET", "/v1/preferences", "").want(200, noPreferences)
	full := `{"pinned":["second.example","shop.example"],"groups":[{"name":"All","sites":["shop.example","second.example"]}],"theme":"dark","language":"pt-BR","week_start":"sunday"}`
	b.do("PUT", "/v1/preferences", full).want(200, full)
	b.do("GET", "/v1/preferences", "").want(200, full)
	n.as(p, Admin).do("GET", "/v1/preferences", "").want(200, noPreferences)

	n.must(&accounts.UpdateSite{ID: second.ID, Domain: new("renamed.example")})
	b.do("GET", "/v1/preferences", "").want(200, `"pinned":["renamed.example","shop.example"]`)
	n.must(&accounts.DeleteSite{ID: second.ID})
	b.do("GET", "/v1/preferences", "").want(200, `"pinned":["shop.example"],"groups":[{"name":"All","sites":["shop.example"]}]`)
	b.do("PUT", "/v1/preferences", `{"pinned":["renamed.example","https://www.SHOP.example/","shop.example"],"theme":"system"}`).
		want(200, `{"pinned":["shop.example"],"groups":[],"theme":"system","language":"","week_start":""}`)
	b.do("PUT", "/v1/preferences", `{}`).want(200, noPreferences)

	// Sites of others look as if they did not exist.
	if got := b.do("PUT", "/v1/preferences", `{"pinned":["theirs.example","shop.example"]}`).want(200, `"pinned":["shop.example"]`); strings.Contains(got.body, "theirs") {
		t.Errorf("got %s", got.body)
	}
	for body, want := range map[string]string{
		`{"theme":"pink"}`:                        "theme: must be system, light or dark",
		`{"language":"_"}`:                        "language: ",
		`{"week_start":"friday"}`:                 "week_start: ",
		`{"pinned":"shop.example"}`:               "pinned: must be a list",
		`{"pinned":["a b"]}`:                      "pinned[0]: domain: ",
		`{"groups":[{"name":"","sites":[]}]}`:     "groups[0].name: ",
		`{"groups":[{"sites":["/"],"name":1}]}`:   "groups.name: must be a text",
		`{"groups":[{"name":"a","sites":["/"]}]}`: "groups[0].sites[0]: domain: ",
		`{"colour":"red"}`:                        "colour: is not a field",
		`{"groups":[{"name":"a","colour":1}]}`:    "colour: is not a field",
		fmt.Sprintf(`{"pinned":["a.b"%s]}`, strings.Repeat(`,"a.b"`, accounts.PinnedMax)):                            "pinned: more than 200",
		fmt.Sprintf(`{"groups":[{}%s]}`, strings.Repeat(`,{}`, accounts.GroupsMax)):                                  "groups: more than 50",
		fmt.Sprintf(`{"groups":[{"name":"a","sites":["a.b"%s]}]}`, strings.Repeat(`,"a.b"`, accounts.GroupSitesMax)): "groups[0].sites: more than 500",
	} {
		b.do("PUT", "/v1/preferences", body).want(400, `{"error":"`+want)
	}
	b.do("GET", "/v1/preferences", "").want(200, `"pinned":["shop.example"]`)
}

func TestAnnotationsAreReadByReadersAndWrittenByMembers(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	viewer, admin, key := n.as(p, Viewer), n.as(p, Admin), n.as(p, ProvisionKey)
	path := "/v1/sites/shop.example/annotations"
	viewer.do("GET", path, "").want(200, `{"annotations":[]}`)
	viewer.do("POST", path, `{"date":"2026-11-05","text":" Sale\r\nbegins "}`).
		want(201, fmt.Sprintf(`{"id":"1","date":"2026-11-05","text":"Sale\nbegins","created_by":"%d","author":"N"}`, p.user[Viewer].ID))
	admin.do("POST", path, `{"date":"2026-11-02","text":"<script>"}`).want(201, `"id":"2"`)
	key.do("POST", path, `{"date":"2026-11-05","text":"Deployed"}`).want(201, `"id":"3"`, `"created_by":null,"author":null`)

	order := func(b *browser, query string) (out []string) {
		var list struct {
			Annotations []struct{ ID string }
		}
		b.do("GET", path+query, "").want(200).read(&list)
		for _, a := range list.Annotations {
			out = append(out, a.ID)
		}
		return out
	}
	for query, want := range map[string]string{"": "[2 1 3]", "?from=2026-11-03": "[1 3]", "?to=2026-11-04": "[2]", "?from=2026-11-02&to=2026-11-02": "[2]", "?from=2026-11-06": "[]"} {
		if got := fmt.Sprint(order(n.as(p, ReadKey), query)); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]string{"?from=yesterday": "from: ", "?to=2026-13-01": "to: ", "?from=2026-11-02&to=2026-11-01": "to: is before from"} {
		viewer.do("GET", path+query, "").want(400, want)
	}

	viewer.do("PUT", path+"/1", `{"text":"Sale"}`).want(200, `"text":"Sale"`, `"date":"2026-11-05"`)
	viewer.do("PUT", path+"/2", `{"text":"Mine"}`).want(403, "annotation: ")
	viewer.do("DELETE", path+"/3", "").want(403, "annotation: ")
	admin.do("PUT", path+"/1", `{"date":"2026-11-07"}`).want(200, `"date":"2026-11-07"`, fmt.Sprintf(`"created_by":"%d"`, p.user[Viewer].ID))
	admin.do("PUT", path+"/1", `{"date":"7 November"}`).want(400, "date: ")
	admin.do("POST", path, `{"date":"2026-11-07","text":" "}`).want(400, "text: ")
	admin.do("POST", path, `{"text":"x"}`).want(400, "date: ")
	admin.do("PUT", path+"/9", `{}`).want(404, "annotation: ")
	admin.do("PUT", path+"/x", `{}`).want(404, "annotation: ")
	n.as(p, Stranger).do("DELETE", "/v1/sites/theirs.example/annotations/1", "").want(404, "annotation: ")
	viewer.do("DELETE", path+"/1", "").want(204)
	viewer.do("DELETE", path+"/1", "").want(404)

	// Guests: one who reads is no member, one who edits is.
	guest := n.as(p, Stranger)
	n.must(&accounts.PutGuest{Site: p.site.ID, Email: p.user[Stranger].Email})
	guest.do("GET", path, "").want(200, "Deployed")
	if got := guest.do("POST", path, `{"date":"2026-11-05","text":"x"}`); got.status < 400 {
		t.Errorf("a guest who reads may write: %d", got.status)
	}
	n.must(&accounts.PutGuest{Site: p.site.ID, Email: p.user[Stranger].Email, Editor: true})
	guest.do("POST", path, `{"date":"2026-11-05","text":"x"}`).want(201)
}

func TestStrangersOfAPublicSiteDoNotLearnWhoWroteAnAnnotation(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	path := "/v1/sites/shop.example/annotations"
	n.as(p, Admin).do("POST", path, `{"date":"2026-11-02","text":"Sale"}`).want(201)
	n.must(&accounts.UpdateSite{ID: p.site.ID, Public: new(true)})
	n.browser().do("GET", path, "").want(200, `"text":"Sale","created_by":null,"author":null`)
	n.as(p, Stranger).do("GET", path, "").want(200, `"created_by":null,"author":null`)
	n.browser().do("POST", path, `{"date":"2026-11-02","text":"Spam"}`).want(401)
	n.as(p, Stranger).do("POST", path, `{"date":"2026-11-02","text":"Spam"}`).want(403)
	n.as(p, Admin).do("POST", path, `{"date":"2026-11-02","text":"Sale"}`).want(201)
	n.must(&accounts.DeleteUser{Org: p.site.Org, ID: p.user[Admin].ID})
	n.as(p, Owner).do("GET", path, "").want(200, `"text":"Sale","created_by":null`)
}

func TestFunnelsAreKeptAsTheReportTakesThem(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	admin := n.as(p, Admin)
	path := "/v1/sites/shop.example/funnels"
	admin.do("GET", path, "").want(200, `{"funnels":[]}`)
	steps := `[{"page":"/cart","scroll":50,"name":"Cart"},{"event":"Signup","props":{"plan":"pro"}},{"page":"/thanks"}]`
	admin.do("POST", path, `{"name":" Checkout ","steps":`+steps+`}`).
		want(201, `{"id":"1","name":"Checkout","steps":`+steps+`,"window":"visit","updated":"2026-11-18T10:30:00Z"}`)
	admin.do("POST", path, `{"name":"Checkout","steps":`+steps+`}`).want(409, "name: ")
	admin.do("POST", path, `{"name":"Goals","steps":[{"goal":"Bought"},{"page":"/"}]}`).want(400, "steps/0/goal: ")
	for body, want := range map[string]string{
		`{"name":"x"}`:                        "steps: must be a list of 2 to 20",
		`{"name":"x","steps":[{"page":"/"}]}`: "steps: must be a list of 2 to 20",
		`{"name":"x","steps":"/"}`:            "steps: must be a list",
		`{"name":"x","steps":[{"page":"/"},{"page":"/","colour":"red"}]}`:   "colour: is not a field",
		`{"name":"x","steps":[{"page":"/"},{"page":"/","props":["a"]}]}`:    "steps.props: must be an object",
		`{"name":"x","steps":[{"page":"/"},{"page":"/","scroll":0.5}]}`:     "steps.scroll: must be a number",
		`{"name":"x","steps":[{"page":"/"},{"page":"/"}],"window":"1y"}`:    "window: ",
		`{"name":"x","steps":[{"page":"/"},{"page":"/"}],"window":"91d"}`:   "window: must be at most 90 days",
		`{"name":"x","steps":[{"page":"/"},{"page":"/"}],"window":3600}`:    "window: must be a text",
		`{"steps":[{"page":"/"},{"page":"/"}]}`:                             "name: ",
		`{"name":"x","steps":[{"page":"/"},{"page":"/","event":"Signup"}]}`: "steps/1/page: give exactly one",
	} {
		admin.do("POST", path, body).want(400, `{"error":"`+want)
	}
	n.now.Add(time.Hour.Milliseconds())
	admin.do("PUT", path+"/1", `{"window":"7d"}`).want(200, `"steps":`+steps+`,"window":"7d","updated":"2026-11-18T11:30:00Z"`)
	n.as(p, Viewer).do("GET", path, "").want(200, `{"funnels":[{"id":"1","name":"Checkout"`)
	n.as(p, Viewer).do("PUT", path+"/1", `{"name":"x"}`).want(403)
	admin.do("PUT", path+"/2", `{"name":"x"}`).want(404, "funnel: ")
	admin.do("DELETE", path+"/1", "").want(204)
	admin.do("DELETE", path+"/1", "").want(404, "funnel: ")
}

// TestBoundsOfFunnelsAreThoseOfTheReport keeps two packages together that may not
// import each other.
func TestBoundsOfFunnelsAreThoseOfTheReport(t *testing.T) {
	if accounts.FunnelStepsMin != query.FunnelStepsMin || accounts.FunnelStepsMax != query.FunnelStepsMax ||
		accounts.FunnelWindowDaysMax*24*time.Hour != query.FunnelWindowMax {
		t.Error("a saved funnel has other bounds than the report")
	}
}

func TestRolesAreChangedByOwners(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	owner, viewer := n.as(p, Owner), n.as(p, Viewer)
	path := func(c Caller) string { return fmt.Sprintf("/v1/users/%d", p.user[c].ID) }
	viewer.do("PUT", "/v1/sites/shop.example", `{"public":false}`).want(403)
	owner.do("PUT", path(Viewer), `{"role":"admin"}`).want(200, `{"user":{"id":`, `"email":"viewer@example.com"`, `"role":"admin"`)
	viewer.do("PUT", "/v1/sites/shop.example", `{"public":false}`).want(200) // at once, in the session that is open
	owner.do("PUT", path(Viewer), `{"role":"king"}`).want(400, "role: ")
	owner.do("PUT", path(Viewer), `{"name":"x"}`).want(400, "name: is not a field")
	owner.do("PUT", path(Owner), `{"role":"viewer"}`).want(409, "role: owner@example.com is the only owner")
	owner.do("PUT", path(Stranger), `{"role":"viewer"}`).want(404, "user: ")
	owner.do("PUT", "/v1/users/x", `{"role":"viewer"}`).want(404, "user: ")
	owner.do("PUT", path(Viewer), `{"role":"owner"}`).want(200)
	owner.do("PUT", path(Owner), `{"role":"viewer"}`).want(200)
	owner.do("GET", "/v1/users", "").want(403)
}

func TestGuestsAreListedForThoseWhoAskThemIn(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	path := "/v1/sites/shop.example/guests"
	n.as(p, Admin).do("GET", path, "").want(200, `{"guests":[]}`)
	n.must(&accounts.PutGuest{Site: p.site.ID, Email: "new@x.yz"})
	n.must(&accounts.PutGuest{Site: p.site.ID, Email: p.user[Stranger].Email, Editor: true})
	n.as(p, Admin).do("GET", path, "").want(200, `{"guests":[{"email":"new@x.yz","role":"viewer","status":"invited","created":"2026-11-18T10:30:00Z"},`+
		`{"email":"stranger@example.org","role":"editor","status":"accepted","created":"2026-11-18T10:30:00Z"}]}`)
	if got := n.as(p, Stranger).do("GET", path, ""); got.status != 404 {
		t.Errorf("a guest who edits lists the guests: %d %s", got.status, got.body)
	}
}
