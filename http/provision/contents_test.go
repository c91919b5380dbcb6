package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

func TestGoalsOfTheDialect(t *testing.T) {
	w := newWorld(t)
	put := func(body string) response {
		return w.as(setupKey, "PUT", "/api/v1/sites/goals", `{"site_id":"shop.example",`+body+`}`)
	}
	signup := `{"domain":"shop.example","id":1,"goal_type":"event","display_name":"Signup","event_name":"Signup","page_path":null,"custom_props":{}}`
	put(`"goal_type":"event","event_name":"Signup"`).is(200, signup)
	put(`"goal_type":"event","event_name":"Signup","display_name":"Another"`).is(200, signup) // idempotent
	put(`"goal_type":"page","page_path":"/blog/**"`).is(200,
		`{"domain":"shop.example","id":2,"goal_type":"page","display_name":"Visit /blog/**","event_name":null,"page_path":"/blog/**","custom_props":{}}`)
	put(`"goal_type":"event","event_name":404,"display_name":"Lost","custom_props":{"path":"/x","n":3,"paid":true}`).is(200,
		`{"domain":"shop.example","id":3,"goal_type":"event","display_name":"Lost","event_name":"404","page_path":null,"custom_props":{"n":"3","paid":"true","path":"/x"}}`)
	w.must(&accounts.PutGoal{Site: w.site.ID, Goal: accounts.GoalDef{Kind: analytics.GoalScroll, Page: "/long", Scroll: 50}})
	list := w.as(readKey, "GET", "/api/v1/sites/goals?site_id=shop.example", "")
	list.want(200, `{"goals":[{"id":4,"goal_type":"scroll","display_name":"Scroll 50% on /long","event_name":null,"page_path":"/long","custom_props":{}},{"id":3,`, `"meta":{"after":null,"before":null,"limit":100}`)
	w.as(readKey, "GET", "/api/v1/sites/goals?site_id=shop.example&limit=1", "").want(200, `[{"id":4,`, `"after":"`)
	w.as(setupKey, "DELETE", "/api/v1/sites/goals/1?site_id=shop.example", "").is(200, `{"deleted":true}`)
	w.as(setupKey, "DELETE", "/api/v1/sites/goals/1", `{"site_id":"shop.example"}`).fails(404, "Goal could not be found")
	w.as(setupKey, "DELETE", "/api/v1/sites/goals/2", `{"site_id":"second.example"}`).fails(404, "Goal could not be found")

	for body, text := range map[string]string{
		`"event_name":"x"`:                                                              "Parameter `goal_type` is required to create a goal",
		`"goal_type":"event"`:                                                           "Parameter `event_name` is required to create a goal",
		`"goal_type":"event","page_path":"/x"`:                                          "Parameter `event_name` is required to create a goal",
		`"goal_type":"page","page_path":null`:                                           "Parameter `page_path` is required to create a goal",
		`"goal_type":"click"`:                                                           "goal_type: must be event or page",
		`"goal_type":"scroll","page_path":"/x"`:                                         "goal_type: must be event or page",
		`"goal_type":"page","page_path":"blog"`:                                         "page_path: must begin with /",
		`"goal_type":"event","event_name":"engagement"`:                                 "event_name: engagement is reserved and cannot be a goal",
		`"goal_type":"event","event_name":{"a":1}`:                                      "event_name: must be a text",
		`"goal_type":"event","event_name":"x","display_name":"Visit /blog/**"`:          `display_name: "Visit /blog/**" is the name of another goal`,
		`"goal_type":"event","event_name":"x","custom_props":{"a":null}`:                `custom_props: "a" must be a text`,
		`"goal_type":"event","event_name":"x","custom_props":{"a":["b"]}`:               `custom_props: "a" must be a text`,
		`"goal_type":"event","event_name":"x","custom_props":"a"`:                       "custom_props: must be an object",
		`"goal_type":"event","event_name":"x","custom_props":{"a":1,"b":1,"c":1,"d":1}`: "custom_props: more than 3",
	} {
		put(body).fails(400, text)
	}
	for target, c := range map[string]struct{ method, text string }{
		"/goals":          {"GET", "Parameter `site_id` is required to list goals"},
		"/goals/1":        {"DELETE", "Parameter `site_id` is required to delete a goal"},
		"/custom-props":   {"GET", "Parameter `site_id` is required to list custom properties"},
		"/custom-props/x": {"DELETE", "Parameter `site_id` is required to delete a custom property"},
		"/guests":         {"GET", "Parameter `site_id` is required to list guests"},
		"/guests/a@b.c":   {"DELETE", "Parameter `site_id` is required to delete a guest"},
	} {
		w.as(setupKey, c.method, "/api/v1/sites"+target, "").fails(400, c.text)
	}
}

