package reporter

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/analytics/calendar"
	"footfall/analytics/query"
)

// period is what a report is about: whole local weeks or months.
type period = calendar.Period

// last gives the last period that was over at a time.
func last(cadence accounts.Cadence, at time.Time, zone *time.Location) period {
	today := calendar.DateOf(at.UnixMilli(), zone)
	if cadence == accounts.Monthly {
		return calendar.MonthPeriod(today.MonthStart().AddMonths(-1), 1, zone)
	}
	monday := today.AddDays(-int((today.Weekday() + 6) % 7))
	return calendar.DayPeriod(monday.AddDays(-7), monday.AddDays(-1), zone)
}

// Report is what goes out. Its JSON is the body of webhooks and documented in
// docs/reference/sent-reports.md; fields are added, not changed.
type Report struct {
	ID       string           `json:"id"`   // the same for every try
	Type     string           `json:"type"` // report.weekly or report.monthly
	Site     string           `json:"site"`
	From     string           `json:"from"` // first day
	To       string           `json:"to"`   // last day
	Timezone string           `json:"timezone"`
	URL      string           `json:"url"` // of the site in the dashboard
	Figures  []Figure         `json:"figures"`
	Pages    []Best           `json:"pages"`
	Sources  []Best           `json:"sources"`
	cadence  accounts.Cadence //
	created  time.Time
}

// Figure is one metric of the period. Change is in percent, of rates in points,
// against the period before; null where there is nothing to compare.
type Figure struct {
	Metric   query.Metric `json:"metric"`
	Value    float64      `json:"value"`
	Previous float64      `json:"previous"`
	Change   *int         `json:"change"`
}

// Best is one of the pages or sources with most visitors.
type Best struct {
	Name      string  `json:"name"`
	Visitors  float64 `json:"visitors"`
	Pageviews float64 `json:"pageviews,omitempty"` // of pages
	Visits    float64 `json:"visits,omitempty"`    // of sources
}

const bestMax = 10

func metrics() []query.Metric {
	return []query.Metric{query.Visitors, query.Visits, query.Pageviews, query.ViewsPerVisit, query.BounceRate, query.VisitDuration}
}

// write asks for what the report says.
func (t *try) write(ctx context.Context) (*Report, error) {
	p, now := t.period, t.cfg.Clock()
	out := &Report{Type: "report." + string(t.cadence), Site: t.site.Domain, From: p.First.String(), To: p.Last.String(), Timezone: t.site.Timezone,
		URL: t.cfg.URL() + "/sites/" + t.site.Domain + "?period=custom&from=" + p.First.String() + "&to=" + p.Last.String(), Pages: []Best{}, Sources: []Best{},
		cadence: t.cadence, created: now}
	sum := fnv.New128a()
	fmt.Fprintf(sum, "%d %s %s", t.site.ID, t.cadence, t.name())
	sum.Write(t.site.Secret[:])
	out.ID = hex.EncodeToString(sum.Sum(nil))

	ask := func(p period, limit int, metrics []query.Metric, dims ...query.Dimension) (*query.Answer, error) {
		return t.cfg.Sites.Ask(ctx, t.site.ID, &query.Question{From: p.From, To: p.To, Zone: t.site.Zone(), Metrics: metrics, Dimensions: dims, Limit: limit,
			Now: now.UnixMilli(), Lasting: t.site.Uniques == analytics.UniquesWeekly || t.site.Uniques == analytics.UniquesMonthly})
	}
	present, err := ask(p, 0, metrics())
	if err != nil {
		return nil, fmt.Errorf("ask for the figures: %w", err)
	}
	before, err := ask(p.Previous(), 0, metrics())
	if err != nil {
		return nil, fmt.Errorf("ask for the figures before: %w", err)
	}
	for i, m := range metrics() {
		a, b := value(present, i, m), value(before, i, m)
		f := Figure{Metric: m, Value: query.Shown(m, a.Number), Previous: query.Shown(m, b.Number)}
		if change, ok := query.Change(m, a, b); ok && b.Number != 0 {
			f.Change = &change
		}
		out.Figures = append(out.Figures, f)
	}
	pages, err := ask(p, bestMax, []query.Metric{query.Visitors, query.Pageviews}, query.EventPage)
	if err != nil {
		return nil, fmt.Errorf("ask for the best pages: %w", err)
	}
	for _, row := range pages.Rows {
		out.Pages = append(out.Pages, Best{Name: row.Dims[0], Visitors: row.Values[0].Number, Pageviews: row.Values[1].Number})
	}
	sources, err := ask(p, bestMax, []query.Metric{query.Visitors, query.Visits}, query.Source)
	if err != nil {
		return nil, fmt.Errorf("ask for the best sources: %w", err)
	}
	for _, row := range sources.Rows {
		out.Sources = append(out.Sources, Best{Name: row.Dims[0], Visitors: row.Values[0].Number, Visits: row.Values[1].Number})
	}
	return out, nil
}

func value(a *query.Answer, i int, m query.Metric) query.Value {
	if len(a.Rows) == 0 {
		return query.Nothing(m)
	}
	return a.Rows[0].Values[i]
}
