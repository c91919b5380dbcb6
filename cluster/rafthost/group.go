package rafthost

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"footfall/persistence"
)

// Settings of every group.
const (
	heartbeatTicks      = 2
	electionTicks       = 10
	messageBytesMax     = 1 << 20
	inflightMessagesMax = 64
	inflightBytesMax    = 8 << 20
	uncommittedBytesMax = 16 << 20
	applyingBytesMax    = 4 << 20
	replayCacheMax      = 16 << 20 // over all groups, at start
	inboxMax            = 256      // messages of other members waiting for the worker
	inboxBytesMax       = 16 << 20 // and their entries
)

// group is one raft group. Its worker owns everything that is not said to be
// shared.
type group struct {
	id      Group
	replica uint64 // this node's member id, fixed
	host    *Host
	worker  *worker
	log     *groupLog // shared, locks itself
	rn      *raft.RawNode
	solo    bool // no other member: this node alone decides and nobody listens
	sole    bool // the only voter: this node alone decides
	voter   bool // takes part in elections

	applied  atomic.Uint64           // shared, written by the worker
	handed   atomic.Uint64           // shared: newest entry the state machine has, or is at
	serving  atomic.Bool             // shared, written by the worker: takes proposals
	leader   atomic.Uint64           // shared, written by the worker: replica that leads, or 0
	notified atomic.Bool             // shared: the source has something
	queued   atomic.Bool             // shared: in the worker's list
	failure  atomic.Pointer[failure] // shared: why the replica stands still, or nil
	gone     atomic.Bool             // shared: the replica was removed
	taking   atomic.Bool             // shared: a snapshot is arriving or being installed

	hard     hardState // newest known; on disk as far as written
	lead     bool      // raft says that this node leads
	replayed bool      // has applied what was on disk at Open
	goal     uint64    // applied index from which replayed is true
	active   bool      // in this round's list
	asks     bool      // the source may have more than the last round took
	held     []byte    // a proposal that raft would not take yet
	applying bool      // the state machine is at an entry
	told     ledState  // what Config.Led was told last

	async    bool     // writes go through the writer
	wroteIn  uint64   // the round of the newest write that did not
	inFlight int      // writes that the writer has not answered
	eager    bool     // campaigns as soon as everything known to be committed is applied
	timer    election // of groups with other members
	deaf     int      // ticks for which messages of the node deafTo are dropped
	deafTo   uint16
	fresh    freshness
	heard    map[uint64]uint64 // tick of the newest message from each member
	change   *pendingChange
	unled    []chan struct{} // closed when this node stops leading
	handOver bool
	views    []snapshotView // for snapshots that raft asked for and has not sent
	asked    flushCall      // the newest call of Config.Flush
	taken    *arrival       // a snapshot that raft may take

	inboxMu    sync.Mutex
	inbox      []*raftpb.Message // shared, under inboxMu
	inboxBytes int
	arrived    *arrival // shared, under inboxMu: a staged snapshot, not seen by raft yet
}

// failure is why a replica stands still.
type failure struct{ err error }

// ledState is a leader and whether this node takes proposals.
type ledState struct {
	leader uint64
	self   bool
}

