package query

import (
	"context"
	"strconv"
	"time"

	"footfall/analytics/calendar"
)

// Heatmap asks when in the week a site is visited. Figures are those of the hours
// of the range, as a question by TimeHour gives them, added up by weekday and
// hour of the clock: a visit and its visitor count in every hour in which they
// are active, and again each week.
type Heatmap struct {
	From, To int64 // Unix ms, half open
	Zone     *time.Location
	Filter   *Filter
	Lasting  bool // as in Question
	Now      int64
}

// HeatmapResult has a cell for each hour of the week.
type HeatmapResult struct {
	Cells [7][24]HeatmapCell // by weekday from Monday, and hour
	Index uint64             // as in Answer
	// Warnings are those of the question behind it.
	Warnings map[Metric]Warning
}

// HeatmapCell is one hour of the week.
type HeatmapCell struct {
	Visitors, Visits, Pageviews int
	Hours                       int // such hours in the range, begun ones too; an hour that occurs twice is two
}

// Heatmap evaluates h. Errors are those of Ask.
func (p *Picture) Heatmap(ctx context.Context, h *Heatmap) (*HeatmapResult, error) {
	a, err := p.Ask(ctx, &Question{From: h.From, To: h.To, Zone: h.Zone, Filter: h.Filter, Lasting: h.Lasting, Now: h.Now,
		Metrics: []Metric{Visitors, Visits, Pageviews}, Dimensions: []Dimension{TimeHour}})
	if err != nil {
		return nil, err
	}
	out := &HeatmapResult{Index: a.Index, Warnings: a.Warnings}
	var w week
	for _, b := range calendar.Buckets(h.From, h.To, calendar.Hour, h.Zone) {
		day, hour := w.hour(b.Label)
		out.Cells[day][hour].Hours++
	}
	for _, r := range a.Rows {
		day, hour := w.hour(r.Dims[0])
		c := &out.Cells[day][hour]
		c.Visitors += int(r.Values[0].Number)
		c.Visits += int(r.Values[1].Number)
		c.Pageviews += int(r.Values[2].Number)
	}
	return out, nil
}

// week finds the hours of the week; it remembers the date it saw last.
type week struct {
	date string
	day  int
}

// hour reads "2006-01-02 15:04:05": the weekday from Monday, and the hour.
func (w *week) hour(label string) (day, hour int) {
	if date := label[:len("2006-01-02")]; date != w.date {
		d, _ := calendar.ParseDate(date)
		w.date, w.day = date, (int(d.Weekday())+6)%7
	}
	hour, _ = strconv.Atoi(label[len("2006-01-02 "):len("2006-01-02 15")])
	return w.day, hour
}
