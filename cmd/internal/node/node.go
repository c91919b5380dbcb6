// Package node joins the parts of a node: store, log, sites, accounts and
// doors. It decides nothing itself; it says who is whose neighbour, in which
// order parts start and stop, and what happens to the process when one fails.
// Start at Open and Node.Run.
package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"

	"footfall/actors"
	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cluster"
	"footfall/cluster/control"
	"footfall/cluster/discovery"
	"footfall/cluster/member"
	"footfall/cluster/placement/controller"
	"footfall/cluster/rafthost"
	"footfall/cluster/spool"
	"footfall/cmd/internal/config"
	"footfall/cmd/internal/local"
	"footfall/demo"
	"footfall/enrich"
	"footfall/http/door"
	"footfall/http/edge"
	"footfall/http/export"
	"footfall/http/inspect"
	"footfall/http/merchant"
	"footfall/http/readcache"
	"footfall/persistence/diskguard"
	"footfall/persistence/pebblestore"
	"footfall/persistence/saltfile"
)

// Bounds of a stop, and of the log.
const (
	drainMax        = 10 * time.Second
	controlEvery    = 5 * time.Minute
	controlLogBytes = 4 << 20

	// logCacheBytes bounds log entries in memory: with one voter nobody reads them
	// again.
	logCacheBytes = 16 << 20
	// sharedLogCacheBytes is the bound where other members read them.
	sharedLogCacheBytes = 64 << 20

	flushesMax = 1024

	// Most snapshots of a shard are small; a few at a time keep a node busy that
	// takes its share of a cluster.
	snapshotsMax           = 8
	snapshotBytesPerSecond = 16 << 20 // of each
)

// Node is one running node. Its fields are set by Open and not changed.
type Node struct {
	cfg    config.Serve
	logger *slog.Logger
	clock  *Clock
	set    *metrics.Set

	guard    *diskguard.Guard
	store    *pebblestore.Store
	salts    *saltfile.File   // of a node alone
	shared   *saltfile.Shared // of a node in a cluster
	spool    *spool.Spool
	host     *rafthost.Host
	router   *cluster.Router
	sites    *actors.Sites
	control  *control.Control
	enrich   *enrich.Enricher
	edge     *edge.Server
	merchant *merchant.Handler
	answers  *readcache.Cache
	exports  *export.Door
	watch    *inspect.Watch

	accounts sync.Mutex // one writing of accounts at a time
	listener net.Listener
	ready    atomic.Bool
	failed   chan error
	erase    chan analytics.SiteID

	// Of a node in a cluster.
	member     *member.Member
	discovery  discovery.Discovery
	controller *controller.Controller
	stopMember func()
	founder    bool
	epoch      uint32
	started    time.Time
	scrubs     chan place          // of visitors that were erased
	flushes    chan rafthost.Group // asked for by snapshots
	replaced   bool                // under accounts: the records of accounts are being replaced
}

// Clock is the time that views, buckets and salts go by: the machine's, unless
// a development build sets it. Safe for concurrent use.
type Clock struct{ offset atomic.Int64 }

// Now is the current time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Set makes now the current time; the zero time goes back to the machine's.
func (c *Clock) Set(now time.Time) {
	if now.IsZero() {
		c.offset.Store(0)
		return
	}
	c.offset.Store(int64(time.Until(now)))
}

