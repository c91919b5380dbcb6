package query

import (
	"strings"
	"sync/atomic"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/session"
)

// filter is a filter tree compiled for the texts of one lexicon. Safe for
// concurrent use.
type filter struct {
	visits  []*node // what must hold of the visit
	each    []*node // what must hold of an event besides
	quick   *leaf   // the only one of each, if it is on a column of events
	leaves  []*leaf
	goals   []*goalTest
	done    int         // number of HasDone nodes
	scroll  bool        // and a goal of scrolling among them, or in a HasDone
	scrolls []*goalTest // the goals of scrolling outside of HasDone
	lex     *session.Lexicon
	days    DaySource
}

// node is a filter compiled for evaluation.
type node struct {
	op       Op
	children []*node
	leaf     *leaf
	goals    []*goalTest
	done     int         // number of a HasDone
	scrolls  []*goalTest // the goals of scrolling in a HasDone
	events   bool        // there are conditions on events in it, outside of HasDone
}

// leaf tests one dimension.
type leaf struct {
	dim    dim
	name   Dimension
	f      *Filter
	set    map[string]bool // of Is
	folded []string        // of Contains, lower case when Fold
	memo   *verdicts
	place  int // among the leaves
}

func compile(f *Filter, days DaySource) (*filter, error) {
	c := &filter{lex: days.Lexicon(), days: days}
	if f == nil {
		return c, nil
	}
	var err error
	root, err := c.build(f, &c.scrolls)
	if err != nil {
		return nil, err
	}
	for _, n := range root.conjuncts() {
		if n.events {
			c.each = append(c.each, n)
		} else {
			c.visits = append(c.visits, n)
		}
	}
	if len(c.each) == 1 && c.each[0].leaf != nil && c.each[0].leaf.dim.event != nil {
		c.quick = c.each[0].leaf
	}
	return c, nil
}

// conjuncts gives the conditions that must all hold.
func (n *node) conjuncts() []*node {
	if n.op != And {
		return []*node{n}
	}
	var out []*node
	for _, ch := range n.children {
		out = append(out, ch.conjuncts()...)
	}
	return out
}

func (c *filter) needsEvents() bool { return len(c.each) > 0 }

// build compiles a tree, whose goals of scrolling it adds to scrolls.
func (c *filter) build(f *Filter, scrolls *[]*goalTest) (*node, error) {
	n := &node{op: f.Op}
	switch f.Op {
	case HasDone:
		n.done = c.done
		c.done++
		scrolls = &n.scrolls
		fallthrough
	case And, Or, Not:
		for _, ch := range f.Children {
			x, err := c.build(ch, scrolls)
			if err != nil {
				return nil, err
			}
			n.children = append(n.children, x)
			n.events = n.events || x.events && f.Op != HasDone
		}
		return n, nil
	case Reached:
		for _, g := range f.Goals {
			t := newGoalTest(g, len(c.goals))
			c.goals = append(c.goals, t)
			n.goals = append(n.goals, t)
			if g.Kind == analytics.GoalScroll {
				c.scroll, *scrolls = true, append(*scrolls, t)
			}
		}
		n.events = true
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
	l.place = len(c.leaves)
	c.leaves = append(c.leaves, l)
	n.events = d.scope == eventScope
	k := "leaf " + string(appendFilter(nil, f))
	if v, ok := c.days.Recall(k); ok {
		l.memo = v.(*verdicts)
	} else {
		l.memo = newVerdicts(c.lex.Len())
		l.known(c.lex)
		c.days.Remember(k, l.memo, 4*c.lex.Len()+len(k))
	}
	n.leaf = l
	return n, nil
}

// known decides at once about all texts there are, where a look into the lexicon
// tells which of them match.
func (l *leaf) known(lex *session.Lexicon) {
	if l.f.Op != Is || l.f.Fold || l.dim.field >= 0 || l.dim.key != "" {
		return
	}
	no, yes := isFalse, isTrue
	if l.f.Negated {
		no, yes = yes, no
	}
	memo := l.memo.upTo(0)
	for i := range memo {
		memo[i].Store(no)
	}
	for v := range l.set {
		if id, ok := lex.Find(v); ok && int(id) < len(memo) {
			memo[id].Store(yes)
		}
	}
	memo[0].Store(notTested) // what is missing has rules of its own
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

// test tells what holds says of text n, which it asks once.
func (l *leaf) test(lex *session.Lexicon, memo []atomic.Uint32, n uint32) bool {
	v := memo[n].Load()
	if v == notTested {
		v = isFalse
		if l.holds(l.dim.text(lex.Text(n))) {
			v = isTrue
		}
		memo[n].Store(v)
	}
	return v == isTrue
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
	// Of the leaves and the goals, what came of each text there is.
	memos [][]atomic.Uint32
	texts [][]atomic.Uint32
	props [][]atomic.Uint32
	quick []uint32 // column of the filter's only condition on events
}

// row begins with a layer, whose texts are all in the lexicon by now.
func (c *filter) row(l *session.Layer, from, to int64) *row {
	n := c.lex.Len()
	r := &row{c: c, l: l, from: from, to: to, done: make([]uint8, c.done)}
	for _, x := range c.leaves {
		r.memos = append(r.memos, x.memo.upTo(n))
	}
	r.goals(c.goals, n)
	if c.quick != nil {
		r.quick = c.quick.dim.event(l)
	}
	return r
}

func (r *row) goals(goals []*goalTest, n int) {
	for _, g := range goals {
		r.texts, r.props = append(r.texts, g.text.upTo(n)), append(r.props, g.props.upTo(n))
	}
}

func (r *row) visit(i int) {
	r.i = i
	clear(r.done)
}

// matchVisit evaluates the conditions on the visit in hand.
func (r *row) matchVisit() bool {
	for _, n := range r.c.visits {
		if !r.match(n) {
			return false
		}
	}
	return true
}

// matchEvent evaluates the others for an event of it.
func (r *row) matchEvent(e int) bool {
	r.e = e
	if q := r.c.quick; q != nil {
		return q.test(r.c.lex, r.memos[q.place], r.quick[e])
	}
	for _, n := range r.c.each {
		if !r.match(n) {
			return false
		}
	}
	return true
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
			if r.reached(g, r.e) {
				return true
			}
		}
		return false
	case HasDone:
		return r.hasDone(n)
	}
	l := n.leaf
	if l.dim.scope == visitScope {
		return l.test(r.c.lex, r.memos[l.place], l.dim.visit(r.l)[r.i])
	}
	if l.name == EventName && analytics.Kind(r.l.Kind[r.e]&column.KindMask) == analytics.Engagement {
		return true // engagements have no name of their own: conditions on it hold
	}
	if l.dim.event != nil {
		return l.test(r.c.lex, r.memos[l.place], l.dim.event(r.l)[r.e])
	}
	return l.test(r.c.lex, r.memos[l.place], l.dim.rare(r.l, r.e))
}

