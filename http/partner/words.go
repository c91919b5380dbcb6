package partner

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
)

// words are what a query may call by a name that the merchant gave: goals and
// segments of one site, as far as who may see them. They are for one request;
// not safe for concurrent use.
type words struct {
	directory Directory
	site      *analytics.Site
	who       accounts.Identity

	loaded   bool
	goals    []*analytics.Goal
	compiled map[*analytics.Goal]*query.Goal
	segments map[uint64][]any
}

func (d *Door) words(site *analytics.Site, who accounts.Identity) *words {
	return &words{directory: d.cfg.Directory, site: site, who: who}
}

// all lists the goals of the site.
func (w *words) all() []*analytics.Goal {
	if !w.loaded {
		w.goals, w.loaded = w.directory.Goals(w.site.ID), true
	}
	return w.goals
}

// match gives the goals whose name is one of the clauses, or contains one, in
// the order in which they were made, and the place of the first clause that no
// goal passes; -1 if there is none.
func (w *words) match(contains, fold bool, clauses []string) (goals []*query.Goal, missed int) {
	want := slices.Clone(clauses)
	names := make(map[string]bool, len(want))
	for i := range want {
		if fold {
			want[i] = strings.ToLower(want[i])
		}
		names[want[i]] = true
	}
	found := make(map[string]bool, len(want))
	for _, g := range w.all() {
		name := g.Name
		if fold {
			name = strings.ToLower(name)
		}
		hit := names[name]
		if hit {
			found[name] = true
		}
		if contains {
			for _, c := range want {
				if strings.Contains(name, c) {
					hit, found[c] = true, true
				}
			}
		}
		if hit {
			goals = append(goals, w.compile(g))
		}
	}
	return goals, slices.IndexFunc(want, func(c string) bool { return !found[c] })
}

// passing gives the goals whose name passes, ready to be tested.
func (w *words) passing(pass func(name string) bool) []*query.Goal {
	var out []*query.Goal
	for _, g := range w.all() {
		if pass(g.Name) {
			out = append(out, w.compile(g))
		}
	}
	return out
}

// every gives all goals of the site, ready to be tested.
func (w *words) every() []*query.Goal { return w.passing(func(string) bool { return true }) }

func (w *words) compile(g *analytics.Goal) *query.Goal {
	c := w.compiled[g]
	if c == nil {
		c = query.CompileGoal(*g)
		if w.compiled == nil {
			w.compiled = map[*analytics.Goal]*query.Goal{}
		}
		w.compiled[g] = c
	}
	return c
}

const (
	textSegments  = "Invalid filters. Some segments don't exist or aren't accessible."
	textGoalHelp  = "Find out how to configure goals here: " + documentation
	textSegmentOp = "Invalid filters. Operator `%s` is not supported for `segment`, only `is` is."
)

// textNoGoal says that there is no goal of a name; it is put after "Invalid
// filters. " in v2.
func textNoGoal(name string) string {
	return "The goal `" + cut(name) + "` is not configured for this site. " + textGoalHelp
}

// segment gives the filters of a segment as they were saved.
func (w *words) segment(clause string) ([]any, error) {
	id, err := strconv.ParseUint(clause, 10, 64)
	if err != nil {
		return nil, invalid(textSegments)
	}
	if filters, ok := w.segments[id]; ok {
		return filters, nil
	}
	s, ok := w.directory.Segment(w.site.ID, id)
	if !ok || s.Site != w.site.ID || !maySee(w.who, s) {
		return nil, invalid(textSegments)
	}
	var data struct {
		Filters []any `json:"filters"`
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(s.Data)))
	dec.UseNumber()
	if err := dec.Decode(&data); err != nil || len(data.Filters) == 0 {
		return nil, invalid("Invalid filters. Segment %d has no filters that can be read.", id)
	}
	if w.segments == nil {
		w.segments = map[uint64][]any{}
	}
	w.segments[id] = data.Filters
	return data.Filters, nil
}

// maySee tells whether who may use a segment of a site that they may read.
func maySee(who accounts.Identity, s *analytics.Segment) bool {
	if !s.Personal || who.Operator {
		return true
	}
	return !who.Anonymous() && who.User == s.Owner
}

// intersect gives the goals of a that are in b too, by identity.
func intersect(a, b []*query.Goal) []*query.Goal {
	return slices.DeleteFunc(slices.Clone(a), func(g *query.Goal) bool { return !slices.Contains(b, g) })
}
