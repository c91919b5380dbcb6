package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"footfall/cluster/transport/authority"
)

// knock connects, says something and gives what comes back until the other side
// closes.
func knock(t *testing.T, addr string, say []byte) []byte {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	c.Write(say)
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection of who said %.20q was not closed", say)
	}
	return b
}

func TestStrangersGetNothing(t *testing.T) {
	garbage := bytes.Repeat([]byte{0x9E, 0x37, 0x79, 0xB9}, 256)
	says := map[string][]byte{
		"HTTP":            []byte("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
		"garbage":         garbage,
		"nothing":         nil,
		"part of a hello": helloMagic[:],
		"a long hello":    append(helloMagic[:], 0xFF, 0xFF),
	}
	damaged := hello{versions: current, cluster: ours, node: 1, ident: 7, lane: Control}.append(nil)
	damaged[20] ^= 1
	says["a damaged hello"] = damaged
	quick := func(c *Config) { c.HelloTimeMax = 300 * time.Millisecond }

	t.Run("plain", func(t *testing.T) {
		m := start(t, 2, &script{}, quick)
		for what, say := range says {
			if b := knock(t, m.addr(), say); len(b) != 0 {
				t.Errorf("%s got %q", what, b)
			}
		}
		m.waitRefused(uint64(len(says)))
	})
	t.Run("tls", func(t *testing.T) {
		m := start(t, 2, &script{}, func(c *Config) {
			quick(c)
			c.TLS = certificates(t, time.Now).Config()
		})
		says["a good hello without TLS"] = hello{versions: current, cluster: ours, node: 1, ident: 7, lane: Control}.append(nil)
		for what, say := range says {
			// An alert of TLS is at most 7 bytes and says nothing of us.
			if b := knock(t, m.addr(), say); len(b) > 7 {
				t.Errorf("%s got %q", what, b)
			}
		}
	})
}

func TestCertificatesOfOthersAreRefused(t *testing.T) {
	dir := t.TempDir()
	long := authority.Maker{Clock: func() time.Time { return time.Now().AddDate(-2, 0, 0) }}
	if err := errors.Join(long.InitCA(dir), long.Issue(dir, "old"), authority.Maker{}.Issue(dir, "node")); err != nil {
		t.Fatal(err)
	}
	load := func(name string, clock func() time.Time) *tls.Config {
		f, err := authority.Load(filepath.Join(dir, "ca.pem"), filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), authority.Options{Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return f.Config()
	}
	// A stranger trusts everybody.
	trusting := func(c *tls.Config) *tls.Config {
		c.VerifyConnection, c.ClientAuth = nil, tls.RequireAndVerifyClientCert
		return c
	}
	var calls atomic.Int32
	m := start(t, 2, &script{call: func(context.Context, Peer, uint8, []byte) ([]byte, error) {
		calls.Add(1)
		return nil, nil
	}}, func(c *Config) { c.TLS = load("node", time.Now) })
	for _, c := range []struct {
		what     string
		settings *tls.Config
	}{
		{"of another authority", trusting(certificates(t, time.Now).Config())},
		{"expired", trusting(load("old", long.Clock))},
		{"none", trusting(&tls.Config{InsecureSkipVerify: true})},
		{"plain TCP", nil},
	} {
		before := m.Refused()
		stranger := start(t, 1, &script{}, func(cfg *Config) { cfg.TLS = c.settings })
		if _, _, err := stranger.CallAddress(bounded(t), m.addr(), 0, nil); FateOf(err) != NotSent {
			t.Errorf("%s: %v (%v)", c.what, err, FateOf(err))
		}
		m.waitRefused(before + 1)
		stranger.stop()
	}
	if calls.Load() != 0 {
		t.Error("a stranger's call reached the handler")
	}
	// And a node does not speak to strangers either.
	foreign := start(t, 3, &script{}, withTLS(certificates(t, time.Now)))
	_, _, err := m.CallAddress(bounded(t), foreign.addr(), 0, nil)
	if FateOf(err) != NotSent || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("calling a foreign node: %v", err)
	}
}

func TestSlowStrangersMakeWayForNodes(t *testing.T) {
	m := start(t, 2, &script{}, func(c *Config) { c.HandshakesMax, c.HelloTimeMax = 8, patience })
	var conns []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", m.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(helloMagic[:1])
		conns = append(conns, c)
	}
	a := start(t, 1, &script{}, nil)
	if _, _, err := a.CallAddress(bounded(t), m.addr(), 0, nil); err != nil {
		t.Errorf("a node could not connect: %v", err)
	}
	// The first ones had to go long before their time was over.
	for _, c := range conns[:40] {
		c.SetReadDeadline(time.Now().Add(patience / 2))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a slow stranger is still there")
		}
	}
}

