// Package transport carries everything between the nodes of a cluster over one
// TCP port with mutual TLS: messages that may be lost, calls that are answered,
// streams that end well or with an error, and tunnels on which HTTP is spoken.
//
// It knows bytes, lanes and nodes; never raft, sites or HTTP. It must never
// block a sender of messages, keep more in memory than its bounds say, or say
// to a stranger more than TLS itself does.
//
// Start at Config, Handler and Transport.Run. link.go keeps a peer connected,
// accept.go takes connections in, caller.go and callee.go are the two ends of
// a call, hello.go and frame.go are the bytes, DESIGN.md the reasons.
//
// Cost of a message: one lock and one copy into the buffer of its lane; one
// write per wake of the lane's goroutine, whatever has collected by then; one
// read and no copy on the other side. No allocation once buffers have grown.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Node is the number of a member of the cluster; 0 is no member.
type Node = uint16

// Lane keeps messages of different urgency on connections of their own.
type Lane uint8

// The lanes of Send. Numbers are frozen.
const (
	Control Lane = iota + 1 // heartbeats, votes: small, never behind bulk
	Append                  // log entries
	laneCall
	laneOnce // one call, also with nodes that are not members yet
	laneStream
	laneTunnel
)

func (l Lane) String() string {
	names := [...]string{"no", "control", "append", "call", "single call", "stream", "tunnel"}
	if int(l) < len(names) {
		return names[l]
	}
	return fmt.Sprintf("unknown (%d)", uint8(l))
}

// Peer is who is at the other end of a connection.
type Peer struct {
	Node  Node   // 0: joining
	Ident uint64 // of its disk
	Addr  string // of the connection, not where the node listens
}

// Handler receives what other nodes send. All methods may be called
// concurrently. They are not called after Run has returned.
type Handler interface {
	// Message gets a message that another node sent by Send, in order per node
	// and lane. It is called on the reading goroutine and must not block. body is
	// valid during the call only.
	Message(from Node, lane Lane, body []byte)
	// Call answers a request. ctx ends when the caller gave up, is gone, or its
	// deadline passed. body belongs to the callee, the answer to the transport. Of
	// an error its analytics.Code and text reach the caller.
	Call(ctx context.Context, from Peer, kind uint8, body []byte) ([]byte, error)
	// Stream takes a stream. r gives io.EOF only if the sender sent all and said
	// so. The sender's Stream returns what this returns. ctx ends when the sender
	// is gone.
	Stream(ctx context.Context, from Peer, kind uint8, header []byte, r io.Reader) error
	// Tunnel takes over a connection. It must not block, and must see to it that
	// the connection is closed; the transport closes it when Run ends.
	Tunnel(conn net.Conn, from Peer)
	// Up tells that all lanes to a node are connected. Up and Down of a node
	// alternate and do not overlap.
	Up(Node)
	// Down tells, once per Up and at once, that the connection to a node broke:
	// its process ended, or it was silent for too long. errors.Is(err, ErrClosed)
	// tells that this side ended it. It is not called when Run ends.
	Down(Node, error)
}

