package query

import (
	"footfall/analytics"
	"footfall/analytics/session"
)

// goalsMatched bounds the goals of a matcher: what came of a text is one word.
const goalsMatched = 31

// matcher tells which of a few goals an event reaches. It tests each text once.
// Not safe for concurrent use.
type matcher struct {
	goals []*Goal
	lex   *session.Lexicon
	texts []string

	// By number of the text: a bit for each goal that it satisfies, and tried.
	pages, names, props []uint32

	paged, scrolls, views, customs, unconditional uint32 // goals of a kind
}

const tried = 1 << goalsMatched

func newMatcher(goals []*Goal) *matcher {
	m := &matcher{goals: goals}
	for k, g := range goals {
		bit := uint32(1) << k
		switch {
		case g.Kind == analytics.GoalPage:
			m.paged |= bit
		case g.Kind == analytics.GoalScroll:
			m.scrolls |= bit
		case g.Event == analytics.NamePageview:
			m.views |= bit
		default:
			m.customs |= bit
		}
		if len(g.Props) == 0 {
			m.unconditional |= bit
		}
	}
	return m
}

// use prepares for the rows of a day.
func (m *matcher) use(d *session.Day) {
	if m.lex != d.Lexicon {
		m.lex = d.Lexicon
		m.pages, m.names, m.props = nil, nil, nil
	}
	m.texts = m.lex.Texts()
}

// reached gives a bit for each goal that event e of l reaches.
func (m *matcher) reached(l *session.Layer, e int) uint32 {
	var hit uint32
	switch kind(l, e) {
	case analytics.Pageview:
		if hit = m.views; m.paged != 0 {
			hit |= m.paged & m.ofPage(l.Page[e])
		}
	case analytics.Engagement:
		depth := l.Scroll(e)
		if m.scrolls == 0 || depth == analytics.ScrollNone {
			return 0
		}
		if hit = m.scrolls & m.ofPage(l.Page[e]); hit == 0 {
			return 0
		}
		for k, g := range m.goals {
			if depth < g.Scroll {
				hit &^= 1 << k
			}
		}
	default:
		if m.customs != 0 {
			hit = m.customs & m.learn(&m.names, l.Name(e), m.name)
		}
	}
	if hit&^m.unconditional != 0 {
		hit &= m.learn(&m.props, l.Props(e), m.conditions)
	}
	return hit
}

// ofPage is learn for pages, short where the page is known.
func (m *matcher) ofPage(n uint32) uint32 {
	if int(n) < len(m.pages) && m.pages[n] != 0 {
		return m.pages[n]
	}
	return m.learn(&m.pages, n, m.page)
}

// learn tests text n unless that was done before.
func (m *matcher) learn(memo *[]uint32, n uint32, test func(text string) uint32) uint32 {
	if int(n) >= len(*memo) {
		if int(n) >= len(m.texts) {
			m.texts = m.lex.Texts()
		}
		*memo = append(*memo, make([]uint32, len(m.texts)-len(*memo))...)
	}
	bits := (*memo)[n]
	if bits == 0 {
		bits = test(m.texts[n]) | tried
		(*memo)[n] = bits
	}
	return bits
}

func (m *matcher) page(path string) (bits uint32) {
	for k, g := range m.goals {
		if g.Kind != analytics.GoalEvent && g.matchesPage(path) {
			bits |= 1 << k
		}
	}
	return bits
}

func (m *matcher) name(name string) (bits uint32) {
	for k, g := range m.goals {
		if g.Kind == analytics.GoalEvent && g.Event == name {
			bits |= 1 << k
		}
	}
	return bits
}

func (m *matcher) conditions(props string) (bits uint32) {
	for k, g := range m.goals {
		if g.meets(props) {
			bits |= 1 << k
		}
	}
	return bits
}
