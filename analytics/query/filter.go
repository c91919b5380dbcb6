package query

import (
	"strings"

	"footfall/analytics"
	"footfall/analytics/column"
)

// leavesMax bounds the visit-scoped leaves of a filter: their results for a
// visit are the bits of one word.
const leavesMax = 64

// node is a filter compiled for evaluation.
type node struct {
	op       Op
	children []*node
	leaf     *leaf
}

// leaf tests one dimension.
type leaf struct {
	dim    dim
	name   Dimension
	f      *Filter
	set    map[string]bool // of Is
	folded []string        // of Contains, lower case when Fold
	bit    uint            // visit scope: place in the mask
	index  int             // event scope: place among the event leaves
}

// filter is a compiled filter tree.
type filter struct {
	root   *node
	visits []*leaf // visit scope
	events []*leaf // event scope
}

func compile(f *Filter) (*filter, error) {
	c := &filter{}
	if f == nil {
		return c, nil
	}
	root, err := c.build(f)
	if err != nil {
		return nil, err
	}
	c.root = root
	if len(c.visits) > leavesMax {
		return nil, analytics.Errorf(analytics.Invalid, "filters: more than %d conditions on visits", leavesMax)
	}
	return c, nil
}

func (c *filter) build(f *Filter) (*node, error) {
	switch f.Op {
	case And, Or, Not:
		n := &node{op: f.Op}
		for _, ch := range f.Children {
			x, err := c.build(ch)
			if err != nil {
				return nil, err
			}
			n.children = append(n.children, x)
		}
		return n, nil
	}
	d, ok := define(f.Dim)
	if !ok || d.scope == timeScope {
		return nil, analytics.Errorf(analytics.Invalid, "filters: unknown dimension %q", f.Dim)
	}
	l := &leaf{dim: d, name: f.Dim, f: f, set: map[string]bool{}}
	for _, v := range f.Values {
		if f.Fold {
			v = strings.ToLower(v)
		}
		l.set[v] = true
		l.folded = append(l.folded, v)
	}
	if d.scope == visitScope {
		l.bit = uint(len(c.visits))
		c.visits = append(c.visits, l)
	} else {
		l.index = len(c.events)
		c.events = append(c.events, l)
	}
	return &node{op: f.Op, leaf: l}, nil
}

// holds tests one value; "" is a missing one.
func (l *leaf) holds(s string) bool {
	missing := s == ""
	if missing {
		s = l.dim.missing
	}
	match := false
	switch l.f.Op {
	case Is:
		t := s
		if l.f.Fold {
			t = strings.ToLower(s)
		}
		match = l.set[t] || missing && l.set[""]
	case Contains:
		t := s
		if l.f.Fold {
			t = strings.ToLower(s)
		}
		for _, v := range l.folded {
			match = match || !missing && strings.Contains(t, v)
		}
	case Matches:
		for _, p := range l.f.Patterns {
			match = match || !missing && p.MatchString(s)
		}
	}
	if !l.f.Negated {
		return match
	}
	if missing && l.f.Op != Is && l.dim.key != "" {
		return false // contains_not and matches_not leave out events without the property
	}
	return !match
}

// tested holds, for one segment and leaf, what came of each dictionary text: 0
// not looked at, 1 false, 2 true.
type tested []uint8

func (l *leaf) test(m tested, dict []string, n uint32) bool {
	if m[n] == 0 {
		m[n] = 1
		if l.holds(l.dim.text(dict[n])) {
			m[n] = 2
		}
	}
	return m[n] == 2
}

// mask evaluates all visit leaves for row i.
func (c *filter) mask(v *column.Visits, memos []tested, i int) uint64 {
	var bits uint64
	for k, l := range c.visits {
		if l.test(memos[k], v.Dict, l.dim.visit(v)[i]) {
			bits |= 1 << l.bit
		}
	}
	return bits
}

// eventRow is what a filter sees of an event.
type eventRow struct {
	e     *column.Events
	memos []tested
	cols  [][]uint32
	i     int
	mask  uint64 // of its visit
	// engagement rows have no name of their own: conditions on it hold.
	engagement bool
}

func (n *node) match(r *eventRow) bool {
	switch n.op {
	case And:
		for _, c := range n.children {
			if !c.match(r) {
				return false
			}
		}
		return true
	case Or:
		for _, c := range n.children {
			if c.match(r) {
				return true
			}
		}
		return false
	case Not:
		return !n.children[0].match(r)
	}
	l := n.leaf
	if l.dim.scope == visitScope {
		return r.mask&(1<<l.bit) != 0
	}
	if r.engagement && l.name == EventName {
		return true
	}
	return l.test(r.memos[l.index], r.e.Dict, r.cols[l.index][r.i])
}

// matchVisit evaluates a tree of visit leaves only.
func (n *node) matchVisit(mask uint64) bool { return n.match(&eventRow{mask: mask}) }

// swap copies a tree with dimensions replaced.
func swap(f *Filter, with map[Dimension]Dimension) *Filter {
	if f == nil {
		return nil
	}
	g := *f
	if to, ok := with[f.Dim]; ok && len(f.Children) == 0 {
		g.Dim = to
	}
	g.Children = nil
	for _, c := range f.Children {
		g.Children = append(g.Children, swap(c, with))
	}
	return &g
}

// uses tells whether a leaf of f is on d.
func (f *Filter) uses(d Dimension) bool {
	if f == nil {
		return false
	}
	if len(f.Children) == 0 && f.Dim == d {
		return true
	}
	for _, c := range f.Children {
		if c.uses(d) {
			return true
		}
	}
	return false
}
