package simulate

import (
	"context"
	"encoding/binary"
	"fmt"

	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
	"footfall/persistence"
)

// controlMachine is the control group's state machine on a node: placement
// without the accounts. Its records are written all at once as of an index.
type controlMachine struct {
	node    *node
	applied uint64
	written uint64
	state   *placement.State
}

func newControlMachine(n *node) *controlMachine {
	return &controlMachine{node: n, state: placement.NewState()}
}

func controlKey(r placement.Ref) []byte {
	return binary.BigEndian.AppendUint64([]byte{persistence.TableControl, r.Kind}, r.ID)
}

func loadControl(n *node) (*controlMachine, error) {
	c := newControlMachine(n)
	from, to := persistence.StateSpan(uint16(rafthost.Control))
	err := n.store.Scan(from, to, func(k, v []byte) error {
		return c.state.Restore(placement.Ref{Kind: k[1], ID: binary.BigEndian.Uint64(k[2:])}, v)
	})
	return c, err
}

func (c *controlMachine) apply(index uint64, data []byte) {
	n, s := c.node, c.node.sim
	c.applied = index
	s.truth.appliedControl(n, index, data)
	cmd, err := placement.DecodeCommand(data)
	if err != nil {
		s.fail(InvariantLog, "node %d: entry %d of the control group: %v", n.number, index, err)
		return
	}
	if r := c.state.Apply(cmd); r.Err == nil {
		s.note(evCommand, uint64(n.number), index, uint64(data[1]))
	}
}

func (c *controlMachine) flush() {
	n := c.node
	if c.applied <= c.written {
		return
	}
	b := n.store.NewBatch()
	v := c.state.View()
	for _, r := range c.state.TakeDirty() {
		body, err := v.Record(r)
		if err != nil {
			n.sim.fail(InvariantServes, "node %d: %v", n.number, err)
			return
		}
		if body == nil {
			b.Delete(controlKey(r))
		} else {
			b.Set(controlKey(r), body)
		}
	}
	to := c.applied
	n.host.Persisted(b, rafthost.Control, to)
	if n.store.Commit(b, false) != nil {
		return
	}
	n.host.Truncated(rafthost.Control, to)
	c.written = to
}

// propose hands a change to the control group, if this node leads it.
func (n *node) propose(c placement.Change) {
	if n.host == nil || !n.host.Leads(rafthost.Control) {
		return
	}
	b, err := placement.Command{At: n.sim.now().UnixMilli(), Change: c}.Append(nil)
	if err != nil {
		n.sim.fail(InvariantServes, "encode a command: %v", err)
		return
	}
	n.proposed = append(n.proposed, b)
	n.host.Notify(rafthost.Control)
}

func (n *node) info() placement.NodeInfo {
	return placement.NodeInfo{Ident: n.ident, Name: fmt.Sprint("n", n.slot), Zone: n.zone, Cluster: "sim:1", HTTP: "sim:2", Roles: placement.RoleEdge | placement.RoleData, GateMax: 1}
}

// askToJoin has some member take this node in.
func (n *node) askToJoin() {
	s := n.sim
	if s.step-n.asked < 20 {
		return
	}
	n.asked = s.step
	to := s.nodes[s.rng.IntN(len(s.nodes))]
	if to == n {
		return
	}
	info := n.info()
	s.net.send(n, to, func() { to.takeIn(n, info) })
}

// takeIn answers a node that asks to be taken in, or passes it on to the leader.
func (n *node) takeIn(who *node, info placement.NodeInfo) {
	s := n.sim
	if n.host == nil || n.control == nil {
		return
	}
	x, known := n.control.state.View().NodeByIdent(info.Ident)
	switch {
	case known:
		number := x.Number
		s.net.send(n, who, func() {
			if who.host == nil && who.number == 0 && who.ident == info.Ident {
				who.number = number
				s.note(evJoin, uint64(who.slot), uint64(number), 0)
				if who.keepNumber(); who.up {
					who.open()
				}
			}
		})
	case n.host.Leads(rafthost.Control):
		n.propose(&placement.AddNode{Node: info})
	default:
		if leader := s.byNumber[placement.NodeOf(n.host.Leader(rafthost.Control))]; leader != nil && leader != n {
			s.net.send(n, leader, func() { leader.takeIn(who, info) })
		}
	}
}

// How often a node reports and a controller plans, in steps.
const (
	reportEvery = 20
	planEvery   = 20
	stepMax     = 600 // a step of a plan is given up after
)

