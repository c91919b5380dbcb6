package rafthost

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

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
)

// group is one raft group. Its worker owns everything that is not said to be
// shared.
type group struct {
	id     Group
	host   *Host
	worker *worker
	log    *groupLog // shared, locks itself
	rn     *raft.RawNode
	solo   bool // no other member: this node alone decides

	applied  atomic.Uint64 // shared, written by the worker
	handed   atomic.Uint64 // shared: newest entry given to the state machine, which may be at it
	serving  atomic.Bool   // shared, written by the worker: takes proposals
	notified atomic.Bool   // shared: the source has something
	queued   atomic.Bool   // shared: in the worker's list

	hard     hardState // newest known; on disk as far as written
	lead     bool      // raft says that this node leads
	replayed bool      // has applied what was on disk at Open
	goal     uint64    // applied index from which replayed is true
	active   bool      // in this round's list
	asks     bool      // the source may have more than the last round took
	held     []byte    // a proposal that raft would not take yet

	inboxMu sync.Mutex
	inbox   []*raftpb.Message // shared, under inboxMu
}

// openGroup loads a group from the store, or adds a new one to b.
func openGroup(h *Host, id Group, b persistence.Batch) (*group, error) {
	l := &groupLog{id: id, store: h.cfg.Store, hostCache: &h.cacheBytes, hostBytes: &h.logBytes, cacheMax: h.cfg.CacheBytesMax}
	if err := l.load(h.cfg, b); err != nil {
		return nil, err
	}
	g := &group{id: id, host: h, log: l, hard: l.start}
	g.solo = len(l.conf.voters) == 1 && l.conf.voters[0] == l.conf.replica
	if !g.solo && h.cfg.Transport == nil {
		return nil, fmt.Errorf("has members %d and there is no transport to reach them", l.conf.voters)
	}
	g.applied.Store(l.persisted.index)
	if g.goal = l.start.commit; g.solo {
		g.goal = l.last + 1 // the first entry of this node's own term
	}
	rn, err := raft.NewRawNode(&raft.Config{
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
		StepDownOnRemoval:         true,
	})
	if err != nil {
		return nil, err
	}
	g.rn = rn
	return g, nil
}

// firstPoint is where the log of a new group begins: after an entry that never
// was. A member that joins later has an empty log at 0, so raft has to send it
// a snapshot, and with it the members, before any entry.
var firstPoint = point{index: 1, term: 1}

