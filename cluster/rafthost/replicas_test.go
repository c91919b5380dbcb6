package rafthost_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/cluster/rafthost"
	"footfall/persistence"
)

// trio is a cluster of three members of each group, grown from node 1.
func trio(t *testing.T, seed uint64, gs ...Group) *simulation {
	s := newSimulation(t, seed, gs...)
	s.node(1, gs...)
	s.node(2)
	s.node(3)
	for _, g := range gs {
		s.until("node 1 leads", func() bool { return s.leader(g) != nil })
		for range 10 {
			s.propose(g)
		}
		s.run(20)
		s.nodes[1].flush(g)
		s.join(g, 2, 3)
	}
	return s
}

func TestAMemberJoinsFromNothing(t *testing.T) {
	s := trio(t, 1, 0)
	s.settle(0)
	if s.restored != 2 {
		t.Errorf("%d snapshots were taken, want one by each of the two that joined", s.restored)
	}
	l := s.leader(0)
	st := l.host.Status(0)
	want := []uint64{1, 1<<16 | 2, 2<<16 | 3}
	slices.Sort(st.Conf.Voters)
	if !slices.Equal(st.Conf.Voters, want) || len(st.Members) != 3 || st.Leader != st.Replica || st.Staleness != 0 {
		t.Errorf("status of the leader: %+v", st)
	}
	for _, m := range st.Members {
		if m.Match != st.Commit || !m.Active || m.Snapshot {
			t.Errorf("member %+v, commit %d", m, st.Commit)
		}
	}
	for _, id := range s.ids() {
		n := s.nodes[id]
		if n.host.Leader(0) != st.Replica || n.leads[0] != st.Replica {
			t.Errorf("node %d: leader %d, told %d, want %d", id, n.host.Leader(0), n.leads[0], st.Replica)
		}
		if n.store.views != 0 {
			t.Errorf("node %d: %d views are open", id, n.store.views)
		}
	}
	// All of it is on disk.
	for _, id := range s.ids() {
		s.nodes[id].crash()
		s.nodes[id].reopen()
	}
	s.settle(0)
	if got := s.conf(0); len(got.Voters) != 3 || got.Index != st.Conf.Index {
		t.Errorf("after a restart of all: %+v", got)
	}
}

func TestARemovedReplicaLeavesNothing(t *testing.T) {
	s := trio(t, 2, 0, 5)
	old := s.nodes[3].host.Status(0).Replica
	if s.leader(0).id == 3 {
		_ = s.leader(0).host.TransferLeader(0, 1)
		s.until("node 3 follows", func() bool { l := s.leader(0); return l != nil && l.id != 3 })
	}
	s.until("node 3 is out", func() bool {
		if c := s.conf(0); slices.Contains(c.Voters, old) && len(c.Outgoing) == 0 {
			s.change(0, rafthost.Change{Remove: []uint64{old}})
		}
		return !slices.Contains(s.conf(0).Voters, old)
	})
	n := s.nodes[3]
	n.flush(0)
	if err := n.host.RemoveReplica(0); err != nil {
		t.Fatal(err)
	}
	if err := n.host.RemoveReplica(0); err != nil {
		t.Errorf("removed twice: %v", err)
	}
	if gs := n.host.Groups(); !slices.Equal(gs, []Group{5}) {
		t.Errorf("groups %v", gs)
	}
	check := func() {
		t.Helper()
		from, to := persistence.StateSpan(0)
		if k := n.store.left(from, to); k != 0 {
			t.Errorf("%d records are left", k)
		}
		if from, to = persistence.LogSpan(0); n.store.left(from, to) != 0 {
			t.Error("entries are left")
		}
		if k := n.store.left([]byte{persistence.TableGroup, 0, 0}, []byte{persistence.TableGroup, 0, 1}); k != 1 {
			t.Errorf("%d records of the group, want the one that remembers its replica", k)
		}
		if st := n.host.Status(0); st.Replica != 0 {
			t.Errorf("status %+v", st)
		}
	}
	check()
	s.orphans = 0
	n.host.Deliver(0, &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), To: new(old), From: new(uint64(1)), Term: new(uint64(9))})
	if s.orphans != 0 {
		t.Error("a message to the removed replica is reported as one for a new replica")
	}
	fresh := s.fresh(0, 3)
	n.host.Deliver(0, &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), To: new(fresh), From: new(uint64(1)), Term: new(uint64(9))})
	if s.orphans != 1 || n.host.Stats().Dropped < 2 {
		t.Errorf("%d messages for a new replica, %d dropped", s.orphans, n.host.Stats().Dropped)
	}
	if err := n.host.AddReplica(0, old); err == nil || !strings.Contains(err.Error(), "ids only rise") {
		t.Errorf("the old id comes back: %v", err)
	}
	n.crash()
	n.open(0, 5) // listed, and still not made anew
	check()
	if err := n.host.AddReplica(0, old); err == nil {
		t.Error("the old id comes back after a restart")
	}
	if err := n.host.AddReplica(0, fresh); err != nil {
		t.Error(err)
	}
	if err := n.host.AddReplica(0, fresh); err != nil {
		t.Errorf("added twice: %v", err)
	}
	if err := n.host.AddReplica(0, fresh+1<<16); err == nil {
		t.Error("a second replica of a group is added")
	}
	s.until("node 3 is a learner", func() bool {
		if c := s.conf(0); len(c.Voters) == 2 && len(c.Learners) == 0 {
			s.change(0, rafthost.Change{AddLearners: []uint64{fresh}})
		}
		return slices.Contains(s.conf(0).Learners, fresh)
	})
	s.settle(0)
	s.settle(5)
}

