package merchant

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// right is one of Identity's May… methods.
type right func(accounts.Identity, *analytics.Site) bool

func read(who accounts.Identity, site *analytics.Site) bool     { return who.MayRead(site) }
func manage(who accounts.Identity, site *analytics.Site) bool   { return who.MayManage(site) }
func annotate(who accounts.Identity, site *analytics.Site) bool { return who.MayAnnotate(site) }
func provision(who accounts.Identity, site *analytics.Site) bool {
	return who.MayProvision(site.Org)
}
func see(who accounts.Identity, site *analytics.Site) bool {
	return who.MayRead(site) || who.MayManage(site)
}

// siteOf finds the site that the path names and checks that who may do with it
// what the route does. What is not theirs looks to others as if it did not
// exist; within the organisation a missing right is said to be missing.
func (h *Handler) siteOf(ctx *fasthttp.RequestCtx, who accounts.Identity, may right) (*analytics.Site, error) {
	text, _ := ctx.UserValue("site").(string)
	site, ok := h.siteNamed(text)
	switch {
	case ok && may(who, site):
		return site, nil
	case who.Anonymous():
		return nil, analytics.Errorf(analytics.Unauthorized, "authorization: missing or unknown")
	case ok && (who.Org == site.Org || site.Public):
		return nil, analytics.Errorf(analytics.Forbidden, "site: this needs more rights than you have")
	}
	return nil, analytics.Errorf(analytics.NotFound, "site: there is no such site")
}

// countedOf is siteOf for what was counted of a site: it checks too that this
// node can answer, and the answer says how fresh it is.
func (h *Handler) countedOf(ctx *fasthttp.RequestCtx, who accounts.Identity, may right) (*analytics.Site, error) {
	site, err := h.siteOf(ctx, who, may)
	if err != nil {
		return nil, err
	}
	return site, door.Find(ctx, h.opts.Placer, site.ID)
}

func (h *Handler) siteNamed(text string) (*analytics.Site, bool) {
	text, err := asciiDomain(text)
	if err != nil {
		return nil, false
	}
	domain, err := accounts.NormalizeDomain(text)
	if err != nil {
		return nil, false
	}
	return h.view().Site([]byte(domain))
}

// orgOf gives the organisation that a change is for: the caller's own, or for
// the operator the one that is named, where 0 is the first.
func orgOf(who accounts.Identity, named *uint64) (uint64, error) {
	switch {
	case who.Operator && named == nil:
		return 0, nil
	case who.Operator:
		return *named, nil
	case named != nil && *named != who.Org:
		return 0, analytics.Errorf(analytics.Forbidden, "org: is not yours")
	}
	return who.Org, nil
}

// listOrg gives the organisation whose things are to be listed; all is true
// where the operator named none.
func listOrg(ctx *fasthttp.RequestCtx, who accounts.Identity) (org uint64, all bool, err error) {
	text := string(ctx.QueryArgs().Peek("org"))
	if text == "" {
		return who.Org, who.Operator, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, analytics.Errorf(analytics.Invalid, "org: must be the number of an organisation")
	}
	org, err = orgOf(who, &n)
	return org, false, err
}

func errOwnersOnly() error {
	return analytics.Errorf(analytics.Forbidden, "authorization: this is for owners of the organisation")
}
