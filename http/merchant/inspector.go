package merchant

import (
	"context"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
	"footfall/http/inspect"
)

// Peers asks the other nodes of a cluster what inspect.Watch.Look gives there.
// Calls are concurrent.
type Peers interface {
	// Look gives the parts of the nodes that answered before ctx ended; all is false
	// if one did not.
	Look(ctx context.Context, site analytics.SiteID, ask inspect.Ask) (parts []inspect.Part, all bool)
}

// peersWait bounds how long the other nodes are waited for.
const peersWait = 2 * time.Second

// inspects is the right to see single events with what was decided about them.
// They say more than figures do, so it is not everybody's where a site is public.
func inspects(who accounts.Identity, site *analytics.Site) bool {
	return who.Belongs(site) && who.MayRead(site)
}

// inspector shows the newest events of a site, counted or not, newest first. They
// are remembered from the first look on, and for an hour after the last.
func (h *Handler) inspector(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, inspects)
	if err != nil {
		return err
	}
	ask := inspect.Ask{Limit: inspect.EventsMax, Verdict: string(ctx.QueryArgs().Peek("verdict"))}
	if text := string(ctx.QueryArgs().Peek("limit")); text != "" {
		if ask.Limit, err = strconv.Atoi(text); err != nil || ask.Limit < 1 || ask.Limit > inspect.EventsMax {
			return analytics.Errorf(analytics.Invalid, "limit: must be from 1 to %d", inspect.EventsMax)
		}
	}
	if ask.Verdict != "" {
		if _, ok := inspect.ParseVerdict(ask.Verdict); !ok {
			return analytics.Errorf(analytics.Invalid, "verdict: must be counted or a reason such as bot or duplicate")
		}
	}
	parts, all := []inspect.Part{h.opts.Watch.Look(site.ID, ask)}, true
	if h.opts.Peers != nil {
		limit, cancel := context.WithTimeout(context.Background(), peersWait)
		defer cancel()
		var more []inspect.Part
		more, all = h.opts.Peers.Look(limit, site.ID, ask)
		parts = append(parts, more...)
	}
	out := struct {
		Events   []inspect.Event `json:"events"`
		Since    time.Time       `json:"recording_since"`
		Edges    []string        `json:"edges"`
		Complete bool            `json:"complete"` // every node has answered
	}{Complete: all}
	out.Events, out.Since = inspect.Merge(parts, ask.Limit)
	if out.Events == nil {
		out.Events = []inspect.Event{}
	}
	out.Since = out.Since.Truncate(time.Second)
	for _, p := range parts {
		out.Edges = append(out.Edges, p.Edge)
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}
