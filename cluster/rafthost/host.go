// Package rafthost runs the replicated logs of a node: one raft group per shard
// and one for the control state, all written through one store.
//
// It must never hand an entry to the state machine before it is synced on a
// quorum, never skip or repeat one, and never go on after a failed write. It
// knows nothing of what entries mean.
//
// Start at Open and Host.Run; worker.go is the loop, group.go what it does with a
// group, log.go and retain.go what a group keeps, snapshot.go and members.go what
// only groups with other members do, codec.go the bytes on disk and stream.go
// those of a snapshot on the wire, DESIGN.md the reasons.
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
	"io"
	"log/slog"
	"math/rand/v2"
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
	// moves, and the source's owner, who is told by Config.Led, asks again.
	Next(g Group) []byte
}

// Applier is the state machine's side of the log.
type Applier interface {
	// Apply receives each entry of g exactly once per Run, in log order, after it
	// is durable. index rises, with gaps where raft wrote entries of its own. It
	// is called on a worker, one call per group at a time; data belongs to the
	// callee. It must not block long: the other groups of the worker wait. When it
	// cannot go on, it calls Host.Fail and returns.
	Apply(g Group, index uint64, data []byte)
}

// Restorer is what an Applier also implements when groups can get their state
// from another member or leave this node. The calls come from goroutines of the
// host, may block and must not call methods of the Host that wait.
type Restorer interface {
	// Restore says that the records of g were replaced by those of another member,
	// as of index: what is in memory is to be forgotten and loaded anew. The next
	// entry to come is the one after index. After an error the replica stands still.
	// Open calls it too, where a crash had cut off the replacing.
	Restore(g Group, index uint64) error
	// Remove says that the replica of g goes. When it returns, nothing of g is
	// written any more; then its records are deleted.
	Remove(g Group)
}

// Suspender is what an Applier also implements when it writes records of its
// groups at times of its own.
type Suspender interface {
	// Suspend says that the records of g are about to be replaced. When it returns,
	// nothing of g is written until Restore or Remove; a flush that was under way
	// is over or dropped, its batch included. If the replacing fails, neither
	// comes before a restart and the replica stands still.
	Suspend(g Group)
}

// Outgoing is a message to another member of a group.
type Outgoing struct {
	Group   Group
	Message *raftpb.Message
}

// Transport carries messages to other nodes.
type Transport interface {
	// Send passes messages on to a node and may lose them; it must not block. batch
	// is valid during the call only; the messages may be kept and must not be
	// changed. Of one group they must not overtake each other if that can be had.
	Send(node uint16, batch []Outgoing)
	// SendSnapshot passes m on to the node of m.To, whose transport gives it with
	// the bytes that send writes to ReceiveSnapshot. It must not block: send is
	// called on a goroutine of the transport, and once more after each connection
	// that broke: it writes the same bytes each time, see Skipper. done is called
	// once, after send has returned and the other node's ReceiveSnapshot too, with
	// the error of either; also when the transport ends.
	SendSnapshot(g Group, m *raftpb.Message, send func(ctx context.Context, w io.Writer) error, done func(error))
}

// Config of a Host. Store, Source and Applier are required, and Groups without a
// Transport.
type Config struct {
	// Store also implements persistence.Viewer and persistence.Stager where
	// snapshots are to be sent and taken.
	Store persistence.Store
	// Groups are created when the store does not have them and never had. Groups
	// that the store has are opened, whether listed or not.
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
	// RetainGroupBytesMax and RetainBytesMax bound what the log of a group, and
	// the logs of all, keep below the persisted index for members that are behind.
	// Defaults 8 MiB and 128 MiB. The second is kept with the next writing of
	// records of each group. What follows a snapshot that is being sent is kept
	// beyond both.
	RetainGroupBytesMax, RetainBytesMax int64
	// RetainFor is how long a leader keeps entries for a member that it does not
	// hear from. Default 5 minutes.
	RetainFor time.Duration
	// SnapshotsMax is how many snapshots are sent, and how many are taken, at once;
	// default 2. SnapshotBytesPerSecond bounds the sending of each; default 64 MiB,
	// negative: no bound.
	SnapshotsMax           int
	SnapshotBytesPerSecond int64
	// Tick is raft's unit of time, used by groups with other members only.
	// Default 50 ms.
	Tick   time.Duration
	Logger *slog.Logger // default: discard
	// Fatal is told once when the store could not write; Run ends as well.
	// Default: nothing, since a store like pebblestore ends the process itself.
	Fatal func(error)
	// Now times the writes and how fresh a follower is. Default time.Now.
	Now func() time.Time
	// Rand gives a number in [0, n) and spreads elections; safe for concurrent use
	// unless the host is driven by Turn. Default math/rand/v2.
	Rand func(n int) int

	// The hooks below may be nil. They must neither block nor call methods of the
	// Host that wait.

	// Led is told when another replica leads g, 0 for none known, or when this node
	// begins or ends to take proposals for it (self). Called on a worker.
	Led func(g Group, leader uint64, self bool)
	// Flush asks for the records of g to be written soon, up to its newest entry,
	// because a snapshot waits for that. Called on a worker.
	Flush func(g Group)
	// Unknown is told of messages to a replica of g that is not here and, as far as
	// this store knows, never was, so that the owner may call AddReplica. Called on
	// the goroutine that called Deliver.
	Unknown func(g Group, to, from uint64)
}

