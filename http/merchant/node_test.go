package merchant

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
	"footfall/analytics/site"
	"footfall/http/door"
	"footfall/http/inspect"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreTopFunction("github.com/valyala/fasthttp/stackless.funcWorker"))
}

// begin is Wednesday, 18 November 2026, 10:30 UTC.
var begin = time.Date(2026, 11, 18, 10, 30, 0, 0, time.UTC)

// node is the door with real accounts, in memory, behind a server that does for
// it what the edge does: it recognises callers and holds back those whom a
// route's Need excludes.
type node struct {
	t       testing.TB
	url     string
	now     atomic.Int64
	handler *Handler
	handle  fasthttp.RequestHandler
	house   *house
	count   *counter
	pulse   *publisher
	dropped map[int32]map[analytics.Reason]uint64
	sealed  []site.Seal
	erased  []string // "domain name by"
	watch   *inspect.Watch
	signs   [2]int64 // first and last event

	operatorToken string
}

func newNode(t testing.TB, change func(*Options)) *node {
	return newNodeWith(t, 5*time.Second, change)
}

func newNodeWith(t testing.TB, writeTimeout time.Duration, change func(*Options)) *node {
	n := build(t, change)
	n.url = serve(t, n.handle, writeTimeout, n.handler.CloseStreams)
	return n
}

// build makes a node without a server of its own.
func build(t testing.TB, change func(*Options)) *node {
	n := &node{t: t, operatorToken: "operator token of this test", count: &counter{}, pulse: &publisher{}, dropped: map[int32]map[analytics.Reason]uint64{}}
	n.now.Store(begin.UnixMilli())
	clock := func() time.Time { return time.UnixMilli(n.now.Load()) }
	n.house = newHouse(clock)
	n.watch = inspect.New(inspect.Options{Edge: "here", Now: clock})
	opts := Options{Accounts: n.house, Asker: n.count, Live: n.pulse, Drops: n, Eraser: n, Seals: n, Signs: n, Watch: n.watch, Clock: clock,
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	if change != nil {
		change(&opts)
	}
	n.handler = New(opts)
	auth := NewAuthenticator(n.house, accounts.HashOf([]byte(n.operatorToken)), clock)
	n.handle = mount(n.handler.Routes(), auth)
	return n
}

func (n *node) Drops(context.Context, analytics.SiteID) (map[int32]map[analytics.Reason]uint64, error) {
	return n.dropped, n.count.err
}

func (n *node) Signs(context.Context, analytics.SiteID) (first, last int64, err error) {
	return n.signs[0], n.signs[1], n.count.err
}

func (n *node) Seals(context.Context, analytics.SiteID) ([]site.Seal, error) {
	return n.sealed, n.count.err
}

// EraseVisitor finds two visits with three events of everybody.
func (n *node) EraseVisitor(_ context.Context, s *analytics.Site, name, by string) (visits, events uint64, err error) {
	n.erased = append(n.erased, s.Domain+" "+name+" "+by)
	return 2, 3, n.count.err
}

func mount(routes []door.Route, auth *Authenticator) fasthttp.RequestHandler {
	r := router.New()
	for _, route := range routes {
		handle := func(ctx *fasthttp.RequestCtx) {
			decode(ctx)
			who, err := auth.Authenticate(ctx)
			switch {
			case err != nil:
			case route.Need != door.Public && who.Anonymous():
				err = analytics.Errorf(analytics.Unauthorized, "authorization: missing or unknown")
			case route.Need == door.SignedIn && who.User == 0:
				err = analytics.Errorf(analytics.Forbidden, "session: this needs a signed-in user")
			default:
				err = route.Handler(ctx, who)
			}
			if err != nil {
				door.WriteError(ctx, err)
			}
		}
		r.Handle(route.Method, route.Path, handle)
	}
	return r.Handler
}

// decode percent-decodes the parts of the path.
func decode(ctx *fasthttp.RequestCtx) {
	for _, name := range []string{"site", "token", "id"} {
		if text, ok := ctx.UserValue(name).(string); ok {
			if plain, err := url.PathUnescape(text); err == nil {
				ctx.SetUserValue(name, plain)
			}
		}
	}
}

func serve(t testing.TB, h fasthttp.RequestHandler, writeTimeout time.Duration, before func()) (url string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: h, CloseOnShutdown: true, DisablePreParseMultipartForm: true, ReadTimeout: 5 * time.Second, WriteTimeout: writeTimeout, Logger: quiet{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Serve(ln); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		before()
		http.DefaultClient.CloseIdleConnections()
		if err := server.Shutdown(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		ln.Close() // in case it never began to serve
		wg.Wait()
	})
	return "http://" + ln.Addr().String()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// house is the control group without log and store.
type house struct {
	clock func() time.Time
	view  atomic.Pointer[accounts.View]

	mu      sync.Mutex
	state   *accounts.State
	secrets uint64
	checked int // passwords compared
	refuse  error
}

func newHouse(clock func() time.Time) *house {
	h := &house{clock: clock, state: accounts.NewState()}
	h.view.Store(h.state.View())
	return h
}

func (h *house) View() *accounts.View { return h.view.Load() }

func (h *house) Do(_ context.Context, change accounts.Change) (accounts.Result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return accounts.Result{}, h.refuse
	}
	out := h.state.Apply(accounts.Command{At: h.clock().UnixMilli(), Change: change})
	h.view.Store(h.state.View())
	return out, out.Err
}

func (h *house) HashPassword(_ context.Context, p string) (string, error) {
	digest := accounts.HashOf([]byte("salt" + p))
	text, err := digest.MarshalText()
	return string(text), err
}

func (h *house) CheckPassword(ctx context.Context, hash, p string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checked++
	want, err := h.HashPassword(ctx, p)
	return hash == want, err
}

func (h *house) NewSecret() (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets++
	raw := accounts.HashOf(binary.BigEndian.AppendUint64(nil, h.secrets))
	return base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

func (h *house) SiteSecret() (accounts.Secret, error) { return accounts.Secret{1, 2, 3}, nil }

func (h *house) SessionUsed(n *accounts.Session, now int64) bool { return n.Alive(now, n.LastSeen) }

func (h *house) KeyUsed(*accounts.Key, int64) {}

// counter answers questions the plain way, from a list of page views.
type counter struct {
	mu    sync.Mutex
	views []view
	err   error
	asked int
}

type view struct {
	site    analytics.SiteID
	at      int64
	visitor int
}

func (c *counter) add(site analytics.SiteID, at time.Time, visitor int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.views = append(c.views, view{site, at.UnixMilli(), visitor})
}

func (c *counter) Ask(_ context.Context, site analytics.SiteID, q *query.Question) (*query.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.err != nil {
		return nil, c.err
	}
	buckets := []calendar.Bucket{{From: q.From, To: q.To}}
	if len(q.Dimensions) > 0 {
		buckets = q.Buckets()
	}
	a := &query.Answer{Index: uint64(len(c.views))}
	for _, b := range buckets {
		views, visitors := 0, map[int]bool{}
		for _, v := range c.views {
			if v.site == site && b.From <= v.at && v.at < b.To {
				views++
				visitors[v.visitor] = true
			}
		}
		if views == 0 {
			continue
		}
		row := query.Row{}
		if len(q.Dimensions) > 0 {
			row.Dims = []string{b.Label}
		}
		for _, m := range q.Metrics {
			switch m {
			case query.Visitors:
				row.Values = append(row.Values, query.Value{Number: float64(len(visitors))})
			case query.Pageviews, query.Events:
				row.Values = append(row.Values, query.Value{Number: float64(views)})
			default:
				return nil, fmt.Errorf("unexpected metric %s", m)
			}
		}
		a.Rows = append(a.Rows, row)
	}
	return a, nil
}

// publisher is the live feed.
type publisher struct {
	index atomic.Uint64
	mu    sync.Mutex
	open  map[chan struct{}]bool
}

func (p *publisher) Subscribe(analytics.SiteID) (<-chan struct{}, func() uint64, func(), error) {
	ch := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[chan struct{}]bool{}
	}
	p.open[ch] = true
	return ch, p.index.Load, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, ch)
	}, nil
}

