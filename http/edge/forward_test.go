package edge

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
	"footfall/http/door"
)

// pair is two nodes: what the first has not, the second answers.
type pair struct {
	first  string // address
	client http.Client
	broken bool // no tunnel can be opened
}

func startPair(t *testing.T, there []door.Route, here []door.Route) *pair {
	t.Helper()
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.PrefixFrom(door.TunnelAddress(), 128)}
	second, err := New(Options{Routes: there, Auth: byName{}, Trusted: trusted})
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{}
	tunnels, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := tunnels.Accept()
			if err != nil {
				return
			}
			go func() { _ = second.ServeTunnel(c) }()
		}
	}()
	first, err := New(Options{Routes: here, Auth: byName{}, Trusted: trusted, Metrics: metrics.NewSet(),
		Dial: func(ctx context.Context, node uint16) (net.Conn, error) {
			if node != 2 || p.broken {
				return nil, errors.New("there is no such node")
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", tunnels.Addr().String())
		}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- first.Serve(ln) }()
	p.first = "http://" + ln.Addr().String()
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := first.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-served
		_ = tunnels.Close()
		<-done
		_ = second.Shutdown(ctx)
	})
	return p
}

func elsewhere(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	ctx.Response.Header.Set("X-RateLimit-Remaining", "7")
	return &door.Elsewhere{Node: 2}
}

func TestARequestIsAnsweredByTheNodeThatCan(t *testing.T) {
	p := startPair(t, []door.Route{{Method: "POST", Path: "/v1/echo/{site}", Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
		client, _ := door.ClientIP(ctx, []netip.Prefix{netip.PrefixFrom(door.TunnelAddress(), 128)})
		ctx.Response.Header.Set("X-Answer", "kept")
		ctx.SetStatusCode(207)
		ctx.SetBodyString(ctx.UserValue("site").(string) + " " + string(ctx.QueryArgs().Peek("q")) + " " + string(ctx.PostBody()) + " " +
			string(ctx.Host()) + " " + client.String() + " " + string(ctx.Request.Header.Peek("Authorization")))
		if door.Hops(ctx) != 1 {
			t.Error("the request does not look passed on")
		}
		return nil
	}}}, []door.Route{{Method: "POST", Path: "/v1/echo/{site}", Handler: elsewhere}})
	req, err := http.NewRequest("POST", p.first+"/v1/echo/shop.example?q=a%20b", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "stats.example"
	req.Header.Set("X-Forwarded-For", "203.0.113.9, 10.0.0.1")
	req.Header.Set("Forwarded", "for=198.51.100.1")
	req.Header.Set("Authorization", "Bearer abc")
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := "shop.example a b body stats.example 203.0.113.9 Bearer abc"; resp.StatusCode != 207 || string(body) != want || resp.Header.Get("X-Answer") != "kept" ||
		resp.Header.Get("X-RateLimit-Remaining") != "7" {
		t.Errorf("%d %q, want %q; headers %v", resp.StatusCode, body, want, resp.Header)
	}
}

func TestTheOperatorIsKnownToTheOtherNode(t *testing.T) {
	who := func(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
		if who.Operator {
			ctx.SetBodyString("operator")
		}
		return nil
	}
	p := startPair(t, []door.Route{{Method: "GET", Path: "/v1/who", Need: door.Known, Handler: who}},
		[]door.Route{{Method: "GET", Path: "/v1/who", Need: door.Known, Handler: elsewhere}, {Method: "GET", Path: "/v1/here", Need: door.Known, Handler: who}})
	ask := func(path string, header ...string) (int, string) {
		req, err := http.NewRequest("GET", p.first+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, body := ask("/v1/who", "Authorization", "Bearer operator"); code != 200 || body != "operator" {
		t.Errorf("the operator: %d %s", code, body)
	}
	for _, path := range []string{"/v1/who", "/v1/here"} {
		if code, body := ask(path, headerOperator, "true", door.HeaderHops, "1"); code != 401 || body == "operator" {
			t.Errorf("a stranger who claims to be the operator at %s: %d %s", path, code, body)
		}
	}
}

func TestAStreamIsPassedOnAsItComes(t *testing.T) {
	next := make(chan string)
	p := startPair(t, []door.Route{{Method: "GET", Path: "/v1/stream", Handler: func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
		ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
			for line := range next {
				_, _ = w.WriteString(line + "\n")
				if w.Flush() != nil {
					return
				}
			}
		})
		return nil
	}}}, []door.Route{{Method: "GET", Path: "/v1/stream", Handler: elsewhere}})
	go func() { next <- "one" }()
	resp, err := p.client.Get(p.first + "/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"one", "two", "three"} {
		if want != "one" {
			next <- want // only after the line before was seen
		}
		if got, err := lines.ReadString('\n'); got != want+"\n" || err != nil {
			t.Fatalf("%q %v, want %q", got, err, want)
		}
	}
	close(next)
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("%q %v after the end", rest, err)
	}
}

func TestARequestThatNobodyCanAnswerIsRefused(t *testing.T) {
	p := startPair(t, []door.Route{{Method: "GET", Path: "/v1/x", Handler: elsewhere}}, []door.Route{{Method: "GET", Path: "/v1/x", Handler: elsewhere}})
	status := func() (int, string) {
		resp, err := p.client.Get(p.first + "/v1/x")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body) + resp.Header.Get("Retry-After")
	}
	// Sent on by the second as well, to nobody.
	if code, body := status(); code != 503 || !strings.Contains(body, "cannot be reached") || !strings.HasSuffix(body, "2") {
		t.Errorf("a site that nobody has: %d %s", code, body)
	}
	p.broken = true
	if code, body := status(); code != 503 || !strings.Contains(body, "cannot be reached") {
		t.Errorf("a node that is gone: %d %s", code, body)
	}
}

func TestAStrangerCannotClaimToBeANode(t *testing.T) {
	for _, h := range [][2]string{{door.HeaderHops, "1"}, {"X-Forwarded-For", door.TunnelAddress().String()}} {
		ctx := &fasthttp.RequestCtx{}
		var req fasthttp.Request
		req.Header.Set(h[0], h[1])
		ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		if door.Hops(ctx) != 0 {
			t.Errorf("a stranger's %s was believed", h[0])
		}
	}
}
