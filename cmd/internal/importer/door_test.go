package importer

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cmd/internal/client"
	"footfall/enrich"
	"footfall/http/beacon"
	"footfall/http/door"
)

// The tests below import through the node's real door for events, with its real
// enricher; only what records is a plain memory.

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// memory records events as a node does: each id once.
type memory struct {
	mu     sync.Mutex
	ids    map[uint64]bool
	days   map[string]int
	pages  map[string]int
	drops  map[analytics.Reason]int
	visits map[uint64]bool
}

func (m *memory) Record(site analytics.SiteID, ev *analytics.Event) (analytics.Receipt, error) {
	out := make([]analytics.Receipt, 1)
	err := m.RecordBatch(site, []analytics.Event{*ev}, out)
	return out[0], err
}

func (m *memory) RecordBatch(_ analytics.SiteID, evs []analytics.Event, out []analytics.Receipt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, ev := range evs {
		out[i].Token = analytics.Token{Index: uint64(len(m.ids) + 1)}
		if m.ids[ev.ID] {
			out[i].Reason = analytics.DropDuplicate
			continue
		}
		m.ids[ev.ID] = true
		m.days[time.UnixMilli(ev.Time).UTC().Format(time.DateOnly)]++
		m.pages[strings.Clone(ev.Page)]++
		m.visits[ev.Visitor] = true
	}
	return nil
}

func (m *memory) Drop(_ analytics.SiteID, reason analytics.Reason, n int, _ int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drops[reason] += n
}

// counted gives copies of what was counted.
func (m *memory) counted() (days, pages map[string]int, total int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, views := range m.pages {
		total += views
	}
	return maps.Clone(m.days), maps.Clone(m.pages), total
}

func (m *memory) dropped(reason analytics.Reason) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drops[reason]
}

func (m *memory) total() int {
	_, _, n := m.counted()
	return n
}

type oneSite struct{ site *analytics.Site }

func (o oneSite) Site(domain []byte) (*analytics.Site, bool) {
	return o.site, string(domain) == o.site.Domain
}

type fixedSalt struct{ salt [16]byte }

func (f *fixedSalt) At(int64) (current, previous *[16]byte)      { return &f.salt, nil }
func (f *fixedSalt) Weekly(int64) (current, previous *[16]byte)  { return &f.salt, nil }
func (f *fixedSalt) Monthly(int64) (current, previous *[16]byte) { return &f.salt, nil }

