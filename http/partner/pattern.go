package partner

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// Bounds of expressions. They run in linear time, but both the time and the
// memory grow with the size of the compiled program, and a short text can mean
// a large one.
const (
	patternBytesMax = 1000
	patternSizeMax  = 2000 // of one, in instructions, see sizeOf
	patternsSizeMax = 8000 // of a query
)

// patterns compiles the expressions of one query within its bounds.
type patterns struct{ size int }

// compile compiles an expression of RE2.
func (p *patterns) compile(s string) (*regexp.Regexp, error) {
	if len(s) > patternBytesMax {
		return nil, invalid("Invalid filters. A regular expression has more than %d bytes.", patternBytesMax)
	}
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, invalid("Invalid filters. %q is not a regular expression: %w", cut(s), err)
	}
	size := sizeOf(tree)
	if p.size += size; size > patternSizeMax || p.size > patternsSizeMax {
		return nil, invalid("Invalid filters. The regular expression %q is too large when it is written out.", cut(s))
	}
	pattern, err := regexp.Compile(s)
	if err != nil {
		return nil, invalid("Invalid filters. %q is not a regular expression: %w", cut(s), err)
	}
	return pattern, nil
}

// wildcard makes the pattern of a value of v1 in which "*" stands for any text.
func (p *patterns) wildcard(v string) (*regexp.Regexp, error) {
	if len(v) > patternBytesMax {
		return nil, invalid("filters: a value with a wildcard has more than %d bytes", patternBytesMax)
	}
	if p.size += len(v); p.size > patternsSizeMax {
		return nil, invalid("filters: the values with wildcards have more than %d bytes together", patternsSizeMax)
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

// sizeOf estimates how many instructions an expression compiles to, large
// classes of characters counting for more. The parser bounds the nesting, and
// how far repetitions multiply, so that the sum cannot overflow.
func sizeOf(re *syntax.Regexp) int {
	n := 1
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCharClass:
		n += len(re.Rune) / 32
	}
	for _, sub := range re.Sub {
		n += sizeOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min+1, re.Max)
	}
	return n
}
