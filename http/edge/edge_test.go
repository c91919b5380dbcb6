package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

func TestMain(m *testing.M) {
	// fasthttp keeps one goroutine for the process that refreshes a coarse clock,
	// and one per server that looks for idle workers and ends within ten seconds.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"), // ends by itself
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// byName recognises callers by what their credentials say.
type byName struct{}

func (byName) Authenticate(ctx *fasthttp.RequestCtx) (accounts.Identity, error) {
	if string(ctx.Request.Header.Cookie("footfall")) == "session" {
		return accounts.Identity{User: 1, Org: 1, Role: accounts.Owner, Session: "s"}, nil
	}
	switch string(ctx.Request.Header.Peek("Authorization")) {
	case "Bearer key":
		return accounts.Identity{Key: 1, Org: 1}, nil
	case "Bearer operator":
		return accounts.Identity{Operator: true}, nil
	case "Bearer broken":
		return accounts.Identity{}, analytics.Errorf(analytics.Unavailable, "accounts: not loaded yet")
	}
	return accounts.Identity{}, nil
}

type site struct {
	*Server
	addr    string
	beacons atomic.Int64
	calls   atomic.Int64
	log     strings.Builder
	stop    chan struct{}
}

func (s *site) routes() []door.Route {
	ok := func(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
		s.calls.Add(1)
		fmt.Fprintf(ctx, "%v user=%d key=%d op=%v", ctx.UserValue("name"), who.User, who.Key, who.Operator)
		return nil
	}
	return []door.Route{
		{Method: "POST", Path: "/api/event", CrossOrigin: true, Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
			if string(ctx.PostBody()) == "fail" {
				return analytics.Errorf(analytics.Overloaded, "try again")
			}
			s.beacons.Add(1)
			ctx.SetStatusCode(202)
			return nil
		}},
		{Method: "GET", Path: "/js/script.js", CrossOrigin: true, Handler: ok},
		{Method: "GET", Path: "/v1/public", Handler: ok},
		{Method: "POST", Path: "/v1/public", Handler: ok},
		{Method: "GET", Path: "/v1/things/{name}", Need: door.Known, Handler: ok},
		{Method: "PUT", Path: "/v1/things/{name}", Need: door.SignedIn, Handler: ok},
		{Method: "POST", Path: "/v1/batch/{name}", Need: door.Known, Handler: ok, BodyMax: 1 << 20},
		{Method: "POST", Path: "/v1/small", Handler: ok, BodyMax: 10},
		{Method: "GET", Path: "/metrics", Need: door.Operator, Handler: ok},
		{Method: "POST", Path: "/v1/operate", Need: door.Operator, Handler: ok},
		{Method: "GET", Path: "/v1/panic", Handler: func(*fasthttp.RequestCtx, accounts.Identity) error { panic("secret") }},
		{Method: "GET", Path: "/v1/internal", Handler: func(*fasthttp.RequestCtx, accounts.Identity) error { return errors.New("secret path") }},
		{Method: "GET", Path: "/v1/stream", Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
			ctx.SetContentType("text/event-stream")
			ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
				fmt.Fprint(w, "data: hello\n\n")
				w.Flush()
				<-s.stop
			})
			return ctx.Conn().SetWriteDeadline(time.Time{})
		}},
	}
}

