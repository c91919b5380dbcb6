package controller

import (
	"context"
	"math"
	"slices"

	"footfall/analytics"
	"footfall/cluster/placement"
)

var errElsewhere = &analytics.Error{Code: analytics.Unavailable, Text: "this node does not lead the control group; ask the one that does"}

func refusef(format string, args ...any) error {
	return analytics.Errorf(analytics.Conflict, format, args...)
}

// node finds a node that an operator names, on the leader only.
func (c *Controller) node(number uint16) (*placement.View, *placement.Node, error) {
	if !c.cfg.Leads() {
		return nil, nil, errElsewhere
	}
	view := c.cfg.Log.Placement()
	n, ok := view.Node(number)
	if !ok {
		return nil, nil, analytics.Errorf(analytics.NotFound, "node: there is no node %d", number)
	}
	return view, n, nil
}

// Drain has everything leave a node, leaders first. NotFound for a node that is
// not there, Conflict when the others could not take what it holds, Unavailable
// on a node that does not lead the control group.
func (c *Controller) Drain(ctx context.Context, number uint16) error {
	view, n, err := c.node(number)
	if err != nil {
		return err
	}
	if n.Data() && n.State != placement.Draining {
		cl, _ := view.Cluster()
		others := 0
		for _, o := range view.Nodes() {
			if o.Number != number && o.State == placement.Active && o.Data() {
				others++
			}
		}
		most := 0
		for _, s := range view.Shards() {
			if s.ID != placement.Control && s.On(number) {
				most = max(most, min(cl.Replicas, len(s.Voters())))
			}
		}
		if others < most {
			return refusef("node %d: its shards have %d replicas and there are only %d other nodes for them; add a node or lower the number of replicas", number, most, others)
		}
	}
	return c.set(ctx, &placement.SetNodeState{Number: number, To: placement.Draining})
}

// Undrain lets a node be given replicas and leaders again.
func (c *Controller) Undrain(ctx context.Context, number uint16) error {
	_, n, err := c.node(number)
	if err != nil {
		return err
	}
	if n.State != placement.Draining {
		return refusef("node %d: is %s, not draining", number, n.State)
	}
	return c.set(ctx, &placement.SetNodeState{Number: number, From: placement.Draining, To: placement.Active})
}

// Remove takes a node out for ever: its disk never serves again. Without force it
// must hold nothing any more; with force it may hold replicas, which are then
// replaced, as long as every group keeps a live majority without it.
func (c *Controller) Remove(ctx context.Context, number uint16, force bool) error {
	view, _, err := c.node(number)
	if err != nil {
		return err
	}
	if force {
		if err := c.survives(view, number); err != nil {
			return err
		}
	}
	return c.set(ctx, &placement.SetNodeState{Number: number, To: placement.Removed, Force: force})
}

// RaiseGate lets the nodes write the newest formats that all of them read. It is
// the end of an upgrade: there is no way back to a release that does not.
func (c *Controller) RaiseGate(ctx context.Context) error {
	if !c.cfg.Leads() {
		return errElsewhere
	}
	view := c.cfg.Log.Placement()
	cl, ok := view.Cluster()
	if !ok {
		return refusef("cluster: is not founded yet")
	}
	to := uint32(math.MaxUint32)
	for _, n := range view.Nodes() {
		if n.State != placement.Removed {
			to = min(to, n.GateMax)
		}
	}
	if to <= cl.Gate {
		return refusef("gate: is %d, and not all nodes read newer formats", cl.Gate)
	}
	return c.set(ctx, &placement.RaiseGate{To: to})
}

// survives refuses if a group could not go on without a node.
func (c *Controller) survives(view *placement.View, number uint16) error {
	live := c.liveNodes()
	for _, s := range view.Shards() {
		all := s.Voters()
		if !slices.ContainsFunc(all, func(m placement.Member) bool { return m.Node == number }) {
			continue
		}
		others, alive := 0, 0
		for _, m := range all {
			if m.Node == number {
				continue
			}
			others++
			if live[m.Node] {
				alive++
			}
		}
		switch {
		case others == 0:
			return refusef("node %d: holds the last copy of %s", number, placement.GroupName(s.ID))
		case alive <= len(all)/2:
			return refusef("node %d: without it %d of the %d replicas of %s are alive, which is no majority", number, alive, len(all), placement.GroupName(s.ID))
		}
	}
	return nil
}

func (c *Controller) liveNodes() map[uint16]bool {
	out := map[uint16]bool{}
	status := c.Status()
	for _, n := range status.Nodes {
		out[n.Number] = n.Live
	}
	return out
}

func (c *Controller) set(ctx context.Context, change placement.Change) error {
	_, err := c.cfg.Log.DoPlacement(ctx, change)
	c.Wake()
	return err
}

// Move begins to move a shard's replica from a node to another. It is done when
// Status shows no operation of the shard any more.
func (c *Controller) Move(ctx context.Context, shard, from, to uint16) error {
	view, n, err := c.node(to)
	if err != nil {
		return err
	}
	s, ok := view.Shard(shard)
	switch {
	case !ok || shard == placement.Control:
		return analytics.Errorf(analytics.NotFound, "shard: there is no shard %d", shard)
	case s.Op != nil:
		return refusef("shard %d: an operation is under way (%s)", shard, s.Op.Kind)
	case n.State != placement.Active || !n.Data():
		return refusef("node %d: is %s with roles %s and takes no replicas", to, n.State, n.Roles)
	case s.On(to):
		return refusef("node %d: has a replica of shard %d already", to, shard)
	}
	i := slices.IndexFunc(s.Members, func(m placement.Member) bool { return m.Node == from && m.Role == placement.Voter })
	if i < 0 {
		return refusef("node %d: has no replica of shard %d", from, shard)
	}
	return c.set(ctx, &placement.PlanShards{Plans: []placement.ShardPlan{{Shard: shard, Rev: s.Rev, Op: &placement.OpPlan{
		Kind: placement.OpMove, Add: []placement.Place{{Node: to, Role: placement.Voter}}, Remove: []uint64{s.Members[i].Replica},
	}}}})
}
