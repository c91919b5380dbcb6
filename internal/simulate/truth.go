package simulate

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/actors"
	"footfall/analytics/entry"
	"footfall/cluster/rafthost"
)

// Invariant names what a run must hold.
type Invariant string

// The invariants; those with a number are the architecture's.
const (
	InvariantAcked   Invariant = "I1 what was acknowledged is counted"
	InvariantOnce    Invariant = "I2 nothing is counted twice"
	InvariantDigest  Invariant = "I3 replicas with the same index hold the same state"
	InvariantToken   Invariant = "I4 answers do not go back and include the token's write"
	InvariantSums    Invariant = "I5 sums over a dimension equal the total"
	InvariantLog     Invariant = "logs match: one entry per group and index"
	InvariantOrder   Invariant = "entries come in order, each once"
	InvariantLeader  Invariant = "at most one leader per group and term"
	InvariantReplica Invariant = "a replica id is used once, and never after its end"
	InvariantMembers Invariant = "members agree on who they are"
	InvariantStreams Invariant = "no shard forgets a stream"
	InvariantServes  Invariant = "no replica stands still"
	InvariantEnds    Invariant = "after healing everything comes to its end"
)

// truth is what an onlooker knows who sees every node at once. It decides on
// batches by itself, in another way than the table does.
type truth struct {
	sim     *simulation
	groups  map[rafthost.Group]*truthGroup
	leaders map[leaderTerm]uint64
	births  map[replicaID]birth
	ended   map[replicaID]int64 // the step of its end
	sites   *actors.Sites       // with Config.Actors: the true log, applied without a crash
	store   *store
}

type leaderTerm struct {
	group rafthost.Group
	term  uint64
}

type replicaID struct {
	group   rafthost.Group
	replica uint64
}

// birth is where a replica came into being: on which disk.
type birth struct {
	ident uint64
}

// truthGroup is the true history of a group.
type truthGroup struct {
	last    uint64
	entries map[uint64]uint64 // digest of the entry at an index
	sums    map[uint64]uint64 // of all sites after an index
	tables  map[uint64]uint64 // digest of the delivery table after an index
	streams map[uint64]streamAt
	sites   map[uint64]*siteState
	sum     uint64
	counted map[uint32]uint64 // index at which an event counted
}

type streamAt struct {
	epoch    uint32
	sequence uint64
}

func newTruth(s *simulation) *truth {
	t := &truth{sim: s, groups: map[rafthost.Group]*truthGroup{}, leaders: map[leaderTerm]uint64{}, births: map[replicaID]birth{}, ended: map[replicaID]int64{}}
	if s.actors {
		t.store = newStore(s.rng)
		t.sites = s.newSites(t.store, noLog{})
	}
	for _, g := range s.groups {
		t.groups[g] = &truthGroup{entries: map[uint64]uint64{}, sums: map[uint64]uint64{}, tables: map[uint64]uint64{},
			streams: map[uint64]streamAt{}, sites: map[uint64]*siteState{}, counted: map[uint32]uint64{}}
	}
	return t
}

func digestOf(b []byte) uint64 {
	h := uint64(len(b))
	for len(b) >= 8 {
		h = mix(h, uint64(b[0])|uint64(b[1])<<8|uint64(b[2])<<16|uint64(b[3])<<24|uint64(b[4])<<32|uint64(b[5])<<40|uint64(b[6])<<48|uint64(b[7])<<56)
		b = b[8:]
	}
	for _, c := range b {
		h = mix(h, uint64(c))
	}
	return h
}

// sees compares an entry with the history, or makes it part of it; first tells
// which.
func (t *truth) sees(n *node, g rafthost.Group, index uint64, data []byte) (first bool) {
	tg, h := t.groups[g], digestOf(data)
	if old, known := tg.entries[index]; known {
		if old != h {
			t.sim.fail(InvariantLog, "node %d group %d: entry %d differs from what another replica applied", n.number, g, index)
		}
		return false
	}
	if index <= tg.last {
		t.sim.fail(InvariantLog, "node %d group %d: entry %d, which others do not have though they are at %d", n.number, g, index, tg.last)
		return false
	}
	tg.entries[index], tg.last = h, index
	return true
}

func (t *truth) appliedControl(n *node, index uint64, data []byte) {
	t.sees(n, rafthost.Control, index, data)
}

