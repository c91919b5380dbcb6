// Package node joins the parts of a node: store, log, sites, accounts and
// doors. It decides nothing itself; it says who is whose neighbour, in which
// order parts start and stop, and what happens to the process when one fails.
// Start at Open and Node.Run.
package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
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
	"footfall/cluster/rafthost"
	"footfall/cmd/internal/config"
	"footfall/cmd/internal/local"
	"footfall/demo"
	"footfall/enrich"
	"footfall/http/door"
	"footfall/http/edge"
	"footfall/http/export"
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
)

// Node is one running node. Its fields are set by Open and not changed.
type Node struct {
	cfg    config.Serve
	logger *slog.Logger
	clock  *Clock
	set    *metrics.Set

	guard    *diskguard.Guard
	store    *pebblestore.Store
	salts    *saltfile.File
	host     *rafthost.Host
	router   *cluster.Router
	sites    *actors.Sites
	control  *control.Control
	enrich   *enrich.Enricher
	edge     *edge.Server
	merchant *merchant.Handler
	answers  *readcache.Cache
	exports  *export.Door

	accounts sync.Mutex // one writing of accounts at a time
	listener net.Listener
	ready    atomic.Bool
	failed   chan error
	erase    chan analytics.SiteID
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

// Open makes a node over its data directory and listens. Nothing is served
// before Run. extra are routes that a build adds to those of every node.
func Open(cfg config.Serve, logger *slog.Logger, extra func(*Node) []door.Route) (*Node, error) {
	n := &Node{cfg: cfg, logger: logger, clock: &Clock{}, set: metrics.NewSet(),
		failed: make(chan error, 1), erase: make(chan analytics.SiteID, 1024)}
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
	if n.salts, err = saltfile.Open(filepath.Join(cfg.Data, "salts"), rand.Reader); err != nil {
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

// openLog makes the log and both state machines behind it.
func (n *Node) openLog() error {
	var edgeID [8]byte
	if _, err := io.ReadFull(rand.Reader, edgeID[:]); err != nil {
		return err
	}
	n.sites = actors.New(actors.Config{Store: n.store, Log: shardLog{n}, Shards: cluster.Shards, Logger: n.logger, Clock: n.clock.Now,
		CacheBytes: cacheBytes(n.cfg.MemoryBudget), BudgetRows: budgetRows,
		Lasting: func(id analytics.SiteID) bool { return n.lasting(id) }})
	n.router = cluster.NewRouter(cluster.Config{
		Sites:    n.sites,
		Notify:   func(shard uint16) { n.host.Notify(rafthost.Group(shard)) },
		Writable: n.guard.Writable,
		Clock:    n.clock.Now,
		Edge:     binary.LittleEndian.Uint64(edgeID[:]),
		Logger:   n.logger,
		Fatal:    n.fail,
	})
	var err error
	n.control, err = control.Open(control.Config{
		Store:   n.store,
		Notify:  func() { n.host.Notify(rafthost.Control) },
		Fatal:   n.fail,
		Removed: n.removed,
		Clock:   n.clock.Now,
		Logger:  n.logger,
	})
	if err != nil {
		return err
	}
	groups := []rafthost.Group{rafthost.Control}
	for i := range cluster.Shards {
		groups = append(groups, rafthost.Group(i))
	}
	n.host, err = rafthost.Open(rafthost.Config{Store: n.store, Groups: groups, Source: source{n}, Applier: applier{n}, Workers: 1, CacheBytesMax: logCacheBytes, Logger: n.logger, Fatal: n.fail})
	return err
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
	setup, err := n.firstStart(ctx)
	if err != nil {
		return err
	}
	run("http", func(context.Context) error { return n.edge.Serve(n.listener) })
	if err := local.WriteAddress(n.cfg.Data, n.listener.Addr()); err != nil {
		return err
	}
	n.ready.Store(true)
	started(setup)
	select {
	case <-ctx.Done():
	case <-parts.Done():
	}
	n.ready.Store(false)
	drain, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	err = errors.Join(n.edge.Shutdown(drain), local.RemoveAddress(n.cfg.Data))
	if parts.Err() != nil {
		return err // something failed: what is in the log is safe, write nothing more
	}
	return errors.Join(err, n.router.Drain(drain), n.control.FlushTouches(drain), n.flushControl(), n.sites.Close(drain))
}

// firstStart offers the setup link and makes the demo shop's site.
func (n *Node) firstStart(ctx context.Context) (setup string, err error) {
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
		if err := n.salts.Sweep(n.clock.Now().UnixMilli()); err != nil {
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

func (n *Node) flushControl() error {
	n.accounts.Lock()
	defer n.accounts.Unlock()
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
	if !n.ready.Load() {
		why["node"] = "starting or stopping"
	}
	if !n.guard.Writable() {
		why["disk"] = "nearly full: views are refused"
	}
	if q := n.sites.Quarantined(); q > 0 {
		why["sites"] = fmt.Sprintf("%d quarantined", q)
	}
	return n.ready.Load() && n.guard.Writable(), why
}

// Routes lists every route that the node serves.
func (n *Node) Routes() []door.Route { return n.edge.Routes() }

// Clock is the node's clock.
func (n *Node) Clock() *Clock { return n.clock }

// RotateSalts makes a new salt the one in force, as midnight does.
func (n *Node) RotateSalts() error { return n.salts.Rotate(n.clock.Now().UnixMilli()) }

// Flush writes the records of sites and accounts now and lets idle sites leave
// memory, as the flush cycle does by itself.
func (n *Node) Flush(ctx context.Context) error {
	return errors.Join(n.sites.Flush(ctx), n.flushControl())
}
