package export

import (
	"context"

	"footfall/analytics"
	"footfall/analytics/query"
	"footfall/http/door"
)

// Pictures lets exports look at pictures. Questions take turns with all others
// and have their budget. Raw events do not: a scan waits for its client, and while
// it waited with a turn nobody else would have it; how many run is bounded by the
// door.
func Pictures(l door.Looker) Looker { return pictures{l} }

type pictures struct{ door.Looker }

func (p pictures) Look(ctx context.Context, site analytics.SiteID, after analytics.Token, f func(context.Context, State) error) error {
	return p.Looker.Look(ctx, site, after, func(ctx context.Context, p *query.Picture) error { return f(ctx, picture{p}) })
}

type picture struct{ *query.Picture }

func (p picture) Scan(ctx context.Context, from, to int64, f *query.Filter, fn func(v query.Visit, events []int) error) error {
	alone := *p.Picture
	alone.Fan, alone.Budget = nil, 0
	return alone.Scan(ctx, from, to, f, fn)
}
