package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

type got struct {
	from Node
	lane Lane
	body []byte
}

func collect(ch chan got) *script {
	return &script{message: func(n Node, l Lane, b []byte) { ch <- got{n, l, bytes.Clone(b)} }}
}

func receive(t *testing.T, ch chan got) got {
	t.Helper()
	select {
	case g := <-ch:
		return g
	case <-time.After(patience):
		t.Fatal("no message arrived")
		return got{}
	}
}

func TestMessagesOfALaneArriveInOrder(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		const count = 2000
		ch := make(chan got, 2*count)
		a, _ := pair(t, &script{}, collect(ch), change)
		next := map[Lane]uint64{}
		for i := range uint64(count) {
			for _, lane := range []Lane{Control, Append} {
				body := make([]byte, 8+(int(i)%700)*(int(lane)-1))
				binary.BigEndian.PutUint64(body, i)
				if !a.Send(2, lane, body) {
					t.Fatalf("message %d of %s was dropped", i, lane)
				}
			}
		}
		for range 2 * count {
			g := receive(t, ch)
			if i := binary.BigEndian.Uint64(g.body); g.from != 1 || i != next[g.lane] || len(g.body) != 8+(int(i)%700)*(int(g.lane)-1) {
				t.Fatalf("message %d of node %d on %s, %d bytes; want %d of node 1", i, g.from, g.lane, len(g.body), next[g.lane])
			}
			next[g.lane]++
		}
	})
}

func TestALargeMessageArrivesWhole(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		ch := make(chan got, 2)
		a, _ := pair(t, &script{}, collect(ch), change)
		body := make([]byte, 9<<20)
		for i := range body {
			body[i] = byte(i * i >> 7)
		}
		for _, size := range []int{len(body), readBytes - frameHead, readBytes - frameHead - checkBytes, readBytes, 0} {
			if !a.Send(2, Append, body[:size]) {
				t.Fatalf("%d bytes were dropped", size)
			}
			if g := receive(t, ch); !bytes.Equal(g.body, body[:size]) {
				t.Errorf("of %d bytes %d arrived, or others", size, len(g.body))
			}
		}
	})
}

func TestAFullLaneDropsAndTheOthersGoOn(t *testing.T) {
	ch := make(chan got, 64)
	release := make(chan struct{})
	s := collect(ch)
	count := s.message
	s.message = func(n Node, l Lane, b []byte) {
		if l == Append {
			<-release // a receiver that is stuck, so that the lane fills up
			return
		}
		count(n, l, b)
	}
	a, _ := pair(t, &script{}, s, func(c *Config) {
		c.AppendBytesMax = 64 << 10
	})
	defer close(release)
	body := make([]byte, 16<<10)
	// The kernel's buffers fill up first, while the lane drops and takes in turn.
	for sent, dropped := 0, 0; dropped < 1000; {
		if !a.Send(2, Append, body) {
			dropped++
			continue
		}
		if sent, dropped = sent+1, 0; sent > 1<<16 {
			t.Fatal("a lane takes a gigabyte")
		}
	}
	if !a.Send(2, Control, []byte("x")) {
		t.Error("the control lane drops because append is full")
	}
	if g := receive(t, ch); g.lane != Control {
		t.Errorf("a message of %s came first", g.lane)
	}
	p := a.Peers()[0]
	if p.Dropped < 1000 || p.QueuedBytes > 64<<10 {
		t.Errorf("state %+v; want 1000 dropped, up to 64 KiB queued", p)
	}
}

func TestMessagesToNobodyAreDropped(t *testing.T) {
	a, b := pair(t, &script{}, &script{}, nil)
	if a.Send(3, Control, nil) {
		t.Error("node 3 is not on the list")
	}
	if a.Send(1, Control, nil) {
		t.Error("node 1 is this node")
	}
	if b.Send(1, Control, nil) {
		t.Error("node 2 has no list")
	}
	if a.Send(2, laneCall, nil) || a.Send(2, 0, nil) || a.Send(2, 200, nil) {
		t.Error("not a lane of messages")
	}
	if a.Send(2, Append, make([]byte, 64<<20+1)) {
		t.Error("too large")
	}
	if p := a.Peers(); len(p) != 1 || p[0].Dropped != 4 {
		t.Errorf("peers %+v, want node 2 with 4 dropped", p)
	}
}

func TestDownIsToldOnceAndUpAgain(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		ch := make(chan got, 64)
		a, b := pair(t, &script{}, &script{}, change)
		addr := b.addr()
		b.stop()
		if err := a.waitDown(2); err == nil || errors.Is(err, ErrClosed) {
			t.Errorf("down because of %v", err)
		}
		if a.Send(2, Control, nil) || a.Connected(2) {
			t.Error("sent to a node that is down")
		}
		start(t, 2, collect(ch), func(c *Config) {
			change(c)
			c.Listener.Close()
			c.Listener = listenAt(t, addr)
		})
		a.waitUp(2)
		a.Send(2, Append, []byte("again"))
		if g := receive(t, ch); string(g.body) != "again" {
			t.Errorf("got %q", g.body)
		}
		if len(a.s.down) != 0 || len(a.s.up) != 0 {
			t.Error("up or down was told twice")
		}
	})
}

