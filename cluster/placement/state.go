package placement

import (
	"math"
	"slices"

	"footfall/analytics"
)

// State is the state machine. Two states that applied the same commands have
// the same records. Not safe for concurrent use; its views are.
type State struct {
	view  View
	dirty map[Ref]struct{} // changed since TakeDirty
}

// NewState makes the state before the first command.
func NewState() *State { return &State{dirty: map[Ref]struct{}{}} }

// View gives the state as it is now; later commands do not change it.
func (s *State) View() *View {
	v := s.view
	return &v
}

// Apply executes a command. It never fails half way: with Result.Err set
// nothing changed.
func (s *State) Apply(cmd Command) Result {
	if err := cmd.Change.Check(); err != nil {
		return refused(err)
	}
	if _, first := cmd.Change.(*Found); !first && s.view.cluster == nil {
		return refused(analytics.Errorf(analytics.Unavailable, "cluster: was not founded yet"))
	}
	return cmd.Change.apply(s, cmd.At)
}

func (s *State) setCluster(c Cluster) {
	s.view.cluster = &c
	s.dirty[Ref{Kind: RefCluster}] = struct{}{}
}

func (s *State) setNode(n *Node) {
	s.view.nodes = put(s.view.nodes, n, nodeKey)
	s.dirty[Ref{RefNode, nodeKey(n)}] = struct{}{}
}

// setShard takes x as the next version of a record.
func (s *State) setShard(x *Shard) {
	x.Rev++
	s.view.shards = put(s.view.shards, x, shardKey)
	s.dirty[Ref{RefShard, shardKey(x)}] = struct{}{}
}

func (s *State) node(number uint16) (*Node, error) {
	n, ok := s.view.Node(number)
	if !ok {
		return nil, analytics.Errorf(analytics.NotFound, "node: there is no node %d", number)
	}
	return n, nil
}

func (c *Found) apply(s *State, at int64) Result {
	if s.view.cluster != nil {
		return refused(conflict("cluster: %s exists already", s.view.cluster.ID))
	}
	const first = 1
	s.setCluster(Cluster{ID: c.ID, Shards: c.Shards, Replicas: c.Replicas, Gate: c.Gate, Founded: at, NextNode: first + 1})
	n := c.Node.node(first, Active, at)
	s.setNode(n)
	alone := []Member{{Node: first, Replica: ReplicaID(0, first), Role: Voter}}
	shards := make([]*Shard, 0, c.Shards+1)
	for id := range c.Shards + 1 {
		x := &Shard{ID: uint16(id), Rev: 1, Members: alone, NextSerial: 1}
		if id == c.Shards {
			x.ID = Control
		}
		shards = append(shards, x)
		s.dirty[Ref{RefShard, shardKey(x)}] = struct{}{}
	}
	s.view.shards = shards
	return Result{Node: n}
}

func (c *AddNode) apply(s *State, at int64) Result {
	cl := *s.view.cluster
	if c.Of != (ID{}) && c.Of != cl.ID {
		return refused(conflict("node: its disk belongs to cluster %s, this is %s", c.Of, cl.ID))
	}
	if old, ok := s.view.NodeByIdent(c.Node.Ident); ok {
		if old.State == Removed {
			return refused(conflict("node: its disk was node %d, which was removed; it must start with an empty one", old.Number))
		}
		n := c.Node.node(old.Number, old.State, old.Since)
		n.Joined, n.Epoch, n.EpochAt = old.Joined, old.Epoch, old.EpochAt
		if c.Node.Weight == 0 {
			n.Weight = old.Weight
		}
		if *n != *old {
			s.setNode(n)
		}
		return Result{Node: n}
	}
	if c.Of != (ID{}) {
		return refused(conflict("node: its disk belongs to this cluster, which does not know it"))
	}
	if c.Node.GateMax < cl.Gate {
		return refused(conflict("node: its release reads formats up to %d, the cluster writes %d", c.Node.GateMax, cl.Gate))
	}
	if cl.NextNode == math.MaxUint16 {
		return refused(conflict("node: the cluster has had %d nodes, there are no numbers left", cl.NextNode-1))
	}
	n := c.Node.node(cl.NextNode, Joining, at)
	cl.NextNode++
	s.setCluster(cl)
	s.setNode(n)
	return Result{Node: n}
}

