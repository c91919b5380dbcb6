// Package partner is the door of the statistics: the Stats API in both versions
// of the Plausible dialect, the monthly visit status and the OpenAPI document.
// Partners come with a key, the dashboard with its session, anyone to a public
// site. It turns words of the dialect into questions and answers into the
// dialect's JSON; it never counts, never writes, and knows no other door. The
// shape of every route is in openapi.yaml. Start at New.
package partner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/query"
	"footfall/http/door"
)

// Asker answers a question about a site from a state that includes everything
// up to after. Concurrent calls are allowed; it returns soon after ctx is done.
type Asker interface {
	Ask(ctx context.Context, site analytics.SiteID, q *query.Question, after analytics.Token) (*query.Answer, error)
}

// SinceAsker is an Asker whose answers can be shared by all who know of the same
// state: one about any state whose Index is at least since will do.
type SinceAsker interface {
	AskSince(ctx context.Context, site analytics.SiteID, q *query.Question, since uint64) (*query.Answer, error)
}

// headerSince names the index that the stream of changes told.
const headerSince = "X-Footfall-Since"

// Directory finds sites by domain, in lower case and without "www.", and what
// the merchant defined for a site: its goals in the order in which they were
// made, and its segments, personal ones of everybody included. What it gives is
// not written to. Calls may be concurrent.
type Directory interface {
	Site(domain []byte) (*analytics.Site, bool)
	Goals(site analytics.SiteID) []*analytics.Goal
	Segment(site analytics.SiteID, id uint64) (*analytics.Segment, bool)
}

// First tells when a site's first event was, in Unix ms; false if it has none.
type First interface {
	FirstEvent(site analytics.SiteID) (ms int64, ok bool, err error)
}

// Config is what the door needs. Asker, Looker, Directory, First and Clock must
// be set.
type Config struct {
	Asker     Asker
	Looker    door.Looker // for answers of several questions about one state
	Placer    door.Placer // nil: every site is here
	Directory Directory
	First     First
	Clock     func() time.Time
	ServedBy  string // name of the node
	// RequestsPerHour is what one key may ask; 0 means 600, negative no limit.
	// Sessions, the operator and readers of public sites have no limit here.
	RequestsPerHour int
	// Timeout ends a request's questions; 0 means 30 s.
	Timeout time.Duration
}

// Door answers the routes. Its methods may be called concurrently.
type Door struct {
	cfg   Config
	quota *quota
}

const (
	requestsPerHour = 600
	timeout         = 30 * time.Second
	bodyBytesMax    = 256 << 10
)

// New makes the door.
func New(cfg Config) *Door {
	if cfg.RequestsPerHour == 0 {
		cfg.RequestsPerHour = requestsPerHour
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = timeout
	}
	return &Door{cfg: cfg, quota: newQuota(cfg.RequestsPerHour, time.Hour)}
}

// Routes lists the routes. Those of statistics are Public because a site may
// be; the handlers ask who it is.
func (d *Door) Routes() []door.Route {
	get := func(path string, h door.Handler) door.Route {
		return door.Route{Method: fasthttp.MethodGet, Path: path, Need: door.Public, Handler: d.Limited(h)}
	}
	return []door.Route{
		{Method: fasthttp.MethodPost, Path: "/api/v2/query", Need: door.Public, Handler: d.Limited(d.query), BodyMax: bodyBytesMax},
		get("/api/v1/stats/realtime/visitors", d.realtimeV1),
		get("/api/v1/stats/aggregate", d.aggregateV1),
		get("/api/v1/stats/timeseries", d.timeseriesV1),
		get("/api/v1/stats/breakdown", d.breakdownV1),
		get("/v1/sites/{site}/months", d.months),
		{Method: fasthttp.MethodGet, Path: "/v1/openapi.yaml", Need: door.Public, Handler: document},
		{Method: fasthttp.MethodGet, Path: "/api/v2/schema", Need: door.Public, CrossOrigin: true, Handler: querySchema},
		{Method: fasthttp.MethodGet, Path: "/api/docs/query/schema.json", Need: door.Public, CrossOrigin: true, Handler: querySchema},
	}
}

// Limited counts a key's request against its quota before anything else.
func (d *Door) Limited(h door.Handler) door.Handler {
	return func(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
		if who.Key != 0 && who.User == 0 && !who.Operator && d.cfg.RequestsPerHour > 0 && door.Hops(ctx) == 0 {
			left, reset, ok := d.quota.take(who.Key, d.cfg.Clock())
			seconds := strconv.Itoa(int((reset + time.Second - 1) / time.Second))
			head := &ctx.Response.Header
			head.Set("X-RateLimit-Limit", strconv.Itoa(d.cfg.RequestsPerHour))
			head.Set("X-RateLimit-Remaining", strconv.Itoa(left))
			head.Set("X-RateLimit-Reset", seconds)
			if !ok {
				head.Set("Retry-After", seconds)
				return analytics.Errorf(analytics.TooMany, "Too many API requests. Your API key is limited to %d requests per hour."+
					" Please contact the operator of this server to request more capacity.", d.cfg.RequestsPerHour)
			}
		}
		return h(ctx, who)
	}
}