// applied compares a replica after an entry with the history.
func (t *truth) applied(m *machine, index uint64, data []byte, rd entry.Reader) {
	n, tg := m.node, t.groups[m.g]
	if t.sees(m.node, m.g, index, data) {
		t.sim.note(evEntry, uint64(m.g), index, rd.Sequence)
		t.extend(m.g, tg, index, rd)
		tg.sums[index] = tg.sum
		if s := t.sim; s.actors {
			t.extendReal(m.g, index, data)
			_, tg.tables[index] = t.sites.Digest(uint16(m.g))
		} else {
			_, tg.tables[index] = m.table.Digest()
		}
		t.sim.stats.Entries++
	}
	if t.sim.violation != nil {
		return
	}
	_, sum := m.table.Digest()
	if t.sim.actors {
		_, sum = n.sites.Digest(uint16(m.g))
	}
	if sum != tg.tables[index] {
		t.sim.fail(InvariantDigest, "node %d shard %d: after entry %d its delivery table differs", n.number, m.g, index)
		return
	}
	if t.sim.actors {
		if index == tg.last && t.sim.rng.IntN(40) == 0 {
			t.sameDepth(m)
		}
		return
	}
	if index < m.horizon { // records hold some of what is to come
		return
	}
	if m.sum != tg.sums[index] {
		t.compare(m, tg, index)
	}
}

// compare finds out what differs.
func (t *truth) compare(m *machine, tg *truthGroup, index uint64) {
	if index == tg.last {
		for _, id := range sortedUints(tg.sites) {
			want, have := tg.sites[id], m.sites[id]
			if have == nil {
				have = &siteState{}
			}
			for _, v := range have.ids {
				if count(have.ids, v) > 1 {
					t.sim.fail(InvariantOnce, "node %d shard %d site %d: after entry %d event %d is counted %d times", m.node.number, m.g, id, index, v, count(have.ids, v))
					return
				}
			}
			for _, v := range want.ids {
				if !slices.Contains(have.ids, v) {
					t.sim.fail(InvariantAcked, "node %d shard %d site %d: after entry %d event %d is missing", m.node.number, m.g, id, index, v)
					return
				}
			}
			for _, v := range have.ids {
				if !slices.Contains(want.ids, v) {
					t.sim.fail(InvariantOnce, "node %d shard %d site %d: after entry %d event %d is counted though its batch was refused", m.node.number, m.g, id, index, v)
					return
				}
			}
		}
	}
	t.sim.fail(InvariantDigest, "node %d shard %d: after entry %d its sites differ from those of another replica", m.node.number, m.g, index)
}

func count(ids []uint32, id uint32) (n int) {
	for _, x := range ids {
		if x == id {
			n++
		}
	}
	return n
}

// extend decides on an entry and counts it.
func (t *truth) extend(g rafthost.Group, tg *truthGroup, index uint64, rd entry.Reader) {
	at := tg.streams[rd.Edge]
	next := rd.Epoch == at.epoch && rd.Sequence == at.sequence+1 || rd.Epoch > at.epoch && rd.Sequence == 1
	if !next {
		return
	}
	tg.streams[rd.Edge] = streamAt{rd.Epoch, rd.Sequence}
	var it entry.Item
	for {
		more, err := rd.Next(&it)
		if err != nil || !more {
			return
		}
		id, site := uint32(it.ID), uint64(it.Site)
		x := tg.sites[site]
		if x == nil {
			x = &siteState{site: site}
			tg.sites[site] = x
			tg.sum ^= x.digest()
		}
		if _, twice := tg.counted[id]; twice && !retried(id) {
			t.sim.fail(InvariantOnce, "shard %d: event %d is in entry %d and counted already in entry %d", g, id, index, tg.counted[id])
			return
		} else if !twice {
			tg.counted[id] = index
		}
		tg.sum ^= x.digest()
		x.count(id)
		tg.sum ^= x.digest()
	}
}

// leads is told that a replica takes proposals.
func (t *truth) leads(n *node, g rafthost.Group, st rafthost.Status) {
	k := leaderTerm{g, st.Term}
	if old, known := t.leaders[k]; known && old != st.Replica {
		t.sim.fail(InvariantLeader, "group %d term %d: replicas %d and %d lead", g, st.Term, old, st.Replica)
		return
	}
	t.leaders[k] = st.Replica
	t.sim.note(evLead, uint64(n.number), uint64(g), st.Term)
	t.sim.stats.Elections++
}