// Config of a Transport. Cluster, Self, Listener and Handler are required.
// Functions must be safe for concurrent use and quick.
type Config struct {
	// Cluster is the id of the cluster; zero while this node is no member. It
	// changes once, from zero. Self is this node's number likewise.
	Cluster func() [16]byte
	Self    func() Node
	Ident   uint64 // of this node's disk
	// Listener is owned by the transport.
	Listener net.Listener
	// TLS is for both ends of connections; it must demand certificates of both
	// sides, as authority.Files.Config does. Nil means plain TCP, for loopback
	// only: anybody can speak then.
	TLS     *tls.Config
	Handler Handler
	// Admit, if set, decides about a node that is about to be connected, in either
	// direction, after all other checks: a removed one, or one whose ident is not
	// that of its number, is refused with the error's text. Nodes that join have
	// number 0.
	Admit func(Peer) error
	// Expelled is told that a node of this cluster refuses this one because it was
	// removed; nil: nobody is. It must not block, and may be called again and again.
	Expelled func(by Node)
	Logger   *slog.Logger     // default: discard
	Clock    func() time.Time // default time.Now
	Random   func() uint64    // default math/rand/v2.Uint64; spreads reconnections

	// Versions is what this node speaks; default: all this code knows. For tests
	// of nodes of different age.
	Versions Versions

	ControlBytesMax int // waiting on the control lane of a peer; default 1 MiB
	AppendBytesMax  int // waiting on the append lane of a peer; default 32 MiB
	MessageBytesMax int // one message, request or reply; default 64 MiB
	CallsMax        int // calls to a peer, and of a peer, at once; default 256
	CallBytesMax    int // requests of a peer held at once; default 128 MiB
	StreamsMax      int // streams of a peer at once; default 8
	TunnelsMax      int // tunnels of a peer at once; default 256
	ConnectionsMax  int // connections taken in at once; default 4096
	HandshakesMax   int // connections that have not shown who they are; default 64

	CallTimeMax  time.Duration // of calls whose context has no deadline; default 30 s
	DialTimeMax  time.Duration // until TCP is connected; default 1 s
	HelloTimeMax time.Duration // from connection to the end of the hello; default 5 s
	PingEvery    time.Duration // on the control lane; default 250 ms
	SilenceMax   time.Duration // on the control lane, then the peer is down; default 1 s
	LaneIdleMax  time.Duration // without progress on other lanes; default 5 s
	StreamIdle   time.Duration // without progress on a stream; default 30 s
	RedialMin    time.Duration // default 10 ms
	RedialMax    time.Duration // default 1 s
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Cluster == nil || c.Self == nil || c.Listener == nil || c.Handler == nil:
		return c, errors.New("transport: cluster, self, listener and handler are required")
	case c.TLS != nil && c.TLS.ClientAuth != tls.RequireAndVerifyClientCert &&
		(c.TLS.ClientAuth != tls.RequireAnyClientCert || c.TLS.VerifyConnection == nil):
		return c, errors.New("transport: the TLS settings do not demand a certificate of who connects")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Uint64
	}
	if c.Versions == (Versions{}) {
		c.Versions = current
	}
	orDefault(&c.ControlBytesMax, 1<<20)
	orDefault(&c.AppendBytesMax, 32<<20)
	orDefault(&c.MessageBytesMax, 64<<20)
	orDefault(&c.CallsMax, 256)
	orDefault(&c.CallBytesMax, 128<<20)
	orDefault(&c.StreamsMax, 8)
	orDefault(&c.TunnelsMax, 256)
	orDefault(&c.ConnectionsMax, 4096)
	orDefault(&c.HandshakesMax, 64)
	orDefault(&c.CallTimeMax, 30*time.Second)
	orDefault(&c.DialTimeMax, time.Second)
	orDefault(&c.HelloTimeMax, 5*time.Second)
	orDefault(&c.PingEvery, 250*time.Millisecond)
	orDefault(&c.SilenceMax, time.Second)
	orDefault(&c.LaneIdleMax, 5*time.Second)
	orDefault(&c.StreamIdle, 30*time.Second)
	orDefault(&c.RedialMin, 10*time.Millisecond)
	orDefault(&c.RedialMax, time.Second)
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		c.TLS.MinVersion = tls.VersionTLS13
		// Records of full size at once: lanes are written in bulk.
		c.TLS.DynamicRecordSizingDisabled = true
	}
	return c, nil
}

// Transport is one node's connections to all others. All methods may be called
// concurrently.
type Transport struct {
	cfg  Config
	gate gate

	// links holds the peers by number; the map is replaced, never changed.
	links atomic.Pointer[map[Node]*link]

	mu      sync.Mutex
	state   runState
	ctx     context.Context // of Run; set once
	wires   map[*wire]struct{}
	lanes   map[laneKey]*incoming // what is taken in, one per node and lane
	open    map[laneKey]int       // streams and tunnels taken in, by ident
	idents  map[Node]uint64       // disks of nodes, as met first
	traffic map[Node]*traffic
	ending  map[Node]*link // taken off the list, not ended yet
	owned   sync.WaitGroup // every goroutine of the transport
}

type runState uint8

const (
	idle runState = iota
	running
	ended
)

type laneKey struct {
	ident uint64
	lane  Lane
}

type traffic struct{ sent, received atomic.Uint64 }

// New makes a Transport. The listener accepts nothing before Run.
func New(cfg Config) (*Transport, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Transport{
		cfg:     cfg,
		wires:   map[*wire]struct{}{},
		lanes:   map[laneKey]*incoming{},
		open:    map[laneKey]int{},
		idents:  map[Node]uint64{},
		traffic: map[Node]*traffic{},
		ending:  map[Node]*link{},
	}
	t.gate = gate{max: cfg.HandshakesMax, logger: cfg.Logger, clock: cfg.Clock}
	t.links.Store(&map[Node]*link{})
	return t, nil
}

// Addr is where the transport listens.
func (t *Transport) Addr() net.Addr { return t.cfg.Listener.Addr() }

