package export

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/parquet-go/parquet-go"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
	"footfall/http/door"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2")) // sleeps ten seconds at a time
}

const (
	dayStart = int64(1_778_630_400_000) // 2026-05-13 00:00 UTC
	hour     = int64(3_600_000)
)

// scene is a State made of functions.
type scene struct {
	index uint64
	ask   func(ctx context.Context, q *query.Question) (*query.Answer, error)
	scan  func(ctx context.Context, from, to int64, f *query.Filter, fn func(query.Visit, []int) error) error
}

func (s scene) Index() uint64 { return s.index }

func (s scene) Ask(ctx context.Context, q *query.Question) (*query.Answer, error) {
	return s.ask(ctx, q)
}

func (s scene) Scan(ctx context.Context, from, to int64, f *query.Filter, fn func(query.Visit, []int) error) error {
	return s.scan(ctx, from, to, f, fn)
}

type lookerFunc func(ctx context.Context, site analytics.SiteID, after analytics.Token, f func(context.Context, State) error) error

func (l lookerFunc) Look(ctx context.Context, site analytics.SiteID, after analytics.Token, f func(context.Context, State) error) error {
	return l(ctx, site, after, f)
}

// looking shows one state to everybody.
func looking(s State) lookerFunc {
	return func(ctx context.Context, _ analytics.SiteID, _ analytics.Token, f func(context.Context, State) error) error {
		return f(ctx, s)
	}
}

// dialect is what the export needs of the words of the Stats API, in the small.
type dialect struct {
	sites  map[string]*analytics.Site
	asked  []map[string]any
	filter *query.Filter
}

func (d *dialect) Site(_ *fasthttp.RequestCtx, who accounts.Identity, domain string) (*analytics.Site, error) {
	if s, ok := d.sites[domain]; ok && who.MayRead(s) {
		return s, nil
	}
	return nil, analytics.Errorf(analytics.Unauthorized, "Invalid API key or site ID.")
}

func (d *dialect) Span(_ context.Context, site *analytics.Site, v any, now int64) (calendar.Period, error) {
	if l, ok := v.([]any); ok {
		a, ok1 := calendar.ParseDate(l[0].(string))
		b, ok2 := calendar.ParseDate(l[1].(string))
		if ok1 && ok2 {
			return calendar.DayPeriod(a, b, site.Zone()), nil
		}
	}
	if v == "day" {
		today := calendar.DateOf(now, site.Zone())
		return calendar.DayPeriod(today, today, site.Zone()), nil
	}
	return calendar.Period{}, analytics.Errorf(analytics.Invalid, "#/date_range: Invalid date range %v", v)
}

func (d *dialect) Filter(_ context.Context, _ *analytics.Site, _ accounts.Identity, filters any) (*query.Filter, error) {
	if filters == nil {
		return nil, nil
	}
	if _, ok := filters.([]any); !ok {
		return nil, analytics.Errorf(analytics.Invalid, "#/filters: Type mismatch.")
	}
	return d.filter, nil
}

func (d *dialect) Question(ctx context.Context, site *analytics.Site, who accounts.Identity, body map[string]any, now int64) (*query.Question, error) {
	d.asked = append(d.asked, body)
	span, err := d.Span(ctx, site, body["date_range"], now)
	if err != nil {
		return nil, err
	}
	q := &query.Question{From: span.From, To: span.To}
	metrics, _ := body["metrics"].([]any)
	for _, m := range metrics {
		q.Metrics = append(q.Metrics, query.Metric(m.(string)))
	}
	dims, _ := body["dimensions"].([]any)
	for _, m := range dims {
		q.Dimensions = append(q.Dimensions, query.Dimension(m.(string)))
	}
	if len(q.Metrics) == 0 {
		return nil, analytics.Errorf(analytics.Invalid, "#/metrics: Expected a minimum of 1 items but got 0.")
	}
	return q, nil
}

func (d *dialect) Limited(h door.Handler) door.Handler {
	return func(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
		ctx.Response.Header.Set("X-RateLimit-Limit", "600")
		return h(ctx, who)
	}
}

// endless gives bytes that are different each time.
type endless struct {
	mu sync.Mutex
	n  byte
}

func (e *endless) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n++
	for i := range p {
		p[i] = e.n
	}
	return len(p), nil
}

