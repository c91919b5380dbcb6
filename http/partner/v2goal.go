package partner

import "footfall/analytics/query"

// goal makes a filter by goals: the event reaches one of those that a clause
// names.
func (p *filterParser) goal(op string, fold bool, clauses []string) (*query.Filter, error) {
	if op != "is" && op != "contains" {
		return nil, invalid("Invalid filters. Operator `%s` is not supported for `event:goal`, only `is` and `contains` are.", op)
	}
	if op == "contains" {
		if p.goalTexts += len(clauses); p.goalTexts > goalTextsMax {
			return nil, invalid("Invalid filters. `event:goal` cannot contain more than %d texts.", goalTextsMax)
		}
	}
	reached, missed := p.words.match(op == "contains", fold, clauses)
	if missed >= 0 {
		return nil, invalid("Invalid filters. %s", textNoGoal(clauses[missed]))
	}
	if p.tests.goals {
		p.tests.reached = intersect(p.tests.reached, reached)
	} else {
		p.tests.goals, p.tests.reached = true, reached
	}
	return &query.Filter{Op: query.Reached, Dim: query.EventGoal, Goals: reached}, nil
}

// behavior reads what a visit also did, or did not do.
func (p *filterParser) behavior(at place, op string, v any, l []any) (*query.Filter, any, error) {
	if at.behavioral {
		return nil, nil, invalid("Invalid filters. Behavioral filters (has_done, has_not_done) cannot be nested.")
	}
	if len(l) != 2 {
		return nil, nil, wrong(at, v)
	}
	outer := p.tests
	p.tests = tests{dims: map[query.Dimension]bool{}}
	inside := at.below("/1")
	inside.behavioral = true
	child, echo, err := p.filter(inside, l[1])
	done := p.tests
	p.tests = outer
	if err != nil {
		return nil, nil, err
	}
	for d := range done.dims {
		if !ofEvents(d) {
			return nil, nil, invalid("Invalid filters. Behavioral filters (has_done, has_not_done) can only be used with event dimension filters.")
		}
	}
	f := &query.Filter{Op: query.HasDone, Children: []*query.Filter{child}}
	if op == opHasNotDone {
		f = not(f)
	}
	return f, []any{op, echo}, nil
}
