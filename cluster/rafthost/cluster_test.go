package rafthost_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/cluster/rafthost"
	"footfall/persistence"
)

// simulation is a cluster in one goroutine: hosts driven by Turn, a clock, a
// network that loses, delays, doubles and reorders, stores that lose what was
// not synced. All of it follows from one seed.
type simulation struct {
	t      *testing.T
	rng    *rand.Rand
	now    time.Time
	nodes  map[uint16]*simNode
	wire   []parcel
	snaps  []shipment
	groups []Group
	serial map[Group]uint64
	sent   int                        // proposals made
	truth  map[Group]map[uint64]int64 // digest after each index
	where  map[string]Group           // applied proposals
	at     map[string]uint64
	loss   int // percent of messages lost
	cut    func(from, to uint16) bool
	ship   func(b []byte) []byte // damages a snapshot on the way
	cfg    func(*rafthost.Config)

	restored, orphans int
	total             tally
}

type parcel struct {
	from, to uint16
	out      rafthost.Outgoing
	due      int
}

type shipment struct {
	from uint16
	life int
	g    Group
	m    *raftpb.Message
	send func(context.Context, io.Writer) error
	done func(error)
}

// simNode is a node: its store outlives its host.
type simNode struct {
	sim   *simulation
	id    uint16
	life  int
	store *memStore
	host  *rafthost.Host // nil: down
	state map[Group]*simState
	todo  map[Group][][]byte
	asked map[Group]bool // flushes asked for
	still map[Group]bool // suspended
	leads map[Group]uint64
}

// simState is a state machine: the index and a digest of everything up to it.
type simState struct {
	index uint64
	sum   int64
}

func newSimulation(t *testing.T, seed uint64, groups ...Group) *simulation {
	return &simulation{t: t, rng: rand.New(rand.NewPCG(seed, 77)), now: time.Unix(1e9, 0), nodes: map[uint16]*simNode{}, groups: groups,
		serial: map[Group]uint64{}, truth: map[Group]map[uint64]int64{}, where: map[string]Group{}, at: map[string]uint64{}}
}

// ids lists the nodes in order.
func (s *simulation) ids() []uint16 {
	var out []uint16
	for id := range s.nodes {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// node makes a node; groups are those it founds.
func (s *simulation) node(id uint16, found ...Group) *simNode {
	n := &simNode{sim: s, id: id, store: newMemStore()}
	s.nodes[id] = n
	n.open(found...)
	return n
}

func (n *simNode) open(found ...Group) {
	n.life++
	n.state, n.todo, n.asked, n.still, n.leads = map[Group]*simState{}, map[Group][][]byte{}, map[Group]bool{}, map[Group]bool{}, map[Group]uint64{}
	for _, g := range n.sim.groups {
		n.state[g] = n.load(g)
	}
	cfg := rafthost.Config{
		Store: n.store, Groups: found, Source: n, Applier: n, Transport: n, Workers: 1,
		RetainGroupBytesMax: 1, RetainBytesMax: 1, RoundBytesMax: 4 << 10,
		Now:                    func() time.Time { return n.sim.now },
		Rand:                   n.sim.rng.IntN,
		Flush:                  func(g Group) { n.asked[g] = true },
		Led:                    func(g Group, leader uint64, self bool) { n.leads[g] = leader },
		Unknown:                func(Group, uint64, uint64) { n.sim.orphans++ },
		SnapshotBytesPerSecond: -1,
	}
	if n.sim.cfg != nil {
		n.sim.cfg(&cfg)
	}
	var err error
	if n.host, err = rafthost.Open(cfg); err != nil {
		n.sim.t.Fatalf("node %d opens with %v", n.id, err)
	}
}

// reopen starts a node as its operator does: the founder lists its groups again,
// those that were removed from it too.
func (n *simNode) reopen() {
	if n.id == 1 {
		n.open(n.sim.groups...)
		return
	}
	n.open()
}

// crash cuts the power.
func (n *simNode) crash() {
	n.store = n.store.cut(n.sim.rng)
	n.host = nil
}

func stateKey(g Group) []byte {
	from, _ := persistence.StateSpan(uint16(g))
	return append(from, "state"...)
}

func (n *simNode) load(g Group) *simState {
	raw, err := n.store.Get(stateKey(g))
	if errors.Is(err, persistence.ErrNotFound) {
		return &simState{}
	}
	if err != nil || len(raw) < 16 {
		n.sim.t.Fatalf("state of group %d: %x, %v", g, raw, err)
	}
	return &simState{binary.BigEndian.Uint64(raw), int64(binary.BigEndian.Uint64(raw[8:]))}
}

func (n *simNode) Next(g Group) []byte {
	q := n.todo[g]
	if len(q) == 0 {
		return nil
	}
	n.todo[g] = q[1:]
	return q[0]
}

func (n *simNode) Apply(g Group, index uint64, data []byte) {
	s, t := n.state[g], n.sim.t
	if index <= s.index || n.still[g] {
		t.Errorf("node %d group %d: entry %d after %d, suspended %v", n.id, g, index, s.index, n.still[g])
	}
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(s.sum)), index))
	h.Write(data)
	s.index, s.sum = index, int64(h.Sum64())
	if n.sim.truth[g] == nil {
		n.sim.truth[g] = map[uint64]int64{}
	}
	if sum, known := n.sim.truth[g][index]; known && sum != s.sum {
		t.Errorf("node %d group %d: at entry %d its history differs from that of another member", n.id, g, index)
	}
	n.sim.truth[g][index] = s.sum
	if at, known := n.sim.at[string(data)]; known && (at != index || n.sim.where[string(data)] != g) {
		t.Errorf("group %d: %q is in entry %d and in entry %d", g, data, at, index)
	}
	n.sim.where[string(data)], n.sim.at[string(data)] = g, index
}

