package partner

import (
	"regexp"
	"slices"
	"strings"

	"footfall/analytics/query"
)

const filterTextBytesMax = 16 << 10

// parseFilterText reads the filters of v1, for which all must hold:
//
//	filters = filter *( ";" filter )
//	filter  = property ( "==" / "!=" ) value *( "|" value )
//
// A backslash takes the meaning from "|", ";" and itself. A "*" stands for any
// text. It gives the filter, nil for none, and the dimensions it tests.
func parseFilterText(s string) (*query.Filter, []query.Dimension, error) {
	if len(s) > filterTextBytesMax {
		return nil, nil, invalid("filters: more than %d bytes", filterTextBytesMax)
	}
	if s == "" {
		return nil, nil, nil
	}
	var all []*query.Filter
	var dims []query.Dimension
	for _, part := range splitText(s, ';') {
		f, err := parseFilterPart(part)
		if err != nil {
			return nil, nil, err
		}
		if all = append(all, f); len(all) > filterNodesMax {
			return nil, nil, invalid("filters: more than %d filters", filterNodesMax)
		}
		if !slices.Contains(dims, f.Dim) {
			dims = append(dims, f.Dim)
		}
	}
	return conjunction(all), dims, nil
}

func parseFilterPart(part string) (*query.Filter, error) {
	equal, unequal := strings.Index(part, "=="), strings.Index(part, "!=")
	at, negated := equal, false
	if at < 0 || unequal >= 0 && unequal < at {
		at, negated = unequal, true
	}
	if at < 0 || at+2 == len(part) {
		return nil, invalid("Invalid filter '%s'. A filter is a property, == or != and a value: %s", cut(part), documentation)
	}
	name, value := strings.TrimSpace(part[:at]), part[at+2:]
	d, ok := dimensionNamed(name)
	switch {
	case name == dimGoal:
		return nil, invalid("The goal `%s` is not configured for this site. Find out how to configure goals here: %s", cut(unescape(value)), documentation)
	case !ok || isTime(d):
		return nil, invalid("Invalid filter property '%s'. Please provide a valid filter property: %s", cut(name), documentation)
	}
	f := &query.Filter{Op: query.Is, Dim: d, Negated: negated}
	wild := false
	for _, v := range splitText(value, '|') {
		if len(v) > clauseBytesMax {
			return nil, invalid("filters: a value of %s has more than %d bytes", cut(name), clauseBytesMax)
		}
		wild = wild || strings.Contains(v, "*")
		f.Values = append(f.Values, unescape(v))
	}
	if len(f.Values) > filterClausesMax {
		return nil, invalid("filters: more than %d values of %s", filterClausesMax, cut(name))
	}
	if wild {
		f.Op = query.Matches
		for _, v := range f.Values {
			pattern, err := wildcard(v)
			if err != nil {
				return nil, err
			}
			f.Patterns = append(f.Patterns, pattern)
		}
		f.Values = nil
		return f, nil
	}
	if d == query.Country && slices.ContainsFunc(f.Values, func(s string) bool { return !countryCode(s) && s != d.Missing() }) {
		return nil, invalid(textCountry)
	}
	return f, nil
}

// wildcard makes the pattern of a value in which "*" stands for any text.
func wildcard(v string) (*regexp.Regexp, error) {
	if len(v) > patternBytesMax {
		return nil, invalid("filters: a value with a wildcard has more than %d bytes", patternBytesMax)
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for rest := v; rest != ""; {
		text, more, wild := strings.Cut(rest, "*")
		b.WriteString(regexp.QuoteMeta(text))
		if wild {
			b.WriteString(".*")
		}
		rest = strings.TrimLeft(more, "*")
	}
	b.WriteString(`\z`)
	pattern, err := regexp.Compile(b.String())
	if err != nil {
		return nil, invalid("filters: %q cannot be matched: %w", cut(v), err)
	}
	return pattern, nil
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
