package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	"footfall/cluster"
	"footfall/cluster/discovery"
	"footfall/cluster/member"
	"footfall/cluster/placement"
	"footfall/cluster/placement/controller"
	"footfall/cluster/rafthost"
	"footfall/cluster/transport/authority"
	"footfall/cmd/internal/config"
	"footfall/http/beacon"
	"footfall/http/door"
	"footfall/persistence"
	"footfall/persistence/diskguard"
	"footfall/persistence/pebblestore"
)

// Bounds of a node's life in a cluster.
const (
	registerMax = 10 * time.Second
	leaveWait   = 1500 * time.Millisecond // for balancers to notice, see deploy/haproxy
	lookEvery   = 20 * time.Millisecond
)

// clustered tells whether the node is one of a cluster.
func (n *Node) clustered() bool { return n.member != nil }

// openMember makes the node a member of its cluster; it waits until there is one
// to join, or founds it. A node that is alone stays alone.
func (n *Node) openMember(ctx context.Context) error {
	place, ok, err := n.store.Membership()
	if err != nil {
		return fmt.Errorf("read the node's place in its cluster: %w", err)
	}
	c := &n.cfg.Cluster
	if !c.Enabled() {
		if ok {
			return fmt.Errorf("cluster-listen: is missing, and the data belongs to node %d of cluster %s", place.Node, placement.ID(place.Cluster))
		}
		return nil
	}
	if ok && place.Incarnation >= expelled {
		return member.Expelled(place.Node, "as it has been told before")
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("cluster-listen: %w", err)
	}
	used, err := n.used()
	if err != nil {
		_ = listener.Close()
		return err
	}
	cfg := member.Config{
		Info:     n.info(listener.Addr().String()),
		Listener: listener,
		Disk:     disk{n.store},
		Used:     used,
		Found:    c.Found || c.Discovery == config.DiscoveryNone,
		Random:   rand.Reader,
		Clock:    time.Now, // certificates and salts of other nodes go by the machine's
		Logger:   n.logger,
		Versions: speaks(),
	}
	if c.TLS() {
		files, err := authority.Load(c.CA, c.Cert, c.Key, authority.Options{Logger: n.logger})
		if err != nil {
			_ = listener.Close()
			return fmt.Errorf("cluster certificates: %w", err)
		}
		cfg.TLS = files.Config()
	}
	if c.Via != nil {
		cfg.Via = func(addr string) string {
			if other, ok := c.Via[addr]; ok {
				return other
			}
			return addr
		}
	}
	if cfg.Discovery, err = n.discover(); err != nil {
		_ = listener.Close()
		return err
	}
	n.discovery = cfg.Discovery
	if n.member, err = member.New(cfg); err != nil {
		_ = listener.Close()
		return err
	}
	n.runMember()
	if n.founder, err = n.member.Establish(ctx); err != nil {
		return fmt.Errorf("join a cluster: %w", err)
	}
	return nil
}

// runMember carries messages until the node is released: it must go on while the
// parts that send are stopping.
func (n *Node) runMember() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := n.member.Run(ctx); err != nil {
			n.fail(err)
		}
	}()
	n.stopMember = func() {
		cancel()
		<-done
	}
}

// used tells whether the store holds what a node alone wrote.
func (n *Node) used() (bool, error) {
	used := false
	err := n.store.Scan([]byte{persistence.TableGroup}, []byte{persistence.TableGroup + 1}, func(_, _ []byte) error {
		used = true
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return false, fmt.Errorf("read the store: %w", err)
	}
	return used, nil
}

var errEnough = errors.New("enough")

// name is what people call the node.
func (n *Node) name() string {
	if n.cfg.Name != "" {
		return n.cfg.Name
	}
	if host, err := os.Hostname(); err == nil {
		return host
	}
	return "node"
}

func (n *Node) info(listening string) placement.NodeInfo {
	c := &n.cfg.Cluster
	i := placement.NodeInfo{Ident: n.store.Ident().Node, Name: n.name(), Zone: c.Zone, Region: c.Region, Cluster: c.Advertise,
		HTTP: n.listener.Addr().String(), Version: version(), GateMax: formatsRead}
	if i.Cluster == "" {
		i.Cluster = listening
	}
	if c.Edge {
		i.Roles |= placement.RoleEdge
	}
	if c.Data {
		i.Roles |= placement.RoleData
	}
	return i
}

// version is the release that the binary was built from.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version + release
	}
	return "dev" + release
}

func (n *Node) discover() (discovery.Discovery, error) {
	c := &n.cfg.Cluster
	switch c.Discovery {
	case config.DiscoveryStatic:
		return discovery.NewStatic(c.Peers)
	case config.DiscoveryConsul:
		return discovery.NewConsul(discovery.ConsulOptions{Address: c.Consul.Address, Token: c.Consul.Token, Service: c.Consul.Service,
			Datacenter: c.Consul.Datacenter, CA: c.Consul.CA, Cert: c.Consul.Cert, Key: c.Consul.Key}, n.logger)
	}
	return discovery.NewNone(), nil
}

// disk keeps the node's identity in its store.
type disk struct{ store *pebblestore.Store }

func (d disk) Identity() (id member.Identity, ok bool, err error) {
	m, ok, err := d.store.Membership()
	return member.Identity{Cluster: m.Cluster, Node: m.Node}, ok && m.Node != 0, err
}

// The incarnations of a disk's membership; they never fall.
const (
	serves   = 1
	expelled = 2 // the node was removed
)