func (p *publisher) publish() {
	p.index.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	for ch := range p.open {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (p *publisher) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// browser is one caller: it keeps its cookie and sends its credentials.
type browser struct {
	n       *node
	cookies map[string]string
	headers map[string]string
}

func (n *node) browser() *browser {
	return &browser{n: n, cookies: map[string]string{}, headers: map[string]string{}}
}

func (n *node) bearer(token string) *browser {
	b := n.browser()
	b.headers["Authorization"] = "Bearer " + token
	return b
}

type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

func (b *browser) request(method, path, body string) *http.Request {
	b.n.t.Helper()
	r, err := http.NewRequestWithContext(b.n.t.Context(), method, b.n.url+path, strings.NewReader(body))
	if err != nil {
		b.n.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for k, v := range b.headers {
		if k == "Host" {
			r.Host = v
		} else {
			r.Header.Set(k, v)
		}
	}
	return r
}

func (b *browser) do(method, path, body string) answer {
	b.n.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(b.request(method, path, body))
	if err != nil {
		b.n.t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{t: b.n.t, status: resp.StatusCode, header: resp.Header}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") { // it would not end
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			b.n.t.Fatal(err)
		}
		a.body = string(text)
	}
	for _, c := range resp.Cookies() {
		if c.Value == "" {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return a
}

// want checks the status and that the body has every text.
func (a answer) want(status int, texts ...string) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("got %d %s, want %d", a.status, a.body, status)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			a.t.Fatalf("got %s, want %q in it", a.body, text)
		}
	}
	return a
}

func (a answer) read(v any) {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.t.Fatalf("%s: %v", a.body, err)
	}
}

