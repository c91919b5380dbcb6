package placement

import (
	"cmp"
	"slices"
)

// newOperations begins operations for groups that have none: repairs first, then
// what makes the cluster even.
func (p *planner) newOperations() {
	if s, ok := p.v.Shard(Control); ok {
		if rep := p.idle(s); rep != nil {
			if op := p.wantControl(s, rep); op != nil {
				p.begin(s, rep, op)
			}
		}
	}
	for _, want := range []func(*Shard, *ShardReport) *OpPlan{p.repair, p.resize, p.drain, p.spread} {
		for _, s := range p.v.Shards() {
			if s.ID == Control {
				continue
			}
			rep := p.idle(s)
			if rep == nil {
				continue
			}
			if op := want(s, rep); op != nil {
				p.begin(s, rep, op)
			}
		}
	}
	p.balance()
}

// idle gives the report of a group that an operation may begin for.
func (p *planner) idle(s *Shard) *ShardReport {
	if s.Op != nil {
		return nil
	}
	rep := p.settled(s)
	if rep == nil || rep.ConfIndex != s.ConfIndex {
		return nil
	}
	return rep
}

// begin takes an operation if the nodes can send and take what it needs now.
func (p *planner) begin(s *Shard, rep *ShardReport, op *OpPlan) bool {
	if !p.fits(rep, op) {
		return false
	}
	source := p.nodes[NodeOf(rep.Replica)]
	for _, a := range op.Add {
		n := p.nodes[a.Node]
		n.in++
		if source != nil {
			source.out++
		}
		if s.ID != Control && a.Role == Voter {
			n.load++
		}
	}
	if s.ID != Control {
		for _, m := range voters(s.Members) {
			if n := p.nodes[m.Node]; n != nil && slices.Contains(op.Remove, m.Replica) {
				n.load--
			}
		}
	}
	p.plan(s, op)
	return true
}

func (p *planner) fits(rep *ShardReport, op *OpPlan) bool {
	if len(op.Add) == 0 {
		return true
	}
	source := p.nodes[NodeOf(rep.Replica)]
	if source == nil || source.out > 0 && source.out+len(op.Add) > p.set.SnapshotsMax {
		return false
	}
	return !slices.ContainsFunc(op.Add, func(a Place) bool { return p.nodes[a.Node].in >= p.set.SnapshotsMax })
}

// states gives the nodes of members, those that are not known left out.
func (p *planner) states(members []Member) []*nodeState {
	var out []*nodeState
	for _, m := range members {
		if n := p.nodes[m.Node]; n != nil {
			out = append(out, n)
		}
	}
	return out
}

func without(nodes []*nodeState, number uint16) []*nodeState {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *nodeState) bool { return n.Number == number })
}

// lost tells whether a member is not coming back.
func (p *planner) lost(s *Shard, m Member) bool {
	n := p.nodes[m.Node]
	return n == nil || n.gone() || p.failed[m.Replica][s.ID]
}

// freeTarget tells which nodes a new replica of s may go to.
func (p *planner) freeTarget(s *Shard) func(*nodeState) bool {
	return func(n *nodeState) bool { return n.target() && !s.On(n.Number) && !p.keeps(n, s.ID) }
}

// keeps tells whether a node's disk has a replica of a group, perhaps one that
// is about to be destroyed.
func (p *planner) keeps(n *nodeState, group uint16) bool {
	h := p.r.heard[n.Number]
	return h != nil && slices.ContainsFunc(h.report.Hosted, func(o Hosted) bool { return o.Group == group })
}

// replace plans to put another replica in m's place, nil if no node can take it.
func (p *planner) replace(s *Shard, m Member, kind OpKind, ok func(*nodeState) bool) *OpPlan {
	stay := without(p.states(s.Voters()), m.Node)
	if to := p.pick(s.ID, stay, ok); to != nil {
		return &OpPlan{Kind: kind, Add: []Place{{to.Number, Voter}}, Remove: []uint64{m.Replica}}
	}
	return nil
}

// repair takes learners away that nobody wants, and replaces what is lost.
func (p *planner) repair(s *Shard, _ *ShardReport) *OpPlan {
	var learners []uint64
	for _, m := range s.Members {
		if m.Role == Learner {
			learners = append(learners, m.Replica)
		}
	}
	if len(learners) > 0 {
		return &OpPlan{Kind: OpClean, Remove: learners}
	}
	for _, m := range s.Voters() {
		if p.lost(s, m) {
			if op := p.replace(s, m, OpReplace, p.freeTarget(s)); op != nil {
				return op
			}
		}
	}
	return nil
}

// drain replaces replicas on nodes that are to leave, or that hold no data any
// more.
func (p *planner) drain(s *Shard, _ *ShardReport) *OpPlan {
	for _, m := range s.Voters() {
		if n := p.nodes[m.Node]; n != nil && (n.State == Draining || !n.Data()) {
			if op := p.replace(s, m, OpDrain, p.freeTarget(s)); op != nil {
				return op
			}
		}
	}
	return nil
}

func odd(n int) int { return n - 1 + n%2 }

// resize makes a shard have as many voters as it should, or as can be had.
func (p *planner) resize(s *Shard, rep *ShardReport) *OpPlan {
	have, want := s.Voters(), p.v.cluster.Replicas
	switch {
	case len(have) < want:
		return p.grow(s, have, want)
	case len(have) > want:
		return p.shrink(s, rep, have, want)
	}
	return nil
}