func (c *Config) retainTicks() uint64 { return uint64(c.RetainFor / c.Tick) }

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Store == nil || c.Source == nil || c.Applier == nil:
		return c, errors.New("raft host: store, source and applier are required")
	case len(c.Groups) == 0 && c.Transport == nil:
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
	if c.Transport == nil {
		c.Workers = min(c.Workers, len(c.Groups))
	}
	if c.WindowMax <= 0 {
		c.WindowMax = 2
	}
	if c.RoundBytesMax <= 0 {
		c.RoundBytesMax = 4 << 20
	}
	if c.CacheBytesMax <= 0 {
		c.CacheBytesMax = 64 << 20
	}
	if c.RetainGroupBytesMax <= 0 {
		c.RetainGroupBytesMax = 8 << 20
	}
	if c.RetainBytesMax <= 0 {
		c.RetainBytesMax = 128 << 20
	}
	if c.RetainFor <= 0 {
		c.RetainFor = 5 * time.Minute
	}
	if c.SnapshotsMax <= 0 {
		c.SnapshotsMax = 2
	}
	if c.SnapshotBytesPerSecond == 0 {
		c.SnapshotBytesPerSecond = 64 << 20
	}
	if c.Rand == nil {
		c.Rand = rand.IntN
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
	viewer   persistence.Viewer // the store as one, or nil
	stager   persistence.Stager // the store as one, or nil
	workers  []*worker
	ran      atomic.Bool
	failOnce sync.Once

	// groups is replaced whole, under admin, never changed.
	groups atomic.Pointer[map[Group]*group]
	admin  sync.Mutex
	last   map[Group]uint64 // under lastMu: newest replica id that the store had for a group
	lastMu sync.RWMutex

	cacheBytes atomic.Int64 // Invariant: equals the sum of all groups' cached bytes
	logBytes   atomic.Int64 // Invariant: equals the sum of LogBytes of all groups
	keep       retention

	unreplayed atomic.Int64 // groups that have not caught up yet
	replayed   chan struct{}

	hintMu sync.Mutex
	hints  map[uint16]time.Time // under hintMu: newest PeerDown of each node

	tokens                                         atomic.Uint64 // for changes of members
	sending, taking                                atomic.Int64  // snapshots
	dropped                                        atomic.Uint64
	snapshotsSent, snapshotsTaken, snapshotsFailed atomic.Uint64
}

// Open reads the logs of the groups and checks every entry. A damaged, missing
// or unknown entry is an error that names its group and index, unless the group
// has other voters: then that one replica stands still, see Status. A snapshot
// whose installing was cut off is installed.
func Open(cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, replayed: make(chan struct{}), hints: map[uint16]time.Time{}}
	h.viewer, _ = cfg.Store.(persistence.Viewer)
	h.stager, _ = cfg.Store.(persistence.Stager)
	h.keep.groupMax, h.keep.hostMax = cfg.RetainGroupBytesMax, cfg.RetainBytesMax
	ids, err := h.establish()
	if err != nil {
		return nil, err
	}
	groups := make(map[Group]*group, len(ids))
	h.groups.Store(&groups)
	for range cfg.Workers {
		w := &worker{host: h, wake: make(chan struct{}, 1), rounds: 1}
		w.writer.change = sync.NewCond(&w.writer.mu)
		h.workers = append(h.workers, w)
	}
	for i, id := range ids {
		g, err := openGroup(h, id)
		if err != nil {
			return nil, fmt.Errorf("open raft group %d: %w", id, err)
		}
		w := h.workers[i%len(h.workers)]
		g.worker = w
		w.groups = append(w.groups, g)
		groups[id] = g
		if !g.solo {
			h.keep.groups.Add(1)
		}
	}
	if err := h.sweepStages(); err != nil {
		return nil, fmt.Errorf("remove stages of snapshots: %w", err)
	}
	h.expect(ids)
	return h, nil
}

// expect counts the groups whose replay Replayed waits for.
func (h *Host) expect(ids []Group) {
	h.unreplayed.Store(1)
	for _, id := range ids {
		if g := h.find(id); !g.stands() {
			h.unreplayed.Add(1)
		} else {
			g.replayed = true
		}
	}
	h.caughtUp()
}

