package report

import (
	"context"

	"footfall/analytics"
	"footfall/analytics/query"
)

const (
	journeySteps = 3
	journeyTop   = 10
	otherPages   = "(other)"
)

type journeysBody struct {
	head
	Query  journeysQuery `json:"query"`
	Visits int           `json:"visits"`
	Nodes  []journeyNode `json:"nodes"`
	Links  []journeyLink `json:"links"`
}

type journeysQuery struct {
	asked
	Page      *string `json:"page"`
	Direction string  `json:"direction"`
	Steps     int     `json:"steps"`
	Top       int     `json:"top"`
}

type journeyNode struct {
	Step   int    `json:"step"`
	Page   string `json:"page"`
	Pages  int    `json:"pages"`
	Visits int    `json:"visits"`
	Exits  int    `json:"exits"`
}

type journeyLink struct {
	From   int `json:"from"`
	To     int `json:"to"`
	Visits int `json:"visits"`
}

func (d *Door) journeys(r *request) (*report, error) {
	period, err := d.period(r, rangeDefault)
	if err != nil {
		return nil, err
	}
	j := query.Journeys{From: period.From, To: period.To}
	if j.Filter, err = d.filter(r); err != nil {
		return nil, err
	}
	if j.Anchor, err = r.text("page", "", analytics.URLBytesMax); err != nil {
		return nil, err
	}
	if r.members["page"] != nil {
		if err := checkGlob("page", j.Anchor); err != nil {
			return nil, err
		}
	}
	direction, err := r.choice("direction", "next", "previous")
	if err != nil {
		return nil, err
	}
	j.Back = direction == "previous"
	if j.Steps, err = r.number("steps", journeySteps, 1, query.JourneyStepsMax); err != nil {
		return nil, err
	}
	if j.Top, err = r.number("top", journeyTop, 1, query.JourneyTopMax); err != nil {
		return nil, err
	}
	site := r.site
	return &report{period: period, since: period.From, key: j, look: func(ctx context.Context, p *query.Picture) (any, error) {
		got, err := p.Journeys(ctx, &j)
		if err != nil {
			return nil, err
		}
		out := journeysBody{head: headOf(site), Query: journeysQuery{asked: askedOf(period), Direction: direction, Steps: j.Steps, Top: j.Top},
			Visits: got.Visits, Nodes: []journeyNode{}, Links: []journeyLink{}}
		if j.Anchor != "" {
			out.Query.Page = &j.Anchor
		}
		for _, n := range got.Nodes {
			node := journeyNode{n.Step, n.Page, n.Pages, n.Visits, n.Ends}
			if n.Page == "" {
				node.Page = otherPages
			}
			out.Nodes = append(out.Nodes, node)
		}
		for _, l := range got.Links {
			out.Links = append(out.Links, journeyLink(l))
		}
		return out, nil
	}}, nil
}