func TestAFullSiteIsToldSoInTheDialect(t *testing.T) {
	w := newWorld(t)
	for i := range analytics.SharedLinksMax {
		w.must(&accounts.PutSharedLink{Site: w.site.ID, Name: fmt.Sprint(i), Slug: fmt.Sprintf("%043d", i)})
	}
	w.as(setupKey, "PUT", "/api/v1/sites/shared-links", `{"site_id":"shop.example","name":"more"}`).fails(400, "shared links: a site has at most 100")
	w.as(setupKey, "POST", "/v1/sites/shop.example/shared-links", `{"name":"more"}`).fails(413, "shared links: a site has at most 100")
}

func TestCustomPropertiesOfTheDialect(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		w.as(setupKey, "PUT", "/api/v1/sites/custom-props", `{"site_id":"shop.example","property":"title"}`).is(200, `{"created":true}`)
	}
	w.as(setupKey, "PUT", "/api/v1/sites/custom-props", `{"site_id":"shop.example","property":"author"}`).is(200, `{"created":true}`)
	w.as(readKey, "GET", "/api/v1/sites/custom-props?site_id=shop.example", "").is(200, `{"custom_properties":[{"property":"title"},{"property":"author"}]}`)
	for range 2 {
		w.as(setupKey, "DELETE", "/api/v1/sites/custom-props/title?site_id=shop.example", "").is(200, `{"deleted":true}`)
	}
	w.as(readKey, "GET", "/api/v1/sites/custom-props?site_id=shop.example", "").is(200, `{"custom_properties":[{"property":"author"}]}`)
	w.as(readKey, "GET", "/api/v1/sites/custom-props?site_id=second.example", "").is(200, `{"custom_properties":[]}`)
	w.as(setupKey, "PUT", "/api/v1/sites/custom-props", `{"site_id":"shop.example"}`).fails(400, "Parameter `property` is required to create a custom property")
	w.as(setupKey, "PUT", "/api/v1/sites/custom-props", `{"site_id":"shop.example","property":"`+strings.Repeat("x", 301)+`"}`).fails(400, "property: longer than 300 bytes")
}

func TestSharedLinksOfTheDialect(t *testing.T) {
	w := newWorld(t)
	put := func(body string) response { return w.as(setupKey, "PUT", "/api/v1/sites/shared-links", body) }
	type link struct{ Name, URL string }
	first := into[link](put(`{"site_id":"shop.example","name":"Wordpress"}`).want(200))
	slug, ok := strings.CutPrefix(first.URL, "https://stats.example/share/shop.example?auth=")
	if l, found := w.house.View().SharedLinkBySlug(slug); !ok || !found || l.Site != w.site.ID || len(slug) != 43 {
		t.Fatalf("got %+v", first)
	}
	if again := into[link](put(`{"site_id":"shop.example","name":"Wordpress"}`).want(200)); again != first {
		t.Errorf("got %+v, then %+v", first, again)
	}
	if other := into[link](put(`{"site_id":"second.example","name":"Wordpress"}`).want(200)); other.URL == first.URL {
		t.Errorf("two sites have %s", other.URL)
	}
	put(`{"name":"x"}`).fails(400, "Parameter `site_id` is required to create a shared link")
	put(`{"site_id":"shop.example"}`).fails(400, "Parameter `name` is required to create a shared link")
	w.as(setupKey, "PUT", "/api/v1/sites/shop.example", `{"domain":"renamed.example"}`).want(200)
	if l := into[link](put(`{"site_id":"renamed.example","name":"Wordpress"}`).want(200)); l.URL != strings.Replace(first.URL, "shop.", "renamed.", 1) {
		t.Errorf("after a change of domain %s, before %s", l.URL, first.URL)
	}
}