// born is told that a replica is on a disk.
func (t *truth) born(n *node, g rafthost.Group, replica uint64) {
	k := replicaID{g, replica}
	if old, known := t.births[k]; known && old.ident != n.ident {
		t.sim.fail(InvariantReplica, "group %d: replica %d is on another disk than before", g, replica)
		return
	}
	if _, ended := t.ended[k]; ended {
		t.sim.fail(InvariantReplica, "group %d: replica %d was destroyed and is here again", g, replica)
		return
	}
	t.births[k] = birth{n.ident}
}

// destroys is told that a replica is about to be destroyed: no leader of a newer
// term may count it a voter.
func (t *truth) destroys(n *node, g rafthost.Group, replica uint64) {
	if l := t.sim.leaderOf(g); l != nil {
		c := l.host.Status(g).Conf
		if slices.Contains(c.Voters, replica) || slices.Contains(c.Outgoing, replica) {
			t.sim.fail(InvariantReplica, "node %d group %d: replica %d is destroyed while it votes", n.number, g, replica)
		}
	}
}

// destroyed is told that it is, on disk.
func (t *truth) destroyed(g rafthost.Group, replica uint64) {
	t.ended[replicaID{g, replica}] = t.sim.step
}

// spoke sees a message before it leaves: no replica speaks after its end, but
// for what it had said before and is sent with the next turn.
func (t *truth) spoke(n *node, o rafthost.Outgoing) {
	switch o.Message.GetType() {
	case raftpb.MsgVoteResp, raftpb.MsgVote, raftpb.MsgAppResp:
		if at, ended := t.ended[replicaID{o.Group, o.Message.GetFrom()}]; ended && at < t.sim.step {
			t.sim.fail(InvariantReplica, "node %d group %d: replica %d sends %s after it was destroyed", n.number, o.Group, o.Message.GetFrom(), o.Message.GetType())
		}
	}
}

// atEnd compares everything once all is quiet.
func (t *truth) atEnd() {
	s := t.sim
	for _, g := range s.groups {
		l := s.leaderOf(g)
		c := l.host.Status(g).Conf
		for _, r := range slices.Concat(c.Voters, c.Learners) {
			n := s.byNumber[uint16(r)]
			if n == nil || n.host == nil {
				continue // removed, and there is no other node for a replica
			}
			if err := n.host.Status(g).Failed; err != nil {
				s.fail(InvariantServes, "node %d group %d: %v", n.number, g, err)
				return
			}
			if o := n.host.Status(g).Conf; fmt.Sprint(o.Voters, o.Learners, o.Outgoing) != fmt.Sprint(c.Voters, c.Learners, c.Outgoing) {
				s.fail(InvariantMembers, "group %d: node %d has voters %d and learners %d, its leader %d and %d", g, n.number, o.Voters, o.Learners, c.Voters, c.Learners)
				return
			}
			if g != rafthost.Control {
				t.replicaAtEnd(n.machines[g])
			}
		}
	}
	for _, v := range s.clients.acked {
		if _, ok := t.groups[v.group].counted[v.id]; !ok {
			s.fail(InvariantAcked, "shard %d site %d: event %d was acknowledged (entry %d; 0: by the spool) and is not counted", v.group, v.site, v.id, v.index)
			return
		}
	}
}

func (t *truth) replicaAtEnd(m *machine) {
	tg := t.groups[m.g]
	if t.sim.actors {
		t.sameDepth(m)
		return
	}
	if m.applied < tg.last || m.sum != tg.sum {
		t.compare(m, tg, tg.last)
	}
	total := 0
	for _, id := range sortedUints(m.sites) {
		x := m.sites[id]
		pages := uint64(0)
		for _, p := range x.pages {
			pages += p
		}
		if pages != uint64(len(x.ids)) {
			t.sim.fail(InvariantSums, "node %d shard %d site %d: the pages sum up to %d, %d were counted", m.node.number, m.g, id, pages, len(x.ids))
		}
		total += len(x.ids)
	}
	if total != len(tg.counted) {
		t.sim.fail(InvariantSums, "node %d shard %d: the sites sum up to %d, %d events were counted", m.node.number, m.g, total, len(tg.counted))
	}
}
