package accounts

import (
	"slices"
	"strconv"
	"strings"

	"footfall/analytics"
)

// Bounds of saved funnels. What a step and a window may be is what the funnel
// report takes.
const (
	FunnelsMax          = 100 // of one site
	FunnelStepsMin      = 2
	FunnelStepsMax      = 20
	FunnelWindowDaysMax = 90
	funnelWildcardsMax  = 16
)

// InVisit is the window of a funnel within one visit.
const InVisit = "visit"

// FunnelStep is one step of a saved funnel: exactly one of Page, Event and Goal
// is set.
type FunnelStep struct {
	Page   string            `json:"page,omitempty"`   // glob, as a page goal has
	Scroll int               `json:"scroll,omitempty"` // percent, with Page only; 0: a view is enough
	Event  string            `json:"event,omitempty"`
	Goal   string            `json:"goal,omitempty"`  // name of a goal of the site
	Props  map[string]string `json:"props,omitempty"` // conditions, with Page or Event
	Name   string            `json:"name,omitempty"`  // how the step is shown; "" as the report calls it
}

// Funnel is a question about steps that a site keeps. Immutable.
type Funnel struct {
	ID      uint64           `json:"id"`
	Site    analytics.SiteID `json:"site"`
	Name    string           `json:"name"` // unique within the site
	Steps   []FunnelStep     `json:"steps"`
	Window  string           `json:"window"`  // InVisit, or a number of minutes, hours or days: 30m, 12h, 7d
	Updated int64            `json:"updated"` // Unix ms
}

// CreateFunnel saves a funnel of a site. A name that another one has is a
// Conflict, a goal that the site does not have Invalid.
type CreateFunnel struct {
	Site   analytics.SiteID `json:"site"`
	Name   string           `json:"name"`
	Steps  []FunnelStep     `json:"steps"`
	Window string           `json:"window"` // "" is InVisit
}

func (c *CreateFunnel) kind() kind { return kindCreateFunnel }

func (c *CreateFunnel) Check() (err error) {
	if c.Name, err = displayName("name", c.Name); err != nil {
		return err
	}
	if c.Steps, err = cleanSteps(c.Steps); err != nil {
		return err
	}
	if c.Window == "" {
		c.Window = InVisit
	}
	return checkWindow(c.Window)
}

// UpdateFunnel changes what is not nil.
type UpdateFunnel struct {
	Site   analytics.SiteID `json:"site"`
	ID     uint64           `json:"id"`
	Name   *string          `json:"name,omitempty"`
	Steps  *[]FunnelStep    `json:"steps,omitempty"`
	Window *string          `json:"window,omitempty"`
}

func (c *UpdateFunnel) kind() kind { return kindUpdateFunnel }

func (c *UpdateFunnel) Check() error {
	if c.Name != nil {
		name, err := displayName("name", *c.Name)
		if err != nil {
			return err
		}
		c.Name = &name
	}
	if c.Steps != nil {
		steps, err := cleanSteps(*c.Steps)
		if err != nil {
			return err
		}
		c.Steps = &steps
	}
	if c.Window != nil {
		return checkWindow(*c.Window)
	}
	return nil
}

// DeleteFunnel removes a saved funnel of a site.
type DeleteFunnel struct {
	Site analytics.SiteID `json:"site"`
	ID   uint64           `json:"id"`
}

func (c *DeleteFunnel) kind() kind   { return kindDeleteFunnel }
func (c *DeleteFunnel) Check() error { return nil }

func cleanSteps(in []FunnelStep) ([]FunnelStep, error) {
	if len(in) < FunnelStepsMin || len(in) > FunnelStepsMax {
		return nil, invalid("steps: must be a list of %d to %d steps", FunnelStepsMin, FunnelStepsMax)
	}
	out := slices.Clone(in)
	for i := range out {
		if err := out[i].check(); err != nil {
			return nil, invalid("steps/%d/%w", i, err)
		}
	}
	return out, nil
}

func (x *FunnelStep) check() (err error) {
	if x.Page, err = cleanText("page", x.Page, analytics.URLBytesMax); err != nil {
		return err
	}
	if x.Event, err = cleanText("event", x.Event, analytics.NameBytesMax); err != nil {
		return err
	}
	if x.Goal, err = cleanText("goal", x.Goal, analytics.DisplayNameBytesMax); err != nil {
		return err
	}
	if x.Name, err = cleanText("name", x.Name, analytics.DisplayNameBytesMax); err != nil {
		return err
	}
	given := 0
	for _, s := range []string{x.Page, x.Event, x.Goal} {
		if s != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return invalid("page: give exactly one of page, event and goal")
	case x.Page != "" && x.Page[0] != '/' && x.Page[0] != '*':
		return invalid("page: must begin with / or *")
	case strings.Count(x.Page, "*") > funnelWildcardsMax:
		return invalid("page: more than %d wildcards", funnelWildcardsMax)
	case x.Event == analytics.NameEngagement:
		return invalid("event: %s is no event that is counted", x.Event)
	case x.Scroll < 0 || x.Scroll > 100:
		return invalid("scroll: must be from 1 to 100")
	case x.Scroll > 0 && x.Page == "":
		return invalid("scroll: goes with page only")
	case len(x.Props) > 0 && x.Goal != "":
		return invalid("props: go with page and event only")
	}
	return x.checkProps()
}

func (x *FunnelStep) checkProps() error {
	if len(x.Props) > analytics.GoalPropsMax {
		return invalid("props: more than %d", analytics.GoalPropsMax)
	}
	out := make(map[string]string, len(x.Props))
	for k, v := range x.Props {
		key, err := propertyKey("props", k)
		if err != nil {
			return err
		}
		if _, twice := out[key]; twice {
			return invalid("props: %q is there twice", clip(key))
		}
		if out[key], err = cleanText("props", v, analytics.PropValueBytesMax); err != nil {
			return err
		}
	}
	x.Props = nil
	if len(out) > 0 {
		x.Props = out
	}
	return nil
}

