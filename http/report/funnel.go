package report

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"footfall/analytics"
	"footfall/analytics/query"
)

// Bounds of a step.
const (
	wildcardsMax = 16
	nameBytesMax = 255
)

type funnelBody struct {
	head
	Query funnelQuery  `json:"query"`
	IDs   string       `json:"ids"`
	Steps []funnelStep `json:"steps"`
}

type funnelQuery struct {
	asked
	Window string `json:"window"`
}

type funnelStep struct {
	Name     string   `json:"name"`
	Visitors int      `json:"visitors"`
	Visits   *int     `json:"visits"`
	Start    *float64 `json:"conversion_rate"`
	Before   *float64 `json:"step_conversion_rate"`
	Dropped  int      `json:"dropped"`
	Median   *float64 `json:"median_seconds"`
}

func (d *Door) funnel(r *request) (*report, error) {
	period, err := d.period(r, rangeDefault)
	if err != nil {
		return nil, err
	}
	f := query.Funnel{From: period.From, To: period.To, Lasting: r.lasting()}
	if f.Filter, err = d.filter(r); err != nil {
		return nil, err
	}
	window, err := r.text("window", inVisit, 20)
	if err != nil {
		return nil, err
	}
	if f.Window, err = parseWindow(window); err != nil {
		return nil, err
	}
	if f.Steps, err = d.steps(r); err != nil {
		return nil, err
	}
	site, ids := r.site, idsOf(r.site)
	return &report{period: period, since: period.From, key: f, look: func(ctx context.Context, p *query.Picture) (any, error) {
		got, err := p.Funnel(ctx, &f)
		if err != nil {
			return nil, err
		}
		out := funnelBody{head: headOf(site), Query: funnelQuery{askedOf(period), window}, IDs: ids}
		for _, s := range got.Steps {
			step := funnelStep{Name: s.Name, Visitors: s.Visitors, Start: number(s.FromStart), Before: number(s.FromBefore), Dropped: s.Dropped, Median: number(s.Median)}
			if f.Window == 0 {
				step.Visits = &s.Visits
			}
			out.Steps = append(out.Steps, step)
		}
		return out, nil
	}}, nil
}

// idsOf tells for how long visitors who were not named are told apart.
func idsOf(s *analytics.Site) string {
	switch s.Uniques {
	case analytics.UniquesWeekly:
		return "week"
	case analytics.UniquesMonthly:
		return "month"
	}
	return "day"
}

const inVisit = "visit"

// parseWindow reads "visit" or a number of minutes, hours or days: "30m", "12h",
// "7d".
func parseWindow(s string) (time.Duration, error) {
	if s == inVisit {
		return 0, nil
	}
	unit := time.Duration(0)
	if s != "" {
		unit = map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]
	}
	n, err := strconv.Atoi(strings.TrimRight(s, "mhd"))
	if unit == 0 || err != nil || n < 1 || strconv.Itoa(n) != s[:len(s)-1] {
		return 0, invalid("window: must be visit, or a number of minutes, hours or days such as 30m, 12h or 7d")
	}
	if n > int(query.FunnelWindowMax/unit) {
		return 0, invalid("window: must be at most %d days", int(query.FunnelWindowMax/(24*time.Hour)))
	}
	return time.Duration(n) * unit, nil
}

// steps takes the steps of a funnel.
func (d *Door) steps(r *request) ([]*query.Goal, error) {
	list, ok := r.take("steps").([]any)
	if !ok || len(list) < query.FunnelStepsMin || len(list) > query.FunnelStepsMax {
		return nil, invalid("steps: must be a list of %d to %d steps", query.FunnelStepsMin, query.FunnelStepsMax)
	}
	goals := d.cfg.Goals.Goals(r.site.ID)
	out := make([]*query.Goal, len(list))
	for i, v := range list {
		g, err := step("steps/"+strconv.Itoa(i), v, goals)
		if err != nil {
			return nil, err
		}
		out[i] = query.CompileGoal(g)
	}
	return out, nil
}