// Run serves until ctx ends, then closes every connection, tunnels included,
// waits for all goroutines and calls of the handler, and returns nil. It
// returns an error if the listener breaks. It must be called once.
func (t *Transport) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.mu.Lock()
	if t.state != idle {
		t.mu.Unlock()
		return errors.New("transport: Run was called before")
	}
	t.state, t.ctx = running, ctx
	for _, l := range *t.links.Load() {
		t.startLocked(l)
	}
	t.mu.Unlock()

	stop := context.AfterFunc(ctx, func() { t.cfg.Listener.Close() })
	defer stop()
	err := t.accept(ctx)
	cancel()
	t.cfg.Listener.Close()
	t.gate.close()

	t.mu.Lock()
	t.state = ended
	t.links.Store(&map[Node]*link{})
	wires := make([]*wire, 0, len(t.wires))
	for w := range t.wires {
		wires = append(wires, w)
	}
	t.mu.Unlock()
	for _, w := range wires {
		w.close()
	}
	t.owned.Wait()
	return err
}

// startLocked starts the goroutine of a link.
func (t *Transport) startLocked(l *link) {
	ctx, cancel := context.WithCancel(t.ctx)
	l.stop = cancel
	t.owned.Go(func() {
		defer cancel()
		l.run(ctx)
		t.mu.Lock()
		if t.ending[l.node] == l {
			delete(t.ending, l.node)
		}
		t.mu.Unlock()
	})
}

// SetPeers says which nodes to keep connections to, and where. Nodes that are
// gone from the list are disconnected, changed addresses dialled anew; this
// node itself is passed over. It may be called before Run.
func (t *Transport) SetPeers(peers map[Node]string) {
	self := t.cfg.Self()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == ended {
		return
	}
	old := *t.links.Load()
	next := make(map[Node]*link, len(peers))
	for node, addr := range peers {
		if node == 0 || node == self || addr == "" {
			continue
		}
		if l := old[node]; l != nil {
			l.move(addr)
			next[node] = l
			continue
		}
		l := newLink(t, node, addr, t.trafficLocked(node))
		if before := t.ending[node]; before != nil {
			l.after = before.done
		}
		next[node] = l
		if t.state == running {
			t.startLocked(l)
		}
	}
	for node, l := range old {
		if next[node] == nil && t.state == running {
			t.ending[node] = l
			l.stop()
		}
	}
	t.links.Store(&next)
}

// Send queues a message. It never blocks: false says that it was dropped,
// because the node is unknown or not connected, or too much waits already. true
// does not say that it will arrive. body may be reused when Send returns.
func (t *Transport) Send(to Node, lane Lane, body []byte) bool {
	l := (*t.links.Load())[to]
	if l == nil {
		return false
	}
	if s := l.session.Load(); s != nil && len(body) <= t.cfg.MessageBytesMax &&
		(lane == Control || lane == Append) && s.boxes[lane].put(body) {
		return true
	}
	l.dropped.Add(1)
	return false
}

// Connected tells whether all lanes to a node are up.
func (t *Transport) Connected(to Node) bool {
	l := (*t.links.Load())[to]
	return l != nil && l.session.Load() != nil
}

// PeerState describes the connection to a node.
type PeerState struct {
	Node          Node
	Addr          string
	Up            bool
	Since         time.Time     // of Up or not Up
	RTT           time.Duration // of the last ping on the control lane; 0: none yet
	QueuedBytes   int           // waiting on both message lanes
	Dropped       uint64        // messages, since the peer was listed
	SentBytes     uint64        // to the node since start, without tunnels
	ReceivedBytes uint64        // of the node since start, without tunnels
	Version       uint16        // of the protocol, while up
	CertExpires   time.Time     // of the node's certificate; zero when unknown
	LastError     string        // why it is down, or was last
}

// Peers describes the connections to all listed nodes, in their order.
func (t *Transport) Peers() []PeerState {
	links := *t.links.Load()
	out := make([]PeerState, 0, len(links))
	for _, l := range links {
		out = append(out, l.describe())
	}
	slices.SortFunc(out, func(a, b PeerState) int { return int(a.Node) - int(b.Node) })
	return out
}

// Refused counts the connections taken in and closed because who was there did
// not prove to be a node that may connect.
func (t *Transport) Refused() uint64 { return t.gate.refused.Load() }

// track makes w one of the connections that Run closes at its end.
func (t *Transport) track(w *wire) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != running {
		return errNotRunning
	}
	t.wires[w] = struct{}{}
	w.untrack = func() {
		t.mu.Lock()
		delete(t.wires, w)
		t.mu.Unlock()
	}
	return nil
}

func (t *Transport) trafficOf(node Node) *traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trafficLocked(node)
}

func (t *Transport) trafficLocked(node Node) *traffic {
	c := t.traffic[node]
	if c == nil {
		c = &traffic{}
		t.traffic[node] = c
	}
	return c
}