// scrolled tells whether the event in hand reaches one of some goals of scrolling,
// whatever else of the filter it meets: in which order conditions stand must not
// matter.
func (r *row) scrolled(goals []*goalTest) bool {
	for _, g := range goals {
		if r.reached(g, r.e) {
			return true
		}
	}
	return false
}

// hasDone tells whether the visit has an event in the range for which the child
// holds. Engagements do something only where they reach a goal of scrolling.
func (r *row) hasDone(n *node) bool {
	if r.done[n.done] != 0 {
		return r.done[n.done] == 2
	}
	e := r.e
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
		if r.match(n.children[0]) && (!engagement || r.scrolled(n.scrolls)) {
			r.done[n.done] = 2
			break
		}
	}
	r.e = e
	return r.done[n.done] == 2
}

// goalTest tests events on a goal, remembering what came of each text. Safe for
// concurrent use.
type goalTest struct {
	*Goal
	text  *verdicts // of name or page
	props *verdicts
	place int // among the goals of a row
}

func newGoalTest(g *Goal, place int) *goalTest {
	return &goalTest{Goal: g, text: newVerdicts(0), props: newVerdicts(0), place: place}
}

// reached tells whether event e reaches the goal. Engagements reach goals of
// scrolling, and those of pages they are about: they count nothing there but
// time and depth.
func (r *row) reached(g *goalTest, e int) bool {
	l := r.l
	kind := analytics.Kind(l.Kind[e] & column.KindMask)
	var n uint32
	switch g.Kind {
	case analytics.GoalEvent:
		if kind == analytics.Pageview && g.Event == analytics.NamePageview {
			return len(g.Props) == 0 || r.conditions(g, e)
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
	v := r.texts[g.place][n].Load()
	if v == notTested {
		v = isFalse
		s := r.c.lex.Text(n)
		if g.Kind == analytics.GoalEvent && s == g.Event || g.Kind != analytics.GoalEvent && g.matchesPage(s) {
			v = isTrue
		}
		r.texts[g.place][n].Store(v)
	}
	return v == isTrue && (len(g.Props) == 0 || r.conditions(g, e))
}

// conditions tells whether the properties of event e meet those of the goal.
func (r *row) conditions(g *goalTest, e int) bool {
	p := r.l.Props(e)
	v := r.props[g.place][p].Load()
	if v == notTested {
		v = isFalse
		if g.meets(r.c.lex.Text(p)) {
			v = isTrue
		}
		r.props[g.place][p].Store(v)
	}
	return v == isTrue
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
