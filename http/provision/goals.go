package provision

import (
	"cmp"
	"slices"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// goalBody is a goal of the native API: what its type does not have is null.
type goalBody struct {
	dialectGoal
	Scroll   *uint8  `json:"scroll"`
	Currency *string `json:"currency"`
}

func goalOf(g *analytics.Goal) goalBody {
	out := goalBody{dialectGoal: dialectGoalOf(g)}
	if g.Scroll != 0 {
		out.Scroll = &g.Scroll
	}
	if g.Currency != "" {
		out.Currency = &g.Currency
	}
	return out
}

// readGoal reads a whole definition; what is left out is as if it had never
// been there.
func readGoal(ctx *fasthttp.RequestCtx) (accounts.GoalDef, error) {
	var in struct {
		Type        analytics.GoalKind `json:"goal_type"`
		DisplayName *string            `json:"display_name"`
		EventName   *string            `json:"event_name"`
		PagePath    *string            `json:"page_path"`
		Scroll      *uint8             `json:"scroll"`
		Currency    *string            `json:"currency"`
		CustomProps map[string]any     `json:"custom_props"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return accounts.GoalDef{}, err
	}
	text := func(s *string) string { return *cmp.Or(s, new(string)) }
	def := accounts.GoalDef{Kind: in.Type, Name: text(in.DisplayName), Event: text(in.EventName), Page: text(in.PagePath),
		Scroll: *cmp.Or(in.Scroll, new(uint8)), Currency: text(in.Currency)}
	var err error
	if def.Props, err = conditions(in.CustomProps); err != nil {
		return def, err
	}
	return def, accounts.KnownCurrency(def.Currency)
}

func (d *Door) goals(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, sees)
	if err != nil {
		return err
	}
	out := map[string][]goalBody{"goals": {}}
	for _, g := range slices.Backward(d.view().Goals(site.ID)) {
		out["goals"] = append(out["goals"], goalOf(g))
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

// theGoal finds the goal of the site that the path names.
func (d *Door) theGoal(ctx *fasthttp.RequestCtx, site *analytics.Site) (*analytics.Goal, error) {
	id, _ := idOf(ctx)
	g, ok := d.view().Goal(id)
	if !ok || g.Site != site.ID {
		return nil, analytics.Errorf(analytics.NotFound, "goal: there is no such goal")
	}
	return g, nil
}

func (d *Door) goal(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, sees)
	if err != nil {
		return err
	}
	g, err := d.theGoal(ctx, site)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, goalOf(g))
	return nil
}

// createGoal answers 201, or 200 with the goal that has the same definition.
func (d *Door) createGoal(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	def, err := readGoal(ctx)
	if err != nil {
		return err
	}
	out, err := d.do(&accounts.PutGoal{Site: site.ID, Goal: def})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, madeStatus(out), goalOf(out.Goal))
	return nil
}

func madeStatus(r accounts.Result) int {
	if r.Existed {
		return fasthttp.StatusOK
	}
	return fasthttp.StatusCreated
}

func (d *Door) updateGoal(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	old, err := d.theGoal(ctx, site)
	if err != nil {
		return err
	}
	def, err := readGoal(ctx)
	if err != nil {
		return err
	}
	out, err := d.do(&accounts.UpdateGoal{Site: site.ID, ID: old.ID, Goal: def})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, goalOf(out.Goal))
	return nil
}

func (d *Door) removeGoal(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, manages)
	if err != nil {
		return err
	}
	g, err := d.theGoal(ctx, site)
	if err != nil {
		return err
	}
	if _, err := d.do(&accounts.DeleteGoal{Site: site.ID, ID: g.ID}); err != nil {
		return err
	}
	return noContent(ctx)
}
