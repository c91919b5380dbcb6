// Package report writes results for people: Markdown for a repository, one HTML
// page that needs nothing else, and a line of text for a terminal. It must
// never leave out what speaks against a run. Start at Markdown and HTML.
package report

import (
	"fmt"
	"io"
	"strings"

	"footfall/bench/results"
)

// ms words µs as milliseconds.
func ms(us int64) string {
	switch {
	case us >= 100_000:
		return fmt.Sprintf("%d", us/1000)
	case us >= 10_000:
		return fmt.Sprintf("%.1f", float64(us)/1000)
	}
	return fmt.Sprintf("%.2f", float64(us)/1000)
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f", float64(n)/(1<<20)) }

// grouped writes a number with commas.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// kindNames is what people call the kinds of requests.
var kindNames = map[string]string{results.Beacon: "beacons", results.Query: "dashboard", results.API: "stats API", results.SSE: "live viewers"}

func kindName(kind string) string {
	if name := kindNames[kind]; name != "" {
		return name
	}
	return kind
}

// cell keeps a text from ending its cell of a Markdown table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}

// printer writes until there is an error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) done() error {
	if p.err != nil {
		return fmt.Errorf("write the report: %w", p.err)
	}
	return nil
}

func (p *printer) machine(m results.Machine, commit string) {
	p.printf("%d cores, %s · %s, %s · %s MB · load before %.2f · commit %s\n\n", m.Cores, m.CPU, m.OS, m.Go, megabytes(m.MemoryBytes), m.LoadBefore, commit)
}