func start(t *testing.T, change func(*Options)) *site {
	t.Helper()
	s := &site{stop: make(chan struct{})}
	opts := Options{
		Routes: s.routes(),
		Auth:   byName{},
		Fallback: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
			ctx.SetContentType("text/html")
			ctx.SetBodyString("dashboard")
			return nil
		},
		Trusted:      []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		CloseStreams: func() { close(s.stop) },
		Logger:       slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	if change != nil {
		change(&opts)
	}
	server, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Server, s.addr = server, ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if !server.Draining() {
			server.Shutdown(ctx)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends one request of "METHOD path" with headers, on a connection of its own.
func (s *site) ask(t *testing.T, what, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	method, path, _ := strings.Cut(what, " ")
	req, err := http.NewRequest(method, "http://"+s.addr, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = path
	req.Close = true
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return resp, string(text)
}

func TestRequestsReachWhatTheyMayReach(t *testing.T) {
	s := start(t, nil)
	cookie := []string{"Cookie", "footfall=session"}
	key := []string{"Authorization", "Bearer key"}
	operator := []string{"Authorization", "Bearer operator"}
	with := func(a []string, b ...string) []string { return append(append([]string{}, a...), b...) }
	big := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		what    string
		headers []string
		body    string
		status  int
		want    string // part of the body
	}{
		{"GET /v1/public", nil, "", 200, "user=0 key=0"},
		{"GET /v1/public", key, "", 200, "key=1"},
		{"GET /v1/public", []string{"Authorization", "Bearer wrong"}, "", 200, "key=0"},
		{"GET /v1/public", []string{"Authorization", "Bearer broken"}, "", 503, "accounts: not loaded yet"},
		{"HEAD /v1/public", nil, "", 200, ""},
		{"GET /v1/things/example.com", nil, "", 401, "authorization: missing or unknown"},
		{"GET /v1/things/example.com", key, "", 200, "example.com"},
		{"GET /v1/things/b%C3%BCcher.de", key, "", 200, "bücher.de"},
		{"GET /v1/things/a%zz", key, "", 404, ""},
		{"GET /v1/things/a%252fb", key, "", 404, ""},
		{"GET /v1/things/a%2fb", key, "", 404, ""},
		{"GET /v1/things/..", key, "", 404, ""},
		{"GET /v1/things/%2e%2e", key, "", 404, ""},
		{"GET /v1/things/", key, "", 404, ""},
		{"PUT /v1/things/a", nil, "", 401, ""},
		{"PUT /v1/things/a", key, "", 403, "session"},
		{"PUT /v1/things/a", cookie, "", 200, "user=1"},
		{"PUT /v1/things/a", with(cookie, "Sec-Fetch-Site", "same-origin"), "", 200, ""},
		{"PUT /v1/things/a", with(cookie, "Sec-Fetch-Site", "none"), "", 200, ""},
		{"PUT /v1/things/a", with(cookie, "Sec-Fetch-Site", "cross-site"), "", 403, "origin"},
		{"PUT /v1/things/a", with(cookie, "Sec-Fetch-Site", "same-site"), "", 403, "origin"},
		{"PUT /v1/things/a", with(cookie, "Origin", "https://evil.example"), "", 403, "origin"},
		{"PUT /v1/things/a", with(cookie, "Origin", "null"), "", 403, "origin"},
		{"PUT /v1/things/a", with(cookie, "Origin", "http://"+s.addr), "", 200, ""},
		{"PUT /v1/things/a", with(cookie, "Origin", "http://"+s.addr, "Sec-Fetch-Site", "cross-site"), "", 403, "origin"},
		{"POST /v1/public", []string{"Sec-Fetch-Site", "cross-site"}, "", 403, "origin"},
		{"POST /v1/public", with(key, "Sec-Fetch-Site", "cross-site"), "", 200, ""},
		{"GET /metrics", nil, "", 200, "op=false"},
		{"GET /metrics", []string{"X-Forwarded-For", "127.0.0.1"}, "", 401, ""},
		{"GET /metrics", []string{"Forwarded", "for=127.0.0.1"}, "", 401, ""},
		{"GET /metrics", []string{"Host", "rebound.example"}, "", 401, ""},
		{"GET /metrics", []string{"Host", "localhost:80"}, "", 200, ""},
		{"GET /metrics", with(key, "X-Forwarded-For", "1.2.3.4"), "", 403, "operator"},
		{"GET /metrics", with(operator, "X-Forwarded-For", "1.2.3.4"), "", 200, "op=true"},
		{"POST /v1/operate", nil, "", 401, ""},
		{"POST /v1/operate", operator, "", 200, ""},
		{"POST /v1/batch/x", key, big, 200, ""},
		{"POST /v1/batch/x?a=b", key, big, 200, ""},
		{"POST /v1/small", nil, "0123456789", 200, ""},
		{"POST /v1/small", nil, "0123456789a", 413, "longer than 10 bytes"},
		{"GET /login", nil, "", 200, "dashboard"},
		{"GET /", nil, "", 200, "dashboard"},
		{"GET /v1/nothing", nil, "", 404, "error"},
		{"GET /api/nothing", nil, "", 404, "error"},
		{"POST /login", nil, "", 404, "error"},
		{"DELETE /v1/public", nil, "", 405, "method"},
		{"TRACE /v1/public", nil, "", 405, "method"},
		{"TRACE /login", nil, "", 405, "method"},
		{"BREW /login", nil, "", 405, "method"},
		{"OPTIONS /v1/public", nil, "", 204, ""},
		{"OPTIONS /js/script.js", nil, "", 204, ""},
		{"OPTIONS /login", nil, "", 404, ""},
		{"GET /api/event", nil, "", 405, ""},
		{"POST /api/event", nil, "{}", 202, ""},
		{"POST /api/event?x=1", nil, "{}", 202, ""},
		{"POST /api/event", nil, "fail", 503, "try again"},
		{"POST //api/event", nil, "{}", 404, ""},
		{"POST /api/event/", nil, "{}", 404, ""},
		{"POST /API/EVENT", nil, "{}", 404, ""},
		{"GET /v1/internal", nil, "", 500, "internal error, request"},
	} {
		resp, body := s.ask(t, c.what, c.body, c.headers...)
		if resp.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %v: got %d %q, want %d %q", c.what, c.headers, resp.StatusCode, body, c.status, c.want)
		}
		if resp.StatusCode == 405 && resp.Header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", c.what)
		}
		if strings.Contains(body, "secret") {
			t.Errorf("%s: shows internals: %q", c.what, body)
		}
		if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", c.what)
		}
	}
	if s.beacons.Load() != 2 {
		t.Errorf("%d beacons, want 2", s.beacons.Load())
	}
}