const (
	textMissingKey  = "Missing API key. Please use a valid Plausible API key as a Bearer Token."
	textInvalidKey  = "Invalid API key or site ID. Please make sure you're using a valid API key with access to the site you've requested."
	textMissingSite = "Missing site ID. Please provide the required site_id parameter with your request."
)

// site finds the site that is asked about and checks that who may read it, and
// that this node can answer. Who may not does not learn whether it exists.
func (d *Door) site(ctx *fasthttp.RequestCtx, who accounts.Identity, domain string) (*analytics.Site, error) {
	var site *analytics.Site
	ok := false
	if domain != "" && len(domain) <= analytics.DomainBytesMax {
		name := bytes.TrimPrefix(bytes.ToLower([]byte(domain)), []byte("www."))
		site, ok = d.cfg.Directory.Site(name)
	}
	switch {
	case ok && who.MayRead(site):
		return site, door.Find(ctx, d.cfg.Placer, site.ID)
	case who.Anonymous() && len(ctx.Request.Header.Peek("Authorization")) == 0:
		return nil, analytics.Errorf(analytics.Unauthorized, textMissingKey)
	case domain == "":
		return nil, analytics.Errorf(analytics.Invalid, textMissingSite)
	}
	return nil, analytics.Errorf(analytics.Unauthorized, textInvalidKey)
}

// asking is one request: who it is about, when it came, how far the answers
// looked.
type asking struct {
	door  *Door
	ctx   context.Context
	site  *analytics.Site
	now   int64 // Unix ms
	after analytics.Token
	since uint64 // the index that the caller was told of, 0 if none
	index uint64 // the least that any answer so far included
	err   error  // of finding the first event
}

// ask opens a request about site. The caller must call done.
func (d *Door) ask(ctx *fasthttp.RequestCtx, site *analytics.Site) (a *asking, done func(), err error) {
	after, err := door.After(ctx)
	if err != nil {
		return nil, nil, err
	}
	since, err := sinceOf(ctx)
	if err != nil {
		return nil, nil, err
	}
	// Not the request's own context, which must not be kept by what is asked.
	within, stop := door.Watch(ctx, context.Background())
	within, cancel := context.WithTimeout(within, d.cfg.Timeout)
	return &asking{door: d, ctx: within, site: site, now: d.cfg.Clock().UnixMilli(), after: after, since: since}, func() { cancel(); stop() }, nil
}

func (a *asking) question(q *query.Question) (*query.Answer, error) {
	if a.err != nil {
		return nil, a.err
	}
	a.complete(q)
	answer, err := a.ask(q)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, &analytics.Error{Code: analytics.Unavailable, Text: "query: took too long, ask about less or try again", Err: err}
	}
	if err != nil {
		return nil, err
	}
	if a.index == 0 || answer.Index < a.index {
		a.index = answer.Index
	}
	return answer, nil
}

func (a *asking) ask(q *query.Question) (*query.Answer, error) {
	if shared, ok := a.door.cfg.Asker.(SinceAsker); ok && a.since > 0 && a.after == (analytics.Token{}) {
		return shared.AskSince(a.ctx, a.site.ID, q, a.since)
	}
	return a.door.cfg.Asker.Ask(a.ctx, a.site.ID, q, a.after)
}

// sinceOf reads the index that a request names; 0 if it names none.
func sinceOf(ctx *fasthttp.RequestCtx) (uint64, error) {
	text := ctx.Request.Header.Peek(headerSince)
	if len(text) == 0 {
		return 0, nil
	}
	since, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return 0, analytics.Errorf(analytics.Invalid, "%s: must be an index, as the stream of changes tells it", headerSince)
	}
	return since, nil
}

// complete puts into a question what it is about the site and the time.
func (a *asking) complete(q *query.Question) {
	q.Zone, q.Now, q.Lasting = a.site.Zone(), a.now, lasting(a.site)
}

// lasting tells whether visitors of the site keep their ids over several days.
func lasting(site *analytics.Site) bool {
	return site.Uniques == analytics.UniquesWeekly || site.Uniques == analytics.UniquesMonthly
}

// first gives the first event, or now without any. An error is kept: the next
// question gives it.
func (a *asking) first() int64 {
	ms, ok, err := a.door.cfg.First.FirstEvent(a.site.ID)
	if err != nil {
		a.err = fmt.Errorf("first event of site %d: %w", a.site.ID, err)
	}
	if !ok {
		return a.now
	}
	return ms
}

// write answers body, which is JSON, with how far the answers looked.
func (a *asking) write(ctx *fasthttp.RequestCtx, body []byte) {
	head := &ctx.Response.Header
	head.SetContentType("application/json; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Footfall-Index", strconv.FormatUint(a.index, 10))
	ctx.SetStatusCode(fasthttp.StatusOK)
	ctx.Response.SetBodyRaw(body)
}
