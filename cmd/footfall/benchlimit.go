package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"footfall/bench/arena"
	"footfall/bench/limit"
	"footfall/bench/machine"
	"footfall/bench/report"
	"footfall/bench/results"
	"footfall/bench/scenario"
)

type benchFindLimit struct {
	where   `embed:""`
	what    `embed:""`
	outputs `embed:""`

	P99       time.Duration `name:"p99" default:"10ms" help:"Bound that 99 % of the beacons must meet, from when they are due."`
	From      float64       `default:"1000" help:"Rate to begin with."`
	Max       float64       `default:"1000000" help:"Highest rate to try."`
	Precision float64       `default:"5" help:"How close, in percent, a good and a bad rate have to come."`
	Trial     time.Duration `default:"10s" help:"Length of a trial."`
	Warm      time.Duration `default:"2s" help:"Length of the load before a trial that is not measured; 0 for none."`
	Confirm   int           `default:"2" help:"How often the result has to hold again."`
}

// trialDrain is how long a trial's overdue requests are waited for: a server
// that needs longer is over its limit.
const trialDrain = 2 * time.Second

// Run searches and prints each trial.
func (c *benchFindLimit) Run(ctx context.Context, w *world) error {
	s, err := c.what.open()
	if err != nil {
		return err
	}
	if c.P99 <= 0 || c.From <= 0 || c.Max < c.From || c.Precision <= 0 || c.Trial <= 0 || c.Warm < 0 || c.Confirm < 0 {
		return withCode(exitUsage, errors.New("--from, --max, --precision, --p99 and --trial: must be above 0, and --max not below --from"))
	}
	a, err := c.where.open(ctx, w)
	if err != nil {
		return err
	}
	defer a.Close()
	out := &results.Limit{Version: results.Version, Scenario: s.Name, Commit: revision(), Started: w.now().UTC(), Machine: machine.Look(), P99US: c.P99.Microseconds()}
	search := &limitSearch{c: c, w: w, s: s, arena: a}
	bounds := limit.Bounds{From: c.From, Max: c.Max, Precision: c.Precision / 100, Confirm: c.Confirm}
	out.Rate, out.Trials, err = limit.Search(ctx, bounds, search.try)
	out.Conservation = search.sum
	if ctx.Err() != nil {
		out.Notes = append(out.Notes, "The search was broken off.")
		err = nil
	}
	if err != nil {
		return err
	}
	if out.Rate == c.Max {
		out.Notes = append(out.Notes, "The highest rate to be tried is still good: the limit is above it.")
	}
	if err := report.Limit(w.stdout, out); err != nil {
		return err
	}
	if err := c.outputs.write(out, func(w io.Writer) error { return report.Limit(w, out) }, func(w io.Writer) error { return report.LimitHTML(w, out) }); err != nil {
		return err
	}
	return conserved(out.Conservation)
}

// limitSearch makes the trials.
type limitSearch struct {
	c     *benchFindLimit
	w     *world
	s     *scenario.Scenario
	arena *arena.Arena
	sum   *results.Conservation
}

func (l *limitSearch) measure(ctx context.Context, rate float64, length time.Duration) (*results.Run, error) {
	number, err := newRun(l.w)
	if err != nil {
		return nil, err
	}
	s := l.s.WithRate(rate, length)
	s.Check.Pages = "never"
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return l.arena.Measure(ctx, s, arena.Options{Commit: revision(), Run: number, Check: !l.c.NoCheck, Drain: trialDrain, Now: l.w.now})
}

func (l *limitSearch) try(ctx context.Context, rate float64, phase string) (results.Trial, error) {
	if l.c.Warm > 0 {
		warm, err := l.measure(ctx, rate, l.c.Warm)
		if err != nil {
			return results.Trial{}, err
		}
		l.add(warm.Conservation)
	}
	run, err := l.measure(ctx, rate, l.c.Trial)
	if err != nil {
		return results.Trial{}, err
	}
	if err := ctx.Err(); err != nil {
		return results.Trial{}, err
	}
	l.add(run.Conservation)
	t := judge(run, l.c.P99)
	word := "good"
	if !t.Good {
		word = "bad: " + t.Why
	}
	fmt.Fprintf(l.w.stderr, "%-8s %8.0f/s  answered %8.0f/s  p50 %.2f  p99 %.2f ms  cores %.2f  %s\n", phase, rate, t.Sent, float64(t.P50)/1000, float64(t.P99)/1000, t.CPU, word)
	return t, nil
}

// add keeps the sum over all trials.
func (l *limitSearch) add(c *results.Conservation) {
	if c == nil {
		return
	}
	if l.sum == nil {
		l.sum = &results.Conservation{Visible: true}
	}
	l.sum.Acknowledged += c.Acknowledged
	l.sum.Counted += c.Counted
	l.sum.Uncertain += c.Uncertain
	l.sum.Lost += c.Lost
	l.sum.Doubled += c.Doubled
	l.sum.Sites = c.Sites
	l.sum.Visible = l.sum.Visible && c.Visible
	l.sum.WaitSeconds = max(l.sum.WaitSeconds, c.WaitSeconds)
	l.sum.Wrong = append(l.sum.Wrong, c.Wrong...)
}

// requestsMin is how many requests a percentile of 99 needs to mean something.
const requestsMin = 100

// judge tells whether a rate held.
func judge(run *results.Run, bound time.Duration) results.Trial {
	b := run.Totals[results.Beacon]
	t := results.Trial{Sent: run.AnsweredPerSecond(), P50: b.Latency.P50, P99: b.Latency.P99, Refused: b.Refused, Failed: b.Failed, CPU: run.CPUSeconds() / max(run.Seconds, .001)}
	var why []string
	if b.Intended < requestsMin {
		why = append(why, fmt.Sprintf("%d requests are too few to tell", b.Intended))
	}
	if b.Latency.P99 > bound.Microseconds() {
		why = append(why, fmt.Sprintf("p99 above %v", bound))
	}
	if b.Refused+b.Failed > 0 {
		why = append(why, fmt.Sprintf("%d refused, %d failed", b.Refused, b.Failed))
	}
	if late := b.Intended - b.Sent - b.Failed; late > 0 {
		why = append(why, fmt.Sprintf("%d never sent", late))
	}
	if c := run.Conservation; c != nil && !c.Holds() {
		why = append(why, fmt.Sprintf("%d lost, %d doubled", c.Lost, c.Doubled))
	}
	t.Good, t.Why = len(why) == 0, strings.Join(why, "; ")
	return t
}