func TestGuestsOfTheDialect(t *testing.T) {
	w := newWorld(t)
	put := func(body string) response {
		return w.as(setupKey, "PUT", "/api/v1/sites/guests", `{"site_id":"second.example",`+body+`}`)
	}
	put(`"email":"New@X.y","role":"viewer"`).is(200, `{"email":"new@x.y","role":"viewer","status":"invited"}`)
	put(`"email":"new@x.y","role":"editor"`).is(200, `{"email":"new@x.y","role":"editor","status":"invited"}`)
	put(`"email":"viewer@x.y","role":"viewer"`).is(200, `{"email":"viewer@x.y","role":"viewer","status":"accepted"}`)
	w.must(&accounts.CreateUser{Org: 2, Email: "new@x.y", Role: accounts.Viewer, PasswordHash: "h"})
	list := "/api/v1/sites/guests?site_id=second.example"
	w.as(setupKey, "GET", list, "").is(200, `{"guests":[{"email":"viewer@x.y","role":"viewer","status":"accepted"},{"email":"new@x.y","role":"editor","status":"accepted"}],"meta":{"after":null,"before":null,"limit":100}}`)
	for range 2 {
		w.as(setupKey, "DELETE", "/api/v1/sites/guests/new%40x.y", `{"site_id":"second.example"}`).is(200, `{"deleted":true}`)
	}
	w.as(setupKey, "GET", list, "").want(200, `{"guests":[{"email":"viewer@x.y"`)
	w.as(setupKey, "DELETE", "/api/v1/sites/guests/nobody", `{"site_id":"second.example"}`).fails(400, "email: must look like name@example.com")
	put(`"email":"nobody","role":"viewer"`).fails(400, "email: must look like name@example.com")
	put(`"email":"a@b.c","role":"owner"`).fails(400, "role: must be viewer or editor")
	put(`"email":"a@b.c"`).fails(400, "Parameter `role` is required to create a guest")
	put(`"role":"viewer"`).fails(400, "Parameter `email` is required to create a guest")
}

func TestNativeGoals(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/sites/shop.example/goals"
	purchase := `{"id":1,"goal_type":"event","display_name":"Purchase","event_name":"Purchase","page_path":null,"custom_props":{"plan":"pro"},"scroll":null,"currency":"EUR"}`
	w.as(admin, "POST", path, `{"goal_type":"event","event_name":"Purchase","currency":"EUR","custom_props":{"plan":"pro"}}`).is(201, purchase)
	w.as(admin, "POST", path, `{"goal_type":"event","event_name":"Purchase","currency":"EUR","custom_props":{"plan":"pro"}}`).is(200, purchase)
	w.as(admin, "POST", path, `{"goal_type":"scroll","page_path":"/long/*","scroll":75,"display_name":null}`).is(201,
		`{"id":2,"goal_type":"scroll","display_name":"Scroll 75% on /long/*","event_name":null,"page_path":"/long/*","custom_props":{},"scroll":75,"currency":null}`)
	w.as(viewer, "GET", path, "").want(200, `{"goals":[{"id":2,`, purchase)
	w.as(viewer, "GET", path+"/1", "").is(200, purchase)
	w.as(admin, "PUT", path+"/1", `{"goal_type":"page","page_path":"/thanks","display_name":"Thanked"}`).is(200,
		`{"id":1,"goal_type":"page","display_name":"Thanked","event_name":null,"page_path":"/thanks","custom_props":{},"scroll":null,"currency":null}`)
	for _, c := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", path, `{"goal_type":"event","event_name":"x","currency":"EUX"}`, 400, `currency: "EUX" is not a currency code of ISO 4217, like EUR`},
		{"POST", path, `{"goal_type":"page","page_path":"/x","currency":"EUR"}`, 400, "currency: only an event goal has revenue"},
		{"POST", path, `{"goal_type":"scroll","page_path":"/x","scroll":300}`, 400, "scroll: must be a whole number in range"},
		{"POST", path, `{"goal_type":"scroll","page_path":"/x"}`, 400, "scroll: must be from 1 to 100 percent"},
		{"POST", path, `{"goal_type":"page","page_path":"/x","colour":"red"}`, 400, "colour: is not a field of this request"},
		{"POST", path, `{"goal_type":"page","page_path":7}`, 400, "page_path: must be a text"},
		{"POST", path, `{"goal_type":"page","page_path":"/x"} []`, 400, "body: has something after the JSON object"},
		{"POST", path, ``, 400, "body: must be one JSON object"},
		{"POST", path, `{"goal_type":"page","page_path":"/x","display_name":"Thanked"}`, 409, `display_name: "Thanked" is the name of another goal`},
		{"PUT", path + "/1", `{"goal_type":"scroll","page_path":"/long/*","scroll":75}`, 409, "goal: is the same as goal 2"},
		{"PUT", path + "/9", `{"goal_type":"page","page_path":"/x"}`, 404, "goal: there is no such goal"},
		{"GET", path + "/x", ``, 404, "goal: there is no such goal"},
		{"GET", "/v1/sites/second.example/goals/1", ``, 404, "goal: there is no such goal"},
		{"DELETE", "/v1/sites/second.example/goals/1", ``, 404, "goal: there is no such goal"},
	} {
		w.as(admin, c.method, c.path, c.body).fails(c.status, c.text)
	}
	w.as(admin, "DELETE", path+"/1", "").is(204, "")
	w.as(admin, "GET", path+"/1", "").want(404)
}

