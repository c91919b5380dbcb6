package capacity

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// row is a line of a table.
type row []string

// section is a table with a title; its first row is the head.
type section struct {
	title string
	rows  []row
}

// sections are what every form of a report shows.
func (r *Result) sections() []section {
	d := r.Demand
	need := section{"What is needed", []row{{"", "each node", "all nodes"}}}
	total := func(n int, unit string) string { return group(float64(n*r.Nodes)) + unit }
	need.rows = append(need.rows,
		row{"nodes", "", fmt.Sprint(r.Nodes)},
		row{"cores", fmt.Sprint(r.CoresPerNode), total(r.CoresPerNode, "")},
		row{"memory", group(float64(r.MemoryPerGiB)) + " GiB", total(r.MemoryPerGiB, " GiB")},
		row{fmt.Sprintf("disk after %d months", d.Retention), group(float64(r.DiskPerGiB)) + " GiB", total(r.DiskPerGiB, " GiB")},
		row{"network at the peak", fmt.Sprintf("%s Mbit/s", figure(r.NetworkMbit)), ""})

	traffic := section{"Asked for", []row{{"", ""},
		{"views a month", group(d.ViewsPerMonth)},
		{"views a second, mean", figure(d.MeanPerSecond())},
		{"views a second, peak", fmt.Sprintf("%s (%s times the mean)", figure(d.PeakPerSecond()), figure(d.PeakFactor))},
		{"borne while all is there", fmt.Sprintf("%s views a second at %.0f %% of the cores", figure(r.Limit), 100*BusyMax)},
		{"sites", fmt.Sprintf("%s, %.0f %% of them active on a day", group(float64(d.Sites)), 100*d.ActiveSites)},
		{"kept", fmt.Sprintf("%d months, %d replicas, %d regions", d.Retention, d.Replicas, d.Regions)},
		{"visits, questions", fmt.Sprintf("%s views a visit, %s questions per 1,000 views", figure(d.ViewsPerVisit), figure(d.QuestionsPer1k))},
	}}

	room := section{"Headroom at the peak, busiest node", []row{{"", "nodes left", "cores used", "of which syncs", "memory used", "disk used", "views"}}}
	for _, s := range r.States {
		if s.Nodes == 0 {
			room.rows = append(room.rows, row{s.Loss.String(), "0", "", "", "", "", "not taken"})
			continue
		}
		word := "acknowledged"
		if !s.Serves {
			word = "spooled"
		}
		x := s.Node
		room.rows = append(room.rows, row{s.Loss.String(), fmt.Sprint(s.Nodes),
			fmt.Sprintf("%.2f (%.0f %%, at most %.0f)", x.Cores, 100*x.Cores/float64(r.CoresPerNode), 100*busyMax(s.Loss)),
			fmt.Sprintf("%.2f, %.0f/s", x.Use.Syncs, x.Use.SyncsPerSecond),
			fmt.Sprintf("%s (%.0f %%)", size(x.MemoryBytes), 100*x.MemoryBytes/float64(r.MemoryPerGiB)/(1<<30)),
			fmt.Sprintf("%s (%.0f %%)", size(x.DiskBytes), 100*x.DiskBytes/float64(r.DiskPerGiB)/(1<<30)), word})
	}

	parts := section{"Where memory and disk go, busiest node", []row{{"", "bytes"}}}
	x := r.States[0].Node
	for _, p := range x.Memory {
		parts.rows = append(parts.rows, row{"memory, " + p.Name, size(p.Bytes)})
	}
	for _, p := range x.Disk {
		parts.rows = append(parts.rows, row{"disk, " + p.Name, size(p.Bytes)})
	}

	others := section{"Nodes of other sizes that would do", []row{{"cores a node", "nodes", "memory a node", "disk a node"}}}
	for _, o := range r.Options {
		others.rows = append(others.rows, row{fmt.Sprint(o.CoresPerNode), fmt.Sprint(o.Nodes), fmt.Sprintf("%d GiB", o.MemoryPerGiB), group(float64(o.DiskPerGiB)) + " GiB"})
	}

	c := r.Coefficients
	from := section{fmt.Sprintf("Coefficients: measured %s, commit %s, %d cores, %s, %s", c.Measured, c.Commit, c.Machine.Cores, c.Machine.CPU, c.Machine.OS), []row{{"", "value", "of"}}}
	for _, f := range c.fields() {
		from.rows = append(from.rows, row{f.name, figure(*f.value) + " " + f.unit, f.says})
	}
	return []section{need, traffic, room, parts, others, from}
}

