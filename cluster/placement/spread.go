package placement

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Costs of two replicas of a group being close to each other.
const (
	costRegion = 1
	costZone   = 8 // beside costRegion
)

// crowd tells how close to each other nodes are: 0 when each is in a region of
// its own.
func crowd(nodes []*nodeState) int {
	cost := 0
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			cost += closeness(a, b)
		}
	}
	return cost
}

func closeness(a, b *nodeState) int {
	switch {
	case a.Region != b.Region:
		return 0
	case a.Zone != b.Zone:
		return costRegion
	}
	return costRegion + costZone
}

// closeTo gives what x adds to the crowd.
func closeTo(nodes []*nodeState, x *nodeState) int {
	cost := 0
	for _, n := range nodes {
		cost += closeness(n, x)
	}
	return cost
}

// affinity is how much a group belongs on a node, by weighted rendezvous: the
// node with the highest one is first, a node twice as heavy is so twice as often.
func affinity(group uint16, n *nodeState) float64 {
	var b [4]byte
	binary.BigEndian.PutUint16(b[:], group)
	binary.BigEndian.PutUint16(b[2:], n.Number)
	u := (float64(xxhash.Sum64(b[:])>>11) + 0.5) / (1 << 53)
	return -float64(n.Weight) / math.Log(u)
}

// full is how many replicas per weight a node has; fuller nodes give, emptier
// ones take.
func (n *nodeState) full() float64 { return float64(n.load) / float64(n.Weight) }

// pick chooses the node for one more replica of a group that is on nodes
// already: as far from them as possible; of those equally far one that has less
// than its share, by affinity; if none has, the emptiest. ok tells which nodes
// may be chosen.
func (p *planner) pick(group uint16, nodes []*nodeState, ok func(*nodeState) bool) *nodeState {
	var best *nodeState
	weight, load := p.share()
	better := func(a, b *nodeState) bool { // a than b
		if ca, cb := closeTo(nodes, a), closeTo(nodes, b); ca != cb {
			return ca < cb
		}
		if ra, rb := a.load*weight < load*a.Weight, b.load*weight < load*b.Weight; ra != rb {
			return ra
		} else if !ra && a.full() != b.full() {
			return a.full() < b.full()
		}
		return affinity(group, a) > affinity(group, b)
	}
	for _, n := range p.list {
		if ok(n) && !slices.Contains(nodes, n) && (best == nil || better(n, best)) {
			best = n
		}
	}
	return best
}

// share gives the weight of all nodes that may be given replicas, and the number
// of all replicas: a node's share is by its part of the weight.
func (p *planner) share() (weight, load int) {
	for _, x := range p.list {
		if x.target() {
			weight += x.Weight
		}
		load += x.load
	}
	return weight, load
}

// hysteresis is the least difference between two nodes, as a part of the
// average, that is worth a move.
const hysteresis = 0.10

// worth tells whether moving one of a's things to b, who have na and nb of them,
// makes the two more equal by enough; average is that of things per weight.
func worth(na, wa, nb, wb int, average float64) bool {
	return (2*na-1)*wb > (2*nb+1)*wa && float64(na)/float64(wa)-float64(nb)/float64(wb) > hysteresis*average
}
