package partner

import (
	"regexp"
	"slices"
	"strings"

	"footfall/analytics"
	"footfall/analytics/query"
)

const filterTextBytesMax = 16 << 10

// filterV1 is a filter text, read.
type filterV1 struct {
	filter  *query.Filter     // nil: everything
	dims    []query.Dimension // that it tests
	goals   bool              // goals among them
	reached []*query.Goal     // that pass all tests of goals; meaningful with goals
}

// parseFilterText reads the filters of v1, for which all must hold:
//
//	filters = filter *( ";" filter )
//	filter  = property ( "==" / "!=" ) value *( "|" value )
//
// A backslash takes the meaning from "|", ";" and itself. A "*" stands for any
// text.
func parseFilterText(s string, w *words) (*filterV1, error) {
	out := &filterV1{}
	if len(s) > filterTextBytesMax {
		return nil, invalid("filters: more than %d bytes", filterTextBytesMax)
	}
	if s == "" {
		return out, nil
	}
	var all []*query.Filter
	bounds := &patterns{}
	for _, part := range splitText(s, ';') {
		f, err := parseFilterPart(part, w, bounds)
		if err != nil {
			return nil, err
		}
		if all = append(all, f); len(all) > filterNodesMax {
			return nil, invalid("filters: more than %d filters", filterNodesMax)
		}
		if !slices.Contains(out.dims, f.Dim) {
			out.dims = append(out.dims, f.Dim)
		}
		if f.Op != query.Reached {
			continue
		}
		if out.goals {
			out.reached = intersect(out.reached, f.Goals)
		} else {
			out.goals, out.reached = true, f.Goals
		}
	}
	out.filter = conjunction(all)
	return out, nil
}

func parseFilterPart(part string, w *words, bounds *patterns) (*query.Filter, error) {
	equal, unequal := strings.Index(part, "=="), strings.Index(part, "!=")
	at, negated := equal, false
	if at < 0 || unequal >= 0 && unequal < at {
		at, negated = unequal, true
	}
	if at < 0 || at+2 == len(part) {
		return nil, invalid("Invalid filter '%s'. A filter is a property, == or != and a value: %s", cut(part), documentation)
	}
	name := strings.TrimSpace(part[:at])
	d, ok := dimensionNamed(name)
	if !ok || isTime(d) {
		return nil, invalid("Invalid filter property '%s'. Please provide a valid filter property: %s", cut(name), documentation)
	}
	values := splitText(part[at+2:], '|')
	if len(values) > filterClausesMax {
		return nil, invalid("filters: more than %d values of %s", filterClausesMax, cut(name))
	}
	wild := false
	for i, v := range values {
		if len(v) > clauseBytesMax {
			return nil, invalid("filters: a value of %s has more than %d bytes", cut(name), clauseBytesMax)
		}
		wild = wild || strings.Contains(v, "*")
		values[i] = unescape(v)
	}
	switch {
	case d == query.EventGoal && negated:
		return nil, invalid("Invalid filter '%s'. A goal can only be filtered by with ==: %s", cut(part), documentation)
	case d == query.EventGoal:
		return goalsNamed(values, w, bounds)
	case wild:
		return wildcards(d, negated, values, bounds)
	case d == query.Country && !countries(values):
		return nil, invalid(textCountry)
	}
	return &query.Filter{Op: query.Is, Dim: d, Negated: negated, Values: values}, nil
}

func wildcards(d query.Dimension, negated bool, values []string, bounds *patterns) (*query.Filter, error) {
	f := &query.Filter{Op: query.Matches, Dim: d, Negated: negated}
	for _, v := range values {
		pattern, err := bounds.wildcard(v)
		if err != nil {
			return nil, err
		}
		f.Patterns = append(f.Patterns, pattern)
	}
	return f, nil
}

// goalsNamed makes the filter of goals by their names. A name may have
// wildcards, and be the name of a goal to the letter all the same: that of a
// page goal often has its glob.
func goalsNamed(names []string, w *words, bounds *patterns) (*query.Filter, error) {
	have := map[string]bool{}
	for _, g := range w.all() {
		have[g.Name] = true
	}
	exact := map[string]bool{}
	var globs []*regexp.Regexp
	for _, name := range names {
		if have[name] {
			exact[name] = true
			continue
		}
		if !strings.Contains(name, "*") {
			return nil, invalid("%s", textNoGoal(name))
		}
		if len(globs) == goalTextsMax {
			return nil, invalid("filters: more than %d goals with a wildcard", goalTextsMax)
		}
		pattern, err := bounds.wildcard(name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(w.all(), func(g *analytics.Goal) bool { return pattern.MatchString(g.Name) }) {
			return nil, invalid("%s", textNoGoal(name))
		}
		globs = append(globs, pattern)
	}
	goals := w.passing(func(name string) bool {
		return exact[name] || slices.ContainsFunc(globs, func(p *regexp.Regexp) bool { return p.MatchString(name) })
	})
	return &query.Filter{Op: query.Reached, Dim: query.EventGoal, Goals: goals}, nil
}

// splitText cuts s at every separator that no backslash stands before.
func splitText(s string, separator byte) []string {
	var out []string
	from := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case separator:
			out = append(out, s[from:i])
			from = i + 1
		}
	}
	return append(out, s[from:])
}

// unescape takes the backslashes off that splitText has obeyed; others stay.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '|' || s[i+1] == ';' || s[i+1] == '\\') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