func (c *UpdateNode) apply(s *State, at int64) Result {
	old, err := s.node(c.Number)
	if err != nil {
		return refused(err)
	}
	if old.State == Removed {
		return refused(conflict("node: %d was removed", c.Number))
	}
	n := *old
	for _, x := range []struct{ to, from *string }{
		{&n.Name, c.Name}, {&n.Zone, c.Zone}, {&n.Region, c.Region}, {&n.Cluster, c.Cluster}, {&n.HTTP, c.HTTP}, {&n.Version, c.Version},
	} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	if c.Roles != nil {
		n.Roles = *c.Roles
	}
	if c.Weight != nil {
		n.Weight = *c.Weight
	}
	if c.GateMax != nil {
		n.GateMax = *c.GateMax
	}
	if c.Epoch != nil && *c.Epoch > n.Epoch {
		n.Epoch, n.EpochAt = *c.Epoch, at
	}
	if n != *old {
		s.setNode(&n)
	}
	return Result{Node: &n}
}

// nextStates lists where a node may go from each state.
var nextStates = map[NodeState][]NodeState{
	Joining:  {Active, Draining, Dead, Removed},
	Active:   {Draining, Dead, Removed},
	Draining: {Active, Dead, Removed},
	Dead:     {Active, Draining, Removed},
}

func (c *SetNodeState) apply(s *State, at int64) Result {
	old, err := s.node(c.Number)
	if err != nil {
		return refused(err)
	}
	if c.From != "" && old.State != c.From {
		return refused(conflict("node %d: is %s, not %s", c.Number, old.State, c.From))
	}
	if old.State == c.To {
		return Result{Node: old}
	}
	if !slices.Contains(nextStates[old.State], c.To) {
		return refused(conflict("node %d: is %s and cannot become %s", c.Number, old.State, c.To))
	}
	if c.To == Removed {
		if err := s.mayGo(c.Number, c.Force); err != nil {
			return refused(err)
		}
	}
	n := *old
	n.State, n.Since = c.To, at
	s.setNode(&n)
	return Result{Node: &n}
}

// mayGo refuses the removal of a node that is needed. That it follows the
// control group is no reason to keep it.
func (s *State) mayGo(number uint16, force bool) error {
	for _, x := range s.view.shards {
		if !x.On(number) {
			continue
		}
		all := x.Voters()
		others := slices.DeleteFunc(slices.Clone(all), func(m Member) bool { return m.Node == number })
		switch {
		case len(others) == 0:
			return conflict("node %d: holds the last copy of %s", number, GroupName(x.ID))
		case !force && (x.ID != Control || len(others) < len(all)):
			return conflict("node %d: still holds a replica of %s; drain it first", number, GroupName(x.ID))
		}
	}
	return nil
}

func (c *SetReplicas) apply(s *State, _ int64) Result {
	cl := *s.view.cluster
	cl.Replicas = c.Replicas
	s.setCluster(cl)
	return Result{}
}

func (c *PlanShards) apply(s *State, at int64) Result {
	var r Result
	for _, p := range c.Plans {
		if err := s.plan(p, at); err != nil {
			r.Refused = append(r.Refused, Refusal{Shard: p.Shard, Err: err})
		}
	}
	if len(r.Refused) == len(c.Plans) {
		r.Err = r.Refused[0].Err
	}
	return r
}

