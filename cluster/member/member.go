// Package member is what a node does as a member of a cluster: it joins, or
// founds one; it carries raft's messages, batches, commands and requests between
// nodes; it tells the controller how its replicas are and carries out the steps
// that the controller decides; it shares salts. It decides nothing about where
// replicas are or what is counted. Start at New, then Member.Establish and
// Member.Attach.
//
// Nobody can speak to a member before Establish, and what others ask before
// Attach is refused as not ready.
package member

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"footfall/analytics"
	"footfall/cluster"
	"footfall/cluster/control"
	"footfall/cluster/discovery"
	"footfall/cluster/placement"
	"footfall/cluster/placement/controller"
	"footfall/cluster/rafthost"
	"footfall/cluster/transport"
	"footfall/persistence/saltfile"
)

// Identity is what a disk knows of its cluster.
type Identity struct {
	Cluster [16]byte
	Node    uint16
}

// Disk keeps the identity.
type Disk interface {
	// Identity gives what was kept; false when the disk belongs to no cluster yet.
	Identity() (Identity, bool, error)
	// Keep writes it down, synced. It is called once in a disk's life.
	Keep(Identity) error
	// Expel writes down, synced, that the node was removed: the disk never serves
	// again, whether or not anybody can be asked when its process starts.
	Expel() error
}

// Config of a Member. All fields but the last ones are required.
type Config struct {
	Info      placement.NodeInfo // of this node, as others are told; Ident is its disk's
	Listener  net.Listener       // owned
	TLS       *tls.Config        // nil: plain, on loopback only
	Discovery discovery.Discovery
	Disk      Disk
	// Used tells that the disk holds the data of a node that was alone: then it
	// founds the cluster.
	Used bool
	// Found allows this node to found a cluster when it finds none.
	Found  bool
	Random io.Reader
	Clock  func() time.Time
	Logger *slog.Logger

	// Via gives the address to dial for another node's; nil: its own. It stands
	// between nodes in tests.
	Via func(addr string) string
	// Versions of the protocol that the node speaks; zero: all that the transport
	// knows.
	Versions transport.Versions
}

// Parts are the parts of a node that a member serves.
type Parts struct {
	Host       *rafthost.Host
	Router     *cluster.Router
	Control    *control.Control
	Controller *controller.Controller
	Salts      *saltfile.Shared
	// Ask answers a question of another node, in a form that only the two know.
	Ask func(ctx context.Context, kind uint8, body []byte) ([]byte, error)
	// Holds tells whether this node has a replica of a shard that can answer.
	Holds func(shard uint16) bool
	// Tunnel serves HTTP on a connection from another node.
	Tunnel func(net.Conn) error
	// Report fills in what only the node knows of itself: disk, spool, epoch.
	Report func(*placement.NodeReport)
}

// replica is one that this node is to have.
type replica struct {
	group rafthost.Group
	id    uint64
}

// wantedMax bounds the replicas that wait to be made; raft sends again.
const wantedMax = 1024

// Member is the node's side of a cluster. Safe for concurrent use.
type Member struct {
	cfg  Config
	wire *transport.Transport

	identity atomic.Pointer[Identity]      // nil while joining
	parts    atomic.Pointer[Parts]         // nil until Attach
	hints    [cluster.Shards]atomic.Uint32 // node that was said to lead a shard that is not here
	found    atomic.Pointer[[]discovery.Member]
	known    atomic.Pointer[map[uint16]string] // other nodes, as the one that was joined said
	seen     chan struct{}                     // a signal for each new list
	changed  chan struct{}                     // a signal for each change of placement
	news     chan struct{}                     // a signal that a report is worth sending now
	wanted   chan replica                      // that others send to and that are not here yet
	expelled chan string                       // a place for the end of this node's membership, and who says so
	unfit    chan error                        // a place for why this release cannot serve
	tunnels  sync.WaitGroup
	sends    sync.WaitGroup
	passages *passages
	passage  atomic.Uint64 // of the last snapshot sent
	life     context.Context
	end      context.CancelFunc // ends life
}

