package arena_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"footfall/bench/arena"
	"footfall/bench/results"
	"footfall/bench/scenario"
	"footfall/bench/scenarios"
)

// binary builds the program under measurement once.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs a node")
	}
	name := filepath.Join(t.TempDir(), "footfall")
	build := exec.Command("go", "build", "-o", name, "footfall/cmd/footfall")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return name
}

func smoke(t *testing.T, change string) *scenario.Scenario {
	t.Helper()
	text, err := scenarios.Open("smoke")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Parse(append(text, change...))
	if err != nil {
		t.Fatal(err)
	}
	s.Duration = 2 * time.Second
	return s
}

func measure(t *testing.T, a *arena.Arena, s *scenario.Scenario, run uint64) *results.Run {
	t.Helper()
	got, err := a.Measure(t.Context(), s, arena.Options{Run: run, Check: true, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestARealNode(t *testing.T) {
	a, err := arena.Local(t.Context(), binary(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	node := "http://" + a.Targets[0].Addr
	token := a.Targets[0].To.Bearer

	t.Run("counts what it acknowledges", func(t *testing.T) {
		got := measure(t, a, smoke(t, ""), 1)
		c := got.Conservation
		if !c.Holds() || c.Acknowledged == 0 || c.Counted != c.Acknowledged || c.Sites != 3 || c.Pages != 150 {
			t.Errorf("%+v", c)
		}
		for _, kind := range []string{results.Beacon, results.Query, results.API, results.SSE} {
			if k := got.Totals[kind]; k.Answered == 0 || k.Refused+k.Failed > 0 {
				t.Errorf("%s: answered %d, refused %d, failed %d: %v", kind, k.Answered, k.Refused, k.Failed, k.Statuses)
			}
		}
		if got.Totals[results.Beacon].Dropped == 0 || got.Totals[results.SSE].Messages == 0 {
			t.Errorf("no bot was dropped (%d), or no viewer saw anything (%d)", got.Totals[results.Beacon].Dropped, got.Totals[results.SSE].Messages)
		}
		if s := got.Servers[0]; !s.Scraped || s.CPUSeconds <= 0 || s.RSSPeak < 1<<20 || s.GoroutinesPeak == 0 || s.DiskAfter == 0 || len(got.Intervals) < 2 {
			t.Errorf("server %+v, %d intervals", s, len(got.Intervals))
		}
	})
	t.Run("counts arrays", func(t *testing.T) {
		s := smoke(t, "dialect: native\narray: 50\n")
		s.Rate = 20
		if c := measure(t, a, s, 2).Conservation; !c.Holds() || c.Acknowledged < 500 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("is not believed about what a proxy drops", func(t *testing.T) {
		c := throughProxy(t, node, token, 3, func(n int64, pass func(*http.Request, []byte) *http.Response, r *http.Request, body []byte) *http.Response {
			if n%40 != 0 {
				return pass(r, body)
			}
			return &http.Response{StatusCode: http.StatusAccepted}
		})
		if c.Holds() || c.Lost < 5 || c.Doubled != 0 || len(c.Wrong) == 0 {
			t.Errorf("views were dropped on the way: %+v", c)
		}
	})
	t.Run("is not believed about what a proxy doubles", func(t *testing.T) {
		c := throughProxy(t, node, token, 4, func(n int64, pass func(*http.Request, []byte) *http.Response, r *http.Request, body []byte) *http.Response {
			if n%40 == 0 {
				pass(r, bytes.Replace(body, []byte(`"id":"`), []byte(`"id":"again-`), 1))
			}
			return pass(r, body)
		})
		if c.Holds() || c.Doubled < 5 || c.Lost != 0 {
			t.Errorf("views were doubled on the way: %+v", c)
		}
	})
	t.Run("knows again what a proxy repeats", func(t *testing.T) {
		c := throughProxy(t, node, token, 5, func(n int64, pass func(*http.Request, []byte) *http.Response, r *http.Request, body []byte) *http.Response {
			pass(r, body)
			return pass(r, body)
		})
		if !c.Holds() {
			t.Errorf("the same views twice: %+v", c)
		}
	})
	t.Run("is compared also when the run is broken off", func(t *testing.T) {
		s := smoke(t, "")
		s.Duration = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		got, err := a.Measure(ctx, s, arena.Options{Run: 6, Check: true, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if !got.Interrupted || got.Conservation == nil || !got.Conservation.Holds() || got.Conservation.Acknowledged == 0 {
			t.Errorf("%+v", got.Conservation)
		}
	})
}

// throughProxy measures a node through a proxy that does something to beacons.
func throughProxy(t *testing.T, node, token string, run uint64, meddle func(n int64, pass func(*http.Request, []byte) *http.Response, r *http.Request, body []byte) *http.Response) *results.Conservation {
	t.Helper()
	to, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	pass := func(r *http.Request, body []byte) *http.Response {
		req, err := http.NewRequest(r.Method, node+r.URL.String(), bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return &http.Response{StatusCode: http.StatusBadGateway}
		}
		req.Header = r.Header.Clone()
		res, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return &http.Response{StatusCode: http.StatusBadGateway}
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Error(err)
		}
		return res
	}
	var n atomic.Int64
	rest := httputil.NewSingleHostReverseProxy(to)
	rest.Transport = client.Transport
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/event" {
			rest.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		res := meddle(n.Add(1), pass, r, body)
		if dropped := res.Header.Get("X-Plausible-Dropped"); dropped != "" {
			w.Header().Set("X-Plausible-Dropped", dropped)
		}
		w.WriteHeader(res.StatusCode)
	}))
	defer proxy.Close()
	a, err := arena.Remote([]string{proxy.URL}, arena.Keys{Main: token})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s := smoke(t, "")
	s.Queries = scenario.Queries{Connections: 1}
	s.Bots, s.Events.Custom, s.Events.Engagement, s.Check.Wait = 0, 0, 0, 300*time.Millisecond
	return measure(t, a, s, run).Conservation
}

func TestAddressesThatMeanNothingAreRefused(t *testing.T) {
	for _, text := range []string{"", "stats.example.com", "ftp://a", "http://", "http://u:p@a", "http://a?b=c"} {
		if _, _, err := arena.Target(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	got, base, err := arena.Target("https://stats.example.com/x/")
	if err != nil || got.Addr != "stats.example.com:443" || got.TLS == nil || got.To.Base != "/x" || base != "https://stats.example.com/x" {
		t.Errorf("%+v, %q, %v", got, base, err)
	}
	if got, _, err := arena.Target("http://[::1]:8080"); err != nil || got.Addr != "[::1]:8080" || got.TLS != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestQueriesNeedAKey(t *testing.T) {
	a, err := arena.Remote([]string{"http://127.0.0.1:1"}, arena.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Measure(t.Context(), smoke(t, ""), arena.Options{Now: time.Now}); err == nil {
		t.Error("a scenario with queries runs without a key")
	}
}
