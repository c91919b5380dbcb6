package provision

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

type sitesPage struct {
	Sites []siteEntry
	Meta  meta
}

func TestASiteIsMadeChangedAndRemoved(t *testing.T) {
	w := newWorld(t)
	made := into[siteBody](w.as(setupKey, "POST", "/api/v1/sites", `{"domain":"https://www.New.example/","timezone":"Europe/London","tracker_script_configuration":{"outbound_links":true,"installation_type":"manual"}}`).want(200))
	if made.Domain != "new.example" || made.Timezone != "Europe/London" || made.Properties == nil || !made.Tracker.OutboundLinks || made.Tracker.FileDownloads || *made.Tracker.Installation != "manual" {
		t.Fatalf("got %+v", made)
	}
	site, ok := w.house.View().Site([]byte("new.example"))
	if !ok || site.Org != w.ours {
		t.Fatalf("the site is %+v", site)
	}
	w.must(&accounts.ChangeProperties{Site: site.ID, Add: []string{"plan"}})
	changed := into[siteBody](w.as(setupKey, "PUT", "/api/v1/sites/new.example", `{"domain":"newer.example","tracker_script_configuration":{"file_downloads":true,"installation_type":null}}`).want(200))
	want := made
	want.Domain, want.Properties = "newer.example", []string{"plan"}
	want.Tracker.FileDownloads, want.Tracker.Installation = true, nil
	if fmt.Sprintf("%+v", changed) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v", changed, want)
	}
	w.as(readKey, "GET", "/api/v1/sites/newer.example", "").want(200, made.Tracker.ID, `"custom_properties":["plan"]`)
	w.as(setupKey, "DELETE", "/api/v1/sites/newer.example", "").is(200, `{"deleted":true}`)
	w.as(setupKey, "GET", "/api/v1/sites/newer.example", "").fails(404, "Site could not be found")
}

func TestANewSiteHasDefaults(t *testing.T) {
	w := newWorld(t)
	w.as(setupKey, "POST", "/api/v1/sites", `{"domain":"plain.example"}`).want(200, `"timezone":"Etc/UTC"`, `"custom_properties":[]`,
		`"installation_type":null,"track_404_pages":false,"hash_based_routing":false,"outbound_links":false,"file_downloads":false,"revenue_tracking":false,"tagged_events":false,"form_submissions":false,"pageview_props":false`)
}

func TestWhatIsWrongWithASiteIsSaid(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ method, target, body, text string }{
		{"POST", "", `{}`, "domain: must not be empty"},
		{"POST", "", `{"domain":"shop.example"}`, "domain: shop.example is in use already"},
		{"POST", "", `{"domain":"theirs.example"}`, "domain: theirs.example is in use already"},
		{"POST", "", `{"domain":"a b"}`, `domain: has a character that host names do not have: " "`},
		{"POST", "", `{"domain":["x"]}`, "domain: must be a text"},
		{"POST", "", `{"domain":"x.example","timezone":"Mars/Olympus"}`, `timezone: "Mars/Olympus" is not an IANA time zone`},
		{"POST", "", `{"domain":"x.example","tracker_script_configuration":{"colour":true}}`, `tracker_script_configuration: "colour" is not a setting`},
		{"POST", "", `{"domain":"x.example","tracker_script_configuration":{"outbound_links":"perhaps"}}`, "tracker_script_configuration: outbound_links must be true or false"},
		{"POST", "", `{"domain":"x.example","tracker_script_configuration":{"outbound_links":null}}`, "tracker_script_configuration: outbound_links must be true or false"},
		{"POST", "", `{"domain":"x.example","tracker_script_configuration":{"installation_type":"fax"}}`, "tracker_script_configuration: installation_type must be manual, wordpress, gtm or npm"},
		{"POST", "", `{"domain":"x.example","tracker_script_configuration":[]}`, "tracker_script_configuration: must be an object"},
		{"POST", "", `nonsense`, "body: must be one JSON object"},
		{"POST", "", `null`, "body: must be one JSON object"},
		{"POST", "", `{} {}`, "body: has something after the JSON object"},
		{"PUT", "/shop.example", `{}`, "Payload must contain at least one of the parameters 'domain', 'tracker_script_configuration'"},
		{"PUT", "/shop.example", `{"domain":"second.example"}`, "domain: second.example is in use already"},
		{"PUT", "/shop.example", `{"domain":""}`, "domain: must not be empty"},
	} {
		w.as(setupKey, c.method, "/api/v1/sites"+c.target, c.body).fails(400, c.text)
	}
}

