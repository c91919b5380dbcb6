package provision

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/router"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// house is the control group without log and store.
type house struct {
	mu      sync.Mutex
	state   *accounts.State
	now     int64
	secrets uint64
	refuse  error
}

func (h *house) View() *accounts.View {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.View()
}

// Do writes a change and reads it back, as the log does.
func (h *house) Do(_ context.Context, change accounts.Change) (accounts.Result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return accounts.Result{}, h.refuse
	}
	if err := change.Check(); err != nil {
		return accounts.Result{}, err
	}
	h.now += 1000
	wire, err := accounts.Command{At: h.now, Change: change}.Append(nil)
	if err != nil {
		return accounts.Result{}, err
	}
	read, err := accounts.DecodeCommand(wire)
	if err != nil {
		return accounts.Result{}, err
	}
	out := h.state.Apply(read)
	return out, out.Err
}

func (h *house) NewSecret() (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets++
	raw := accounts.HashOf(binary.BigEndian.AppendUint64(nil, h.secrets))
	return base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

func (h *house) HashPassword(_ context.Context, p string) (string, error) { return "hash of " + p, nil }

func (h *house) SiteSecret() (accounts.Secret, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets++
	return accounts.Secret{1, byte(h.secrets)}, nil
}

// caller is a kind of caller of the table of rights.
type caller string

const (
	anonymous caller = "anonymous"
	unknown   caller = "unknown key"
	viewer    caller = "viewer"
	admin     caller = "admin"
	owner     caller = "owner"
	stranger  caller = "owner of another organisation"
	guest     caller = "guest who reads"
	editor    caller = "guest who edits"
	readKey   caller = "key with stats:read"
	writeKey  caller = "key with events:write"
	setupKey  caller = "key with sites:provision"
	operator  caller = "operator"
	otherKey  caller = "key for another site"
)

var callers = []caller{anonymous, viewer, admin, owner, stranger, readKey, writeKey, setupKey, operator, otherKey, guest, editor, unknown}

// world is the door with the site shop.example of an organisation, and others.
type world struct {
	t     testing.TB
	door  *Door
	house *house
	mux   *router.Router
	who   map[caller]accounts.Identity
	site  *analytics.Site
	ours  uint64
	spec  routers.Router
	check func(filters any) error
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, house: &house{state: accounts.NewState(), now: time.Date(2026, 5, 13, 12, 30, 0, 0, time.UTC).UnixMilli()}, who: map[caller]accounts.Identity{}, spec: specification(t)}
	cfg := Config{Accounts: w.house, PublicURL: "https://stats.example/", Check: func(_ context.Context, _ *analytics.Site, _ accounts.Identity, filters any) error {
		if w.check != nil {
			return w.check(filters)
		}
		return nil
	}}
	for _, f := range change {
		f(&cfg)
	}
	w.door = New(cfg)
	w.mount()

	w.ours = w.must(&accounts.CreateOrg{Name: "Ours"}).Org.ID
	theirs := w.must(&accounts.CreateOrg{Name: "Theirs"}).Org.ID
	w.site = w.must(&accounts.CreateSite{Org: w.ours, Domain: "shop.example", Timezone: "Europe/Berlin", Secret: accounts.Secret{1}}).Site
	w.must(&accounts.CreateSite{Org: theirs, Domain: "theirs.example", Timezone: "UTC", Secret: accounts.Secret{2}})
	second := w.must(&accounts.CreateSite{Org: w.ours, Domain: "second.example", Timezone: "UTC", Secret: accounts.Secret{3}}).Site
	w.must(&accounts.PutGuest{Site: w.site.ID, Email: "guest@x.y"})
	w.must(&accounts.PutGuest{Site: w.site.ID, Email: "editor@x.y", Editor: true})
	for c, u := range map[caller]accounts.CreateUser{
		viewer: {Org: w.ours, Role: accounts.Viewer}, admin: {Org: w.ours, Role: accounts.Admin}, owner: {Org: w.ours, Role: accounts.Owner},
		stranger: {Org: theirs, Role: accounts.Owner}, guest: {Org: theirs, Role: accounts.Viewer, Email: "guest@x.y"}, editor: {Org: theirs, Role: accounts.Viewer, Email: "editor@x.y"},
	} {
		if u.Email == "" {
			u.Email = strings.ReplaceAll(string(c), " ", "") + "@x.y"
		}
		u.PasswordHash = "h"
		user := w.must(&u).User
		w.who[c] = accounts.Identity{User: user.ID, Role: user.Role, Org: user.Org, Guest: w.house.View().GuestOf(user.ID)}
	}
	for c, scope := range map[caller]accounts.Scope{readKey: accounts.StatsRead, writeKey: accounts.EventsWrite, setupKey: accounts.SitesProvision} {
		w.who[c] = accounts.Identity{Key: 7, Org: w.ours, Scopes: []accounts.Scope{scope}}
	}
	w.who[otherKey] = accounts.Identity{Key: 8, Org: w.ours, KeySite: second.ID, Scopes: []accounts.Scope{accounts.EventsWrite, accounts.StatsRead}}
	w.who[operator] = accounts.Identity{Operator: true}
	w.who[unknown] = accounts.Identity{Refused: true}
	return w
}