// manage does what a member does for the cluster beside its shards.
func (n *node) manage() {
	s := n.sim
	at := (s.step + int64(n.slot)) % reportEvery
	if at == 0 {
		n.report()
	}
	if !n.host.Leads(rafthost.Control) || n.control == nil {
		n.reports = nil
		return
	}
	if n.reports == nil {
		n.reports = placement.NewReports(s.now().UnixMilli())
	}
	view := n.control.state.View()
	if _, founded := view.Cluster(); !founded {
		if at == 1 {
			n.propose(&placement.Found{ID: placement.ID{1}, Shards: len(s.groups) - 1, Replicas: replicas, Gate: 1, Node: n.info()})
		}
		return
	}
	if at == planEvery/2 {
		n.plan(view)
	}
}

// plan plans once and has the steps carried out.
func (n *node) plan(view *placement.View) {
	s := n.sim
	for _, step := range placement.Plan(view, n.reports, s.now().UnixMilli(), s.settings) {
		s.stats.Steps++
		if step.Kind == placement.StepCommand {
			n.propose(step.Change)
			continue
		}
		s.note(evStep, uint64(step.Kind), uint64(step.Shard), uint64(step.Node))
		n.reports.Begin(step)
		reports, ended := n.reports, false
		end := func() {
			if !ended {
				ended = true
				reports.End(step)
			}
		}
		s.net.after(stepMax, end)
		to := s.byNumber[step.Node]
		s.net.send(n, to, func() {
			to.carryOut(step)
			s.net.after(s.rng.IntN(60), func() { s.net.send(to, n, end) })
		})
	}
}

// carryOut does a step of a plan on this node.
func (n *node) carryOut(step placement.Step) {
	if n.host == nil {
		return
	}
	g := rafthost.Group(step.Shard)
	gone, cancel := context.WithCancel(context.Background())
	cancel() // what becomes of it is seen in the members
	switch step.Kind {
	case placement.StepAddLearners:
		_ = n.host.ChangeMembers(gone, g, rafthost.Change{After: step.After, AddLearners: step.Replicas})
	case placement.StepChange:
		_ = n.host.ChangeMembers(gone, g, rafthost.Change{After: step.After, Promote: step.Promote, Demote: step.Demote, Remove: step.Remove})
	case placement.StepRemove:
		n.removeReplica(g, step.Replica)
	case placement.StepTransfer:
		_ = n.host.TransferLeader(g, step.Replica)
	}
}

// report tells the controller how this node's replicas are.
func (n *node) report() {
	s := n.sim
	to := s.byNumber[placement.NodeOf(n.host.Leader(rafthost.Control))]
	if to == nil && s.bug != ReportsNeedReplica { // somebody will know
		to = s.nodes[s.rng.IntN(len(s.nodes))]
	}
	if to == nil {
		return
	}
	r := placement.NodeReport{Node: n.number, Ident: n.ident, GateMax: 1}
	if n.edge != nil {
		r.Epoch = n.edge.epoch
	}
	for _, g := range n.host.Groups() {
		st := n.host.Status(g)
		if st.Replica == 0 {
			continue
		}
		r.Hosted = append(r.Hosted, placement.Hosted{Group: uint16(g), Replica: st.Replica, Failed: st.Failed != nil})
		if st.Members == nil || st.Leader != st.Replica {
			continue
		}
		sh := placement.ShardReport{Group: uint16(g), Replica: st.Replica, Term: st.Term, Commit: st.Commit, ConfIndex: st.Conf.Index,
			Joint: len(st.Conf.Outgoing) > 0, Voters: st.Conf.Voters, Learners: st.Conf.Learners}
		for _, q := range st.Members {
			sh.Progress = append(sh.Progress, placement.Progress{Replica: q.Replica, Match: q.Match, Active: q.Active, Snapshot: q.Snapshot})
		}
		r.Leads = append(r.Leads, sh)
	}
	s.net.send(n, to, func() { to.take(n, r) })
}

// take takes a report in, or passes it on to the leader.
func (n *node) take(from *node, r placement.NodeReport) {
	s := n.sim
	switch {
	case n.reports != nil:
		n.reports.Take(r, s.now().UnixMilli())
	case n.host != nil && n != from:
		if leader := s.byNumber[placement.NodeOf(n.host.Leader(rafthost.Control))]; leader != nil && leader != n {
			s.net.send(n, leader, func() {
				if leader.reports != nil {
					leader.reports.Take(r, s.now().UnixMilli())
				}
			})
		}
	}
}
