package placement

import (
	"cmp"
	"slices"
)

// View is the state at one moment. It never changes; safe for concurrent use.
// Whatever it gives must not be changed.
type View struct {
	cluster *Cluster // nil: not founded
	nodes   []*Node  // by number
	shards  []*Shard // by id; Control is the last
	salts   []*Salt  // by family and period
}

// Cluster gives the cluster; false before it was founded.
func (v *View) Cluster() (*Cluster, bool) { return v.cluster, v.cluster != nil }

// Nodes lists the nodes by number, removed ones included.
func (v *View) Nodes() []*Node { return v.nodes }

// Shards lists the groups by id, the control group last.
func (v *View) Shards() []*Shard { return v.shards }

// Salts lists the choices by family and period.
func (v *View) Salts() []*Salt { return v.salts }

// Node finds a node by its number.
func (v *View) Node(number uint16) (*Node, bool) {
	return find(v.nodes, uint64(number), func(n *Node) uint64 { return uint64(n.Number) })
}

// NodeByIdent finds a node by the ident of its disk.
func (v *View) NodeByIdent(ident uint64) (*Node, bool) {
	i := slices.IndexFunc(v.nodes, func(n *Node) bool { return n.Ident == ident })
	if i < 0 {
		return nil, false
	}
	return v.nodes[i], true
}

// Shard finds a group.
func (v *View) Shard(id uint16) (*Shard, bool) {
	return find(v.shards, uint64(id), func(s *Shard) uint64 { return uint64(s.ID) })
}

// Salt finds the choice for a period.
func (v *View) Salt(f Family, period uint32) (*Salt, bool) {
	return find(v.salts, saltKey(f, period), func(s *Salt) uint64 { return saltKey(s.Family, s.Period) })
}

// Holds lists the groups of which node has a replica now or is about to.
func (v *View) Holds(node uint16) []uint16 {
	var out []uint16
	for _, s := range v.shards {
		if s.On(node) {
			out = append(out, s.ID)
		}
	}
	return out
}

func find[T any](list []*T, key uint64, of func(*T) uint64) (*T, bool) {
	i, ok := slices.BinarySearchFunc(list, key, func(x *T, k uint64) int { return cmp.Compare(of(x), k) })
	if !ok {
		return nil, false
	}
	return list[i], true
}

// put gives list with x in its place; list itself stays as it is.
func put[T any](list []*T, x *T, of func(*T) uint64) []*T {
	i, ok := slices.BinarySearchFunc(list, of(x), func(y *T, k uint64) int { return cmp.Compare(of(y), k) })
	if ok {
		list = slices.Clone(list)
		list[i] = x
		return list
	}
	return slices.Insert(slices.Clone(list), i, x)
}

func nodeKey(n *Node) uint64   { return uint64(n.Number) }
func shardKey(s *Shard) uint64 { return uint64(s.ID) }
func saltOf(s *Salt) uint64    { return saltKey(s.Family, s.Period) }