// New makes a member; Run must run for anything to happen.
func New(cfg Config) (*Member, error) {
	m := &Member{cfg: cfg, seen: make(chan struct{}, 1), changed: make(chan struct{}, 1), news: make(chan struct{}, 1), wanted: make(chan replica, wantedMax),
		expelled: make(chan string, 1), unfit: make(chan error, 1)}
	m.life, m.end = context.WithCancel(context.Background())
	m.passages = newPassages(m.life, resumeWait, cfg.Logger)
	m.passage.Store(rand.Uint64()) // not those of the process before
	id, ok, err := cfg.Disk.Identity()
	if err != nil {
		m.end()
		return nil, fmt.Errorf("read the node's identity: %w", err)
	}
	if ok {
		m.identity.Store(&id)
	}
	m.wire, err = transport.New(transport.Config{
		Cluster:  func() [16]byte { return m.Identity().Cluster },
		Self:     m.Self,
		Ident:    cfg.Info.Ident,
		Listener: cfg.Listener,
		TLS:      cfg.TLS,
		Handler:  handler{m},
		Admit:    m.admit,
		Expelled: m.expelledBy,
		Logger:   cfg.Logger,
		Clock:    cfg.Clock,
		Versions: cfg.Versions,
	})
	if err != nil {
		m.end()
		return nil, fmt.Errorf("cluster port: %w", err)
	}
	return m, nil
}

// Identity is zero while the node is joining.
func (m *Member) Identity() Identity {
	if id := m.identity.Load(); id != nil {
		return *id
	}
	return Identity{}
}

// Self is the node's number, 0 while it is joining.
func (m *Member) Self() uint16 { return m.Identity().Node }

// Wire is the connection to the other nodes.
func (m *Member) Wire() *transport.Transport { return m.wire }

// Attach gives the member the parts that it serves; once, before they run.
func (m *Member) Attach(p Parts) { m.parts.Store(&p) }

var errNotReady = &analytics.Error{Code: analytics.Unavailable, Text: "the node is not ready yet"}

// admit refuses nodes that were removed, and disks that claim another's number.
func (m *Member) admit(p transport.Peer) error {
	parts := m.parts.Load()
	if parts == nil || p.Node == 0 {
		return nil
	}
	n, ok := parts.Control.Placement().Node(p.Node)
	switch {
	case !ok: // not heard of it yet
		return nil
	case n.State == placement.Removed:
		return fmt.Errorf("node %d %w", p.Node, transport.ErrRemoved)
	case n.Ident != p.Ident:
		return fmt.Errorf("node %d is another disk", p.Node)
	}
	return nil
}

// expelledBy is told that another node says that this one was removed.
func (m *Member) expelledBy(other transport.Node) {
	m.expel(fmt.Sprintf("as node %d says", other))
}

// expel ends this node's membership, for which says is the witness. It does not
// block.
func (m *Member) expel(says string) {
	select {
	case m.expelled <- says:
	default:
	}
}

// Expelled is the error of a node that was removed.
func Expelled(node uint16, says string) error {
	return fmt.Errorf("node %d %w, %s: its data cannot serve any more; `footfall cluster rebuild %d` delivers what waits in its spool and lets it join anew",
		node, transport.ErrRemoved, says, node)
}

