package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"footfall/analytics"
	"footfall/analytics/site"
)

type doctorCommand struct {
	Seals doctorSeals `cmd:"" help:"Check the chain of a site's closed months."`
}

type doctorSeals struct {
	Domain string `arg:"" help:"Domain of the site."`
	remote
}

// sealAnswer is a closed month as the node tells it.
type sealAnswer struct {
	Month    string          `json:"month"`
	SealedAt moment          `json:"sealed_at"`
	Index    uint64          `json:"index"`
	Figures  json.RawMessage `json:"figures"`
	Digest   string          `json:"digest"`
}

// Run makes every digest anew from what the node says and lists the months. A
// chain that is broken is an error.
func (c doctorSeals) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodGet, sitePath(c.Domain)+"/seals", nil)
	if err != nil {
		return err
	}
	var found struct {
		SiteID string       `json:"site_id"`
		Seals  []sealAnswer `json:"seals"`
	}
	if err := understand(answer, &found); err != nil {
		return err
	}
	id, err := strconv.ParseUint(found.SiteID, 10, 64)
	if err != nil {
		return fmt.Errorf("the node's answer is not understood: %w", err)
	}
	var seals []site.Seal
	rows := make([][]string, 0, len(found.Seals))
	for _, s := range found.Seals {
		seal, err := s.seal()
		if err != nil {
			return err
		}
		seals = append(seals, seal)
		rows = append(rows, []string{s.Month, s.SealedAt.String(), s.Digest})
	}
	broken := site.VerifySeals(analytics.SiteID(id), seals)
	switch {
	case c.JSON && broken == nil:
		return printJSON(w.stdout, nil, map[string]any{"site": c.Domain, "months": len(seals), "intact": true})
	case c.JSON:
		if err := printJSON(w.stdout, nil, map[string]any{"site": c.Domain, "months": len(seals), "intact": false, "error": broken.Error()}); err != nil {
			return err
		}
		return broken
	case broken != nil:
		return broken
	case len(seals) == 0:
		_, err = fmt.Fprintf(w.stdout, "%s has no closed months yet.\n", c.Domain)
		return err
	}
	if err := printTable(w.stdout, []string{"MONTH", "CLOSED", "DIGEST"}, rows); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.stdout, "\nThe chain of %s is intact.\n", count(uint64(len(seals)), "month"))
	return err
}

func (s sealAnswer) seal() (site.Seal, error) {
	month, err := time.Parse("2006-01", s.Month)
	if err != nil {
		return site.Seal{}, fmt.Errorf("the node's answer is not understood: %w", err)
	}
	out := site.Seal{Month: site.MonthNumber(month.Year(), month.Month()), Figures: s.Figures, Index: s.Index}
	digest, err := hex.DecodeString(s.Digest)
	if err != nil || len(digest) != len(out.Digest) {
		return site.Seal{}, fmt.Errorf("seal of %s: the digest is not one", s.Month)
	}
	copy(out.Digest[:], digest)
	return out, nil
}
