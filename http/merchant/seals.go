package merchant

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/site"
	"footfall/http/door"
)

// Seals gives the closed months of a site, from the first on.
type Seals interface {
	Seals(ctx context.Context, site analytics.SiteID) ([]site.Seal, error)
}

// seals lists the closed months with all that their digests are made of, so
// that anybody can check the chain.
func (h *Handler) seals(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	s, err := h.countedOf(ctx, who, read)
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	found, err := h.opts.Seals.Seals(limit, s.ID)
	if err != nil {
		return err
	}
	type seal struct {
		Month   string          `json:"month"`
		Sealed  string          `json:"sealed_at"`
		Index   uint64          `json:"index"`
		Figures json.RawMessage `json:"figures"` // byte for byte what was sealed
		Digest  string          `json:"digest"`
	}
	out := struct {
		Site  string `json:"site"`
		ID    string `json:"site_id"` // in decimal; too large for a JSON number
		Seals []seal `json:"seals"`
	}{s.Domain, strconv.FormatUint(uint64(s.ID), 10), []seal{}}
	for i := range found {
		x := &found[i]
		out.Seals = append(out.Seals, seal{site.MonthLabel(x.Month), instant(x.At), x.Index, x.Figures, hex.EncodeToString(x.Digest[:])})
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}
