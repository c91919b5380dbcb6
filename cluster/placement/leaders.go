package placement

import (
	"cmp"
	"slices"
)

// transfers hands leadership over: away from nodes that should lead nothing,
// then from those that lead too much.
func (p *planner) transfers() {
	for _, s := range p.v.Shards() {
		rep := p.settled(s)
		if rep == nil {
			continue
		}
		from := p.nodes[NodeOf(rep.Replica)]
		if from == nil || from.State == Active && !from.shed && from.Data() || from.moves >= p.set.DrainMax {
			continue
		}
		if to, ok := p.successor(rep, Step{}); ok {
			p.transfer(rep, to)
		}
	}
	p.balanceLeaders()
}

// balanceLeaders moves one leader per node at a time.
func (p *planner) balanceLeaders() {
	nodes := slices.DeleteFunc(slices.Clone(p.list), func(n *nodeState) bool { return !n.target() })
	mean := average(nodes, func(n *nodeState) int { return n.leaders })
	slices.SortFunc(nodes, func(a, b *nodeState) int {
		return cmp.Or(cmp.Compare(float64(b.leaders)/float64(b.Weight), float64(a.leaders)/float64(a.Weight)), cmp.Compare(a.Number, b.Number))
	})
	for _, from := range nodes {
		for i := len(nodes) - 1; i >= 0 && nodes[i] != from && from.moves == 0; i-- {
			to := nodes[i]
			if to.moves == 0 && worth(from.leaders, from.Weight, to.leaders, to.Weight, mean) {
				p.handOver(from, to)
			}
		}
	}
}

// handOver moves the leadership of one shard from a node to another.
func (p *planner) handOver(from, to *nodeState) {
	for _, s := range p.v.Shards() {
		if s.ID == Control || s.Op != nil {
			continue
		}
		rep := p.settled(s)
		if rep == nil || NodeOf(rep.Replica) != from.Number {
			continue
		}
		for _, r := range rep.Voters {
			if NodeOf(r) == to.Number && p.mayLead(rep, r) {
				p.transfer(rep, r)
				return
			}
		}
	}
}
