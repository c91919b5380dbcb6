package door

import (
	"context"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

// Dialect reads the words of the Stats API for all doors that use them. JSON
// values are as decoded by encoding/json, numbers as json.Number. Errors are of
// code Invalid, in the words of the dialect, unless stated.
type Dialect interface {
	// Site finds the site of a request; who may not read it gets Unauthorized.
	Site(ctx *fasthttp.RequestCtx, who accounts.Identity, domain string) (*analytics.Site, error)
	// Span resolves a date_range; first is asked only where the range needs the
	// site's first event.
	Span(ctx context.Context, site *analytics.Site, dateRange any, now int64) (calendar.Period, error)
	// Filter reads a list of filters, goals and segments of the site included; nil
	// for none.
	Filter(ctx context.Context, site *analytics.Site, who accounts.Identity, filters any) (*query.Filter, error)
	// Question reads a whole query of the Stats API v2, without comparisons; paging
	// is as asked for, Limit 0 if it is not.
	Question(ctx context.Context, site *analytics.Site, who accounts.Identity, body map[string]any, now int64) (*query.Question, error)
	// Limited counts requests of keys against their quota.
	Limited(h Handler) Handler
}

// Looker lets f look at one state of a site, which includes everything up to
// after: what f asks is answered from that state. f is called once, on any
// goroutine, and shares the cores with other questions; it must stop soon after
// its context is done.
type Looker interface {
	Look(ctx context.Context, site analytics.SiteID, after analytics.Token, f func(context.Context, *query.Picture) error) error
}