// Run carries messages and watches for other nodes until ctx ends, or until this
// node turns out to have been removed.
func (m *Member) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.wire.Run(ctx) })
	group.Go(func() error {
		select {
		case err := <-m.unfit:
			return err
		case says := <-m.expelled:
			return errors.Join(Expelled(m.Self(), says), m.cfg.Disk.Expel())
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error {
		err := m.cfg.Discovery.Watch(ctx, func(list []discovery.Member) {
			m.found.Store(&list)
			select {
			case m.seen <- struct{}{}:
			default:
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
	err := group.Wait()
	m.end()
	m.passages.all.Wait()
	m.sends.Wait()
	m.tunnels.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// Changed is told of each change of placement; it does not block.
func (m *Member) Changed() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Follow keeps connections, salts and the node's own record as placement says,
// and reports, until ctx ends. It begins when the parts run.
func (m *Member) Follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { m.followPlacement(ctx); return nil })
	group.Go(func() error { m.report(ctx); return nil })
	group.Go(func() error { m.makeReplicas(ctx); return nil })
	return group.Wait()
}

// followEvery is how often placement is looked at without a sign.
const followEvery = time.Second

func (m *Member) followPlacement(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		m.connect(ctx)
		m.checkGate()
		m.introduce(ctx)
		m.shareSalts(ctx)
		select {
		case <-ctx.Done():
			return
		case <-m.changed:
		case <-tick.C:
		}
	}
}

// connect keeps connections to all nodes that are not removed. A newcomer goes by
// what it was told until it has a copy of placement.
func (m *Member) connect(ctx context.Context) {
	peers := map[transport.Node]string{}
	if _, ok := m.parts.Load().Control.Placement().Cluster(); !ok && m.Self() != 1 {
		if m.known.Load() == nil && !m.tryJoin(ctx) {
			return
		}
		for number, addr := range *m.known.Load() {
			peers[number] = m.via(addr)
		}
	}
	for _, n := range m.parts.Load().Control.Placement().Nodes() {
		if n.State != placement.Removed && n.Number != m.Self() && n.Cluster != "" {
			peers[n.Number] = m.via(n.Cluster)
		}
	}
	m.wire.SetPeers(peers)
}

func (m *Member) via(addr string) string {
	if m.cfg.Via == nil {
		return addr
	}
	return m.cfg.Via(addr)
}

// Unknown is told of messages to a replica that is not here; it is
// rafthost.Config.Unknown. Whoever leads the group has made this node a member:
// an empty replica is made, which then gets a snapshot.
func (m *Member) Unknown(g rafthost.Group, to, _ uint64) {
	if placement.NodeOf(to) != m.Self() {
		return
	}
	select {
	case m.wanted <- replica{g, to}:
	default: // raft sends again
	}
}

func (m *Member) makeReplicas(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-m.wanted:
			host := m.parts.Load().Host
			if host.Status(r.group).Replica == r.id {
				continue
			}
			if err := host.AddReplica(r.group, r.id); err != nil {
				m.cfg.Logger.Debug("make a replica", "group", r.group, "replica", r.id, "error", err)
			}
		}
	}
}

// checkGate ends the service of a release that does not read what the cluster may
// write by now.
func (m *Member) checkGate() {
	c, ok := m.parts.Load().Control.Placement().Cluster()
	if !ok {
		return
	}
	if err := Unfit(c, m.cfg.Info.GateMax); err != nil {
		select {
		case m.unfit <- err:
		default:
		}
	}
}

// Unfit tells why a release that reads formats up to a generation cannot serve in
// a cluster; nil: it can.
func Unfit(c *placement.Cluster, reads uint32) error {
	if c.Gate <= reads {
		return nil
	}
	return fmt.Errorf("this release reads formats up to generation %d and the cluster writes %d: use the newer release", reads, c.Gate)
}

// introduce brings the node's own record up to date. A node that was removed
// learns it here.
func (m *Member) introduce(ctx context.Context) {
	p := m.parts.Load()
	n, ok := p.Control.Placement().Node(m.Self())
	if !ok {
		return
	}
	if n.State == placement.Removed {
		m.expel("as its own copy of the log says")
		return
	}
	i := &m.cfg.Info
	weight := i.Weight
	if weight == 0 {
		weight = n.Weight
	}
	if n.Name == i.Name && n.Zone == i.Zone && n.Region == i.Region && n.Cluster == i.Cluster && n.HTTP == i.HTTP && n.Roles == i.Roles &&
		n.Weight == weight && n.Version == i.Version && n.GateMax == i.GateMax {
		return
	}
	within, cancel := context.WithTimeout(ctx, stepMax)
	defer cancel()
	if _, err := p.Control.DoPlacement(within, &placement.UpdateNode{Number: n.Number, Name: &i.Name, Zone: &i.Zone, Region: &i.Region,
		Cluster: &i.Cluster, HTTP: &i.HTTP, Roles: &i.Roles, Weight: &weight, Version: &i.Version, GateMax: &i.GateMax}); err != nil && ctx.Err() == nil {
		m.cfg.Logger.Warn("tell the cluster of this node's addresses", "error", err)
	}
}