func TestMessagesForOthersAreDropped(t *testing.T) {
	s := trio(t, 3, 0)
	n := s.nodes[2]
	me, before := n.host.Status(0), n.host.Stats().Dropped
	msgs := []*raftpb.Message{
		{Type: raftpb.MsgHeartbeat.Enum(), To: new(me.Replica + 1<<16), From: new(uint64(1)), Term: new(uint64(99))},
		{Type: raftpb.MsgSnap.Enum(), To: new(me.Replica), From: new(uint64(1)), Term: new(uint64(99))},
		{Type: raftpb.MsgProp.Enum(), To: new(me.Replica), From: new(uint64(1)), Entries: []*raftpb.Entry{{Data: []byte("x")}}},
		{Type: raftpb.MsgHup.Enum(), To: new(me.Replica), From: new(uint64(1))},
		{Type: raftpb.MsgStorageAppendResp.Enum(), To: new(me.Replica), From: new(^uint64(0)), Index: new(uint64(1 << 40))},
		{Type: raftpb.MsgHeartbeat.Enum(), To: new(me.Replica), From: new(me.Replica), Term: new(uint64(99))},
	}
	for _, m := range msgs {
		n.host.Deliver(0, m)
	}
	s.run(20)
	if got := n.host.Stats().Dropped - before; got != uint64(len(msgs)) {
		t.Errorf("%d of %d messages dropped", got, len(msgs))
	}
	if st := n.host.Status(0); st.Term != me.Term || st.Failed != nil {
		t.Errorf("status %+v, was %+v", st, me)
	}
}

// TestAHintReplacesALeaderAtOnce: no tick passes between the loss of the leader
// and the next one.
func TestAHintReplacesALeaderAtOnce(t *testing.T) {
	gs := []Group{0, 1, 2, 3, 4, 5}
	s := trio(t, 4, gs...)
	s.run(50)
	lost := s.leader(0)
	led := 0
	for _, g := range gs {
		if s.leader(g) == lost {
			led++
		}
	}
	lost.crash()
	for _, id := range s.ids() {
		if n := s.nodes[id]; n != lost {
			n.host.PeerDown(lost.id)
		}
	}
	for range 60 {
		s.step()
	}
	next := map[uint16]int{}
	for _, g := range gs {
		l := s.leader(g)
		if l == nil {
			t.Errorf("group %d has no leader after the hint, and no tick has passed", g)
			continue
		}
		next[l.id]++
	}
	if led == len(gs) && len(next) < 2 {
		t.Errorf("all groups of the lost node went to one other: %v", next)
	}
	for _, g := range gs {
		if n := s.leader(g); n != nil {
			s.propose(g)
		}
	}
	s.run(30)
}

