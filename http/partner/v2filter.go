package partner

import (
	"encoding/json"
	"slices"
	"strconv"

	"footfall/analytics"
	"footfall/analytics/query"
)

// Bounds of a filter, segments written out.
const (
	filterDepthMax   = 16
	filterNodesMax   = 256
	clauseBytesMax   = analytics.PropValueBytesMax
	filterClausesMax = 5000
	goalTextsMax     = 200 // each is looked for in the name of every goal
)

// filterParser reads the filters of a query of v2.
type filterParser struct {
	words          *words
	nodes, clauses int
	goalTexts      int
	patterns       patterns
	tests          tests
}

// tests tells what filters test, those of behavior left out: they speak of the
// whole visit and not of what is counted.
type tests struct {
	dims        map[query.Dimension]bool
	nestedProps bool          // a property below the top level
	goals       bool          // a goal, which is possible on the top level only
	reached     []*query.Goal // that pass all goal filters; meaningful with goals
}

// place says where in the tree a filter stands.
type place struct {
	at         string // as a JSON pointer
	depth      int    // number of filters around it
	behavioral bool   // inside has_done or has_not_done
	segment    bool   // inside a segment
}

func (p place) below(at string) place {
	p.at, p.depth = p.at+at, p.depth+1
	return p
}

func (q *queryV2) parseFilters(m map[string]any) error {
	l, err := list(m, "filters")
	if err != nil {
		return err
	}
	p := &filterParser{words: q.words, tests: tests{dims: map[query.Dimension]bool{}}}
	if q.filter, q.filters, err = p.all(l); err != nil {
		return err
	}
	q.tests = p.tests
	return nil
}

// all reads a list of filters that must all hold. The second answer is the list
// with segments written out.
func (p *filterParser) all(l []any) (*query.Filter, []any, error) {
	var filters []*query.Filter
	echo := make([]any, 0, len(l))
	for i, v := range l {
		at := place{at: "#/filters/" + strconv.Itoa(i)}
		f, e, err := p.top(at, v)
		if err != nil {
			return nil, nil, err
		}
		filters, echo = append(filters, f...), append(echo, e...)
	}
	return conjunction(filters), echo, nil
}

// element gives an element of a list; nil if it is shorter.
func element(l []any, i int) any {
	if i < len(l) {
		return l[i]
	}
	return nil
}

// conjunction joins filters that must all hold; nil for none.
func conjunction(all []*query.Filter) *query.Filter {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return &query.Filter{Op: query.And, Children: all}
}

func wrong(at place, v any) error {
	return invalid("%s: Invalid filter %s", at.at, cut(text(v)))
}

// filter reads one filter. The second answer is the filter with segments
// written out.
func (p *filterParser) filter(at place, v any) (*query.Filter, any, error) {
	l, _ := v.([]any)
	if len(l) == 0 {
		return nil, nil, wrong(at, v)
	}
	if p.nodes++; p.nodes > filterNodesMax {
		return nil, nil, invalid("#/filters: more than %d filters", filterNodesMax)
	}
	if at.depth > filterDepthMax {
		return nil, nil, invalid("#/filters: nested deeper than %d", filterDepthMax)
	}
	op, _ := l[0].(string)
	switch op {
	case "and", "or":
		return p.tree(at, op, v, l)
	case "not":
		return p.negation(at, v, l)
	case opHasDone, opHasNotDone:
		return p.behavior(at, op, v, l)
	}
	if name, _ := element(l, 1).(string); name == dimSegment {
		clauses, err := p.segmentClauses(at, v, l)
		if err != nil {
			return nil, nil, err
		}
		return p.segments(at, clauses)
	}
	f, err := p.test(at, op, v, l)
	return f, v, err
}

func (p *filterParser) tree(at place, op string, v any, l []any) (*query.Filter, any, error) {
	children, _ := element(l, 1).([]any)
	if len(l) != 2 || len(children) == 0 {
		return nil, nil, wrong(at, v)
	}
	f := &query.Filter{Op: query.And}
	if op == "or" {
		f.Op = query.Or
	}
	var echo []any
	for i, c := range children {
		child, e, err := p.filter(at.below("/1/"+strconv.Itoa(i)), c)
		if err != nil {
			return nil, nil, err
		}
		f.Children, echo = append(f.Children, child), append(echo, e)
	}
	return f, []any{op, echo}, nil
}