// checkWindow refuses what is neither InVisit nor a number of minutes, hours or
// days.
func checkWindow(w string) error {
	if w == InVisit {
		return nil
	}
	perDay := 0
	if w != "" {
		perDay = map[byte]int{'m': 24 * 60, 'h': 24, 'd': 1}[w[len(w)-1]]
	}
	n, err := strconv.Atoi(strings.TrimRight(w, "mhd"))
	switch {
	case perDay == 0 || err != nil || n < 1 || strconv.Itoa(n) != w[:len(w)-1]:
		return invalid("window: must be visit, or a number of minutes, hours or days such as 30m, 12h or 7d")
	case n > FunnelWindowDaysMax*perDay:
		return invalid("window: must be at most %d days", FunnelWindowDaysMax)
	}
	return nil
}

// funnelFree tells whether there is room for f beside the other funnels of its
// site and its name is free.
func (s *State) funnelFree(f *Funnel) error {
	of, _ := s.view.funnelsOf.get(uint64(f.Site))
	beside := 0
	for _, other := range of.from(0) {
		if other.ID == f.ID {
			continue
		}
		if beside++; other.Name == f.Name {
			return analytics.Errorf(analytics.Conflict, "name: %q is the name of another funnel", f.Name)
		}
	}
	if beside >= FunnelsMax {
		return analytics.Errorf(analytics.TooLarge, "funnels: a site has at most %d", FunnelsMax)
	}
	return nil
}

// goalsKnown refuses steps that name goals which the site does not have.
func (s *State) goalsKnown(site analytics.SiteID, steps []FunnelStep) error {
	for i, x := range steps {
		if x.Goal != "" && !slices.ContainsFunc(s.view.Goals(site), func(g *analytics.Goal) bool { return g.Name == x.Goal }) {
			return invalid("steps/%d/goal: %q is not configured for this site", i, clip(x.Goal))
		}
	}
	return nil
}

func (c *CreateFunnel) apply(s *State, at int64) Result {
	if err := s.checkSite(c.Site); err != nil {
		return Result{Err: err}
	}
	f := &Funnel{Site: c.Site, Name: c.Name, Steps: c.Steps, Window: c.Window, Updated: at}
	if err := s.funnelFree(f); err != nil {
		return Result{Err: err}
	}
	if err := s.goalsKnown(c.Site, c.Steps); err != nil {
		return Result{Err: err}
	}
	s.view.next.Funnel++
	f.ID = s.view.next.Funnel
	s.putFunnel(f)
	return Result{Funnel: f}
}

func (c *UpdateFunnel) apply(s *State, at int64) Result {
	old, ok := s.view.Funnel(c.Site, c.ID)
	if !ok {
		return refused(analytics.NotFound, "funnel: there is no funnel %d", c.ID)
	}
	f := *old
	f.Updated = at
	if c.Name != nil {
		f.Name = *c.Name
	}
	if c.Steps != nil {
		f.Steps = *c.Steps
		if err := s.goalsKnown(c.Site, f.Steps); err != nil {
			return Result{Err: err}
		}
	}
	if c.Window != nil {
		f.Window = *c.Window
	}
	if err := s.funnelFree(&f); err != nil {
		return Result{Err: err}
	}
	s.putFunnel(&f)
	return Result{Funnel: &f}
}

func (c *DeleteFunnel) apply(s *State, _ int64) Result {
	f, ok := s.view.Funnel(c.Site, c.ID)
	if !ok {
		return refused(analytics.NotFound, "funnel: there is no funnel %d", c.ID)
	}
	s.dropFunnel(f)
	return Result{Funnel: f}
}

// renameInFunnels lets the funnels of a site follow a goal to its new name.
func (s *State) renameInFunnels(site analytics.SiteID, from, to string) {
	if from == to {
		return
	}
	for _, old := range s.view.Funnels(site) {
		if !slices.ContainsFunc(old.Steps, func(x FunnelStep) bool { return x.Goal == from }) {
			continue
		}
		f := *old
		f.Steps = slices.Clone(old.Steps)
		for i := range f.Steps {
			if f.Steps[i].Goal == from {
				f.Steps[i].Goal = to
			}
		}
		s.putFunnel(&f)
	}
}

func (s *State) putFunnel(f *Funnel) {
	s.view.setFunnel(f)
	s.mark(RefFunnel, f.ID)
}

func (s *State) dropFunnel(f *Funnel) {
	s.view.funnels = s.view.funnels.delete(f.ID)
	s.view.funnelsOf = within(s.view.funnelsOf, uint64(f.Site), f.ID, f, false)
	s.mark(RefFunnel, f.ID)
}

func (v *View) setFunnel(f *Funnel) {
	v.funnels = v.funnels.put(f.ID, f)
	v.funnelsOf = within(v.funnelsOf, uint64(f.Site), f.ID, f, true)
}

// Funnels gives the saved funnels of a site in order of ids. The slice is the
// caller's, what it points to is not.
func (v *View) Funnels(site analytics.SiteID) []*Funnel {
	of, _ := v.funnelsOf.get(uint64(site))
	return of.list()
}

// Funnel finds a saved funnel of a site.
func (v *View) Funnel(site analytics.SiteID, id uint64) (*Funnel, bool) {
	f, ok := v.funnels.get(id)
	if !ok || f.Site != site {
		return nil, false
	}
	return f, true
}
