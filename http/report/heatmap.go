package report

import (
	"context"

	"footfall/analytics/query"
)

type heatmapBody struct {
	head
	Query    asked                    `json:"query"`
	Cells    []heatmapCell            `json:"cells"`
	Warnings map[query.Metric]warning `json:"metric_warnings,omitempty"`
}

type heatmapCell struct {
	Weekday   int `json:"weekday"` // 1 is Monday
	Hour      int `json:"hour"`
	Visitors  int `json:"visitors"`
	Visits    int `json:"visits"`
	Pageviews int `json:"pageviews"`
	Hours     int `json:"hours"`
}

func (d *Door) heatmap(r *request) (*report, error) {
	period, err := d.period(r, rangeDefault)
	if err != nil {
		return nil, err
	}
	h := query.Heatmap{From: period.From, To: period.To, Zone: r.site.Zone(), Lasting: r.lasting(), Now: r.now}
	if h.Filter, err = d.filter(r); err != nil {
		return nil, err
	}
	site := r.site
	k := key{h.From, h.To, h.Filter, h.Lasting, nil}
	return &report{period: period, since: period.From, key: k, look: func(ctx context.Context, p *query.Picture) (any, error) {
		got, err := p.Heatmap(ctx, &h)
		if err != nil {
			return nil, err
		}
		out := heatmapBody{head: headOf(site), Query: askedOf(period), Warnings: warningsOf(got.Warnings)}
		for day := range got.Cells {
			for hour, c := range got.Cells[day] {
				out.Cells = append(out.Cells, heatmapCell{day + 1, hour, c.Visitors, c.Visits, c.Pageviews, c.Hours})
			}
		}
		return out, nil
	}}, nil
}
