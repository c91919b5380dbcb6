package importer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"footfall/cmd/internal/client"
)

func TestMain(m *testing.M) {
	// The server library ends this goroutine at its next look, seconds after Shutdown.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// stored is an event as the test's node keeps it.
type stored struct {
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Site      string `json:"site"`
	Name      string `json:"name"`
	URL       string `json:"url"`
	Page      string `json:"page"`
	Referrer  string `json:"referrer"`
	IP        string `json:"ip"`
	Visitor   string `json:"visitor"`
	UserAgent string `json:"user_agent"`
	KeepBots  bool   `json:"keep_bots"`
}

// testNode takes events over real HTTP and remembers their ids, as a node does.
type testNode struct {
	*httptest.Server
	mu       sync.Mutex
	events   []stored
	ids      map[string]bool
	requests int
	// fail is asked before each request with its number from 1: "" goes on,
	// "lost" takes the events but breaks the connection, "503" and others answer
	// that status.
	fail func(request int) string
	// judge may drop an event: a reason, or "" to count it.
	judge func(stored) string
}

func newTestNode(t *testing.T) *testNode {
	n := &testNode{ids: map[string]bool{}}
	n.Server = httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(n.Close)
	return n
}

func (n *testNode) serve(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests++
	plan := ""
	if n.fail != nil {
		plan = n.fail(n.requests)
	}
	switch plan {
	case "", "lost":
	case "busy":
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	default:
		var status int
		fmt.Sscan(plan, &status)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":"planned %d"}`, status)
		return
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil || r.Header.Get("Content-Encoding") != "gzip" || r.URL.Path != "/v1/events" || r.Method != http.MethodPost {
		http.Error(w, `{"error":"body: not a gzip POST to /v1/events"}`, http.StatusBadRequest)
		return
	}
	var events []stored
	if err := json.NewDecoder(z).Decode(&events); err != nil {
		http.Error(w, fmt.Sprintf(`{"error":"body: %v"}`, err), http.StatusBadRequest)
		return
	}
	var answer struct {
		Results []outcome `json:"results"`
		Token   string    `json:"token"`
	}
	for _, e := range events {
		result := outcome{Status: "accepted"}
		if n.judge != nil {
			if why := n.judge(e); why != "" {
				answer.Results = append(answer.Results, outcome{"rejected", why})
				continue
			}
		}
		if e.ID == "" || n.ids[e.ID] {
			result.Status = "duplicate"
		} else {
			n.ids[e.ID] = true
			n.events = append(n.events, e)
		}
		answer.Results = append(answer.Results, result)
	}
	answer.Token = fmt.Sprintf("1-%d", n.requests)
	if plan == "lost" {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusAccepted)
	json.NewEncoder(w).Encode(answer)
}

// kept gives the events counted so far.
func (n *testNode) kept() []stored {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.events)
}

// asked counts the requests so far.
func (n *testNode) asked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.requests
}

// quiet is a progress nobody looks at, but for its notices.
type quiet struct {
	mu           sync.Mutex
	bytes, lines int64
	notices      []string
}

func (q *quiet) Read(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes += n
}

func (q *quiet) Done(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines += n
}

func (q *quiet) Notice(why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.notices = append(q.notices, why)
}

// fakeTime passes only while somebody waits.
type fakeTime struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func (f *fakeTime) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeTime) Wait(ctx context.Context, d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	f.waits = append(f.waits, d)
	return ctx.Err()
}

func testOptions(t *testing.T, n *testNode) (Options, *quiet, *fakeTime) {
	t.Helper()
	c, err := client.Open(client.Options{Server: n.URL, Key: "ff_test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	progress, clock := &quiet{}, &fakeTime{now: time.Unix(0, 0)}
	return Options{
		Site: "example.com", Format: Combined, BatchSize: 100, Patience: time.Minute,
		Rejected: filepath.Join(t.TempDir(), "rejected"),
		Node:     c, Progress: progress, Now: clock.Now, Wait: clock.Wait, Jitter: func() float64 { return 0 },
	}, progress, clock
}

// logOf makes a log from a seed: whole lines, of which some repeat.
func logOf(seed uint64, lines int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	var out bytes.Buffer
	at := time.Date(2015, 5, 17, 10, 0, 0, 0, time.UTC)
	for range lines {
		at = at.Add(time.Duration(r.IntN(3)) * time.Second)
		fmt.Fprintf(&out, `10.0.0.%d - - [%s] "%s /page/%d%s HTTP/1.1" %d %d "%s" "Mozilla/5.0 (X11; Linux x86_64) Firefox/%d.0"`+"\n",
			r.IntN(3), at.Format("02/Jan/2006:15:04:05 -0700"), []string{"GET", "GET", "GET", "POST"}[r.IntN(4)], r.IntN(5),
			[]string{"", "", "", ".css", "?utm_source=x"}[r.IntN(5)], []int{200, 200, 200, 404}[r.IntN(4)], 100,
			[]string{"-", "https://www.google.com/"}[r.IntN(2)], 100+r.IntN(2))
	}
	return out.Bytes()
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkSum fails when lines went missing in the result.
func checkSum(t *testing.T, r Result) {
	t.Helper()
	sum := r.Views + r.Events + r.Duplicates + r.Rejected
	for _, n := range r.Dropped {
		sum += n
	}
	if sum != r.Lines {
		t.Errorf("%d lines, but %d accounted for: %+v", r.Lines, sum, r)
	}
}

func readAllOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