func (p *filterParser) negation(at place, v any, l []any) (*query.Filter, any, error) {
	if len(l) != 2 {
		return nil, nil, wrong(at, v)
	}
	child, echo, err := p.filter(at.below("/1"), l[1])
	if err != nil {
		return nil, nil, err
	}
	return not(child), []any{"not", echo}, nil
}

func not(f *query.Filter) *query.Filter {
	return &query.Filter{Op: query.Not, Children: []*query.Filter{f}}
}

// operatorNamed finds the operator of a test and whether it negates it.
func operatorNamed(s string) (op query.Op, negated, ok bool) {
	switch s {
	case "is", "is_not":
		return query.Is, s == "is_not", true
	case "contains", "contains_not":
		return query.Contains, s == "contains_not", true
	case "matches", "matches_not":
		return query.Matches, s == "matches_not", true
	}
	return 0, false, false
}

func (p *filterParser) test(at place, op string, v any, l []any) (*query.Filter, error) {
	kind, negated, ok := operatorNamed(op)
	if !ok {
		return nil, invalid("%s/0: Invalid filter operator %s", at.at, cut(text(l[0])))
	}
	if len(l) != 3 && len(l) != 4 {
		return nil, wrong(at, v)
	}
	name, _ := l[1].(string)
	clauses, err := p.values(at, name, v, l[2])
	if err != nil {
		return nil, err
	}
	d, ok := dimensionNamed(name)
	if !ok || isTime(d) {
		return nil, invalid("%s/1: Invalid dimension %s", at.at, cut(text(l[1])))
	}
	f := &query.Filter{Op: kind, Negated: negated, Dim: d}
	if len(l) == 4 {
		if f.Fold, err = modifiers(at, kind, v, l[3]); err != nil {
			return nil, err
		}
	}
	if err := p.note(d, at); err != nil {
		return nil, err
	}
	switch {
	case d == query.EventGoal:
		return p.goal(op, f.Fold, clauses)
	case d == query.Country && kind == query.Is && !f.Fold && !countries(clauses):
		return nil, invalid(textCountry)
	case kind != query.Matches:
		f.Values = clauses
		return f, nil
	}
	for _, c := range clauses {
		pattern, err := p.patterns.compile(c)
		if err != nil {
			return nil, err
		}
		f.Patterns = append(f.Patterns, pattern)
	}
	return f, nil
}

func countries(clauses []string) bool {
	return !slices.ContainsFunc(clauses, func(s string) bool { return !countryCode(s) && s != query.Country.Missing() })
}

// note remembers that d is tested and refuses it where it cannot be.
func (p *filterParser) note(d query.Dimension, at place) error {
	p.tests.dims[d] = true
	if at.depth == 0 || at.behavioral {
		return nil
	}
	if d == query.EventGoal || d == query.EventHostname {
		return invalid("Invalid filters. Dimension `%s` can only be filtered at the top level.", d)
	}
	p.tests.nestedProps = p.tests.nestedProps || isProp(d)
	return nil
}

// values reads the clauses: strings, for city and segment numbers too.
func (p *filterParser) values(at place, name string, filter, v any) ([]string, error) {
	l, _ := v.([]any)
	if len(l) == 0 {
		return nil, wrong(at, filter)
	}
	if p.clauses += len(l); p.clauses > filterClausesMax {
		return nil, invalid("#/filters: more than %d clauses", filterClausesMax)
	}
	out := make([]string, 0, len(l))
	for i, c := range l {
		s, ok := c.(string)
		if n, number := c.(json.Number); number && (name == string(query.City) || name == dimSegment) {
			_, err := strconv.ParseInt(n.String(), 10, 64)
			s, ok = n.String(), err == nil
		}
		if !ok {
			return nil, wrong(at, filter)
		}
		if len(s) > clauseBytesMax {
			return nil, invalid("%s/2/%d: longer than %d bytes", at.at, i, clauseBytesMax)
		}
		out = append(out, s)
	}
	return out, nil
}

// modifiers reads {"case_sensitive": false}: whether case is to be ignored.
func modifiers(at place, op query.Op, filter, v any) (bool, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return false, wrong(at, filter)
	}
	if err := onlyKeys(at.at+"/3", m, "case_sensitive"); err != nil {
		return false, err
	}
	sensitive := true
	if err := boolean(at.at+"/3", m, "case_sensitive", &sensitive); err != nil {
		return false, err
	}
	if _, given := m["case_sensitive"]; given && op == query.Matches {
		return false, invalid("Invalid filters. The case_sensitive modifier is not allowed with pattern operators %s.", patternOperatorsText)
	}
	return !sensitive, nil
}
