package accounts

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"footfall/analytics"
)

// GoalWildcardsMax is how many runs of "*" the page of a goal may have, which
// bounds what testing one path costs.
const GoalWildcardsMax = 20

// Condition is a property that an event must have to reach a goal.
type Condition struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// GoalDef is what a goal is, without its id. Two goals with the same definition
// but for Name are the same goal.
type GoalDef struct {
	Kind     analytics.GoalKind `json:"kind"`
	Name     string             `json:"name"` // "" is the default name of such a goal
	Event    string             `json:"event,omitempty"`
	Page     string             `json:"page,omitempty"`
	Scroll   uint8              `json:"scroll,omitempty"`
	Props    []Condition        `json:"props,omitempty"` // Check sorts them by key
	Currency string             `json:"currency,omitempty"`
}

type goalRecord struct {
	ID   uint64           `json:"id"`
	Site analytics.SiteID `json:"site"`
	GoalDef
}

// PutGoal makes a goal of a site, or finds the one with the same definition,
// whatever its name: then Existed is set and nothing changed. A name that
// another goal of the site has is a Conflict.
type PutGoal struct {
	Site analytics.SiteID `json:"site"`
	Goal GoalDef          `json:"goal"`
}

func (c *PutGoal) kind() kind   { return kindPutGoal }
func (c *PutGoal) Check() error { return c.Goal.check() }

// UpdateGoal gives a goal a new definition and keeps its id. What another goal
// of the site has, its name or its definition, is a Conflict.
type UpdateGoal struct {
	Site analytics.SiteID `json:"site"`
	ID   uint64           `json:"id"`
	Goal GoalDef          `json:"goal"`
}

func (c *UpdateGoal) kind() kind   { return kindUpdateGoal }
func (c *UpdateGoal) Check() error { return c.Goal.check() }

// DeleteGoal removes a goal of a site.
type DeleteGoal struct {
	Site analytics.SiteID `json:"site"`
	ID   uint64           `json:"id"`
}

func (c *DeleteGoal) kind() kind   { return kindDeleteGoal }
func (c *DeleteGoal) Check() error { return nil }

// check normalises the definition in place.
func (d *GoalDef) check() (err error) {
	switch d.Kind {
	case analytics.GoalEvent:
		err = d.checkEvent()
	case analytics.GoalPage, analytics.GoalScroll:
		err = d.checkPage()
	default:
		err = invalid("goal_type: must be event, page or scroll")
	}
	if err != nil {
		return err
	}
	if err := d.checkProps(); err != nil {
		return err
	}
	if d.Name == "" {
		d.Name = d.defaultName()
	}
	d.Name, err = displayName("display_name", d.Name)
	return err
}

func (d *GoalDef) checkEvent() (err error) {
	if d.Page != "" {
		return invalid("page_path: an event goal has none")
	}
	if d.Scroll != 0 {
		return invalid("scroll: an event goal has none")
	}
	if d.Event, err = cleanText("event_name", d.Event, analytics.NameBytesMax); err != nil {
		return err
	}
	switch d.Event {
	case "":
		return invalid("event_name: must not be empty")
	case analytics.NameEngagement:
		return invalid("event_name: engagement is reserved and cannot be a goal")
	case analytics.NamePageview:
		return invalid("event_name: pageview is reserved; make a page goal instead")
	}
	if c := d.Currency; c != "" && (len(c) != 3 || strings.ContainsFunc(c, func(r rune) bool { return r < 'A' || r > 'Z' })) {
		return invalid("currency: %q is not a currency code of ISO 4217, like EUR", clip(c))
	}
	return nil
}