func (n *simNode) Suspend(g Group) { n.still[g] = true }

func (n *simNode) Restore(g Group, index uint64) error {
	n.sim.restored++
	n.still[g] = false
	n.state[g] = n.load(g)
	if n.state[g].index > index {
		n.sim.t.Errorf("node %d group %d: restored to %d, the state says %d", n.id, g, index, n.state[g].index)
	}
	return nil
}

func (n *simNode) Remove(g Group) { n.state[g], n.todo[g] = &simState{}, nil }

// flush writes the state of a group as of its newest entry.
func (n *simNode) flush(g Group) {
	if n.still[g] {
		return
	}
	n.asked[g] = false
	s := n.state[g]
	b := n.store.NewBatch()
	if s.index > 0 {
		v := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, s.index), uint64(s.sum))
		b.Set(stateKey(g), append(v, bytes.Repeat([]byte("."), n.sim.rng.IntN(400))...))
	}
	n.host.Persisted(b, g, s.index)
	if err := n.store.Commit(b, false); err == nil && n.sim.rng.IntN(10) > 0 {
		n.host.Truncated(g, s.index)
	}
}

func (n *simNode) Send(to uint16, batch []rafthost.Outgoing) {
	for _, o := range batch {
		for copies := 1 + n.sim.rng.IntN(20)/19; copies > 0; copies-- {
			n.sim.wire = append(n.sim.wire, parcel{n.id, to, o, n.sim.rng.IntN(4)})
		}
	}
}

func (n *simNode) SendSnapshot(g Group, m *raftpb.Message, send func(context.Context, io.Writer) error, done func(error)) {
	n.sim.snaps = append(n.sim.snaps, shipment{n.id, n.life, g, m, send, done})
}

// step lets the time of one round pass.
func (s *simulation) step() {
	s.now = s.now.Add(time.Millisecond)
	wire := s.wire
	s.wire = nil
	for _, p := range wire {
		to := s.nodes[p.to]
		switch {
		case p.due > 0:
			p.due--
			s.wire = append(s.wire, p)
		case to == nil || to.host == nil || s.rng.IntN(100) < s.loss || s.cut != nil && s.cut(p.from, p.to):
		default:
			to.host.Deliver(p.out.Group, p.out.Message)
		}
	}
	snaps := s.snaps
	s.snaps = nil
	for _, p := range snaps {
		if s.rng.IntN(3) > 0 {
			s.snaps = append(s.snaps, p)
			continue
		}
		s.carry(p)
	}
	for _, id := range s.ids() {
		n := s.nodes[id]
		if n.host == nil {
			continue
		}
		if _, err := n.host.Turn(); err != nil {
			if !errors.Is(err, errCut) {
				s.t.Errorf("node %d: %v", id, err)
			}
			n.crash()
			continue
		}
		for _, g := range s.groups {
			if n.asked[g] {
				n.flush(g)
			}
		}
	}
}

// carry takes a snapshot from node to node.
func (s *simulation) carry(p shipment) {
	from := s.nodes[p.from]
	if from.host == nil || from.life != p.life {
		return // with its sender
	}
	to := s.nodes[uint16(p.m.GetTo())]
	if to == nil || to.host == nil || s.cut != nil && s.cut(p.from, to.id) {
		p.done(errors.New("the node is down"))
		return
	}
	var b bytes.Buffer
	if err := p.send(context.Background(), &b); err != nil {
		s.t.Errorf("send a snapshot: %v", err)
	}
	body := b.Bytes()
	if s.ship != nil {
		body = s.ship(body)
	}
	p.done(to.host.ReceiveSnapshot(context.Background(), p.g, p.m, bytes.NewReader(body)))
}

