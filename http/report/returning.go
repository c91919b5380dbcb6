package report

import (
	"context"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
)

type returningBody struct {
	head
	Query      asked  `json:"query"`
	IDs        string `json:"ids"`
	Definition string `json:"definition"`
	Visitors   split  `json:"visitors"`
	Visits     split  `json:"visits"`
	Lasting    int    `json:"lasting_visitors"`
}

type split struct {
	New       int `json:"new"`
	Returning int `json:"returning"`
}

// lookback is for how long an id that lasts, but not of a visitor with a name, can
// have been in use: a period and the day in which the id of the one before goes on.
func lookback(u analytics.Uniques) time.Duration {
	if u == analytics.UniquesWeekly {
		return 8 * 24 * time.Hour
	}
	return 32 * 24 * time.Hour
}

const (
	newByDay = "Visitors keep an id for one day (UTC): new came once that day, returning came again on the same day." +
		" Visitors whom the merchant named are new when their first visit of all is in the range."
	newByPeriod = "Visitors keep an id until the salt changes: new are those whose first visit with their id is in the range." +
		" Visitors whom the merchant named are new when their first visit of all is in the range."
)

func (d *Door) returning(r *request) (*report, error) {
	period, err := d.period(r, rangeDefault)
	if err != nil {
		return nil, err
	}
	q := query.Returning{From: period.From, To: period.To, Lasting: r.lasting(), Lookback: lookback(r.site.Uniques)}
	if q.Filter, err = d.filter(r); err != nil {
		return nil, err
	}
	site, definition := r.site, newByDay
	if q.Lasting {
		definition = newByPeriod
	}
	return &report{period: period, since: 0, key: q, look: func(ctx context.Context, p *query.Picture) (any, error) {
		got, err := p.Returning(ctx, &q)
		if err != nil {
			return nil, err
		}
		return returningBody{head: headOf(site), Query: askedOf(period), IDs: idsOf(site), Definition: definition,
			Visitors: split{got.NewVisitors, got.ReturningVisitors}, Visits: split{got.NewVisits, got.ReturningVisits}, Lasting: got.LastingVisitors}, nil
	}}, nil
}