func (w *world) must(c accounts.Change) accounts.Result {
	w.t.Helper()
	out, err := w.house.Do(context.Background(), c)
	if err != nil {
		w.t.Fatalf("%T: %v", c, err)
	}
	return out
}

// mount does for the door what the edge does.
func (w *world) mount() {
	w.mux = router.New()
	for _, r := range w.door.Routes() {
		w.mux.Handle(r.Method, r.Path, func(ctx *fasthttp.RequestCtx) {
			who, _ := ctx.UserValue(whoKey).(accounts.Identity)
			for _, name := range []string{"site", "id", "property", "email"} {
				if text, ok := ctx.UserValue(name).(string); ok {
					if plain, err := url.PathUnescape(text); err == nil {
						ctx.SetUserValue(name, plain)
					}
				}
			}
			var err error
			switch most := max(r.BodyMax, 64<<10); {
			case len(ctx.Request.Body()) > most:
				err = analytics.Errorf(analytics.TooLarge, "body: longer than %d bytes", most)
			case r.Need == door.Known && who.Anonymous():
				err = analytics.Errorf(analytics.Unauthorized, "authorization: missing or unknown")
			case r.Need == door.Public || r.Need == door.Known:
				err = r.Handler(ctx, who)
			default:
				w.t.Errorf("%s %s needs %d", r.Method, r.Path, r.Need)
			}
			if err != nil {
				door.WriteError(ctx, err)
			}
		})
	}
}

const whoKey = "who asks"

// loadSpecification reads openapi.yaml once for all tests.
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
	r, err := loadSpecification()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return r
}

// response is what came back.
type response struct {
	t      testing.TB
	call   string
	status int
	body   string
	header http.Header
}

// as sends a request and holds the answer, and a request that was answered with
// success, against openapi.yaml. header is pairs of names and values.
func (w *world) as(c caller, method, target, body string, header ...string) response {
	w.t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(target)
	ctx.Request.Header.SetHost("localhost")
	kind := "application/json"
	for i := 0; i+1 < len(header); i += 2 {
		ctx.Request.Header.Set(header[i], header[i+1])
		if header[i] == "Content-Type" {
			kind = header[i+1]
		}
	}
	if body != "" {
		ctx.Request.SetBodyString(body)
		ctx.Request.Header.SetContentType(kind)
	}
	ctx.SetUserValue(whoKey, w.who[c])
	w.mux.Handler(&ctx)
	out := response{t: w.t, call: fmt.Sprintf("%s %s as %s", method, target, c), status: ctx.Response.StatusCode(), body: string(ctx.Response.Body()), header: http.Header{}}
	for k, v := range ctx.Response.Header.All() {
		out.header.Add(string(k), string(v))
	}
	w.conforms(method, target, body, kind, out)
	return out
}

func (w *world) conforms(method, target, body, kind string, got response) {
	w.t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", kind)
	}
	route, params, err := w.spec.FindRoute(req)
	if err != nil {
		w.t.Fatalf("%s %s is not in openapi.yaml: %v", method, target, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if got.status < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			w.t.Errorf("%s %s %s: answered %d, but openapi.yaml: %v", method, target, body, got.status, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.header,
		Body: io.NopCloser(bytes.NewReader([]byte(got.body))), Options: in.Options}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		w.t.Errorf("%s %s: the answer %d %s is not as openapi.yaml says: %v", method, target, got.status, got.body, err)
	}
}

// want checks the status and parts of the body.
func (r response) want(status int, parts ...string) response {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s: got %d %s, want %d", r.call, r.status, r.body, status)
	}
	for _, p := range parts {
		if !strings.Contains(r.body, p) {
			r.t.Errorf("%s: got %s, want %s in it", r.call, r.body, p)
		}
	}
	return r
}

// is checks the status and the whole body.
func (r response) is(status int, body string) {
	r.t.Helper()
	if r.status != status || r.body != body {
		r.t.Errorf("%s:\n got %d %s\nwant %d %s", r.call, r.status, r.body, status, body)
	}
}

// fails checks the status and the text of a refusal.
func (r response) fails(status int, text string) {
	r.t.Helper()
	var body map[string]string
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || len(body) != 1 || r.status != status || body["error"] != text {
		r.t.Errorf("%s:\n got %d %s\nwant %d %q", r.call, r.status, r.body, status, text)
	}
}

// into decodes the body.
func into[T any](r response) (v T) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		r.t.Fatalf("%s: %v", r.body, err)
	}
	return v
}
