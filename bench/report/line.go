package report

import (
	"fmt"
	"time"

	"footfall/bench/load"
)

// Line says in a line how far a run is.
func Line(p load.Progress) string {
	i := p.Interval
	cpu, rss, _ := sums(i.Servers)
	out := fmt.Sprintf("%4.0f/%.0fs  %6.0f due/s  %6.0f answered/s  p50 %s  p99 %s  max %s ms  wrong %s", p.At.Seconds(), p.Length.Seconds(),
		float64(i.Intended)/max(i.Seconds, .001), float64(i.Answered)/max(i.Seconds, .001), ms(i.P50), ms(i.P99), ms(i.Max), grouped(p.Wrong))
	if rss > 0 {
		out += fmt.Sprintf("  server %.2f cores %s MB", cpu, megabytes(rss))
	}
	if over := p.At - p.Length; over > time.Second {
		out += fmt.Sprintf("  behind by %.0fs", over.Seconds())
	}
	return out
}