// openGroup loads a group from the store. One that is damaged but has other
// voters is opened standing still.
func openGroup(h *Host, id Group) (*group, error) {
	l := &groupLog{id: id, store: h.cfg.Store, hostCache: &h.cacheBytes, hostBytes: &h.logBytes, cacheMax: h.cfg.CacheBytesMax, keep: &h.keep}
	g := &group{id: id, host: h, log: l, heard: map[uint64]uint64{}}
	rolled, err := rollForward(h, id)
	if err == nil {
		err = l.load()
	} else { // for the members
		_ = l.load()
	}
	if r, ok := h.cfg.Applier.(Restorer); ok && rolled && err == nil {
		err = r.Restore(id, l.persisted.index)
	}
	others := slices.ContainsFunc(append(slices.Clone(l.conf.voters), l.conf.outgoing...), func(r uint64) bool { return r != l.conf.replica })
	if err != nil && others && h.cfg.Transport != nil {
		l.drop()
		g.replica = l.conf.replica
		g.fail(fmt.Errorf("open raft group %d: %w", id, err))
		return g, nil
	}
	if err != nil {
		return nil, err
	}
	g.replica, g.hard = l.conf.replica, l.start
	g.belong()
	if !g.solo && h.cfg.Transport == nil {
		return nil, fmt.Errorf("has members %d and there is no transport to reach them", l.conf.voters)
	}
	g.async = !g.solo
	g.applied.Store(l.persisted.index)
	if g.goal = l.start.commit; g.sole {
		g.goal = l.last + 1 // the first entry of this node's own term
	}
	g.timer.reset(h.cfg.Rand)
	l.snapshot = g.snapshot
	g.rn, err = raft.NewRawNode(&raft.Config{
		ID:                        l.conf.replica,
		ElectionTick:              electionTicks,
		HeartbeatTick:             heartbeatTicks,
		Storage:                   l,
		Applied:                   l.persisted.index,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             messageBytesMax,
		MaxCommittedSizePerReady:  applyingBytesMax,
		MaxUncommittedEntriesSize: uncommittedBytesMax,
		MaxInflightMsgs:           inflightMessagesMax,
		MaxInflightBytes:          inflightBytesMax,
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		Logger:                    &raftLogger{h.cfg.Logger.With(slog.Int("group", int(id)))},
		DisableProposalForwarding: true,
		// A leader that was removed hands over, see settle: what it has taken but not
		// replicated yet would otherwise make its log the longest, and the others
		// might need its vote to leave the joint configuration.
		StepDownOnRemoval: false,
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// firstPoint is where the log of a new group begins: after an entry that never
// was. A member that joins later has an empty log at 0, so raft has to send it
// a snapshot, and with it the members, before any entry.
var firstPoint = point{index: 1, term: 1}

// create adds the records of a replica with an empty log to b.
func create(b persistence.Batch, g Group, c conf, at point) {
	b.Set(groupKey(g, keyConf), c.encode())
	b.Set(groupKey(g, keyPersisted), at.encode())
	b.Set(groupKey(g, keyHardState), hardState{term: at.term, commit: at.index}.encode())
}

// load reads the group's records and checks every entry of its log.
func (l *groupLog) load() error {
	raw, err := l.store.Get(groupKey(l.id, keyConf))
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	if l.conf, err = decodeConf(raw); err != nil {
		return fmt.Errorf("members: %w", err)
	}
	if raw, err = l.store.Get(groupKey(l.id, keyPersisted)); err != nil {
		return fmt.Errorf("persisted index: %w", err)
	}
	if l.persisted, err = decodePoint(raw); err != nil {
		return fmt.Errorf("persisted index: %w", err)
	}
	l.begin = l.persisted
	raw, err = l.store.Get(groupKey(l.id, keyTruncated))
	if l.marked = err == nil; l.marked {
		l.begin, err = decodePoint(raw)
	} else if errors.Is(err, persistence.ErrNotFound) {
		err = nil
	}
	if err == nil && l.begin.index > l.persisted.index {
		err = fmt.Errorf("damaged: %d is beyond the persisted index %d", l.begin.index, l.persisted.index)
	}
	if err != nil {
		return fmt.Errorf("truncated index: %w", err)
	}
	if raw, err = l.store.Get(groupKey(l.id, keyHardState)); err != nil {
		return fmt.Errorf("hard state: %w", err)
	}
	if l.start, err = decodeHardState(raw); err != nil {
		return fmt.Errorf("hard state: %w", err)
	}
	if err := l.loadEntries(); err != nil {
		return err
	}
	// Rounds do not write the commit index of a group without other members, and
	// what is persisted or made the members was committed.
	l.start.commit = max(l.start.commit, l.persisted.index, l.conf.index)
	if l.start.commit > l.last {
		return fmt.Errorf("the log ends at entry %d, but %d was committed: the store lost entries", l.last, l.start.commit)
	}
	if t, err := l.termLocked(l.persisted.index); err != nil || t != l.persisted.term {
		return fmt.Errorf("persisted index: damaged: term %d, entry %d has %d", l.persisted.term, l.persisted.index, t)
	}
	return nil
}

func (l *groupLog) loadEntries() error {
	l.last = l.begin.index
	term := l.begin.term
	one := make([]*raftpb.Entry, 1)
	// What is read here need not be read again for the replay, within reason.
	full := l.cacheMax
	l.cacheMax = min(full, replayCacheMax)
	defer func() { l.cacheMax = full }()
	persisted := l.persisted
	l.persisted = l.begin
	err := l.store.Scan(logKey(l.id, l.begin.index+1), persistence.After(logKey(l.id, 0)[:3]), func(k, v []byte) error {
		e, err := decodeEntry(k, v)
		if err != nil {
			return fmt.Errorf("entry %d: %w", l.last+1, err)
		}
		if e.GetIndex() != l.last+1 {
			return fmt.Errorf("entry %d is missing, %d follows", l.last+1, e.GetIndex())
		}
		if e.GetTerm() < term || e.GetTerm() > l.start.term {
			return fmt.Errorf("entry %d: damaged: term %d between %d and %d", e.GetIndex(), e.GetTerm(), term, l.start.term)
		}
		term = e.GetTerm()
		one[0] = e
		l.appended(one)
		return nil
	})
	l.tail = l.last
	if err != nil {
		return err
	}
	if l.last >= persisted.index {
		l.moveLocked(l.begin, persisted)
		l.release(persisted.index)
	}
	l.persisted = persisted
	return nil
}

// belong works out what the members say about this replica.
func (g *group) belong() {
	c := &g.log.conf
	g.sole = len(c.voters) == 1 && c.voters[0] == g.replica && len(c.outgoing) == 0
	g.solo = g.sole && len(c.learners)+len(c.learnersNext) == 0
	g.voter = slices.Contains(c.voters, g.replica) || slices.Contains(c.outgoing, g.replica)
	g.log.alone.Store(g.solo)
}

// fail makes the replica stand still. Any goroutine; the first reason is kept.
func (g *group) fail(err error) {
	if !g.failure.CompareAndSwap(nil, &failure{err}) {
		return
	}
	g.host.cfg.Logger.Error("a replica stands still", "group", int(g.id), "replica", g.replica, "error", err)
	if g.worker != nil {
		g.enqueue()
	}
}

// stands tells whether the replica is not driven any more.
func (g *group) stands() bool { return g.gone.Load() || g.failure.Load() != nil }

// halt forgets what a replica that stands still was doing.
func (g *group) halt() {
	g.lead = false
	g.held = nil
	g.serving.Store(false)
	g.leader.Store(0)
	g.stopLeading(errNotHere)
	g.inboxMu.Lock()
	g.inbox, g.inboxBytes = nil, 0
	if g.taken == nil {
		g.taken, g.arrived = g.arrived, nil
	}
	g.inboxMu.Unlock()
	if g.taken != nil {
		g.taken.seen = true
		g.refuse()
	}
	for _, v := range g.views {
		v.close()
	}
	g.views = nil
	if !g.replayed {
		g.replayed = true
		g.host.caughtUp()
	}
	g.tell()
}

func (g *group) notify() {
	if g.notified.Load() || g.notified.Swap(true) {
		return
	}
	g.enqueue()
}

// enqueue puts g on its worker's list. Any goroutine.
func (g *group) enqueue() {
	if !g.queued.Swap(true) {
		g.worker.add(g)
	}
}

// deliver puts a message into the inbox, or tells that it does not fit.
func (g *group) deliver(m *raftpb.Message) bool {
	size := 0
	for _, e := range m.GetEntries() {
		size += len(e.GetData())
	}
	g.inboxMu.Lock()
	fits := len(g.inbox) < inboxMax && (len(g.inbox) == 0 || g.inboxBytes+size <= inboxBytesMax)
	if fits {
		g.inbox = append(g.inbox, m)
		g.inboxBytes += size
	}
	g.inboxMu.Unlock()
	if fits {
		g.enqueue()
	}
	return fits
}

// pull brings to raft what waits outside: messages and proposals.
func (g *group) pull(closing bool) error {
	if g.async && !closing {
		g.inboxMu.Lock()
		inbox := g.inbox
		g.inbox, g.inboxBytes = nil, 0
		if g.taken == nil {
			g.taken, g.arrived = g.arrived, nil
		}
		g.inboxMu.Unlock()
		for _, m := range inbox {
			g.receive(m)
		}
		if g.taken != nil && !g.taken.seen {
			g.taken.seen = true
			g.receive(g.taken.m)
		}
	}
	if g.eager && g.applied.Load() >= g.hard.commit {
		g.eager = false
		if err := g.campaign(); err != nil {
			return err
		}
	}
	if closing || !g.serving.Load() {
		return nil
	}
	if g.held == nil && !g.asks && !g.notified.Load() {
		return nil
	}
	// Cleared before the source is asked: a notice that comes later counts anew.
	g.notified.Store(false)
	g.asks = false
	for range g.host.cfg.WindowMax {
		data := g.held
		if data == nil {
			data = g.host.cfg.Source.Next(g.id)
		}
		if len(data) == 0 {
			return nil
		}
		g.held = nil
		switch err := g.rn.Propose(data); {
		case errors.Is(err, raft.ErrProposalDropped):
			g.held = data // too much in flight, or leadership is moving; tried again
			return nil
		case err != nil:
			return fmt.Errorf("raft group %d: propose: %w", g.id, err)
		}
	}
	g.asks = true
	return nil
}

// receive gives raft a message of another member.
func (g *group) receive(m *raftpb.Message) {
	if g.deaf > 0 && nodeOf(m.GetFrom()) == g.deafTo {
		return
	}
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if m.GetTerm() >= g.hard.term {
			g.timer.elapsed, g.timer.hint = 0, 0
			// A heartbeat's own commit index ends where this member's log does; the
			// leader's is in a field that raft leaves empty, see transmit.
			g.fresh.note(max(m.GetCommit(), heartbeatCommit(m)), g.applied.Load(), g.host.cfg.Now())
		}
	case raftpb.MsgPreVote:
		g.rivalled(m)
	}
	if g.lead {
		g.heard[m.GetFrom()] = g.worker.ticks
	}
	// A message that does not fit the state is stale; raft's errors say no more.
	_ = g.rn.Step(m)
}

// step takes everything out of raft: writes go to the worker's round, committed
// entries to the state machine, the rest to other members.
func (g *group) step() error {
	for {
		rd := g.rn.Ready()
		if rd.SoftState != nil {
			g.role(rd.SoftState)
		}
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				if err := g.append(m); err != nil {
					return err
				}
			case raft.LocalApplyThread:
				if err := g.apply(m); err != nil {
					return err
				}
			default:
				g.transmit(m)
			}
			if g.stands() {
				return nil
			}
		}
		g.settle()
		if g.applied.Load() < g.hard.commit && len(rd.CommittedEntries) > 0 {
			continue // committed entries come in portions
		}
		if g.solo || !g.rn.HasReady() {
			return nil
		}
	}
}

