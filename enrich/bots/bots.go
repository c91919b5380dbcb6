// Package bots tells programs from people by their user agent. It knows two
// lists: its own marks (markers.txt) and, when fetch.sh has brought it, the
// public list of crawlers, which is embedded from generated/. It must never call
// a browser that people use a bot: agent/testdata/browsers.txt is its test.
// Start at List.Match.
package bots

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"regexp/syntax"
	"strings"

	ahocorasick "github.com/petar-dambovaliev/aho-corasick"
)

//go:embed all:generated
var generated embed.FS

//go:embed markers.txt
var markers string

// Empty is the rule that decides over a missing user agent.
const Empty = "empty"

// List decides. It is immutable and safe for concurrent use. A decision costs a
// few microseconds: keep it behind a cache.
type List struct {
	own      automaton // over lower case
	ownMarks []mark
	crawlers automaton // over the text as it is
	literals []string
	prefixes []string
	patterns []pattern
	size     int
}

// mark is one line of markers.txt.
type mark struct {
	text              string
	start, end, spare bool
}

// pattern is a crawler that takes a regular expression. It can only match a text
// that holds need, which is far cheaper to look for; need may be empty.
type pattern struct {
	need, rule string
	re         *regexp.Regexp
}

type automaton struct {
	ahocorasick.AhoCorasick
	built bool
}

// New reads the embedded lists. Without the list of crawlers the own marks
// decide alone; a damaged list is an error.
func New() (*List, error) {
	data, err := generated.ReadFile("generated/crawlers.json")
	if errors.Is(err, fs.ErrNotExist) {
		return Parse(nil)
	}
	if err != nil {
		return nil, fmt.Errorf("read the embedded list of crawlers: %w", err)
	}
	return Parse(data)
}

// Parse builds a list from the own marks and from crawlers: a JSON array of
// objects whose "pattern" is a regular expression. Empty crawlers are allowed.
func Parse(crawlers []byte) (*List, error) {
	l := &List{}
	if len(crawlers) > 0 {
		var entries []struct {
			Pattern string `json:"pattern"`
		}
		if err := json.Unmarshal(crawlers, &entries); err != nil {
			return nil, fmt.Errorf("decode the list of crawlers: %w", err)
		}
		for _, e := range entries {
			if err := l.addCrawler(e.Pattern); err != nil {
				return nil, err
			}
		}
		l.size = len(entries)
	}
	for line := range strings.Lines(markers) {
		if line = strings.TrimRight(line, "\n"); line != "" && line[0] != '#' {
			l.ownMarks = append(l.ownMarks, parseMark(line))
		}
	}
	own := make([]string, len(l.ownMarks))
	for i, m := range l.ownMarks {
		own[i] = m.text
	}
	l.own = build(own)
	l.crawlers = build(l.literals)
	return l, nil
}

// Crawlers is how many crawlers of the public list are known; 0 means that the
// own marks decide alone.
func (l *List) Crawlers() int { return l.size }

// Match tells whether ua is a program, and by which rule: the mark or crawler
// found, or Empty. "-" is how a log file writes an empty one.
func (l *List) Match(ua string) (rule string, bot bool) {
	if ua = strings.TrimSpace(ua); ua == "" || ua == "-" {
		return Empty, true
	}
	if l.crawlers.built {
		if m := l.crawlers.Iter(ua).Next(); m != nil {
			return l.literals[m.Pattern()], true
		}
	}
	for _, p := range l.prefixes {
		if strings.HasPrefix(ua, p) {
			return p, true
		}
	}
	for i := range l.patterns {
		if p := &l.patterns[i]; strings.Contains(ua, p.need) && p.re.MatchString(ua) {
			return p.rule, true
		}
	}
	return l.matchOwn(strings.ToLower(ua))
}

func (l *List) matchOwn(ua string) (rule string, bot bool) {
	spared := 0 // marks that start before it are hidden by a '!' mark
	for found := l.own.Iter(ua); ; {
		hit := found.Next()
		if hit == nil {
			return "", false
		}
		m := l.ownMarks[hit.Pattern()]
		switch {
		case m.spare:
			spared = hit.End()
		case hit.Start() < spared, m.start && hit.Start() > 0, m.end && hit.End() < len(ua) && alphanumeric(ua[hit.End()]):
		default:
			return m.text, true
		}
	}
}

// addCrawler files a pattern under the cheapest way to look for it.
func (l *List) addCrawler(text string) error {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return fmt.Errorf("list of crawlers: pattern %q: %w", text, err)
	}
	tree = tree.Simplify()
	if tree.Op != syntax.OpAlternate {
		return l.file(text, text, tree)
	}
	for _, either := range tree.Sub {
		if err := l.file(text, either.String(), either); err != nil {
			return err
		}
	}
	return nil
}

// file takes one alternative of rule: its source text and its parsed form.
func (l *List) file(rule, text string, tree *syntax.Regexp) error {
	switch {
	case literal(tree):
		l.literals = append(l.literals, string(tree.Rune))
	case tree.Op == syntax.OpConcat && len(tree.Sub) == 2 && tree.Sub[0].Op == syntax.OpBeginText && literal(tree.Sub[1]):
		l.prefixes = append(l.prefixes, string(tree.Sub[1].Rune))
	default:
		re, err := regexp.Compile(text)
		if err != nil {
			return fmt.Errorf("list of crawlers: pattern %q: %w", rule, err)
		}
		p := pattern{rule: rule, re: re}
		if tree.Op == syntax.OpConcat {
			for _, part := range tree.Sub {
				if literal(part) && len(string(part.Rune)) > len(p.need) {
					p.need = string(part.Rune)
				}
			}
		}
		l.patterns = append(l.patterns, p)
	}
	return nil
}

func literal(re *syntax.Regexp) bool {
	return re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0
}

func parseMark(line string) mark {
	m := mark{text: line}
	if rest, ok := strings.CutPrefix(m.text, "!"); ok {
		m.text, m.spare = rest, true
	}
	if rest, ok := strings.CutPrefix(m.text, "^"); ok {
		m.text, m.start = rest, true
	}
	if rest, ok := strings.CutSuffix(m.text, "$"); ok {
		m.text, m.end = rest, true
	}
	return m
}

func build(texts []string) automaton {
	if len(texts) == 0 {
		return automaton{}
	}
	b := ahocorasick.NewAhoCorasickBuilder(ahocorasick.Opts{MatchKind: ahocorasick.LeftMostLongestMatch})
	return automaton{AhoCorasick: b.Build(texts), built: true}
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}