func (d disk) Keep(id member.Identity) error {
	return d.store.SetMembership(pebblestore.Membership{Cluster: id.Cluster, Node: id.Node, Incarnation: serves})
}

func (d disk) Expel() error {
	place, ok, err := d.store.Membership()
	if err == nil && ok {
		place.Incarnation = expelled
		err = d.store.SetMembership(place)
	}
	if err != nil {
		return fmt.Errorf("write down that the node was removed: %w", err)
	}
	return nil
}

// openController makes the part that places replicas, and joins all of them to
// the member.
func (n *Node) openController() error {
	if !n.clustered() {
		return nil
	}
	var err error
	n.controller, err = controller.New(controller.Config{
		Log:      n.control,
		Executor: n.member.Executor(),
		Leads:    func() bool { return n.host.Leads(rafthost.Control) },
		Salts:    n.member.Salts(),
		Self:     n.member.Self(),
		Families: func() []placement.Family {
			return []placement.Family{placement.Daily, placement.Weekly, placement.Monthly}
		},
		Settings: placement.Settings{SnapshotsMax: snapshotsMax, DeadAfter: n.cfg.Cluster.ReplaceAfter},
		Clock:    n.clock.Now,
		Logger:   n.logger,
	})
	if err != nil {
		return err
	}
	n.member.Attach(member.Parts{
		Host:       n.host,
		Router:     n.router,
		Control:    n.control,
		Controller: n.controller,
		Salts:      n.shared,
		Ask:        n.answer,
		Holds:      n.holds,
		Tunnel:     func(c net.Conn) error { return n.edge.ServeTunnel(c) },
		Report:     n.report,
	})
	return nil
}

// report adds to a report what only the node knows.
func (n *Node) report(r *placement.NodeReport) {
	s := n.guard.Stats()
	r.DiskFree, r.DiskSize, r.Shed = s.Free, s.Total, s.State != diskguard.Room
	r.SpoolBytes, r.Epoch = uint64(max(0, n.spool.Bytes())), n.epoch
}

// holds tells whether a replica of a shard is here that can answer: one that has
// been given the shard's records and does not stand still because they are
// damaged. What is said of the shard comes from other nodes else, its leader too.
func (n *Node) holds(shard uint16) bool {
	return n.sites.Present(shard) && n.host.Failed(rafthost.Group(shard)) == nil
}

// led is told of changes of leadership.
func (n *Node) led(g rafthost.Group, leader uint64, self bool) {
	if n.clustered() {
		n.member.News()
	}
	if g == rafthost.Control {
		n.control.Led(self)
		if n.controller != nil {
			n.controller.Wake()
		}
		return
	}
	n.router.Led(uint16(g), placement.NodeOf(leader), self)
}

// settle takes part in the cluster: it returns when this node knows the sites and
// may tell visitors apart, or when ctx ends or its parts do.
func (n *Node) settle(ctx, parts context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil && parts.Err() == nil {
		if n.founder && n.host.Leads(rafthost.Control) {
			within, cancel := context.WithTimeout(ctx, registerMax)
			err := n.member.Found(within, cluster.Shards, n.cfg.Cluster.Replicas)
			cancel()
			if err != nil && ctx.Err() == nil {
				n.logger.Warn("write down the new cluster", "error", err)
			}
		}
		if c, ok := n.control.Placement().Cluster(); ok {
			if err := member.Unfit(c, formatsRead); err != nil {
				return err
			}
		}
		if me, ok := n.control.Placement().Node(n.member.Self()); ok {
			if me.State == placement.Removed {
				return errors.Join(member.Expelled(me.Number, "as its own copy of the log says"), disk{n.store}.Expel())
			}
			if current, _ := n.shared.At(n.clock.Now().UnixMilli()); current != nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
		case <-parts.Done():
		case <-tick.C:
		}
	}
	return errors.Join(ctx.Err(), parts.Err())
}

// enrol makes the node known to others until ctx ends.
func (n *Node) enrol(ctx context.Context) {
	i := n.info(n.member.Wire().Addr().String())
	within, cancel := context.WithTimeout(ctx, registerMax)
	defer cancel()
	if err := n.discovery.Register(within, discovery.Member{Ident: i.Ident, Name: i.Name, Cluster: i.Cluster, HTTP: i.HTTP, Zone: i.Zone, Region: i.Region}); err != nil && ctx.Err() == nil {
		n.logger.Error("make the node known", "error", err)
	}
}

// leave prepares others for the end of this node: balancers send it nothing new,
// and other replicas lead.
func (n *Node) leave(ctx context.Context) error {
	if d, ok := n.discovery.(discovery.Drainer); ok {
		if err := d.Drain(ctx); err != nil {
			n.logger.Warn("leave the balancers", "error", err)
		}
	}
	select {
	case <-time.After(leaveWait):
	case <-ctx.Done():
	}
	return n.discovery.Close(ctx)
}

// secrets gives the salts that visitors are told apart with.
func (n *Node) secrets() beacon.Salts {
	if n.clustered() {
		return n.shared
	}
	return n.salts
}

// placer finds where questions are answered; nil where all is here.
func (n *Node) placer() door.Placer {
	if n.clustered() {
		return placer{n}
	}
	return nil
}

// stored tells which shards have their records here, when the node is one of a
// cluster; nil for all. A replica that waits for its first snapshot has none.
func (n *Node) stored() func(shard uint16) bool {
	if !n.clustered() {
		return nil
	}
	return func(shard uint16) bool { return n.host.Status(rafthost.Group(shard)).Persisted > 0 }
}