// TestLongBodiesAreRefusedByTheirHeader sends no body at all: the answer must
// not wait for one, and a stranger must not get more read than the default.
func TestLongBodiesAreRefusedByTheirHeader(t *testing.T) {
	s := start(t, nil)
	const key = "Authorization: Bearer key\r\n"
	for what, want := range map[string]string{
		"POST /v1/public HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n":                 "413",
		"POST /v1/batch/x HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n":                "401",
		"POST /v1/batch/x HTTP/1.1\r\nHost: h\r\n" + key + "Content-Length: 1048577\r\n\r\n":   "413",
		"POST /v1/batch/x?a HTTP/1.1\r\nHost: h\r\n" + key + "Content-Length: 1048577\r\n\r\n": "413",
	} {
		if got := strings.Join(s.raw(t, what, what), " "); got != want {
			t.Errorf("%q: got %s, want %s", what, got, want)
		}
	}
	if s.calls.Load() != 0 {
		t.Error("a handler was called")
	}
}

func TestAllowNamesTheMethodsOfThePath(t *testing.T) {
	s := start(t, nil)
	for what, want := range map[string]string{
		"TRACE /v1/public":      "GET, HEAD, POST, OPTIONS",
		"DELETE /v1/things/a":   "GET, HEAD, PUT, OPTIONS",
		"PUT /api/event":        "POST, OPTIONS",
		"TRACE /nothing/at/all": "GET, HEAD, OPTIONS",
		"TRACE /v1/nothing":     allMethods,
	} {
		resp, _ := s.ask(t, what, "")
		if got := resp.Header.Get("Allow"); resp.StatusCode != 405 || got != want {
			t.Errorf("%s: %d, Allow %q, want %q", what, resp.StatusCode, got, want)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	s := start(t, nil)
	for _, what := range []string{"GET /login", "GET /v1/public", "GET /v1/nothing", "GET /v1/things/a", "GET /v1/internal",
		"TRACE /login", "OPTIONS /v1/public", "GET /v1/panic"} {
		resp, _ := s.ask(t, what, "")
		h := resp.Header
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") ||
			!strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", what, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" ||
			h.Get("Access-Control-Allow-Origin") != "" || h.Get("Server") != "" || h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: %v", what, h)
		}
	}
	if resp, _ := s.ask(t, "GET /login", "", "X-Forwarded-Proto", "https"); resp.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS behind a trusted TLS proxy")
	}
	if resp, _ := s.ask(t, "GET /js/script.js", ""); resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("script: %v", resp.Header)
	}
	resp, _ := s.ask(t, "OPTIONS /api/event", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "POST")
	if h := resp.Header; resp.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Content-Type") {
		t.Errorf("preflight: %d %v", resp.StatusCode, h)
	}
}

func TestHSTSNeedsATrustedProxy(t *testing.T) {
	s := start(t, func(o *Options) { o.Trusted = nil })
	if resp, _ := s.ask(t, "GET /login", "", "X-Forwarded-Proto", "https"); resp.Header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS on a stranger's word")
	}
}

func TestAPanicCostsOneAnswerOnly(t *testing.T) {
	s := start(t, nil)
	resp, body := s.ask(t, "GET /v1/panic?token=hidden", "")
	if resp.StatusCode != 500 || strings.Contains(body, "secret") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if resp, _ := s.ask(t, "GET /v1/public", ""); resp.StatusCode != 200 {
		t.Error("the server is gone")
	}
	if log := s.log.String(); !strings.Contains(log, "panic in a handler") || strings.Contains(log, "hidden") || strings.Contains(log, "127.0.0.1") {
		t.Errorf("log: %s", log)
	}
}

