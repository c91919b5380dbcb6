package merchant

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
	"footfall/http/door"
)

// funnelBody is a saved funnel. Steps and window go into the funnel report as
// they are.
type funnelBody struct {
	ID      string                `json:"id"`
	Name    string                `json:"name"`
	Steps   []accounts.FunnelStep `json:"steps"`
	Window  string                `json:"window"`
	Updated string                `json:"updated"`
}

func funnelOf(f *accounts.Funnel) funnelBody {
	return funnelBody{ID: strconv.FormatUint(f.ID, 10), Name: f.Name, Steps: f.Steps, Window: f.Window, Updated: instant(f.Updated)}
}

func (h *Handler) listFunnels(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, see)
	if err != nil {
		return err
	}
	out := []funnelBody{}
	for _, f := range h.view().Funnels(site.ID) {
		out = append(out, funnelOf(f))
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string][]funnelBody{"funnels": out})
	return nil
}

func (h *Handler) createFunnel(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, manage)
	if err != nil {
		return err
	}
	var in struct {
		Name   string                `json:"name"`
		Steps  []accounts.FunnelStep `json:"steps"`
		Window string                `json:"window"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	out, err := h.do(&accounts.CreateFunnel{Site: site.ID, Name: in.Name, Steps: in.Steps, Window: in.Window})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusCreated, funnelOf(out.Funnel))
	return nil
}

func (h *Handler) updateFunnel(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, manage)
	if err != nil {
		return err
	}
	id, err := idParam(ctx, "funnel")
	if err != nil {
		return err
	}
	var in struct {
		Name   *string                `json:"name"`
		Steps  *[]accounts.FunnelStep `json:"steps"`
		Window *string                `json:"window"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	out, err := h.do(&accounts.UpdateFunnel{Site: site.ID, ID: id, Name: in.Name, Steps: in.Steps, Window: in.Window})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, funnelOf(out.Funnel))
	return nil
}

func (h *Handler) deleteFunnel(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, manage)
	if err != nil {
		return err
	}
	id, err := idParam(ctx, "funnel")
	if err != nil {
		return err
	}
	if _, err := h.do(&accounts.DeleteFunnel{Site: site.ID, ID: id}); err != nil {
		return err
	}
	return noContent(ctx)
}