func TestNativeSegments(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/sites/shop.example/segments"
	var asked []string
	w.check = func(filters any) error {
		text, err := json.Marshal(filters)
		asked = append(asked, string(text))
		return err
	}
	made := w.as(setupKey, "POST", path, `{"name":"Germans","type":"site","segment_data":{ "labels": {"DE":"Germany <3"}, "filters": [["is","visit:country",["DE"]]] }}`)
	made.is(201, `{"id":1,"name":"Germans","type":"site","owner":null,"segment_data":{"filters":[["is","visit:country",["DE"]]],"labels":{"DE":"Germany \u003c3"}},"updated":"2026-05-13T12:30:14Z"}`)
	if !slices.Equal(asked, []string{`[["is","visit:country",["DE"]]]`}) {
		t.Errorf("checked %q", asked)
	}
	own := w.as(viewer, "POST", path, `{"name":"Mine","type":"personal","segment_data":{"filters":[["is","visit:city",[2950159]]]}}`).want(201, `"type":"personal"`, fmt.Sprintf(`"owner":%d`, w.who[viewer].User), `[2950159]`)
	w.as(guest, "POST", path, `{"name":"Mine","type":"personal","segment_data":{"filters":[["is","visit:city",[1]]]}}`).want(201)

	w.as(viewer, "GET", path, "").is(200, `{"segments":[`+made.body+`,`+own.body+`]}`)
	w.as(readKey, "GET", path, "").is(200, `{"segments":[`+made.body+`]}`)
	w.as(viewer, "GET", path+"/2", "").is(200, own.body)
	for _, c := range []caller{owner, operator, setupKey, guest} {
		w.as(c, "GET", path+"/2", "").fails(404, "segment: there is no such segment")
	}
	for _, c := range []caller{owner, operator, setupKey} {
		w.as(c, "PUT", path+"/2", `{"name":"Taken"}`).fails(404, "segment: there is no such segment")
		w.as(c, "DELETE", path+"/2", "").fails(404, "segment: there is no such segment")
	}
	w.as(viewer, "PUT", path+"/2", `{"name":"Still mine"}`).want(200, `"name":"Still mine"`, `[2950159]`, `"type":"personal"`)
	w.as(viewer, "PUT", path+"/2", `{"type":"site"}`).fails(403, "type: segments of the whole site need more rights than you have")
	w.as(viewer, "PUT", path+"/1", `{"name":"x"}`).fails(403, "type: segments of the whole site need more rights than you have")
	w.as(viewer, "DELETE", path+"/1", "").fails(403, "type: segments of the whole site need more rights than you have")
	w.as(admin, "PUT", path+"/1", `{"type":"personal","segment_data":{"filters":[["is","visit:device",["Mobile"]]]}}`).want(200, `"type":"personal"`, fmt.Sprintf(`"owner":%d`, w.who[admin].User), `"segment_data":{"filters":[["is","visit:device",["Mobile"]]]}`)
	w.as(viewer, "GET", path+"/1", "").want(404)
	w.as(admin, "PUT", path+"/1", `{"type":"site"}`).want(200, `"type":"site"`)
	w.as(viewer, "DELETE", path+"/2", "").is(204, "")
	w.as(viewer, "GET", path+"/2", "").want(404)
}