// role takes in who leads.
func (g *group) role(s *raft.SoftState) {
	lead := s.RaftState == raft.StateLeader
	if lead && !g.lead {
		g.timer.beat = 0
		clear(g.heard)
	}
	if g.lead && !lead {
		g.timer.reset(g.host.cfg.Rand)
		g.held = nil // lost, as what was proposed may be
	}
	g.lead = lead
	g.leader.Store(s.Lead)
	if !lead {
		g.log.needed.Store(0)
	}
}

// append adds a storage request of raft to the round.
func (g *group) append(m *raftpb.Message) error {
	w := g.worker
	wrote := false
	sync := len(m.Entries) > 0 || len(m.Responses) > 0
	if m.Term != nil {
		s := hardState{m.GetTerm(), m.GetVote(), m.GetCommit()}
		if s.vote != g.replica && (s.term != g.hard.term || s.vote != g.hard.vote) {
			g.yielded()
		}
		// A new commit index alone needs no write here: every entry on the disk of
		// the only voter is committed.
		if m.GetSnapshot() == nil && (s.term != g.hard.term || s.vote != g.hard.vote || !g.solo) {
			w.batch(g).Set(groupKey(g.id, keyHardState), s.encode())
			wrote = true
			// Later answers may rest on a term or vote that had none of its own.
			sync = sync || s.term != g.hard.term || s.vote != g.hard.vote
		}
		g.hard = s
	}
	if s := m.GetSnapshot(); s != nil {
		if err := g.install(s); err != nil {
			g.fail(err)
			return nil
		}
	}
	if len(m.Entries) > 0 {
		w.scratch = g.log.write(w.batch(g), m.Entries, w.scratch)
		g.notice(m.Entries)
	}
	if wrote || sync {
		w.wrote(g, m, sync)
	}
	return nil
}

