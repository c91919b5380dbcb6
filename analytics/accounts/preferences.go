package accounts

import (
	"slices"

	"footfall/analytics"
)

// Bounds of what a user may prefer.
const (
	PinnedMax        = 200
	GroupsMax        = 50
	GroupSitesMax    = 500
	languageBytesMax = 35
)

// Preferences are how one user likes the dashboard. Sites are kept by number,
// so that they outlive a change of domain; those that are gone meanwhile stay in
// the lists and are for whoever shows them to leave out. Immutable.
type Preferences struct {
	User      uint64             `json:"user"`
	Pinned    []analytics.SiteID `json:"pinned,omitempty"`
	Groups    []SiteGroup        `json:"groups,omitempty"`
	Theme     string             `json:"theme,omitempty"`      // light, dark or "" as the system has it
	Language  string             `json:"language,omitempty"`   // BCP 47; "" as the browser has it
	WeekStart string             `json:"week_start,omitempty"` // monday, sunday or "" as the language has it
}

// SiteGroup is some sites under a name.
type SiteGroup struct {
	Name  string             `json:"name"` // unique among the user's groups
	Sites []analytics.SiteID `json:"sites"`
}

// PutPreferences replaces all preferences of a user. Existed is set when they
// were so already.
type PutPreferences struct {
	Preferences
}

func (c *PutPreferences) kind() kind { return kindPutPreferences }

func (c *PutPreferences) Check() (err error) {
	if c.Pinned, err = cleanSites("pinned", c.Pinned, PinnedMax); err != nil {
		return err
	}
	if len(c.Groups) > GroupsMax {
		return invalid("groups: more than %d", GroupsMax)
	}
	c.Groups = slices.Clone(c.Groups)
	names := map[string]bool{}
	for i := range c.Groups {
		g := &c.Groups[i]
		if g.Name, err = displayName("name", g.Name); err != nil {
			return invalid("groups[%d].%w", i, err)
		}
		if names[g.Name] {
			return invalid("groups[%d].name: %q is there twice", i, clip(g.Name))
		}
		names[g.Name] = true
		if g.Sites, err = cleanSites("sites", g.Sites, GroupSitesMax); err != nil {
			return invalid("groups[%d].%w", i, err)
		}
	}
	switch c.Theme {
	case "system":
		c.Theme = ""
	case "", "light", "dark":
	default:
		return invalid("theme: must be system, light or dark")
	}
	if !languageTag(c.Language) {
		return invalid("language: must be a tag like de or pt-BR")
	}
	if w := c.WeekStart; w != "" && w != "monday" && w != "sunday" {
		return invalid("week_start: must be monday or sunday")
	}
	return nil
}

// cleanSites drops what is there twice and keeps the order.
func cleanSites(field string, list []analytics.SiteID, most int) ([]analytics.SiteID, error) {
	var out []analytics.SiteID
	seen := make(map[analytics.SiteID]bool, len(list))
	for _, id := range list {
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	if len(out) > most {
		return nil, invalid("%s: more than %d", field, most)
	}
	return out, nil
}

// languageTag tells whether s has the form of a language tag; "" has.
func languageTag(s string) bool {
	if len(s) > languageBytesMax {
		return false
	}
	for i := range len(s) {
		c := s[i]
		inner := i > 0 && i < len(s)-1
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9' || inner && c == '-' && s[i-1] != '-') {
			return false
		}
	}
	return true
}

func (p *Preferences) equal(o *Preferences) bool {
	return slices.Equal(p.Pinned, o.Pinned) && p.Theme == o.Theme && p.Language == o.Language && p.WeekStart == o.WeekStart &&
		slices.EqualFunc(p.Groups, o.Groups, func(a, b SiteGroup) bool { return a.Name == b.Name && slices.Equal(a.Sites, b.Sites) })
}

func (c *PutPreferences) apply(s *State, _ int64) Result {
	if _, ok := s.view.User(c.User); !ok {
		return refused(analytics.NotFound, "user: there is no user %d", c.User)
	}
	old := s.view.Preferences(c.User)
	p := c.Preferences
	if p.equal(old) {
		return Result{Preferences: old, Existed: true}
	}
	if p.equal(&Preferences{}) { // what says nothing is not kept
		s.dropPreferences(p.User)
	} else {
		s.view.preferences = s.view.preferences.put(p.User, &p)
		s.mark(RefPreferences, p.User)
	}
	return Result{Preferences: &p}
}

func (s *State) dropPreferences(user uint64) {
	if _, ok := s.view.preferences.get(user); ok {
		s.view.preferences = s.view.preferences.delete(user)
		s.mark(RefPreferences, user)
	}
}

// Preferences gives the preferences of a user, empty ones where nothing was
// chosen. It is never nil and must not be written to.
func (v *View) Preferences(user uint64) *Preferences {
	if p, ok := v.preferences.get(user); ok {
		return p
	}
	return &Preferences{User: user}
}
