package testbalancer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"footfall/cluster/discovery"
	"footfall/cluster/transport/authority"
	"footfall/internal/testcluster/testconsul"
	"footfall/internal/testnode"
	"footfall/internal/testprocess"
)

// TestMain also is the small server that tests balance to: a process of its own,
// so that it can be killed.
func TestMain(m *testing.M) {
	if address := os.Getenv("TESTBALANCER_SERVE"); address != "" {
		serve(address)
		return
	}
	os.Exit(m.Run())
}

// serve answers as a node would, from nothing: a beacon without an id is refused.
func serve(address string) {
	var stopping atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if stopping.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/stop", func(http.ResponseWriter, *http.Request) { stopping.Store(true) })
	mux.HandleFunc("/api/event", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Header.Get("X-Event-Id") == "" || err != nil || len(body) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", address, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"))
	})
	fmt.Println(http.ListenAndServe(address, mux))
}

type server struct {
	address string
	process *testprocess.Process
}

// startServer runs one and waits until it answers.
func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{address: fmt.Sprintf("127.0.0.1:%d", testprocess.FreePorts(t, 1)[0])}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "TESTBALANCER_SERVE="+s.address)
	if s.process, err = testprocess.Run(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.process.Kill)
	testnode.Until(t, "the server answers", func() bool {
		resp, err := http.Get("http://" + s.address + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return true
	})
	return s
}

// load sends views and questions from several clients until it is stopped.
type load struct {
	done, posts, gets, failed atomic.Int64
	first                     atomic.Value // text of the first failure
	stop                      context.CancelFunc
	clients                   sync.WaitGroup
}

func startLoad(t *testing.T, client *http.Client, base string) *load {
	l := &load{}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = func() { cancel(); l.clients.Wait() }
	t.Cleanup(l.stop)
	for i := range 8 {
		l.clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				var a testnode.Answer
				var err error
				want := http.StatusOK
				if post := n%2 == 0; post {
					want = http.StatusAccepted
					a, err = testnode.Ask(ctx, client, base, testnode.View{Site: "a.example", Page: fmt.Sprintf("/%d", n)}.Request())
					l.posts.Add(1)
				} else {
					a, err = testnode.Ask(ctx, client, base, testnode.Request{Path: fmt.Sprintf("/v1/sites/%d.example/report", i*7+n%50)})
					l.gets.Add(1)
				}
				if ctx.Err() != nil {
					return
				}
				if err != nil || a.Status != want {
					l.failed.Add(1)
					l.first.CompareAndSwap(nil, fmt.Sprintf("status %d %s, error %v", a.Status, a.Body, err))
				}
				l.done.Add(1)
			}
		})
	}
	return l
}

// more waits for n further answers.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	until := l.done.Load() + n
	testnode.Until(t, fmt.Sprintf("%d answers", until), func() bool { return l.done.Load() >= until })
}

func (l *load) check(t *testing.T) {
	t.Helper()
	l.stop()
	if failed := l.failed.Load(); failed != 0 {
		t.Errorf("%d of %d posts and %d gets failed, the first with %v", failed, l.posts.Load(), l.gets.Load(), l.first.Load())
	}
}

func pair(t *testing.T) (a, b *server, lb *Balancer, client *http.Client) {
	t.Helper()
	a, b = startServer(t), startServer(t)
	lb = Start(t, Options{Nodes: []string{a.address, b.address}})
	client = testnode.NewClient()
	t.Cleanup(client.CloseIdleConnections)
	testnode.Until(t, "both servers are up", func() bool { return lb.Sees(2) })
	return a, b, lb, client
}

func TestAKilledNodeCostsNoRequest(t *testing.T) {
	a, _, lb, client := pair(t)
	l := startLoad(t, client, lb.URL)
	l.more(t, 2000)
	a.process.Kill()
	l.more(t, 2000)
	testnode.Until(t, "one server is up", func() bool { return lb.Sees(1) })
	l.more(t, 500)
	l.check(t)
}