// load reads the group's records and checks every entry of its log.
func (l *groupLog) load(cfg Config, b persistence.Batch) error {
	raw, err := l.store.Get(groupKey(l.id, keyConf))
	if errors.Is(err, persistence.ErrNotFound) {
		l.conf = conf{replica: cfg.Replica, voters: cfg.Voters}
		l.persisted, l.last = firstPoint, firstPoint.index
		l.start = hardState{term: firstPoint.term, commit: firstPoint.index}
		b.Set(groupKey(l.id, keyConf), l.conf.encode())
		b.Set(groupKey(l.id, keyPersisted), l.persisted.encode())
		b.Set(groupKey(l.id, keyHardState), l.start.encode())
		return nil
	}
	if err != nil {
		return err
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
	if raw, err = l.store.Get(groupKey(l.id, keyHardState)); err != nil {
		return fmt.Errorf("hard state: %w", err)
	}
	if l.start, err = decodeHardState(raw); err != nil {
		return fmt.Errorf("hard state: %w", err)
	}
	if err := l.loadEntries(); err != nil {
		return err
	}
	if l.start.commit > l.last {
		return fmt.Errorf("the log ends at entry %d, but %d was committed: the store lost entries", l.last, l.start.commit)
	}
	// Rounds do not write the commit index of a group without other members.
	l.start.commit = max(l.start.commit, l.persisted.index)
	return nil
}

func (l *groupLog) loadEntries() error {
	l.last = l.persisted.index
	term := l.persisted.term
	one := make([]*raftpb.Entry, 1)
	// What is read here need not be read again for the replay, within reason.
	full := l.cacheMax
	l.cacheMax = min(full, replayCacheMax)
	defer func() { l.cacheMax = full }()
	err := l.store.Scan(logKey(l.id, l.persisted.index+1), persistence.After(logKey(l.id, 0)[:3]), func(k, v []byte) error {
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
	return err
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

func (g *group) deliver(m *raftpb.Message) {
	g.inboxMu.Lock()
	full := len(g.inbox) >= inboxMax
	if !full {
		g.inbox = append(g.inbox, m)
	}
	g.inboxMu.Unlock()
	if !full {
		g.enqueue()
	}
}

// pull brings to raft what waits outside: messages and proposals.
func (g *group) pull(propose bool) error {
	if !g.solo {
		g.inboxMu.Lock()
		inbox := g.inbox
		g.inbox = nil
		g.inboxMu.Unlock()
		for _, m := range inbox {
			// A message that does not fit the state is stale; raft's errors say no more.
			_ = g.rn.Step(m)
		}
	}
	if !propose || !g.serving.Load() {
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

// step takes everything out of raft: writes go to the worker's round, committed
// entries to the state machine, the rest to other members.
func (g *group) step() error {
	for {
		rd := g.rn.Ready()
		if rd.SoftState != nil {
			g.lead = rd.SoftState.RaftState == raft.StateLeader
		}
		var out []*raftpb.Message
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
				out = append(out, m)
			}
		}
		if len(out) > 0 {
			g.send(out)
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

// append adds a storage request of raft to the round.
func (g *group) append(m *raftpb.Message) error {
	if m.GetSnapshot() != nil {
		return fmt.Errorf("raft group %d: a snapshot arrived, which this version cannot take", g.id)
	}
	w := g.worker
	if m.Term != nil {
		s := hardState{m.GetTerm(), m.GetVote(), m.GetCommit()}
		// A new commit index alone needs no write here: every entry on the disk of
		// the only voter is committed.
		if s.term != g.hard.term || s.vote != g.hard.vote || !g.solo {
			w.batch().Set(groupKey(g.id, keyHardState), s.encode())
		}
		g.hard = s
	}
	if len(m.Entries) > 0 {
		w.scratch = g.log.write(w.batch(), m.Entries, w.scratch)
	}
	if len(m.Entries) > 0 || len(m.Responses) > 0 {
		w.written = append(w.written, write{g, m})
	}
	return nil
}

// apply hands committed entries to the state machine.
func (g *group) apply(m *raftpb.Message) error {
	for _, e := range m.Entries {
		if t := e.GetType(); t != raftpb.EntryNormal {
			return fmt.Errorf("raft group %d entry %d of type %s: %w", g.id, e.GetIndex(), t, errTooNew)
		}
		if want := g.applied.Load() + 1; e.GetIndex() != want {
			panic(fmt.Sprintf("raft group %d: entry %d to apply, want %d", g.id, e.GetIndex(), want))
		}
		if data := e.GetData(); len(data) > 0 {
			g.handed.Store(e.GetIndex())
			g.host.cfg.Applier.Apply(g.id, e.GetIndex(), data)
		}
		g.applied.Store(e.GetIndex())
	}
	if g.solo { // nobody else will ask for them
		g.log.release(g.applied.Load())
	}
	if g.held != nil { // raft has room again once it knows of the apply
		g.enqueue()
	}
	return g.respond(m.Responses)
}

// respond delivers the answers to a storage request that is done.
func (g *group) respond(responses []*raftpb.Message) error {
	var out []*raftpb.Message
	for _, r := range responses {
		if r.GetTo() != g.log.conf.replica {
			out = append(out, r)
			continue
		}
		if err := g.rn.Step(r); err != nil {
			return fmt.Errorf("raft group %d: %s: %w", g.id, r.GetType(), err)
		}
	}
	if len(out) > 0 {
		g.send(out)
	}
	return nil
}

func (g *group) send(messages []*raftpb.Message) {
	if t := g.host.cfg.Transport; t != nil {
		t.Send(g.id, messages)
	}
}

// settle notices the end of the replay and changes of leadership.
func (g *group) settle() {
	caughtUp := !g.replayed && g.applied.Load() >= g.goal && (g.lead || !g.solo)
	g.replayed = g.replayed || caughtUp
	if serving := g.lead && g.replayed; serving != g.serving.Load() {
		g.serving.Store(serving)
		if serving {
			g.asks = true
			g.enqueue()
		}
	}
	// Last, so that a host that has replayed is seen to lead.
	if caughtUp && g.host.unreplayed.Add(-1) == 0 {
		close(g.host.replayed)
	}
}
