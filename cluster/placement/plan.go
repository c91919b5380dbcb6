package placement

import (
	"slices"
	"time"
)

// Settings of the planner. The zero value means the defaults.
type Settings struct {
	LiveWithin time.Duration // a node heard of within this is alive; default 10 s
	DeadAfter  time.Duration // one not heard of for this is dead; default 10 min
	GiveUp     time.Duration // a new replica's node not heard of for this ends its operation; default 1 min
	// Quarantine is how long a replica that no configuration ever had is left
	// alone after its operation was given up: longer than any step can be under
	// way. Default 30 s.
	Quarantine   time.Duration
	SnapshotsMax int // new replicas being filled, into and out of each node; default 2
	DrainMax     int // leaders handed over at a time by a node that should lead nothing; default 8
}

func (s Settings) withDefaults() Settings {
	for _, x := range []struct {
		to  *time.Duration
		def time.Duration
	}{{&s.LiveWithin, 10 * time.Second}, {&s.DeadAfter, 10 * time.Minute}, {&s.GiveUp, time.Minute}, {&s.Quarantine, 30 * time.Second}} {
		if *x.to <= 0 {
			*x.to = x.def
		}
	}
	if s.SnapshotsMax <= 0 {
		s.SnapshotsMax = 2
	}
	if s.DrainMax <= 0 {
		s.DrainMax = 8
	}
	return s
}

// Plan gives the steps that are safe to take now, in no particular order, at
// most one of them per group that is not a command. now is Unix ms. It changes
// nothing: whoever carries the steps out tells reports.
func Plan(view *View, reports *Reports, now int64, set Settings) []Step {
	if _, ok := view.Cluster(); !ok {
		return nil
	}
	p := newPlanner(view, reports, now, set.withDefaults())
	p.nodeStates()
	p.notes()
	p.operations()
	p.newOperations()
	p.transfers()
	p.leftovers()
	return p.done()
}

// planner is one run of Plan.
type planner struct {
	v       *View
	r       *Reports
	now     int64
	set     Settings
	nodes   map[uint16]*nodeState
	list    []*nodeState // by number
	reports map[uint16]*ShardReport
	failed  map[uint64]map[uint16]bool // by replica: in these groups it does not serve

	steps []Step
	plans []ShardPlan
	used  map[uint16]bool // groups that have a step, or a command about them
}

// nodeState is what the planner knows of a node.
type nodeState struct {
	*Node
	live    bool // alive now
	silent  int64
	shed    bool
	load    int // shard voters, as they will be when all operations are done
	leaders int // shards led
	in, out int // new replicas being filled
	moves   int // leaders that come or go now
}

// target tells whether the node may be given replicas.
func (n *nodeState) target() bool {
	return n.live && n.State == Active && n.Data() && !n.shed
}

// gone tells whether the node is not coming back.
func (n *nodeState) gone() bool { return n.State == Dead || n.State == Removed }

func newPlanner(v *View, r *Reports, now int64, set Settings) *planner {
	p := &planner{v: v, r: r, now: now, set: set, nodes: map[uint16]*nodeState{}, used: map[uint16]bool{}, failed: map[uint64]map[uint16]bool{}}
	for _, n := range v.Nodes() {
		x := &nodeState{Node: n, silent: now - max(r.seen(n.Number), n.Since)}
		h := r.heard[n.Number]
		x.live = n.State != Removed && h != nil && max(h.at, h.active) > 0 && now-max(h.at, h.active) <= set.LiveWithin.Milliseconds()
		x.shed = h != nil && h.report.Shed
		if h != nil {
			for _, o := range h.report.Hosted {
				if o.Failed {
					if p.failed[o.Replica] == nil {
						p.failed[o.Replica] = map[uint16]bool{}
					}
					p.failed[o.Replica][o.Group] = true
				}
			}
		}
		p.nodes[n.Number] = x
		p.list = append(p.list, x)
	}
	p.reports = r.Leaders(now - set.LiveWithin.Milliseconds())
	for _, s := range v.Shards() {
		if s.ID == Control {
			continue
		}
		for _, m := range voters(s.Intended()) {
			if n := p.nodes[m.Node]; n != nil {
				n.load++
			}
		}
		if rep := p.reports[s.ID]; rep != nil {
			if n := p.nodes[NodeOf(rep.Replica)]; n != nil {
				n.leaders++
			}
		}
	}
	for _, s := range v.Shards() {
		p.countFilling(s)
	}
	for _, s := range r.busy {
		if s.Kind == StepTransfer {
			p.moving(s.Node, NodeOf(s.Replica))
		}
	}
	return p
}

func (p *planner) moving(from, to uint16) {
	for _, number := range []uint16{from, to} {
		if n := p.nodes[number]; n != nil {
			n.moves++
		}
	}
}

// countFilling counts the new replicas of a group that are not filled yet.
func (p *planner) countFilling(s *Shard) {
	if s.Op == nil {
		return
	}
	rep := p.reports[s.ID]
	for _, m := range s.Op.Add {
		if rep != nil && rep.CaughtUp(m.Replica) {
			continue
		}
		if n := p.nodes[m.Node]; n != nil {
			n.in++
		}
		if rep != nil {
			if n := p.nodes[NodeOf(rep.Replica)]; n != nil {
				n.out++
			}
		}
	}
}

