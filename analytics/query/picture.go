package query

import (
	"context"

	"footfall/analytics/session"
	"footfall/analytics/site"
)

// DaySource gives the visits that begin in a UTC day of a view. Safe for concurrent
// use.
type DaySource interface {
	Day(ctx context.Context, view *site.View, day int32) (*session.Day, error)
}

// Picture is one state of a site, of which anything can be asked. Safe for
// concurrent use.
type Picture struct {
	View *site.View
	Days DaySource
}

// Index is how far into the site's log the picture looks.
func (p *Picture) Index() uint64 { return p.View.Index }

// Visit is a visit under a scan: row I of Layer. What is in Layer must not be
// changed.
type Visit struct {
	Day   *session.Day
	Layer *session.Layer
	I     int
}
