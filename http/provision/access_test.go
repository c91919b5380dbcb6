package provision

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"footfall/analytics/accounts"
)

// access has a line for every route and, after the path, the status of a request
// that is good in itself and about a site that is not public, for each caller
// in the order of callers: anonymous, viewer, admin, owner, owner of another
// organisation; keys with stats:read, events:write, sites:provision; operator;
// key for another site; a guest of the site who reads, one who edits; an unknown
// key.
const access = `
GET    /api/v1/sites                             401 200 200 200 200 200 403 200 200 200 200 200 401
POST   /api/v1/sites                             401 403 200 200 403 403 403 200 200 403 403 403 401
GET    /api/v1/sites/teams                       401 200 200 200 200 200 403 200 200 200 200 200 401
GET    /api/v1/sites/{site}                      401 200 200 200 404 200 404 200 200 404 200 200 401
PUT    /api/v1/sites/{site}                      401 403 200 200 404 403 404 200 200 404 403 200 401
DELETE /api/v1/sites/{site}                      401 403 200 200 404 403 404 200 200 404 403 403 401
PUT    /api/v1/sites/shared-links                401 403 200 200 404 403 404 200 200 404 403 200 401
GET    /api/v1/sites/goals                       401 200 200 200 404 200 404 200 200 404 200 200 401
PUT    /api/v1/sites/goals                       401 403 200 200 404 403 404 200 200 404 403 200 401
DELETE /api/v1/sites/goals/{id}                  401 403 200 200 404 403 404 200 200 404 403 200 401
GET    /api/v1/sites/custom-props                401 200 200 200 404 200 404 200 200 404 200 200 401
PUT    /api/v1/sites/custom-props                401 403 200 200 404 403 404 200 200 404 403 200 401
DELETE /api/v1/sites/custom-props/{property}     401 403 200 200 404 403 404 200 200 404 403 200 401
GET    /api/v1/sites/guests                      401 403 200 200 404 403 404 200 200 404 403 403 401
PUT    /api/v1/sites/guests                      401 403 200 200 404 403 404 200 200 404 403 403 401
DELETE /api/v1/sites/guests/{email}              401 403 200 200 404 403 404 200 200 404 403 403 401
GET    /v1/sites/{site}/segments                 401 200 200 200 404 200 403 200 200 403 200 200 401
POST   /v1/sites/{site}/segments                 401 403 201 201 404 403 403 201 201 403 403 201 401
GET    /v1/sites/{site}/segments/{id}            401 200 200 200 404 200 403 200 200 403 200 200 401
PUT    /v1/sites/{site}/segments/{id}            401 403 200 200 404 403 403 200 200 403 403 200 401
DELETE /v1/sites/{site}/segments/{id}            401 403 204 204 404 403 403 204 204 403 403 204 401
GET    /v1/sites/{site}/goals                    401 200 200 200 404 200 403 200 200 403 200 200 401
POST   /v1/sites/{site}/goals                    401 403 201 201 404 403 403 201 201 403 403 201 401
GET    /v1/sites/{site}/goals/{id}               401 200 200 200 404 200 403 200 200 403 200 200 401
PUT    /v1/sites/{site}/goals/{id}               401 403 200 200 404 403 403 200 200 403 403 200 401
DELETE /v1/sites/{site}/goals/{id}               401 403 204 204 404 403 403 204 204 403 403 204 401
GET    /v1/sites/{site}/properties               401 200 200 200 404 200 403 200 200 403 200 200 401
PUT    /v1/sites/{site}/properties               401 403 200 200 404 403 403 200 200 403 403 200 401
PUT    /v1/sites/{site}/properties/{property}    401 403 200 200 404 403 403 200 200 403 403 200 401
DELETE /v1/sites/{site}/properties/{property}    401 403 204 204 404 403 403 204 204 403 403 204 401
GET    /v1/sites/{site}/shared-links             401 403 200 200 404 403 403 200 200 403 403 200 401
POST   /v1/sites/{site}/shared-links             401 403 201 201 404 403 403 201 201 403 403 201 401
DELETE /v1/sites/{site}/shared-links/{id}        401 403 204 204 404 403 403 204 204 403 403 204 401
`

// good makes a good request to a route of a site that has one of everything.
func (w *world) good(method, path string) (target, body string) {
	target = strings.NewReplacer("{site}", w.site.Domain, "{id}", "1", "{property}", "plan", "{email}", "gone@x.y").Replace(path)
	if strings.HasPrefix(path, "/api/") && method != "PUT" && method != "POST" && !strings.Contains(path, "{site}") {
		target += "?site_id=" + w.site.Domain
	}
	return target, map[string]string{
		"POST /api/v1/sites":                 fmt.Sprintf(`{"domain":"new.example","team_id":"%d"}`, w.ours),
		"PUT /api/v1/sites/{site}":           `{"tracker_script_configuration":{"outbound_links":true}}`,
		"PUT /api/v1/sites/shared-links":     `{"site_id":"shop.example","name":"New"}`,
		"PUT /api/v1/sites/goals":            `{"site_id":"shop.example","goal_type":"event","event_name":"New"}`,
		"PUT /api/v1/sites/custom-props":     `{"site_id":"shop.example","property":"new"}`,
		"PUT /api/v1/sites/guests":           `{"site_id":"shop.example","email":"new@x.y","role":"viewer"}`,
		"POST /v1/sites/{site}/segments":     `{"name":"New","type":"site","segment_data":{"filters":[["is","visit:country",["FR"]]]}}`,
		"PUT /v1/sites/{site}/segments/{id}": `{"name":"Renamed"}`,
		"POST /v1/sites/{site}/goals":        `{"goal_type":"scroll","page_path":"/long","scroll":75}`,
		"PUT /v1/sites/{site}/goals/{id}":    `{"goal_type":"event","event_name":"Renamed"}`,
		"PUT /v1/sites/{site}/properties":    `{"properties":["a","b"]}`,
		"POST /v1/sites/{site}/shared-links": `{"name":"New"}`,
	}[method+" "+path]
}

