package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cmd/internal/config"
	"footfall/cmd/internal/local"
	"footfall/http/door"
	"footfall/http/merchant"
)

// otherKey is one more caller than package merchant has: a key that reads and
// writes, for another site of the same organisation.
const otherKey merchant.Caller = "key for another site"

func callers() []merchant.Caller { return append(merchant.Callers(), otherKey) }

// access has a line for every route of a node and, after the path, the status
// of a request that is good in itself and about a site that is not public, for
// each caller: anonymous, viewer, admin, owner, owner of another organisation;
// keys with stats:read, events:write, sites:provision; operator; key for another
// site. They come through a proxy, as strangers do.
const access = `
OPTIONS /api/event                       204 204 204 204 204 204 204 204 204 204
POST    /api/event                       202 202 202 202 202 202 202 202 202 202
GET     /pixel.gif                       200 200 200 200 200 200 200 200 200 200
POST    /v1/events                       401 403 403 403 403 403 202 403 202 403
GET     /js/{name}                       200 200 200 200 200 200 200 200 200 200

POST    /api/v2/query                    401 200 200 200 401 200 401 401 200 401
GET     /api/v1/stats/realtime/visitors  401 200 200 200 401 200 401 401 200 401
GET     /api/v1/stats/aggregate          401 200 200 200 401 200 401 401 200 401
GET     /api/v1/stats/timeseries         401 200 200 200 401 200 401 401 200 401
GET     /api/v1/stats/breakdown          401 200 200 200 401 200 401 401 200 401
GET     /v1/sites/{site}/months          401 200 200 200 401 200 401 401 200 401
GET     /v1/openapi.yaml                 200 200 200 200 200 200 200 200 200 200

GET     /api/v2/schema                                200 200 200 200 200 200 200 200 200 200
GET     /api/docs/query/schema.json                   200 200 200 200 200 200 200 200 200 200
POST    /v1/sites/{site}/funnel                       401 200 200 200 401 200 401 401 200 401
POST    /v1/sites/{site}/journeys                     401 200 200 200 401 200 401 401 200 401
GET     /v1/sites/{site}/retention                    401 200 200 200 401 200 401 401 200 401
POST    /v1/sites/{site}/retention                    401 200 200 200 401 200 401 401 200 401
GET     /v1/sites/{site}/heatmap                      401 200 200 200 401 200 401 401 200 401
POST    /v1/sites/{site}/heatmap                      401 200 200 200 401 200 401 401 200 401
GET     /v1/sites/{site}/realtime                     401 200 200 200 401 200 401 401 200 401
GET     /v1/sites/{site}/page                         401 200 200 200 401 200 401 401 200 401
POST    /v1/sites/{site}/page                         401 200 200 200 401 200 401 401 200 401
GET     /v1/sites/{site}/returning                    401 200 200 200 401 200 401 401 200 401
POST    /v1/sites/{site}/returning                    401 200 200 200 401 200 401 401 200 401
GET     /v1/sites/{site}/export/query                 401 200 200 200 401 200 401 401 200 401
POST    /v1/sites/{site}/export/query                 401 200 200 200 401 200 401 401 200 401
GET     /v1/sites/{site}/export/events                401 200 200 200 401 200 401 401 200 401

GET     /api/v1/sites                                 401 200 200 200 200 200 403 200 200 200
POST    /api/v1/sites                                 401 403 200 200 403 403 403 200 200 403
GET     /api/v1/sites/teams                           401 200 200 200 200 200 403 200 200 200
GET     /api/v1/sites/{site}                          401 200 200 200 404 200 404 200 200 404
PUT     /api/v1/sites/{site}                          401 403 200 200 404 403 404 200 200 404
DELETE  /api/v1/sites/{site}                          401 403 200 200 404 403 404 200 200 404
PUT     /api/v1/sites/shared-links                    401 403 200 200 404 403 404 200 200 404
GET     /api/v1/sites/goals                           401 200 200 200 404 200 404 200 200 404
PUT     /api/v1/sites/goals                           401 403 200 200 404 403 404 200 200 404
DELETE  /api/v1/sites/goals/{id}                      401 403 200 200 404 403 404 200 200 404
GET     /api/v1/sites/custom-props                    401 200 200 200 404 200 404 200 200 404
PUT     /api/v1/sites/custom-props                    401 403 200 200 404 403 404 200 200 404
DELETE  /api/v1/sites/custom-props/{property}         401 403 200 200 404 403 404 200 200 404
GET     /api/v1/sites/guests                          401 403 200 200 404 403 404 200 200 404
PUT     /api/v1/sites/guests                          401 403 200 200 404 403 404 200 200 404
DELETE  /api/v1/sites/guests/{email}                  401 403 200 200 404 403 404 200 200 404

GET     /v1/sites/{site}/segments                     401 200 200 200 404 200 403 200 200 403
GET     /v1/sites/{site}/segments/{id}                401 200 200 200 404 200 403 200 200 403
GET     /v1/sites/{site}/goals                        401 200 200 200 404 200 403 200 200 403
GET     /v1/sites/{site}/goals/{id}                   401 200 200 200 404 200 403 200 200 403
GET     /v1/sites/{site}/properties                   401 200 200 200 404 200 403 200 200 403
POST    /v1/sites/{site}/segments                     401 403 201 201 404 403 403 201 201 403
POST    /v1/sites/{site}/goals                        401 403 201 201 404 403 403 201 201 403
POST    /v1/sites/{site}/shared-links                 401 403 201 201 404 403 403 201 201 403
PUT     /v1/sites/{site}/segments/{id}                401 403 200 200 404 403 403 200 200 403
PUT     /v1/sites/{site}/goals/{id}                   401 403 200 200 404 403 403 200 200 403
PUT     /v1/sites/{site}/properties                   401 403 200 200 404 403 403 200 200 403
PUT     /v1/sites/{site}/properties/{property}        401 403 200 200 404 403 403 200 200 403
DELETE  /v1/sites/{site}/segments/{id}                401 403 204 204 404 403 403 204 204 403
DELETE  /v1/sites/{site}/goals/{id}                   401 403 204 204 404 403 403 204 204 403
DELETE  /v1/sites/{site}/properties/{property}        401 403 204 204 404 403 403 204 204 403
DELETE  /v1/sites/{site}/shared-links/{id}            401 403 204 204 404 403 403 204 204 403
GET     /v1/sites/{site}/shared-links                 401 403 200 200 404 403 403 200 200 403

GET     /v1/setup/{token}                404 404 404 404 404 404 404 404 404 404
POST    /v1/setup                        404 404 404 404 404 404 404 404 404 404
POST    /v1/session                      200 200 200 200 200 200 200 200 200 200
GET     /v1/session                      401 200 200 200 200 401 401 401 401 401
DELETE  /v1/session                      204 204 204 204 204 204 204 204 204 204
GET     /v1/sessions                     401 200 200 200 200 403 403 403 403 403
DELETE  /v1/sessions                     401 204 204 204 204 403 403 403 403 403
DELETE  /v1/sessions/{id}                401 404 404 404 404 403 403 403 403 403
PUT     /v1/password                     401 204 204 204 204 403 403 403 403 403
GET     /v1/second-factor                401 200 200 200 200 403 403 403 403 403
POST    /v1/second-factor                401 200 200 200 200 403 403 403 403 403
PUT     /v1/second-factor                401 200 200 200 200 403 403 403 403 403
DELETE  /v1/second-factor                401 204 204 204 204 403 403 403 403 403
GET     /v1/preferences                  401 200 200 200 200 403 403 403 403 403
PUT     /v1/preferences                  401 200 200 200 200 403 403 403 403 403
GET     /v1/orgs                         401 403 403 403 403 403 403 403 200 403
POST    /v1/orgs                         401 403 403 403 403 403 403 403 201 403
GET     /v1/users                        401 403 403 200 200 403 403 403 200 403
POST    /v1/users                        401 403 403 201 201 403 403 403 201 403
PUT     /v1/users/{id}                   401 403 403 200 404 403 403 403 200 403
DELETE  /v1/users/{id}                   401 403 403 204 404 403 403 403 204 403
DELETE  /v1/users/{id}/second-factor     401 403 403 204 404 403 403 403 204 403
GET     /v1/keys                         401 403 403 200 200 403 403 403 200 403
POST    /v1/keys                         401 403 403 201 201 403 403 403 201 403
DELETE  /v1/keys/{id}                    401 403 403 204 404 403 403 403 204 403
GET     /v1/overview                     401 200 200 200 200 200 403 403 200 200
GET     /v1/sites                        401 200 200 200 200 200 403 200 200 200
POST    /v1/sites                        401 403 201 201 201 403 403 201 201 403
GET     /v1/sites/{site}                 401 200 200 200 404 200 403 200 200 403
PUT     /v1/sites/{site}                 401 403 200 200 404 403 403 200 200 403
DELETE  /v1/sites/{site}                 401 403 204 204 404 403 403 204 204 403
GET     /v1/sites/{site}/live            401 200 200 200 404 200 403 403 200 403
GET     /v1/sites/{site}/live/events     401 200 200 200 404 200 403 403 200 403
GET     /v1/sites/{site}/inspector       401 200 200 200 404 200 403 403 200 403
GET     /v1/sites/{site}/check           401 200 200 200 404 200 403 200 200 403
GET     /v1/sites/{site}/reports         401 403 200 200 404 403 403 200 200 403
PUT     /v1/sites/{site}/reports         401 403 200 200 404 403 403 200 200 403
POST    /v1/shared-link/session          404 404 404 404 404 404 404 404 404 404
GET     /v1/sites/{site}/drops           401 200 200 200 404 200 403 403 200 403
GET     /v1/sites/{site}/seals           401 200 200 200 404 200 403 403 200 403
POST    /v1/sites/{site}/erase           401 403 200 200 404 403 403 403 200 403
GET     /v1/sites/{site}/guests                       401 403 200 200 404 403 403 200 200 403
GET     /v1/sites/{site}/annotations                  401 200 200 200 404 200 403 200 200 403
POST    /v1/sites/{site}/annotations                  401 201 201 201 404 403 403 201 201 403
PUT     /v1/sites/{site}/annotations/{id}             401 403 200 200 404 403 403 200 200 403
DELETE  /v1/sites/{site}/annotations/{id}             401 403 204 204 404 403 403 204 204 403
GET     /v1/sites/{site}/funnels                      401 200 200 200 404 200 403 200 200 403
POST    /v1/sites/{site}/funnels                      401 403 201 201 404 403 403 201 201 403
PUT     /v1/sites/{site}/funnels/{id}                 401 403 200 200 404 403 403 200 200 403
DELETE  /v1/sites/{site}/funnels/{id}                 401 403 204 204 404 403 403 204 204 403

GET     /healthz                         200 200 200 200 200 200 200 200 200 200
GET     /readyz                          200 200 200 200 200 200 200 200 200 200
GET     /metrics                         401 403 403 403 403 403 403 403 200 403

GET     /v1/cluster                      401 403 403 403 403 403 403 403 200 403
POST    /v1/cluster/verify               401 403 403 403 403 403 403 403 200 403
POST    /v1/cluster/shards/{shard}/batches 401 403 403 403 403 403 403 403 400 403
POST    /v1/cluster/gate                 401 403 403 403 403 403 403 403 409 403
POST    /v1/cluster/move                 401 403 403 403 403 403 403 403 409 403
POST    /v1/cluster/nodes/{node}/drain   401 403 403 403 403 403 403 403 409 403
POST    /v1/cluster/nodes/{node}/undrain 401 403 403 403 403 403 403 403 409 403
POST    /v1/cluster/nodes/{node}/remove  401 403 403 403 403 403 403 403 409 403
GET     /api/health                      200 200 200 200 200 200 200 200 200 200
GET     /api/system/health/live          200 200 200 200 200 200 200 200 200 200
GET     /api/system/health/ready         200 200 200 200 200 200 200 200 200 200

GET     /demo/{path:*}                   200 200 200 200 200 200 200 200 200 200
`

