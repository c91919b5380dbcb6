package query

import (
	"encoding/json"
	"regexp"
	"strings"

	"footfall/analytics"
	"footfall/analytics/entry"
)

// Goal is a goal ready to be tested on events. Make one with CompileGoal;
// immutable, safe for concurrent use.
type Goal struct {
	analytics.Goal
	page *regexp.Regexp // nil: the path is Goal.Page to the letter
}

// CompileGoal prepares a goal.
func CompileGoal(g analytics.Goal) *Goal {
	c := &Goal{Goal: g}
	if strings.Contains(g.Page, "*") {
		c.page = Glob(g.Page)
	}
	return c
}

// UnmarshalJSON reads a goal that another node sent and prepares it.
func (g *Goal) UnmarshalJSON(b []byte) error {
	var plain analytics.Goal
	if err := json.Unmarshal(b, &plain); err != nil {
		return err
	}
	*g = *CompileGoal(plain)
	return nil
}

// Glob gives the pattern of a path glob: "*" stands for any text without a
// slash, "**" for any text, everything else for itself.
func Glob(glob string) *regexp.Regexp {
	parts := strings.Split(glob, "**")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, `[^/]*`)
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*") + `$`)
}

// matchesPage tells whether a path is one of the goal's.
func (g *Goal) matchesPage(path string) bool {
	if g.page == nil {
		return path == g.Page
	}
	return g.page.MatchString(path)
}

// meets tells whether an event's properties, as the columns have them, meet all
// conditions.
func (g *Goal) meets(props string) bool {
	for _, want := range g.Props {
		if got, ok := entry.Lookup(props, want.Key); !ok || got != want.Value {
			return false
		}
	}
	return true
}
