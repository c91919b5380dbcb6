// Package provision is the door through which sites are set up without a
// person: the Sites API of the Plausible dialect under /api/v1/sites, and the
// native resources of a site (goals, segments, custom properties, shared links)
// under /v1/sites/{site}. It must never count or read events, let a caller see
// or change what is not theirs, or show a shared link to who may not manage its
// site. The shape of every route is in openapi.yaml of http/partner. Start at
// New and Door.Routes.
package provision

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Accounts is what the door needs of the control group. All calls may be
// concurrent. Errors are *analytics.Error where the caller can do something
// about them.
type Accounts interface {
	// View is the latest state; it costs next to nothing.
	View() *accounts.View
	// Do makes a change durable and applied, or says why not.
	Do(ctx context.Context, change accounts.Change) (accounts.Result, error)
	// NewSecret makes 256 random bits as 43 characters of base64url.
	NewSecret() (string, error)
	// HashPassword takes its time and memory; it refuses with Overloaded.
	HashPassword(ctx context.Context, password string) (string, error)
	SiteSecret() (accounts.Secret, error)
}

// Config is what the door is made of. Accounts and Check are required.
type Config struct {
	Accounts Accounts
	// Check tells whether a list of filters of the Stats API, as decoded by
	// encoding/json with numbers as json.Number, means something on a site. Errors
	// are of code Invalid.
	Check func(ctx context.Context, site *analytics.Site, who accounts.Identity, filters any) error
	// Limited counts requests of keys against their quota; nil: there is none.
	Limited func(door.Handler) door.Handler
	// PublicURL is how others reach this node, for shared links; empty takes it
	// from the request.
	PublicURL string
	// Trusted lists the proxies whose forwarding headers are believed.
	Trusted []netip.Prefix
	Clock   func() time.Time // default time.Now
	// SitesMax is how many sites an organisation may have when one is made here;
	// 0: no limit.
	SitesMax int
}

// changeTimeout bounds how long a request waits for its change.
const changeTimeout = 10 * time.Second

// Door serves the routes of this package. Safe for concurrent use.
type Door struct {
	cfg Config
}

// New makes a Door.
func New(cfg Config) *Door {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Limited == nil {
		cfg.Limited = func(h door.Handler) door.Handler { return h }
	}
	return &Door{cfg: cfg}
}

// Routes lists the routes of this door. Those of the dialect are Public because
// it has words of its own for who is not known; those that read a site are
// because a site may be.
func (d *Door) Routes() []door.Route {
	dialect := func(method, path string, h door.Handler) door.Route {
		return door.Route{Method: method, Path: "/api/v1/sites" + path, Need: door.Public, Handler: d.cfg.Limited(inDialect(h))}
	}
	read := func(path string, h door.Handler) door.Route {
		return door.Route{Method: "GET", Path: "/v1/sites/{site}" + path, Need: door.Public, Handler: d.cfg.Limited(h)}
	}
	manage := func(method, path string, h door.Handler) door.Route {
		return door.Route{Method: method, Path: "/v1/sites/{site}" + path, Need: door.Known, Handler: d.cfg.Limited(h)}
	}
	properties := manage("PUT", "/properties", d.setProperties)
	properties.BodyMax = 256 << 10 // as many as there may be of the length they may have
	return []door.Route{
		dialect("GET", "", d.listSites),
		dialect("POST", "", d.createSite),
		dialect("GET", "/teams", d.listTeams),
		dialect("GET", "/{site}", d.getSite),
		dialect("PUT", "/{site}", d.updateSite),
		dialect("DELETE", "/{site}", d.deleteSite),
		dialect("PUT", "/shared-links", d.putSharedLink),
		dialect("GET", "/goals", d.listGoals),
		dialect("PUT", "/goals", d.putGoal),
		dialect("DELETE", "/goals/{id}", d.deleteGoal),
		dialect("GET", "/custom-props", d.listCustomProps),
		dialect("PUT", "/custom-props", d.putCustomProp),
		dialect("DELETE", "/custom-props/{property}", d.deleteCustomProp),
		dialect("GET", "/guests", d.listGuests),
		dialect("PUT", "/guests", d.putGuest),
		dialect("DELETE", "/guests/{email}", d.deleteGuest),

		read("/segments", d.segments),
		read("/segments/{id}", d.segment),
		manage("POST", "/segments", d.createSegment),
		manage("PUT", "/segments/{id}", d.updateSegment),
		manage("DELETE", "/segments/{id}", d.deleteSegment),
		read("/goals", d.goals),
		read("/goals/{id}", d.goal),
		manage("POST", "/goals", d.createGoal),
		manage("PUT", "/goals/{id}", d.updateGoal),
		manage("DELETE", "/goals/{id}", d.removeGoal),
		read("/properties", d.properties),
		properties,
		manage("PUT", "/properties/{property}", d.addProperty),
		manage("DELETE", "/properties/{property}", d.removeProperty),
		manage("GET", "/shared-links", d.sharedLinks),
		manage("POST", "/shared-links", d.createSharedLink),
		manage("DELETE", "/shared-links/{id}", d.removeSharedLink),
	}
}