// accessTable gives the statuses by route.
func accessTable(t *testing.T) map[string]map[merchant.Caller]int {
	t.Helper()
	rows := map[string]map[merchant.Caller]int{}
	for line := range strings.Lines(access) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		row := map[merchant.Caller]int{}
		for i, caller := range callers() {
			status, err := strconv.Atoi(fields[2+i])
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			row[caller] = status
		}
		rows[fields[0]+" "+fields[1]] = row
	}
	return rows
}

// TestEveryRouteAnswersEveryCallerAsTheTableSays makes a good request to every
// route of a whole node as every caller. A new route fails it until somebody
// has decided who may use it.
func TestEveryRouteAnswersEveryCallerAsTheTableSays(t *testing.T) {
	n := startClustered(t)
	w := n.people()
	rows := accessTable(t)
	for _, theirs := range merchant.AccessTable() { // the door's own table says the same
		for caller, status := range theirs.Status {
			if got := rows[theirs.Method+" "+theirs.Path][caller]; got != status {
				t.Errorf("%s %s as %s: this table says %d, that of the door %d", theirs.Method, theirs.Path, caller, got, status)
			}
		}
	}
	for _, r := range n.Routes() {
		name := r.Method + " " + r.Path
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s has no row in the table: who may use it?", name)
			continue
		}
		delete(rows, name)
		for _, caller := range callers() {
			t.Run(name+" as "+string(caller), func(t *testing.T) {
				method, path, body := w.good(t, r, caller)
				got := w.call(t, caller, method, path, body, nil)
				if got.status != row[caller] {
					t.Fatalf("got %d %s, want %d", got.status, got.body, row[caller])
				}
				if got.status >= 400 && !strings.Contains(got.body, `"error":`) && !strings.Contains(got.body, `"reason":`) {
					t.Errorf("a refusal without a reason: %s", got.body)
				}
				if r.Method == "GET" && (caller == merchant.Stranger || caller == otherKey || caller == merchant.Anonymous) && strings.Contains(got.body, w.site.Domain) {
					t.Errorf("the caller learns of the site: %s", got.body)
				}
			})
		}
	}
	for left := range rows {
		t.Errorf("the table has a row for %s, which is not a route", left)
	}
}

