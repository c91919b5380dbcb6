package provision

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// dialectGoal is a goal in words of the dialect. A goal of scrolling has a type
// that only we know, so that nobody takes it for a page goal.
type dialectGoal struct {
	ID          uint64             `json:"id"`
	Type        analytics.GoalKind `json:"goal_type"`
	DisplayName string             `json:"display_name"`
	EventName   *string            `json:"event_name"`
	PagePath    *string            `json:"page_path"`
	CustomProps map[string]string  `json:"custom_props"`
}

func dialectGoalOf(g *analytics.Goal) dialectGoal {
	out := dialectGoal{ID: g.ID, Type: g.Kind, DisplayName: g.Name, CustomProps: propsOf(g)}
	if g.Kind == analytics.GoalEvent {
		out.EventName = &g.Event
	} else {
		out.PagePath = &g.Page
	}
	return out
}

func propsOf(g *analytics.Goal) map[string]string {
	out := make(map[string]string, len(g.Props))
	for _, p := range g.Props {
		out[p.Key] = p.Value
	}
	return out
}

func goalID(g *analytics.Goal) uint64 { return g.ID }

func (d *Door) listGoals(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, f, err := d.siteInFields(ctx, who, belongs, "list goals")
	if err != nil {
		return err
	}
	p, err := f.page()
	if err != nil {
		return err
	}
	goals, m := cut(listed(d.view().Goals(site.ID), goalID), p)
	out := struct {
		Goals []dialectGoal `json:"goals"`
		Meta  meta          `json:"meta"`
	}{[]dialectGoal{}, m}
	for _, g := range goals {
		out.Goals = append(out.Goals, dialectGoalOf(g))
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

func (d *Door) putGoal(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	const action = "create a goal"
	site, f, err := d.siteInFields(ctx, who, manages, action)
	if err != nil {
		return err
	}
	kind, err := f.required("goal_type", action)
	if err != nil {
		return err
	}
	def := accounts.GoalDef{Kind: analytics.GoalKind(kind)}
	switch def.Kind {
	case analytics.GoalEvent:
		def.Event, err = f.required("event_name", action)
	case analytics.GoalPage:
		def.Page, err = f.required("page_path", action)
	default:
		err = invalid("goal_type: must be event or page")
	}
	if err != nil {
		return err
	}
	if def.Name, err = f.text("display_name"); err != nil {
		return err
	}
	props, err := f.object("custom_props")
	if err != nil {
		return err
	}
	if def.Props, err = conditions(props); err != nil {
		return err
	}
	out, err := d.do(&accounts.PutGoal{Site: site.ID, Goal: def})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, struct {
		Domain string `json:"domain"`
		dialectGoal
	}{site.Domain, dialectGoalOf(out.Goal)})
	return nil
}

// conditions reads the custom properties of a goal.
func conditions(props map[string]any) ([]accounts.Condition, error) {
	var out []accounts.Condition
	for key, v := range props {
		value, ok := textOf(v)
		if !ok || v == nil {
			return nil, invalid("custom_props: %.60q must be a text", key)
		}
		out = append(out, accounts.Condition{Key: key, Value: value})
	}
	slices.SortFunc(out, func(a, b accounts.Condition) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

func (d *Door) deleteGoal(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, _, err := d.siteInFields(ctx, who, manages, "delete a goal")
	if err != nil {
		return err
	}
	id, ok := idOf(ctx)
	if goal, there := d.view().Goal(id); !ok || !there || goal.Site != site.ID {
		return analytics.Errorf(analytics.NotFound, textNoGoal)
	}
	if _, err := d.do(&accounts.DeleteGoal{Site: site.ID, ID: id}); err != nil {
		return err
	}
	return deleted(ctx)
}

type propertyBody struct {
	Property string `json:"property"`
}

func (d *Door) listCustomProps(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, _, err := d.siteInFields(ctx, who, belongs, "list custom properties")
	if err != nil {
		return err
	}
	out := map[string][]propertyBody{"custom_properties": {}}
	for _, p := range d.view().Properties(site.ID) {
		out["custom_properties"] = append(out["custom_properties"], propertyBody{p})
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

func (d *Door) putCustomProp(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	const action = "create a custom property"
	site, f, err := d.siteInFields(ctx, who, manages, action)
	if err != nil {
		return err
	}
	property, err := f.required("property", action)
	if err != nil {
		return err
	}
	if _, err := d.do(&accounts.ChangeProperties{Site: site.ID, Add: []string{property}}); err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string]bool{"created": true})
	return nil
}

func (d *Door) deleteCustomProp(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, _, err := d.siteInFields(ctx, who, manages, "delete a custom property")
	if err != nil {
		return err
	}
	property, _ := ctx.UserValue("property").(string)
	if _, err := d.do(&accounts.ChangeProperties{Site: site.ID, Remove: []string{property}}); err != nil {
		return err
	}
	return deleted(ctx)
}

// linkURL is the address that a shared link stands for.
func (d *Door) linkURL(ctx *fasthttp.RequestCtx, site *analytics.Site, l *accounts.SharedLink) string {
	return d.base(ctx) + "/share/" + site.Domain + "?auth=" + l.Slug
}

// newLink makes or finds a shared link of a site.
func (d *Door) newLink(change accounts.PutSharedLink) (out accounts.Result, err error) {
	if change.Slug, err = d.cfg.Accounts.NewSecret(); err != nil {
		return out, err
	}
	return d.do(&change)
}

func (d *Door) putSharedLink(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	const action = "create a shared link"
	site, f, err := d.siteInFields(ctx, who, manages, action)
	if err != nil {
		return err
	}
	name, err := f.required("name", action)
	if err != nil {
		return err
	}
	out, err := d.newLink(accounts.PutSharedLink{Site: site.ID, Name: name})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string]string{"name": out.Link.Name, "url": d.linkURL(ctx, site, out.Link)})
	return nil
}

type guestBody struct {
	Email  string `json:"email"`
	Role   string `json:"role"`
	Status string `json:"status"`
}

func guestOf(g *accounts.Guest) guestBody {
	out := guestBody{Email: g.Email, Role: "viewer", Status: "invited"}
	if g.Editor {
		out.Role = "editor"
	}
	if g.User != 0 {
		out.Status = "accepted"
	}
	return out
}

// listGuests is for those who may ask guests in: addresses are nobody else's
// business.
func (d *Door) listGuests(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, f, err := d.siteInFields(ctx, who, provisions, "list guests")
	if err != nil {
		return err
	}
	p, err := f.page()
	if err != nil {
		return err
	}
	guests, m := cut(listed(d.view().Guests(site.ID), func(g *accounts.Guest) uint64 { return g.ID }), p)
	out := struct {
		Guests []guestBody `json:"guests"`
		Meta   meta        `json:"meta"`
	}{[]guestBody{}, m}
	for _, g := range guests {
		out.Guests = append(out.Guests, guestOf(g))
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

func (d *Door) putGuest(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	const action = "create a guest"
	site, f, err := d.siteInFields(ctx, who, provisions, action)
	if err != nil {
		return err
	}
	email, err := f.required("email", action)
	if err != nil {
		return err
	}
	role, err := f.required("role", action)
	if err != nil {
		return err
	}
	if role != "viewer" && role != "editor" {
		return invalid("role: must be viewer or editor")
	}
	out, err := d.do(&accounts.PutGuest{Site: site.ID, Email: email, Editor: role == "editor"})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, guestOf(out.Guest))
	return nil
}

// deleteGuest is idempotent, as everything of the dialect that names things by
// their names.
func (d *Door) deleteGuest(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, _, err := d.siteInFields(ctx, who, provisions, "delete a guest")
	if err != nil {
		return err
	}
	email, _ := ctx.UserValue("email").(string)
	if _, err := d.do(&accounts.RemoveGuest{Site: site.ID, Email: email}); err != nil && analytics.CodeOf(err) != analytics.NotFound {
		return err
	}
	return deleted(ctx)
}