// TestLateHintsAndLostVotesCostLittle: the survivors notice the loss one after
// the other, while the second still trusts the leader, and votes get lost on a
// network where a message takes up to a tick. With one try by hint a third of the
// groups wait as long as after a silence.
func TestLateHintsAndLostVotesCostLittle(t *testing.T) {
	const groups, seeds, soon = 8, 30, 16 * 5 // rounds: ticks × 5
	total, late, all := 0, 0, 0
	for seed := range uint64(seeds) {
		var gs []Group
		for g := range Group(groups) {
			gs = append(gs, g)
		}
		s := trio(t, 100+seed, gs...)
		s.run(50)
		lost := s.leader(0)
		lost.crash()
		s.loss = 10
		took := map[Group]int{}
		rounds := 0
		run := func(n int) {
			for range n {
				s.step()
				if rounds++; rounds%5 == 0 {
					s.tick()
				}
				for _, g := range gs {
					if took[g] == 0 && s.leader(g) != nil {
						took[g] = rounds
					}
				}
			}
		}
		for _, id := range s.ids() {
			if n := s.nodes[id]; n != lost {
				n.host.PeerDown(lost.id)
				run(15)
			}
		}
		for range 200 {
			if len(took) < groups {
				run(1)
			}
		}
		for _, g := range gs {
			total++
			all += took[g]
			if took[g] > soon || took[g] == 0 {
				late++
			}
		}
	}
	t.Logf("a leader after %.1f ticks on average, %d of %d groups later than after %d", float64(all)/float64(total)/5, late, total, soon/5)
	if late > total/6 {
		t.Errorf("%d of %d groups have no leader %d ticks after the loss", late, total, soon/5)
	}
}

func TestAWrongHintDoesNoHarm(t *testing.T) {
	s := trio(t, 5, 0)
	s.settle(0)
	l := s.leader(0)
	term := l.host.Status(0).Term
	for range 5 {
		for _, id := range s.ids() {
			if id != l.id {
				s.nodes[id].host.PeerDown(l.id)
				break // one node has lost its connection, the others have not
			}
		}
		s.run(100)
	}
	if st := l.host.Status(0); st.Term != term || !l.host.Leads(0) {
		t.Errorf("the leader in term %d is now %+v", term, st)
	}
	s.settle(0)
}

func TestADamagedEntryStopsOneMember(t *testing.T) {
	s := trio(t, 6, 0, 1)
	s.settle(0)
	var n *simNode
	for _, id := range s.ids() {
		if s.leader(0).id != id {
			n = s.nodes[id]
		}
	}
	s.run(50)
	n.crash()
	_, err := damage(n.store, 0)
	if err != nil {
		t.Fatal(err)
	}
	n.reopen()
	st := n.host.Status(0)
	if st.Failed == nil || !strings.Contains(st.Failed.Error(), "damaged") || n.host.Stats().Standing != 1 {
		t.Errorf("status %+v", st)
	}
	select {
	case <-n.host.Replayed():
	default:
		s.until("the other groups are replayed", func() bool {
			select {
			case <-n.host.Replayed():
				return true
			default:
				return false
			}
		})
	}
	s.settle(1) // needs all three
	s.propose(0)
	s.run(100)
	if n.host.Applied(0) != 0 || n.host.Leads(0) {
		t.Error("the damaged replica goes on")
	}
	// It is replaced like any other.
	bad, fresh := st.Replica, s.fresh(0, n.id)
	s.until("the damaged replica is out", func() bool {
		if c := s.conf(0); slices.Contains(c.Voters, bad) && len(c.Outgoing) == 0 {
			s.change(0, rafthost.Change{Remove: []uint64{bad}, AddLearners: []uint64{fresh}})
		}
		return slices.Contains(s.conf(0).Learners, fresh)
	})
	if err := n.host.RemoveReplica(0); err != nil {
		t.Fatal(err)
	}
	if err := n.host.AddReplica(0, fresh); err != nil {
		t.Fatal(err)
	}
	s.settle(0)
}

func TestADamagedEntryStopsANodeAlone(t *testing.T) {
	s := newSimulation(t, 7, 0)
	n := s.node(1, 0)
	s.settle(0)
	n.crash()
	if _, err := damage(n.store, 0); err != nil {
		t.Fatal(err)
	}
	_, err := rafthost.Open(rafthost.Config{Store: n.store, Source: n, Applier: n, Transport: n})
	if err == nil || !strings.Contains(err.Error(), "group 0: entry") {
		t.Errorf("opens with %v", err)
	}
}

