package provision

import (
	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Texts of the dialect.
const (
	textMissingKey  = "Missing API key. Please use a valid Plausible API key as a Bearer Token."
	textInvalidKey  = "Invalid API key. Please make sure you're using a valid API key with access to the resource you've requested."
	textNoSite      = "Site could not be found"
	textNoGoal      = "Goal could not be found"
	textForeignTeam = "You can't add sites to the selected team."
	textWhichTeam   = "You must select a team with 'team_id' parameter."
	textNoRights    = "authorization: this needs a key with the scope sites:provision, or somebody who may manage the site"
	textMayNotList  = "authorization: this key may not list sites"
)

// inDialect refuses whom nobody knows, and gives refusals the statuses of the
// dialect, which has no 409 and no 413 for what is too many.
func inDialect(h door.Handler) door.Handler {
	return func(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
		switch {
		case who.Anonymous() && who.Refused:
			return analytics.Errorf(analytics.Unauthorized, textInvalidKey)
		case who.Anonymous():
			return analytics.Errorf(analytics.Unauthorized, textMissingKey)
		}
		err := h(ctx, who)
		if code := analytics.CodeOf(err); err != nil && (code == analytics.Conflict || code == analytics.TooLarge) {
			return &analytics.Error{Code: analytics.Invalid, Text: err.Error(), Err: err}
		}
		return err
	}
}

// dialectSite checks what who may do with a site that is named in words of the
// dialect. Where they do not belong, it looks as if it did not exist.
func (d *Door) dialectSite(who accounts.Identity, domain string, may right) (*analytics.Site, error) {
	site, ok := d.siteNamed(domain)
	switch {
	case !ok || !who.Belongs(site):
		return nil, analytics.Errorf(analytics.NotFound, textNoSite)
	case !may(who, site):
		return nil, analytics.Errorf(analytics.Forbidden, textNoRights)
	}
	return site, nil
}

// siteInPath is for calls that name the site in their path.
func (d *Door) siteInPath(ctx *fasthttp.RequestCtx, who accounts.Identity, may right) (*analytics.Site, error) {
	domain, _ := ctx.UserValue("site").(string)
	return d.dialectSite(who, domain, may)
}

// siteInFields is for calls that name the site as site_id. action ends the text
// of the refusal of one that does not.
func (d *Door) siteInFields(ctx *fasthttp.RequestCtx, who accounts.Identity, may right, action string) (*analytics.Site, fields, error) {
	f, err := readFields(ctx, who)
	if err != nil {
		return nil, nil, err
	}
	domain, err := f.required("site_id", action)
	if err != nil {
		return nil, nil, err
	}
	site, err := d.dialectSite(who, domain, may)
	return site, f, err
}

type deletedBody struct {
	Deleted bool `json:"deleted"`
}

func deleted(ctx *fasthttp.RequestCtx) error {
	door.WriteJSON(ctx, fasthttp.StatusOK, deletedBody{true})
	return nil
}