// Open makes a node over its data directory and listens; one of a cluster waits
// until it has joined, or ctx ends. Nothing is served before Run. extra are routes that a build adds to those of every node.
func Open(ctx context.Context, cfg config.Serve, logger *slog.Logger, extra func(*Node) []door.Route) (*Node, error) {
	n := &Node{cfg: cfg, logger: logger, clock: &Clock{}, set: metrics.NewSet(),
		failed: make(chan error, 1), erase: make(chan analytics.SiteID, 1024),
		started: time.Now(), flushes: make(chan rafthost.Group, flushesMax), scrubs: make(chan place, flushesMax)}
	ok := false
	defer func() {
		if !ok {
			n.release()
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	var err error
	if n.guard, err = diskguard.New(diskguard.Config{Dir: cfg.Data, Reserve: uint64(cfg.DiskReserve), Logger: logger}); err != nil {
		return nil, err
	}
	if err := n.guard.Check(); err != nil {
		return nil, err
	}
	if n.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if n.store, err = pebblestore.Open(filepath.Join(cfg.Data, "store"), pebblestore.Options{Logger: logger}); err != nil {
		return nil, err
	}
	if err := n.openMember(ctx); err != nil {
		return nil, err
	}
	if err := n.openSalts(); err != nil {
		return nil, err
	}
	if n.enrich, err = enrich.New(enrich.Options{GeoPath: cfg.GeoIPDB, Logger: logger}); err != nil {
		return nil, err
	}
	if err := n.openLog(); err != nil {
		return nil, err
	}
	if err := n.openDoors(extra); err != nil {
		return nil, err
	}
	n.gauges()
	ok = true
	return n, nil
}

// openSalts reads the salts.
func (n *Node) openSalts() (err error) {
	path := filepath.Join(n.cfg.Data, "salts")
	if n.clustered() {
		n.cfg.TrustedProxies = append(slices.Clip(n.cfg.TrustedProxies), netip.PrefixFrom(door.TunnelAddress(), 128))
		n.shared, err = saltfile.OpenShared(path, rand.Reader)
		return err
	}
	n.salts, err = saltfile.Open(path, rand.Reader)
	return err
}

// openLog makes the log and both state machines behind it.
func (n *Node) openLog() error {
	var err error
	if n.spool, err = spool.Open(n.store, n.spoolBytes(), func() int64 { return n.clock.Now().UnixMilli() }); err != nil {
		return err
	}
	if n.epoch, err = n.spool.NextEpoch(); err != nil {
		return err
	}
	controls := control.Config{
		Store:   n.store,
		Notify:  func() { n.host.Notify(rafthost.Control) },
		Fatal:   n.fail,
		Removed: n.removed,
		Clock:   n.clock.Now,
		Logger:  n.logger,
	}
	if n.clustered() {
		controls.Forward = n.member.Forward
		controls.Leads = func() bool { return n.host.Leads(rafthost.Control) }
		controls.Changed = func(k control.Kinds) {
			if k&(control.Nodes|control.Shards|control.Salts) != 0 {
				n.member.Changed()
			}
		}
	}
	if n.control, err = control.Open(controls); err != nil {
		return err
	}
	if n.host, err = rafthost.Open(plant(n, n.hosting())); err != nil {
		return err
	}
	n.sites = actors.New(plant(n, actors.Config{Store: n.store, Log: shardLog{n}, Shards: cluster.Shards, Logger: n.logger, Clock: n.clock.Now,
		CacheBytes: cacheBytes(n.cfg.MemoryBudget), BudgetRows: budgetRows, Present: n.stored(), Erased: n.erased,
		Lasting: func(id analytics.SiteID) bool { return n.lasting(id) }}))
	n.router = cluster.NewRouter(plant(n, n.routing()))
	return n.openController()
}

// routing is how views find their way.
func (n *Node) routing() cluster.Config {
	c := cluster.Config{
		Sites:    n.sites,
		Notify:   func(shard uint16) { n.host.Notify(rafthost.Group(shard)) },
		Writable: n.guard.Writable,
		Clock:    n.clock.Now,
		Edge:     n.store.Ident().Node,
		Epoch:    n.epoch,
		Spool:    n.spool,
		Logger:   n.logger,
		Fatal:    n.fail,
	}
	if n.clustered() {
		c.Self = n.member.Self
		c.Local = func(shard uint16) bool { return n.host.Leads(rafthost.Group(shard)) }
		c.Leader = n.member.Leader
		c.Alone = n.alone
		c.Send = n.member.SendBatch
	}
	return c
}

// alone tells whether a shard has no other replica.
func (n *Node) alone(shard uint16) bool {
	s, ok := n.control.Placement().Shard(shard)
	return ok && len(s.Members) == 1
}

// hosting is how the logs are kept.
func (n *Node) hosting() rafthost.Config {
	c := rafthost.Config{Store: n.store, Source: source{n}, Applier: applier{n}, Workers: 1, CacheBytesMax: logCacheBytes,
		Logger: n.logger, Fatal: n.fail, Led: n.led}
	if !n.clustered() || n.founder {
		c.Groups = []rafthost.Group{rafthost.Control}
		for i := range cluster.Shards {
			c.Groups = append(c.Groups, rafthost.Group(i))
		}
	}
	if n.clustered() {
		c.CacheBytesMax = sharedLogCacheBytes
		c.Transport = n.member.Carrier()
		c.Unknown = n.member.Unknown
		c.Flush = n.wantFlush
		c.SnapshotsMax, c.SnapshotBytesPerSecond = snapshotsMax, snapshotBytesPerSecond
	}
	return c
}

// fail ends the process's service; the first cause is kept.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// removed is told of sites that were removed; their records follow.
func (n *Node) removed(id analytics.SiteID) {
	select {
	case n.erase <- id:
	default:
		n.logger.Warn("too many sites removed at once: records are kept until a restart", "site", uint64(id))
	}
}

// source and applier split the groups between shards and accounts.
type source struct{ n *Node }

func (s source) Next(g rafthost.Group) []byte {
	if g == rafthost.Control {
		return s.n.control.Next()
	}
	return s.n.router.Next(uint16(g))
}

type applier struct{ n *Node }

func (a applier) Apply(g rafthost.Group, index uint64, data []byte) {
	if g == rafthost.Control {
		a.n.control.Apply(index, data)
		return
	}
	a.n.router.Apply(uint16(g), index, data)
}

// Suspend implements rafthost.Suspender.
func (a applier) Suspend(g rafthost.Group) {
	if g != rafthost.Control {
		if a.n.sites != nil { // else the host is being opened, and nothing was read yet
			a.n.sites.Drop(uint16(g))
		}
		return
	}
	a.n.accounts.Lock()
	defer a.n.accounts.Unlock()
	a.n.replaced = true
}

// Restore implements rafthost.Restorer.
func (a applier) Restore(g rafthost.Group, index uint64) error {
	if g != rafthost.Control {
		if a.n.sites == nil {
			return nil
		}
		return a.n.sites.Reset(uint16(g), index)
	}
	a.n.accounts.Lock()
	defer a.n.accounts.Unlock()
	if err := a.n.control.Restore(index); err != nil {
		return err
	}
	a.n.replaced = false
	return nil
}

// Remove implements rafthost.Restorer. The control group never leaves a node.
func (a applier) Remove(g rafthost.Group) {
	a.Suspend(g)
}

// wantFlush notes that a snapshot waits for the records of a group.
func (n *Node) wantFlush(g rafthost.Group) {
	select {
	case n.flushes <- g:
	default: // it is asked for again
	}
}

// flushWanted writes the records that snapshots wait for.
func (n *Node) flushWanted(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case g := <-n.flushes:
			var err error
			if g == rafthost.Control {
				err = n.flushControl()
			} else {
				err = n.sites.FlushShard(ctx, uint16(g))
			}
			if err != nil && ctx.Err() == nil {
				n.logger.Error("write records for a snapshot", "group", int(g), "error", err)
			}
		}
	}
}