func TestAViewThatANodeSwallowsGoesToAnother(t *testing.T) {
	a, _, lb, client := pair(t)
	if err := a.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for n := range 4 { // before the checks notice
		got, err := testnode.Ask(t.Context(), client, lb.URL, testnode.View{Site: "a.example", Page: "/"}.Request())
		if err != nil || got.Status != http.StatusAccepted {
			t.Errorf("view %d: got %d %v", n, got.Status, err)
		}
	}
}

func TestANodeThatIsNotReadyGetsNothingMoreAndLosesNothing(t *testing.T) {
	a, b, lb, client := pair(t)
	l := startLoad(t, client, lb.URL)
	l.more(t, 1000)
	if _, err := testnode.Ask(t.Context(), client, "http://"+a.address, testnode.Request{Path: "/stop"}); err != nil {
		t.Fatal(err)
	}
	testnode.Until(t, "one server is up", func() bool { return lb.Sees(1) })
	for range 20 {
		got, err := testnode.Ask(t.Context(), client, lb.URL, testnode.Request{Path: "/where"})
		if err != nil || !strings.HasPrefix(string(got.Body), b.address) {
			t.Fatalf("got %s %v, want %s", got.Body, err, b.address)
		}
	}
	a.process.Kill()
	l.more(t, 1000)
	l.check(t)
}

func TestADrainedNodeGetsNothingMoreAndComesBack(t *testing.T) {
	_, _, lb, client := pair(t)
	l := startLoad(t, client, lb.URL)
	l.more(t, 500)
	lb.Drain("node1")
	if !lb.Sees(1) {
		t.Error("the drained server takes requests")
	}
	l.more(t, 500)
	lb.Undrain("node1")
	testnode.Until(t, "both servers are up", func() bool { return lb.Sees(2) })
	l.more(t, 500)
	l.check(t)
}

func TestTheSameSiteGoesToTheSameNode(t *testing.T) {
	_, _, lb, client := pair(t)
	homes := map[string]bool{}
	for site := range 20 {
		var home string
		for _, path := range []string{"/report", "/pages", "/export", "/report"} {
			got, err := testnode.Ask(t.Context(), client, lb.URL, testnode.Request{Path: fmt.Sprintf("/v1/sites/%d.example%s", site, path)})
			if err != nil {
				t.Fatal(err)
			}
			address, _, _ := strings.Cut(string(got.Body), " ")
			if home == "" {
				home = address
			}
			if address != home {
				t.Errorf("site %d: %s after %s", site, address, home)
			}
		}
		homes[home] = true
	}
	if len(homes) != 2 {
		t.Errorf("all sites go to %v", homes)
	}
}

func TestTheAddressOfAVisitorIsTheBalancersWord(t *testing.T) {
	_, _, lb, client := pair(t)
	got, err := testnode.Ask(t.Context(), client, lb.URL, testnode.Request{Path: "/", Header: map[string]string{"X-Forwarded-For": "6.6.6.6"}})
	if _, rest, _ := strings.Cut(string(got.Body), " "); err != nil || rest != "127.0.0.1 http" {
		t.Errorf("got %s %v", got.Body, err)
	}
	for _, path := range []string{"/metrics", "/debug/pprof", "/dev/clock"} {
		if got, err = testnode.Ask(t.Context(), client, lb.URL, testnode.Request{Path: path}); err != nil || got.Status != http.StatusNotFound {
			t.Errorf("%s: got %d %v, want 404", path, got.Status, err)
		}
	}
	if got, err = testnode.Ask(t.Context(), client, lb.Stats, testnode.Request{Path: "/metrics"}); err != nil ||
		!strings.Contains(string(got.Body), `haproxy_backend_active_servers{proxy="beacons"} 2`) {
		t.Errorf("metrics: %v %.200s", err, got.Body)
	}
}

