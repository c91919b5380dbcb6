// Package merchant is the door of the people who own sites: sign-in, the
// resources behind the dashboard, the live stream, and the files of dashboard
// and demo shop. It also recognises callers for every other door. It must never
// import what keeps accounts or counts views, let a caller see or change what is
// not theirs, or write a secret anywhere but into the one answer that is meant
// to carry it. Start at New and Handler.Routes; who may do what stands in
// AccessTable.
package merchant

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
	"footfall/http/door"
	"footfall/http/inspect"
)

// Accounts is what the door needs of the control group. All calls may be
// concurrent. Errors are *analytics.Error where the caller can do something
// about them.
type Accounts interface {
	// View is the latest state; it costs next to nothing.
	View() *accounts.View
	// Do makes a change durable and applied, or says why not.
	Do(ctx context.Context, change accounts.Change) (accounts.Result, error)
	// HashPassword and CheckPassword take their time and memory; both refuse with
	// Overloaded. An empty hash costs the same and never matches.
	HashPassword(ctx context.Context, password string) (string, error)
	CheckPassword(ctx context.Context, hash, password string) (bool, error)
	// NewSecret makes 256 random bits as 43 characters of base64url.
	NewSecret() (string, error)
	SiteSecret() (accounts.Secret, error)
	// SessionUsed tells whether a session is alive at now, Unix ms, and notes the
	// use; KeyUsed notes the use of a key.
	SessionUsed(n *accounts.Session, now int64) bool
	KeyUsed(k *accounts.Key, now int64)
}

// Asker answers questions about a site.
type Asker interface {
	Ask(ctx context.Context, site analytics.SiteID, q *query.Question) (*query.Answer, error)
}

// Live tells of changes of a site's numbers. The channel has room for one
// signal and is never closed; index gives how far into the site's log its
// numbers reach; cancel ends the subscription.
type Live interface {
	Subscribe(site analytics.SiteID) (changed <-chan struct{}, index func() uint64, cancel func(), err error)
}

// Drops gives what was not counted for a site, by UTC day (days since 1970) and
// reason. The maps belong to the caller.
type Drops interface {
	Drops(ctx context.Context, site analytics.SiteID) (map[int32]map[analytics.Reason]uint64, error)
}

// Options are what a Handler is made of. All up to Watch are required.
type Options struct {
	Accounts Accounts
	Asker    Asker
	Live     Live
	Drops    Drops
	Eraser   Eraser
	Seals    Seals
	Signs    Signs
	Watch    *inspect.Watch
	Peers    Peers       // nil on a node alone
	Placer   door.Placer // nil: every site is here
	// SendsMail tells that reports can go out by e-mail.
	SendsMail bool
	Clock     func() time.Time // default time.Now
	// Trusted lists the proxies whose forwarding headers are believed.
	Trusted []netip.Prefix
	// PublicURL is how pages of others reach this node, for the snippet; empty
	// takes it from the request.
	PublicURL string

	PingInterval     time.Duration // of a live stream, at most 15 s; default 15 s
	PushInterval     time.Duration // least time between two pushes; default 250 ms
	StreamsMax       int           // default 5,000
	StreamsPerCaller int           // default 24
}

// changeTimeout bounds how long a request waits for its change or its answer.
const changeTimeout = 10 * time.Second

// Handler serves the routes of this package. Safe for concurrent use.
type Handler struct {
	opts     Options
	byEmail  *throttle
	byFactor *throttle // codes of the second factor, by account
	byAddr   *throttle
	streams  *streams
	pulses   *pulses
	others   *otherNodes
	stop     chan struct{}
	stopOnce sync.Once
}

// New makes a Handler.
func New(opts Options) *Handler {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.PingInterval <= 0 || opts.PingInterval > 15*time.Second {
		opts.PingInterval = 15 * time.Second
	}
	if opts.PushInterval <= 0 {
		opts.PushInterval = 250 * time.Millisecond
	}
	if opts.StreamsMax <= 0 {
		opts.StreamsMax = 5000
	}
	if opts.StreamsPerCaller <= 0 {
		opts.StreamsPerCaller = 24
	}
	return &Handler{
		opts:    opts,
		byEmail: newThrottle(10, 15*time.Second),
		// Whoever is held back here knows the password; three of a million codes are
		// good at a time.
		byFactor: newThrottle(10, time.Minute),
		byAddr:   newThrottle(50, 3*time.Second),
		streams:  newStreams(opts.StreamsMax, opts.StreamsPerCaller),
		pulses:   newPulses(),
		others:   newOtherNodes(),
		stop:     make(chan struct{}),
	}
}

// CloseStreams ends the live streams, those to come included. The server's
// shutdown waits for their connections.
func (h *Handler) CloseStreams() { h.stopOnce.Do(func() { close(h.stop) }) }