func TestTheTeamOfANewSite(t *testing.T) {
	w := newWorld(t)
	post := func(c caller, team string) response {
		return w.as(c, "POST", "/api/v1/sites", `{"domain":"new.example","team_id":`+team+`}`)
	}
	post(setupKey, `"2"`).fails(403, "You can't add sites to the selected team.")
	post(setupKey, `"99"`).fails(403, "You can't add sites to the selected team.")
	post(setupKey, `"ours"`).fails(403, "You can't add sites to the selected team.")
	post(operator, `null`).fails(400, "You must select a team with 'team_id' parameter.")
	post(operator, `"99"`).fails(403, "You can't add sites to the selected team.")
	post(setupKey, fmt.Sprint(w.ours)).want(200)
	post(operator, `"2"`).fails(400, "domain: new.example is in use already")
	w.as(operator, "POST", "/api/v1/sites", `{"domain":"other.example","team_id":"2"}`).want(200)
	if s, _ := w.house.View().Site([]byte("other.example")); s.Org != 2 {
		t.Errorf("the site is in %d", s.Org)
	}
}

func TestAnOrganisationMayHaveSoManySites(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SitesMax = 3 })
	w.as(setupKey, "POST", "/api/v1/sites", `{"domain":"third.example"}`).want(200)
	w.as(setupKey, "POST", "/api/v1/sites", `{"domain":"fourth.example"}`).fails(402, "Your account has reached the limit of 3 sites. Please contact the operator of this server to add more.")
}

