package member

import (
	"context"
	"encoding/json"
	"time"

	"footfall/analytics"
	"footfall/cluster/placement/controller"
	"footfall/cluster/rafthost"
)

// stepMax bounds one step of the controller.
const stepMax = 10 * time.Second

// step is what the controller wants a node to do.
type step struct {
	Do      string   `json:"do"`
	Group   uint16   `json:"group"`
	After   uint64   `json:"after,omitempty"`
	Add     []uint64 `json:"add,omitempty"`
	Promote []uint64 `json:"promote,omitempty"`
	Demote  []uint64 `json:"demote,omitempty"`
	Remove  []uint64 `json:"remove,omitempty"`
	Replica uint64   `json:"replica,omitempty"`
}

const (
	doMembers  = "members"
	doDestroy  = "destroy"
	doTransfer = "transfer"
)

func (m *Member) takeStep(ctx context.Context, body []byte) error {
	var s step
	if err := strict(body, &s); err != nil {
		return err
	}
	return m.carryOut(ctx, s)
}

// carryOut does a step on this node.
func (m *Member) carryOut(ctx context.Context, s step) error {
	defer m.News()
	host, g := m.parts.Load().Host, rafthost.Group(s.Group)
	switch s.Do {
	case doMembers:
		return host.ChangeMembers(ctx, g, rafthost.Change{After: s.After, AddLearners: s.Add, Promote: s.Promote, Demote: s.Demote, Remove: s.Remove})
	case doDestroy:
		if host.Status(g).Replica != s.Replica {
			return nil // gone, or another one is here
		}
		return host.RemoveReplica(g)
	case doTransfer:
		return host.TransferLeader(g, s.Replica)
	}
	return analytics.Errorf(analytics.Invalid, "step: %q is not known to this release", s.Do)
}

// Executor carries out the controller's steps: it is controller.Executor.
type Executor struct{ m *Member }

// Executor gives the member as the controller's hands.
func (m *Member) Executor() Executor { return Executor{m} }

// AddLearners implements controller.Executor. The nodes make their empty replicas
// by themselves as well, when the leader first writes to them.
func (x Executor) AddLearners(ctx context.Context, leader, shard uint16, after uint64, replicas []uint64) error {
	return x.m.do(ctx, leader, step{Do: doMembers, Group: shard, After: after, Add: replicas})
}

// ChangeMembers implements controller.Executor.
func (x Executor) ChangeMembers(ctx context.Context, leader, shard uint16, c controller.Members) error {
	return x.m.do(ctx, leader, step{Do: doMembers, Group: shard, After: c.After, Promote: c.Promote, Demote: c.Demote, Remove: c.Remove})
}

// RemoveReplica implements controller.Executor.
func (x Executor) RemoveReplica(ctx context.Context, node, shard uint16, replica uint64) error {
	return x.m.do(ctx, node, step{Do: doDestroy, Group: shard, Replica: replica})
}

// Transfer implements controller.Executor.
func (x Executor) Transfer(ctx context.Context, leader, shard uint16, to uint64) error {
	return x.m.do(ctx, leader, step{Do: doTransfer, Group: shard, Replica: to})
}

// do has a node do a step, this one too.
func (m *Member) do(ctx context.Context, node uint16, s step) error {
	within, cancel := context.WithTimeout(ctx, stepMax)
	defer cancel()
	if node == m.Self() {
		return m.carryOut(within, s)
	}
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = m.wire.Call(within, node, callStep, body)
	return err
}
