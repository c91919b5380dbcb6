package merchant

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
	"footfall/http/door"
)

// Signs tells whether anything comes in for a site.
type Signs interface {
	// Signs gives the times of a site's earliest event and of its latest activity,
	// Unix ms; 0 if there is none.
	Signs(ctx context.Context, site analytics.SiteID) (first, last int64, err error)
}

// check tells whether the snippet of a site works: what came in, and what did and
// was not counted. Today is the site's for events and UTC's for what was dropped.
func (h *Handler) check(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.countedOf(ctx, who, see)
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	first, last, err := h.opts.Signs.Signs(limit, site.ID)
	if err != nil {
		return err
	}
	out := struct {
		First   *string                     `json:"first_event"`
		Last    *string                     `json:"last_event"`
		Today   int                         `json:"events_today"`
		Dropped map[analytics.Reason]uint64 `json:"dropped_today"`
	}{moment(first), moment(last), 0, map[analytics.Reason]uint64{}}
	now := h.now()
	if first != 0 {
		from, _ := dayRange(calendar.DateOf(now, site.Zone()), site.Zone())
		today, err := h.ask(limit, site, now, from, now+1, nil, query.Events)
		if err != nil {
			return err
		}
		out.Today = int(figure(today, 0).Number)
	}
	dropped, err := h.opts.Drops.Drops(limit, site.ID)
	if err != nil {
		return err
	}
	for reason, n := range dropped[int32(now/dayMS)] {
		out.Dropped[reason] = n
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

// moment writes a time, nil for none.
func moment(ms int64) *string {
	if ms == 0 {
		return nil
	}
	text := time.UnixMilli(ms).UTC().Format(time.RFC3339)
	return &text
}
