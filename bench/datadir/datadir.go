// Package datadir fills a node's data directory without a node: accounts, log
// and site records go the way that they go in a node, through the same router,
// raft log and site actors, only HTTP is left out and the time is given. What a
// node finds there is what it would have written itself had it run for months.
// It must never write a record past those parts, and never be used on a
// directory that a node has open. Start at Open, close with Dir.Close.
package datadir

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"footfall/actors"
	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cluster"
	"footfall/cluster/control"
	"footfall/cluster/rafthost"
	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

// flushLogBytes of log are what is written between two flushes of the records.
const flushLogBytes = 64 << 20

// Dir is an open data directory. Record is called by one goroutine at a time.
type Dir struct {
	store   *pebblestore.Store
	host    *rafthost.Host
	router  *cluster.Router
	sites   *actors.Sites
	control *control.Control

	now    atomic.Int64 // Unix ms, the time of log entries
	ctx    context.Context
	cancel context.CancelFunc
	parts  sync.WaitGroup // log, router, accounts; they end with cancel

	mu     sync.Mutex
	failed error // the first failure of a part
}

// Open opens or makes the data directory dir.
func Open(dir string) (*Dir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	d := &Dir{}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	if d.store, err = pebblestore.Open(filepath.Join(dir, "store"), pebblestore.Options{Logger: logger}); err != nil {
		return nil, err
	}
	if err := d.start(logger); err != nil {
		d.cancel()
		d.parts.Wait()
		return nil, errors.Join(err, d.store.Close())
	}
	return d, nil
}

// start joins the parts as a node does, and waits for the log's replay.
func (d *Dir) start(logger *slog.Logger) (err error) {
	var edge [8]byte
	if _, err := io.ReadFull(rand.Reader, edge[:]); err != nil {
		return err
	}
	d.sites = actors.New(actors.Config{Store: d.store, Log: shardLog{d}, Shards: cluster.Shards, Logger: logger, Clock: time.Now,
		Lasting: func(analytics.SiteID) bool { return false }})
	d.router = cluster.NewRouter(cluster.Config{
		Sites:    d.sites,
		Notify:   func(shard uint16) { d.host.Notify(rafthost.Group(shard)) },
		Writable: func() bool { return true },
		Clock:    func() time.Time { return time.UnixMilli(d.now.Load()) },
		Edge:     binary.LittleEndian.Uint64(edge[:]),
		Logger:   logger,
		Fatal:    d.fail,
	})
	if d.control, err = control.Open(control.Config{Store: d.store, Notify: func() { d.host.Notify(rafthost.Control) }, Fatal: d.fail, Logger: logger}); err != nil {
		return err
	}
	groups := []rafthost.Group{rafthost.Control}
	for i := range cluster.Shards {
		groups = append(groups, rafthost.Group(i))
	}
	if d.host, err = rafthost.Open(rafthost.Config{Store: d.store, Groups: groups, Source: d, Applier: d, Workers: 1, Logger: logger, Fatal: d.fail}); err != nil {
		return err
	}
	for _, run := range []func(context.Context) error{d.host.Run, d.router.Run, d.control.Run} {
		d.parts.Go(func() {
			if err := run(d.ctx); err != nil {
				d.fail(err)
			}
		})
	}
	select {
	case <-d.host.Replayed():
		return nil
	case <-d.ctx.Done():
		return d.failure()
	}
}

// fail keeps the first failure and ends the parts.
func (d *Dir) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.failed = err
	}
	d.cancel()
}

func (d *Dir) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Next implements rafthost.Source.
func (d *Dir) Next(g rafthost.Group) []byte {
	if g == rafthost.Control {
		return d.control.Next()
	}
	return d.router.Next(uint16(g))
}

// Apply implements rafthost.Applier.
func (d *Dir) Apply(g rafthost.Group, index uint64, data []byte) {
	if g == rafthost.Control {
		d.control.Apply(index, data)
		return
	}
	d.router.Apply(uint16(g), index, data)
}

type shardLog struct{ d *Dir }

func (l shardLog) Persisted(b persistence.Batch, shard uint16, index uint64) {
	l.d.host.Persisted(b, rafthost.Group(shard), index)
}

func (l shardLog) Truncated(shard uint16, index uint64) {
	l.d.host.Truncated(rafthost.Group(shard), index)
}

// CreateSite makes a site in UTC. It may be called by many goroutines, which
// then share entries of the log.
func (d *Dir) CreateSite(domain string) (analytics.SiteID, error) {
	secret, err := d.control.SiteSecret()
	if err != nil {
		return 0, err
	}
	r, err := d.control.Do(d.ctx, &accounts.CreateSite{Domain: domain, Timezone: "UTC", Secret: secret})
	if err != nil {
		return 0, fmt.Errorf("create site %s: %w", domain, errors.Join(err, d.failure()))
	}
	return r.Site.ID, nil
}

// Record counts events of a site, all of them or an error; dropped tells how
// many the site refused. now is the time of their log entries, which must not
// be before that of an earlier call for the site.
func (d *Dir) Record(id analytics.SiteID, now time.Time, events []analytics.Event) (dropped int, err error) {
	if len(events) == 0 {
		return 0, nil
	}
	d.now.Store(now.UnixMilli())
	receipts := make([]analytics.Receipt, len(events))
	if err := d.router.RecordBatch(id, events, receipts); err != nil {
		return 0, fmt.Errorf("record %d events of site %d: %w", len(events), id, errors.Join(err, d.failure()))
	}
	for i := range receipts {
		if receipts[i].Reason != analytics.Counted {
			dropped++
		}
	}
	if d.host.TotalLogBytes() > flushLogBytes {
		return dropped, d.sites.FlushAll(d.ctx)
	}
	return dropped, nil
}

// Close writes everything and closes the directory; its error says that the
// directory is not complete.
func (d *Dir) Close() error {
	err := errors.Join(d.router.Drain(d.ctx), d.sites.SealAll(d.ctx), d.flushAccounts(), d.sites.Close(d.ctx))
	d.cancel()
	d.parts.Wait()
	// What a store does by itself over days: blocks that were sealed since leave it.
	err = errors.Join(err, d.store.Compact(context.Background(), []byte{0}, []byte{255}))
	return errors.Join(err, d.failure(), d.store.Close())
}

func (d *Dir) flushAccounts() error {
	b := d.store.NewBatch()
	index, err := d.control.Flush(b)
	if err != nil {
		b.Discard()
		return fmt.Errorf("write accounts: %w", err)
	}
	d.host.Persisted(b, rafthost.Control, index)
	if err := d.store.Commit(b, false); err != nil {
		return fmt.Errorf("write accounts: %w", err)
	}
	d.host.Truncated(rafthost.Control, index)
	return nil
}