// Markdown writes a run.
func Markdown(w io.Writer, r *results.Run) error {
	p := &printer{w: w}
	p.printf("# Load: %s\n\n%s · %s\n\n", cell(r.Name), r.Started.Format("2006-01-02 15:04 UTC"), cell(r.Description))
	p.machine(r.Machine, r.Commit)
	p.printf("%s", sentence(r))
	for _, n := range notes(r) {
		p.printf("> %s\n", cell(n))
	}
	p.printf("\n| requests | intended | sent | answered | refused | failed | retried | p50 ms | p90 | p99 | p99.9 | max |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, k := range r.Kinds() {
		t := r.Totals[k]
		p.printf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", cell(kindName(k)), grouped(t.Intended), grouped(t.Sent), grouped(t.Answered),
			grouped(t.Refused), grouped(t.Failed), grouped(t.Retried), ms(t.Latency.P50), ms(t.Latency.P90), ms(t.Latency.P99), ms(t.Latency.P999), ms(t.Latency.Max))
	}
	p.printf("\nLatency is counted from when a request was due, not from when it was sent. Half of the beacons were sent within %s ms of that, 99 %% within %s ms.\n\n",
		ms(r.Totals[results.Beacon].Lag.P50), ms(r.Totals[results.Beacon].Lag.P99))
	if len(r.Servers) > 0 {
		p.printf("| server | CPU s | cores used | memory peak MB | heap peak MB | goroutines peak | end | disk MB before | after |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
		for _, s := range r.Servers {
			p.printf("| %s | %.2f | %.2f | %s | %s | %d | %d | %s | %s |\n", cell(s.Name+" "+s.Addr), s.CPUSeconds, s.CPUSeconds/max(r.Seconds, .001), megabytes(s.RSSPeak), megabytes(s.HeapPeak),
				s.GoroutinesPeak, s.GoroutinesEnd, megabytes(s.DiskBefore), megabytes(s.DiskAfter))
		}
		p.printf("\nCPU per 1,000 beacon requests, everything that the servers did included: %.2f ms. The generator used %.2f s.\n\n", r.CPUPerThousand(), r.Generator.CPUSeconds)
	}
	p.conservation(r.Conservation)
	if len(r.Intervals) > 0 {
		p.printf("## Course\n\n| from s | due/s | answered | refused | failed | p50 ms | p99 ms | max ms | cores | memory MB | goroutines |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
		for _, i := range thin(r.Intervals, 60) {
			cpu, rss, goroutines := sums(i.Servers)
			p.printf("| %.0f | %.0f | %d | %d | %d | %s | %s | %s | %.2f | %s | %d |\n", i.At, float64(i.Intended)/max(i.Seconds, .001), i.Answered, i.Refused, i.Failed, ms(i.P50), ms(i.P99), ms(i.Max),
				cpu, megabytes(rss), goroutines)
		}
		p.printf("\n")
	}
	return p.done()
}

// thin takes about n of the intervals, evenly.
func thin(all []results.Interval, n int) []results.Interval {
	step := (len(all) + n - 1) / n
	if step <= 1 {
		return all
	}
	var out []results.Interval
	for i := 0; i < len(all); i += step {
		out = append(out, all[i])
	}
	return out
}

// sums adds samples up over servers.
func sums(samples []results.Sample) (cpu float64, rss int64, goroutines int) {
	for _, s := range samples {
		cpu, rss, goroutines = cpu+s.CPU, rss+s.RSS, goroutines+s.Goroutines
	}
	return cpu, rss, goroutines
}

// sentence says in one paragraph what was done and what came of it.
func sentence(r *results.Run) string {
	t := r.Totals[results.Beacon]
	out := fmt.Sprintf("%s for %.1f s, ", r.Mode, r.Seconds)
	if r.RatePerSec > 0 {
		out += fmt.Sprintf("%.0f beacon requests per second on average", r.RatePerSec)
	} else {
		out += "closed loop"
	}
	out += fmt.Sprintf(" over at most %d connections, dialect %s", r.Connections, r.Dialect)
	if r.Arrays > 1 {
		out += fmt.Sprintf(", %s events in each", grouped(int64(r.Arrays)))
	}
	return out + fmt.Sprintf(": %.0f answered per second (%.0f events).\n\n", r.AnsweredPerSecond(), float64(t.Views)/max(r.Seconds, .001))
}

// notes are what a reader has to know first.
func notes(r *results.Run) []string {
	out := append([]string(nil), r.Notes...)
	if r.Interrupted {
		out = append([]string{"The run was broken off."}, out...)
	}
	if g := Growth(r); g != "" {
		out = append(out, g)
	}
	return out
}

func (p *printer) conservation(c *results.Conservation) {
	p.printf("## Acknowledged = counted?\n\n")
	if c == nil {
		p.printf("Not compared.\n\n")
		return
	}
	word := "**Yes.**"
	if !c.Holds() {
		word = "**No.**"
	}
	p.printf("%s Acknowledged %s, counted %s, lost %s, doubled %s; %s more were sent whose answer is not known. Compared: %d sites", word,
		grouped(c.Acknowledged), grouped(c.Counted), grouped(c.Lost), grouped(c.Doubled), grouped(c.Uncertain), c.Sites)
	if c.Pages > 0 {
		p.printf(" and %s pages", grouped(int64(c.Pages)))
	}
	p.printf(", %.1f s after the end.\n\n", c.WaitSeconds)
	if len(c.Wrong) == 0 {
		return
	}
	p.printf("| site | page | acknowledged | not known | counted |\n|---|---|---:|---:|---:|\n")
	for _, d := range c.Wrong {
		p.printf("| %s | %s | %d | %d | %d |\n", cell(d.Site), cell(d.Page), d.Acknowledged, d.Uncertain, d.Counted)
	}
	p.printf("\n")
}

// Growth compares memory and goroutines of the servers in the second quarter of
// a run with those in the last; "" for runs too short to tell.
func Growth(r *results.Run) string {
	n := len(r.Intervals)
	if r.Mode != "soak" || n < 8 {
		return ""
	}
	mean := func(part []results.Interval) (rss, goroutines float64) {
		k := 0.0
		for _, i := range part {
			if _, a, b := sums(i.Servers); a > 0 {
				rss, goroutines, k = rss+float64(a), goroutines+float64(b), k+1
			}
		}
		if k == 0 {
			return 0, 0
		}
		return rss / k, goroutines / k
	}
	a, g := mean(r.Intervals[n/4 : n/2])
	b, h := mean(r.Intervals[3*n/4:])
	if a == 0 || b == 0 {
		return ""
	}
	return fmt.Sprintf("From the second quarter to the last, memory went from %.0f to %.0f MB (%+.1f %%), goroutines from %.0f to %.0f (%+.1f %%).",
		a/(1<<20), b/(1<<20), 100*(b/a-1), g, h, 100*(h/max(g, 1)-1))
}

// Limit writes a search.
func Limit(w io.Writer, l *results.Limit) error {
	p := &printer{w: w}
	p.printf("# Limit: %s\n\n%s\n\n", cell(l.Scenario), l.Started.Format("2006-01-02 15:04 UTC"))
	p.machine(l.Machine, l.Commit)
	if l.Rate > 0 {
		p.printf("**%.0f requests per second** is the highest rate that held each time it was tried: p99 at most %s ms, nothing refused, failed, late or lost.\n\n", l.Rate, ms(l.P99US))
	} else {
		p.printf("**No rate held**: p99 at most %s ms, nothing refused, failed, late or lost.\n\n", ms(l.P99US))
	}
	for _, n := range l.Notes {
		p.printf("> %s\n", cell(n))
	}
	p.printf("| rate | phase | good | answered/s | p50 ms | p99 ms | refused | failed | cores | why not |\n|---:|---|---|---:|---:|---:|---:|---:|---:|---|\n")
	for _, t := range l.Trials {
		p.printf("| %.0f | %s | %s | %.0f | %s | %s | %d | %d | %.2f | %s |\n", t.Rate, t.Phase, yes(t.Good), t.Sent, ms(t.P50), ms(t.P99), t.Refused, t.Failed, t.CPU, cell(t.Why))
	}
	p.printf("\n")
	p.conservation(l.Conservation)
	return p.done()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Comparison writes a comparison.
func Comparison(w io.Writer, c *results.Comparison) error {
	p := &printer{w: w}
	p.printf("# Compared under the same load\n\n%s · %d rounds of %.0f s in turns; each row is the round whose CPU per request (or rate, where CPU is not known) is in the middle\n\n",
		c.Started.Format("2006-01-02 15:04 UTC"), c.Rounds, c.Seconds)
	p.machine(c.Machine, c.Commit)
	p.printf("Generator and local servers share the machine: read the ratios.\n\n")
	for _, n := range c.Notes {
		p.printf("> %s\n", cell(n))
	}
	p.printf("| connections | server | dialect | answered/s | CPU ms per 1,000 | p50 ms | p99 ms | refused | failed | rate / bare | CPU / bare |\n|---:|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, r := range c.Rows {
		p.printf("| %d | %s | %s | %.0f | %s | %s | %s | %d | %d | %s | %s |\n", r.Connections, cell(r.Name), r.Dialect, r.RatePerSec, figure(r.CPUPerThousand), ms(r.P50), ms(r.P99), r.Refused, r.Failed,
			figure(r.RateRatio), figure(r.CPURatio))
	}
	p.printf("\n")
	return p.done()
}

// figure words a number that may not be known.
func figure(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}