func (d *Door) view() *accounts.View { return d.cfg.Accounts.View() }

// do makes a change within the time a request may take.
func (d *Door) do(change accounts.Change) (accounts.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	return d.cfg.Accounts.Do(ctx, change)
}

// right is what a caller needs of a site.
type right func(accounts.Identity, *analytics.Site) bool

func manages(who accounts.Identity, site *analytics.Site) bool { return who.MayManage(site) }
func belongs(who accounts.Identity, site *analytics.Site) bool { return who.Belongs(site) }
func sees(who accounts.Identity, site *analytics.Site) bool {
	return who.MayRead(site) || who.MayManage(site)
}

// provisions is the right to do what a guest who edits the site may not.
func provisions(who accounts.Identity, site *analytics.Site) bool { return who.MayProvision(site.Org) }

// siteNamed finds a site by its domain, international names included.
func (d *Door) siteNamed(text string) (*analytics.Site, bool) {
	if len(text) > analytics.DomainBytesMax {
		return nil, false
	}
	text, err := asciiDomain(text)
	if err != nil {
		return nil, false
	}
	domain, err := accounts.NormalizeDomain(text)
	if err != nil {
		return nil, false
	}
	return d.view().Site([]byte(domain))
}

// site finds the site that the path of a native route names and checks that
// who may do with it what the route does. What is not theirs looks to others as
// if it did not exist; within the organisation a missing right is said to be
// missing.
func (d *Door) site(ctx *fasthttp.RequestCtx, who accounts.Identity, may right) (*analytics.Site, error) {
	text, _ := ctx.UserValue("site").(string)
	site, ok := d.siteNamed(text)
	switch {
	case ok && may(who, site):
		return site, nil
	case who.Anonymous():
		return nil, analytics.Errorf(analytics.Unauthorized, "authorization: missing or unknown")
	case ok && (who.Org == site.Org || site.Public || who.Belongs(site)):
		return nil, analytics.Errorf(analytics.Forbidden, "site: this needs more rights than you have")
	}
	return nil, analytics.Errorf(analytics.NotFound, "site: there is no such site")
}

// base is the address of this node without a slash at its end.
func (d *Door) base(ctx *fasthttp.RequestCtx) string {
	if d.cfg.PublicURL != "" {
		return strings.TrimSuffix(d.cfg.PublicURL, "/")
	}
	scheme := "http://"
	if ctx.IsTLS() || strings.EqualFold(string(ctx.Request.Header.Peek("X-Forwarded-Proto")), "https") && door.Trusts(d.cfg.Trusted, door.Peer(ctx)) {
		scheme = "https://"
	}
	return scheme + string(ctx.Host())
}

// instant writes Unix milliseconds as the API does.
func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func noContent(ctx *fasthttp.RequestCtx) error {
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}