// Text writes the plan for a terminal.
func (r *Result) Text(w io.Writer) error {
	var b strings.Builder
	for i, s := range r.sections() {
		fmt.Fprintf(&b, "%s\n\n", s.title)
		columns(&b, s.rows)
		b.WriteByte('\n')
		if i == 1 {
			r.plot(&b)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// columns aligns a table; an empty head is left out.
func columns(b *strings.Builder, rows []row) {
	if strings.Join(rows[0], "") == "" {
		rows = rows[1:]
	}
	var width []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, r := range rows {
		line := "  "
		for i, cell := range r {
			pad := strings.Repeat(" ", width[i]-len([]rune(cell)))
			if i == 0 {
				line += cell + pad
			} else {
				line += "  " + cell + pad
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// plot draws how busy the cores are by rate: o with all nodes, x in the worst
// loss, | the peak that is asked for.
func (r *Result) plot(b *strings.Builder) {
	const high, wide = 10, 60
	end := r.Curve[len(r.Curve)-1].PerSecond
	grid := make([][]rune, high+1)
	for i := range grid {
		grid[i] = []rune(strings.Repeat(" ", wide+1))
	}
	peak := min(wide, int(math.Round(wide*r.Demand.PeakPerSecond()/end)))
	for i := range grid {
		grid[i][peak] = '|'
	}
	for i := 0; i <= wide; i++ {
		p := r.Curve[i*(len(r.Curve)-1)/wide]
		put := func(share float64, mark rune) {
			if y := int(math.Round(share * high)); share > 0 && y <= high {
				grid[high-y][i] = mark
			}
		}
		put(max(p.Busy[OneNode], p.Busy[OneRegion]), 'x')
		put(p.Busy[Nothing], 'o')
	}
	b.WriteString("Busy cores of the busiest node by views a second: o all there")
	if len(r.States) > 1 {
		b.WriteString(", x the worst loss")
	}
	b.WriteString(", | the peak asked for\n\n")
	for i, line := range grid {
		label := "     "
		if i%2 == 0 {
			label = fmt.Sprintf("%3d %%", 100*(high-i)/high)
		}
		b.WriteString("  " + label + " " + strings.TrimRight(string(line), " ") + "\n")
	}
	fmt.Fprintf(b, "        0%*s\n\n", wide, figure(end)+"/s")
}

// Markdown writes the plan as Markdown.
func (r *Result) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Capacity plan\n\n")
	for _, s := range r.sections() {
		fmt.Fprintf(&b, "## %s\n\n", s.title)
		for i, cells := range s.rows {
			b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString("## Notes\n\n")
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// group writes a whole number with a comma after each thousand.
func group(x float64) string {
	digits := fmt.Sprintf("%.0f", x)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return out.String()
}

// figure writes a number with three digits that matter.
func figure(x float64) string {
	if math.Abs(x) >= 1000 {
		return group(x)
	}
	return fmt.Sprintf("%.3g", x)
}

// size writes bytes.
func size(x float64) string {
	switch {
	case x >= 1<<40:
		return figure(x/(1<<40)) + " TiB"
	case x >= 1<<30:
		return figure(x/(1<<30)) + " GiB"
	case x >= 1<<20:
		return figure(x/(1<<20)) + " MiB"
	}
	return figure(x/(1<<10)) + " KiB"
}
