package query

import (
	"cmp"
	"context"
	"slices"

	"footfall/analytics"
	"footfall/analytics/session"
)

// Bounds of journeys.
const (
	JourneyStepsMax = 5
	JourneyTopMax   = 50
)

// Journeys asks which pages are viewed one after the other. The journey of a
// visit is its page views in order, of which those of one page in a row are one.
// With an Anchor it begins at the first view of a page that the glob fits, and
// visits without such a view have none; without one it begins where the visit
// begins, or, going Back, ends. Visits are those active in the range, whole, for
// which Filter holds.
type Journeys struct {
	From, To int64 // Unix ms, half open
	Filter   *Filter
	Anchor   string // path glob as of a goal; "": the entry page, or the exit page when going back
	Back     bool   // what came before instead of what came next
	Steps    int    // after the first page, 1 to JourneyStepsMax
	Top      int    // pages of a step that are shown by name, 1 to JourneyTopMax
}

// JourneysResult is a graph whose nodes are in layers.
type JourneysResult struct {
	Visits int           // that have a journey
	Nodes  []JourneyNode // by step, then most visits first; what is not shown by name comes last
	Links  []JourneyLink // by From, then To
	Index  uint64        // as in Answer
}

// JourneyNode is a page at a step. Each visit with a journey of so many steps is
// in exactly one node of the step.
type JourneyNode struct {
	Step   int    // 0 is where journeys begin
	Page   string // "" stands for the pages that are not shown by name
	Pages  int    // how many these are; 1 for a page
	Visits int
	// Ends is how many of the visits go no further: they leave the site from here,
	// or, going back, they entered it here. The others are in the links to the next
	// step, but for the last step, behind which nothing is shown.
	Ends int
}

// JourneyLink is the visits that go from a node to one of the next step. From and
// To are places in Nodes.
type JourneyLink struct{ From, To, Visits int }

// Journeys evaluates j. Errors are Invalid or those of reading. It reads the
// range twice: to find the most viewed pages of each step, and to count between
// them, so that what it holds does not grow with the number of visits.
func (p *Picture) Journeys(ctx context.Context, j *Journeys) (*JourneysResult, error) {
	switch {
	case j.Steps < 1 || j.Steps > JourneyStepsMax:
		return nil, analytics.Errorf(analytics.Invalid, "steps: must be 1 to %d", JourneyStepsMax)
	case j.Top < 1 || j.Top > JourneyTopMax:
		return nil, analytics.Errorf(analytics.Invalid, "top: must be 1 to %d", JourneyTopMax)
	}
	r := &journeyRun{j: j, counts: make([][]int, j.Steps+1), out: &JourneysResult{Index: p.Index()}}
	if j.Anchor != "" {
		r.anchor = CompileGoal(analytics.Goal{Kind: analytics.GoalPage, Page: j.Anchor})
	}
	if err := p.scanVisits(ctx, j.From, j.To, j.Filter, r.count); err != nil {
		return nil, err
	}
	r.choose()
	if err := p.scanVisits(ctx, j.From, j.To, j.Filter, r.link); err != nil {
		return nil, err
	}
	r.finish()
	return r.out, nil
}

type journeyRun struct {
	j      *Journeys
	anchor *Goal // nil without
	fits   []uint8
	pages  book
	path   []uint32 // of the visit at hand

	counts [][]int // visits by step and page
	nodes  []map[uint32]int
	others []int // place of each step's node of other pages, -1 without
	links  map[[2]int]int
	out    *JourneysResult
}

// journey gives the pages of the visit's journey, of which no more than the steps
// asked for are looked at, and whether it goes on behind them.
func (r *journeyRun) journey(v Visit) (path []uint32, more bool) {
	r.pages.use(v.Day)
	r.path = r.pages.views(r.path[:0], v)
	path = r.path
	if r.anchor != nil {
		at := slices.IndexFunc(path, r.anchored)
		switch {
		case at < 0:
			return nil, false
		case r.j.Back:
			path = path[:at+1]
		default:
			path = path[at:]
		}
	}
	if r.j.Back {
		slices.Reverse(path)
	}
	if len(path) > r.j.Steps+1 {
		return path[:r.j.Steps+1], true
	}
	return path, false
}

