package partner

import "footfall/analytics/query"

// top reads a filter of the top level. One segment there gives its own filters
// to the level, so that it may hold what is possible on the top level only.
func (p *filterParser) top(at place, v any) ([]*query.Filter, []any, error) {
	l, _ := v.([]any)
	if name, _ := element(l, 1).(string); name != dimSegment {
		f, e, err := p.filter(at, v)
		return []*query.Filter{f}, []any{e}, err
	}
	clauses, err := p.segmentClauses(at, v, l)
	if err != nil {
		return nil, nil, err
	}
	if len(clauses) > 1 {
		f, e, err := p.segments(at, clauses)
		return []*query.Filter{f}, []any{e}, err
	}
	return p.segment(at, clauses[0])
}

// segmentClauses reads a filter by segments: the numbers of one or more.
func (p *filterParser) segmentClauses(at place, v any, l []any) ([]string, error) {
	op, _ := l[0].(string)
	if len(l) != 3 {
		return nil, wrong(at, v)
	}
	if op != "is" {
		return nil, invalid(textSegmentOp, cut(op))
	}
	if at.segment {
		return nil, invalid("Invalid filters. A segment cannot be made of segments.")
	}
	return p.values(at, dimSegment, v, l[2])
}

// segments reads the filters of segments, of which one must hold.
func (p *filterParser) segments(at place, clauses []string) (*query.Filter, any, error) {
	either := &query.Filter{Op: query.Or}
	var echo []any
	for _, clause := range clauses {
		inside := at
		inside.depth++
		if len(clauses) > 1 {
			inside.depth++
		}
		filters, e, err := p.segment(inside, clause)
		if err != nil {
			return nil, nil, err
		}
		either.Children = append(either.Children, conjunction(filters))
		if len(e) == 1 {
			echo = append(echo, e[0])
		} else {
			echo = append(echo, []any{"and", e})
		}
	}
	if len(clauses) == 1 {
		return either.Children[0], echo[0], nil
	}
	return either, []any{"or", echo}, nil
}

// segment reads the filters of one segment, all of which must hold. Errors tell
// the place of the filter that named it.
func (p *filterParser) segment(at place, clause string) ([]*query.Filter, []any, error) {
	saved, err := p.words.segment(clause)
	if err != nil {
		return nil, nil, err
	}
	at.segment = true
	var filters []*query.Filter
	var echo []any
	for _, v := range saved {
		f, e, err := p.filter(at, v)
		if err != nil {
			return nil, nil, err
		}
		filters, echo = append(filters, f), append(echo, e)
	}
	return filters, echo, nil
}
