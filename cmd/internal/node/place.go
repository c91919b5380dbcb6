package node

import (
	"context"
	"time"

	"footfall/analytics"
	"footfall/cluster"
	"footfall/cluster/rafthost"
	"footfall/http/door"
)

// Bounds of where a question is answered.
const (
	// staleMax is how far behind a replica may be, as it knows, when the client did
	// not say; beyond it the leader is asked while there is one.
	staleMax = 5 * time.Second
	// behindWait is how long an answer waits for a view that its token names.
	behindWait = 500 * time.Millisecond
	behindLook = 2 * time.Millisecond
)

// placer finds the node that answers a question; see door.Placer.
type placer struct{ n *Node }

var errNowhere = &analytics.Error{Code: analytics.Unavailable, Text: "site: no replica of its data can be reached just now"}

// Place implements door.Placer.
func (p placer) Place(ctx context.Context, id analytics.SiteID, after analytics.Token, within time.Duration) (door.Place, error) {
	n, shard := p.n, cluster.ShardOf(id)
	if !n.holds(shard) {
		return door.Place{}, n.elsewhere(shard, false)
	}
	g := rafthost.Group(shard)
	if after.Shard == shard && !n.reached(ctx, g, after.Index) {
		return door.Place{}, n.elsewhere(shard, true)
	}
	if n.host.Leads(g) {
		return door.Place{}, nil
	}
	s := n.host.Status(g)
	place := door.Place{Staleness: s.Staleness, ReadOnly: s.Leader == 0}
	bound := within
	if bound == 0 {
		bound = staleMax
	}
	if place.Staleness <= bound {
		return place, nil
	}
	if err := n.elsewhere(shard, true); within > 0 || !place.ReadOnly && err != errNowhere {
		return door.Place{}, err
	}
	// Nobody leads: what is here is all there is.
	place.ReadOnly = true
	place.Staleness = min(place.Staleness, time.Since(n.started))
	return place, nil
}

// elsewhere gives the error that names the node to ask: one with a replica, or
// the leader.
func (n *Node) elsewhere(shard uint16, leader bool) error {
	if n.clustered() {
		if node, ok := n.member.Nearest(shard, leader); ok {
			return &door.Elsewhere{Node: node}
		}
	}
	return errNowhere
}

// reached waits, not for long, until a shard has got as far as index.
func (n *Node) reached(ctx context.Context, g rafthost.Group, index uint64) bool {
	if n.host.Applied(g) >= index {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, behindWait)
	defer cancel()
	tick := time.NewTicker(behindLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			if n.host.Applied(g) >= index {
				return true
			}
		}
	}
}

// here tells whether this node can answer about a site, leading its shard if that
// is wanted; if not, who can.
func (n *Node) here(id analytics.SiteID, leading bool) error {
	if !n.clustered() {
		return nil
	}
	shard := cluster.ShardOf(id)
	switch {
	case leading && !n.host.Leads(rafthost.Group(shard)):
		return n.elsewhere(shard, true)
	case !n.holds(shard):
		return n.elsewhere(shard, false)
	}
	return nil
}