// TestAnotherSitesPageCannotUseASession: what changes something is refused to
// pages of other origins, whoever is signed in.
func TestAnotherSitesPageCannotUseASession(t *testing.T) {
	n := start(t)
	w := n.people()
	for _, r := range n.Routes() {
		if r.CrossOrigin || r.Method == "GET" {
			continue
		}
		for _, from := range []map[string]string{
			{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
		} {
			method, path, body := w.good(t, r, merchant.Owner)
			if got := w.call(t, merchant.Owner, method, path, body, from); got.status != http.StatusForbidden {
				t.Errorf("%s %s from %v: got %d %s", method, path, from, got.status, got.body)
			}
		}
	}
	for _, from := range []map[string]string{{"Origin": n.url}, {"Sec-Fetch-Site": "same-origin"}} {
		if got := w.call(t, merchant.Owner, "POST", "/v1/sites", fmt.Sprintf(`{"domain":"own-%d.example","timezone":"UTC"}`, w.next()), from); got.status != http.StatusCreated {
			t.Errorf("from %v: got %d %s", from, got.status, got.body)
		}
	}
}

// TestMetricsAreForTheMachineItself: a program beside the node reads them
// without a token, a page in a browser there does not.
func TestMetricsAreForTheMachineItself(t *testing.T) {
	n := start(t)
	w := n.people()
	for _, c := range []struct {
		header map[string]string
		status int
	}{
		{nil, 200},
		{map[string]string{"Host": "footfall.example"}, 401},
		{map[string]string{"X-Forwarded-For": "127.0.0.1"}, 401},
		{map[string]string{"Forwarded": "for=127.0.0.1"}, 401},
	} {
		if got := w.send(t, "GET", "/metrics", "", c.header); got.status != c.status {
			t.Errorf("with %v: got %d, want %d", c.header, got.status, c.status)
		}
	}
}

// running is a node that serves.
type running struct {
	*Node
	t   *testing.T
	url string
}

// start opens a node on an empty directory and runs it until the test ends.
func start(t *testing.T) *running {
	t.Helper()
	return startWith(t, nil)
}

// startClustered does it with the first node of a cluster.
func startClustered(t *testing.T) *running {
	t.Helper()
	return startWith(t, map[string]string{"cluster-listen": "127.0.0.1:0"})
}

func startWith(t *testing.T, more map[string]string) *running {
	t.Helper()
	flags := map[string]string{"data": t.TempDir(), "listen": "127.0.0.1:0", "rate-limit-address": "0"}
	maps.Copy(flags, more)
	cfg, err := config.Load(flags, nil, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler), func(*Node) []door.Route { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	started := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, func(string) { close(started) }) }()
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		if err := <-ended; err != nil {
			t.Errorf("the node ended with: %v", err)
		}
	})
	select {
	case <-started:
	case err := <-ended:
		ended <- err
		t.Fatalf("the node did not start: %v", err)
	}
	return &running{n, t, n.URL()}
}