// logged is a log that can be read while it is written to.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is the door on a real connection. who asks is in the header X-Who.
type world struct {
	t       testing.TB
	door    *Door
	dialect *dialect
	log     *logged
	address string
	client  *http.Client
	spec    routers.Router
}

func member(site analytics.SiteID) accounts.Identity {
	return accounts.Identity{User: uint64(site), Org: 1, Role: accounts.Viewer}
}

func newWorld(t testing.TB, looker Looker, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, log: &logged{}, dialect: &dialect{sites: map[string]*analytics.Site{}}}
	for _, s := range []analytics.Site{
		{ID: 1, Domain: "shop.example", Timezone: "Europe/Berlin", Org: 1},
		{ID: 2, Domain: "public.example", Timezone: "UTC", Org: 2, Public: true},
	} {
		site, err := s.WithZone()
		if err != nil {
			t.Fatal(err)
		}
		w.dialect.sites[s.Domain] = site
	}
	cfg := Config{Dialect: w.dialect, Looker: looker, Random: &endless{}, AtATime: 3,
		Clock:  func() time.Time { return time.UnixMilli(dayStart + 12*hour) },
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&cfg)
	}
	w.door = New(cfg)
	w.spec = specification(t)
	w.serve()
	return w
}

func (w *world) serve() {
	w.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: w.handle, WriteTimeout: time.Minute, NoDefaultDate: true, Logger: quiet{}, CloseOnShutdown: true}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	w.address = ln.Addr().String()
	transport := &http.Transport{DisableCompression: true}
	w.client = &http.Client{Transport: transport}
	w.t.Cleanup(func() {
		transport.CloseIdleConnections()
		w.door.Close()
		if err := server.Shutdown(); err != nil {
			w.t.Errorf("shut down: %v", err)
		}
		if err := <-ended; err != nil {
			w.t.Errorf("serve: %v", err)
		}
	})
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func (w *world) handle(ctx *fasthttp.RequestCtx) {
	who := accounts.Identity{}
	switch string(ctx.Request.Header.Peek("X-Who")) {
	case "member":
		who = member(1)
	case "key":
		who = accounts.Identity{Key: 9, Org: 1, Scopes: []accounts.Scope{accounts.StatsRead}}
	case "stranger":
		who = accounts.Identity{User: 77, Org: 9, Role: accounts.Owner}
	case "operator":
		who = accounts.Identity{Operator: true}
	}
	method := string(ctx.Method())
	if method == "HEAD" {
		method = "GET"
	}
	for _, r := range w.door.Routes() {
		prefix, suffix, _ := strings.Cut(r.Path, "{site}")
		path := string(ctx.Path())
		if r.Method != method || !strings.HasPrefix(path, prefix) || !strings.HasSuffix(path, suffix) {
			continue
		}
		ctx.SetUserValue("site", strings.TrimSuffix(strings.TrimPrefix(path, prefix), suffix))
		if err := r.Handler(ctx, who); err != nil {
			door.WriteError(ctx, err)
		}
		return
	}
	ctx.SetStatusCode(fasthttp.StatusNotFound)
}

// answer is what came back, whole.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    []byte
	err     error // of reading the body
}