func (d *GoalDef) checkPage() (err error) {
	switch {
	case d.Event != "":
		return invalid("event_name: a %s goal has none", d.Kind)
	case d.Currency != "":
		return invalid("currency: only an event goal has revenue")
	case d.Kind == analytics.GoalPage && d.Scroll != 0:
		return invalid("scroll: a page goal has none; make a scroll goal")
	case d.Kind == analytics.GoalScroll && (d.Scroll < 1 || d.Scroll > 100):
		return invalid("scroll: must be from 1 to 100 percent")
	}
	if d.Page, err = cleanText("page_path", d.Page, analytics.URLBytesMax); err != nil {
		return err
	}
	if !strings.HasPrefix(d.Page, "/") {
		return invalid("page_path: must begin with /")
	}
	runs, star := 0, false
	for i := range len(d.Page) {
		if d.Page[i] == '*' && !star {
			runs++
		}
		star = d.Page[i] == '*'
	}
	if runs > GoalWildcardsMax {
		return invalid("page_path: more than %d wildcards", GoalWildcardsMax)
	}
	return nil
}

func (d *GoalDef) checkProps() error {
	if len(d.Props) > analytics.GoalPropsMax {
		return invalid("custom_props: more than %d", analytics.GoalPropsMax)
	}
	for i, p := range d.Props {
		key, err := propertyKey("custom_props", p.Key)
		if err != nil {
			return err
		}
		value, err := cleanText("custom_props", p.Value, analytics.PropValueBytesMax)
		if err != nil {
			return err
		}
		if value == "" {
			return invalid("custom_props: %q has no value", clip(key))
		}
		d.Props[i] = Condition{Key: key, Value: value}
	}
	slices.SortFunc(d.Props, func(a, b Condition) int { return strings.Compare(a.Key, b.Key) })
	for i := 1; i < len(d.Props); i++ {
		if d.Props[i].Key == d.Props[i-1].Key {
			return invalid("custom_props: %q is there twice", clip(d.Props[i].Key))
		}
	}
	return nil
}

func (d *GoalDef) defaultName() string {
	switch d.Kind {
	case analytics.GoalPage:
		return "Visit " + d.Page
	case analytics.GoalScroll:
		return fmt.Sprintf("Scroll %d%% on %s", d.Scroll, d.Page)
	}
	return d.Event
}

// goal makes the published form.
func (d *GoalDef) goal(id uint64, site analytics.SiteID) *analytics.Goal {
	g := &analytics.Goal{ID: id, Site: site, Kind: d.Kind, Name: d.Name, Event: d.Event, Page: d.Page, Scroll: d.Scroll, Currency: d.Currency}
	for _, p := range d.Props {
		g.Props = append(g.Props, analytics.Prop(p))
	}
	return g
}

// DefOf gives the definition of a goal, sharing nothing with it.
func DefOf(g *analytics.Goal) GoalDef {
	d := GoalDef{Kind: g.Kind, Name: g.Name, Event: g.Event, Page: g.Page, Scroll: g.Scroll, Currency: g.Currency}
	for _, p := range g.Props {
		d.Props = append(d.Props, Condition(p))
	}
	return d
}

// sameGoal tells whether both have the same definition but for their names.
func sameGoal(a, b *analytics.Goal) bool {
	return a.Kind == b.Kind && a.Event == b.Event && a.Page == b.Page && a.Scroll == b.Scroll && a.Currency == b.Currency && slices.Equal(a.Props, b.Props)
}

// displayName cleans a name that people see, which must be there.
func displayName(field, s string) (string, error) {
	n, err := cleanText(field, s, analytics.DisplayNameBytesMax)
	if err == nil && n == "" {
		err = invalid("%s: must not be empty", field)
	}
	return n, err
}

// propertyKey cleans the name of a custom property.
func propertyKey(field, s string) (string, error) {
	key, err := cleanText(field, s, analytics.PropKeyBytesMax)
	if err == nil && key == "" {
		err = invalid("%s: the name of a property must not be empty", field)
	}
	return key, err
}