// apply hands committed entries to the state machine.
func (g *group) apply(m *raftpb.Message) error {
	for _, e := range m.Entries {
		if want := g.applied.Load() + 1; e.GetIndex() != want {
			panic(fmt.Sprintf("raft group %d: entry %d to apply, want %d", g.id, e.GetIndex(), want))
		}
		switch t := e.GetType(); {
		case t == raftpb.EntryConfChangeV2:
			if err := g.applyChange(e); err != nil {
				return err
			}
		case t != raftpb.EntryNormal:
			return fmt.Errorf("raft group %d entry %d of type %s: %w", g.id, e.GetIndex(), t, errTooNew)
		case len(e.GetData()) > 0:
			g.handed.Store(e.GetIndex())
			g.applying = true
			g.host.cfg.Applier.Apply(g.id, e.GetIndex(), e.GetData())
			g.applying = false
			if g.stands() {
				return nil
			}
		}
		g.applied.Store(e.GetIndex())
	}
	g.fresh.reached(g.applied.Load())
	if g.solo { // nobody else will ask for them
		g.log.release(g.applied.Load())
	} else {
		g.weigh()
	}
	if g.held != nil || g.eager { // raft has room again once it knows of the apply
		g.enqueue()
	}
	return g.respond(m.Responses)
}

