package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"footfall/bench/dialect"
	"footfall/bench/ledger"
	"footfall/bench/results"
	"footfall/bench/scenario"
)

func TestMain(m *testing.M) {
	// The server under load, not ours: it looks every ten seconds whether it was
	// stopped, and its clock that dates answers never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// serve runs a real server until the test ends.
func serve(t testing.TB, handler fasthttp.RequestHandler) *Target {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{Handler: handler, NoDefaultDate: true}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return target(ln.Addr().String())
}

func target(addr string) *Target { return &Target{Addr: addr, To: dialect.To{Host: addr}} }

func steady(rate float64, length time.Duration, connections int) *scenario.Scenario {
	s := scenario.Defaults()
	s.Rate, s.Duration, s.Connections = rate, length, connections
	s.Arrivals = "even"
	return &s
}

func accepted(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(fasthttp.StatusAccepted) }

func TestEveryDueRequestIsSentAndCounted(t *testing.T) {
	var got atomic.Int64
	to := serve(t, func(ctx *fasthttp.RequestCtx) { got.Add(1); accepted(ctx) })
	s := steady(500, time.Second, 4)
	l := ledger.New(s.Sites.Count, s.Pages.Count)
	run, err := Run(t.Context(), Plan{Scenario: s, Targets: []*Target{to}, Ledger: l, Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := run.Totals[results.Beacon]
	if b.Intended != 500 || b.Sent != 500 || b.Answered != 500 || got.Load() != 500 || b.Refused+b.Failed != 0 {
		t.Errorf("intended %d, sent %d, answered %d, refused %d, failed %d; the server saw %d; want 500 of the first three", b.Intended, b.Sent, b.Answered, b.Refused, b.Failed, got.Load())
	}
	if ack, doubt := l.Total(); ack != 500 || doubt != 0 {
		t.Errorf("the ledger has %d acknowledged and %d doubtful, want 500 and 0", ack, doubt)
	}
	var sum int64
	for _, i := range run.Intervals {
		sum += i.Answered
	}
	if sum != 500 {
		t.Errorf("the intervals add up to %d answers, want 500", sum)
	}
	h, err := results.Decode(b.Histogram)
	if err != nil || h.TotalCount() != 500 {
		t.Errorf("the histogram has %d values (%v), want 500", h.TotalCount(), err)
	}
}

// The server answers nothing until it has been told that a second's worth of
// requests is due. A generator that sends the next request only after an answer
// would see a handful of slow ones.
func TestAStallShowsInAllRequestsThatWereDueMeanwhile(t *testing.T) {
	const rate, connections = 200, 4
	var stalled sync.Once
	gate := make(chan struct{})
	var seen atomic.Int64
	to := serve(t, func(ctx *fasthttp.RequestCtx) {
		if seen.Add(1) > rate/2 {
			stalled.Do(func() { time.AfterFunc(time.Second, func() { close(gate) }) })
			<-gate
		}
		accepted(ctx)
	})
	s := steady(rate, 3*time.Second, connections)
	run, err := Run(t.Context(), Plan{Scenario: s, Targets: []*Target{to}, Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := run.Totals[results.Beacon]
	h, err := results.Decode(b.Histogram)
	if err != nil {
		t.Fatal(err)
	}
	slow := int64(0)
	for _, bar := range h.Distribution() {
		if bar.From >= 500_000 {
			slow += bar.Count
		}
	}
	// Of the requests due in the second of the stall, those of its first half
	// waited 500 ms or more; the rest of the run may add to them, never take away.
	if want := int64(rate / 2); slow < want-2 {
		t.Errorf("%d requests took 500 ms or more, want at least %d: p99 %d µs", slow, want, b.Latency.P99)
	}
	if b.Intended != 3*rate || b.Answered != 3*rate {
		t.Errorf("intended %d, answered %d, want %d", b.Intended, b.Answered, 3*rate)
	}
}

func TestRequestsThatWereNeverSentCountWithTheTimeTheyWaited(t *testing.T) {
	gate := make(chan struct{})
	to := serve(t, func(ctx *fasthttp.RequestCtx) { <-gate; accepted(ctx) })
	s := steady(100, 500*time.Millisecond, 1)
	go func() {
		time.AfterFunc(900*time.Millisecond, func() { close(gate) })
	}()
	run, err := Run(t.Context(), Plan{Scenario: s, Targets: []*Target{to}, Run: 1, Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b := run.Totals[results.Beacon]
	if b.Sent != 1 || b.Intended != 50 {
		t.Fatalf("sent %d of %d, want 1 of 50", b.Sent, b.Intended)
	}
	if b.Latency.P50 < 400_000 {
		t.Errorf("p50 is %d µs, want what half of them waited, above 400 ms", b.Latency.P50)
	}
	if len(run.Notes) == 0 || !strings.Contains(run.Notes[0], "49 requests were due and never sent") {
		t.Errorf("notes %q do not say that 49 were never sent", run.Notes)
	}
}

func TestABrokenTargetsViewsGoToTheNextWithTheSameID(t *testing.T) {
	var mu sync.Mutex
	ids := map[string]int{}
	note := func(body string) {
		_, id, _ := strings.Cut(body, `"id":"`)
		mu.Lock()
		ids[id]++
		mu.Unlock()
	}
	good := serve(t, func(ctx *fasthttp.RequestCtx) { note(string(ctx.PostBody())); accepted(ctx) })
	// It reads a request and hangs up: nobody knows what became of it.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			var req fasthttp.Request
			if req.Read(bufio.NewReader(c)) == nil {
				note(string(req.Body()))
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })

	s := steady(200, time.Second, 4)
	l := ledger.New(s.Sites.Count, 0)
	run, err := Run(t.Context(), Plan{Scenario: s, Targets: []*Target{good, target(ln.Addr().String())}, Run: 7, Ledger: l})
	if err != nil {
		t.Fatal(err)
	}
	b := run.Totals[results.Beacon]
	if b.Answered != 200 || b.Retried == 0 {
		t.Fatalf("answered %d, retried %d, want 200 and some", b.Answered, b.Retried)
	}
	twice := 0
	for _, n := range ids {
		if n > 1 {
			twice++
		}
	}
	if len(ids) != 200 || twice == 0 {
		t.Errorf("the servers saw %d ids, %d of them more than once; want 200, and some again", len(ids), twice)
	}
	if ack, _ := l.Total(); ack != 200 {
		t.Errorf("%d acknowledged, want each once: 200", ack)
	}
}

func TestOnlyDoubtfulAnswersMakeDoubtfulViews(t *testing.T) {
	for _, c := range []struct {
		status                                        int
		dropped                                       string
		acknowledged, doubtful, refused, droppedViews int64
	}{
		{202, "", 20, 0, 0, 0},
		{202, "1", 0, 0, 0, 20},
		{400, "", 0, 0, 20, 0},
		{429, "", 0, 0, 20, 0},
		{503, "", 0, 20, 20, 0},
	} {
		t.Run(fmt.Sprint(c.status, c.dropped), func(t *testing.T) {
			to := serve(t, func(ctx *fasthttp.RequestCtx) {
				ctx.SetStatusCode(c.status)
				if c.dropped != "" {
					ctx.Response.Header.Set("X-Plausible-Dropped", c.dropped)
				}
			})
			s := steady(200, 100*time.Millisecond, 2)
			l := ledger.New(s.Sites.Count, 0)
			run, err := Run(t.Context(), Plan{Scenario: s, Targets: []*Target{to}, Ledger: l, Run: 1})
			if err != nil {
				t.Fatal(err)
			}
			b := run.Totals[results.Beacon]
			ack, doubt := l.Total()
			if ack != c.acknowledged || doubt != c.doubtful || b.Refused != c.refused || b.Dropped != c.droppedViews {
				t.Errorf("acknowledged %d, doubtful %d, refused %d, dropped %d; want %d, %d, %d, %d", ack, doubt, b.Refused, b.Dropped, c.acknowledged, c.doubtful, c.refused, c.droppedViews)
			}
		})
	}
}

func TestArraysAreBookedEventByEvent(t *testing.T) {
	s := steady(1, time.Second, 1)
	s.Dialect, s.Array, s.Events.Custom = "native", 4, 0
	answer := `{"results":[{"status":"accepted"},{"status":"rejected","reason":"bot"},{"status":"duplicate"},{"status":"rejected","reason":"unavailable: send it again"}],"accepted":1,"duplicates":1,"rejected":2,"token":""}`
	to := serve(t, func(ctx *fasthttp.RequestCtx) {
		if n := strings.Count(string(ctx.PostBody()), `"site":`); n != 4 {
			t.Errorf("a request has %d events, want 4: %s", n, ctx.PostBody())
		}
		accepted(ctx)
		ctx.SetBodyString(answer)
	})
	l := ledger.New(s.Sites.Count, 0)
	run, err := Run(t.Context(), Plan{Scenario: s, Targets: []*Target{to}, Ledger: l, Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := run.Totals[results.Beacon]
	ack, doubt := l.Total()
	if ack != 2 || doubt != 1 || b.Dropped != 1 || b.Views != 4 {
		t.Errorf("acknowledged %d, doubtful %d, dropped %d of %d; want 2, 1, 1 of 4", ack, doubt, b.Dropped, b.Views)
	}
}

func TestBreakingOffEndsAtOnceAndKeepsTheResults(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var seen atomic.Int64
	to := serve(t, func(c *fasthttp.RequestCtx) {
		if seen.Add(1) == 100 {
			cancel()
		}
		accepted(c)
	})
	run, err := Run(ctx, Plan{Scenario: steady(200, time.Hour, 4), Targets: []*Target{to}, Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := run.Totals[results.Beacon]
	if !run.Interrupted || b.Answered < 100 || b.Answered != seen.Load() || b.Intended > seen.Load()+10 {
		t.Errorf("interrupted %v, answered %d, intended %d; the server saw %d", run.Interrupted, b.Answered, b.Intended, seen.Load())
	}
}

func TestAnswersOfOtherServersAreUnderstood(t *testing.T) {
	for name, raw := range map[string]string{
		"chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"closed":       "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nGIF89a",
		"old":          "HTTP/1.0 200 OK\r\n\r\nok",
		"continue":     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
		"nothing":      "HTTP/1.1 204 No Content\r\n\r\n",
		"empty header": "HTTP/1.1 200\r\nX-A:\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					wg.Go(func() {
						defer c.Close()
						in := bufio.NewReader(c)
						for {
							var req fasthttp.Request
							if req.Read(in) != nil {
								return
							}
							if _, err := c.Write([]byte(raw)); err != nil || name == "closed" || name == "old" {
								return
							}
						}
					})
				}
			})
			t.Cleanup(func() { ln.Close(); wg.Wait() })
			run, err := Run(t.Context(), Plan{Scenario: steady(100, 200*time.Millisecond, 2), Targets: []*Target{target(ln.Addr().String())}, Run: 1})
			if err != nil {
				t.Fatal(err)
			}
			if b := run.Totals[results.Beacon]; b.Answered != 20 || b.Failed+b.Refused+b.Retried != 0 {
				t.Errorf("answered %d, failed %d, refused %d, retried %d; want 20 and none", b.Answered, b.Failed, b.Refused, b.Retried)
			}
		})
	}
}

func TestViewersSeeWhatIsStreamed(t *testing.T) {
	to := serve(t, func(ctx *fasthttp.RequestCtx) {
		if !strings.HasSuffix(string(ctx.Path()), "/live") {
			accepted(ctx)
			return
		}
		if string(ctx.Request.Header.Peek("Authorization")) != "Bearer k" {
			ctx.SetStatusCode(401)
			return
		}
		ctx.SetContentType("text/event-stream")
		ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
			for range 3 {
				fmt.Fprint(w, "event: live\ndata: {}\n\n")
				if w.Flush() != nil {
					return
				}
			}
		})
	})
	s := steady(100, 300*time.Millisecond, 1)
	s.Queries.Viewers = 2
	run, err := Run(t.Context(), Plan{Scenario: s, Targets: []*Target{to}, Run: 1, ViewerKeys: []string{"k"}})
	if err != nil {
		t.Fatal(err)
	}
	if v := run.Totals[results.SSE]; v.Answered != 2 || v.Messages != 6 || v.Refused != 0 {
		t.Errorf("%d streams with %d messages, %d refused; want 2 with 6", v.Answered, v.Messages, v.Refused)
	}
}

func TestNoAllocationPerRequest(t *testing.T) {
	s := steady(1, time.Second, 1)
	s.Events.Engagement = .3
	for _, d := range scenario.Dialects() {
		s.Dialect = d
		p, err := prepare(Plan{Scenario: s, Targets: []*Target{target("h")}, Run: 1})
		if err != nil {
			t.Fatal(err)
		}
		b, err := newBeacons(p.world, ledger.New(s.Sites.Count, s.Pages.Count), 0)
		if err != nil {
			t.Fatal(err)
		}
		var buf []byte
		due := time.Duration(0)
		one := func() {
			due += time.Millisecond
			b.Next(due)
			buf = b.Append(buf[:0], p.Targets[0])
			o := Outcome{Status: 202, Body: answerAllGood}
			b.Done(&o)
		}
		for range 40_000 {
			one() // until as many are on their visits as ever will be
		}
		if n := testing.AllocsPerRun(1000, one); n > 0 {
			t.Errorf("%s: %v allocations per request, want 0", d, n)
		}
	}
}

var answerAllGood = []byte(`{"results":[{"status":"accepted"}],"accepted":1,"duplicates":0,"rejected":0,"token":""}`)

func TestRecordedValuesKeepTheirPrecision(t *testing.T) {
	for _, digits := range []int{coarse, fine} {
		for v := int64(1); v <= recordMax; v += 1 + v/50 {
			got := value(slot(v, digits), digits)
			if d := float64(got-v) / float64(v); d > 1/float64(int(1)<<digits) || d < -1/float64(int(1)<<digits) {
				t.Fatalf("%d is kept as %d with %d digits", v, got, digits)
			}
		}
	}
}

// BenchmarkClosedLoop tells what the generator reaches against the bare server
// in the same process; both share the cores.
func BenchmarkClosedLoop(b *testing.B) {
	to := serve(b, func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(fasthttp.StatusNoContent) })
	s := steady(1, 2*time.Second, 64)
	for b.Loop() {
		run, err := Run(b.Context(), Plan{Scenario: s, Targets: []*Target{to}, Run: 1, Closed: true})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(run.AnsweredPerSecond(), "requests/s")
		b.ReportMetric(run.Generator.CPUSeconds*1e6/float64(run.Totals[results.Beacon].Answered), "µs-CPU-both/request")
	}
}

func TestServersBehindTLSGetLoadToo(t *testing.T) {
	var got atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Add(1)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	to := target(s.Listener.Addr().String())
	to.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"}
	run, err := Run(t.Context(), Plan{Scenario: steady(100, 300*time.Millisecond, 2), Targets: []*Target{to}, Run: 1})
	if err != nil {
		t.Fatal(err)
	}
	if b := run.Totals[results.Beacon]; b.Answered != 30 || got.Load() != 30 || b.Retried > 0 {
		t.Errorf("answered %d, the server saw %d, retried %d; want 30, 30, 0", b.Answered, got.Load(), b.Retried)
	}
}

func TestALongRunHasLongerIntervals(t *testing.T) {
	r := newRecorder(10 * time.Hour)
	if len(r.intervals) > intervalsMax || r.width != 16*time.Second {
		t.Errorf("%d intervals of %v", len(r.intervals), r.width)
	}
	r.at(9 * time.Hour).answered.Add(1)
	if got := r.interval(int(9*time.Hour/r.width), 10*time.Hour); got.Answered != 1 || got.Seconds != 16 {
		t.Errorf("%+v", got)
	}
}
