package node

import (
	"context"
	"errors"
	"time"

	"footfall/analytics"
	"footfall/analytics/entry"
	"footfall/cluster"
	"footfall/cluster/member"
	"footfall/cluster/rafthost"
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

func (o orders) RaiseGate(ctx context.Context) error {
	return o.do(ctx, member.Order{Do: "raise"})
}

func (o orders) Move(ctx context.Context, shard, from, to uint16) error {
	return o.do(ctx, member.Order{Do: "move", Shard: shard, From: from, To: to})
}

// delivered is what a shard decided about a batch.
type delivered struct {
	Verdict  cluster.Verdict `json:"verdict"`
	Expected uint64          `json:"expected"` // of gap: the number that would have been next
	Epoch    uint32          `json:"epoch"`    // of gap and fenced: the edge's, as the shard knows it
}

// deliverPause is the rest before a batch is sent again that was not decided on.
const deliverPause = 50 * time.Millisecond

// Deliver implements operator.Cluster: the batch is sent again until its shard
// has decided, or ctx ends.
func (o orders) Deliver(ctx context.Context, shard uint16, batch []byte) (any, error) {
	hd, err := entry.Check(batch)
	switch {
	case shard >= cluster.Shards:
		return nil, analytics.Errorf(analytics.Invalid, "shard: there is none such")
	case err != nil || hd.Epoch == 0 || hd.Sequence == 0:
		return nil, analytics.Errorf(analytics.Invalid, "body: must be a numbered batch of a shard: %w", errors.Join(err))
	case hd.Edge == o.n.store.Ident().Node:
		return nil, analytics.Errorf(analytics.Conflict, "body: the batch is of this node, which delivers it by itself")
	}
	for {
		reply, err := o.offer(ctx, shard, batch)
		if err != nil {
			return nil, err
		}
		switch reply.Verdict {
		case cluster.Applied, cluster.Duplicate, cluster.Gap, cluster.Fenced:
			return delivered{reply.Verdict, reply.Expected, reply.Epoch}, nil
		}
		select {
		case <-ctx.Done():
			return nil, analytics.Errorf(analytics.Unavailable, "shard: no decision about the batch in time; it may be sent again")
		case <-time.After(deliverPause):
		}
	}
}

// offer sends a batch once to the shard's leader.
func (o orders) offer(ctx context.Context, shard uint16, batch []byte) (cluster.Reply, error) {
	n, replies := o.n, make(chan cluster.Reply, 1)
	if n.host.Leads(rafthost.Group(shard)) {
		n.router.Offered(shard, batch, func(r cluster.Reply) { replies <- r })
	} else if leader, ok := n.member.Leader(shard); ok && leader != n.member.Self() {
		n.member.SendBatch(leader, shard, batch, func(r cluster.Reply) { replies <- r })
	} else {
		return cluster.Reply{Verdict: cluster.NotLeader}, nil
	}
	select {
	case r := <-replies:
		return r, nil
	case <-ctx.Done():
		return cluster.Reply{}, analytics.Errorf(analytics.Unavailable, "shard: no answer about the batch in time; it may be sent again")
	}
}
