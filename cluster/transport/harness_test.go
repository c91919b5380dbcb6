package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"footfall/cluster/transport/authority"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that hangs; no test measures it.
const patience = 20 * time.Second

var ours = [16]byte{1, 2, 3}

// script is a Handler made of functions; those that are nil do nothing.
type script struct {
	message func(Node, Lane, []byte)
	call    func(context.Context, Peer, uint8, []byte) ([]byte, error)
	stream  func(context.Context, Peer, uint8, []byte, io.Reader) error
	tunnel  func(net.Conn, Peer)
	up      chan Node
	down    chan downs
}

type downs struct {
	node Node
	err  error
}

func (s *script) Message(n Node, l Lane, b []byte) {
	if s.message != nil {
		s.message(n, l, b)
	}
}

func (s *script) Call(ctx context.Context, p Peer, kind uint8, b []byte) ([]byte, error) {
	if s.call == nil {
		return b, nil
	}
	return s.call(ctx, p, kind, b)
}

func (s *script) Stream(ctx context.Context, p Peer, kind uint8, header []byte, r io.Reader) error {
	if s.stream == nil {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	return s.stream(ctx, p, kind, header, r)
}

func (s *script) Tunnel(c net.Conn, p Peer) {
	if s.tunnel == nil {
		c.Close()
		return
	}
	s.tunnel(c, p)
}

func (s *script) Up(n Node)              { s.up <- n }
func (s *script) Down(n Node, err error) { s.down <- downs{n, err} }

// member is a running transport.
type member struct {
	*Transport
	s    *script
	t    testing.TB
	stop func()
}

func (m *member) addr() string { return m.Addr().String() }

func (m *member) waitUp(node Node) {
	m.t.Helper()
	select {
	case n := <-m.s.up:
		if n != node {
			m.t.Fatalf("node %d is up, want %d", n, node)
		}
	case <-time.After(patience):
		m.t.Fatalf("node %d is not up: %+v", node, m.Peers())
	}
}

func (m *member) waitDown(node Node) error {
	m.t.Helper()
	select {
	case d := <-m.s.down:
		if d.node != node {
			m.t.Fatalf("node %d is down, want %d", d.node, node)
		}
		return d.err
	case <-time.After(patience):
		m.t.Fatalf("node %d is not down: %+v", node, m.Peers())
		return nil
	}
}

// waitRefused waits until a number of connections were refused: they are
// counted when whoever knocked may have gone already.
func (m *member) waitRefused(count uint64) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); m.Refused() != count; runtime.Gosched() {
		if time.Now().After(deadline) {
			m.t.Fatalf("%d connections were refused, want %d", m.Refused(), count)
		}
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start runs a node with plain TCP unless change says otherwise.
func start(t testing.TB, self Node, s *script, change func(*Config)) *member {
	t.Helper()
	s.up, s.down = make(chan Node, 64), make(chan downs, 64)
	cfg := Config{
		Cluster:  func() [16]byte { return ours },
		Self:     func() Node { return self },
		Ident:    1000 + uint64(self),
		Listener: listen(t),
		Handler:  s,
		Logger:   slog.New(slog.DiscardHandler),
		// A busy machine must not look like a silent peer.
		SilenceMax: patience, LaneIdleMax: patience,
	}
	if change != nil {
		change(&cfg)
	}
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	m := &member{Transport: tr, s: s, t: t}
	m.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run of node %d: %v", self, err)
			}
		case <-time.After(patience):
			t.Errorf("Run of node %d does not end", self)
		}
	})
	t.Cleanup(m.stop)
	return m
}

// pair runs two nodes, the first of which is connected to the second.
func pair(t testing.TB, a, b *script, change func(*Config)) (*member, *member) {
	t.Helper()
	first, second := start(t, 1, a, change), start(t, 2, b, change)
	first.SetPeers(map[Node]string{1: "unused", 2: second.addr()})
	first.waitUp(2)
	return first, second
}

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// certificates makes an authority with one certificate.
func certificates(t testing.TB, clock func() time.Time) *authority.Files {
	t.Helper()
	dir := t.TempDir()
	m := authority.Maker{Clock: clock}
	if err := errors.Join(m.InitCA(dir), m.Issue(dir, "node", "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	f, err := authority.Load(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "node.pem"), filepath.Join(dir, "node.key"), authority.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func withTLS(f *authority.Files) func(*Config) {
	return func(c *Config) { c.TLS = f.Config() }
}

// bothWays runs a test over plain TCP and over TLS.
func bothWays(t *testing.T, test func(t *testing.T, change func(*Config))) {
	t.Run("plain", func(t *testing.T) { test(t, func(*Config) {}) })
	t.Run("tls", func(t *testing.T) { test(t, withTLS(certificates(t, time.Now))) })
}

// proxy forwards connections until it is frozen, then keeps them open and
// forwards nothing, like a machine that vanished.
type proxy struct {
	net.Listener
	to string

	mu     sync.Mutex
	cond   *sync.Cond
	frozen bool
	conns  []net.Conn
	closed bool
	work   sync.WaitGroup
}

func newProxy(t testing.TB, to string) *proxy {
	p := &proxy{Listener: listen(t), to: to}
	p.cond = sync.NewCond(&p.mu)
	p.work.Go(p.serve)
	t.Cleanup(func() {
		p.Listener.Close()
		p.mu.Lock()
		p.closed = true
		for _, c := range p.conns {
			c.Close()
		}
		p.cond.Broadcast()
		p.mu.Unlock()
		p.work.Wait()
	})
	return p
}

func (p *proxy) serve() {
	for {
		in, err := p.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.work.Go(func() { p.copy(in, out) })
		p.work.Go(func() { p.copy(out, in) })
	}
}

func (p *proxy) copy(to, from net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		for p.frozen && !p.closed {
			p.cond.Wait()
		}
		p.mu.Unlock()
		if _, failed := to.Write(b[:n]); err != nil || failed != nil {
			to.Close()
			from.Close()
			return
		}
	}
}

func (p *proxy) freeze(on bool) {
	p.mu.Lock()
	p.frozen = on
	p.cond.Broadcast()
	p.mu.Unlock()
}

// listenAt listens at an address that was in use a moment ago.
func listenAt(t testing.TB, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("the port was taken by another process: %v", err)
	}
	return l
}

// open opens a lane to a member without TLS, as node 1, for frames by hand.
func open(t *testing.T, m *member, lane Lane) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", m.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	c.Write(hello{versions: current, cluster: ours, node: 1, to: 2, ident: 1001, lane: lane}.append(nil))
	if a, err := readAnswer(c); err != nil || a.refusal != 0 {
		t.Fatalf("the hello was answered by %+v, %v", a, err)
	}
	return c
}
