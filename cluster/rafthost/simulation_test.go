package rafthost_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"footfall/cluster/rafthost"
)

// TestMembersAgreeWhateverHappens grows a cluster from one node and lets nodes
// crash, messages go astray and members change at random. Every member must
// apply the same entries in the same order, each once.
func TestMembersAgreeWhateverHappens(t *testing.T) {
	var total tally
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { wreck(t, seed, 1500, &total) })
	}
	t.Logf("%+v", total)
	if total.applied < 1000 || total.restored < 100 || total.crashes < 100 || total.changes < 500 || total.removed < 20 {
		t.Errorf("too little happened to prove anything: %+v", total)
	}
}

// tally counts what happened to clusters.
type tally struct{ applied, restored, crashes, changes, removed int }

func wreck(t *testing.T, seed uint64, rounds int, total *tally) {
	gs := []Group{0, rafthost.Control}
	s := newSimulation(t, seed, gs...)
	s.node(1, gs...)
	for id := uint16(2); id <= 5; id++ {
		s.node(id)
	}
	for _, g := range gs {
		s.propose(g)
		s.join(g, 2, 3)
	}
	s.loss = s.rng.IntN(15)
	if seed%3 == 0 { // snapshots break
		s.ship = func(b []byte) []byte {
			if s.rng.IntN(3) > 0 || len(b) == 0 {
				return b
			}
			b = slices.Clone(b)
			if s.rng.IntN(2) == 0 {
				return b[:s.rng.IntN(len(b))]
			}
			b[s.rng.IntN(len(b))] ^= 1 << s.rng.IntN(8)
			return b
		}
	}
	for i := range rounds {
		if s.step(); i%5 == 4 {
			s.tick()
		}
		g := gs[s.rng.IntN(len(gs))]
		n := s.nodes[uint16(1+s.rng.IntN(5))]
		switch k := s.rng.IntN(100); {
		case k < 30:
			s.propose(g)
		case k < 45:
			if n.host != nil {
				n.flush(g)
			}
		case k < 47:
			if n.host != nil {
				n.crash()
			}
		case k < 52:
			if n.host == nil {
				n.reopen()
			}
		case k < 54:
			if n.host != nil {
				n.host.PeerDown(uint16(1 + s.rng.IntN(5)))
			}
		case k < 56:
			if l := s.leader(g); l != nil {
				c := l.host.Status(g).Conf
				_ = l.host.TransferLeader(g, c.Voters[s.rng.IntN(len(c.Voters))])
			}
		case k < 57:
			a, b := uint16(1+s.rng.IntN(5)), uint16(1+s.rng.IntN(5))
			until := i + 60
			s.cut = func(from, to uint16) bool { return i < until && (from == a && to == b) }
		case k < 62:
			s.shuffle(g)
		case k < 63 && i%10 == 0 && n.host != nil:
			n.store.mu.Lock()
			n.store.cutAt = n.store.steps + 1 + s.rng.IntN(20)
			n.store.mu.Unlock()
		}
	}
	// Peace: everything comes back, and everyone agrees.
	s.loss, s.cut, s.ship = 0, nil, nil
	for _, id := range s.ids() {
		n := s.nodes[id]
		n.store.cutAt = 0
		if n.store.dead && n.host != nil {
			n.crash()
		}
		if n.host == nil {
			n.reopen()
		}
	}
	for _, g := range gs {
		s.settle(g)
		st := s.leader(g).host.Status(g)
		for _, r := range slices.Concat(st.Conf.Voters, st.Conf.Learners) {
			m := s.nodes[uint16(r)]
			if got, want := m.state[g].sum, s.truth[g][m.state[g].index]; got != want {
				t.Errorf("group %d: node %d ends with another state", g, m.id)
			}
		}
		for _, id := range s.ids() {
			if err := s.nodes[id].host.Status(g).Failed; err != nil {
				t.Errorf("node %d group %d stands still: %v", id, g, err)
			}
		}
	}
	s.total.restored, s.total.applied = s.restored, len(s.at)
	for _, id := range s.ids() {
		s.total.crashes += s.nodes[id].life - 1
	}
	total.applied += s.total.applied
	total.restored += s.total.restored
	total.crashes += s.total.crashes
	total.changes += s.total.changes
	total.removed += s.total.removed
}

// shuffle makes one random change of members that a controller could make.
func (s *simulation) shuffle(g Group) {
	l := s.leader(g)
	if l == nil {
		return
	}
	st := l.host.Status(g)
	c := st.Conf
	if len(c.Outgoing) > 0 {
		return
	}
	members := slices.Concat(c.Voters, c.Learners)
	// Replicas that are no members any more go.
	for _, id := range s.ids() {
		n := s.nodes[id]
		if n.host == nil {
			continue
		}
		// A blank replica belongs to a change that is being made: only members that
		// the leader has dropped after they were in go.
		if r := n.host.Status(g); r.Replica != 0 && !slices.Contains(members, r.Replica) && r.Applied > 0 && l.host.Applied(g) >= r.Applied && r.Replica>>16 < s.serial[g] {
			s.total.removed++
			if err := n.host.RemoveReplica(g); err != nil && !errors.Is(err, errCut) {
				s.t.Errorf("node %d: remove group %d: %v", id, g, err)
			}
		}
	}
	on := func(id uint16) bool {
		return slices.ContainsFunc(members, func(r uint64) bool { return uint16(r) == id })
	}
	switch s.rng.IntN(3) {
	case 0:
		for _, id := range s.ids() {
			n := s.nodes[id]
			if on(id) || n.host == nil || len(members) >= 5 {
				continue
			}
			r := n.host.Status(g).Replica
			if r == 0 {
				r = s.fresh(g, id)
				if err := n.host.AddReplica(g, r); err != nil {
					if !errors.Is(err, errCut) {
						s.t.Errorf("node %d: add group %d: %v", id, g, err)
					}
					return
				}
			} else if n.host.Status(g).Applied > 0 {
				continue
			}
			s.change(g, rafthost.Change{AddLearners: []uint64{r}})
			return
		}
	case 1:
		var ready []uint64
		for _, p := range st.Members {
			if slices.Contains(c.Learners, p.Replica) && p.Match+20 >= st.Commit {
				ready = append(ready, p.Replica)
			}
		}
		ch := rafthost.Change{Promote: ready}
		if len(c.Voters) > 3 {
			ch.Remove = []uint64{c.Voters[s.rng.IntN(len(c.Voters))]}
		} else if len(c.Voters) == 3 && len(ready) > 0 && s.rng.IntN(2) == 0 {
			ch.Demote = []uint64{c.Voters[s.rng.IntN(3)]}
		}
		if len(ready)+len(ch.Remove) > 0 {
			s.change(g, ch)
		}
	case 2:
		if len(c.Learners) > 0 {
			s.change(g, rafthost.Change{Remove: c.Learners[:1]})
		} else if len(c.Voters) > 3 {
			s.change(g, rafthost.Change{Remove: c.Voters[:1]})
		}
	}
}
