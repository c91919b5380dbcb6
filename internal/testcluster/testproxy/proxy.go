// Package testproxy is a network that tests can break: a TCP proxy on loopback
// that passes bytes on, late, in one direction only, or not at all, and that
// resets connections. It never changes, loses or reorders bytes that it passes:
// what a hole swallows comes out when the hole is gone, as TCP's retransmission
// makes it between machines. Start at New.
package testproxy

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Flow is what happens to the bytes of one direction.
type Flow struct {
	Hole  bool          // nothing arrives, the end of a connection neither
	Delay time.Duration // that late
}

// Rule is what happens to all connections, open ones included. The zero value
// passes everything at once.
type Rule struct {
	Cut  bool // open connections are reset, new ones at once
	Up   Flow // from who dials to the target
	Down Flow // from the target back
}

// Hole is a rule under which nothing arrives anywhere.
func Hole() Rule { return Rule{Up: Flow{Hole: true}, Down: Flow{Hole: true}} }

// Late is a rule under which everything arrives d late, each way.
func Late(d time.Duration) Rule { return Rule{Up: Flow{Delay: d}, Down: Flow{Delay: d}} }

const (
	chunkBytes = 32 << 10
	chunksMax  = 64 // under way in one direction of a connection
	dialMax    = 5 * time.Second
)

// Proxy passes connections on. Calls may be concurrent.
type Proxy struct {
	listener net.Listener
	work     sync.WaitGroup // of all goroutines; Close waits for them
	hindered atomic.Uint64

	mu      sync.Mutex
	target  string
	rule    Rule
	changed chan struct{} // closed at the next change of rule
	links   map[*link]struct{}
	closed  bool
}

// New listens on a port of loopback and passes connections on to target,
// host:port. It ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := Open(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Open is New for a caller that closes the proxy.
func Open(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy to %s: %w", target, err)
	}
	p := &Proxy{listener: l, target: target, changed: make(chan struct{}), links: map[*link]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

// Address is where to dial, host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Set makes rule hold from now on.
func (p *Proxy) Set(rule Rule) { p.Change(func(r *Rule) { *r = rule }) }

// Change sets a part of the rule.
func (p *Proxy) Change(change func(*Rule)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.rule)
	close(p.changed)
	p.changed = make(chan struct{})
	if p.rule.Cut {
		for l := range p.links {
			p.hindered.Add(1)
			l.reset()
		}
	}
}

// Retarget makes new connections go elsewhere.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Links is the number of open connections.
func (p *Proxy) Links() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Hindered is how often so far something met a hole or a delay, or was reset by a
// cut: with none of it a fault was no fault.
func (p *Proxy) Hindered() uint64 { return p.hindered.Load() }

// Close resets everything and waits until all is gone.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	_ = p.listener.Close() // it cannot be needed any more
	p.work.Wait()
}

// state is the rule, the target and a channel that tells when the rule changes.
func (p *Proxy) state() (Rule, string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rule, p.target, p.changed
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed; there is no other way for it to fail here
		}
		l := &link{near: conn, over: make(chan struct{})}
		p.mu.Lock()
		refused := p.closed || p.rule.Cut
		if !refused {
			p.links[l] = struct{}{}
		}
		p.mu.Unlock()
		if refused {
			l.reset()
			continue
		}
		p.work.Go(func() { p.serve(l) })
	}
}

// serve carries one connection to its end.
func (p *Proxy) serve(l *link) {
	defer func() {
		l.reset()
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	}()
	// Through a hole nobody gets a connection, nor learns that there is nobody.
	if !p.await(l, time.Time{}, func(r Rule) Flow { return Flow{Hole: r.Up.Hole || r.Down.Hole} }) {
		return
	}
	_, target, _ := p.state()
	far, err := net.DialTimeout("tcp", target, dialMax)
	if err != nil || !l.join(far) {
		return // whoever dialled sees a reset
	}
	var ways sync.WaitGroup
	ways.Go(func() { p.carry(l, l.near, far, func(r Rule) Flow { return r.Up }) })
	ways.Go(func() { p.carry(l, far, l.near, func(r Rule) Flow { return r.Down }) })
	ways.Wait()
	// Both directions have ended in order, or the link is reset already.
	l.finish(func(c net.Conn) { _ = c.Close() })
}

// chunk is what was read at a time; the last has the end of the stream.
type chunk struct {
	bytes []byte
	at    time.Time
	end   error // nil, io.EOF, or a broken connection
}
