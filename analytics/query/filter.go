package query

import (
	"strings"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/session"
)

// filter is a filter tree compiled for the texts of one lexicon. It remembers
// what came of each text, so it must not be used concurrently: see clone.
type filter struct {
	root   *node
	leaves []*leaf
	done   int  // number of HasDone nodes
	events bool // there are conditions on events outside of HasDone
	scroll bool // and a goal of scrolling among them, or in a HasDone
	lex    *session.Lexicon
	f      *Filter
}

// node is a filter compiled for evaluation.
type node struct {
	op       Op
	children []*node
	leaf     *leaf
	goals    []*goalTest
	done     int // number of a HasDone
}

// leaf tests one dimension.
type leaf struct {
	dim    dim
	name   Dimension
	f      *Filter
	set    map[string]bool // of Is
	folded []string        // of Contains, lower case when Fold
	memo   verdicts
}

// verdicts holds what came of each text of a lexicon: 0 not looked at, 1 false,
// 2 true.
type verdicts []uint8

// upTo makes room for n texts.
func (v *verdicts) upTo(n int) {
	if len(*v) < n {
		*v = append(*v, make([]uint8, n-len(*v)+n/8)...)
	}
}

func compile(f *Filter, lex *session.Lexicon) (*filter, error) {
	c := &filter{lex: lex, f: f}
	if f == nil {
		return c, nil
	}
	var err error
	c.root, err = c.build(f, false)
	return c, err
}

// clone gives a filter of its own for another goroutine.
func (c *filter) clone() *filter {
	d, _ := compile(c.f, c.lex) // it did before
	return d
}

func (c *filter) needsEvents() bool { return c.events }