// cleanText trims a text and checks it; empty passes.
func cleanText(field, s string, bytesMax int) (string, error) {
	t := strings.TrimSpace(s)
	switch {
	case !utf8.ValidString(t):
		return "", invalid("%s: is not valid UTF-8", field)
	case len(t) > bytesMax:
		return "", invalid("%s: longer than %d bytes", field, bytesMax)
	case strings.ContainsFunc(t, unicode.IsControl):
		return "", invalid("%s: has a control character", field)
	}
	return t, nil
}

func (s *State) checkSite(id analytics.SiteID) error {
	if _, ok := s.view.SiteByID(id); !ok {
		return analytics.Errorf(analytics.NotFound, "site: there is no such site")
	}
	return nil
}

// goalTwins finds, among the goals of g's site but g itself, the one with the
// same definition and the one with the same name.
func (s *State) goalTwins(g *analytics.Goal) (same, namesake *analytics.Goal) {
	of, _ := s.view.goalsOf.get(uint64(g.Site))
	for _, other := range of.from(0) {
		if other.ID == g.ID {
			continue
		}
		if sameGoal(other, g) {
			same = other
		}
		if other.Name == g.Name {
			namesake = other
		}
	}
	return same, namesake
}

func (c *PutGoal) apply(s *State, _ int64) Result {
	if err := s.checkSite(c.Site); err != nil {
		return Result{Err: err}
	}
	g := c.Goal.goal(0, c.Site)
	same, namesake := s.goalTwins(g)
	if same != nil {
		return Result{Goal: same, Existed: true}
	}
	if namesake != nil {
		return refused(analytics.Conflict, "display_name: %q is the name of another goal", g.Name)
	}
	if of, _ := s.view.goalsOf.get(uint64(c.Site)); of.size >= analytics.GoalsMax {
		return refused(analytics.TooLarge, "goals: a site has at most %d", analytics.GoalsMax)
	}
	s.view.next.Goal++
	g.ID = s.view.next.Goal
	s.view.setGoal(g)
	s.mark(RefGoal, g.ID)
	return Result{Goal: g}
}

func (c *UpdateGoal) apply(s *State, _ int64) Result {
	old, ok := s.view.Goal(c.ID)
	if !ok || old.Site != c.Site {
		return refused(analytics.NotFound, "goal: there is no goal %d", c.ID)
	}
	g := c.Goal.goal(c.ID, c.Site)
	same, namesake := s.goalTwins(g)
	if same != nil {
		return refused(analytics.Conflict, "goal: is the same as goal %d", same.ID)
	}
	if namesake != nil {
		return refused(analytics.Conflict, "display_name: %q is the name of another goal", g.Name)
	}
	s.view.setGoal(g)
	s.mark(RefGoal, g.ID)
	s.renameInFunnels(c.Site, old.Name, g.Name)
	return Result{Goal: g}
}

func (c *DeleteGoal) apply(s *State, _ int64) Result {
	g, ok := s.view.Goal(c.ID)
	if !ok || g.Site != c.Site {
		return refused(analytics.NotFound, "goal: there is no goal %d", c.ID)
	}
	s.dropGoal(g)
	return Result{Goal: g}
}

func (s *State) dropGoal(g *analytics.Goal) {
	s.view.goals = s.view.goals.delete(g.ID)
	s.view.goalsOf = within(s.view.goalsOf, uint64(g.Site), g.ID, g, false)
	s.mark(RefGoal, g.ID)
}

func (v *View) setGoal(g *analytics.Goal) {
	v.goals = v.goals.put(g.ID, g)
	v.goalsOf = within(v.goalsOf, uint64(g.Site), g.ID, g, true)
}

// Goals gives the goals of a site in order of ids. The slice is the caller's,
// what it points to is not.
func (v *View) Goals(site analytics.SiteID) []*analytics.Goal {
	of, _ := v.goalsOf.get(uint64(site))
	return of.list()
}

// Goal finds a goal of any site.
func (v *View) Goal(id uint64) (*analytics.Goal, bool) { return v.goals.get(id) }
