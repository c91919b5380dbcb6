// Package plot draws lines over time as SVG to be put into an HTML page. Colours
// are classes, so that the page decides on light and dark. Texts are escaped. It
// must never draw a line through what was not measured. Start at Lines.
package plot

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// Chart is what is drawn.
type Chart struct {
	ID     string // unique on the page
	Title  string
	Unit   string // of y
	XUnit  string // of x, "s"
	Log    bool   // logarithmic y; values of 0 and below are not drawn
	Series []Series
}

// Series is one line. A NaN leaves a gap.
type Series struct {
	Name string
	X, Y []float64
}

const (
	width, height            = 760, 250
	left, right, top, bottom = 58, 14, 14, 34
	plotWidth, plotHeight    = width - left - right, height - top - bottom
	classes                  = 6 // that the page has colours for
)

// Lines draws a chart with its axes; the legend is a list after it, so that it
// can be read aloud. A chart without a point says so.
func Lines(c Chart) template.HTML {
	var b strings.Builder
	xs, ys := span(c)
	fmt.Fprintf(&b, `<figure class="chart" aria-labelledby="%s-t"><figcaption id="%[1]s-t">%s <span class="unit">%s</span></figcaption>`, html.EscapeString(c.ID), html.EscapeString(c.Title), html.EscapeString(c.Unit))
	if ys.empty() {
		b.WriteString(`<p class="none">Nothing was measured.</p></figure>`)
		return template.HTML(b.String())
	}
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, html.EscapeString(describe(c)))
	var y axis
	if c.Log {
		y = logAxis(ys)
	} else {
		y = linearAxis(extent{0, ys.to}, 5)
	}
	x := linearAxis(xs, 8)
	px := func(v float64) float64 { return left + x.at(v)*plotWidth }
	py := func(v float64) float64 { return top + (1-y.at(v))*plotHeight }
	for _, t := range y.ticks {
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text class="tick end" x="%d" y="%.1f">%s</text>`, left, py(t), width-right, left-6, py(t)+4, number(t))
	}
	for _, t := range x.ticks {
		fmt.Fprintf(&b, `<text class="tick middle" x="%.1f" y="%d">%s</text>`, px(t), height-14, number(t)+html.EscapeString(c.XUnit))
	}
	for i, s := range c.Series {
		fmt.Fprintf(&b, `<path class="line c%d" d="%s"/>`, i%classes, path(c, s, px, py))
	}
	b.WriteString(`</svg><ul class="legend">`)
	for i, s := range c.Series {
		fmt.Fprintf(&b, `<li><span class="key c%d" aria-hidden="true"></span>%s</li>`, i%classes, html.EscapeString(s.Name))
	}
	b.WriteString(`</ul></figure>`)
	return template.HTML(b.String())
}

func drawn(c Chart, v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!c.Log || v > 0)
}

func path(c Chart, s Series, px, py func(float64) float64) string {
	var b strings.Builder
	pen := false
	for i := range min(len(s.X), len(s.Y)) {
		if !drawn(c, s.Y[i]) {
			pen = false
			continue
		}
		move := "M"
		if pen {
			move = "L"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", move, px(s.X[i]), py(s.Y[i]))
		alone := !pen && (i+1 >= min(len(s.X), len(s.Y)) || !drawn(c, s.Y[i+1]))
		if alone {
			b.WriteString("h.1") // a point of its own can be seen
		}
		pen = true
	}
	return b.String()
}

// describe says in words what the lines show.
func describe(c Chart) string {
	parts := []string{c.Title + " in " + c.Unit}
	for _, s := range c.Series {
		low, high := math.Inf(1), math.Inf(-1)
		for _, v := range s.Y {
			if drawn(c, v) {
				low, high = min(low, v), max(high, v)
			}
		}
		if low <= high {
			parts = append(parts, fmt.Sprintf("%s from %s to %s", s.Name, number(low), number(high)))
		}
	}
	return strings.Join(parts, "; ")
}

type extent struct{ from, to float64 }

func (r extent) empty() bool { return r.from > r.to }

func (r *extent) add(v float64) { r.from, r.to = min(r.from, v), max(r.to, v) }

func span(c Chart) (xs, ys extent) {
	xs, ys = extent{math.Inf(1), math.Inf(-1)}, extent{math.Inf(1), math.Inf(-1)}
	for _, s := range c.Series {
		for i := range min(len(s.X), len(s.Y)) {
			if drawn(c, s.Y[i]) {
				xs.add(s.X[i])
				ys.add(s.Y[i])
			}
		}
	}
	return xs, ys
}

// axis maps values to shares of a length.
type axis struct {
	ticks []float64
	at    func(float64) float64
}

// linearAxis ends with round numbers, about n of them.
func linearAxis(r extent, n int) axis {
	if r.to <= r.from {
		r.to = r.from + 1
	}
	raw := (r.to - r.from) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := unit * 10
	for _, k := range []float64{1, 2, 5} {
		if unit*k >= raw {
			step = unit * k
			break
		}
	}
	from, to := math.Floor(r.from/step)*step, math.Ceil(r.to/step)*step
	var a axis
	for k := 0; from+float64(k)*step <= to+step/2; k++ {
		a.ticks = append(a.ticks, from+float64(k)*step)
	}
	a.at = func(v float64) float64 { return (v - from) / (to - from) }
	return a
}

// logAxis ends with powers of ten.
func logAxis(r extent) axis {
	from, to := math.Floor(math.Log10(r.from)), math.Ceil(math.Log10(r.to))
	if to <= from {
		to = from + 1
	}
	var a axis
	for e := from; e <= to; e++ {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
	a.at = func(v float64) float64 { return (math.Log10(v) - from) / (to - from) }
	return a
}

// number is short: 1,500 is 1.5k.
func number(v float64) string {
	abs := math.Abs(v)
	text := func(v float64, unit string) string {
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".") + unit
	}
	switch {
	case abs >= 1e6:
		return text(v/1e6, "M")
	case abs >= 1e4:
		return text(v/1e3, "k")
	case abs >= .01 || v == 0:
		return text(v, "")
	}
	return fmt.Sprintf("%.0e", v)
}