func TestFormsAreReadLikeJSON(t *testing.T) {
	w := newWorld(t)
	multi := func(pairs ...string) (body, kind string) {
		var b strings.Builder
		for i := 0; i < len(pairs); i += 2 {
			b.WriteString("--frontier\r\nContent-Disposition: form-data; name=\"" + pairs[i] + "\"\r\n\r\n" + pairs[i+1] + "\r\n")
		}
		b.WriteString("--frontier\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nignored\r\n--frontier--\r\n")
		return b.String(), "multipart/form-data; boundary=frontier"
	}
	body, kind := multi("domain", "form.example", "timezone", "Europe/London", "tracker_script_configuration[outbound_links]", "true")
	w.as(setupKey, "POST", "/api/v1/sites", body, "Content-Type", kind).want(200, `"domain":"form.example"`, `"outbound_links":true`)
	body, kind = multi("site_id", "form.example", "goal_type", "event", "event_name", "Signup", "custom_props[plan]", "pro", "custom_props[age]", "9")
	first := w.as(setupKey, "PUT", "/api/v1/sites/goals", body, "Content-Type", kind).want(200, `"custom_props":{"age":"9","plan":"pro"}`)
	form := "site_id=form.example&goal_type=event&event_name=Signup&custom_props=" + "%7B%22plan%22%3A%22pro%22%2C%22age%22%3A9%7D"
	w.as(setupKey, "PUT", "/api/v1/sites/goals", form, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8").is(200, first.body)
	body, kind = multi("site_id", "form.example")
	w.as(setupKey, "DELETE", "/api/v1/sites/goals/1", body, "Content-Type", kind).is(200, `{"deleted":true}`)

	for text, c := range map[string]struct{ body, kind string }{
		"content-type: has no boundary":                    {"x", "multipart/form-data"},
		"body: is not a form":                              {"--frontier\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx", "multipart/form-data; boundary=frontier"},
		"Parameter `site_id` is required to create a goal": {"a[b]=1&[c]=2&d[=3&e[f][g]=4", "application/x-www-form-urlencoded"},
	} {
		w.as(setupKey, "PUT", "/api/v1/sites/goals", c.body, "Content-Type", c.kind).fails(400, text)
	}
	// A page of another site can make a browser send a form.
	for _, kind := range []string{"application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=frontier"} {
		w.as(owner, "POST", "/api/v1/sites", "domain=evil.example", "Content-Type", kind).fails(400, "content-type: must be application/json")
		w.as(owner, "POST", "/v1/sites/shop.example/shared-links", `{"name":"x"}`, "Content-Type", kind).fails(400, "content-type: must be application/json")
	}
}

func TestPagesOfSites(t *testing.T) {
	w := newWorld(t)
	var want []string // newest first
	for i := range 7 {
		domain := fmt.Sprintf("s%d.example", i)
		w.must(&accounts.CreateSite{Org: w.ours, Domain: domain, Timezone: "UTC", Secret: accounts.Secret{1}})
		want = append([]string{domain}, want...)
	}
	want = append(want, "second.example", "shop.example")
	get := func(query string) (domains []string, m meta) {
		t.Helper()
		p := into[sitesPage](w.as(readKey, "GET", "/api/v1/sites"+query, "").want(200))
		for _, s := range p.Sites {
			domains = append(domains, s.Domain)
		}
		return domains, p.Meta
	}
	all, m := get("")
	if !slices.Equal(all, want) || m.After != nil || m.Before != nil || m.Limit != 100 {
		t.Fatalf("got %v, %+v", all, m)
	}
	// Forward to the end, then backward to the beginning.
	var forward []string
	part, m := get("?limit=4")
	forward = append(forward, part...)
	for m.After != nil {
		part, m = get("?limit=4&after=" + *m.After)
		forward = append(forward, part...)
	}
	if !slices.Equal(forward, want) || len(part) != 1 {
		t.Fatalf("forward: %v", forward)
	}
	backward := part
	for m.Before != nil {
		part, m = get("?limit=4&before=" + *m.Before)
		backward = append(slices.Clone(part), backward...)
	}
	if !slices.Equal(backward, want) {
		t.Fatalf("backward: %v", backward)
	}
	_, m = get("?limit=4")
	for query, text := range map[string]string{
		"?limit=0":    "limit: must be a number between 1 and 1000",
		"?limit=1001": "limit: must be a number between 1 and 1000",
		"?limit=many": "limit: must be a number between 1 and 1000",
		"?after=5":    "after: is not a cursor of this list",
		"?before=aWQ6MTg0NDY3NDQwNzM3MDk1NTE2MTU":    "before: is not a cursor of this list",
		"?after=" + *m.After + "&before=" + *m.After: "before: cannot be used with after",
	} {
		w.as(readKey, "GET", "/api/v1/sites"+query, "").fails(400, text)
	}
}

func TestEverybodyListsTheirSites(t *testing.T) {
	w := newWorld(t)
	for c, want := range map[caller]map[string][]string{
		viewer:   {"": {"second.example", "shop.example"}, "?team_id=1": {"second.example", "shop.example"}, "?team_id=2": nil, "?team_id=x": nil},
		stranger: {"": {"theirs.example"}, "?team_id=1": nil},
		otherKey: {"": {"second.example"}, "?team_id=2": nil, "?team_id=1": {"second.example"}},
		operator: {"": {"second.example", "theirs.example", "shop.example"}, "?team_id=2": {"theirs.example"}, "?limit=2": {"second.example", "theirs.example"}},
		guest:    {"": {"theirs.example", "shop.example"}, "?team_id=1": {"shop.example"}, "?team_id=2": {"theirs.example"}, "?limit=1": {"theirs.example"}},
	} {
		for query, domains := range want {
			var got []string
			for _, s := range into[sitesPage](w.as(c, "GET", "/api/v1/sites"+query, "").want(200)).Sites {
				got = append(got, s.Domain)
			}
			if !slices.Equal(got, domains) {
				t.Errorf("%s%s: got %v, want %v", c, query, got, domains)
			}
		}
	}
	first := into[sitesPage](w.as(guest, "GET", "/api/v1/sites?limit=1", "").want(200))
	second := into[sitesPage](w.as(guest, "GET", "/api/v1/sites?limit=1&after="+*first.Meta.After, "").want(200))
	if second.Sites[0].Domain != "shop.example" || second.Meta.After != nil {
		t.Errorf("the second page is %+v", second)
	}
	back := into[sitesPage](w.as(guest, "GET", "/api/v1/sites?before="+*second.Meta.Before, "").want(200))
	if len(back.Sites) != 1 || back.Sites[0].Domain != "theirs.example" {
		t.Errorf("the page before is %+v", back)
	}
}

func TestTeams(t *testing.T) {
	w := newWorld(t)
	w.as(readKey, "GET", "/api/v1/sites/teams", "").is(200, `{"teams":[{"id":"1","name":"Ours","api_available":true}],"meta":{"after":null,"before":null,"limit":100}}`)
	w.as(operator, "GET", "/api/v1/sites/teams?limit=1", "").want(200, `{"id":"2","name":"Theirs","api_available":true}`, `"after":"`)
}

func TestRequestsOfKeysAreCounted(t *testing.T) {
	limited := 0
	w := newWorld(t, func(c *Config) {
		c.Limited = func(h door.Handler) door.Handler {
			return func(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
				limited++
				ctx.Response.Header.Set("X-RateLimit-Limit", "600")
				if limited > 2 {
					ctx.Response.Header.Set("Retry-After", "7")
					return analytics.Errorf(analytics.TooMany, "Too many API requests.")
				}
				return h(ctx, who)
			}
		}
	})
	w.as(readKey, "GET", "/api/v1/sites", "").want(200)
	w.as(readKey, "GET", "/v1/sites/shop.example/goals", "").want(200)
	got := w.as(readKey, "GET", "/api/v1/sites", "")
	got.fails(429, "Too many API requests.")
	if got.header.Get("Retry-After") != "7" || got.header.Get("X-RateLimit-Limit") != "600" {
		t.Errorf("headers %v", got.header)
	}
	limited = 0
	for _, r := range w.door.Routes() {
		before := limited
		target, _ := w.good(r.Method, r.Path)
		w.as(readKey, r.Method, target, "")
		if limited != before+1 {
			t.Errorf("%s %s is not counted", r.Method, r.Path)
		}
	}
}

func TestAnInternationalNameIsAName(t *testing.T) {
	w := newWorld(t)
	w.as(setupKey, "POST", "/api/v1/sites", `{"domain":"https://Bücher.example/"}`).want(200, `"domain":"xn--bcher-kva.example"`)
	w.as(setupKey, "GET", "/api/v1/sites/goals?site_id=b%C3%BCcher.example", "").want(200)
}

func TestAFailureOfTheHouseIsNotTheCallersFault(t *testing.T) {
	w := newWorld(t)
	w.house.refuse = analytics.Errorf(analytics.Unavailable, "the node is shutting down")
	got := w.as(setupKey, "PUT", "/api/v1/sites/custom-props", `{"site_id":"shop.example","property":"x"}`)
	got.fails(503, "the node is shutting down")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestTheAddressOfSharedLinks(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		header []string
		want   string
	}{
		"public URL":      {Config{PublicURL: "https://stats.example/"}, nil, `"url":"https://stats.example/share/shop.example?auth=`},
		"request":         {Config{}, nil, `"url":"http://localhost/share/shop.example?auth=`},
		"untrusted proxy": {Config{}, []string{"X-Forwarded-Proto", "https"}, `"url":"http://localhost/share/`},
		"trusted proxy":   {Config{Trusted: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, []string{"X-Forwarded-Proto", "https"}, `"url":"https://localhost/share/`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { cfg.PublicURL, cfg.Trusted = c.config.PublicURL, c.config.Trusted })
			w.as(setupKey, "PUT", "/api/v1/sites/shared-links", `{"site_id":"shop.example","name":"x"}`, c.header...).want(200, c.want)
		})
	}
}