// realDoor serves the node's doors for events over TCP.
func realDoor(t *testing.T) (*memory, Options) {
	t.Helper()
	m := &memory{ids: map[uint64]bool{}, days: map[string]int{}, pages: map[string]int{}, drops: map[analytics.Reason]int{}, visits: map[uint64]bool{}}
	enricher, err := enrich.New(enrich.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := beacon.New(beacon.Options{Recorder: m, Directory: oneSite{&analytics.Site{ID: 1, Domain: "example.com", Timezone: "UTC"}},
		Salts: &fixedSalt{}, Enricher: enricher})
	server := &fasthttp.Server{MaxRequestBodySize: analytics.BatchBodyBytesMax, NoDefaultServerHeader: true, Handler: func(ctx *fasthttp.RequestCtx) {
		for _, route := range d.Routes() {
			if route.Method == string(ctx.Method()) && route.Path == string(ctx.Path()) {
				if err := route.Handler(ctx, accounts.Identity{Operator: true}); err != nil {
					door.WriteError(ctx, err)
				}
				return
			}
		}
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	c, err := client.Open(client.Options{Server: "http://" + listener.Addr().String(), Key: "ff_test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := enricher.Close(); err != nil {
			t.Error(err)
		}
	})
	clock := &fakeTime{now: time.Unix(0, 0)}
	return m, Options{Site: "example.com", Format: Combined, BatchSize: 500, Patience: time.Minute, Rejected: filepath.Join(t.TempDir(), "rejected"),
		Node: c, Progress: &quiet{}, Now: clock.Now, Wait: clock.Wait, Jitter: func() float64 { return 0 }}
}

func TestOddTargetsAreCountedAsTheirPages(t *testing.T) {
	m, o := realDoor(t)
	want := map[string]int{}
	var log strings.Builder
	for target, page := range map[string]string{
		"/":                              "/",
		"/a%20b?utm_source=x":            "/a b",
		"/50%25%20off":                   "/50% off",
		"/50%":                           "/50%",
		"/%2525":                         "/%25",
		"/trailing%20%09":                "/trailing",
		"//double//slashes/":             "//double//slashes/",
		"/..%2f../x":                     "/../../x",
		"/../x":                          "/../x",
		"/%E4%BD%A0?q=%zz&%":             "/你",
		"/%ff%fe":                        "/\uFFFD\uFFFD",
		"/quote\"and<angle>":             "/quote\"and<angle>",
		"/back\\slash":                   "/back\\slash",
		"/#fragment?no=query":            "/",
		"/nul%00inside":                  "/nul\x00inside",
		"/semi;colon=1,2+3":              "/semi;colon=1,2+3",
		"/?" + strings.Repeat("q", 5000): "/",
		"*":                              "/*",
		"http://host/x":                  "/http://host/x",
		"/" + strings.Repeat("y", 5000):  "/" + strings.Repeat("y", 1999),
	} {
		want[page]++
		log.WriteString(`1.2.3.4 - - [17/May/2015:10:00:00 +0000] "GET ` + target + ` HTTP/1.1" 200 1 "-" "` + firefox + `"` + "\n")
	}
	got, err := Run(context.Background(), []string{writeFile(t, "a", []byte(log.String()))}, o)
	if err != nil {
		t.Fatal(err)
	}
	checkSum(t, got)
	_, pages, _ := m.counted()
	for page, n := range want {
		if pages[page] != n {
			t.Errorf("page %.80q: got %d views, want %d", page, pages[page], n)
		}
	}
	if got.Views != 20 || m.total() != 20 {
		t.Errorf("got %+v, the node has %d in all", got, m.total())
	}
}

func TestBotsAreLeftOutUnlessKept(t *testing.T) {
	line := func(agent string) string {
		return `1.2.3.4 - - [17/May/2015:10:00:00 +0000] "GET / HTTP/1.1" 200 1` + agent + "\n"
	}
	log := []byte(line(` "-" "`+firefox+`"`) + line(` "-" "Googlebot/2.1"`) + line(` "-" "-"`) + line(``))
	m, o := realDoor(t)
	got, err := Run(context.Background(), []string{writeFile(t, "a", log)}, o)
	if err != nil || got.Views != 2 || got.Dropped["bot"] != 2 || m.dropped(analytics.DropBot) != 2 {
		t.Errorf("without bots: got %+v %v", got, err)
	}
	o.KeepBots = true
	got, err = Run(context.Background(), []string{writeFile(t, "a", log)}, o)
	if err != nil || got.Views != 2 || got.Duplicates != 2 || m.total() != 4 {
		t.Errorf("with bots: got %+v %v", got, err)
	}
}

func TestEventsTheDoorRefusesAreListed(t *testing.T) {
	m, o := realDoor(t)
	o.Format = NDJSON
	log := `{"timestamp":"2020-01-01T00:00:00Z","ip":"1.2.3.4","url":"https://example.com/a"}
{"timestamp":"2020-01-01T00:00:00Z","url":"https://example.com/no-visitor"}
{"timestamp":"yesterday","ip":"1.2.3.4","url":"https://example.com/"}
{"timestamp":"1990-01-01T00:00:00Z","ip":"1.2.3.4","url":"https://example.com/"}
`
	got, err := Run(context.Background(), []string{writeFile(t, "a", []byte(log))}, o)
	if err != nil || got.Views != 1 || got.Rejected != 3 || m.total() != 1 {
		t.Fatalf("got %+v %v", got, err)
	}
	text := readAllOf(t, got.RejectedFile)
	for _, want := range []string{":2\tvisitor: ", ":3\ttimestamp: ", ":4\ttimestamp: "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	o.Site = "other.example"
	if _, err := Run(context.Background(), []string{writeFile(t, "a", []byte(`{"timestamp":"2020-01-01T00:00:00Z","ip":"1.2.3.4","url":"/"}`))}, o); err == nil || !strings.Contains(err.Error(), "knows no site other.example") {
		t.Errorf("unknown site: got %v", err)
	}
}

func TestRealLogThroughTheDoorGivesItsTruth(t *testing.T) {
	dir := "../../../../shared/data"
	text, err := os.ReadFile(filepath.Join(dir, "access.truth.json"))
	if err != nil {
		t.Skip("the folder shared/data is not there")
	}
	type count struct {
		Lines    int64            `json:"lines"`
		Rejected int64            `json:"rejected"`
		Skipped  map[string]int64 `json:"skipped"`
		Views    int64            `json:"views"`
		ByDay    map[string]int   `json:"by_day"`
		Distinct int              `json:"distinct_pages"`
		Top      [][2]any         `json:"by_page_top100"`
	}
	var truth struct {
		Pages count `json:"default_keep_bots"`
		All   count `json:"all_paths_keep_bots"`
	}
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	for _, allPaths := range []bool{false, true} {
		want := truth.Pages
		if allPaths {
			want = truth.All
		}
		m, o := realDoor(t)
		o.KeepBots, o.AllPaths = true, allPaths
		got, err := Run(context.Background(), []string{filepath.Join(dir, "access.log.gz")}, o)
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, got)
		days, pages, _ := m.counted()
		if got.Lines != want.Lines || got.Rejected != want.Rejected || got.Views != want.Views {
			t.Errorf("all paths %v: got %+v, want %d lines, %d rejected, %d views", allPaths, got, want.Lines, want.Rejected, want.Views)
		}
		for reason, n := range want.Skipped {
			if got.Dropped[reason] != n {
				t.Errorf("all paths %v: %s: got %d, want %d", allPaths, reason, got.Dropped[reason], n)
			}
		}
		for day, n := range want.ByDay {
			if days[day] != n {
				t.Errorf("all paths %v: %s: got %d, want %d", allPaths, day, days[day], n)
			}
		}
		for _, row := range want.Top {
			if n := pages[row[0].(string)]; float64(n) != row[1].(float64) {
				t.Errorf("all paths %v: %q: got %d, want %v", allPaths, row[0], n, row[1])
			}
		}
		if len(days) != len(want.ByDay) || len(pages) != want.Distinct {
			t.Errorf("all paths %v: %d days and %d pages, want %d and %d", allPaths, len(days), len(pages), len(want.ByDay), want.Distinct)
		}
	}
}
