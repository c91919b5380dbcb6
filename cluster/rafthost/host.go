// Package rafthost runs the replicated logs of a node: one raft group per shard
// and one for the control state, all written through one store.
//
// It must never hand an entry to the state machine before it is synced on a
// quorum, never skip or repeat one, and never go on after a failed write. It
// knows nothing of what entries mean.
//
// Start at Open and Host.Run; worker.go is the loop, log.go what a group keeps
// in memory, codec.go the bytes on disk, DESIGN.md the reasons.
//
// Cost of an entry round of one group, per worker: one take from the list of
// ready groups, two raft Ready calls, one checksum and two copies of the data
// into the store's batch, one commit. No timer, no lock held over I/O, no
// goroutine hand-off other than the store's own sync.
package rafthost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/persistence"
)

// Group names a raft group of the node: a shard, or Control.
type Group uint16

// Control is the group of accounts, sites, keys and nodes.
const Control Group = 0xFFFF

// Source gives what is to be appended to a group's log.
type Source interface {
	// Next gives the next proposal of g, or nil for none; empty counts as none.
	// Ownership passes to the host. It is called on a worker after Notify(g) and,
	// while it gives something, again after each round; one call per group at a
	// time. It must not block. What was taken is applied, or Run ends with an
	// error; in a group with other members it can also be lost when leadership
	// moves, and the source's owner asks again.
	Next(g Group) []byte
}

// Applier is the state machine's side of the log.
type Applier interface {
	// Apply receives each entry of g exactly once per Run, in log order, after it
	// is durable. index rises, with gaps where raft wrote entries of its own. It
	// is called on a worker, one call per group at a time; data belongs to the
	// callee. It must not block long: the other groups of the worker wait.
	Apply(g Group, index uint64, data []byte)
}

// Transport carries messages to other members of a group.
type Transport interface {
	// Send passes messages on and may lose them; it must not block. The messages
	// must not be changed.
	Send(g Group, messages []*raftpb.Message)
}

