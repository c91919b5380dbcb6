package report

import (
	"context"

	"footfall/analytics"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

// bucketsMax is the longest series.
const bucketsMax = 10_000

type pageBody struct {
	head
	Query   pageQuery   `json:"query"`
	Figures pageFigures `json:"figures"`
	Scroll  []scrolled  `json:"scroll"`
	Series  []pagePoint `json:"series"`

	Previous  neighbours   `json:"previous"`
	Next      neighbours   `json:"next"`
	Sources   []sourceRow  `json:"sources"`
	Countries []countryRow `json:"countries"`
	Devices   []deviceRow  `json:"devices"`

	Warnings map[query.Metric]warning `json:"metric_warnings,omitempty"`
}

type pageQuery struct {
	asked
	Page     string `json:"page"`
	Interval string `json:"interval"`
}

type pageFigures struct {
	Visitors    *float64 `json:"visitors"`
	Visits      *float64 `json:"visits"`
	Pageviews   *float64 `json:"pageviews"`
	Entries     *float64 `json:"entries"`
	Exits       *float64 `json:"exits"`
	ExitRate    *float64 `json:"exit_rate"`
	BounceRate  *float64 `json:"bounce_rate"`
	TimeOnPage  *float64 `json:"time_on_page"`
	TimeMedian  *float64 `json:"time_on_page_median"`
	TimeP90     *float64 `json:"time_on_page_p90"`
	ScrollDepth *float64 `json:"scroll_depth"`
}

type scrolled struct {
	From     int `json:"from"`
	Visitors int `json:"visitors"`
}

type counted struct {
	Visitors  float64 `json:"visitors"`
	Visits    float64 `json:"visits"`
	Pageviews float64 `json:"pageviews"`
}

type pagePoint struct {
	Time string `json:"time"`
	counted
}

type sourceRow struct {
	Source string `json:"source"`
	counted
}

type countryRow struct {
	Country string `json:"country"`
	counted
}

type deviceRow struct {
	Device string `json:"device"`
	counted
}

// neighbours is the pages right before or after, and how many views had none.
type neighbours struct {
	Pages []pageViews `json:"pages"`
	Other int         `json:"other"`
	None  int         `json:"none"`
}

type pageViews struct {
	Page  string `json:"page"`
	Views int    `json:"views"`
}

func (d *Door) page(r *request) (*report, error) {
	period, err := d.period(r, rangeDefault)
	if err != nil {
		return nil, err
	}
	q := query.PageReport{From: period.From, To: period.To, Zone: r.site.Zone(), Lasting: r.lasting(), Now: r.now}
	if q.Filter, err = d.filter(r); err != nil {
		return nil, err
	}
	if q.Page, err = r.text("page", "", analytics.URLBytesMax); err != nil {
		return nil, err
	}
	if q.Page == "" {
		return nil, invalid("page: is missing")
	}
	interval, err := r.choice("interval", "day", "hour", "week", "month")
	if err != nil {
		return nil, err
	}
	q.Series = query.Dimension("time:" + interval)
	if interval == "hour" && (q.To-q.From)/3_600_000 > bucketsMax {
		return nil, invalid("interval: hour is too fine for this range, at most %d hours", bucketsMax)
	}
	site := r.site
	k := key{q.From, q.To, q.Filter, q.Lasting, []string{q.Page, interval}}
	return &report{period: period, since: period.From, key: k, look: func(ctx context.Context, p *query.Picture) (any, error) {
		got, err := p.Page(ctx, &q)
		if err != nil {
			return nil, err
		}
		out := pageBodyOf(got, &q)
		out.head, out.Query = headOf(site), pageQuery{askedOf(period), q.Page, interval}
		return out, nil
	}}, nil
}

func pageBodyOf(got *query.PageResult, q *query.PageReport) pageBody {
	out := pageBody{Sources: []sourceRow{}, Countries: []countryRow{}, Devices: []deviceRow{}, Series: series(q, got.Series), Warnings: warningsOf(got.Warnings)}
	out.Figures = pageFigures{
		Visitors: figure(query.Visitors, got.Visitors), Visits: figure(query.Visits, got.Visits), Pageviews: figure(query.Pageviews, got.Pageviews),
		Entries: figure(query.Entries, got.Entries), Exits: figure(query.Exits, got.Exits), ExitRate: figure(query.ExitRate, got.ExitRate),
		BounceRate: figure(query.BounceRate, got.BounceRate), TimeOnPage: figure(query.TimeOnPage, got.TimeOnPage),
		TimeMedian: figure(query.TimeOnPage, got.TimeMedian), TimeP90: figure(query.TimeOnPage, got.TimeP90), ScrollDepth: figure(query.ScrollDepth, got.ScrollDepth),
	}
	for i, n := range got.Scroll {
		out.Scroll = append(out.Scroll, scrolled{10 * i, n})
	}
	out.Previous, out.Next = neighboursOf(got.Before, got.BeforeOther, got.Entered), neighboursOf(got.After, got.AfterOther, got.Left)
	for _, row := range got.Sources {
		out.Sources = append(out.Sources, sourceRow{row.Dims[0], countedOf(row)})
	}
	for _, row := range got.Countries {
		out.Countries = append(out.Countries, countryRow{row.Dims[0], countedOf(row)})
	}
	for _, row := range got.Devices {
		out.Devices = append(out.Devices, deviceRow{row.Dims[0], countedOf(row)})
	}
	return out
}

func neighboursOf(top []query.Share, other, none int) neighbours {
	n := neighbours{Pages: []pageViews{}, Other: other, None: none}
	for _, s := range top {
		n.Pages = append(n.Pages, pageViews{s.Value, s.Count})
	}
	return n
}

func countedOf(r query.Row) counted {
	return counted{r.Values[0].Number, r.Values[1].Number, r.Values[2].Number}
}

// series fills empty buckets with zeros. Rows are in order of time.
func series(q *query.PageReport, rows []query.Row) []pagePoint {
	interval, _ := query.IntervalOf(q.Series)
	out := []pagePoint{}
	for _, b := range calendar.Buckets(q.From, q.To, interval, q.Zone) {
		p := pagePoint{Time: b.Label}
		if len(rows) > 0 && rows[0].Dims[0] == b.Label {
			p.counted, rows = countedOf(rows[0]), rows[1:]
		}
		out = append(out, p)
	}
	return out
}
