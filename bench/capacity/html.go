package capacity

import (
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

//go:embed plan.html
var page string

// HTML writes the plan as a page of its own: nothing is loaded from elsewhere.
func (r *Result) HTML(w io.Writer) error {
	t, err := template.New("plan").Parse(page)
	if err != nil {
		return fmt.Errorf("page of the plan: %w", err)
	}
	type table struct {
		Title string
		Head  []string
		Rows  [][]string
	}
	var tables []table
	for _, s := range r.sections() {
		x := table{Title: s.title, Head: s.rows[0]}
		if strings.Join(x.Head, "") == "" {
			x.Head = nil
		}
		for _, cells := range s.rows[1:] {
			x.Rows = append(x.Rows, cells)
		}
		tables = append(tables, x)
	}
	return t.Execute(w, struct {
		Result *Result
		Tables []table
		Busy   chart
		Disk   chart
		Notes  []string
	}{r, tables, r.busyChart(), r.diskChart(), r.Notes})
}

// Size of a chart and of its margins, in SVG units.
const (
	chartWide, chartHigh   = 640.0, 240.0
	chartLeft, chartRight  = 64.0, 12.0
	chartAbove, chartBelow = 12.0, 40.0
	plotWide               = chartWide - chartLeft - chartRight
	plotHigh               = chartHigh - chartAbove - chartBelow
	chartTicks             = 5
)

// chart is a line chart, computed; the page only places it.
type chart struct {
	Title, Summary string
	Lines          []line
	X, Y           []tick
	Mark           *tick // an upright line
	MarkText       string
	Wide, High     float64
	Left, Right    float64 // of the plot
	Top, Bottom    float64
}

type line struct{ Name, Class, Points string }

type tick struct {
	At   float64
	Text string
}

func newChart(title string, xEnd, yEnd float64, x, y func(float64) string) chart {
	c := chart{Title: title, Wide: chartWide, High: chartHigh, Left: chartLeft, Right: chartWide - chartRight, Top: chartAbove, Bottom: chartHigh - chartBelow}
	for i := 0; i <= chartTicks; i++ {
		share := float64(i) / chartTicks
		c.X = append(c.X, tick{c.x(share), x(xEnd * share)})
		c.Y = append(c.Y, tick{c.y(share), y(yEnd * share)})
	}
	return c
}

func (c *chart) x(share float64) float64 { return math.Round(10*(chartLeft+plotWide*share)) / 10 }

func (c *chart) y(share float64) float64 {
	return math.Round(10*(chartAbove+plotHigh*(1-math.Min(1, share)))) / 10
}

// busyChart shows how busy the busiest node is by rate.
func (r *Result) busyChart() chart {
	end := r.Curve[len(r.Curve)-1].PerSecond
	top := BusyLossMax
	for _, p := range r.Curve {
		top = max(top, min(1.2, p.Busy[Nothing]))
	}
	c := newChart("Busy cores of the busiest node by views a second", end, top, func(x float64) string { return figure(x) }, func(y float64) string { return fmt.Sprintf("%.0f %%", 100*y) })
	for _, s := range r.States {
		var points []string
		for _, p := range r.Curve {
			if p.Busy[s.Loss] > top {
				break
			}
			points = append(points, fmt.Sprintf("%.1f,%.1f", c.x(p.PerSecond/end), c.y(p.Busy[s.Loss]/top)))
		}
		c.Lines = append(c.Lines, line{s.Loss.String(), fmt.Sprintf("line%d", s.Loss), strings.Join(points, " ")})
	}
	c.Mark, c.MarkText = &tick{At: c.x(r.Demand.PeakPerSecond() / end)}, "peak asked for"
	c.Summary = fmt.Sprintf("At the peak of %s views a second the busiest node uses %.0f %% of its cores; %s views a second are borne at %.0f %%.",
		figure(r.Demand.PeakPerSecond()), 100*r.States[0].Node.Cores/float64(r.CoresPerNode), figure(r.Limit), 100*BusyMax)
	return c
}

// diskChart shows what all nodes keep by months.
func (r *Result) diskChart() chart {
	last := r.Terabytes[len(r.Terabytes)-1] * 1e12
	months := float64(len(r.Terabytes))
	c := newChart("Sealed days on the disks of all nodes by months", months, last, func(x float64) string { return fmt.Sprintf("%.0f", x) }, size)
	points := []string{fmt.Sprintf("%.1f,%.1f", c.x(0), c.y(0))}
	for i, tb := range r.Terabytes {
		points = append(points, fmt.Sprintf("%.1f,%.1f", c.x(float64(i+1)/months), c.y(tb*1e12/last)))
	}
	c.Lines = []line{{"all replicas", "line0", strings.Join(points, " ")}}
	c.Summary = fmt.Sprintf("%s after %d months, all replicas together.", size(last), len(r.Terabytes))
	return c
}
