package member

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"footfall/cluster"
	"footfall/cluster/placement"
	"footfall/cluster/rafthost"
)

// sendMax is how long a batch's answer may take.
const sendMax = 2 * time.Second

// takeBatch answers another node's batch: shard(2) entry.
func (m *Member) takeBatch(ctx context.Context, body []byte) ([]byte, error) {
	if len(body) < 2 {
		return nil, errUnknownCall
	}
	answers := make(chan cluster.Reply, 1)
	m.parts.Load().Router.Offered(binary.BigEndian.Uint16(body), body[2:], func(r cluster.Reply) { answers <- r })
	select {
	case r := <-answers:
		return r.Append(nil), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// SendBatch brings a batch to the leader of its shard; it is
// cluster.Config.Send.
func (m *Member) SendBatch(node, shard uint16, batch []byte, done func(cluster.Reply)) {
	body := shardAnd(shard, batch)
	m.sends.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), sendMax)
		defer cancel()
		r := cluster.Reply{Verdict: cluster.Lost}
		answer, err := m.wire.Call(ctx, node, callBatch, body)
		if err == nil {
			r, err = cluster.ParseReply(answer)
		}
		switch {
		case err != nil:
			r = cluster.Reply{Verdict: cluster.Lost}
			m.hint(shard, 0)
			m.cfg.Logger.Debug("batch not answered", "node", node, "shard", shard, "error", err)
		case r.Verdict == cluster.NotLeader:
			m.hint(shard, r.Leader)
		case r.Verdict != cluster.Busy:
			m.hint(shard, node)
		}
		done(r)
	})
}

func (m *Member) hint(shard, node uint16) {
	if int(shard) < len(m.hints) {
		m.hints[shard].Store(uint32(node))
	}
}

// ControlLeader is the node that leads the control group, 0 if it is not known.
func (m *Member) ControlLeader() uint16 {
	if p := m.parts.Load(); p != nil {
		return placement.NodeOf(p.Host.Leader(rafthost.Control))
	}
	return 0
}

// Leader gives the node that leads a shard: as this node's replica knows, as
// another node said, or one that has a replica and will say. It is
// cluster.Config.Leader.
func (m *Member) Leader(shard uint16) (node uint16, ok bool) {
	p := m.parts.Load()
	if p == nil {
		return 0, false
	}
	if r := p.Host.Leader(rafthost.Group(shard)); r != 0 {
		return placement.NodeOf(r), true
	}
	if m.Holds(shard) {
		return 0, false // a replica here knows of none
	}
	if n := uint16(m.hints[shard].Load()); n != 0 && m.wire.Connected(n) {
		return n, true
	}
	for _, n := range m.voters(shard) {
		if m.wire.Connected(n) {
			return n, true
		}
	}
	return 0, false
}

// voters lists the nodes that vote in a shard, another one first each second, so
// that a node that does not answer is not asked for ever.
func (m *Member) voters(shard uint16) (nodes []uint16) {
	s, ok := m.parts.Load().Control.Placement().Shard(shard)
	if !ok {
		return nil
	}
	for _, member := range s.Members {
		if member.Role == placement.Voter && member.Node != m.Self() {
			nodes = append(nodes, member.Node)
		}
	}
	if n := len(nodes); n > 1 {
		k := int(time.Now().Unix()) % n
		nodes = append(nodes[k:len(nodes):len(nodes)], nodes[:k]...)
	}
	return nodes
}

// Holds tells whether this node has a replica of a shard.
func (m *Member) Holds(shard uint16) bool {
	p := m.parts.Load()
	return p != nil && p.Holds(shard)
}

// Nearest gives the connected node that has a replica of a shard and is nearest to
// this one, or, if that is wanted, the shard's leader; false if there is none, or
// the leader is not known.
func (m *Member) Nearest(shard uint16, leader bool) (node uint16, ok bool) {
	if leader {
		n, ok := m.Leader(shard)
		return n, ok && n != m.Self() && m.wire.Connected(n)
	}
	nodes := m.voters(shard)
	m.nearestFirst(nodes)
	for _, n := range nodes {
		if m.wire.Connected(n) {
			return n, true
		}
	}
	return 0, false
}

// nearestFirst sorts nodes by how far they are from this one. Those that are
// equally far keep their order.
func (m *Member) nearestFirst(nodes []uint16) {
	v, self := m.parts.Load().Control.Placement(), m.cfg.Info
	far := func(number uint16) int {
		n, ok := v.Node(number)
		if !ok {
			return farthest
		}
		return distance(self.Region, self.Zone, n.Region, n.Zone)
	}
	slices.SortStableFunc(nodes, func(a, b uint16) int { return far(a) - far(b) })
}

const farthest = 3

// distance tells how far two nodes are from each other: 0 in one zone, 1 in
// another zone of the region, 2 in another region. A zone is one of its region.
func distance(region, zone, otherRegion, otherZone string) int {
	switch {
	case region != otherRegion:
		return 2
	case zone != otherZone:
		return 1
	}
	return 0
}

// Ask calls the Ask of another node.
func (m *Member) Ask(ctx context.Context, node uint16, kind uint8, body []byte) ([]byte, error) {
	return m.wire.Call(ctx, node, kind, body)
}