func TestStrangersAreLoggedOnceASecond(t *testing.T) {
	var logs bytes.Buffer
	var mu sync.Mutex
	now := time.Unix(1000, 0)
	g := gate{max: 1, logger: slog.New(slog.NewTextHandler(&logs, nil)), clock: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}}
	for range 100 {
		g.refuse("192.0.2.1:5", errNotOurs)
	}
	now = now.Add(refusedEvery)
	g.refuse("192.0.2.1:5", errNotOurs)
	if lines := strings.Count(logs.String(), "\n"); lines != 2 || !strings.Contains(logs.String(), "count=100") {
		t.Errorf("%d lines: %s", lines, logs.String())
	}
}

func TestNodesThatDoNotBelongTogetherSayWhy(t *testing.T) {
	none := func() [16]byte { return [16]byte{} }
	theirs := func() [16]byte { return [16]byte{9} }
	for _, c := range []struct {
		what  string
		self  Node
		to    Node
		other func(*Config) // of the node that connects
		here  func(*Config) // of the node asked
		want  Refusal
		text  []string
	}{
		{"another cluster", 1, 2, func(c *Config) { c.Cluster = theirs }, nil, RefusedCluster, []string{"01020300", "09000000"}},
		{"not joined yet", 1, 2, nil, func(c *Config) { c.Cluster = none }, RefusedJoining, []string{"not a member yet"}},
		{"another node there", 1, 3, nil, nil, RefusedNode, []string{"node 3 was expected", "this is node 2"}},
		{"the same number", 2, 3, func(c *Config) { c.Ident = 5 }, func(c *Config) {}, RefusedConflict, []string{"number 2"}},
		{"the same disk", 1, 2, func(c *Config) { c.Ident = 1002 }, nil, RefusedSelf, []string{"itself"}},
		{"too new", 1, 2, func(c *Config) { c.Versions = Versions{3, 4} }, func(c *Config) { c.Versions = Versions{1, 2} }, RefusedVersion, []string{"version 1 to 2", "this node 3 to 4"}},
		{"too old", 1, 2, func(c *Config) { c.Versions = Versions{1, 2} }, func(c *Config) { c.Versions = Versions{3, 3} }, RefusedVersion, []string{"version 3", "this node 1 to 2"}},
		{"not admitted there", 1, 2, nil, func(c *Config) {
			c.Admit = func(p Peer) error {
				if p.Node == 1 && p.Ident == 1001 {
					return errors.New("node 1 was removed")
				}
				return nil
			}
		}, RefusedPeer, []string{"node 1 was removed"}},
		{"removed", 1, 2, nil, func(c *Config) {
			c.Admit = func(p Peer) error { return fmt.Errorf("node %d %w", p.Node, ErrRemoved) }
		}, RefusedRemoved, []string{"node 1 was removed from the cluster"}},
		{"not admitted here", 1, 2, func(c *Config) { c.Admit = func(Peer) error { return errors.New("not on the list") } }, nil, RefusedPeer, []string{"not on the list"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			a, b := start(t, c.self, &script{}, c.other), start(t, 2, &script{}, c.here)
			a.SetPeers(map[Node]string{c.to: b.addr()})
			_, err := a.Dial(bounded(t), c.to)
			if RefusalOf(err) != c.want || FateOf(err) != NotSent {
				t.Errorf("got %v (%d), want refusal %d", err, RefusalOf(err), c.want)
			}
			for _, text := range c.text {
				if err != nil && !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
			for deadline := time.Now().Add(patience); a.Peers()[0].LastError == ""; {
				if time.Now().After(deadline) {
					t.Fatal("the state of the peer does not say why")
				}
				a.Dial(bounded(t), c.to)
			}
			if p := a.Peers()[0]; p.Up || RefusalOf(err) != 0 && !strings.Contains(p.LastError, c.text[0]) {
				t.Errorf("state %+v", p)
			}
			if len(a.s.up)+len(b.s.up) != 0 {
				t.Error("up was told")
			}
		})
	}
}

func TestARemovedNodeLearnsItFromItsClusterAlone(t *testing.T) {
	for name, cluster := range map[string]byte{"its own": 1, "another": 9} {
		t.Run(name, func(t *testing.T) {
			var told []Node
			var mu sync.Mutex
			a := start(t, 1, &script{}, func(c *Config) {
				c.Expelled = func(by Node) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, by)
				}
			})
			b := start(t, 2, &script{}, func(c *Config) {
				own := c.Cluster()
				c.Cluster = func() [16]byte { id := own; id[0] = cluster; return id }
				c.Admit = func(p Peer) error { return fmt.Errorf("node %d %w", p.Node, ErrRemoved) }
			})
			a.SetPeers(map[Node]string{2: b.addr()})
			_, err := a.Dial(bounded(t), 2)
			mu.Lock()
			defer mu.Unlock()
			if cluster == 1 && (RefusalOf(err) != RefusedRemoved || !slices.Contains(told, 2)) || cluster != 1 && len(told) > 0 {
				t.Errorf("got %v, told by %v", err, told)
			}
		})
	}
}