const goodPassword = "a fine long sentence"

// people are one organisation with a site, and another organisation.
type people struct {
	site   *analytics.Site
	user   map[Caller]*accounts.User
	key    map[Caller]string
	target *accounts.User // to be removed
	spare  *accounts.Key  // to be revoked
}

func (n *node) must(change accounts.Change) accounts.Result {
	n.t.Helper()
	out, err := n.house.Do(context.Background(), change)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

func (n *node) people() people {
	n.t.Helper()
	p := people{user: map[Caller]*accounts.User{}, key: map[Caller]string{}}
	hash, err := n.house.HashPassword(context.Background(), goodPassword)
	if err != nil {
		n.t.Fatal(err)
	}
	ours := n.must(&accounts.CreateOrg{Name: "Ours"}).Org.ID
	theirs := n.must(&accounts.CreateOrg{Name: "Theirs"}).Org.ID
	add := func(org uint64, email string, role accounts.Role) *accounts.User {
		return n.must(&accounts.CreateUser{Org: org, Email: email, Name: "N", Role: role, PasswordHash: hash}).User
	}
	p.user[Owner] = add(ours, "owner@example.com", accounts.Owner)
	p.user[Admin] = add(ours, "admin@example.com", accounts.Admin)
	p.user[Viewer] = add(ours, "viewer@example.com", accounts.Viewer)
	p.user[Stranger] = add(theirs, "stranger@example.org", accounts.Owner)
	p.target = add(ours, "target@example.com", accounts.Viewer)
	p.site = n.must(&accounts.CreateSite{Org: ours, Domain: "shop.example", Timezone: "Europe/Berlin", Secret: accounts.Secret{1}}).Site
	n.must(&accounts.CreateSite{Org: theirs, Domain: "theirs.example", Timezone: "UTC", Secret: accounts.Secret{1}})
	for caller, scope := range map[Caller]accounts.Scope{ReadKey: accounts.StatsRead, WriteKey: accounts.EventsWrite, ProvisionKey: accounts.SitesProvision} {
		p.key[caller] = "ff_" + string(scope)
		n.must(&accounts.CreateKey{Org: ours, Name: string(caller), Scopes: []accounts.Scope{scope}, Hash: accounts.HashOf([]byte(p.key[caller]))})
	}
	p.spare = n.must(&accounts.CreateKey{Org: ours, Name: "spare", Scopes: []accounts.Scope{accounts.StatsRead}, Hash: accounts.Hash{9}}).Key
	return p
}

// as gives a browser with the caller's credentials.
func (n *node) as(p people, c Caller) *browser {
	n.t.Helper()
	switch {
	case c == Anonymous:
		return n.browser()
	case c == Operator:
		return n.bearer(n.operatorToken)
	case p.key[c] != "":
		return n.bearer(p.key[c])
	}
	b := n.browser()
	b.signIn(p.user[c].Email, goodPassword).want(200)
	return b
}

func (b *browser) signIn(email, password string) answer {
	b.n.t.Helper()
	body, err := json.Marshal(map[string]string{"email": email, "password": password})
	if err != nil {
		b.n.t.Fatal(err)
	}
	return b.do("POST", "/v1/session", string(body))
}

// events opens a live stream and gives its lines; the channel closes with it.
func (b *browser) events(ctx context.Context, path string) <-chan string {
	b.n.t.Helper()
	lines, status := b.tryEvents(ctx, path)
	if lines == nil {
		b.n.t.Fatalf("got %d", status)
	}
	return lines
}

// tryEvents gives the status too, and no lines if there is no stream.
func (b *browser) tryEvents(ctx context.Context, path string) (<-chan string, int) {
	b.n.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(b.request("GET", path, "").WithContext(ctx))
	if err != nil {
		b.n.t.Fatal(err)
	}
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		resp.Body.Close()
		return nil, resp.StatusCode
	}
	out := make(chan string, 1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(out)
		defer resp.Body.Close()
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			if s.Text() != "" {
				out <- s.Text()
			}
		}
	})
	b.n.t.Cleanup(func() { b.n.handler.CloseStreams(); wg.Wait() })
	return out, resp.StatusCode
}

// until waits for something that another goroutine is about to bring about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// line waits for the next line that begins with prefix, passing over others.
func line(t testing.TB, lines <-chan string, prefix string) string {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for {
		select {
		case l, open := <-lines:
			if !open {
				t.Fatalf("the stream ended before %q", prefix)
			}
			if strings.HasPrefix(l, prefix) {
				return l
			}
		case <-timeout.C:
			t.Fatalf("no line %q", prefix)
		}
	}
}
