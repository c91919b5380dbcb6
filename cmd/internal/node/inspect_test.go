package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"footfall/analytics/accounts"
	"footfall/http/merchant"
)

// beat sends a page view as a browser does.
func (w *world) beat(t *testing.T, page, agent string) {
	t.Helper()
	got := w.send(t, "POST", "/api/event", fmt.Sprintf(`{"n":"pageview","u":"https://shop.example%s","d":"shop.example"}`, page),
		map[string]string{"X-Forwarded-For": "192.0.2.77", "User-Agent": agent})
	if got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
}

const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"

func TestAWholeNodeShowsWhatBecameOfViews(t *testing.T) {
	n := start(t)
	w := n.people()
	n.do(&accounts.UpdateSite{ID: w.site.ID, Pages: &[]string{"/admin*"}})
	get := func(path string) string {
		t.Helper()
		got := w.call(t, merchant.Viewer, "GET", "/v1/sites/shop.example/"+path, "", nil)
		if got.status != 200 {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		return got.body
	}
	if got := get("check"); got != `{"first_event":null,"last_event":null,"events_today":0,"dropped_today":{}}` {
		t.Errorf("before the first view: %s", got)
	}
	w.beat(t, "/unseen", chrome)
	get("inspector")
	w.beat(t, "/good", chrome)
	w.beat(t, "/admin/x", chrome)
	w.beat(t, "/robot", "Googlebot/2.1 (+http://www.google.com/bot.html)")
	body := get("inspector")
	if strings.Contains(body, "192.0.2.77") {
		t.Errorf("an address is shown: %s", body)
	}
	var out struct {
		Events []struct{ Page, Verdict, Rule, Browser, Edge string }
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range out.Events {
		lines = append(lines, strings.Join([]string{e.Page, e.Verdict, e.Rule}, "|"))
	}
	if got, want := strings.Join(lines, "\n"), "/robot|bot|user_agent\n/admin/x|page_blocked|blocked_pages: /admin*\n/good|counted|"; got != want {
		t.Errorf("the inspector shows\n%s\nwant\n%s", got, want)
	}
	if e := out.Events[2]; e.Browser != "Chrome" || e.Edge != n.name() {
		t.Errorf("%+v", e)
	}
	check := get("check")
	for end := time.Now().Add(time.Minute); !strings.Contains(check, `"bot":1`) && time.Now().Before(end); { // counts of drops are written once a second
		check = get("check")
	}
	for _, want := range []string{`"first_event":"20`, `"last_event":"20`, `"events_today":2`, `"bot":1`, `"page_blocked":1`} {
		if !strings.Contains(check, want) {
			t.Errorf("the check says %s, not %s", check, want)
		}
	}
}

func TestASharedLinkReadsEveryReportOfItsSite(t *testing.T) {
	n := start(t)
	w := n.people()
	w.beat(t, "/", chrome)
	made := w.call(t, merchant.Admin, "POST", "/v1/sites/shop.example/shared-links", `{"name":"Agency","password":"open sesame"}`, nil)
	if made.status != 201 {
		t.Fatalf("%d %s", made.status, made.body)
	}
	var link struct{ URL string }
	if err := json.Unmarshal([]byte(made.body), &link); err != nil {
		t.Fatal(err)
	}
	_, slug, _ := strings.Cut(link.URL, "?auth=")
	if got := w.call(t, merchant.Anonymous, "POST", "/v1/shared-link/session", fmt.Sprintf(`{"slug":%q}`, slug), nil); got.status != 401 || !strings.Contains(got.body, `"password":true`) {
		t.Errorf("without the password: %d %s", got.status, got.body)
	}
	got := w.call(t, merchant.Anonymous, "POST", "/v1/shared-link/session", fmt.Sprintf(`{"slug":%q,"password":"open sesame"}`, slug), nil)
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	name, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	as := func(method, path, body string) reply {
		return w.call(t, merchant.Anonymous, method, path, body, map[string]string{"Cookie": name})
	}
	for _, path := range []string{"", "/months", "/goals", "/segments", "/properties", "/annotations", "/funnels", "/retention", "/heatmap", "/realtime", "/live", "/live/events", "/export/query?metrics=visitors&date_range=7d"} {
		if got := as("GET", "/v1/sites/shop.example"+path, ""); got.status != 200 {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
		if got := as("GET", "/v1/sites/theirs.example"+path, ""); got.status != 401 {
			t.Errorf("GET %s of another site: %d %s", path, got.status, got.body)
		}
	}
	if got := as("POST", "/api/v2/query", `{"site_id":"shop.example","metrics":["visitors"],"date_range":"day"}`); got.status != 200 {
		t.Errorf("query: %d %s", got.status, got.body)
	}
	// Whatever changes something, or shows more than figures, stays closed.
	for _, r := range n.Routes() {
		if r.Method == "GET" || r.CrossOrigin || r.Path == "/api/v2/query" || strings.HasPrefix(r.Path, "/v1/se") || strings.HasPrefix(r.Path, "/v1/shared-link") {
			continue
		}
		method, path, body := w.good(t, r, merchant.Anonymous)
		want := w.call(t, merchant.Anonymous, method, path, body, nil).status
		if got := as(method, path, body); got.status != want && !(got.status == 200 && readsOnly(r.Path)) {
			t.Errorf("%s %s: %d %s, without the link %d", method, path, got.status, got.body, want)
		}
	}
	for _, path := range []string{"/v1/sites", "/v1/overview", "/v1/users", "/v1/sites/shop.example/inspector", "/v1/sites/shop.example/reports", "/v1/sites/shop.example/shared-links", "/v1/sites/shop.example/drops"} {
		if got := as("GET", path, ""); got.status != 401 {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
	}
}

// readsOnly tells whether a route asks a question although its method is POST.
func readsOnly(path string) bool {
	for _, name := range []string{"/funnel", "/journeys", "/retention", "/heatmap", "/page", "/returning", "/export/query"} {
		if strings.HasSuffix(path, "{site}"+name) {
			return true
		}
	}
	return false
}

func TestAReportPageIsFramedOnlyWhereItIsShared(t *testing.T) {
	n := start(t)
	w := n.people()
	html := map[string]string{"Accept": "text/html"}
	for path, framed := range map[string]bool{"/share/shop.example?auth=x&embed=true&theme=dark": true, "/share/shop.example?auth=x": false, "/sites/shop.example?embed=true": false} {
		got := w.send(t, "GET", path, "", html)
		if is := strings.HasSuffix(got.header.Get("Content-Security-Policy"), "frame-ancestors *"); is != framed {
			t.Errorf("%s: policy %q", path, got.header.Get("Content-Security-Policy"))
		}
	}
}