// Config of a Host. Store, Groups, Source and Applier are required.
type Config struct {
	Store   persistence.Store
	Groups  []Group
	Source  Source
	Applier Applier
	// Transport is nil on a node alone.
	Transport Transport
	// Replica is this node's member id in groups that do not exist yet; default
	// 1. Voters are the first members of such groups; default Replica alone.
	Replica uint64
	Voters  []uint64
	// Workers is the number of goroutines; default GOMAXPROCS, at most 4.
	Workers int
	// WindowMax is how many entries of one group a round takes; default 2.
	WindowMax int
	// RoundBytesMax ends the collecting of entries for one synced write; default
	// 4 MiB. A single larger entry is written alone.
	RoundBytesMax int
	// CacheBytesMax bounds the entries kept in memory between write and apply,
	// over all groups; beyond it they are read back. Default 64 MiB.
	CacheBytesMax int64
	// Tick is raft's unit of time, used by groups with other members only.
	// Default 50 ms.
	Tick   time.Duration
	Logger *slog.Logger // default: discard
	// Fatal is told once when the store could not write; Run ends as well.
	// Default: nothing, since a store like pebblestore ends the process itself.
	Fatal func(error)
	// Now times the writes. Default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Store == nil || c.Source == nil || c.Applier == nil:
		return c, errors.New("raft host: store, source and applier are required")
	case len(c.Groups) == 0:
		return c, errors.New("raft host: no groups")
	}
	if c.Replica == 0 {
		c.Replica = 1
	}
	if len(c.Voters) == 0 {
		c.Voters = []uint64{c.Replica}
	}
	if c.Workers <= 0 {
		c.Workers = min(runtime.GOMAXPROCS(0), 4)
	}
	c.Workers = min(c.Workers, len(c.Groups))
	if c.WindowMax <= 0 {
		c.WindowMax = 2
	}
	if c.RoundBytesMax <= 0 {
		c.RoundBytesMax = 4 << 20
	}
	if c.CacheBytesMax <= 0 {
		c.CacheBytesMax = 64 << 20
	}
	if c.Tick <= 0 {
		c.Tick = 50 * time.Millisecond
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Fatal == nil {
		c.Fatal = func(error) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// Host runs the groups of a node. All methods but Run may be called from any
// goroutine, also before and after Run.
type Host struct {
	cfg      Config
	groups   map[Group]*group // fixed after Open
	workers  []*worker
	ran      atomic.Bool
	failOnce sync.Once

	cacheBytes atomic.Int64 // Invariant: equals the sum of all groups' cached bytes
	logBytes   atomic.Int64 // Invariant: equals the sum of LogBytes of all groups

	unreplayed atomic.Int64 // groups that have not caught up yet
	replayed   chan struct{}
}

// Open reads the logs of the groups and checks every entry. A damaged, missing
// or unknown entry is an error that names its group and index. Groups that are
// not in the store yet are created.
func Open(cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, groups: make(map[Group]*group, len(cfg.Groups)), replayed: make(chan struct{})}
	for range cfg.Workers {
		h.workers = append(h.workers, &worker{host: h, wake: make(chan struct{}, 1)})
	}
	for _, g := range cfg.Groups {
		if _, twice := h.groups[g]; twice {
			return nil, fmt.Errorf("raft host: group %d is listed twice", g)
		}
		h.groups[g] = nil
	}
	b := cfg.Store.NewBatch()
	for i, id := range cfg.Groups {
		g, err := openGroup(h, id, b)
		if err != nil {
			b.Discard()
			return nil, fmt.Errorf("open raft group %d: %w", id, err)
		}
		w := h.workers[i%len(h.workers)]
		g.worker = w
		w.groups = append(w.groups, g)
		h.groups[id] = g
	}
	if err := cfg.Store.Commit(b, true); err != nil {
		return nil, fmt.Errorf("create raft groups: %w", err)
	}
	h.unreplayed.Store(int64(len(cfg.Groups)))
	return h, nil
}

// Run applies what the logs hold beyond the persisted index, then serves until
// ctx ends. It returns after everything it was given is written or, when the
// store failed, after every worker has stopped; nil means ctx ended it. A host
// runs once.
func (h *Host) Run(ctx context.Context) error {
	if h.ran.Swap(true) {
		return errors.New("raft host runs twice")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	errs := make([]error, len(h.workers))
	for i, w := range h.workers {
		wg.Go(func() {
			if errs[i] = w.run(ctx); errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return h.saveCommits()
}

// saveCommits writes how far each log is committed, which rounds leave out for
// groups without other members: it lets the next start notice a log that lost
// its end.
func (h *Host) saveCommits() error {
	b := h.cfg.Store.NewBatch()
	for _, id := range h.cfg.Groups {
		g := h.groups[id]
		b.Set(groupKey(id, keyHardState), g.hard.encode())
	}
	if err := h.cfg.Store.Commit(b, true); err != nil {
		return h.fail(fmt.Errorf("save commit indexes: %w", err))
	}
	return nil
}

func (h *Host) fail(err error) error {
	h.failOnce.Do(func() { h.cfg.Fatal(err) })
	return err
}

// Replayed is closed when every group has applied what was on disk at Open and,
// where this node alone decides, leads.
func (h *Host) Replayed() <-chan struct{} { return h.replayed }

// Notify says that the Source has something for g. It is cheap and never
// blocks; a notice that finds another one pending costs one atomic load.
func (h *Host) Notify(g Group) { h.group(g).notify() }

// Deliver hands in a message of another member of g. It never blocks; what does
// not fit is dropped, as raft allows.
func (h *Host) Deliver(g Group, m *raftpb.Message) {
	if gr := h.groups[g]; gr != nil {
		gr.deliver(m)
	}
}

// Applied is the index of the newest entry of g that Apply has returned for, or
// that needed none.
func (h *Host) Applied(g Group) uint64 { return h.group(g).applied.Load() }

// Leads tells whether this node accepts proposals for g now.
func (h *Host) Leads(g Group) bool { return h.group(g).serving.Load() }

// Persisted adds to b that the records of g hold everything up to index, and
// the removal of the log up to there. The caller commits b, unsynced is enough,
// after or together with those records, and then calls Truncated. index must
// have been handed to Apply, which need not have returned yet: records can be
// written as soon as the state machine has the entry. One that is not above the
// last persisted index adds nothing. Per group one caller at a time.
func (h *Host) Persisted(b persistence.Batch, g Group, index uint64) {
	gr := h.group(g)
	if a := max(gr.applied.Load(), gr.handed.Load()); index > a {
		panic(fmt.Sprintf("raft group %d: index %d persisted, only %d handed to apply", g, index, a))
	}
	gr.log.persist(b, index)
}

// Truncated forgets what Persisted removed; call it after the commit, with the
// same index.
func (h *Host) Truncated(g Group, index uint64) { h.group(g).log.truncated(index) }

// LogBytes is the size of g's entries beyond the persisted index: what a restart
// would replay. It is exact to 32 KiB or one entry.
func (h *Host) LogBytes(g Group) int64 { return h.group(g).log.bytes() }

// TotalLogBytes is the sum of LogBytes over all groups.
func (h *Host) TotalLogBytes() int64 { return h.logBytes.Load() }

func (h *Host) group(g Group) *group {
	gr := h.groups[g]
	if gr == nil {
		panic(fmt.Sprintf("raft group %d is not hosted here", g))
	}
	return gr
}