func (h *Host) caughtUp() {
	if h.unreplayed.Add(-1) == 0 {
		close(h.replayed)
	}
}

// Run applies what the logs hold beyond the persisted index, then serves until
// ctx ends. It returns after everything it was given is written or, when the
// store failed, after every worker has stopped; nil means ctx ended it. A host
// runs once, and not after Turn.
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

// Turn does one round of every worker in the caller's goroutine, instead of Run:
// everything that its goroutines would do but wait. busy: there was something
// to do. With a Rand of the caller's and no other goroutine about, what a host
// does depends on its calls alone. One caller at a time.
func (h *Host) Turn() (busy bool, err error) {
	for _, w := range h.workers {
		worked, _, err := w.turn()
		if err != nil {
			return busy, err
		}
		wrote := w.writer.work(w, false)
		busy = busy || worked || wrote
	}
	return busy, nil
}

// Tick is one unit of time for a host driven by Turn; Run counts its own.
func (h *Host) Tick() error {
	for _, w := range h.workers {
		if err := w.tick(); err != nil {
			return err
		}
	}
	return nil
}

// saveCommits writes how far each log is committed, which rounds leave out for
// groups without other members: it lets the next start notice a log that lost
// its end.
func (h *Host) saveCommits() error {
	b := h.cfg.Store.NewBatch()
	for id, g := range *h.groups.Load() {
		if !g.stands() {
			b.Set(groupKey(id, keyHardState), g.hard.encode())
		}
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
// blocks; a notice that finds another one pending costs two atomic loads.
func (h *Host) Notify(g Group) {
	if gr := h.find(g); gr != nil {
		gr.notify()
	}
}

// Deliver hands in a message of another member of g. It never blocks; what does
// not fit or is not for a replica here is dropped, as raft allows, and counted.
func (h *Host) Deliver(g Group, m *raftpb.Message) {
	gr := h.find(g)
	switch {
	case gr == nil:
		if h.cfg.Unknown != nil && m.GetTo() > h.lastOf(g) {
			h.cfg.Unknown(g, m.GetTo(), m.GetFrom())
		}
	case m.GetTo() != gr.replica || m.GetFrom() == gr.replica || !peerMessage(m.GetType()) || gr.stands():
	case gr.deliver(m):
		return
	}
	h.dropped.Add(1)
}

// peerMessage tells whether members send messages of type t to each other. The
// others are a replica's talk with itself, or snapshots.
func peerMessage(t raftpb.MessageType) bool {
	switch t {
	case raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVote, raftpb.MsgPreVoteResp,
		raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNow:
		return true
	}
	return false
}

// Applied is the index of the newest entry of g that Apply has returned for, or
// that needed none; 0 if g is not here.
func (h *Host) Applied(g Group) uint64 {
	if gr := h.find(g); gr != nil {
		return gr.applied.Load()
	}
	return 0
}

// Leads tells whether this node accepts proposals for g now.
func (h *Host) Leads(g Group) bool {
	gr := h.find(g)
	return gr != nil && gr.serving.Load()
}

// Leader is the replica that leads g as far as is known here, or 0.
func (h *Host) Leader(g Group) (replica uint64) {
	if gr := h.find(g); gr != nil {
		return gr.leader.Load()
	}
	return 0
}

// Persisted adds to b that the records of g hold everything up to index, and
// the removal of the log up to there, but for what other members may still ask
// for. The caller commits b, unsynced is enough, after or together with those
// records, and then calls Truncated. index must have been handed to Apply, which
// need not have returned yet: records can be written as soon as the state
// machine has the entry. One that is not above the last persisted index, or of
// a group that is not here, adds nothing. Per group one caller at a time.
func (h *Host) Persisted(b persistence.Batch, g Group, index uint64) {
	gr := h.find(g)
	if gr == nil {
		return
	}
	if a := max(gr.applied.Load(), gr.handed.Load()); index > a {
		panic(fmt.Sprintf("raft group %d: index %d persisted, only %d handed to apply", g, index, a))
	}
	gr.log.persist(b, index)
}

// Truncated forgets what Persisted removed; call it after the commit, with the
// same index.
func (h *Host) Truncated(g Group, index uint64) {
	if gr := h.find(g); gr != nil {
		gr.log.truncated(index)
	}
}

// LogBytes is the size of g's entries beyond the persisted index: what a restart
// would replay. It is exact to 32 KiB or one entry.
func (h *Host) LogBytes(g Group) int64 {
	if gr := h.find(g); gr != nil {
		return gr.log.bytes()
	}
	return 0
}

// TotalLogBytes is the sum of LogBytes over all groups.
func (h *Host) TotalLogBytes() int64 { return h.logBytes.Load() }

// find gives the replica of g, or nil.
func (h *Host) find(g Group) *group { return (*h.groups.Load())[g] }
