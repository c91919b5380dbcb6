package node

import (
	"context"

	"footfall/cluster/member"
	"footfall/http/operator"
)

// orders is the cluster as its operators see it; see operator.Cluster.
type orders struct{ n *Node }

// orders gives what operators can ask of the cluster; nil on a node alone.
func (n *Node) orders() operator.Cluster {
	if n.clustered() {
		return orders{n}
	}
	return nil
}

func (o orders) Status(ctx context.Context) (any, error) {
	return o.n.member.Operate(ctx, member.Order{Do: "status"})
}

func (o orders) do(ctx context.Context, order member.Order) error {
	_, err := o.n.member.Operate(ctx, order)
	return err
}

func (o orders) Drain(ctx context.Context, node uint16) error {
	return o.do(ctx, member.Order{Do: "drain", Node: node})
}

func (o orders) Undrain(ctx context.Context, node uint16) error {
	return o.do(ctx, member.Order{Do: "undrain", Node: node})
}

func (o orders) Remove(ctx context.Context, node uint16, force bool) error {
	return o.do(ctx, member.Order{Do: "remove", Node: node, Force: force})
}

func (o orders) Move(ctx context.Context, shard, from, to uint16) error {
	return o.do(ctx, member.Order{Do: "move", Shard: shard, From: from, To: to})
}