func TestRoutesThatCannotBeMounted(t *testing.T) {
	ok := func(*fasthttp.RequestCtx, accounts.Identity) error { return nil }
	for name, routes := range map[string][]door.Route{
		"twice":            {{Method: "GET", Path: "/a", Handler: ok}, {Method: "GET", Path: "/a", Handler: ok}},
		"twice by shape":   {{Method: "GET", Path: "/a/{x}", Handler: ok}, {Method: "GET", Path: "/a/{y}", Handler: ok}},
		"no handler":       {{Method: "GET", Path: "/a"}},
		"unknown method":   {{Method: "TRACE", Path: "/a", Handler: ok}},
		"path without /":   {{Method: "GET", Path: "a", Handler: ok}},
		"unclosed bracket": {{Method: "GET", Path: "/a/{x", Handler: ok}},
	} {
		if _, err := New(Options{Auth: byName{}, Routes: routes}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no authenticator: no error")
	}
}

func TestRoutesAreListedInOrder(t *testing.T) {
	s := start(t, nil)
	list := s.Routes()
	if len(list) != len(s.routes()) {
		t.Fatalf("%d routes", len(list))
	}
	for i := 1; i < len(list); i++ {
		if list[i-1].Path > list[i].Path {
			t.Errorf("%s after %s", list[i].Path, list[i-1].Path)
		}
	}
}

func TestShutdownClosesStreamsAndAnswersWhatRuns(t *testing.T) {
	s := start(t, nil)
	resp, err := http.Get("http://" + s.addr + "/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 13)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if s.Draining() {
		t.Error("draining before Shutdown")
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if !s.Draining() {
		t.Error("not draining after Shutdown")
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("stream was torn, not closed: %v", err)
	}
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("still listening")
	}
	if n := s.conns.size(); n != 0 {
		t.Errorf("%d connections left", n)
	}
}

func TestShutdownOutOfPatienceCutsConnections(t *testing.T) {
	s := start(t, func(o *Options) { o.CloseStreams = nil })
	resp, err := http.Get("http://" + s.addr + "/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
	if n := s.conns.size(); n != 0 {
		t.Errorf("%d connections left", n)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the stream ended as if whole")
	}
	close(s.stop)
}

func TestFastPathAllocatesNothing(t *testing.T) {
	s := &site{}
	server, err := New(Options{Auth: byName{}, Routes: s.routes()})
	if err != nil {
		t.Fatal(err)
	}
	var req fasthttp.Request
	req.Header.SetMethod("POST")
	req.SetRequestURI("/api/event")
	req.SetBodyString("{}")
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, nil, nil)
	if n := testing.AllocsPerRun(100, func() { server.handle(&ctx) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s.beacons.Load() == 0 {
		t.Error("the handler was not called")
	}
}

// Doors look at the connection through the edge's own type of it.
func TestAClientThatLeavesIsNoFaultOfOurs(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	s := start(t, func(o *Options) {
		o.Routes = append(o.Routes, door.Route{Method: "GET", Path: "/v1/question", Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
			watched, stop := door.Watch(ctx, context.Background())
			defer stop()
			close(began)
			<-watched.Done()
			ended <- context.Cause(watched)
			return fmt.Errorf("ask: %w", watched.Err())
		}}, door.Route{Method: "GET", Path: "/v1/canceled", Handler: func(*fasthttp.RequestCtx, accounts.Identity) error {
			return context.Canceled // by somebody else
		}})
	})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /v1/question HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if cause := <-ended; cause != door.ErrClientLeft {
		t.Errorf("cause %v, want %v", cause, door.ErrClientLeft)
	}
	if resp, _ := s.ask(t, "GET /v1/canceled", ""); resp.StatusCode != 500 {
		t.Errorf("%d for a client that waits, want 500", resp.StatusCode)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil { // and with it both requests
		t.Fatal(err)
	}
	if n := s.count.left.Get(); n != 1 {
		t.Errorf("%d clients left, want 1", n)
	}
	if n := s.count.answers[5].Get(); n != 1 {
		t.Errorf("%d answers of 5xx, want the one", n)
	}
}

func TestOnlySharedPagesThatAskForItAreFramed(t *testing.T) {
	s := start(t, func(o *Options) { o.Framed = "/share/" })
	for what, framed := range map[string]bool{
		"GET /share/shop.example?auth=x&embed=true":            true,
		"GET /share/shop.example?embed=true&theme=dark&auth=x": true,
		"GET /share/shop.example?auth=x":                       false,
		"GET /share/shop.example?auth=x&embed=1":               false,
		"GET /login?embed=true":                                false,
		"GET /shares/x?embed=true":                             false,
		"GET /v1/public?embed=true":                            false,
		"GET /login?/share/&embed=true":                        false,
		"GET /share/../login?embed=true":                       false,
		"GET /share/%2e%2e/login?embed=true":                   false,
		"POST /share/shop.example?embed=true":                  false,
	} {
		resp, _ := s.ask(t, what, "")
		csp := resp.Header.Get("Content-Security-Policy")
		if got := strings.HasSuffix(csp, "frame-ancestors *"); got != framed || !strings.Contains(csp, "script-src 'self'") || !framed && !strings.HasSuffix(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", what, csp)
		}
	}
	alone := start(t, nil)
	if resp, _ := alone.ask(t, "GET /share/shop.example?embed=true", ""); !strings.HasSuffix(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Error("framed although nothing is to be")
	}
}
