package rafthost

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// NotLeader is the error of what only a group's leader does.
type NotLeader struct {
	Leader uint64 // replica that leads as far as is known; 0: nobody known
}

func (e *NotLeader) Error() string {
	if e.Leader == 0 {
		return "not the leader, and none is known"
	}
	return fmt.Sprintf("not the leader: that is replica %d on node %d", e.Leader, nodeOf(e.Leader))
}

// Conflict is the error of a change that was worked out from other members than
// the group has.
type Conflict struct {
	Index uint64 // of the members that the group has
}

func (e *Conflict) Error() string {
	return fmt.Sprintf("the members have changed: they are those of entry %d", e.Index)
}

// Change is one change of a group's members. What changes more than one of them
// is done as a joint change, in which both the old and the new voters decide
// until it is over; nobody has to end it.
type Change struct {
	// After is the index of the members that the change was worked out from, see
	// Conf.
	After       uint64
	AddLearners []uint64 // not members yet
	Promote     []uint64 // learners that become voters
	Demote      []uint64 // voters that become learners
	Remove      []uint64 // members that go
}

// pendingChange is a change of members on its way through the log.
type pendingChange struct {
	change  Change
	token   [16]byte
	logged  bool
	applied bool
	done    chan error // receives one result
}

func (p *pendingChange) finish(err error) {
	select {
	case p.done <- err:
	default: // it has one
	}
}

