package testcluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"footfall/internal/testcluster/testproxy"
)

// plain is a cluster of listeners in place of nodes, each pair of which has two
// connections: one dialled by either.
type plain struct {
	*Cluster
	pipes map[[3]int]net.Conn // [from, to, dialler]: what from writes to and reads from
}

func newPlain(t *testing.T, nodes int) *plain {
	t.Helper()
	p := &plain{Cluster: &Cluster{t: t}, pipes: map[[3]int]net.Conn{}}
	var listeners []net.Listener
	for i := range nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		listeners = append(listeners, l)
		p.Nodes = append(p.Nodes, &Node{Index: i, Cluster: l.Addr().String()})
	}
	p.net = p.newNetwork()
	for a := range nodes {
		via := map[string]string{}
		for line := range strings.Lines(p.net.via(a)) {
			var from, to string
			if _, err := fmt.Sscan(line, &from, &to); err != nil {
				t.Fatal(err)
			}
			via[from] = to
		}
		if len(via) != nodes-1 {
			t.Fatalf("node %d: %v", a, via)
		}
		for b := range nodes {
			if a == b {
				continue
			}
			near, err := net.Dial("tcp", via[p.Nodes[b].Cluster])
			if err != nil {
				t.Fatal(err)
			}
			far, err := listeners[b].Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { near.Close(); far.Close() })
			p.pipes[[3]int{a, b, a}], p.pipes[[3]int{b, a, a}] = near, far
		}
	}
	return p
}

// How long a byte is waited for that is to arrive, and one that is not.
const (
	patience = 20 * time.Second
	glance   = 30 * time.Millisecond
)

// passes sends a byte from a to b on a connection that dialler made.
func (p *plain) passes(a, b, dialler int, wait time.Duration) bool {
	p.t.Helper()
	if _, err := p.pipes[[3]int{a, b, dialler}].Write([]byte{1}); err != nil {
		return false
	}
	c := p.pipes[[3]int{b, a, dialler}]
	c.SetReadDeadline(time.Now().Add(wait))
	_, err := c.Read(make([]byte, 1))
	return err == nil
}

// check wants bytes to pass on the ordered pairs of open, "01 02 10", and on no
// others, whoever dialled.
func (p *plain) check(t *testing.T, open string) {
	t.Helper()
	for a := range p.Nodes {
		for b := range p.Nodes {
			if a == b {
				continue
			}
			want, wait := slices.Contains(strings.Fields(open), fmt.Sprintf("%d%d", a, b)), glance
			if want {
				wait = patience
			}
			for _, dialler := range []int{a, b} {
				if got := p.passes(a, b, dialler, wait); got != want {
					t.Errorf("from %d to %d on the connection of %d: %v, want %v", a, b, dialler, got, want)
				}
			}
		}
	}
}

func TestTheNetworkBreaksWhereItIsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  func(*plain)
		passes string
	}{
		{"nothing", func(*plain) {}, "01 02 10 12 20 21"},
		{"one way", func(p *plain) { p.LoseOneWay(0, 1) }, "02 10 12 20 21"},
		{"isolated", func(p *plain) { p.Isolate(2) }, "01 10"},
		{"partition", func(p *plain) { p.Partition([]int{0}, []int{1, 2}) }, "12 21"},
		{"everybody alone", func(p *plain) { p.Partition() }, ""},
		{"cut", func(p *plain) { p.Cut(0, 1) }, "02 12 20 21"},
		{"healed", func(p *plain) { p.Isolate(2); p.LoseOneWay(0, 1); p.Heal() }, "01 02 10 12 20 21"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlain(t, 3)
			c.fault(p)
			p.check(t, c.passes)
		})
	}
}

func TestDelayIsOnEveryWay(t *testing.T) {
	p := newPlain(t, 2)
	const late = 40 * time.Millisecond
	p.Delay(late)
	for _, way := range [][3]int{{0, 1, 0}, {1, 0, 0}, {0, 1, 1}, {1, 0, 1}} {
		start := time.Now()
		if _, err := p.pipes[way].Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.pipes[[3]int{way[1], way[0], way[2]}].Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < late {
			t.Errorf("%v took %v", way, took)
		}
	}
}

func TestConsulCanBeLostByOneNode(t *testing.T) {
	p := &Cluster{t: t, net: &network{}}
	for range 2 {
		p.net.consul = append(p.net.consul, testproxy.New(t, "127.0.0.1:1"))
	}
	p.LoseConsul(1)
	// Through a hole nobody learns that there is no Consul at all.
	for i, want := range []bool{true, false} {
		c, err := net.Dial("tcp", p.net.consul[i].Address())
		if err == nil {
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if told := !errors.Is(err, os.ErrDeadlineExceeded); told != want {
			t.Errorf("node %d: got %v", i, err)
		}
	}
}

func TestWhatMeetsAFaultIsCounted(t *testing.T) {
	p := newPlain(t, 2)
	if !p.passes(0, 1, 0, patience) || p.Hindered() != 0 {
		t.Fatalf("without a fault %d were hindered", p.Hindered())
	}
	p.LoseOneWay(0, 1)
	if !p.passes(1, 0, 0, patience) || p.Hindered() != 0 {
		t.Fatalf("the way that is open hindered %d", p.Hindered())
	}
	if p.passes(0, 1, 0, glance) || p.Hindered() == 0 {
		t.Error("nothing was hindered")
	}
	before := p.Hindered()
	p.Cut(0, 1)
	if p.Hindered() == before {
		t.Error("what was cut is not counted")
	}
}