// damage flips a bit of the newest entry of a group.
func damage(s *memStore, g Group) (index uint64, err error) {
	from, to := persistence.LogSpan(uint16(g))
	var key, value []byte
	if err := s.Scan(from, to, func(k, v []byte) error {
		key, value = bytes.Clone(k), bytes.Clone(v)
		return nil
	}); err != nil || key == nil {
		return 0, fmt.Errorf("no entry: %w", err)
	}
	value[len(value)-1] ^= 1
	b := s.NewBatch()
	b.Set(key, value)
	return 0, s.Commit(b, true)
}

func TestAStateMachineThatFailsStopsOneMember(t *testing.T) {
	s := trio(t, 8, 0, 1)
	n := s.nodes[2]
	cause := errors.New("does not add up")
	n.host.Fail(0, cause)
	n.host.Fail(0, errors.New("later"))
	s.run(200)
	if st := n.host.Status(0); !errors.Is(st.Failed, cause) {
		t.Errorf("status %+v", st)
	}
	if n.host.Leads(0) {
		t.Error("it leads")
	}
	at := n.host.Applied(0)
	s.settle(1)
	text := ""
	s.until("the others go on", func() bool {
		if text == "" {
			text = s.propose(0)
		}
		_, ok := s.at[text]
		return ok
	})
	if n.host.Applied(0) != at {
		t.Error("it goes on applying")
	}
}

// TestASnapshotSurvivesAnyPowerCut cuts the power of the receiver at every
// durable step of a snapshot, and afterwards at the same step again.
func TestASnapshotSurvivesAnyPowerCut(t *testing.T) {
	for step := 1; step <= 16; step++ {
		t.Run(fmt.Sprint("step ", step), func(t *testing.T) {
			s := newSimulation(t, uint64(step), 0)
			s.node(1, 0)
			n := s.node(2)
			for range 20 {
				s.settle(0)
			}
			s.nodes[1].flush(0)
			r := s.fresh(0, 2)
			if err := n.host.AddReplica(0, r); err != nil {
				t.Fatal(err)
			}
			n.store.cutAt = n.store.steps + step
			s.until("the learner is known", func() bool {
				if c := s.conf(0); len(c.Voters) == 1 && len(c.Learners) == 0 {
					s.change(0, rafthost.Change{AddLearners: []uint64{r}})
				}
				return len(s.conf(0).Learners) == 1
			})
			for range 3000 {
				if n.host == nil {
					break
				}
				s.run(1)
				if n.store.dead && n.host != nil {
					n.crash()
				}
			}
			if n.host == nil {
				n.reopen()
			}
			n.store.cutAt = 0
			s.settle(0)
			if st := n.host.Status(0); st.Failed != nil || n.state[0].sum != s.nodes[1].state[0].sum {
				t.Errorf("status %+v, state %+v", st, n.state[0])
			}
			if left, _ := n.store.Staged(); len(left) != 0 || len(n.store.stages) != 0 {
				t.Errorf("stages are left: %v", n.store.stages)
			}
		})
	}
}

func TestABrokenSnapshotLeavesNothing(t *testing.T) {
	s := newSimulation(t, 9, 0)
	s.node(1, 0)
	s.settle(0)
	n := s.node(2)
	broken := 0
	s.ship = func(b []byte) []byte {
		if broken++; broken <= 3 {
			return b[:len(b)-broken]
		}
		return b
	}
	s.join(0, 2)
	s.settle(0)
	if st := n.host.Stats(); st.SnapshotsFailed < 3 || st.SnapshotsTaken != 1 || s.restored != 1 {
		t.Errorf("stats %+v, %d restored", st, s.restored)
	}
	if st := s.nodes[1].host.Stats(); st.SnapshotsFailed < 3 || st.SnapshotsSent != 1 {
		t.Errorf("stats of the sender %+v", st)
	}
	if len(n.store.stages) != 0 {
		t.Errorf("stages are left: %v", n.store.stages)
	}
	r := n.host.Status(0).Replica
	late := &raftpb.Message{Type: raftpb.MsgSnap.Enum(), To: new(r), From: new(uint64(1)), Term: new(uint64(2)),
		Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(2)), Term: new(uint64(2))}}}
	if err := n.host.ReceiveSnapshot(context.Background(), 0, late, strings.NewReader("")); err != nil {
		t.Errorf("an old snapshot: %v", err)
	}
	s.run(10)
	for name, m := range map[string]*raftpb.Message{
		"other replica": {Type: raftpb.MsgSnap.Enum(), To: new(r + 1), Snapshot: late.Snapshot},
		"no snapshot":   {Type: raftpb.MsgSnap.Enum(), To: new(r)},
		"other message": {Type: raftpb.MsgApp.Enum(), To: new(r), Snapshot: late.Snapshot},
	} {
		if err := n.host.ReceiveSnapshot(context.Background(), 0, m, strings.NewReader("")); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := n.host.ReceiveSnapshot(context.Background(), 7, late, strings.NewReader("")); err == nil {
		t.Error("a snapshot of a group that is not here is taken")
	}
	s.settle(0)
}

