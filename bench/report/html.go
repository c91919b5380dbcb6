package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"footfall/bench/plot"
	"footfall/bench/results"
)

//go:embed page.html
var pageText string

// page parses the template; it is part of the program, so that it cannot fail
// where it did not fail in a test.
func page() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"ms": ms, "mb": megabytes, "n": grouped, "kind": kindName, "sum": sentence, "notes": notes, "figure": figure, "yes": yes,
		"f0": func(v float64) string { return fmt.Sprintf("%.0f", v) }, "f2": func(v float64) string { return fmt.Sprintf("%.2f", v) },
		"cores": func(cpu, seconds float64) string { return fmt.Sprintf("%.2f", cpu/max(seconds, .001)) },
	}).Parse(pageText))
}

type content struct {
	Title      string
	Run        *results.Run
	Limit      *results.Limit
	Comparison *results.Comparison
	Charts     []template.HTML
	Checked    *results.Conservation
	Compare    bool // there should be a comparison of views
	Machine    results.Machine
	Commit     string
	Started    string
}

func write(w io.Writer, c content) error {
	if err := page().Execute(w, c); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

const minute = "2006-01-02 15:04 UTC"

// HTML writes a run as one page with plots.
func HTML(w io.Writer, r *results.Run) error {
	return write(w, content{Title: "Load: " + r.Name, Run: r, Charts: charts(r), Checked: r.Conservation, Compare: true, Machine: r.Machine, Commit: r.Commit, Started: r.Started.Format(minute)})
}

// LimitHTML writes a search as one page.
func LimitHTML(w io.Writer, l *results.Limit) error {
	var rates, p99 []float64
	var number []float64
	for i, t := range l.Trials {
		number, rates, p99 = append(number, float64(i+1)), append(rates, t.Rate), append(p99, float64(t.P99)/1000)
	}
	return write(w, content{Title: "Limit: " + l.Scenario, Limit: l, Machine: l.Machine, Commit: l.Commit, Started: l.Started.Format(minute), Checked: l.Conservation, Compare: true,
		Charts: []template.HTML{
			plot.Lines(plot.Chart{ID: "rates", Title: "Rates tried", Unit: "requests/s", Log: true, Series: []plot.Series{{Name: "rate of the trial", X: number, Y: rates}}}),
			plot.Lines(plot.Chart{ID: "p99", Title: "p99 of the trials", Unit: "ms", Log: true, Series: []plot.Series{{Name: "p99", X: number, Y: p99}, {Name: "bound", X: number, Y: same(number, float64(l.P99US)/1000)}}}),
		}})
}

func same(x []float64, y float64) []float64 {
	out := make([]float64, len(x))
	for i := range out {
		out[i] = y
	}
	return out
}

// ComparisonHTML writes a comparison as one page.
func ComparisonHTML(w io.Writer, c *results.Comparison) error {
	return write(w, content{Title: "Compared under the same load", Comparison: c, Machine: c.Machine, Commit: c.Commit, Started: c.Started.Format(minute)})
}

func charts(r *results.Run) []template.HTML {
	x := make([]float64, len(r.Intervals))
	line := func(name string, y func(results.Interval) float64) plot.Series {
		s := plot.Series{Name: name, X: x}
		for _, i := range r.Intervals {
			s.Y = append(s.Y, y(i))
		}
		return s
	}
	for k, i := range r.Intervals {
		x[k] = i.At + i.Seconds/2
	}
	rate := func(n func(results.Interval) int64) func(results.Interval) float64 {
		return func(i results.Interval) float64 { return float64(n(i)) / max(i.Seconds, .001) }
	}
	millis := func(us func(results.Interval) int64) func(results.Interval) float64 {
		return func(i results.Interval) float64 { return float64(us(i)) / 1000 }
	}
	var cpu, memory, goroutines []plot.Series
	for k, s := range r.Servers {
		sample := func(v func(results.Sample) float64) func(results.Interval) float64 {
			return func(i results.Interval) float64 {
				if k >= len(i.Servers) || i.Servers[k].RSS == 0 {
					return math.NaN() // not read in this second
				}
				return v(i.Servers[k])
			}
		}
		cpu = append(cpu, line(s.Name, sample(func(x results.Sample) float64 { return x.CPU })))
		memory = append(memory, line(s.Name+", resident", sample(func(x results.Sample) float64 { return float64(x.RSS) / (1 << 20) })),
			line(s.Name+", heap", sample(func(x results.Sample) float64 { return float64(x.Heap) / (1 << 20) })))
		goroutines = append(goroutines, line(s.Name, sample(func(x results.Sample) float64 { return float64(x.Goroutines) })))
	}
	all := []plot.Chart{
		{ID: "rate", Title: "Rate", Unit: "requests/s", Series: []plot.Series{
			line("due", rate(func(i results.Interval) int64 { return i.Intended })), line("answered", rate(func(i results.Interval) int64 { return i.Answered })),
			line("other requests answered", rate(func(i results.Interval) int64 { return i.Others }))}},
		{ID: "latency", Title: "Latency of beacons, from when they were due", Unit: "ms", Log: true, Series: []plot.Series{
			line("p50", millis(func(i results.Interval) int64 { return i.P50 })), line("p90", millis(func(i results.Interval) int64 { return i.P90 })),
			line("p99", millis(func(i results.Interval) int64 { return i.P99 })), line("p99.9", millis(func(i results.Interval) int64 { return i.P999 })),
			line("highest", millis(func(i results.Interval) int64 { return i.Max }))}},
		{ID: "errors", Title: "Not answered with success", Unit: "requests/s", Series: []plot.Series{
			line("refused", rate(func(i results.Interval) int64 { return i.Refused })), line("no answer", rate(func(i results.Interval) int64 { return i.Failed })),
			line("due, never sent", rate(func(i results.Interval) int64 { return max(0, i.Intended-i.Sent-i.Failed) }))}},
		{ID: "cpu", Title: "CPU of the servers", Unit: "cores", Series: cpu},
		{ID: "memory", Title: "Memory of the servers", Unit: "MB", Series: memory},
		{ID: "goroutines", Title: "Goroutines of the servers", Unit: "count", Series: goroutines},
	}
	var out []template.HTML
	for _, c := range all {
		c.XUnit = "s"
		out = append(out, plot.Lines(c))
	}
	return out
}