// Run serves until ctx ends or a part fails, then stops in order: no new
// requests, no open streams, no views under way, everything written. started
// is called once the node answers.
func (n *Node) Run(ctx context.Context, started func(setup string)) error {
	defer n.release()
	parts, stop := context.WithCancel(context.Background())
	defer stop()
	group, parts := errgroup.WithContext(parts)
	run := func(name string, f func(context.Context) error) {
		group.Go(func() error {
			if err := f(parts); err != nil && parts.Err() == nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	run("log", n.host.Run)
	run("disk guard", n.guard.Run)
	run("router", n.router.Run)
	run("failure", func(ctx context.Context) error {
		select {
		case err := <-n.failed:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	err := n.serve(ctx, parts, run, started)
	stop()
	return errors.Join(err, group.Wait())
}

// serve is the life between the replay of the log and the drain.
func (n *Node) serve(ctx, parts context.Context, run func(string, func(context.Context) error), started func(string)) error {
	select {
	case <-n.host.Replayed():
	case <-parts.Done():
		return nil // the group has the error
	case <-ctx.Done():
		return nil
	}
	run("accounts", n.control.Run)
	run("sites", func(ctx context.Context) error {
		return n.sites.Run(ctx, func() uint64 { return uint64(max(0, n.host.TotalLogBytes())) })
	})
	run("upkeep", n.upkeep)
	run("keeper", n.keep)
	run("reports", n.sendReports)
	if n.clustered() {
		run("placement", n.controller.Run)
		run("member", n.member.Follow)
		run("records for snapshots", n.flushWanted)
		run("erasing", n.scrubErased)
		if err := n.settle(ctx, parts); err != nil {
			if ctx.Err() != nil || parts.Err() != nil { // then the group has the error
				return nil
			}
			return err
		}
	}
	setup, err := n.firstStart(ctx)
	if err != nil {
		return err
	}
	run("http", func(context.Context) error { return n.edge.Serve(n.listener) })
	if err := local.WriteAddress(n.cfg.Data, n.listener.Addr()); err != nil {
		return err
	}
	n.ready.Store(true)
	if n.clustered() {
		n.enrol(ctx)
	}
	started(setup)
	select {
	case <-ctx.Done():
	case <-parts.Done():
	}
	n.ready.Store(false)
	drain, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	if n.clustered() && parts.Err() == nil {
		if err := errors.Join(n.leave(drain), n.host.HandOver(drain)); err != nil {
			n.logger.Warn("leave the cluster", "error", err)
		}
	}
	err = errors.Join(n.edge.Shutdown(drain), local.RemoveAddress(n.cfg.Data))
	if parts.Err() != nil {
		return err // something failed: what is in the log is safe, write nothing more
	}
	return errors.Join(err, n.router.Drain(drain), n.control.FlushTouches(drain), n.flushControl(), n.sites.Close(drain))
}

// firstStart offers the setup link and makes the demo shop's site.
func (n *Node) firstStart(ctx context.Context) (setup string, err error) {
	if n.clustered() && !n.host.Leads(rafthost.Control) {
		return "", nil // the node that leads offers it
	}
	token, err := n.control.SetupToken(ctx)
	if err != nil || token == "" {
		return "", err
	}
	if n.control.View().SitesCount() == 0 {
		secret, err := n.control.SiteSecret()
		if err != nil {
			return "", err
		}
		if _, err := n.control.Do(ctx, &accounts.CreateSite{Domain: demo.Domain, Timezone: "UTC", Secret: secret}); err != nil {
			return "", fmt.Errorf("make the demo site: %w", err)
		}
	}
	return n.URL() + "/setup/" + token, nil
}

// URL is the address that people use.
func (n *Node) URL() string {
	if n.cfg.PublicURL != "" {
		return n.cfg.PublicURL
	}
	addr := n.listener.Addr().String()
	host, port, err := net.SplitHostPort(addr)
	if err == nil && (host == "::" || host == "0.0.0.0") {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + addr
}

// upkeep does what no request does: old salts go in time, accounts are written,
// removed sites erased.
func (n *Node) upkeep(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-n.erase:
			if err := n.sites.Erase(ctx, cluster.ShardOf(id), id); err != nil {
				n.logger.Error("erase a removed site", "site", uint64(id), "error", err)
			}
			continue
		case <-tick.C:
		}
		if err := n.sweepSalts(); err != nil {
			n.logger.Error("sweep salts", "error", err)
		}
		if time.Since(last) >= controlEvery || n.host.LogBytes(rafthost.Control) > controlLogBytes {
			last = time.Now()
			if err := n.flushControl(); err != nil {
				n.logger.Error("write accounts", "error", err)
			}
		}
	}
}

// sweepSalts destroys the salts whose time is over.
func (n *Node) sweepSalts() error {
	if n.clustered() {
		return n.shared.Sweep(n.clock.Now().UnixMilli())
	}
	return n.salts.Sweep(n.clock.Now().UnixMilli())
}

func (n *Node) flushControl() error {
	n.accounts.Lock()
	defer n.accounts.Unlock()
	if n.replaced {
		return nil
	}
	b := n.store.NewBatch()
	index, err := n.control.Flush(b)
	if err != nil {
		b.Discard()
		return fmt.Errorf("write accounts: %w", err)
	}
	n.host.Persisted(b, rafthost.Control, index)
	if err := n.store.Commit(b, false); err != nil {
		return fmt.Errorf("write accounts: %w", err)
	}
	n.host.Truncated(rafthost.Control, index)
	return nil
}

// release closes what is open; parts are not running any more.
func (n *Node) release() {
	if n.stopMember != nil {
		n.stopMember()
	}
	if n.listener != nil {
		_ = n.listener.Close()
	}
	if n.exports != nil {
		n.exports.Close()
	}
	if n.answers != nil {
		if err := n.answers.Close(); err != nil {
			n.logger.Error("close the read cache", "error", err)
		}
	}
	if n.enrich != nil {
		_ = n.enrich.Close()
	}
	if n.store != nil {
		if err := n.store.Close(); err != nil {
			n.logger.Error("close the store", "error", err)
		}
	}
}

// Ready tells whether the node takes requests, and if not, why.
func (n *Node) Ready() (bool, map[string]string) {
	why := map[string]string{}
	ready, writable := n.ready.Load(), n.guard.Writable()
	if !ready {
		why["node"] = "starting or stopping"
	}
	if !writable {
		why["disk"] = "nearly full: views are refused"
	}
	if q := n.sites.Quarantined(); q > 0 {
		why["sites"] = fmt.Sprintf("%d quarantined", q)
	}
	if n.clustered() {
		n.standing().explain(why)
	}
	return ready && writable, why
}

// Routes lists every route that the node serves.
func (n *Node) Routes() []door.Route { return n.edge.Routes() }

// Clock is the node's clock.
func (n *Node) Clock() *Clock { return n.clock }

// RotateSalts makes a new salt the one in force, as midnight does.
func (n *Node) RotateSalts() error {
	if n.clustered() {
		return analytics.Errorf(analytics.Conflict, "salts: those of a cluster turn by themselves")
	}
	return n.salts.Rotate(n.clock.Now().UnixMilli())
}

// Flush writes the records of sites and accounts now and lets idle sites leave
// memory, as the flush cycle does by itself.
func (n *Node) Flush(ctx context.Context) error {
	return errors.Join(n.sites.Flush(ctx), n.flushControl())
}
