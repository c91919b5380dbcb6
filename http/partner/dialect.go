package partner

import (
	"context"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
	"footfall/http/door"
)

var _ door.Dialect = (*Door)(nil)

// Site finds the site of a request by its domain. Who may not read it gets
// Unauthorized and does not learn whether it exists; no domain gives Invalid.
func (d *Door) Site(ctx *fasthttp.RequestCtx, who accounts.Identity, domain string) (*analytics.Site, error) {
	return d.site(ctx, who, domain)
}

// Span resolves a date_range of the dialect in the site's time zone, as seen at
// now in Unix ms.
func (d *Door) Span(_ context.Context, site *analytics.Site, dateRange any, now int64) (calendar.Period, error) {
	a := &asking{door: d, site: site, now: now}
	r, err := periodAt("#/date_range", dateRange, now, a.first, site.Zone())
	if a.err != nil {
		return calendar.Period{}, a.err
	}
	return r.Period, err
}

// Filter reads a list of filters as the member filters of a query has it.
func (d *Door) Filter(_ context.Context, site *analytics.Site, who accounts.Identity, filters any) (*query.Filter, error) {
	if filters == nil {
		return nil, nil
	}
	q := &queryV2{words: d.words(site, who)}
	if err := q.parseFilters(map[string]any{"filters": filters}); err != nil {
		return nil, err
	}
	return q.filter, nil
}

// Question reads a whole query of the Stats API v2 about a site, whatever its
// site_id says. Comparisons, which need two questions, give Invalid.
func (d *Door) Question(_ context.Context, site *analytics.Site, who accounts.Identity, body map[string]any, now int64) (*query.Question, error) {
	q, err := parseV2(body, d.words(site, who))
	if err != nil {
		return nil, err
	}
	if q.comparisons != nil {
		return nil, invalid("#/include/comparisons: cannot be asked for here")
	}
	a := &asking{door: d, site: site, now: now}
	r, err := a.resolve(q)
	if err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	ask := r.question(r.period.Period)
	a.complete(ask)
	ask.Offset = q.offset
	if q.limited {
		ask.Limit = q.limit
	}
	return ask, nil
}