func (p *planner) grow(s *Shard, have []Member, want int) *OpPlan {
	op := &OpPlan{Kind: OpGrow}
	nodes, ok := p.states(have), p.freeTarget(s)
	for len(have)+len(op.Add) < want {
		to := p.pick(s.ID, nodes, ok)
		if to == nil {
			break
		}
		nodes = append(nodes, to)
		op.Add = append(op.Add, Place{to.Number, Voter})
	}
	op.Add = op.Add[:max(0, odd(len(have)+len(op.Add))-len(have))]
	if len(op.Add) == 0 {
		return nil
	}
	return op
}

// shrink takes away first what is lost or leaving, then what is most in a crowd
// or on the fullest node; the leader last.
func (p *planner) shrink(s *Shard, rep *ShardReport, have []Member, want int) *OpPlan {
	op := &OpPlan{Kind: OpShrink}
	left := slices.Clone(have)
	badness := func(m Member) int {
		n := p.nodes[m.Node]
		switch {
		case p.lost(s, m):
			return 4
		case !p.alive(rep, m.Replica):
			return 3
		case n.State != Active || !n.Data():
			return 2
		case m.Replica != rep.Replica:
			return 1
		}
		return 0
	}
	for len(left) > want {
		nodes := p.states(left)
		worst := slices.MaxFunc(left, func(a, b Member) int {
			if c := cmp.Compare(badness(a), badness(b)); c != 0 {
				return c
			}
			na, nb := p.nodes[a.Node], p.nodes[b.Node]
			if na == nil || nb == nil {
				return cmp.Compare(a.Replica, b.Replica)
			}
			return cmp.Or(cmp.Compare(closeTo(without(nodes, a.Node), na), closeTo(without(nodes, b.Node), nb)),
				cmp.Compare(na.full(), nb.full()), cmp.Compare(a.Replica, b.Replica))
		})
		op.Remove = append(op.Remove, worst.Replica)
		left = slices.DeleteFunc(left, func(m Member) bool { return m == worst })
	}
	return op
}

// spread moves a replica that another node would be farther away for.
func (p *planner) spread(s *Shard, _ *ShardReport) *OpPlan {
	have := s.Voters()
	if len(have) < 2 {
		return nil
	}
	nodes := p.states(have)
	now, best := crowd(nodes), crowd(nodes)
	var op *OpPlan
	for _, m := range have {
		stay := without(nodes, m.Node)
		to := p.pick(s.ID, stay, p.freeTarget(s))
		if to == nil {
			continue
		}
		if c := crowd(append(slices.Clone(stay), to)); c < best {
			best = c
			op = &OpPlan{Kind: OpSpread, Add: []Place{{to.Number, Voter}}, Remove: []uint64{m.Replica}}
		}
	}
	if best == now {
		return nil
	}
	return op
}

// balance moves replicas from full nodes to emptier ones where that brings no
// two replicas closer together. While there are too few nodes for the voters
// that shards should have, all waits for more nodes to join.
func (p *planner) balance() {
	targets := slices.DeleteFunc(slices.Clone(p.list), func(n *nodeState) bool { return !n.target() })
	if len(targets) < 2 || len(targets) < p.v.cluster.Replicas {
		return
	}
	idle := map[*Shard]*ShardReport{}
	for _, s := range p.v.Shards() {
		if s.ID == Control {
			continue
		}
		if p.reports[s.ID] != nil && s.Op == nil && len(s.Voters()) != p.v.cluster.Replicas {
			return // that comes first, and evens out much
		}
		if rep := p.idle(s); rep != nil {
			idle[s] = rep
		}
	}
	for p.balanceOnce(targets, idle) {
	}
}

func average(nodes []*nodeState, of func(*nodeState) int) float64 {
	things, weight := 0, 0
	for _, n := range nodes {
		things += of(n)
		weight += n.Weight
	}
	return float64(things) / float64(max(weight, 1))
}

func (p *planner) balanceOnce(targets []*nodeState, idle map[*Shard]*ShardReport) bool {
	mean := average(targets, func(n *nodeState) int { return n.load })
	slices.SortFunc(targets, func(a, b *nodeState) int {
		return cmp.Or(cmp.Compare(b.full(), a.full()), cmp.Compare(a.Number, b.Number))
	})
	for _, from := range targets {
		for i := len(targets) - 1; i >= 0 && targets[i] != from; i-- {
			to := targets[i]
			if !worth(from.load, from.Weight, to.load, to.Weight, mean) {
				break
			}
			if to.in >= p.set.SnapshotsMax {
				continue
			}
			if s, op := p.bestMove(from, to, idle); s != nil && p.begin(s, idle[s], op) {
				delete(idle, s)
				return true
			}
		}
	}
	return false
}

// bestMove finds the shard that belongs on to rather than on from the most.
func (p *planner) bestMove(from, to *nodeState, idle map[*Shard]*ShardReport) (*Shard, *OpPlan) {
	var best *Shard
	var op *OpPlan
	var most float64
	for _, s := range p.v.Shards() {
		rep := idle[s]
		if rep == nil || !s.On(from.Number) || s.On(to.Number) || p.keeps(to, s.ID) {
			continue
		}
		gain := affinity(s.ID, to) - affinity(s.ID, from)
		if best != nil && gain <= most {
			continue
		}
		have := s.Voters()
		i := slices.IndexFunc(have, func(m Member) bool { return m.Node == from.Number })
		if i < 0 {
			continue
		}
		stay := without(p.states(have), from.Number)
		move := &OpPlan{Kind: OpBalance, Add: []Place{{to.Number, Voter}}, Remove: []uint64{have[i].Replica}}
		if closeTo(stay, to) <= closeTo(stay, from) && p.fits(rep, move) {
			best, op, most = s, move, gain
		}
	}
	return best, op
}
