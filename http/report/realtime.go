package report

import (
	"context"
	"time"

	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

type realtimeBody struct {
	head
	Query     asked            `json:"query"`
	Visitors  int              `json:"visitors"`
	Minutes   []realtimeMinute `json:"minutes"`
	Pages     []pageShare      `json:"pages"`
	Sources   []sourceShare    `json:"sources"`
	Countries []countryShare   `json:"countries"`
}

type realtimeMinute struct {
	Time      string `json:"time"`
	Pageviews int    `json:"pageviews"`
	Visitors  int    `json:"visitors"`
}

type pageShare struct {
	Page     string `json:"page"`
	Visitors int    `json:"visitors"`
}

type sourceShare struct {
	Source   string `json:"source"`
	Visitors int    `json:"visitors"`
}

type countryShare struct {
	Country  string `json:"country"`
	Visitors int    `json:"visitors"`
}

func (d *Door) realtime(r *request) (*report, error) {
	q := query.Realtime{Now: r.now, Zone: r.site.Zone()}
	var err error
	if q.Filter, err = d.filter(r); err != nil {
		return nil, err
	}
	from := r.now - r.now%time.Minute.Milliseconds() - (query.RealtimeMinutes-1)*time.Minute.Milliseconds()
	period := calendar.Span(from, r.now+1, r.site.Zone())
	site := r.site
	return &report{period: period, look: func(ctx context.Context, p *query.Picture) (any, error) {
		got, err := p.Realtime(ctx, &q)
		if err != nil {
			return nil, err
		}
		out := realtimeBody{head: headOf(site), Query: askedOf(period), Visitors: got.Visitors,
			Pages: []pageShare{}, Sources: []sourceShare{}, Countries: []countryShare{}}
		for _, m := range got.Minutes {
			out.Minutes = append(out.Minutes, realtimeMinute{m.Label, m.Pageviews, m.Visitors})
		}
		for _, s := range got.Pages {
			out.Pages = append(out.Pages, pageShare{s.Value, s.Count})
		}
		for _, s := range got.Sources {
			out.Sources = append(out.Sources, sourceShare{s.Value, s.Count})
		}
		for _, s := range got.Countries {
			out.Countries = append(out.Countries, countryShare{s.Value, s.Count})
		}
		return out, nil
	}}, nil
}
