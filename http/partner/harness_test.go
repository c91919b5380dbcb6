package partner

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
	"footfall/http/door"
)

// fakeAsker answers by a function and remembers what it was asked.
type fakeAsker struct {
	asked  []*query.Question
	after  []analytics.Token
	answer func(n int, q *query.Question) (*query.Answer, error)
}

func (f *fakeAsker) Ask(_ context.Context, _ analytics.SiteID, q *query.Question, after analytics.Token) (*query.Answer, error) {
	f.asked, f.after = append(f.asked, q), append(f.after, after)
	return f.answer(len(f.asked)-1, q)
}

type sites map[string]*analytics.Site

func (s sites) Site(domain []byte) (*analytics.Site, bool) {
	site, ok := s[string(domain)]
	return site, ok
}

// catalog is the sites with what is defined for site 1.
type catalog struct {
	sites
	goals    []*analytics.Goal
	segments map[uint64]*analytics.Segment
}

func (c *catalog) Goals(site analytics.SiteID) []*analytics.Goal {
	if site != 1 {
		return nil
	}
	return c.goals
}

func (c *catalog) Segment(site analytics.SiteID, id uint64) (*analytics.Segment, bool) {
	s, ok := c.segments[id]
	return s, ok && s.Site == site
}

// define gives example.com goals and segments.
func (w *world) define() *world {
	w.catalog.goals = []*analytics.Goal{
		{ID: 1, Site: 1, Kind: analytics.GoalEvent, Name: "Signup", Event: "Signup"},
		{ID: 2, Site: 1, Kind: analytics.GoalPage, Name: "Visit /blog/**", Page: "/blog/**"},
		{ID: 3, Site: 1, Kind: analytics.GoalEvent, Name: "Purchase", Event: "Purchase", Currency: "EUR"},
		{ID: 4, Site: 1, Kind: analytics.GoalEvent, Name: "Donation", Event: "Donation", Currency: "USD"},
		{ID: 5, Site: 1, Kind: analytics.GoalEvent, Name: "Purchase of a friend", Event: "Purchase2", Currency: "EUR"},
		{ID: 6, Site: 1, Kind: analytics.GoalScroll, Name: "Read | all; of it", Page: "/", Scroll: 90},
	}
	segment := func(id uint64, personal bool, owner uint64, filters string) {
		w.catalog.segments[id] = &analytics.Segment{ID: id, Site: 1, Personal: personal, Owner: owner, Data: `{"filters":` + filters + `,"labels":{}}`}
	}
	segment(11, false, 3, `[["is","visit:country",["DE"]]]`)
	segment(12, false, 0, `[["is","visit:os",["Mac"]],["contains","event:page",["/a"],{"case_sensitive":false}]]`)
	segment(13, true, 3, `[["is","visit:city",[2950159]]]`)
	segment(14, true, 0, `[["is","visit:os",["iOS"]]]`)
	segment(15, false, 3, `[["is","event:goal",["Signup"]],["is","event:hostname",["a.com"]]]`)
	segment(16, false, 3, `[["is","segment",[11]]]`)
	segment(17, false, 3, `[]`)
	segment(18, false, 3, `{`)
	segment(19, false, 3, `[["is","event:goal",["Gone"]]]`)
	w.catalog.segments[20] = &analytics.Segment{ID: 20, Site: 2, Data: `{"filters":[["is","visit:os",["Mac"]]]}`}
	return w
}

// goalNames lists the names of goals.
func goalNames(goals []*query.Goal) []string {
	var out []string
	for _, g := range goals {
		out = append(out, g.Name)
	}
	return out
}

type firstEvents map[analytics.SiteID]int64

func (f firstEvents) FirstEvent(site analytics.SiteID) (int64, bool, error) {
	ms, ok := f[site]
	return ms, ok, nil
}

// world is a door with two sites of organisation 1 and one that is public.
type world struct {
	t       testing.TB
	door    *Door
	asker   *fakeAsker
	counted *counted
	sites   sites
	catalog *catalog
	firsts  firstEvents
	now     time.Time
	spec    routers.Router
}

