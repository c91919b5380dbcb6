package merchant

import (
	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
	"footfall/http/door"
)

type planBody struct {
	Emails   []string `json:"emails"`
	Webhooks []string `json:"webhooks"`
	// Last is the first day of the period whose report went out last or is going
	// out; null before the first.
	Last *string `json:"last_period,omitempty"`
}

func planBodyOf(plan accounts.ReportPlan, p accounts.ReportProgress) planBody {
	out := planBody{Emails: append([]string{}, plan.Emails...), Webhooks: append([]string{}, plan.Webhooks...)}
	if p.Period != "" {
		out.Last = &p.Period
	}
	return out
}

type reportsBody struct {
	Weekly  planBody `json:"weekly"`
	Monthly planBody `json:"monthly"`
	Secret  string   `json:"secret"` // signs webhooks; empty until the first PUT
	Mail    bool     `json:"mail"`   // this installation sends e-mail
}

func (h *Handler) reportsBodyOf(r *accounts.Reports) reportsBody {
	return reportsBody{planBodyOf(r.Of(accounts.Weekly)), planBodyOf(r.Of(accounts.Monthly)), r.Secret, h.opts.SendsMail}
}

// reports shows where a site's reports go. The addresses are people's, so it is
// for those who manage the site.
func (h *Handler) reports(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, manage)
	if err != nil {
		return err
	}
	r, ok := h.view().Reports(site.ID)
	if !ok {
		r = &accounts.Reports{Site: site.ID}
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, h.reportsBodyOf(r))
	return nil
}

// putReports replaces where a site's reports go.
func (h *Handler) putReports(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, manage)
	if err != nil {
		return err
	}
	type plan struct {
		Emails   []string `json:"emails"`
		Webhooks []string `json:"webhooks"`
	}
	var in struct {
		Weekly  plan `json:"weekly"`
		Monthly plan `json:"monthly"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	secret, err := h.opts.Accounts.NewSecret()
	if err != nil {
		return err
	}
	change := &accounts.PutReports{Site: site.ID, Secret: secret, Weekly: accounts.ReportPlan(in.Weekly), Monthly: accounts.ReportPlan(in.Monthly)}
	if err := change.Check(); err != nil {
		return err
	}
	out, err := h.do(change)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, h.reportsBodyOf(out.Reports))
	return nil
}