// world is an organisation with people, keys and sites, and another one, on a
// node.
type world struct {
	n      *running
	site   *analytics.Site
	user   map[merchant.Caller]*accounts.User
	key    map[merchant.Caller]string
	hash   string // of password
	ours   uint64
	mu     sync.Mutex
	number int
}

const password = "a fine long sentence"

// next numbers things that must have names of their own.
func (w *world) next() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number++
	return w.number
}

func (n *running) do(change accounts.Change) accounts.Result {
	n.t.Helper()
	out, err := n.control.Do(n.t.Context(), change)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

func (n *running) people() *world {
	n.t.Helper()
	token, err := local.Token(n.cfg.Data)
	if err != nil {
		n.t.Fatal(err)
	}
	w := &world{n: n, user: map[merchant.Caller]*accounts.User{}, key: map[merchant.Caller]string{merchant.Operator: token}}
	if w.hash, err = n.control.HashPassword(n.t.Context(), password); err != nil {
		n.t.Fatal(err)
	}
	w.ours = n.do(&accounts.CreateOrg{Name: "Ours"}).Org.ID
	theirs := n.do(&accounts.CreateOrg{Name: "Theirs"}).Org.ID
	for caller, role := range map[merchant.Caller]accounts.Role{merchant.Viewer: accounts.Viewer, merchant.Admin: accounts.Admin, merchant.Owner: accounts.Owner} {
		w.user[caller] = w.addUser(w.ours, role)
	}
	w.user[merchant.Stranger] = w.addUser(theirs, accounts.Owner)
	w.site = w.addSite(w.ours, "shop.example")
	w.addSite(theirs, "theirs.example")
	second := w.addSite(w.ours, "second.example")
	for caller, scope := range map[merchant.Caller]accounts.Scope{merchant.ReadKey: accounts.StatsRead, merchant.WriteKey: accounts.EventsWrite, merchant.ProvisionKey: accounts.SitesProvision} {
		w.key[caller] = w.addKey(0, scope)
	}
	w.key[otherKey] = w.addKey(second.ID, accounts.StatsRead, accounts.EventsWrite)
	return w
}

func (w *world) addUser(org uint64, role accounts.Role) *accounts.User {
	w.n.t.Helper()
	return w.n.do(&accounts.CreateUser{Org: org, Email: fmt.Sprintf("user%d@example.com", w.next()), Name: "N", Role: role, PasswordHash: w.hash}).User
}

func (w *world) addSite(org uint64, domain string) *analytics.Site {
	w.n.t.Helper()
	return w.n.do(&accounts.CreateSite{Org: org, Domain: domain, Timezone: "Europe/Berlin", Secret: accounts.Secret{1}}).Site
}

func (w *world) addKey(site analytics.SiteID, scopes ...accounts.Scope) (key string) {
	w.n.t.Helper()
	key = fmt.Sprintf("ff_key%d", w.next())
	w.n.do(&accounts.CreateKey{Org: w.ours, Site: site, Name: key, Scopes: scopes, Hash: accounts.HashOf([]byte(key))})
	return key
}

// good makes a request to r that the right caller may make. What it removes is
// made for it.
func (w *world) good(t *testing.T, r door.Route, caller merchant.Caller) (method, path, body string) {
	t.Helper()
	site := w.site.Domain
	path, _, _ = strings.Cut(r.Path, "{path")
	number := w.next()
	switch name := r.Method + " " + r.Path; {
	case name == "DELETE /v1/sites/{site}":
		site = w.addSite(w.ours, fmt.Sprintf("gone-%d.example", number)).Domain
	case r.Path == "/v1/users/{id}/second-factor":
		user := w.addUser(w.ours, accounts.Viewer)
		w.factor(user, true)
		path = fmt.Sprintf("/v1/users/%d/second-factor", user.ID)
	case r.Path == "/v1/users/{id}":
		path = fmt.Sprintf("/v1/users/%d", w.addUser(w.ours, accounts.Viewer).ID)
	case name == "DELETE /v1/keys/{id}":
		hash := accounts.HashOf([]byte(w.addKey(0, accounts.StatsRead)))
		key, ok := w.n.control.View().KeyByHash(&hash)
		if !ok {
			t.Fatal("a new key is not known")
		}
		path = fmt.Sprintf("/v1/keys/%d", key.ID)
	case strings.HasPrefix(path, "/api/v1/stats/"):
		path += "?site_id=" + site + "&property=event:page"
	case path == "/pixel.gif":
		path += "?p=/&site=" + site
	}
	id, sited := w.thing(t, r, number)
	if r.Method == "DELETE" && r.Path == "/api/v1/sites/{site}" {
		site = w.addSite(w.ours, fmt.Sprintf("gone-%d.example", number)).Domain
	}
	if strings.HasPrefix(path, "/api/v1/sites/") && r.Method != "PUT" && !strings.Contains(path, "{site}") {
		path += "?site_id=" + site
	}
	if query, ok := map[string]string{"page": "page=/", "export/query": "metrics=visitors&date_range=7d", "export/events": "date_range=7d"}[strings.TrimPrefix(path, "/v1/sites/{site}/")]; ok && r.Method == "GET" {
		path += "?" + query
	}
	path = strings.NewReplacer("{site}", site, "{token}", "nonsense", "{node}", "1", "{name}", "script.js", "{id}", id, "{property}", sited, "{email}", sited).Replace(path)
	body = map[string]string{
		"POST /api/event":       `{"n":"pageview","u":"https://` + site + `/","d":"` + site + `"}`,
		"POST /v1/events":       `{"site":"` + site + `","url":"https://` + site + `/","visitor":"v"}`,
		"POST /api/v2/query":    `{"site_id":"` + site + `","metrics":["visitors"],"date_range":"7d"}`,
		"POST /v1/cluster/move": `{"shard":0,"from":1,"to":1}`,

		"POST /v1/setup":       `{"token":"nonsense","email":"a@b.cc","name":"A","password":"` + password + `"}`,
		"POST /v1/session":     `{"email":"` + w.user[merchant.Viewer].Email + `","password":"` + password + `"}`,
		"PUT /v1/password":     `{"current":"` + password + `","password":"another fine sentence"}`,
		"POST /v1/orgs":        `{"name":"Third"}`,
		"POST /v1/users":       fmt.Sprintf(`{"email":"new%d@example.com","name":"New","password":%q,"role":"viewer"}`, number, password),
		"POST /v1/keys":        `{"name":"new","scope":"stats:read"}`,
		"POST /v1/sites":       fmt.Sprintf(`{"domain":"new-%d.example","timezone":"Europe/Berlin"}`, number),
		"PUT /v1/sites/{site}": `{"timezone":"Europe/Berlin"}`,

		"POST /v1/sites/{site}/funnel":       `{"steps":[{"page":"/"},{"page":"/a"}]}`,
		"POST /v1/sites/{site}/journeys":     `{}`,
		"POST /v1/sites/{site}/retention":    `{}`,
		"POST /v1/sites/{site}/heatmap":      `{}`,
		"POST /v1/sites/{site}/page":         `{"page":"/"}`,
		"POST /v1/sites/{site}/returning":    `{}`,
		"POST /v1/sites/{site}/export/query": `{"metrics":["visitors"],"date_range":"7d"}`,

		"POST /api/v1/sites":                 fmt.Sprintf(`{"domain":"api-%d.example","team_id":"%d"}`, number, w.ours),
		"PUT /api/v1/sites/{site}":           `{"tracker_script_configuration":{"outbound_links":true}}`,
		"PUT /api/v1/sites/shared-links":     fmt.Sprintf(`{"site_id":%q,"name":"Link %d"}`, site, number),
		"PUT /api/v1/sites/goals":            fmt.Sprintf(`{"site_id":%q,"goal_type":"event","event_name":"Goal %d"}`, site, number),
		"PUT /api/v1/sites/custom-props":     fmt.Sprintf(`{"site_id":%q,"property":"prop%d"}`, site, number),
		"PUT /api/v1/sites/guests":           fmt.Sprintf(`{"site_id":%q,"email":"guest%d@example.com","role":"viewer"}`, site, number),
		"POST /v1/sites/{site}/segments":     fmt.Sprintf(`{"name":"New %d","type":"site","segment_data":{"filters":[["is","visit:country",["FR"]]]}}`, number),
		"PUT /v1/sites/{site}/segments/{id}": fmt.Sprintf(`{"name":"Renamed %d"}`, number),
		"POST /v1/sites/{site}/goals":        fmt.Sprintf(`{"goal_type":"event","event_name":"Goal %d"}`, number),
		"PUT /v1/sites/{site}/goals/{id}":    fmt.Sprintf(`{"goal_type":"event","event_name":"Renamed %d"}`, number),
		"PUT /v1/sites/{site}/properties":    fmt.Sprintf(`{"properties":["a%d"]}`, number),
		"POST /v1/sites/{site}/shared-links": fmt.Sprintf(`{"name":"Link %d"}`, number),

		"POST /v1/sites/{site}/erase": `{"visitor":"nobody"}`,

		"POST /v1/shared-link/session": `{"slug":"nonsense"}`,
		"PUT /v1/sites/{site}/reports": `{"weekly":{"emails":["a@b.example"],"webhooks":["https://hooks.example/x"]},"monthly":{"emails":["c@d.example"]}}`,

		"POST /v1/second-factor":                fmt.Sprintf(`{"password":%q}`, password),
		"PUT /v1/second-factor":                 fmt.Sprintf(`{"code":%q}`, factorCode()),
		"DELETE /v1/second-factor":              fmt.Sprintf(`{"password":%q,"code":%q}`, password, factorCode()),
		"PUT /v1/preferences":                   fmt.Sprintf(`{"pinned":[%q],"groups":[{"name":"All","sites":[%q]}],"theme":"dark","language":"de","week_start":"monday"}`, site, site),
		"PUT /v1/users/{id}":                    `{"role":"admin"}`,
		"POST /v1/sites/{site}/annotations":     `{"date":"2026-11-02","text":"Sale"}`,
		"PUT /v1/sites/{site}/annotations/{id}": `{"text":"Sale ends"}`,
		"POST /v1/sites/{site}/funnels":         fmt.Sprintf(`{"name":"Funnel %d","steps":[{"page":"/","scroll":50},{"event":"Signup","props":{"plan":"pro"}}],"window":"7d"}`, number),
		"PUT /v1/sites/{site}/funnels/{id}":     fmt.Sprintf(`{"name":"Renamed %d"}`, number),
	}[r.Method+" "+r.Path]
	if r.Method == "PUT" && r.Path == "/v1/password" && w.user[caller] != nil { // whatever it was changed to before
		w.n.do(&accounts.SetPassword{User: w.user[caller].ID, PasswordHash: w.hash})
	}
	if user := w.user[caller]; r.Path == "/v1/second-factor" && user != nil {
		w.n.do(&accounts.SetPassword{User: user.ID, PasswordHash: w.hash})
		w.factor(user, r.Method == "DELETE")
		if r.Method == "GET" || r.Method == "POST" {
			w.noFactor(user)
		}
	}
	if r.Method == "POST" && r.Path == "/v1/session" {
		w.noFactor(w.user[merchant.Viewer])
		w.n.do(&accounts.SetPassword{User: w.user[merchant.Viewer].ID, PasswordHash: w.hash})
	}
	return r.Method, path, body
}

// factorSecret is that of every second factor here.
var factorSecret = accounts.TOTPSecret([]byte("12345678901234567890"))

// factorCode is a code that is good now and for half a minute more.
func factorCode() string { return factorSecret.Code(uint64(time.Now().Unix()/30 + 1)) }

// factor offers a user a second factor, and enables it.
func (w *world) factor(user *accounts.User, enable bool) {
	w.n.t.Helper()
	w.noFactor(user)
	w.n.do(&accounts.OfferSecondFactor{User: user.ID, Secret: factorSecret})
	if enable {
		w.n.do(&accounts.ConfirmSecondFactor{User: user.ID, Offer: accounts.HashOf(factorSecret[:]), Step: 1})
	}
}

// noFactor removes the second factor that a user has.
func (w *world) noFactor(user *accounts.User) {
	w.n.t.Helper()
	if _, has := w.n.control.View().SecondFactor(user.ID); has {
		w.n.do(&accounts.RemoveSecondFactor{User: user.ID})
	}
}

// thing makes what a request about one thing of the site is about: its id, or its
// name.
func (w *world) thing(t *testing.T, r door.Route, number int) (id, name string) {
	t.Helper()
	site := w.site.ID
	switch {
	case strings.Contains(r.Path, "/goals/{id}"):
		g := w.n.do(&accounts.PutGoal{Site: site, Goal: accounts.GoalDef{Kind: analytics.GoalEvent, Event: fmt.Sprintf("Made %d", number)}}).Goal
		return fmt.Sprint(g.ID), ""
	case strings.Contains(r.Path, "/segments/{id}"):
		s := w.n.do(&accounts.CreateSegment{Site: site, Name: fmt.Sprintf("Made %d", number), Data: `{"filters":[["is","visit:country",["DE"]]]}`}).Segment
		return fmt.Sprint(s.ID), ""
	case strings.Contains(r.Path, "/annotations/{id}"):
		return fmt.Sprint(w.n.do(&accounts.CreateAnnotation{Site: site, Date: "2026-11-02", Text: "Made"}).Annotation.ID), ""
	case strings.Contains(r.Path, "/funnels/{id}"):
		f := w.n.do(&accounts.CreateFunnel{Site: site, Name: fmt.Sprintf("Made %d", number), Steps: []accounts.FunnelStep{{Page: "/"}, {Page: "/a"}}}).Funnel
		return fmt.Sprint(f.ID), ""
	case strings.Contains(r.Path, "/shared-links/{id}"):
		slug, err := w.n.control.NewSecret()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(w.n.do(&accounts.PutSharedLink{Site: site, Name: fmt.Sprintf("Made %d", number), Slug: slug}).Link.ID), ""
	case strings.Contains(r.Path, "{property}"):
		name = fmt.Sprintf("made%d", number)
		w.n.do(&accounts.ChangeProperties{Site: site, Add: []string{name}})
	case strings.Contains(r.Path, "{email}"):
		name = fmt.Sprintf("made%d@example.com", number)
		w.n.do(&accounts.PutGuest{Site: site, Email: name})
	}
	return "1", name
}

type reply struct {
	status int
	body   string
	header http.Header
}

// call sends a request as caller, through a proxy that speaks TLS. People have a
// session of their own for every request, because some end it.
func (w *world) call(t *testing.T, caller merchant.Caller, method, path, body string, more map[string]string) reply {
	t.Helper()
	header := map[string]string{"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
	if key := w.key[caller]; key != "" {
		header["Authorization"] = "Bearer " + key
	}
	if user := w.user[caller]; user != nil {
		id, err := w.n.control.NewSecret()
		if err != nil {
			t.Fatal(err)
		}
		w.n.do(&accounts.OpenProvenSession{Session: accounts.OpenSession{User: user.ID, Hash: accounts.HashOf([]byte(id)), Agent: "test", Expires: time.Now().Add(time.Hour).UnixMilli()}})
		header["Cookie"] = "__Host-footfall=" + id
	}
	for name, value := range more {
		header[name] = value
	}
	return w.send(t, method, path, body, header)
}

func (w *world) send(t *testing.T, method, path, body string, header map[string]string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.n.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	req.Host = header["Host"]
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return reply{resp.StatusCode, "", resp.Header} // it has no end
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && len(text) > 0 && !json.Valid(text) {
		t.Errorf("%s %s: not JSON: %s", method, path, text)
	}
	return reply{resp.StatusCode, string(text), resp.Header}
}