func TestLaggardsAreServedFromTheLogWithinBounds(t *testing.T) {
	const group = 256 << 10
	s := newSimulation(t, 10, 0)
	s.cfg = func(c *rafthost.Config) { c.RetainGroupBytesMax, c.RetainBytesMax = group, 1<<20 }
	s.node(1, 0)
	s.node(2)
	s.node(3)
	s.settle(0)
	s.join(0, 2, 3)
	s.settle(0)
	l := s.leader(0)
	var away *simNode
	for _, id := range s.ids() {
		if id != l.id {
			away = s.nodes[id]
		}
	}
	fill := func(bytes int) {
		for bytes > 0 {
			n := s.leader(0)
			s.sent++
			n.todo[0] = append(n.todo[0], []byte(fmt.Sprintf("%d-%s", s.sent, strings.Repeat("y", 16<<10))))
			n.host.Notify(0)
			bytes -= 16 << 10
			s.run(10)
			n.flush(0)
		}
	}
	restored := s.restored
	away.crash()
	fill(group / 2)
	if st := l.host.Status(0); st.Truncated >= st.Persisted {
		t.Errorf("nothing is kept for the member that is away: %+v", st)
	}
	away.reopen()
	s.settle(0)
	if s.restored != restored {
		t.Error("a snapshot was sent although the log was kept")
	}
	away.crash()
	fill(4 * group)
	if kept := s.leader(0).host.Stats().RetainedBytes; kept > group+64<<10 {
		t.Errorf("%d bytes are kept, at most %d", kept, group)
	}
	away.reopen()
	s.settle(0)
	if s.restored == restored {
		t.Error("no snapshot was sent although the log was not kept")
	}
	// With everyone here the leader keeps nothing, and what it had goes.
	s.until("the leader has let go", func() bool {
		s.leader(0).flush(0)
		s.propose(0)
		st := s.leader(0).host.Status(0)
		return st.Persisted-st.Truncated < 5
	})
}

func TestWhatIsPurgedGoesAlthoughAMemberIsAway(t *testing.T) {
	s := newSimulation(t, 12, 0)
	s.cfg = func(c *rafthost.Config) { c.RetainGroupBytesMax, c.RetainBytesMax = 1<<20, 1<<20 }
	for id := uint16(1); id <= 3; id++ {
		if id == 1 {
			s.node(id, 0)
		} else {
			s.node(id)
		}
	}
	s.settle(0)
	s.join(0, 2, 3)
	s.settle(0)
	l := s.leader(0)
	var away *simNode
	for _, id := range s.ids() {
		if id != l.id {
			away = s.nodes[id]
		}
	}
	away.crash()
	s.propose(0)
	s.run(20)
	l.flush(0)
	secret := l.host.Applied(0)
	if st := l.host.Status(0); st.Truncated >= secret {
		t.Fatalf("nothing is kept for the member that is away: %+v", st)
	}
	l.host.Purge(0, secret)
	l.host.Purge(0, 1) // an earlier one takes nothing back
	s.propose(0)
	s.run(20)
	l.flush(0)
	if st := l.host.Status(0); st.Truncated < secret || st.Truncated >= st.Persisted {
		t.Errorf("the log begins after %d, want between %d and %d", st.Truncated, secret, st.Persisted-1)
	}
	restored := s.restored
	away.reopen()
	s.settle(0)
	if s.restored == restored {
		t.Error("the member that was away got no snapshot")
	}
}

