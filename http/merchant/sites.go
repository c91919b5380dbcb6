package merchant

import (
	"cmp"
	"html"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// listedMax is how many sites one answer lists.
const listedMax = 10_000

type siteBody struct {
	Domain   string `json:"domain"`
	Timezone string `json:"timezone"`
	Created  string `json:"created"`
	Public   bool   `json:"public"`
}

func siteBodyOf(s *analytics.Site) siteBody {
	return siteBody{Domain: s.Domain, Timezone: s.Timezone, Created: instant(s.Created), Public: s.Public}
}

type siteDetail struct {
	siteBody
	Hostnames []string `json:"hostnames"`
	Pages     []string `json:"blocked_pages"`
	IPs       []string `json:"blocked_ips"`
	Countries []string `json:"blocked_countries"`
	VisitorID string   `json:"visitor_id"`     // daily, weekly or monthly
	Retention int      `json:"retention_days"` // 0 keeps all
	Snippet   string   `json:"snippet"`
}

// detailOf shows a site with its settings. Addresses and pages that are blocked
// say something about the owner, so they are for people of the house only.
func (h *Handler) detailOf(ctx *fasthttp.RequestCtx, who accounts.Identity, s *analytics.Site) siteDetail {
	d := siteDetail{siteBody: siteBodyOf(s), Hostnames: []string{}, Pages: []string{}, IPs: []string{}, Countries: []string{},
		VisitorID: string(cmp.Or(s.Uniques, analytics.UniquesDaily)), Retention: s.RetentionDays, Snippet: h.snippet(ctx, s)}
	if who.Belongs(s) {
		d.Hostnames, d.Pages = append(d.Hostnames, s.Hostnames...), append(d.Pages, s.Pages...)
		d.IPs, d.Countries = append(d.IPs, s.IPs...), append(d.Countries, s.Countries...)
	}
	return d
}

// snippet is the HTML that a page of the site carries.
func (h *Handler) snippet(ctx *fasthttp.RequestCtx, s *analytics.Site) string {
	base := strings.TrimSuffix(h.opts.PublicURL, "/")
	if base == "" {
		scheme := "http://"
		if h.overTLS(ctx) {
			scheme = "https://"
		}
		base = scheme + string(ctx.Host())
	}
	return Snippet(base, s.Domain)
}

// Snippet is the HTML that makes a page report to the node at base, an address
// without a slash at its end.
func Snippet(base, domain string) string {
	return `<script defer data-domain="` + html.EscapeString(domain) + `" src="` + html.EscapeString(base) + `/js/footfall.js"></script>`
}

// sitesOf gives the sites that who may see, of the organisation that is asked
// for, or of their own and where they are guests, by domain.
func (h *Handler) sitesOf(ctx *fasthttp.RequestCtx, who accounts.Identity, may right) ([]*analytics.Site, error) {
	org, all, err := listOrg(ctx, who)
	if err != nil {
		return nil, err
	}
	view := h.view()
	list := view.SitesOf(org, 0)
	if all {
		list = view.Sites(0)
	}
	var out []*analytics.Site
	for s := range list {
		if may(who, s) {
			out = append(out, s)
		}
	}
	if len(ctx.QueryArgs().Peek("org")) == 0 {
		for _, g := range who.Guest {
			if s, ok := view.SiteByID(g.Site); ok && s.Org != org && may(who, s) {
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b *analytics.Site) int { return cmp.Compare(a.Domain, b.Domain) })
	return out, nil
}

// cut gives the sites of one page and the domain after which the next begins,
// "" at the end.
func (p page) cut(sites []*analytics.Site) (part []*analytics.Site, next string) {
	at, found := slices.BinarySearchFunc(sites, p.after, func(s *analytics.Site, d string) int { return cmp.Compare(s.Domain, d) })
	if found {
		at++
	}
	sites = sites[at:]
	if len(sites) <= p.limit {
		return sites, ""
	}
	return sites[:p.limit], sites[p.limit-1].Domain
}

// mayList tells whether who may list sites at all. A key that writes events
// only has no business to.
func mayList(who accounts.Identity) bool {
	return who.Operator || who.User != 0 || slices.Contains(who.Scopes, accounts.StatsRead) || slices.Contains(who.Scopes, accounts.SitesProvision)
}

func errMayNotList() error {
	return analytics.Errorf(analytics.Forbidden, "authorization: this key may not list sites")
}

// listSites answers {"sites": …}; for more than fit, "next" goes into the
// parameter after of the next request.
func (h *Handler) listSites(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !mayList(who) {
		return errMayNotList()
	}
	p, err := pageOf(ctx, listedMax)
	if err != nil {
		return err
	}
	sites, err := h.sitesOf(ctx, who, see)
	if err != nil {
		return err
	}
	out := struct {
		Sites []siteBody `json:"sites"`
		Next  string     `json:"next,omitempty"`
	}{Sites: []siteBody{}}
	sites, out.Next = p.cut(sites)
	for _, s := range sites {
		out.Sites = append(out.Sites, siteBodyOf(s))
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

// newSite fills a change that makes a site, checked.
func (h *Handler) newSite(domain, timezone string) (*accounts.CreateSite, error) {
	domain, err := asciiDomain(domain)
	if err != nil {
		return nil, err
	}
	if err := accounts.KnownTimezone(timezone); err != nil {
		return nil, err
	}
	secret, err := h.opts.Accounts.SiteSecret()
	if err != nil {
		return nil, err
	}
	change := &accounts.CreateSite{Domain: domain, Timezone: timezone, Secret: secret}
	return change, change.Check()
}

func (h *Handler) createSite(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	if !who.MayProvision(who.Org) {
		return analytics.Errorf(analytics.Forbidden, "authorization: making sites needs more rights than you have")
	}
	var in struct {
		Domain   string  `json:"domain"`
		Timezone string  `json:"timezone"`
		Public   bool    `json:"public"`
		Org      *uint64 `json:"org"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	org, err := orgOf(who, in.Org)
	if err != nil {
		return err
	}
	change, err := h.newSite(in.Domain, in.Timezone)
	if err != nil {
		return err
	}
	change.Org, change.Public = org, in.Public
	out, err := h.do(change)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusCreated, h.detailOf(ctx, who, out.Site))
	return nil
}

func (h *Handler) getSite(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, see)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, h.detailOf(ctx, who, site))
	return nil
}

func (h *Handler) updateSite(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, manage)
	if err != nil {
		return err
	}
	var in struct {
		Domain    *string   `json:"domain"`
		Timezone  *string   `json:"timezone"`
		Public    *bool     `json:"public"`
		Hostnames *[]string `json:"hostnames"`
		Pages     *[]string `json:"blocked_pages"`
		IPs       *[]string `json:"blocked_ips"`
		Countries *[]string `json:"blocked_countries"`

		VisitorID *analytics.Uniques `json:"visitor_id"`
		Retention *int               `json:"retention_days"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	if in.Domain != nil {
		if *in.Domain, err = asciiDomain(*in.Domain); err != nil {
			return err
		}
	}
	if in.Timezone != nil {
		if err := accounts.KnownTimezone(*in.Timezone); err != nil {
			return err
		}
	}
	out, err := h.do(&accounts.UpdateSite{ID: site.ID, Domain: in.Domain, Timezone: in.Timezone, Public: in.Public,
		Hostnames: in.Hostnames, Pages: in.Pages, IPs: in.IPs, Countries: in.Countries, Uniques: in.VisitorID, RetentionDays: in.Retention})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, h.detailOf(ctx, who, out.Site))
	return nil
}

func (h *Handler) deleteSite(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	// Guests who edit a site may not remove it.
	site, err := h.siteOf(ctx, who, provision)
	if err != nil {
		return err
	}
	if _, err := h.do(&accounts.DeleteSite{ID: site.ID}); err != nil {
		return err
	}
	return noContent(ctx)
}