func (w *world) furnish() {
	w.must(&accounts.PutGoal{Site: w.site.ID, Goal: accounts.GoalDef{Kind: "event", Event: "Signup"}})
	w.must(&accounts.CreateSegment{Site: w.site.ID, Name: "Germans", Data: `{"filters":[["is","visit:country",["DE"]]]}`})
	w.must(&accounts.ChangeProperties{Site: w.site.ID, Add: []string{"plan"}})
	w.must(&accounts.PutSharedLink{Site: w.site.ID, Name: "Wordpress", Slug: strings.Repeat("w", 43)})
	w.must(&accounts.PutGuest{Site: w.site.ID, Email: "gone@x.y"})
}

// TestEveryRouteAnswersEveryCallerAsTheTableSays makes a good request as every
// caller, each in a fresh world, because many of them change something.
func TestEveryRouteAnswersEveryCallerAsTheTableSays(t *testing.T) {
	rows := map[string][]string{}
	for line := range strings.Lines(access) {
		if fields := strings.Fields(line); len(fields) > 0 {
			rows[fields[0]+" "+fields[1]] = fields[2:]
		}
	}
	for _, r := range New(Config{}).Routes() {
		name := r.Method + " " + r.Path
		row := rows[name]
		delete(rows, name)
		if len(row) != len(callers) {
			t.Errorf("%s has no row in the table: who may use it?", name)
			continue
		}
		for i, c := range callers {
			w := newWorld(t)
			w.furnish()
			before, err := w.house.View().Encode()
			if err != nil {
				t.Fatal(err)
			}
			target, body := w.good(r.Method, r.Path)
			got := w.as(c, r.Method, target, body)
			if want, _ := strconv.Atoi(row[i]); got.status != want {
				t.Errorf("%s as %s: got %d %s, want %d", name, c, got.status, got.body, want)
			}
			after, err := w.house.View().Encode()
			if err != nil {
				t.Fatal(err)
			}
			if changed := string(before) != string(after); got.status >= 400 && changed {
				t.Errorf("%s as %s: refused, and changed the accounts", name, c)
			} else if got.status < 300 && r.Method != "GET" && !changed && r.Path != "/v1/sites/{site}/properties/{property}" {
				t.Errorf("%s as %s: %d, and changed nothing", name, c, got.status)
			}
			switch c {
			case anonymous, unknown, stranger, otherKey:
				if strings.Contains(got.body, w.site.Domain) && r.Method == "GET" {
					t.Errorf("%s as %s: learns of the site: %s", name, c, got.body)
				}
			}
		}
	}
	for left := range rows {
		t.Errorf("the table has a row for %s, which is not a route", left)
	}
}

func TestWhoeverIsNotKnownIsToldSoInTheDialect(t *testing.T) {
	w := newWorld(t)
	w.as(anonymous, "GET", "/api/v1/sites", "").fails(401, textMissingKey)
	w.as(unknown, "GET", "/api/v1/sites/shop.example", "").fails(401, textInvalidKey)
	w.as(stranger, "GET", "/api/v1/sites/shop.example", "").fails(404, "Site could not be found")
	w.as(setupKey, "GET", "/api/v1/sites/nowhere.example", "").fails(404, "Site could not be found")
	w.as(setupKey, "DELETE", "/api/v1/sites/theirs.example", "").fails(404, "Site could not be found")
}

// A public site shows its numbers, and what they are made of, to everybody;
// nothing else.
func TestAPublicSiteShowsGoalsAndSegmentsAndNoMore(t *testing.T) {
	w := newWorld(t)
	w.furnish()
	w.must(&accounts.UpdateSite{ID: w.site.ID, Public: new(true)})
	w.must(&accounts.CreateSegment{Site: w.site.ID, Name: "Own", Personal: true, Owner: w.who[admin].User, Data: `{"filters":[["is","visit:country",["DE"]]]}`})
	for _, c := range []caller{anonymous, stranger} {
		w.as(c, "GET", "/v1/sites/shop.example/goals", "").want(200, "Signup")
		w.as(c, "GET", "/v1/sites/shop.example/properties", "").want(200, "plan")
		if got := w.as(c, "GET", "/v1/sites/shop.example/segments", "").want(200, "Germans"); strings.Contains(got.body, "Own") {
			t.Errorf("%s sees somebody's own segment: %s", c, got.body)
		}
		w.as(c, "GET", "/v1/sites/shop.example/segments/2", "").want(404)
	}
	w.as(anonymous, "GET", "/v1/sites/shop.example/shared-links", "").want(401)
	w.as(stranger, "GET", "/v1/sites/shop.example/shared-links", "").want(403)
	w.as(stranger, "POST", "/v1/sites/shop.example/segments", `{"name":"x","type":"personal","segment_data":{"filters":[["is","visit:country",["DE"]]]}}`).want(403)
	w.as(stranger, "GET", "/api/v1/sites/shop.example", "").want(404)
	w.as(stranger, "GET", "/api/v1/sites/guests?site_id=shop.example", "").want(404)
}
