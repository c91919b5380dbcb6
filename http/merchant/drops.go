package merchant

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

const (
	dropDays = 30
	dayMS    = 24 * 60 * 60 * 1000
)

// drops shows what was not counted in the last 30 days, today included, in UTC.
func (h *Handler) drops(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.countedOf(ctx, who, read)
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	found, err := h.opts.Drops.Drops(limit, site.ID)
	if err != nil {
		return err
	}
	type day struct {
		Date    string                      `json:"date"`
		Reasons map[analytics.Reason]uint64 `json:"reasons"`
	}
	out := struct {
		Days  []day                       `json:"days"`
		Total map[analytics.Reason]uint64 `json:"total"`
	}{Days: []day{}, Total: map[analytics.Reason]uint64{}}
	today := int32(h.now() / dayMS)
	for _, d := range slices.Sorted(maps.Keys(found)) {
		if d > today || d <= today-dropDays || len(found[d]) == 0 {
			continue
		}
		out.Days = append(out.Days, day{time.UnixMilli(int64(d) * dayMS).UTC().Format(time.DateOnly), found[d]})
		for reason, n := range found[d] {
			out.Total[reason] += n
		}
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}