func TestStalenessTellsHowFarBehindAMemberMayBe(t *testing.T) {
	s := trio(t, 11, 0)
	s.settle(0)
	s.run(50)
	l := s.leader(0)
	var f *simNode
	for _, id := range s.ids() {
		if id != l.id {
			f = s.nodes[id]
		}
	}
	if st := f.host.Status(0).Staleness; st > 100*time.Millisecond {
		t.Errorf("a member in touch is stale by %v", st)
	}
	// Heartbeats come, entries do not.
	drop := func(p parcel) bool { return p.to == f.id && p.out.Message.GetType() == raftpb.MsgApp }
	for i := range 600 {
		s.wire = slices.DeleteFunc(s.wire, drop)
		if i == 50 {
			s.propose(0)
		}
		if s.step(); i%5 == 4 {
			s.tick()
		}
	}
	if st := f.host.Status(0).Staleness; st < 400*time.Millisecond || st == rafthost.Never {
		t.Errorf("a member that gets no entries is stale by %v", st)
	}
	s.settle(0)
	s.run(50)
	if st := f.host.Status(0).Staleness; st > 100*time.Millisecond {
		t.Errorf("back in touch it is stale by %v", st)
	}
}

func TestChangesAreCheckedBeforeTheyAreMade(t *testing.T) {
	s := trio(t, 12, 0)
	s.settle(0)
	l := s.leader(0)
	st := l.host.Status(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ask := func(n *simNode, c rafthost.Change) error {
		done := make(chan error, 1)
		go func() { done <- n.host.ChangeMembers(ctx, 0, c) }()
		for {
			select {
			case err := <-done:
				return err
			default:
				s.step()
				s.tick()
			}
		}
	}
	var conflict *rafthost.Conflict
	if err := ask(l, rafthost.Change{After: st.Conf.Index - 1, Remove: st.Conf.Voters[:1]}); !errors.As(err, &conflict) || conflict.Index != st.Conf.Index {
		t.Errorf("a change of other members: %v", err)
	}
	for name, c := range map[string]rafthost.Change{
		"nothing":   {},
		"member":    {AddLearners: st.Conf.Voters[:1]},
		"stranger":  {Remove: []uint64{77 << 16}},
		"promote":   {Promote: st.Conf.Voters[:1]},
		"demote":    {Demote: []uint64{77 << 16}},
		"twice":     {Remove: []uint64{st.Conf.Voters[0], st.Conf.Voters[0]}},
		"all":       {Remove: st.Conf.Voters},
		"zero":      {AddLearners: []uint64{0}},
		"swapped":   {Remove: st.Conf.Voters[:1], Demote: st.Conf.Voters[:1]},
		"last both": {Remove: st.Conf.Voters[:2], Demote: st.Conf.Voters[2:]},
	} {
		c.After = st.Conf.Index
		if err := ask(l, c); err == nil {
			t.Errorf("%s: is made", name)
		}
	}
	for _, id := range s.ids() {
		if id == l.id {
			continue
		}
		var not *rafthost.NotLeader
		if err := ask(s.nodes[id], rafthost.Change{After: st.Conf.Index, Remove: st.Conf.Voters[:1]}); !errors.As(err, &not) || not.Leader != st.Replica {
			t.Errorf("node %d: %v", id, err)
		}
		if err := s.nodes[id].host.TransferLeader(0, 1); !errors.As(err, &not) {
			t.Errorf("node %d: transfer: %v", id, err)
		}
	}
	blank := s.fresh(0, 9) // a node that is not there
	if err := ask(l, rafthost.Change{After: st.Conf.Index, AddLearners: []uint64{blank}}); err != nil {
		t.Fatalf("add a learner: %v", err)
	}
	st = l.host.Status(0)
	if err := ask(l, rafthost.Change{After: st.Conf.Index, Promote: []uint64{blank}}); err == nil {
		t.Error("a member that has nothing becomes a voter")
	}
	// A leader can remove itself: the others go on.
	if err := ask(l, rafthost.Change{After: st.Conf.Index, Remove: []uint64{st.Replica, blank}}); err != nil {
		t.Errorf("the leader leaves: %v", err)
	}
	s.until("another leads", func() bool { n := s.leader(0); return n != nil && n != l })
	s.settle(0)
	if c := s.conf(0); len(c.Voters) != 2 || len(c.Learners) != 0 {
		t.Errorf("members %+v", c)
	}
	if err := s.nodes[1].host.ChangeMembers(ctx, 9, rafthost.Change{}); err == nil {
		t.Error("a group that is not here changes members")
	}
}

func TestAGroupShrinksToOneMember(t *testing.T) {
	s := trio(t, 13, 0)
	keep := uint64(2<<16 | 3)
	s.until("one member is left", func() bool {
		c := s.conf(0)
		if len(c.Voters) == 3 && len(c.Outgoing) == 0 {
			s.change(0, rafthost.Change{Remove: slices.DeleteFunc(slices.Clone(c.Voters), func(r uint64) bool { return r == keep })})
		}
		return slices.Equal(c.Voters, []uint64{keep}) && len(c.Outgoing) == 0
	})
	for _, id := range []uint16{1, 2} {
		if err := s.nodes[id].host.RemoveReplica(0); err != nil {
			t.Fatal(err)
		}
	}
	s.settle(0)
	s.nodes[3].flush(0)
	if st := s.nodes[3].host.Status(0); st.Truncated != st.Persisted {
		t.Errorf("a member alone keeps its log: %+v", st)
	}
	s.nodes[3].crash()
	s.nodes[3].reopen()
	s.settle(0)
	s.nodes[1].crash()
	s.nodes[1].reopen()
	s.join(0, 1, 2)
	s.settle(0)
}

func TestATickOfAFollowerCostsNothing(t *testing.T) {
	var gs []Group
	for g := range Group(16) {
		gs = append(gs, g)
	}
	s := trio(t, 14, gs...)
	s.run(50)
	var f *simNode
	for _, id := range s.ids() {
		if !slices.ContainsFunc(gs, func(g Group) bool { return s.nodes[id].host.Leads(g) }) {
			f = s.nodes[id]
		}
	}
	if f == nil {
		t.Fatal("every node leads something")
	}
	if n := testing.AllocsPerRun(5, func() {
		if err := f.host.Tick(); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	busy, err := f.host.Turn()
	if busy || err != nil {
		t.Errorf("there is something to do: %v, %v", busy, err)
	}
}

func TestTheLeadIsTransferred(t *testing.T) {
	s := trio(t, 15, 0)
	for _, id := range []uint16{2, 3, 1} {
		to := s.nodes[id].host.Status(0).Replica
		s.until("the lead moves", func() bool {
			if l := s.leader(0); l != nil && l.id != id {
				_ = l.host.TransferLeader(0, to)
			}
			return s.nodes[id].host.Leads(0)
		})
		s.settle(0)
	}
}

// TestOneSeedGivesOneHistory: a host that is driven does nothing of its own.
func TestOneSeedGivesOneHistory(t *testing.T) {
	history := func() (string, int) {
		s := trio(t, 16, 0)
		for i := range 400 {
			if i%100 == 50 {
				if l := s.leader(0); l != nil {
					l.crash()
					l.reopen()
				}
			}
			s.propose(0)
			s.run(1)
		}
		var b strings.Builder
		for _, id := range s.ids() {
			fmt.Fprintf(&b, "%+v\n", s.nodes[id].host.Status(0))
		}
		return b.String(), len(s.at)
	}
	a, n := history()
	b, m := history()
	if a != b || n != m || n == 0 {
		t.Errorf("the same seed gives\n%s(%d entries) and\n%s(%d entries)", a, n, b, m)
	}
}

func TestAddingNeedsATransport(t *testing.T) {
	m := newMachine(t)
	h, err := rafthost.Open(rafthost.Config{Store: newMemStore(), Source: m, Applier: m, Groups: []Group{0}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.AddReplica(3, 1<<16|1); err == nil {
		t.Error("a node alone adds a member")
	}
	if h.Applied(3) != 0 || h.Leads(3) || h.Leader(3) != 0 || h.LogBytes(3) != 0 {
		t.Error("a group that is not here has a history")
	}
	h.Notify(3)
	h.Deliver(3, &raftpb.Message{})
}