// busy tells whether something about the group is under way.
func (p *planner) busy(id uint16) bool {
	_, busy := p.r.busy[id]
	return busy || p.used[id]
}

// step takes a step; one per group.
func (p *planner) step(s Step) {
	p.used[s.Shard] = true
	p.steps = append(p.steps, s)
}

func (p *planner) command(c Change) {
	p.steps = append(p.steps, Step{Kind: StepCommand, Change: c})
}

// plan takes the intention to change a group.
func (p *planner) plan(s *Shard, op *OpPlan) {
	p.used[s.ID] = true
	p.plans = append(p.plans, ShardPlan{Shard: s.ID, Rev: s.Rev, Op: op})
}

func (p *planner) done() []Step {
	if len(p.plans) > 0 {
		p.command(&PlanShards{Plans: p.plans})
	}
	return p.steps
}

// nodeStates moves nodes on: a follower of the control group becomes active, one
// that is not heard of dead, one that is heard of again active.
func (p *planner) nodeStates() {
	control := p.reports[Control]
	for _, n := range p.list {
		switch {
		case n.State == Joining && n.live && control != nil && p.follows(control, n.Number):
			p.command(&SetNodeState{Number: n.Number, From: Joining, To: Active})
		case n.State == Dead && n.live:
			p.command(&SetNodeState{Number: n.Number, From: Dead, To: Active})
		case (n.State == Joining || n.State == Active || n.State == Draining) && n.silent > p.set.DeadAfter.Milliseconds():
			p.command(&SetNodeState{Number: n.Number, From: n.State, To: Dead})
		}
		if h := p.r.heard[n.Number]; n.State != Removed && n.live && h.at >= 0 && h.report.Ident == n.Ident {
			p.update(n.Node, &h.report)
		}
	}
}

func (p *planner) follows(rep *ShardReport, node uint16) bool {
	for _, m := range rep.Members() {
		if m.Node == node && rep.CaughtUp(m.Replica) {
			return true
		}
	}
	return false
}

// update writes down what changed about a node.
func (p *planner) update(n *Node, rep *NodeReport) {
	c := &UpdateNode{Number: n.Number}
	if rep.Epoch > n.Epoch {
		c.Epoch = &rep.Epoch
	}
	if rep.GateMax != 0 && rep.GateMax != n.GateMax {
		c.GateMax = &rep.GateMax
	}
	if rep.Version != "" && rep.Version != n.Version && len(rep.Version) <= textMax {
		c.Version = &rep.Version
	}
	if c.Epoch != nil || c.GateMax != nil || c.Version != nil {
		p.command(c)
	}
}

// notes writes down new configurations.
func (p *planner) notes() {
	var notes []ShardNote
	for _, s := range p.v.Shards() {
		if rep := p.reports[s.ID]; rep != nil && !rep.Joint && rep.ConfIndex > s.ConfIndex && len(rep.Voters) > 0 {
			notes = append(notes, ShardNote{Shard: s.ID, ConfIndex: rep.ConfIndex, Members: rep.Members()})
		}
	}
	if len(notes) > 0 {
		p.command(&NoteShards{Notes: notes})
	}
}

// settled gives the report of a group's leader if it can be acted on: it is of
// the configuration that the table has, or of a newer one, and that is no joint
// one.
func (p *planner) settled(s *Shard) *ShardReport {
	rep := p.reports[s.ID]
	if rep == nil || rep.Joint || rep.ConfIndex < s.ConfIndex || p.busy(s.ID) {
		return nil
	}
	return rep
}

// operations takes the next step of those under way.
func (p *planner) operations() {
	for _, s := range p.v.Shards() {
		if s.Op == nil || p.busy(s.ID) {
			continue
		}
		if p.hopeless(s.Op) {
			p.plan(s, nil)
			continue
		}
		if rep := p.settled(s); rep != nil {
			p.advance(s, rep)
		}
	}
}

// hopeless tells whether a replica of the operation cannot become what it
// should.
func (p *planner) hopeless(op *Op) bool {
	for _, r := range op.Promote {
		if n := p.nodes[NodeOf(r)]; n == nil || n.State != Active || n.silent > p.set.GiveUp.Milliseconds() {
			return true
		}
	}
	return slices.ContainsFunc(op.Add, func(m Member) bool {
		n := p.nodes[m.Node]
		return n == nil || n.gone() || m.Role == Voter && n.State != Active || n.silent > p.set.GiveUp.Milliseconds()
	})
}