func TestTooManyRequestsOfOneAddressAre429(t *testing.T) {
	s := startServer(t)
	lb := Start(t, Options{Nodes: []string{s.address}, Rate: 50})
	client := testnode.NewClient()
	defer client.CloseIdleConnections()
	testnode.Until(t, "the server is up", func() bool { return lb.Sees(1) })
	count := map[int]int{}
	for range 80 {
		a, err := testnode.Ask(t.Context(), client, lb.URL, testnode.View{Site: "a.example", Page: "/"}.Request())
		if err != nil {
			t.Fatal(err)
		}
		count[a.Status]++
		if a.Status == http.StatusTooManyRequests && a.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if count[http.StatusAccepted] < 50 || count[http.StatusTooManyRequests] == 0 || len(count) != 2 {
		t.Errorf("got %v", count)
	}
}

// deaf takes requests and hangs up without an answer, as a node does that dies
// at the worst moment; it is always ready.
func deaf(t *testing.T) (address string, heard func() []string) {
	t.Helper()
	var mu sync.Mutex
	var ids []string
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			return
		}
		_, _ = io.ReadAll(r.Body)
		mu.Lock()
		ids = append(ids, r.Header.Get("X-Event-Id"))
		mu.Unlock()
		panic(http.ErrAbortHandler)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		s.Close()
		serving.Wait()
	})
	return l.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), ids...)
	}
}

func TestAViewSentAgainKeepsItsIdAndOtherWritesAreSentOnce(t *testing.T) {
	a, heardA := deaf(t)
	b, heardB := deaf(t)
	lb := Start(t, Options{Nodes: []string{a, b}})
	client := testnode.NewClient()
	// On a connection that was used before, HAProxy hangs up instead of sending 502.
	client.Transport.(*http.Transport).DisableKeepAlives = true
	testnode.Until(t, "both are up", func() bool { return lb.Sees(2) })
	if got, err := testnode.Ask(t.Context(), client, lb.URL, testnode.View{Site: "a.example", Page: "/"}.Request()); err != nil || got.Status < 500 {
		t.Errorf("got %d %v", got.Status, err)
	}
	ids := append(heardA(), heardB()...)
	if len(ids) != 3 || ids[0] == "" || ids[1] != ids[0] || ids[2] != ids[0] {
		t.Errorf("three attempts with one id wanted, got %q", ids)
	}
	request := testnode.View{Site: "a.example", Page: "/"}.Request()
	request.Header["X-Event-Id"] = "mine"
	if _, err := testnode.Ask(t.Context(), client, lb.URL, request); err != nil {
		t.Fatal(err)
	}
	for _, id := range append(heardA(), heardB()...) {
		if id != ids[0] && id != "mine" {
			t.Errorf("the visitor's own id became %q", id)
		}
	}
	before := len(heardA()) + len(heardB())
	if _, err := testnode.Ask(t.Context(), client, lb.URL, testnode.Request{Path: "/v1/sites", Body: "{}"}); err != nil {
		t.Fatal(err)
	}
	if after := len(heardA()) + len(heardB()); after != before+1 {
		t.Errorf("a write was sent %d times", after-before)
	}
}