func TestWhatIsWrongWithASegmentIsSaid(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/sites/shop.example/segments"
	good := `{"filters":[["is","visit:country",["DE"]]]}`
	w.as(admin, "POST", path, `{"name":"Germans","type":"site","segment_data":`+good+`}`).want(201)
	post := func(body string) response { return w.as(admin, "POST", path, body) }
	for body, text := range map[string]string{
		`{"type":"site","segment_data":` + good + `}`:                                                              "name: must not be empty",
		`{"name":" ","type":"site","segment_data":` + good + `}`:                                                   "name: must not be empty",
		`{"name":"x","segment_data":` + good + `}`:                                                                 "type: must be site or personal",
		`{"name":"x","type":"all","segment_data":` + good + `}`:                                                    "type: must be site or personal",
		`{"name":"x","type":"site"}`:                                                                               "segment_data: must not be empty",
		`{"name":"x","type":"site","segment_data":null}`:                                                           "segment_data: must not be empty",
		`{"name":"x","type":"site","segment_data":[]}`:                                                             "segment_data: must be an object with a list of filters",
		`{"name":"x","type":"site","segment_data":{}}`:                                                             "segment_data: filters must not be empty",
		`{"name":"x","type":"site","segment_data":{"filters":[["is"]],"more":1}}`:                                  "segment_data: must be an object with a list of filters and perhaps labels, which are texts",
		`{"name":"x","type":"site","segment_data":{"filters":[["is","segment",[1]]]}}`:                             "segment_data: a segment cannot be made of segments",
		`{"name":"x","type":"site","segment_data":{"filters":[["not",["is","segment",[1]]]]}}`:                     "segment_data: a segment cannot be made of segments",
		`{"name":"x","type":"site","segment_data":{"filters":[["is","x",["` + strings.Repeat("y", 6000) + `"]]]}}`: "segment_data: longer than 5120 bytes",
	} {
		post(body).fails(400, text)
	}
	post(`{"name":"Germans","type":"site","segment_data":`+good+`}`).fails(409, `name: "Germans" is the name of another segment`)
	w.as(setupKey, "POST", path, `{"name":"x","type":"personal","segment_data":`+good+`}`).fails(400, "type: only a signed-in user has personal segments")
	w.check = func(any) error {
		return analytics.Errorf(analytics.Invalid, `Invalid filters. Unknown dimension "visit:mood"`)
	}
	post(`{"name":"x","type":"site","segment_data":{"filters":[["is","visit:mood",["good"]]]}}`).fails(400, `segment_data: Invalid filters. Unknown dimension "visit:mood"`)
	w.as(admin, "PUT", path+"/1", `{"segment_data":{"filters":[["is","visit:mood",["good"]]]}}`).want(400)
	w.check = func(any) error { return errors.New("the disk is on fire") }
	if got := post(`{"name":"x","type":"site","segment_data":` + good + `}`).want(500); strings.Contains(got.body, "fire") {
		t.Errorf("the caller learns %s", got.body)
	}
}

func TestAValueNamedSegmentIsNoSegment(t *testing.T) {
	w := newWorld(t)
	for i, filter := range []string{`["is","event:page",["segment"]]`, `["is","event:props:kind",["a","segment","b"]]`, `["or",[["is","event:name",["segment","segment"]]]]`} {
		w.as(admin, "POST", "/v1/sites/shop.example/segments", fmt.Sprintf(`{"name":"s%d","type":"site","segment_data":{"filters":[%s]}}`, i, filter)).want(201)
	}
}

