// Package compare puts several servers under the same load in turns, so that
// what else the machine does meets them alike, and makes ratios of it. It must
// never compare figures of different runs. Start at Run.
package compare

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"footfall/bench/results"
)

// Contender is a server that takes part.
type Contender struct {
	Name    string
	Dialect string
	Limit   bool // the bare one, to which ratios are made
	// Measure loads the server over a number of connections, closed loop. seed
	// differs from call to call.
	Measure func(ctx context.Context, connections int, seed uint64) (*results.Run, error)
}

// Options are what is measured.
type Options struct {
	Connections []int
	Rounds      int
	// Told is called before each measurement.
	Told func(connections, round int, name string)
}

// Run measures. Rows come in the order of connections and contenders.
func Run(ctx context.Context, contenders []Contender, o Options) ([]results.Compared, error) {
	var rows []results.Compared
	for _, connections := range o.Connections {
		runs := make([][]*results.Run, len(contenders))
		for round := range o.Rounds {
			for i, c := range contenders {
				o.Told(connections, round, c.Name)
				r, err := c.Measure(ctx, connections, uint64(connections)<<32|uint64(round)<<16|uint64(i)+1)
				if err != nil {
					return nil, fmt.Errorf("%s at %d connections: %w", c.Name, connections, err)
				}
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				runs[i] = append(runs[i], r)
			}
		}
		var group []results.Compared
		limit := -1
		for i, c := range contenders {
			group = append(group, row(c, connections, runs[i]))
			if c.Limit {
				limit = i
			}
		}
		if limit >= 0 {
			for i := range group {
				group[i].RateRatio = ratio(group[i].RatePerSec, group[limit].RatePerSec)
				group[i].CPURatio = ratio(group[i].CPUPerThousand, group[limit].CPUPerThousand)
			}
		}
		rows = append(rows, group...)
	}
	return rows, nil
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// row takes the round in the middle: by CPU per request, or by rate where the
// CPU is not known.
func row(c Contender, connections int, runs []*results.Run) results.Compared {
	out := results.Compared{Connections: connections, Name: c.Name, Dialect: c.Dialect}
	for _, r := range runs {
		out.Rounds = append(out.Rounds, results.Round{RatePerSec: r.AnsweredPerSecond(), CPUPerThousand: r.CPUPerThousand(), P99: r.Totals[results.Beacon].Latency.P99})
	}
	runs = slices.Clone(runs)
	slices.SortFunc(runs, func(a, b *results.Run) int {
		return cmp.Or(cmp.Compare(a.CPUPerThousand(), b.CPUPerThousand()), cmp.Compare(b.AnsweredPerSecond(), a.AnsweredPerSecond()))
	})
	m := runs[len(runs)/2]
	t := m.Totals[results.Beacon]
	out.RatePerSec, out.CPUPerThousand, out.P50, out.P99 = m.AnsweredPerSecond(), m.CPUPerThousand(), t.Latency.P50, t.Latency.P99
	for _, r := range runs {
		out.Refused += r.Totals[results.Beacon].Refused
		out.Failed += r.Totals[results.Beacon].Failed
	}
	return out
}