// ChangeMembers makes a change of g's members and returns when it is applied
// here and over. Only the leader does it, one change at a time: NotLeader tells
// who leads. After an error other than NotLeader from the start, Conflict or a
// refusal the change may still be made: look at the members. Any goroutine but
// those of the hooks and of Apply.
func (h *Host) ChangeMembers(ctx context.Context, g Group, c Change) error {
	gr := h.find(g)
	if gr == nil {
		return fmt.Errorf("change members of raft group %d: %w", g, errNotHere)
	}
	p := &pendingChange{change: c, done: make(chan error, 1)}
	binary.BigEndian.PutUint64(p.token[:], gr.replica)
	binary.BigEndian.PutUint64(p.token[8:], h.tokens.Add(1))
	gr.worker.post(func() error {
		if err := gr.propose(p); err != nil {
			p.finish(err)
		}
		return nil
	})
	select {
	case err := <-p.done:
		if err != nil {
			return fmt.Errorf("change members of raft group %d: %w", g, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("change members of raft group %d, which may still happen: %w", g, ctx.Err())
	}
}

// propose puts a change into the log.
func (g *group) propose(p *pendingChange) error {
	c := &g.log.conf
	switch {
	case g.stands():
		return errNotHere
	case !g.serving.Load():
		return &NotLeader{Leader: g.leader.Load()}
	case p.change.After != c.index:
		return &Conflict{Index: c.index}
	case g.change != nil || len(c.outgoing) > 0:
		return errBusy
	}
	singles, err := g.singles(&p.change)
	if err != nil {
		return err
	}
	// The token tells the entry from raft's own and from another leader's.
	if err := g.rn.ProposeConfChange(&raftpb.ConfChangeV2{Changes: singles, Context: p.token[:]}); err != nil {
		if errors.Is(err, raft.ErrProposalDropped) {
			return errBusy
		}
		return err
	}
	g.change = p
	err = g.worker.guard(g, g.step)
	if g.change == p && !p.logged { // raft put an empty entry in its place: an older change is not applied yet
		g.change = nil
		return errors.Join(err, errBusy)
	}
	g.worker.visit(g)
	return err
}

// singles checks a change against the members and gives it in raft's words.
func (g *group) singles(ch *Change) ([]*raftpb.ConfChangeSingle, error) {
	c := &g.log.conf
	var out []*raftpb.ConfChangeSingle
	seen := map[uint64]bool{}
	voters := len(c.voters)
	for _, part := range []struct {
		ids  []uint64
		typ  raftpb.ConfChangeType
		fits func(id uint64) bool
		what string
		more int // voters
	}{
		{ch.AddLearners, raftpb.ConfChangeAddLearnerNode, func(id uint64) bool { return id != 0 && !c.member(id) }, "is a member already", 0},
		{ch.Promote, raftpb.ConfChangeAddNode, func(id uint64) bool { return slices.Contains(c.learners, id) }, "is no learner", 1},
		{ch.Demote, raftpb.ConfChangeAddLearnerNode, func(id uint64) bool { return slices.Contains(c.voters, id) }, "is no voter", -1},
		{ch.Remove, raftpb.ConfChangeRemoveNode, c.member, "is no member", 0},
	} {
		for _, id := range part.ids {
			if seen[id] || !part.fits(id) {
				return nil, fmt.Errorf("replica %d %s, or is named twice", id, part.what)
			}
			seen[id] = true
			if voters += part.more; part.typ == raftpb.ConfChangeRemoveNode && slices.Contains(c.voters, id) {
				voters--
			}
			out = append(out, &raftpb.ConfChangeSingle{Type: part.typ.Enum(), NodeId: new(id)})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the change changes nothing")
	}
	if voters == 0 {
		return nil, errors.New("no voter would be left")
	}
	var empty error
	g.visitMembers(func(p Progress, _ uint64) {
		if p.Match == 0 && slices.Contains(ch.Promote, p.Replica) {
			empty = fmt.Errorf("replica %d has nothing of the log yet: it cannot vote", p.Replica)
		}
	})
	return out, empty
}

// member tells whether a replica belongs to the group in any role.
func (c *conf) member(id uint64) bool {
	return slices.Contains(c.voters, id) || slices.Contains(c.learners, id) || slices.Contains(c.outgoing, id)
}

// applyChange makes a committed change of members. One that the members on disk
// contain already is passed over: raft began with it.
func (g *group) applyChange(e *raftpb.Entry) error {
	if e.GetIndex() <= g.log.conf.index {
		return nil
	}
	cc := &raftpb.ConfChangeV2{}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return fmt.Errorf("raft group %d: change of members in entry %d: %w", g.id, e.GetIndex(), err)
	}
	c := confOf(g.replica, e.GetIndex(), g.rn.ApplyConfChange(cc))
	// On disk before anybody can persist a later index, which would hide the
	// entry from the replay; the order of commits is enough.
	b := g.host.cfg.Store.NewBatch()
	b.Set(groupKey(g.id, keyConf), c.encode())
	if err := g.host.cfg.Store.Commit(b, false); err != nil {
		return g.host.fail(fmt.Errorf("write members of raft group %d: %w", g.id, err))
	}
	g.log.conf = c
	wasSolo := g.solo
	g.belong()
	if g.solo != wasSolo {
		g.worker.sort()
		g.host.keep.groups.Add(int64(btoi(wasSolo) - btoi(g.solo)))
	}
	if g.sole && !g.lead {
		g.eager = true
	}
	if p := g.change; p != nil {
		p.applied = p.applied || bytes.Equal(cc.GetContext(), p.token[:])
		if p.applied && len(c.outgoing) == 0 {
			g.change = nil
			p.finish(nil)
		}
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TransferLeader has g led by another voter if this node leads and that one
// catches up within half a second; it does not wait. Any goroutine.
func (h *Host) TransferLeader(g Group, to uint64) error {
	gr := h.find(g)
	if gr == nil {
		return fmt.Errorf("transfer the lead of raft group %d: %w", g, errNotHere)
	}
	if !gr.serving.Load() {
		return fmt.Errorf("transfer the lead of raft group %d: %w", g, &NotLeader{Leader: gr.leader.Load()})
	}
	gr.worker.post(func() error {
		if gr.lead && !gr.stands() && slices.Contains(gr.log.conf.voters, to) {
			gr.rn.TransferLeader(to)
			gr.worker.visit(gr)
		}
		return nil
	})
	return nil
}

// HandOver passes the lead of every group that has another active voter to the
// one that is furthest, and returns when this node leads none of them any more
// or ctx ends. Run must be under way. The node may be elected again later.
func (h *Host) HandOver(ctx context.Context) error {
	var left []chan struct{}
	for _, w := range h.workers {
		asked := make(chan []chan struct{}, 1)
		w.post(func() error {
			var waits []chan struct{}
			for _, g := range w.ticking {
				if g.stands() || !g.lead || !g.passOn() {
					continue
				}
				c := make(chan struct{})
				g.unled = append(g.unled, c)
				g.handOver = true // asked again with each heartbeat: raft gives up after a while
				waits = append(waits, c)
				w.visit(g)
			}
			asked <- waits
			return nil
		})
		select {
		case waits := <-asked:
			left = append(left, waits...)
		case <-ctx.Done():
			return fmt.Errorf("hand over: %w", ctx.Err())
		}
	}
	for i, c := range left {
		select {
		case <-c:
		case <-ctx.Done():
			return fmt.Errorf("hand over: %d groups are still led from here: %w", len(left)-i, ctx.Err())
		}
	}
	return nil
}

// passOn asks the most advanced active voter to lead; false: there is none.
func (g *group) passOn() bool {
	best := Progress{}
	g.visitMembers(func(p Progress, heard uint64) {
		if p.Replica != g.replica && g.worker.ticks-heard <= activeTicks && slices.Contains(g.log.conf.voters, p.Replica) && (best.Replica == 0 || p.Match > best.Match) {
			best = p
		}
	})
	if best.Replica == 0 {
		return false
	}
	g.rn.TransferLeader(best.Replica)
	return true
}

// visitMembers calls f for every member as the leader sees it, with the tick at
// which the member was heard last. This node is heard now.
func (g *group) visitMembers(f func(p Progress, heard uint64)) {
	now := g.worker.ticks
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		heard, known := g.heard[id]
		if !known { // new: it has its time to be heard
			heard, g.heard[id] = now, now
		}
		if id == g.replica {
			heard = now
		}
		f(Progress{Replica: id, Match: pr.Match, Active: now-heard <= activeTicks, Snapshot: pr.State == tracker.StateSnapshot}, heard)
	})
}
