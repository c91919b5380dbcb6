package member

import (
	"context"
	"encoding/json"

	"footfall/analytics"
	"footfall/cluster/placement/controller"
)

// Order is what an operator wants of the cluster.
type Order struct {
	Do    string `json:"do"` // status, drain, undrain, remove, raise, move
	Node  uint16 `json:"node,omitempty"`
	Force bool   `json:"force,omitempty"` // of remove
	Shard uint16 `json:"shard,omitempty"` // of move, with From and To
	From  uint16 `json:"from,omitempty"`
	To    uint16 `json:"to,omitempty"`
}

// Operate has the node that leads the control group carry out an order. The
// answer is of status.
func (m *Member) Operate(ctx context.Context, o Order) (*controller.Status, error) {
	p := m.parts.Load()
	if p == nil {
		return nil, errNotReady
	}
	leader := m.ControlLeader()
	switch {
	case leader == m.Self():
		return m.obey(ctx, o)
	case leader == 0 && o.Do == orderStatus:
		s := p.Controller.Status() // what this node knows
		return &s, nil
	case leader == 0:
		return nil, errNoLeader
	}
	body, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	answer, err := m.wire.Call(ctx, leader, callOperate, body)
	if err != nil || o.Do != orderStatus {
		return nil, err
	}
	var s controller.Status
	if err := json.Unmarshal(answer, &s); err != nil {
		return nil, analytics.Errorf(analytics.Unavailable, "cluster: the answer of node %d is not understood: %w", leader, err)
	}
	return &s, nil
}

const orderStatus = "status"

var errNoLeader = &analytics.Error{Code: analytics.Unavailable, Text: "the control group has no leader just now"}

func (m *Member) takeOrder(ctx context.Context, body []byte) ([]byte, error) {
	var o Order
	if err := strict(body, &o); err != nil {
		return nil, err
	}
	s, err := m.obey(ctx, o)
	if err != nil || s == nil {
		return nil, err
	}
	return json.Marshal(s)
}

// obey carries an order out on this node.
func (m *Member) obey(ctx context.Context, o Order) (*controller.Status, error) {
	c := m.parts.Load().Controller
	switch o.Do {
	case orderStatus:
		s := c.Status()
		return &s, nil
	case "drain":
		return nil, c.Drain(ctx, o.Node)
	case "undrain":
		return nil, c.Undrain(ctx, o.Node)
	case "remove":
		return nil, c.Remove(ctx, o.Node, o.Force)
	case "raise":
		return nil, c.RaiseGate(ctx)
	case "move":
		return nil, c.Move(ctx, o.Shard, o.From, o.To)
	}
	return nil, analytics.Errorf(analytics.Invalid, "do: %q is not an order", o.Do)
}
