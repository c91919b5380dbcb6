package report

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
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
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
	"footfall/analytics/site"
	"footfall/http/door"
	"footfall/http/partner"
)

// house is a real site behind the real words of the Stats API: what is counted is
// what was sent.
type house struct {
	t       testing.TB
	door    *Door
	machine *site.Machine
	lexicon *session.Lexicon
	index   uint64
	now     time.Time
	sites   map[string]*analytics.Site
	goals   []*analytics.Goal
	looks   int
	fail    error // of Look
	spec    routers.Router
}

func (h *house) Site(domain []byte) (*analytics.Site, bool) {
	s, ok := h.sites[string(domain)]
	return s, ok
}

func (h *house) Goals(analytics.SiteID) []*analytics.Goal { return h.goals }

func (h *house) Segment(analytics.SiteID, uint64) (*analytics.Segment, bool) { return nil, false }

func (h *house) FirstEvent(analytics.SiteID) (int64, bool, error) {
	first := h.machine.View().First
	return first, first != 0, nil
}

func (h *house) Look(ctx context.Context, _ analytics.SiteID, _ analytics.Token, f func(context.Context, *query.Picture) error) error {
	h.looks++
	if h.fail != nil {
		return h.fail
	}
	return f(ctx, &query.Picture{View: h.machine.View(), Days: h})
}

func (h *house) Lexicon() *session.Lexicon { return h.lexicon }

func (h *house) Day(ctx context.Context, view *site.View, day int32) (*session.Day, error) {
	return session.Build(ctx, view, day, noBlocks{}, h.lexicon)
}

func (h *house) Recall(string) (any, bool) { return nil, false }

func (h *house) Remember(string, any, int) {}

// noBlocks is enough for a site that was never flushed.
type noBlocks struct{ session.Blocks }

func (noBlocks) Events(context.Context, analytics.SiteID, site.Ref) (*column.Events, error) {
	return nil, io.ErrUnexpectedEOF
}

func instant(t testing.TB, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

// newHouse has the time now, Wednesday 2026-05-13 14:30 in Berlin.
func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, machine: site.New(1), lexicon: session.NewLexicon(), now: time.UnixMilli(instant(t, "2026-05-13T12:30:00Z")), spec: specification(t)}
	h.sites = map[string]*analytics.Site{}
	for _, s := range []analytics.Site{
		{ID: 1, Domain: "example.com", Timezone: "Europe/Berlin", Org: 1},
		{ID: 2, Domain: "public.test", Timezone: "UTC", Org: 2, Public: true},
		{ID: 3, Domain: "monthly.test", Timezone: "UTC", Org: 1, Uniques: analytics.UniquesMonthly},
		{ID: 4, Domain: "weekly.test", Timezone: "UTC", Org: 1, Uniques: analytics.UniquesWeekly},
	} {
		zoned, err := s.WithZone()
		if err != nil {
			t.Fatal(err)
		}
		h.sites[s.Domain] = zoned
	}
	clock := func() time.Time { return h.now }
	words := partner.New(partner.Config{Directory: h, First: h, Clock: clock, RequestsPerHour: -1})
	h.door = New(Config{Dialect: words, Looker: h, Goals: h, Clock: clock, ServedBy: "n1"})
	return h
}

// send counts an event at a local time of Berlin, "2026-05-12 10:00:00".
func (h *house) send(at string, e analytics.Event) {
	h.t.Helper()
	zone := h.sites["example.com"].Zone()
	when, err := time.ParseInLocation("2006-01-02 15:04:05", at, zone)
	if err != nil {
		h.t.Fatal(err)
	}
	h.index++
	e.Time, e.ID, e.Explicit = when.UnixMilli(), h.index, true
	if e.Page == "" {
		e.Page = "/"
	}
	if e.Kind != analytics.Engagement {
		e.ScrollDepth = analytics.ScrollNone
	}
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, h.now.UnixMilli(), 1, 0, h.index)
	rd, err := entry.Open(entry.AppendEvent(buf, 1, &e))
	if err != nil {
		h.t.Fatal(err)
	}
	items, out := make([]entry.Item, 1), make([]analytics.Reason, 1)
	if ok, err := rd.Next(&items[0]); !ok || err != nil {
		h.t.Fatal(ok, err)
	}
	if h.machine.Step(h.index, rd.Time, items, out); out[0] != analytics.Counted {
		h.t.Fatalf("%s: %s", at, out[0])
	}
}

// view is a page view of a visitor.
func (h *house) view(at string, visitor uint64, page string) {
	h.t.Helper()
	h.send(at, analytics.Event{Visitor: visitor, Page: page})
}

var loadSpecification = sync.OnceValues(func() (routers.Router, error) {
	text, err := os.ReadFile(filepath.Join("..", "partner", "openapi.yaml"))
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
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

var reader = accounts.Identity{Org: 1, Key: 7, Scopes: []accounts.Scope{accounts.StatsRead}}

type response struct {
	status int
	body   string
	header http.Header
}

// call sends a request through the route's handler and holds it and its answer
// against openapi.yaml; a refused request need not conform.
func (h *house) call(who accounts.Identity, method, target, body string, header ...string) response {
	h.t.Helper()
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
	for _, r := range h.door.Routes() {
		prefix, suffix, _ := strings.Cut(r.Path, "{site}")
		if r.Method != method || !strings.HasPrefix(path, prefix) || !strings.HasSuffix(path, suffix) {
			continue
		}
		ctx.SetUserValue("site", strings.TrimSuffix(strings.TrimPrefix(path, prefix), suffix))
		if err := r.Handler(&ctx, who); err != nil {
			door.WriteError(&ctx, err)
		}
		out := response{status: ctx.Response.StatusCode(), body: string(ctx.Response.Body()), header: http.Header{}}
		for k, v := range ctx.Response.Header.All() {
			out.header.Add(string(k), string(v))
		}
		h.conforms(method, target, body, header, out)
		return out
	}
	h.t.Fatalf("no route for %s %s", method, path)
	return response{}
}

func (h *house) conforms(method, target, body string, header []string, got response) {
	h.t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	route, params, err := h.spec.FindRoute(req)
	if err != nil {
		h.t.Fatalf("%s %s is not in openapi.yaml: %v", method, target, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if got.status == http.StatusOK {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			h.t.Errorf("%s %s %s: answered 200, but openapi.yaml: %v", method, target, body, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.header,
		Body: io.NopCloser(bytes.NewReader([]byte(got.body))), Options: in.Options}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		h.t.Errorf("%s %s: the answer %d %s is not as openapi.yaml says: %v", method, target, got.status, got.body, err)
	}
}

func (h *house) post(report, body string) response {
	h.t.Helper()
	return h.call(reader, "POST", "/v1/sites/example.com/"+report, body)
}

func (h *house) get(report string) response {
	h.t.Helper()
	return h.call(reader, "GET", "/v1/sites/example.com/"+report, "")
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

// part gives members of an answer as compact JSON, "" where one is missing.
func (r response) part(t testing.TB, path ...string) string {
	t.Helper()
	if r.status != 200 {
		t.Fatalf("answered %d %s", r.status, r.body)
	}
	text := json.RawMessage(r.body)
	for _, name := range path {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatalf("%s of %s: %v", name, text, err)
		}
		text = m[name]
	}
	return string(text)
}