func TestNativeProperties(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/sites/shop.example/properties"
	w.as(admin, "PUT", path+"/plan", "").is(200, `{"properties":["plan"]}`)
	w.as(admin, "PUT", path+"/a%20b", "").is(200, `{"properties":["plan","a b"]}`)
	w.as(admin, "PUT", path+"/plan", "").is(200, `{"properties":["plan","a b"]}`)
	w.as(viewer, "GET", path, "").is(200, `{"properties":["plan","a b"]}`)
	w.as(admin, "PUT", path, `{"properties":["x/y","plan","x/y"]}`).is(200, `{"properties":["x/y","plan"]}`)
	w.as(admin, "DELETE", path+"/plan", "").is(204, "")
	w.as(admin, "DELETE", path+"/plan", "").is(204, "")
	w.as(admin, "PUT", path, `{"properties":[]}`).is(200, `{"properties":[]}`)
	w.as(admin, "PUT", path, `{}`).fails(400, "properties: must be a list")
	w.as(admin, "PUT", path, `{"properties":"plan"}`).fails(400, "properties: must be a list")
	w.as(admin, "PUT", path, `{"properties":[" "]}`).fails(400, "properties: the name of a property must not be empty")
	w.as(admin, "PUT", path+"/"+strings.Repeat("x", 301), "").fails(400, "property: longer than 300 bytes")
}

func TestNativeSharedLinks(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/sites/shop.example/shared-links"
	made := w.as(admin, "POST", path, `{"name":"Agency"}`).want(201, `{"id":1,"name":"Agency","url":"https://stats.example/share/shop.example?auth=`, `"created":"2026-05-13T`)
	w.as(admin, "POST", path, `{"name":"Agency"}`).is(200, made.body)
	w.as(admin, "GET", path, "").is(200, `{"shared_links":[`+made.body+`]}`)
	w.as(admin, "DELETE", "/v1/sites/second.example/shared-links/1", "").want(404)
	w.as(admin, "DELETE", path+"/x", "").want(404)
	w.as(admin, "DELETE", path+"/1", "").is(204, "")
	w.as(admin, "GET", path, "").is(200, `{"shared_links":[]}`)
	w.as(admin, "POST", path, `{"name":""}`).fails(400, "name: must not be empty")
}

func TestASharedLinkMayHaveAPasswordAndAnEnd(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Clock = func() time.Time { return time.Date(2026, 5, 13, 12, 0, 0, 0, time.UTC) } })
	const path = "/v1/sites/shop.example/shared-links"
	w.as(admin, "POST", path, `{"name":"Open"}`).want(201, `"password":false,"expires":null`)
	made := w.as(admin, "POST", path, `{"name":"Closed","password":"open sesame","expires":"2026-05-14T00:00:00+02:00"}`).want(201, `"password":true,"expires":"2026-05-13T22:00:00Z"`)
	if strings.Contains(made.body, "sesame") {
		t.Errorf("it shows the password: %s", made.body)
	}
	l, _ := w.house.View().SharedLink(2)
	if l.PasswordHash != "hash of open sesame" || l.Expires != time.Date(2026, 5, 13, 22, 0, 0, 0, time.UTC).UnixMilli() {
		t.Errorf("kept as %+v", l)
	}
	w.as(admin, "POST", path, `{"name":"Open","password":"x"}`).fails(409, "name: the site has a shared link of this name")
	w.as(admin, "POST", path, `{"name":"Other","expires":"2026-05-13T12:00:00Z"}`).fails(400, "expires: must be a time to come, as 2026-01-02T15:04:05Z")
	w.as(admin, "POST", path, `{"name":"Other","expires":"tomorrow"}`).fails(400, "expires: must be a time to come, as 2026-01-02T15:04:05Z")
	w.as(admin, "POST", path, `{"name":"Other","password":"`+strings.Repeat("x", 2000)+`"}`).fails(400, "password: longer than 200 bytes")
}