func (c *filter) build(f *Filter, inside bool) (*node, error) {
	n := &node{op: f.Op}
	switch f.Op {
	case HasDone:
		n.done = c.done
		c.done++
		inside = true
		fallthrough
	case And, Or, Not:
		for _, ch := range f.Children {
			x, err := c.build(ch, inside)
			if err != nil {
				return nil, err
			}
			n.children = append(n.children, x)
		}
		return n, nil
	case Reached:
		for _, g := range f.Goals {
			t := newGoalTest(g)
			n.goals = append(n.goals, t)
			c.scroll = c.scroll || g.Kind == analytics.GoalScroll
		}
		c.events = c.events || !inside
		return n, nil
	}
	d, ok := define(f.Dim)
	if !ok || d.scope == timeScope || d.scope == goalScope {
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
	c.leaves = append(c.leaves, l)
	if d.scope == eventScope && !inside {
		c.events = true
	}
	l.known(c.lex)
	n.leaf = l
	return n, nil
}

// known decides at once about all texts there are, where a look into the lexicon
// tells which of them match.
func (l *leaf) known(lex *session.Lexicon) {
	if l.f.Op != Is || l.f.Fold || l.dim.field >= 0 || l.dim.key != "" {
		return
	}
	no, yes := uint8(1), uint8(2)
	if l.f.Negated {
		no, yes = yes, no
	}
	l.memo = make(verdicts, lex.Len())
	for i := range l.memo {
		l.memo[i] = no
	}
	for v := range l.set {
		if id, ok := lex.Find(v); ok && int(id) < len(l.memo) {
			l.memo[id] = yes
		}
	}
	l.memo[0] = 0 // what is missing has rules of its own
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

func (l *leaf) test(lex *session.Lexicon, n uint32) bool {
	switch l.memo[n] {
	case 1:
		return false
	case 2:
		return true
	}
	l.memo[n] = 1
	if l.holds(l.dim.text(lex.Text(n))) {
		l.memo[n] = 2
		return true
	}
	return false
}

// row is what a filter sees: a visit of a layer, and an event of it.
type row struct {
	c        *filter
	l        *session.Layer
	from, to int64
	i        int // visit
	e        int // event
	// done says of each HasDone what came of it for this visit: 0 not looked at.
	done []uint8
	// scrolled says that the event in hand reached a goal of scrolling.
	scrolled bool
	inside   bool // in a HasDone
	within   bool // scrolled, in a HasDone
}

// row begins with a layer, whose texts are all in the lexicon by now.
func (c *filter) row(l *session.Layer, from, to int64) *row {
	n := c.lex.Len()
	for _, x := range c.leaves {
		x.memo.upTo(n)
	}
	c.goalsUpTo(c.root, n)
	return &row{c: c, l: l, from: from, to: to, done: make([]uint8, c.done)}
}

func (c *filter) goalsUpTo(x *node, n int) {
	if x == nil {
		return
	}
	for _, g := range x.goals {
		g.upTo(n)
	}
	for _, ch := range x.children {
		c.goalsUpTo(ch, n)
	}
}

func (r *row) visit(i int) {
	r.i = i
	clear(r.done)
}

// matchVisit evaluates a tree without conditions on events.
func (c *filter) matchVisit(r *row) bool { return c.root == nil || r.match(c.root) }

// matchEvent evaluates the tree for an event of the visit in hand.
func (c *filter) matchEvent(r *row, e int) bool {
	if c.root == nil {
		return true
	}
	r.e, r.scrolled = e, false
	return r.match(c.root)
}

func (r *row) match(n *node) bool {
	switch n.op {
	case And:
		for _, c := range n.children {
			if !r.match(c) {
				return false
			}
		}
		return true
	case Or:
		for _, c := range n.children {
			if r.match(c) {
				return true
			}
		}
		return false
	case Not:
		return !r.match(n.children[0])
	case Reached:
		for _, g := range n.goals {
			if g.reached(r.c.lex, r.l, r.e) {
				if g.Kind == analytics.GoalScroll {
					if r.inside {
						r.within = true
					} else {
						r.scrolled = true
					}
				}
				return true
			}
		}
		return false
	case HasDone:
		return r.hasDone(n)
	}
	l := n.leaf
	if l.dim.scope == visitScope {
		return l.test(r.c.lex, l.dim.visit(r.l)[r.i])
	}
	if l.name == EventName && analytics.Kind(r.l.Kind[r.e]&column.KindMask) == analytics.Engagement {
		return true // engagements have no name of their own: conditions on it hold
	}
	if l.dim.event != nil {
		return l.test(r.c.lex, l.dim.event(r.l)[r.e])
	}
	return l.test(r.c.lex, l.dim.rare(r.l, r.e))
}

// hasDone tells whether the visit has an event in the range for which the child
// holds. Engagements do something only where they reach a goal of scrolling.
func (r *row) hasDone(n *node) bool {
	if r.done[n.done] != 0 {
		return r.done[n.done] == 2
	}
	e, inside := r.e, r.inside
	r.inside = true
	r.done[n.done] = 1
	for r.e = int(r.l.FirstEvent[r.i]); r.e < int(r.l.FirstEvent[r.i+1]); r.e++ {
		at := r.l.At[r.e]
		if at < r.from || at >= r.to {
			continue
		}
		engagement := analytics.Kind(r.l.Kind[r.e]&column.KindMask) == analytics.Engagement
		if engagement && !r.c.scroll {
			continue
		}
		r.within = false
		if r.match(n.children[0]) && (!engagement || r.within) {
			r.done[n.done] = 2
			break
		}
	}
	r.e, r.inside = e, inside
	return r.done[n.done] == 2
}

// goalTest tests events on a goal, remembering what came of each text.
type goalTest struct {
	*Goal
	text  verdicts // of name or page
	props verdicts
}

func newGoalTest(g *Goal) *goalTest { return &goalTest{Goal: g} }

func (g *goalTest) upTo(n int) {
	g.text.upTo(n)
	if len(g.Props) > 0 {
		g.props.upTo(n)
	}
}

// reached tells whether event e reaches the goal. Engagements reach goals of
// scrolling, and those of pages they are about: they count nothing there but
// time and depth.
func (g *goalTest) reached(lex *session.Lexicon, l *session.Layer, e int) bool {
	kind := analytics.Kind(l.Kind[e] & column.KindMask)
	var n uint32
	switch g.Kind {
	case analytics.GoalEvent:
		if kind == analytics.Pageview && g.Event == analytics.NamePageview {
			return len(g.Props) == 0 || g.conditions(lex, l, e)
		}
		if kind != analytics.Custom {
			return false
		}
		n = l.Name(e)
	case analytics.GoalPage:
		if kind == analytics.Custom {
			return false
		}
		n = l.Page[e]
	default:
		if kind != analytics.Engagement || l.Scroll(e) == analytics.ScrollNone || l.Scroll(e) < g.Scroll {
			return false
		}
		n = l.Page[e]
	}
	if g.text[n] == 0 {
		g.text[n] = 1
		s := lex.Text(n)
		if g.Kind == analytics.GoalEvent && s == g.Event || g.Kind != analytics.GoalEvent && g.matchesPage(s) {
			g.text[n] = 2
		}
	}
	if g.text[n] == 1 {
		return false
	}
	return len(g.Props) == 0 || g.conditions(lex, l, e)
}

func (g *goalTest) conditions(lex *session.Lexicon, l *session.Layer, e int) bool {
	p := l.Props(e)
	if g.props[p] == 0 {
		g.props[p] = 1
		if g.meets(lex.Text(p)) {
			g.props[p] = 2
		}
	}
	return g.props[p] == 2
}

// swap copies a tree with dimensions replaced.
func swap(f *Filter, with map[Dimension]Dimension) *Filter {
	if f == nil {
		return nil
	}
	g := *f
	if to, ok := with[f.Dim]; ok && len(f.Children) == 0 {
		g.Dim = to
	}
	if f.Op == HasDone {
		return &g // what somebody did on a page stays what they did
	}
	g.Children = nil
	for _, c := range f.Children {
		g.Children = append(g.Children, swap(c, with))
	}
	return &g
}

// uses tells whether a leaf of f outside of HasDone is on d.
func (f *Filter) uses(d Dimension) bool {
	if f == nil || f.Op == HasDone {
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

// reaches tells whether f has goals outside of HasDone.
func (f *Filter) reaches() bool {
	if f == nil || f.Op == HasDone {
		return false
	}
	if f.Op == Reached {
		return true
	}
	for _, c := range f.Children {
		if c.reaches() {
			return true
		}
	}
	return false
}

// withoutProps copies a tree leaving conditions on properties that must all hold
// out; nil if nothing is left.
func (f *Filter) withoutProps() *Filter {
	if f == nil || strings.HasPrefix(string(f.Dim), PropsPrefix) && len(f.Children) == 0 {
		return nil
	}
	if f.Op != And {
		return f
	}
	g := *f
	g.Children = nil
	for _, c := range f.Children {
		if c = c.withoutProps(); c != nil {
			g.Children = append(g.Children, c)
		}
	}
	if len(g.Children) == 0 {
		return nil
	}
	return &g
}

// withoutGoals copies a tree leaving conditions on goals out; nil if nothing is
// left.
func (f *Filter) withoutGoals() *Filter {
	if f == nil || f.Op == Reached {
		return nil
	}
	if f.Op == HasDone || !f.reaches() {
		return f
	}
	g := *f
	g.Children = nil
	for _, c := range f.Children {
		if c = c.withoutGoals(); c != nil {
			g.Children = append(g.Children, c)
		}
	}
	if len(g.Children) == 0 {
		return nil
	}
	return &g
}
