package partner

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"

	"footfall/analytics"
	"footfall/analytics/query"
)

// Bounds of a filter.
const (
	filterDepthMax   = 16
	filterNodesMax   = 256
	patternBytesMax  = 1000
	clauseBytesMax   = analytics.PropValueBytesMax
	filterClausesMax = 5000
)

// filterParser reads the filters of a v2 query.
type filterParser struct {
	nodes, clauses int
	filtered       map[query.Dimension]bool
}

func (q *queryV2) parseFilters(m map[string]any) error {
	l, err := list(m, "filters")
	if err != nil {
		return err
	}
	q.filters = l
	p := &filterParser{filtered: q.filtered}
	var all []*query.Filter
	for i, v := range l {
		f, err := p.filter("#/filters/"+strconv.Itoa(i), v, 0, false)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	q.filter = conjunction(all)
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

func (p *filterParser) filter(at string, v any, depth int, behavioral bool) (*query.Filter, error) {
	l, _ := v.([]any)
	if len(l) == 0 {
		return nil, invalid("%s: Invalid filter %s", at, cut(text(v)))
	}
	if p.nodes++; p.nodes > filterNodesMax {
		return nil, invalid("#/filters: more than %d filters", filterNodesMax)
	}
	if depth > filterDepthMax {
		return nil, invalid("#/filters: nested deeper than %d", filterDepthMax)
	}
	op, _ := l[0].(string)
	switch op {
	case "and", "or", "not":
		return p.tree(at, op, v, l, depth, behavioral)
	case opHasDone, opHasNotDone:
		return nil, p.behavior(at, v, l, depth, behavioral)
	}
	return p.test(at, op, v, l, depth)
}

func (p *filterParser) tree(at, op string, v any, l []any, depth int, behavioral bool) (*query.Filter, error) {
	if len(l) != 2 {
		return nil, invalid("%s: Invalid filter %s", at, cut(text(v)))
	}
	if op == "not" {
		child, err := p.filter(at+"/1", l[1], depth+1, behavioral)
		if err != nil {
			return nil, err
		}
		return &query.Filter{Op: query.Not, Children: []*query.Filter{child}}, nil
	}
	children, _ := l[1].([]any)
	if len(children) == 0 {
		return nil, invalid("%s: Invalid filter %s", at, cut(text(v)))
	}
	f := &query.Filter{Op: query.And}
	if op == "or" {
		f.Op = query.Or
	}
	for i, c := range children {
		child, err := p.filter(at+"/1/"+strconv.Itoa(i), c, depth+1, behavioral)
		if err != nil {
			return nil, err
		}
		f.Children = append(f.Children, child)
	}
	return f, nil
}

// behavior checks a has_done or has_not_done filter, which always ends in an
// error: the dialect's for a wrong one, ours for one that is right.
func (p *filterParser) behavior(at string, v any, l []any, depth int, inside bool) error {
	if inside {
		return invalid("Invalid filters. Behavioral filters (has_done, has_not_done) cannot be nested.")
	}
	if len(l) != 2 {
		return invalid("%s: Invalid filter %s", at, cut(text(v)))
	}
	inner := &filterParser{nodes: p.nodes, clauses: p.clauses, filtered: map[query.Dimension]bool{}}
	if _, err := inner.filter(at+"/1", l[1], depth+1, true); err != nil {
		return err
	}
	for d := range inner.filtered {
		if !d.EventScoped() {
			return invalid("Invalid filters. Behavioral filters (has_done, has_not_done) can only be used with event dimension filters.")
		}
	}
	return invalid("Invalid filters. Behavioral filters (has_done, has_not_done) are not supported by this server.")
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

func (p *filterParser) test(at, op string, v any, l []any, depth int) (*query.Filter, error) {
	kind, negated, ok := operatorNamed(op)
	if !ok {
		return nil, invalid("%s: Invalid filter operator %s", at+"/0", cut(text(l[0])))
	}
	if len(l) != 3 && len(l) != 4 {
		return nil, invalid("%s: Invalid filter %s", at, cut(text(v)))
	}
	name, _ := l[1].(string)
	clauses, err := p.values(at, name, v, l[2])
	if err != nil {
		return nil, err
	}
	f := &query.Filter{Op: kind, Negated: negated, Dim: query.Dimension(name)}
	if len(l) == 4 {
		if f.Fold, err = modifiers(at, kind, v, l[3]); err != nil {
			return nil, err
		}
	}
	switch {
	case name == dimGoal:
		return nil, goalFilter(op, clauses, depth)
	case name == dimSegment:
		return nil, invalid("Invalid filters. Some segments don't exist or aren't accessible.")
	}
	d, ok := dimensionNamed(name)
	if !ok || isTime(d) {
		return nil, invalid("%s/1: Invalid dimension %s", at, cut(text(l[1])))
	}
	if d == query.EventHostname && depth > 0 {
		return nil, invalid("Invalid filters. Dimension `%s` can only be filtered at the top level.", d)
	}
	if d == query.Country && kind == query.Is && !f.Fold && slices.ContainsFunc(clauses, func(s string) bool { return !countryCode(s) && s != d.Missing() }) {
		return nil, invalid(textCountry)
	}
	p.filtered[d] = true
	if kind != query.Matches {
		f.Values = clauses
		return f, nil
	}
	for _, c := range clauses {
		pattern, err := compilePattern(c)
		if err != nil {
			return nil, err
		}
		f.Patterns = append(f.Patterns, pattern)
	}
	return f, nil
}

func compilePattern(s string) (*regexp.Regexp, error) {
	if len(s) > patternBytesMax {
		return nil, invalid("Invalid filters. A regular expression has more than %d bytes.", patternBytesMax)
	}
	pattern, err := regexp.Compile(s)
	if err != nil {
		return nil, invalid("Invalid filters. %q is not a regular expression: %w", cut(s), err)
	}
	return pattern, nil
}

// values reads the clauses: strings, for city and segment numbers too.
func (p *filterParser) values(at, name string, filter, v any) ([]string, error) {
	l, _ := v.([]any)
	if len(l) == 0 {
		return nil, invalid("%s: Invalid filter %s", at, cut(text(filter)))
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
			return nil, invalid("%s: Invalid filter %s", at, cut(text(filter)))
		}
		if len(s) > clauseBytesMax {
			return nil, invalid("%s/2/%d: longer than %d bytes", at, i, clauseBytesMax)
		}
		out = append(out, s)
	}
	return out, nil
}

// modifiers reads {"case_sensitive": false}: whether case is to be ignored.
func modifiers(at string, op query.Op, filter, v any) (bool, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return false, invalid("%s: Invalid filter %s", at, cut(text(filter)))
	}
	if err := onlyKeys(at+"/3", m, "case_sensitive"); err != nil {
		return false, err
	}
	sensitive := true
	if err := boolean(at+"/3", m, "case_sensitive", &sensitive); err != nil {
		return false, err
	}
	if _, given := m["case_sensitive"]; given && op == query.Matches {
		return false, invalid("Invalid filters. The case_sensitive modifier is not allowed with pattern operators %s.", patternOperatorsText)
	}
	return !sensitive, nil
}

// goalFilter tells why a goal cannot be filtered by; no site has goals yet.
func goalFilter(op string, goals []string, depth int) error {
	switch {
	case depth > 0:
		return invalid("Invalid filters. Dimension `event:goal` can only be filtered at the top level.")
	case op != "is" && op != "contains":
		return invalid("Invalid filters. Operator `%s` is not supported for `event:goal`, only `is` and `contains` are.", op)
	}
	return invalid("Invalid filters. The goal `%s` is not configured for this site. Find out how to configure goals here: %s", cut(goals[0]), documentation)
}
