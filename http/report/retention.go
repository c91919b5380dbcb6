package report

import (
	"context"
	"math"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

const retentionPeriods = 12

type retentionBody struct {
	head
	Query    retentionQuery `json:"query"`
	Visitors string         `json:"visitors"`
	Followed int            `json:"followed_visits"`
	Others   int            `json:"other_visits"`
	Cohorts  []cohort       `json:"cohorts"`
}

type retentionQuery struct {
	asked
	Interval string `json:"interval"`
	Periods  int    `json:"periods"`
}

type cohort struct {
	Start    string    `json:"start"`
	Partial  bool      `json:"partial"`
	Visitors int       `json:"visitors"`
	Returned []int     `json:"returned"`
	Rates    []float64 `json:"return_rates"`
}

func (d *Door) retention(r *request) (*report, error) {
	interval, err := r.choice("interval", "week", "month")
	if err != nil {
		return nil, err
	}
	q := query.Retention{Zone: r.site.Zone(), Interval: calendar.Week}
	fallback := "84d"
	if interval == "month" {
		q.Interval, fallback = calendar.Month, "12mo"
	}
	period, err := d.period(r, fallback)
	if err != nil {
		return nil, err
	}
	q.From, q.To = period.From, period.To
	if q.Filter, err = d.filter(r); err != nil {
		return nil, err
	}
	if q.Periods, err = r.number("periods", retentionPeriods, 1, query.RetentionPeriodsMax); err != nil {
		return nil, err
	}
	// Ids of a week tell nothing of the next week, and those of a month nothing of
	// the next month.
	who := "named"
	if r.site.Uniques == analytics.UniquesMonthly && q.Interval == calendar.Week {
		q.Lasting, who = true, "all_within_month"
	}
	site, now := r.site, r.now
	today := calendar.DateOf(now, q.Zone).String() // which weeks and months have ended
	k := key{q.From, q.To, q.Filter, q.Lasting, []any{interval, q.Periods, today}}
	return &report{period: period, since: period.From, key: k, look: func(ctx context.Context, p *query.Picture) (any, error) {
		got, err := p.Retention(ctx, &q)
		if err != nil {
			return nil, err
		}
		out := retentionBody{head: headOf(site), Query: retentionQuery{askedOf(period), interval, q.Periods}, Visitors: who,
			Followed: got.Followed, Others: got.Others, Cohorts: []cohort{}}
		for i, b := range calendar.Buckets(q.From, q.To, q.Interval, q.Zone) {
			c := got.Cohorts[i]
			row := cohort{Start: c.Start, Partial: c.Partial || b.To > now, Visitors: c.Visitors, Returned: c.Returned, Rates: []float64{}}
			for _, n := range c.Returned {
				rate := 0.0
				if c.Visitors > 0 {
					rate = math.Round(1e4*float64(n)/float64(c.Visitors)) / 100
				}
				row.Rates = append(row.Rates, rate)
			}
			out.Cohorts = append(out.Cohorts, row)
		}
		return out, nil
	}}, nil
}