// certificate writes a certificate for loopback with its key, and its CA.
func certificate(t *testing.T) (both string, roots *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	maker := authority.Maker{}
	if err := maker.InitCA(dir); err != nil {
		t.Fatal(err)
	}
	if err := maker.Issue(dir, "lb", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	both = filepath.Join(dir, "both.pem")
	if err := os.WriteFile(both, append(read("lb.pem"), read("lb.key")...), 0o600); err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(read("ca.pem"))
	return both, roots
}

func TestNodesAreFoundThroughTheRealConsul(t *testing.T) {
	consul := testconsul.Start(t, testconsul.Options{})
	cert, roots := certificate(t)
	lb := Start(t, Options{ConsulDNS: consul.DNS, Cert: cert, Rate: 1_000_000})
	if lb.Ready() {
		t.Error("ready without a node")
	}
	servers := []*server{startServer(t), startServer(t)}
	var nodes []*discovery.Consul
	for i, s := range servers {
		node, err := discovery.NewConsul(discovery.ConsulOptions{Address: consul.Address}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close(context.Background())
		m := discovery.Member{Ident: uint64(i + 1), Name: "n", Cluster: fmt.Sprintf("127.0.0.1:%d", i+1), HTTP: s.address}
		if err := node.Register(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, node)
	}
	testnode.Until(t, "both are found", func() bool { return lb.Ready() && lb.Sees(2) })

	client := testnode.NewClient()
	defer client.CloseIdleConnections()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig, transport.ForceAttemptHTTP2 = &tls.Config{RootCAs: roots}, true
	resp, err := client.Get(lb.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.ProtoMajor != 2 || !bytes.HasSuffix(body, []byte("127.0.0.1 https")) || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("got %s %v %s", resp.Proto, resp.Header, body)
	}
	if got, err := testnode.Ask(t.Context(), client, lb.Plain, testnode.Request{Path: "/x"}); err != nil || got.Status != http.StatusPermanentRedirect {
		t.Errorf("without TLS: %d %v", got.Status, err)
	}

	l := startLoad(t, client, lb.URL)
	l.more(t, 500)
	// A node that drains leaves DNS, and then the balancer.
	if err := nodes[0].Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.more(t, 500)
	// Without Consul the rest goes on, and a death is noticed all the same.
	consul.Kill()
	l.more(t, 1000)
	servers[0].process.Kill()
	testnode.Until(t, "one is left", func() bool { return lb.Sees(1) })
	l.more(t, 1000)
	l.check(t)
	if !lb.Ready() {
		t.Error("the balancer gave up without Consul")
	}
}

func TestTheTwoFilesSayTheSame(t *testing.T) {
	read := func(name string) map[string]string {
		text, err := os.ReadFile(File(t, name))
		if err != nil {
			t.Fatal(err)
		}
		sections := map[string]string{}
		var section string
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "#")
			fields := strings.Fields(line)
			switch {
			case len(fields) == 0:
			case line[0] != ' ':
				section = strings.Join(fields, " ")
			case fields[0] != "server" && fields[0] != "server-template" && fields[0] != ".if" && fields[0] != ".endif":
				sections[section] += strings.TrimSpace(line) + "\n"
			}
		}
		return sections
	}
	full, static := read("haproxy.cfg"), read("static.cfg")
	for _, section := range []string{"defaults", "backend beacons", "backend answers", "backend streams", "frontend stats"} {
		if full[section] == "" || full[section] != static[section] {
			t.Errorf("%s:\n%s\nis not\n%s", section, full[section], static[section])
		}
	}
	for line := range strings.Lines(static["frontend visitors"]) {
		if !strings.HasPrefix(line, "bind") && !strings.Contains(line, "X-Forwarded-Proto") && !strings.Contains(full["frontend visitors"], line) {
			t.Errorf("haproxy.cfg does not have %s", line)
		}
	}
}

func TestHAProxyFindsNothingWrongWithTheFiles(t *testing.T) {
	cert, _ := certificate(t)
	for _, name := range []string{"haproxy.cfg", "static.cfg"} {
		cmd := exec.CommandContext(t.Context(), Binary(t), "-c", "-f", File(t, name))
		cmd.Env = testprocess.Environment([]string{"FOOTFALL_"}, "FOOTFALL_CERTS="+cert, "FOOTFALL_NODE_1=127.0.0.1:1")
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "WARNING") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestABalancerComesBackWhereItWas(t *testing.T) {
	s := startServer(t)
	lb := Start(t, Options{Nodes: []string{s.address}})
	url, first := lb.URL, lb.process.PID()
	client := testnode.NewClient()
	defer client.CloseIdleConnections()
	for range 2 {
		lb.Restart()
		testnode.Until(t, "the server is up", func() bool { return lb.Sees(1) })
		if a, err := testnode.Ask(t.Context(), client, lb.URL, testnode.View{Site: "a.example", Page: "/"}.Request()); err != nil || a.Status != http.StatusAccepted {
			t.Errorf("got %d %v", a.Status, err)
		}
	}
	if lb.URL != url || lb.process.PID() == first {
		t.Errorf("%s became %s, process %d became %d", url, lb.URL, first, lb.process.PID())
	}
}