func (s *State) plan(p ShardPlan, at int64) error {
	old, ok := s.view.Shard(p.Shard)
	if !ok {
		return analytics.Errorf(analytics.NotFound, "shard: there is no shard %d", p.Shard)
	}
	if old.Rev != p.Rev {
		return conflict("%s: was changed meanwhile", GroupName(p.Shard))
	}
	x := *old
	if p.Op == nil {
		if old.Op == nil {
			return conflict("%s: has no operation under way", GroupName(p.Shard))
		}
		x.Op, x.GivenUp = nil, at
		s.setShard(&x)
		return nil
	}
	if old.Op != nil {
		return conflict("%s: has an operation under way", GroupName(p.Shard))
	}
	op := &Op{Kind: p.Op.Kind, Promote: p.Op.Promote, Demote: p.Op.Demote, Remove: p.Op.Remove, Since: at, ConfIndex: old.ConfIndex}
	for _, a := range p.Op.Add {
		n, err := s.node(a.Node)
		switch {
		case err != nil:
			return err
		case n.State == Dead || n.State == Removed || a.Role == Voter && (n.State != Active || !n.Data()):
			return conflict("%s: node %d cannot take a %s", GroupName(p.Shard), a.Node, a.Role)
		case old.On(a.Node) || slices.ContainsFunc(op.Add, func(m Member) bool { return m.Node == a.Node }):
			return conflict("%s: node %d has a replica already", GroupName(p.Shard), a.Node)
		}
		op.Add = append(op.Add, Member{Node: a.Node, Replica: ReplicaID(x.NextSerial, a.Node), Role: a.Role})
		x.NextSerial++
	}
	if err := checkMembers(old, op); err != nil {
		return err
	}
	x.Op = op
	s.setShard(&x)
	return nil
}

// checkMembers refuses an operation that names other members than there are, or
// leaves an even number of voters.
func checkMembers(x *Shard, op *Op) error {
	seen := map[uint64]bool{}
	for _, list := range []struct {
		replicas []uint64
		role     Role // what they must be now; "" for any
	}{{op.Promote, Learner}, {op.Demote, Voter}, {op.Remove, ""}} {
		for _, r := range list.replicas {
			i := slices.IndexFunc(x.Members, func(m Member) bool { return m.Replica == r })
			if i < 0 || seen[r] || list.role != "" && x.Members[i].Role != list.role {
				return conflict("%s: replica %d is not a member to be changed so", GroupName(x.ID), r)
			}
			seen[r] = true
		}
	}
	if n := len(voters(op.after(x.Members))); n%2 == 0 {
		return conflict("%s: would have %d voters", GroupName(x.ID), n)
	}
	return nil
}

func (c *NoteShards) apply(s *State, _ int64) Result {
	for _, n := range c.Notes {
		old, ok := s.view.Shard(n.Shard)
		if !ok || n.ConfIndex <= old.ConfIndex {
			continue
		}
		x := *old
		x.Members, x.ConfIndex = n.Members, n.ConfIndex
		for _, m := range n.Members {
			x.NextSerial = max(x.NextSerial, m.Replica>>16+1)
		}
		if x.Op != nil && x.Op.Done(x.Members) {
			x.Op = nil
		}
		s.setShard(&x)
	}
	return Result{}
}

func (c *ChooseSalt) apply(s *State, at int64) Result {
	if old, ok := s.view.Salt(c.Family, c.Period); ok {
		if old.ID == c.ID {
			return Result{Salt: old}
		}
		return Result{Salt: old, Err: conflict("salt: of the %s of day %d was chosen already", c.Family, c.Period)}
	}
	if at >= c.Family.Begin(c.Family.Next(c.Period))+SaltGrace {
		return refused(conflict("salt: the %s of day %d is over", c.Family, c.Period)) // it may have had one
	}
	x := &Salt{Family: c.Family, Period: c.Period, ID: c.ID, By: c.By, At: at}
	s.view.salts = put(s.view.salts, x, saltOf)
	s.dirty[Ref{RefSalt, saltOf(x)}] = struct{}{}
	return Result{Salt: x}
}

func (c *RetireSalts) apply(s *State, at int64) Result {
	var keep []*Salt
	for _, x := range s.view.salts {
		if x.Family == c.Family && x.Period < c.Before && at >= c.Family.Begin(c.Family.Next(x.Period))+SaltGrace {
			s.dirty[Ref{RefSalt, saltOf(x)}] = struct{}{}
			continue
		}
		keep = append(keep, x)
	}
	s.view.salts = keep
	return Result{}
}

func (c *RaiseGate) apply(s *State, _ int64) Result {
	cl := *s.view.cluster
	if c.To <= cl.Gate {
		return refused(conflict("gate: is %d already", cl.Gate))
	}
	for _, n := range s.view.nodes {
		if n.State != Removed && n.GateMax < c.To {
			return refused(conflict("gate: node %d reads formats up to %d only", n.Number, n.GateMax))
		}
	}
	cl.Gate = c.To
	s.setCluster(cl)
	return Result{}
}