func (w *world) request(who, method, target, body string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequest(method, "http://"+w.address+target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Who", who)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

func (w *world) call(who, method, target, body string) answer {
	w.t.Helper()
	req := w.request(who, method, target, body)
	return w.send(req, body)
}

func (w *world) get(target string) answer { w.t.Helper(); return w.call("member", "GET", target, "") }

// send sends a request, reads the answer and holds both against openapi.yaml.
func (w *world) send(req *http.Request, body string) answer {
	w.t.Helper()
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.body, a.err = io.ReadAll(resp.Body)
	a.trailer = resp.Trailer
	w.conforms(req, body, a)
	return a
}

func (w *world) conforms(req *http.Request, body string, got answer) {
	w.t.Helper()
	if req.Method == http.MethodHead {
		return
	}
	again := req.Clone(context.Background())
	again.Body = io.NopCloser(strings.NewReader(body))
	again.URL.Scheme, again.URL.Host, again.Host = "", "", ""
	route, params, err := w.spec.FindRoute(again)
	if err != nil {
		w.t.Fatalf("%s %s is not in openapi.yaml: %v", req.Method, req.URL, err)
	}
	in := &openapi3filter.RequestValidationInput{Request: again, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if got.status == http.StatusOK {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			w.t.Errorf("%s %s %s: answered 200, but openapi.yaml: %v", req.Method, req.URL, body, err)
		}
		// The files are tested by reading them; here their types and headers are.
		described := route.Operation.Responses.Value("200").Value
		kind, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
		if described.Content[kind] == nil {
			w.t.Errorf("%s: content type %s is not described", req.URL, kind)
		}
		in.Options.ExcludeResponseBody = true
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.status, Header: got.header,
		Body: io.NopCloser(bytes.NewReader(got.body)), Options: in.Options}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		w.t.Errorf("%s %s: the answer %d is not as openapi.yaml says: %v", req.Method, req.URL, got.status, err)
	}
}

var loadSpecification = sync.OnceValues(func() (routers.Router, error) {
	text, err := os.ReadFile("../partner/openapi.yaml")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc, openapi3.DisableExamplesValidation())
})

func specification(t testing.TB) routers.Router {
	t.Helper()
	router, err := loadSpecification()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return router
}

// parseCSV is RFC 4180 to the letter: anything else fails. It keeps line ends
// inside quotes as they are, which encoding/csv does not.
func parseCSV(text string) ([][]string, error) {
	var out [][]string
	var record []string
	for text != "" {
		var field strings.Builder
		if quoted, ok := strings.CutPrefix(text, `"`); ok {
			text = quoted
			for {
				inside, after, closed := strings.Cut(text, `"`)
				if !closed {
					return nil, errors.New("a quote is not closed")
				}
				field.WriteString(inside)
				if text, ok = strings.CutPrefix(after, `"`); !ok {
					text = after
					break
				}
				field.WriteByte('"')
			}
		} else {
			end := strings.IndexAny(text, ",\"\r\n")
			if end < 0 {
				return nil, errors.New("the last record has no end")
			}
			field.WriteString(text[:end])
			text = text[end:]
		}
		record = append(record, field.String())
		if rest, ok := strings.CutPrefix(text, ","); ok {
			if text = rest; text == "" {
				return nil, errors.New("the last record has no end")
			}
			continue
		}
		rest, ok := strings.CutPrefix(text, "\r\n")
		if !ok {
			return nil, errors.New("something follows a field")
		}
		out, record, text = append(out, record), nil, rest
	}
	return out, nil
}

// objects reads NDJSON and checks that every line has the same keys in the same
// order. Numbers are as they are written.
func objects(t testing.TB, body []byte) (out []map[string]any) {
	t.Helper()
	var order string
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.UseNumber()
		m := map[string]any{}
		if err := dec.Decode(&m); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		var keys []string
		tokens := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		depth, key := 0, true
		for {
			tok, err := tokens.Token()
			if err == io.EOF {
				break
			}
			switch v := tok.(type) {
			case json.Delim:
				if v == '{' || v == '[' {
					depth++
					key = true
					continue
				}
				depth--
				key = true
			default:
				if depth == 1 && key {
					keys = append(keys, tok.(string))
				}
				key = !key
			}
		}
		if now := strings.Join(keys, "\x00"); order == "" {
			order = now
		} else if order != now {
			t.Fatalf("keys %q, before %q", now, order)
		}
		out = append(out, m)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// readParquet reads a file back: the values of each row by name, nil for null.
func readParquet(t testing.TB, body []byte) (file *parquet.File, names []string, out []map[string]any) {
	t.Helper()
	file, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatalf("%d bytes: %v", len(body), err)
	}
	for _, f := range file.Schema().Fields() {
		names = append(names, f.Name())
	}
	for _, g := range file.RowGroups() {
		rows := g.Rows()
		buf := make([]parquet.Row, 16)
		for {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				m := map[string]any{}
				for _, v := range row {
					name := names[v.Column()]
					switch {
					case v.IsNull():
						m[name] = nil
					case v.Kind() == parquet.Int64:
						m[name] = v.Int64()
					case v.Kind() == parquet.Double:
						m[name] = v.Double()
					default:
						m[name] = string(v.ByteArray())
					}
				}
				out = append(out, m)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return file, names, out
}