func (p *planner) advance(s *Shard, rep *ShardReport) {
	op, now := s.Op, rep.Members()
	role := func(replica uint64) Role {
		for _, m := range now {
			if m.Replica == replica {
				return m.Role
			}
		}
		return ""
	}
	leader := NodeOf(rep.Replica)
	c := Step{Kind: StepChange, Shard: s.ID, Node: leader, After: rep.ConfIndex}
	var missing []uint64
	for _, m := range op.Add {
		switch role(m.Replica) {
		case "":
			missing = append(missing, m.Replica)
		case Learner:
			if m.Role == Voter {
				c.Promote = append(c.Promote, m.Replica)
			}
		}
	}
	if len(missing) > 0 {
		p.step(Step{Kind: StepAddLearners, Shard: s.ID, Node: leader, After: rep.ConfIndex, Replicas: missing})
		return
	}
	for _, r := range op.Promote {
		if role(r) == Learner {
			c.Promote = append(c.Promote, r)
		}
	}
	for _, r := range op.Demote {
		if role(r) == Voter {
			c.Demote = append(c.Demote, r)
		}
	}
	for _, r := range op.Remove {
		if role(r) != "" {
			c.Remove = append(c.Remove, r)
		}
	}
	if len(c.Promote)+len(c.Demote)+len(c.Remove) == 0 {
		return // it is done: the note of it ends it
	}
	for _, r := range c.Promote {
		if !rep.CaughtUp(r) {
			return
		}
	}
	if !p.safe(rep, c) {
		if p.now-op.Since > p.set.GiveUp.Milliseconds() {
			p.plan(s, nil) // others may be chosen now
		}
		return
	}
	if slices.Contains(c.Demote, rep.Replica) || slices.Contains(c.Remove, rep.Replica) {
		if to, ok := p.successor(rep, c); ok {
			p.transfer(rep, to)
			return
		}
	}
	p.step(c)
}

// safe tells whether a change leaves an odd number of voters, more than half of
// which are alive.
func (p *planner) safe(rep *ShardReport, c Step) bool {
	var next []uint64
	for _, r := range rep.Voters {
		if !slices.Contains(c.Demote, r) && !slices.Contains(c.Remove, r) {
			next = append(next, r)
		}
	}
	next = append(next, c.Promote...)
	alive := 0
	for _, r := range next {
		if p.alive(rep, r) {
			alive++
		}
	}
	return len(next)%2 == 1 && alive > len(next)/2
}

// alive tells whether a replica answers its leader and serves.
func (p *planner) alive(rep *ShardReport, replica uint64) bool {
	m, ok := rep.Of(replica)
	n := p.nodes[NodeOf(replica)]
	return ok && m.Active && n != nil && n.live && !p.failed[replica][rep.Group]
}

// successor finds who can lead a group after a change that takes its leader
// away: a voter that stays one.
func (p *planner) successor(rep *ShardReport, c Step) (uint64, bool) {
	var best *nodeState
	var to uint64
	for _, r := range rep.Voters {
		n := p.nodes[NodeOf(r)]
		if slices.Contains(c.Demote, r) || slices.Contains(c.Remove, r) || r == rep.Replica || !p.mayLead(rep, r) {
			continue
		}
		if best == nil || n.leaders < best.leaders {
			best, to = n, r
		}
	}
	return to, best != nil
}

// mayLead tells whether a voter could take over.
func (p *planner) mayLead(rep *ShardReport, replica uint64) bool {
	n := p.nodes[NodeOf(replica)]
	return n != nil && n.State == Active && !n.shed && p.alive(rep, replica) && rep.CaughtUp(replica)
}

func (p *planner) transfer(rep *ShardReport, to uint64) {
	from := NodeOf(rep.Replica)
	p.moving(from, NodeOf(to))
	if rep.Group != Control {
		if n := p.nodes[from]; n != nil {
			n.leaders--
		}
		if n := p.nodes[NodeOf(to)]; n != nil {
			n.leaders++
		}
	}
	p.step(Step{Kind: StepTransfer, Shard: rep.Group, Node: from, After: rep.ConfIndex, Replica: to})
}

// leftovers removes replicas that are no members any more from the disks of
// their nodes.
func (p *planner) leftovers() {
	for _, n := range p.list {
		h := p.r.heard[n.Number]
		if h == nil || h.at < 0 || p.now-h.at > p.set.LiveWithin.Milliseconds() {
			continue
		}
		for _, o := range h.report.Hosted {
			s, ok := p.v.Shard(o.Group)
			if !ok || NodeOf(o.Replica) != n.Number || h.seq <= p.r.acted[o.Group] || !p.unwanted(s, o.Replica) {
				continue
			}
			p.step(Step{Kind: StepRemove, Shard: o.Group, Node: n.Number, After: s.ConfIndex, Replica: o.Replica})
		}
	}
}

// unwanted tells whether a replica is certainly no member: a leader says so in
// the configuration that the table has, no operation is about to add it, and no
// step of one that was given up can still be on its way.
func (p *planner) unwanted(s *Shard, replica uint64) bool {
	rep := p.settled(s)
	if rep == nil || rep.ConfIndex != s.ConfIndex || slices.Contains(rep.Voters, replica) || slices.Contains(rep.Learners, replica) {
		return false
	}
	if s.Op != nil && slices.ContainsFunc(s.Op.Add, func(m Member) bool { return m.Replica == replica }) {
		return false
	}
	return s.GivenUp == 0 || p.now-s.GivenUp > p.set.Quarantine.Milliseconds()
}