func (s *simulation) tick() {
	for _, id := range s.ids() {
		if h := s.nodes[id].host; h != nil {
			if err := h.Tick(); err != nil {
				s.t.Errorf("node %d: %v", id, err)
			}
		}
	}
}

// until steps, with a tick every fifth time, until f.
func (s *simulation) until(what string, f func() bool) {
	s.t.Helper()
	for i := range 20000 {
		if f() {
			return
		}
		if s.step(); i%5 == 4 {
			s.tick()
		}
	}
	for _, id := range s.ids() {
		if h := s.nodes[id].host; h != nil {
			for _, g := range h.Groups() {
				s.t.Logf("node %d group %d: %+v", id, g, h.Status(g))
			}
		}
	}
	s.t.Fatalf("never: %s", what)
}

// run lets n rounds pass.
func (s *simulation) run(n int) {
	for i := range n {
		if s.step(); i%5 == 4 {
			s.tick()
		}
	}
}

// leader gives the node that takes proposals for g, or nil.
func (s *simulation) leader(g Group) *simNode {
	var best *simNode
	var term uint64
	for _, id := range s.ids() {
		if n := s.nodes[id]; n.host != nil && n.host.Leads(g) {
			if st := n.host.Status(g); st.Term >= term {
				best, term = n, st.Term
			}
		}
	}
	return best
}

// propose gives a new entry to the leader of g and returns its text, or "".
func (s *simulation) propose(g Group) string {
	n := s.leader(g)
	if n == nil {
		return ""
	}
	s.sent++
	text := fmt.Sprintf("%d-%s", s.sent, bytes.Repeat([]byte("x"), s.rng.IntN(300)))
	n.todo[g] = append(n.todo[g], []byte(text))
	n.host.Notify(g)
	return text
}

// settle proposes until an entry is applied by every member of g.
func (s *simulation) settle(g Group) {
	s.t.Helper()
	text, tries := "", 0
	s.until(fmt.Sprintf("all members of group %d hold one more entry", g), func() bool {
		if tries++; text == "" || tries%400 == 0 {
			text = s.propose(g)
		}
		n := s.leader(g)
		at, applied := s.at[text]
		if n == nil || text == "" || !applied {
			return false
		}
		c := n.host.Status(g).Conf
		for _, r := range slices.Concat(c.Voters, c.Learners) {
			m := s.nodes[uint16(r)]
			if m.host == nil || m.host.Status(g).Replica != r || m.host.Applied(g) < at || m.state[g].index < at {
				return false
			}
		}
		return len(c.Outgoing) == 0
	})
}

// change asks the leader of g for a change of members, without waiting.
func (s *simulation) change(g Group, c rafthost.Change) {
	n := s.leader(g)
	if n == nil {
		return
	}
	s.total.changes++
	c.After = n.host.Status(g).Conf.Index
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.host.ChangeMembers(gone, g, c)
}

// conf gives the members of g as its leader knows them.
func (s *simulation) conf(g Group) rafthost.Conf {
	if n := s.leader(g); n != nil {
		return n.host.Status(g).Conf
	}
	return rafthost.Conf{}
}

// fresh gives an id for a new replica of g on a node.
func (s *simulation) fresh(g Group, node uint16) uint64 {
	s.serial[g]++
	return s.serial[g]<<16 | uint64(node)
}

// join makes nodes voters of g, which has one voter, as a cluster grows.
func (s *simulation) join(g Group, nodes ...uint16) []uint64 {
	s.t.Helper()
	var ids []uint64
	for _, id := range nodes {
		r := s.fresh(g, id)
		if err := s.nodes[id].host.AddReplica(g, r); err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, r)
	}
	s.until("learners are known", func() bool {
		c := s.conf(g)
		if len(c.Voters) > 0 && len(c.Learners) < len(ids) {
			s.change(g, rafthost.Change{AddLearners: ids})
		}
		return len(c.Learners) == len(ids)
	})
	s.settle(g)
	s.until("learners are voters", func() bool {
		c := s.conf(g)
		if len(c.Outgoing) == 0 && len(c.Learners) > 0 {
			s.change(g, rafthost.Change{Promote: ids})
		}
		return len(c.Learners) == 0 && len(c.Outgoing) == 0 && len(c.Voters) == len(ids)+1
	})
	return ids
}
