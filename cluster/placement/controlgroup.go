package placement

import (
	"cmp"
	"slices"
)

// wantControl plans the next change of the control group: some nodes vote, all
// others follow, so that each has accounts and placement at hand.
func (p *planner) wantControl(s *Shard, rep *ShardReport) *OpPlan {
	if op := p.controlVoters(s, rep); op != nil {
		return op
	}
	var gone []uint64
	for _, m := range s.Members {
		n := p.nodes[m.Node]
		if m.Role == Learner && (n == nil || n.gone() || p.failed[m.Replica][s.ID]) {
			gone = append(gone, m.Replica)
		}
	}
	if len(gone) > 0 {
		return &OpPlan{Kind: OpClean, Remove: gone}
	}
	for _, n := range p.list {
		if !n.gone() && n.silent <= p.set.GiveUp.Milliseconds() && !s.On(n.Number) {
			op := &OpPlan{Kind: OpFollow, Add: []Place{{n.Number, Learner}}}
			if p.fits(rep, op) {
				return op // one at a time: a node that does not answer holds nobody else up
			}
		}
	}
	return nil
}

// controlSize is how many voters the control group has in a cluster with that
// many nodes for data.
func controlSize(nodes int) int {
	switch {
	case nodes >= 5:
		return 5
	case nodes >= 3:
		return 3
	}
	return 1
}

// controlVoters plans who votes. Voters that are well stay; a death alone never
// makes them fewer.
func (p *planner) controlVoters(s *Shard, rep *ShardReport) *OpPlan {
	count := 0
	for _, n := range p.list {
		if n.Data() && (n.State == Active || n.State == Dead) {
			count++
		}
	}
	size := controlSize(count)
	var good, bad []Member // voters that should stay, and that should not
	var spare []Member     // learners that could vote
	for _, m := range s.Members {
		n := p.nodes[m.Node]
		well := n != nil && n.State == Active && n.Data() && !p.failed[m.Replica][s.ID]
		switch {
		case m.Role == Voter && well:
			good = append(good, m)
		case m.Role == Voter:
			bad = append(bad, m)
		case well && n.live && rep.CaughtUp(m.Replica):
			spare = append(spare, m)
		}
	}
	if len(bad) == 0 && len(good) == size {
		return p.controlSpread(s, good, spare)
	}
	chosen := slices.Clone(good)
	for len(chosen) > size {
		chosen = slices.DeleteFunc(chosen, p.mostCrowded(chosen, rep.Replica))
	}
	for len(chosen) < size && len(spare) > 0 {
		m := p.farthest(chosen, spare)
		chosen = append(chosen, m)
		spare = slices.DeleteFunc(spare, func(x Member) bool { return x == m })
	}
	// What cannot be replaced stays: first those on nodes that are alive.
	slices.SortStableFunc(bad, func(a, b Member) int {
		return -cmp.Compare(b2i(p.alive(rep, a.Replica)), b2i(p.alive(rep, b.Replica)))
	})
	for len(chosen) < size && len(bad) > 0 {
		chosen, bad = append(chosen, bad[0]), bad[1:]
	}
	if len(chosen)%2 == 0 {
		chosen = p.dropOne(chosen, good, rep)
	}
	return p.controlChange(s, chosen)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// dropOne makes the number odd: a member that is not a voter yet goes first,
// then one that should not stay.
func (p *planner) dropOne(chosen, good []Member, rep *ShardReport) []Member {
	value := func(m Member) int {
		switch {
		case m.Replica == rep.Replica:
			return 3
		case slices.Contains(good, m):
			return 2
		case m.Role == Voter:
			return 1
		}
		return 0
	}
	if len(chosen) == 0 {
		return nil
	}
	worst := slices.MinFunc(chosen, func(a, b Member) int { return cmp.Compare(value(a), value(b)) })
	return slices.DeleteFunc(chosen, func(m Member) bool { return m == worst })
}

// mostCrowded finds the member to do without, not the leader.
func (p *planner) mostCrowded(members []Member, leader uint64) func(Member) bool {
	nodes := p.states(members)
	worst := slices.MaxFunc(members, func(a, b Member) int {
		return cmp.Or(-cmp.Compare(b2i(a.Replica == leader), b2i(b.Replica == leader)),
			cmp.Compare(closeTo(without(nodes, a.Node), p.nodes[a.Node]), closeTo(without(nodes, b.Node), p.nodes[b.Node])),
			cmp.Compare(a.Replica, b.Replica))
	})
	return func(m Member) bool { return m == worst }
}

func (p *planner) farthest(from, members []Member) Member {
	nodes := p.states(from)
	return slices.MinFunc(members, func(a, b Member) int {
		na, nb := p.nodes[a.Node], p.nodes[b.Node]
		return cmp.Or(cmp.Compare(closeTo(nodes, na), closeTo(nodes, nb)), -cmp.Compare(affinity(Control, na), affinity(Control, nb)),
			cmp.Compare(a.Replica, b.Replica))
	})
}

// controlSpread swaps a voter for a learner that is farther from the others.
func (p *planner) controlSpread(s *Shard, good, spare []Member) *OpPlan {
	if len(good) < 2 || len(spare) == 0 {
		return nil
	}
	best := crowd(p.states(good))
	var op *OpPlan
	for _, out := range good {
		stay := slices.DeleteFunc(slices.Clone(good), func(m Member) bool { return m == out })
		in := p.farthest(stay, spare)
		if c := crowd(p.states(append(stay, in))); c < best {
			best, op = c, &OpPlan{Kind: OpVoters, Promote: []uint64{in.Replica}, Demote: []uint64{out.Replica}}
		}
	}
	return op
}

// controlChange plans that exactly the chosen vote. Whoever votes no more goes
// on as a learner, unless its node is gone.
func (p *planner) controlChange(s *Shard, chosen []Member) *OpPlan {
	op := &OpPlan{Kind: OpVoters}
	for _, m := range s.Members {
		stays := slices.Contains(chosen, m)
		switch {
		case m.Role == Learner && stays:
			op.Promote = append(op.Promote, m.Replica)
		case m.Role == Voter && !stays && p.lost(s, m):
			op.Remove = append(op.Remove, m.Replica)
		case m.Role == Voter && !stays:
			op.Demote = append(op.Demote, m.Replica)
		}
	}
	if len(chosen) == 0 || len(op.Promote)+len(op.Demote)+len(op.Remove) == 0 {
		return nil
	}
	return op
}