// respond delivers the answers to a storage request that is done.
func (g *group) respond(responses []*raftpb.Message) error {
	for _, r := range responses {
		if r.GetTo() != g.replica {
			g.transmit(r)
			continue
		}
		// A replica that was removed while it wrote is not its own peer any more.
		if err := g.rn.Step(r); err != nil && !errors.Is(err, raft.ErrStepPeerNotFound) {
			return fmt.Errorf("raft group %d: %s: %w", g.id, r.GetType(), err)
		}
	}
	return nil
}

// transmit puts a message into the round's batch for its node.
func (g *group) transmit(m *raftpb.Message) {
	switch {
	case g.host.cfg.Transport == nil:
	case m.GetType() == raftpb.MsgSnap:
		g.sendSnapshot(m)
	default:
		if m.GetType() == raftpb.MsgHeartbeat {
			m.Index = new(g.hard.commit)
		}
		g.worker.send(g.id, m)
	}
}

// heartbeatCommit is the leader's commit index in a heartbeat.
func heartbeatCommit(m *raftpb.Message) uint64 {
	if m.GetType() == raftpb.MsgHeartbeat {
		return m.GetIndex()
	}
	return 0
}

// settle notices the end of the replay and changes of leadership.
func (g *group) settle() {
	caughtUp := !g.replayed && g.applied.Load() >= g.goal && (g.lead || !g.sole)
	g.replayed = g.replayed || caughtUp
	if serving := g.lead && g.replayed && g.voter; serving != g.serving.Load() {
		g.serving.Store(serving)
		if serving {
			g.asks = true
			g.enqueue()
		}
	}
	if !g.lead {
		g.stopLeading(&NotLeader{Leader: g.leader.Load()})
	}
	g.tell()
	// Last, so that a host that has replayed is seen to lead.
	if caughtUp {
		g.host.caughtUp()
	}
}

// tell passes on who leads when that has changed.
func (g *group) tell() {
	if s := (ledState{g.leader.Load(), g.serving.Load()}); s != g.told {
		g.told = s
		if f := g.host.cfg.Led; f != nil {
			f(g.id, s.leader, s.self)
		}
	}
}

// stopLeading answers everyone who waits for what only a leader does.
func (g *group) stopLeading(why error) {
	if g.change != nil {
		g.change.finish(why)
		g.change = nil
	}
	for _, c := range g.unled {
		close(c)
	}
	g.unled, g.handOver = nil, false
}

// notice sees whether a proposed change of members got into the log.
func (g *group) notice(entries []*raftpb.Entry) {
	if g.change == nil || g.change.logged {
		return
	}
	for _, e := range entries {
		if e.GetType() == raftpb.EntryConfChangeV2 && bytes.Contains(e.GetData(), g.change.token[:]) {
			g.change.logged = true
		}
	}
}

// weigh works out which entries other members may still ask for, and lets the
// rest leave memory.
func (g *group) weigh() {
	applied := g.applied.Load()
	if !g.lead {
		g.log.release(applied)
		return
	}
	needed, now := ^uint64(0), g.worker.ticks
	cached := applied
	g.visitMembers(func(p Progress, heard uint64) {
		if now-heard <= g.host.cfg.retainTicks() {
			needed = min(needed, p.Match)
		}
		if now-heard <= activeTicks {
			cached = min(cached, p.Match)
		}
	})
	g.log.needed.Store(needed)
	g.log.release(cached)
}

// freshness is how far behind a follower may be.
type freshness struct {
	at      time.Time // when applied was known to be as far as the leader's commit
	goal    uint64    // a commit index heard of that was not reached yet, or 0
	goalSet time.Time
}

// note takes in a commit index that a leader told now.
func (f *freshness) note(commit, applied uint64, now time.Time) {
	switch {
	case applied >= commit:
		f.at = now
	case f.goal == 0:
		f.goal, f.goalSet = commit, now
	}
	f.reached(applied)
}

func (f *freshness) reached(applied uint64) {
	if f.goal != 0 && applied >= f.goal {
		if f.goalSet.After(f.at) {
			f.at = f.goalSet
		}
		f.goal = 0
	}
}