func TestASilentPeerIsDown(t *testing.T) {
	bothWays(t, func(t *testing.T, change func(*Config)) {
		a, b := start(t, 1, &script{}, func(c *Config) {
			change(c)
			c.SilenceMax = 0 // the default
		}), start(t, 2, &script{}, change)
		p := newProxy(t, b.addr())
		a.SetPeers(map[Node]string{2: p.Addr().String()})
		a.waitUp(2)
		p.freeze(true)
		if err := a.waitDown(2); !errors.Is(err, errSilent) {
			t.Errorf("down because of %v, want silence", err)
		}
		p.freeze(false)
		a.waitUp(2)
	})
}

func TestANodeThatMovedIsFoundAtItsNewAddress(t *testing.T) {
	ch := make(chan got, 64)
	a, b := start(t, 1, &script{}, nil), start(t, 2, collect(ch), nil)
	p := newProxy(t, b.addr())
	a.SetPeers(map[Node]string{2: p.Addr().String()})
	a.waitUp(2)
	a.SetPeers(map[Node]string{2: p.Addr().String()}) // no change
	a.SetPeers(map[Node]string{2: b.addr()})
	if err := a.waitDown(2); !errors.Is(err, ErrClosed) {
		t.Errorf("down because of %v, want ErrClosed", err)
	}
	a.waitUp(2)
	a.Send(2, Append, []byte("moved"))
	if g := receive(t, ch); string(g.body) != "moved" {
		t.Errorf("got %q", g.body)
	}
	if addr := a.Peers()[0].Addr; addr != b.addr() {
		t.Errorf("the address is %s, want %s", addr, b.addr())
	}
	a.SetPeers(nil)
	if err := a.waitDown(2); !errors.Is(err, ErrClosed) {
		t.Errorf("down because of %v, want ErrClosed", err)
	}
	if a.Send(2, Control, nil) || len(a.Peers()) != 0 {
		t.Error("a node that was taken off the list is still there")
	}
	a.SetPeers(map[Node]string{2: b.addr()})
	a.waitUp(2)
}

func TestANewConnectionReplacesTheOldOne(t *testing.T) {
	ch := make(chan got, 64)
	b := start(t, 2, collect(ch), nil)
	first := start(t, 1, &script{}, nil)
	p := newProxy(t, b.addr())
	first.SetPeers(map[Node]string{2: p.Addr().String()})
	first.waitUp(2)
	// The node starts anew; the end of its earlier connections has not arrived.
	p.freeze(true)
	second := start(t, 1, &script{}, nil)
	second.SetPeers(map[Node]string{2: b.addr()})
	second.waitUp(2)
	second.Send(2, Append, []byte("new"))
	if g := receive(t, ch); string(g.body) != "new" {
		t.Errorf("got %q", g.body)
	}
}

func TestStateTellsOfTheConnection(t *testing.T) {
	ch := make(chan got, 64)
	f := certificates(t, time.Now)
	a, b := pair(t, &script{}, collect(ch), withTLS(f))
	a.Send(2, Append, make([]byte, 1000))
	receive(t, ch)
	// The first ping leaves after PingEvery; the peer's state has the answer soon.
	for deadline := time.Now().Add(patience); a.Peers()[0].RTT == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no round trip was measured")
		}
		a.Send(2, Append, make([]byte, 1000))
		receive(t, ch)
	}
	p := a.Peers()[0]
	if !p.Up || p.Node != 2 || p.SentBytes < 1000 || p.Version != 1 || !p.CertExpires.Equal(f.Expires()) || p.Since.IsZero() {
		t.Errorf("state %+v", p)
	}
	b.SetPeers(map[Node]string{1: a.addr()})
	b.waitUp(1)
	if p := b.Peers()[0]; p.ReceivedBytes < 1000 {
		t.Errorf("%d bytes received, want at least 1000", p.ReceivedBytes)
	}
}

func TestSendAllocatesNothing(t *testing.T) {
	var box outbox
	box.init(1<<20, true)
	body := make([]byte, 300)
	round := func() {
		for range 1000 {
			if !box.put(body) {
				t.Fatal("full")
			}
		}
		for b := box.take(); b != nil; b = box.take() {
			box.written(b)
		}
	}
	round() // crates are made
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations per 1000 messages", n)
	}
	a, _ := pair(t, &script{}, &script{}, nil)
	a.SetPeers(map[Node]string{2: a.Peers()[0].Addr, 3: "127.0.0.1:1"})
	if n := testing.AllocsPerRun(1000, func() { a.Send(3, Append, body) }); n != 0 {
		t.Errorf("%v allocations per dropped message", n)
	}
}

func TestHalfAConfigIsRefused(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty Config was taken")
	}
	f := certificates(t, time.Now)
	settings := f.Config()
	settings.ClientAuth = 0
	_, err := New(Config{Cluster: func() [16]byte { return ours }, Self: func() Node { return 1 }, Listener: listen(t), Handler: &script{}, TLS: settings})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("settings that let anybody in: %v", err)
	}
}

func (g got) String() string { return fmt.Sprintf("%d/%s/%d bytes", g.from, g.lane, len(g.body)) }