// step reads one step: {"page": glob}, {"page": glob, "scroll": percent},
// {"event": name} or {"goal": name}; all but goals with "props" at will, and all
// with a "name".
func step(at string, v any, goals []*analytics.Goal) (analytics.Goal, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return analytics.Goal{}, invalid("%s: must be an object with page, event or goal", at)
	}
	r := &request{members: m, taken: map[string]bool{}}
	g, err := r.goal(goals)
	if err == nil {
		err = r.closed()
	}
	if err != nil {
		return g, invalid("%s/%w", at, err)
	}
	return g, nil
}

func (r *request) goal(goals []*analytics.Goal) (analytics.Goal, error) {
	g := analytics.Goal{Kind: analytics.GoalEvent}
	page, event, goal := r.take("page"), r.take("event"), r.take("goal")
	given := 0
	for _, v := range []any{page, event, goal} {
		if v != nil {
			given++
		}
	}
	if given != 1 {
		return g, invalid("page: give exactly one of page, event and goal")
	}
	var err error
	if goal != nil {
		if g, err = r.goalNamed(goals); err != nil {
			return g, err
		}
	} else if err = r.event(&g); err != nil {
		return g, err
	}
	g.Name, err = r.text("name", g.Name, nameBytesMax)
	return g, err
}

func (r *request) goalNamed(goals []*analytics.Goal) (analytics.Goal, error) {
	name, err := r.text("goal", "", nameBytesMax)
	if err != nil {
		return analytics.Goal{}, err
	}
	for _, g := range goals {
		if g.Name == name {
			return *g, nil
		}
	}
	return analytics.Goal{}, invalid("goal: %q is not configured for this site", cut(name))
}

// event reads a step that is no configured goal.
func (r *request) event(g *analytics.Goal) (err error) {
	if g.Event, err = r.text("event", "", analytics.NameBytesMax); err != nil {
		return err
	}
	if g.Page, err = r.text("page", "", analytics.URLBytesMax); err != nil {
		return err
	}
	scroll, err := r.number("scroll", 0, 1, 100)
	if err != nil {
		return err
	}
	g.Name = g.Event
	switch {
	case g.Event == analytics.NameEngagement:
		return invalid("event: %s is no event that is counted", g.Event)
	case r.members["event"] != nil && g.Event == "":
		return invalid("event: must not be empty")
	case g.Event != "" && scroll > 0:
		return invalid("scroll: goes with page only")
	case g.Event == "":
		if err := checkGlob("page", g.Page); err != nil {
			return err
		}
		g.Kind, g.Name = analytics.GoalPage, "Visit "+g.Page
		if scroll > 0 {
			g.Kind, g.Scroll, g.Name = analytics.GoalScroll, uint8(scroll), "Scroll "+strconv.Itoa(scroll)+"% on "+g.Page
		}
	}
	g.Props, err = r.props()
	return err
}

// checkGlob bounds what a glob can cost.
func checkGlob(name, glob string) error {
	switch {
	case glob == "" || glob[0] != '/' && glob[0] != '*':
		return invalid("%s: must begin with / or *", name)
	case !utf8.ValidString(glob):
		return invalid("%s: must be UTF-8", name)
	case strings.Count(glob, "*") > wildcardsMax:
		return invalid("%s: more than %d wildcards", name, wildcardsMax)
	}
	return nil
}

func (r *request) props() ([]analytics.Prop, error) {
	v := r.take("props")
	if v == nil {
		return nil, nil
	}
	m, ok := v.(map[string]any)
	if !ok || len(m) > analytics.GoalPropsMax {
		return nil, invalid("props: must be an object with at most %d members", analytics.GoalPropsMax)
	}
	var out []analytics.Prop
	for _, key := range sortedKeys(m) {
		value, ok := m[key].(string)
		if !ok || key == "" || len(key) > analytics.PropKeyBytesMax || len(value) > analytics.PropValueBytesMax {
			return nil, invalid("props/%s: must be a text of at most %d bytes", cut(key), analytics.PropValueBytesMax)
		}
		out = append(out, analytics.Prop{Key: key, Value: value})
	}
	return out, nil
}