func (r *journeyRun) anchored(page uint32) bool {
	if n := len(r.pages.texts); len(r.fits) < n {
		r.fits = append(r.fits, make([]uint8, n-len(r.fits))...)
	}
	if r.fits[page] == 0 {
		r.fits[page] = 1
		if r.anchor.matchesPage(r.pages.texts[page]) {
			r.fits[page] = 2
		}
	}
	return r.fits[page] == 2
}

func (r *journeyRun) count(v Visit) error {
	path, _ := r.journey(v)
	if len(path) > 0 {
		r.out.Visits++
	}
	for step, page := range path {
		c := r.counts[step]
		if int(page) >= len(c) {
			c = append(c, make([]int, len(r.pages.texts)-len(c))...)
			r.counts[step] = c
		}
		c[page]++
	}
	return nil
}

// choose makes the nodes.
func (r *journeyRun) choose() {
	for step, counts := range r.counts {
		var pages []uint32
		for page, n := range counts {
			if n > 0 {
				pages = append(pages, uint32(page))
			}
		}
		slices.SortFunc(pages, func(a, b uint32) int {
			return cmp.Or(counts[b]-counts[a], cmp.Compare(r.pages.texts[a], r.pages.texts[b]))
		})
		nodes := map[uint32]int{}
		top := min(r.j.Top, len(pages))
		for _, page := range pages[:top] {
			nodes[page] = len(r.out.Nodes)
			r.out.Nodes = append(r.out.Nodes, JourneyNode{Step: step, Page: r.pages.texts[page], Pages: 1})
		}
		r.nodes, r.others = append(r.nodes, nodes), append(r.others, len(r.out.Nodes))
		if rest := len(pages) - top; rest > 0 {
			r.out.Nodes = append(r.out.Nodes, JourneyNode{Step: step, Pages: rest})
		}
	}
	r.links = map[[2]int]int{}
}

func (r *journeyRun) link(v Visit) error {
	path, more := r.journey(v)
	before := -1
	for step, page := range path {
		node, ok := r.nodes[step][page]
		if !ok {
			node = r.others[step]
		}
		n := &r.out.Nodes[node]
		n.Visits++
		if step == len(path)-1 && !more {
			n.Ends++
		}
		if before >= 0 {
			r.links[[2]int{before, node}]++
		}
		before = node
	}
	return nil
}

func (r *journeyRun) finish() {
	for l, n := range r.links {
		r.out.Links = append(r.out.Links, JourneyLink{l[0], l[1], n})
	}
	slices.SortFunc(r.out.Links, func(a, b JourneyLink) int { return cmp.Or(a.From-b.From, a.To-b.To) })
}

// book numbers pages over the lexicons of several days. The zero value is empty.
type book struct {
	texts []string
	ids   map[string]uint32

	lex  *session.Lexicon
	memo []uint32 // number of each text of lex, plus 1; 0: not looked at
}

// use prepares for the rows of a day.
func (b *book) use(d *session.Day) {
	if b.lex != d.Lexicon {
		b.lex, b.memo = d.Lexicon, nil
	}
}

func (b *book) of(text uint32) uint32 {
	if int(text) >= len(b.memo) {
		b.memo = append(b.memo, make([]uint32, b.lex.Len()-len(b.memo))...)
	}
	if n := b.memo[text]; n != 0 {
		return n - 1
	}
	s := b.lex.Text(text)
	n, ok := b.ids[s]
	if !ok {
		if b.ids == nil {
			b.ids = map[string]uint32{}
		}
		n = uint32(len(b.texts))
		b.ids[s] = n
		b.texts = append(b.texts, s)
	}
	b.memo[text] = n + 1
	return n
}

// views appends the numbers of the pages that a visit viewed, those in a row
// once.
func (b *book) views(dst []uint32, v Visit) []uint32 {
	from, to := v.rows()
	for e := from; e < to; e++ {
		if kind(v.Layer, e) != analytics.Pageview {
			continue
		}
		if page := b.of(v.Layer.Page[e]); len(dst) == 0 || dst[len(dst)-1] != page {
			dst = append(dst, page)
		}
	}
	return dst
}