// Routes lists the routes of this door.
func (h *Handler) Routes() []door.Route {
	return []door.Route{
		{Method: "GET", Path: "/v1/setup/{token}", Need: door.Public, Handler: h.checkSetup},
		{Method: "POST", Path: "/v1/setup", Need: door.Public, Handler: h.setup},
		{Method: "POST", Path: "/v1/session", Need: door.Public, Handler: h.signIn},
		{Method: "GET", Path: "/v1/session", Need: door.Public, Handler: h.whoAmI},
		{Method: "DELETE", Path: "/v1/session", Need: door.Public, Handler: h.signOut},
		{Method: "GET", Path: "/v1/sessions", Need: door.SignedIn, Handler: h.listSessions},
		{Method: "DELETE", Path: "/v1/sessions", Need: door.SignedIn, Handler: h.signOutEverywhere},
		{Method: "DELETE", Path: "/v1/sessions/{id}", Need: door.SignedIn, Handler: h.endSession},
		{Method: "PUT", Path: "/v1/password", Need: door.SignedIn, Handler: h.changePassword},
		{Method: "GET", Path: "/v1/second-factor", Need: door.SignedIn, Handler: h.secondFactor},
		{Method: "POST", Path: "/v1/second-factor", Need: door.SignedIn, Handler: h.offerSecondFactor},
		{Method: "PUT", Path: "/v1/second-factor", Need: door.SignedIn, Handler: h.confirmSecondFactor},
		{Method: "DELETE", Path: "/v1/second-factor", Need: door.SignedIn, Handler: h.removeSecondFactor},
		{Method: "GET", Path: "/v1/preferences", Need: door.SignedIn, Handler: h.preferences},
		{Method: "PUT", Path: "/v1/preferences", Need: door.SignedIn, Handler: h.putPreferences, BodyMax: 1 << 20},

		{Method: "POST", Path: "/v1/shared-link/session", Need: door.Public, Handler: h.openShared},

		{Method: "GET", Path: "/v1/orgs", Need: door.Known, Handler: h.listOrgs},
		{Method: "POST", Path: "/v1/orgs", Need: door.Known, Handler: h.createOrg},
		{Method: "GET", Path: "/v1/users", Need: door.Known, Handler: h.listUsers},
		{Method: "POST", Path: "/v1/users", Need: door.Known, Handler: h.createUser},
		{Method: "PUT", Path: "/v1/users/{id}", Need: door.Known, Handler: h.updateUser},
		{Method: "DELETE", Path: "/v1/users/{id}", Need: door.Known, Handler: h.deleteUser},
		{Method: "DELETE", Path: "/v1/users/{id}/second-factor", Need: door.Known, Handler: h.resetSecondFactor},
		{Method: "GET", Path: "/v1/keys", Need: door.Known, Handler: h.listKeys},
		{Method: "POST", Path: "/v1/keys", Need: door.Known, Handler: h.createKey},
		{Method: "DELETE", Path: "/v1/keys/{id}", Need: door.Known, Handler: h.revokeKey},

		{Method: "GET", Path: "/v1/overview", Need: door.Known, Handler: h.overview},
		{Method: "GET", Path: "/v1/sites", Need: door.Known, Handler: h.listSites},
		{Method: "POST", Path: "/v1/sites", Need: door.Known, Handler: h.createSite},
		{Method: "GET", Path: "/v1/sites/{site}", Need: door.Public, Handler: h.getSite},
		{Method: "PUT", Path: "/v1/sites/{site}", Need: door.Known, Handler: h.updateSite, BodyMax: 1 << 20},
		{Method: "DELETE", Path: "/v1/sites/{site}", Need: door.Known, Handler: h.deleteSite},
		{Method: "GET", Path: "/v1/sites/{site}/live", Need: door.Public, Handler: h.live},
		{Method: "GET", Path: "/v1/sites/{site}/live/events", Need: door.Public, Handler: h.feed},
		{Method: "GET", Path: "/v1/sites/{site}/inspector", Need: door.Known, Handler: h.inspector},
		{Method: "GET", Path: "/v1/sites/{site}/check", Need: door.Known, Handler: h.check},
		{Method: "GET", Path: "/v1/sites/{site}/reports", Need: door.Known, Handler: h.reports},
		{Method: "PUT", Path: "/v1/sites/{site}/reports", Need: door.Known, Handler: h.putReports},
		{Method: "GET", Path: "/v1/sites/{site}/drops", Need: door.Known, Handler: h.drops},
		{Method: "GET", Path: "/v1/sites/{site}/seals", Need: door.Known, Handler: h.seals},
		{Method: "POST", Path: "/v1/sites/{site}/erase", Need: door.Known, Handler: h.erase},
		{Method: "GET", Path: "/v1/sites/{site}/guests", Need: door.Known, Handler: h.listGuests},
		{Method: "GET", Path: "/v1/sites/{site}/annotations", Need: door.Public, Handler: h.listAnnotations},
		{Method: "POST", Path: "/v1/sites/{site}/annotations", Need: door.Known, Handler: h.createAnnotation},
		{Method: "PUT", Path: "/v1/sites/{site}/annotations/{id}", Need: door.Known, Handler: h.updateAnnotation},
		{Method: "DELETE", Path: "/v1/sites/{site}/annotations/{id}", Need: door.Known, Handler: h.deleteAnnotation},
		{Method: "GET", Path: "/v1/sites/{site}/funnels", Need: door.Public, Handler: h.listFunnels},
		{Method: "POST", Path: "/v1/sites/{site}/funnels", Need: door.Known, Handler: h.createFunnel, BodyMax: 256 << 10},
		{Method: "PUT", Path: "/v1/sites/{site}/funnels/{id}", Need: door.Known, Handler: h.updateFunnel, BodyMax: 256 << 10},
		{Method: "DELETE", Path: "/v1/sites/{site}/funnels/{id}", Need: door.Known, Handler: h.deleteFunnel},
	}
}

func (h *Handler) now() int64 { return h.opts.Clock().UnixMilli() }

func (h *Handler) view() *accounts.View { return h.opts.Accounts.View() }

// do makes a change within the time a request may take.
func (h *Handler) do(change accounts.Change) (accounts.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	return h.opts.Accounts.Do(ctx, change)
}

// instant writes Unix milliseconds as the API does.
func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func noContent(ctx *fasthttp.RequestCtx) error {
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}