func TestANumberStaysWithItsDisk(t *testing.T) {
	m := start(t, 2, &script{}, nil)
	first := start(t, 1, &script{}, nil)
	first.SetPeers(map[Node]string{2: m.addr()})
	first.waitUp(2)
	second := start(t, 1, &script{}, func(c *Config) { c.Ident = 77 })
	if _, _, err := second.CallAddress(bounded(t), m.addr(), 0, nil); RefusalOf(err) != RefusedConflict {
		t.Errorf("another disk with number 1: %v", err)
	}
	if !first.Connected(2) {
		t.Error("the right one was disconnected")
	}
}

func TestNodesOfAdjacentVersionsWorkTogether(t *testing.T) {
	a := start(t, 1, &script{}, func(c *Config) { c.Versions = Versions{1, 2} })
	b := start(t, 2, &script{}, func(c *Config) { c.Versions = Versions{2, 3} })
	a.SetPeers(map[Node]string{2: b.addr()})
	b.SetPeers(map[Node]string{1: a.addr()})
	a.waitUp(2)
	b.waitUp(1)
	if v, w := a.Peers()[0].Version, b.Peers()[0].Version; v != 2 || w != 2 {
		t.Errorf("versions %d and %d were chosen, want 2", v, w)
	}
}

func TestFramesOfTheFutureArePassedOverOrRefused(t *testing.T) {
	ch := make(chan got, 8)
	m := start(t, 2, collect(ch), nil)
	c := open(t, m, Append)
	c.Write(appendFrame(nil, frameOptional+5, true, 1, 2, 3))
	c.Write(appendFrame(nil, frameMessage, true, 'x'))
	if g := receive(t, ch); string(g.body) != "x" {
		t.Errorf("got %q", g.body)
	}
	for _, lane := range []Lane{Append, Control, laneCall} {
		c := open(t, m, lane)
		c.Write(appendFrame(nil, 77, true))
		frames := newFrameReader(c, 1<<10, true)
		kind, body, err := frames.next()
		for err == nil && kind == framePing {
			kind, body, err = frames.next()
		}
		if kind != frameBye || !strings.Contains(string(body), "kind 77") {
			t.Errorf("%s: a frame of kind %d, %q, %v; want to be told of kind 77", lane, kind, body, err)
		}
		if _, _, err := frames.next(); !isEOF(err) {
			t.Errorf("%s is open after a frame that nobody knows: %v", lane, err)
		}
	}
	damaged := appendFrame(nil, frameMessage, true, 'y')
	damaged[frameHead] ^= 1
	c = open(t, m, Append)
	c.Write(damaged)
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the lane is open after a damaged frame")
	}
	if len(ch) != 0 {
		t.Error("a damaged message was handed over")
	}
}

func TestCertificatesAreRenewedWhileNodesRun(t *testing.T) {
	dir := t.TempDir()
	var now atomic.Int64
	now.Store(time.Now().Unix())
	clock := func() time.Time { return time.Unix(now.Load(), 0) }
	maker := authority.Maker{Clock: clock}
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(maker.InitCA(dir), maker.Issue(dir, "node")); err != nil {
		t.Fatal(err)
	}
	files, err := authority.Load(at("ca.pem"), at("node.pem"), at("node.key"), authority.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, &script{}, &script{}, withTLS(files))
	before := a.Peers()[0].CertExpires
	now.Add(300 * 24 * 3600)
	if err := errors.Join(maker.Issue(dir, "next"), os.Rename(at("next.key"), at("node.key")), os.Rename(at("next.pem"), at("node.pem"))); err != nil {
		t.Fatal(err)
	}
	now.Add(200 * 24 * 3600) // the first certificate is over now
	a.SetPeers(nil)
	a.waitDown(2)
	a.SetPeers(map[Node]string{2: b.addr()})
	a.waitUp(2)
	if after := a.Peers()[0].CertExpires; !after.After(before) {
		t.Errorf("the peer's certificate ends %v, as before", after)
	}
	if _, _, err := b.CallAddress(bounded(t), a.addr(), 0, nil); err != nil {
		t.Error(err)
	}
}