func site(t testing.TB, id analytics.SiteID, domain, zone string, org uint64, public bool) *analytics.Site {
	t.Helper()
	s, err := analytics.Site{ID: id, Domain: domain, Timezone: zone, Org: org, Public: public}.WithZone()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newWorld has the time now, Wednesday 2026-05-13 14:30 in Berlin.
func newWorld(t testing.TB, rows ...query.Row) *world {
	t.Helper()
	w := &world{t: t, firsts: firstEvents{1: at(t, "2026-02-10T08:00:00Z")}, now: time.UnixMilli(at(t, "2026-05-13T12:30:00Z"))}
	w.sites = sites{
		"example.com":   site(t, 1, "example.com", "Europe/Berlin", 1, false),
		"public.test":   site(t, 2, "public.test", "UTC", 2, true),
		"elsewhere.org": site(t, 3, "elsewhere.org", "UTC", 3, false),
	}
	w.asker = &fakeAsker{answer: func(int, *query.Question) (*query.Answer, error) {
		return &query.Answer{Rows: rows, TotalRows: len(rows), Index: 77}, nil
	}}
	w.catalog = &catalog{sites: w.sites, segments: map[uint64]*analytics.Segment{}}
	w.counted = newCounted(t)
	w.door = New(Config{Asker: w.asker, Looker: w.counted, Directory: w.catalog, First: w.firsts, Clock: func() time.Time { return w.now },
		ServedBy: "node-1", RequestsPerHour: -1})
	w.spec = specification(t)
	return w
}

func at(t testing.TB, s string) int64 {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UnixMilli()
}

// loadSpecification reads openapi.yaml once for all tests.
var loadSpecification = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

func specification(t testing.TB) routers.Router {
	t.Helper()
	router, err := loadSpecification()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return router
}

var key = accounts.Identity{Org: 1, Key: 7, Scopes: []accounts.Scope{accounts.StatsRead}}

// response is what came back.
type response struct {
	status int
	body   string
	header http.Header
}

// call sends a request through the route's handler and holds the answer, and
// a request that was answered 200, against openapi.yaml.
func (w *world) call(who accounts.Identity, method, target, body string, header ...string) response {
	w.t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(target)
	if body != "" {
		ctx.Request.SetBodyString(body)
		ctx.Request.Header.SetContentType("application/json")
	}
	if !who.Anonymous() {
		ctx.Request.Header.Set("Authorization", "Bearer ff_test")
	}
	for i := 0; i+1 < len(header); i += 2 {
		ctx.Request.Header.Set(header[i], header[i+1])
	}
	path := string(ctx.Path())
	for _, r := range w.door.Routes() {
		if r.Method != method {
			continue
		}
		prefix, suffix, named := strings.Cut(r.Path, "{site}")
		if named && strings.HasPrefix(path, prefix) && strings.HasSuffix(path, suffix) {
			ctx.SetUserValue("site", strings.TrimSuffix(strings.TrimPrefix(path, prefix), suffix))
		} else if r.Path != path {
			continue
		}
		if err := r.Handler(&ctx, who); err != nil {
			door.WriteError(&ctx, err)
		}
		out := response{status: ctx.Response.StatusCode(), body: string(ctx.Response.Body()), header: http.Header{}}
		for k, v := range ctx.Response.Header.All() {
			out.header.Add(string(k), string(v))
		}
		w.conforms(method, target, body, header, out)
		return out
	}
	w.t.Fatalf("no route for %s %s", method, path)
	return response{}
}

func (w *world) conforms(method, target, body string, header []string, got response) {
	w.t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	route, params, err := w.spec.FindRoute(req)
	if err != nil {
		w.t.Fatalf("%s %s is not in openapi.yaml: %v", method, target, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if got.status == http.StatusOK {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			w.t.Errorf("%s %s %s: answered 200, but openapi.yaml: %v", method, target, body, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.header,
		Body: io.NopCloser(bytes.NewReader([]byte(got.body))), Options: in.Options}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		w.t.Errorf("%s %s: the answer %d %s is not as openapi.yaml says: %v", method, target, got.status, got.body, err)
	}
}

func (w *world) query(body string) response {
	w.t.Helper()
	return w.call(key, "POST", "/api/v2/query", body)
}

func num(x ...float64) []query.Value {
	var out []query.Value
	for _, v := range x {
		out = append(out, query.Value{Number: v})
	}
	return out
}

// problem reads the text of an error's body.
func (r response) problem(t testing.TB) string {
	t.Helper()
	var body map[string]string
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || len(body) != 1 {
		t.Fatalf("no error body: %s", r.body)
	}
	return body["error"]
}
