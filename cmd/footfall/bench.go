package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"footfall/bench/arena"
	"footfall/bench/load"
	"footfall/bench/report"
	"footfall/bench/results"
	"footfall/bench/scenario"
	"footfall/bench/scenarios"
)

// benchCommand measures servers under load.
type benchCommand struct {
	Load      benchLoad      `cmd:"" help:"Send a scenario to servers, and compare what they acknowledged with what they count."`
	FindLimit benchFindLimit `cmd:"" help:"Find the highest rate at which the latency stays bounded and nothing is lost."`
	Compare   benchCompare   `cmd:"" help:"Put a bare server, one node, three nodes and others under the same load, in turns."`
	Scenarios benchScenarios `cmd:"" help:"List the scenarios that come with the program, or print one."`
	Bare      benchBare      `cmd:"" hidden:"" help:"Serve as the bare server that is the limit."`
}

// where are the flags that say what is measured.
type where struct {
	Target     []string `sep:"none" placeholder:"URL" help:"Server under load, as http://host:port; may be given several times."`
	Local      bool     `help:"Start a node of this program on this machine, and stop it afterwards."`
	LocalNodes int      `placeholder:"N" help:"Start a cluster of so many nodes on this machine (1 or 3)."`
	Key        string   `env:"FOOTFALL_BENCH_KEY" placeholder:"KEY" help:"Operator's token of the targets, or a key of scope sites:provision; the sites are made with it."`
	StatsKey   string   `env:"FOOTFALL_BENCH_STATS_KEY" placeholder:"KEY" help:"Key of scope stats:read, for queries and the comparison (default: --key)."`
	WriteKey   string   `env:"FOOTFALL_BENCH_WRITE_KEY" placeholder:"KEY" help:"Key of scope events:write, for the native dialect (default: --key)."`
}

// open readies the servers.
func (c *where) open(ctx context.Context, w *world) (*arena.Arena, error) {
	nodes := c.LocalNodes
	if c.Local && nodes == 0 {
		nodes = 1
	}
	switch {
	case nodes == 0 && len(c.Target) == 0:
		return nil, withCode(exitUsage, errors.New("--target: give at least one, or --local"))
	case nodes > 0 && len(c.Target) > 0:
		return nil, withCode(exitUsage, errors.New("--target: not together with --local"))
	case nodes == 0:
		a, err := arena.Remote(c.Target, arena.Keys{Main: c.Key, Stats: c.StatsKey, Write: c.WriteKey})
		if err != nil {
			return nil, withCode(exitUsage, err)
		}
		return a, nil
	case nodes != 1 && nodes != 3:
		return nil, withCode(exitUsage, errors.New("--local-nodes: must be 1 or 3"))
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	fmt.Fprintf(w.stderr, "Starting %d local node(s) …\n", nodes)
	return arena.Local(ctx, binary, nodes)
}

// what are the flags that change a scenario.
type what struct {
	Scenario    string         `default:"steady" placeholder:"NAME|FILE" help:"Scenario: the name of one that comes with the program (footfall bench scenarios), or a YAML file. Default: ${default}."`
	Rate        *float64       `placeholder:"N" help:"Beacon requests per second instead of the scenario's."`
	Duration    *time.Duration `placeholder:"D" help:"Duration instead of the scenario's, as 30s."`
	Connections *int           `placeholder:"N" help:"Most connections that carry beacons."`
	Dialect     *string        `placeholder:"NAME" help:"plausible, native, goatcounter, vince, umami or matomo."`
	Seed        *uint64        `placeholder:"N" help:"Seed of everything that is drawn."`
	NoCheck     bool           `help:"Do not compare acknowledged with counted views."`
}

func (c *what) open() (*scenario.Scenario, error) {
	text, err := scenarios.Open(c.Scenario)
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	s, err := scenario.Parse(text)
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("%s: %w", c.Scenario, err))
	}
	if c.Rate != nil {
		s.Rate = *c.Rate
		if s.Mode == scenario.Ramp || s.Mode == scenario.Step {
			s.Mode, s.Duration = scenario.Steady, s.Length()
		}
	}
	if c.Duration != nil {
		s.Duration = *c.Duration
		if f := s.Flood; f != nil && f.To > s.Duration {
			f.To = s.Duration
		}
	}
	if c.Connections != nil {
		s.Connections = *c.Connections
	}
	if c.Dialect != nil {
		s.Dialect = *c.Dialect
	}
	if c.Seed != nil {
		s.Seed = *c.Seed
	}
	if err := s.Validate(); err != nil {
		return nil, withCode(exitUsage, err)
	}
	return s, nil
}

// outputs are the flags that say where results go.
type outputs struct {
	JSON     string `name:"json" placeholder:"FILE" help:"Write the results as JSON."`
	Markdown string `placeholder:"FILE" help:"Write a report as Markdown."`
	HTML     string `name:"html" placeholder:"FILE" help:"Write a report as an HTML page with plots."`
}

// write makes the files that were asked for.
func (o outputs) write(v any, markdown, html func(io.Writer) error) error {
	var errs []error
	if o.JSON != "" {
		errs = append(errs, results.WriteFile(o.JSON, v))
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{o.Markdown, markdown}, {o.HTML, html}} {
		if f.name != "" {
			errs = append(errs, writeReport(f.name, f.write))
		}
	}
	return errors.Join(errs...)
}

func writeReport(name string, write func(io.Writer) error) error {
	var b strings.Builder
	if err := write(&b); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// revision is the commit that this program was built from, as far as it is
// known.
func revision() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "unknown"
}

// newRun numbers a run.
func newRun(w *world) (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(w.random, b[:]); err != nil {
		return 0, fmt.Errorf("number the run: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]) >> 16, nil
}

// meter shows progress on standard error: one line that changes where somebody
// looks, else a line every few seconds.
type meter struct {
	w      *world
	lines  int
	active bool
}

const quietLines = 5 // seconds between lines where nobody looks

func (m *meter) show(p load.Progress) {
	line := report.Line(p)
	if m.w.stderrIsTerminal {
		m.active = true
		fmt.Fprintf(m.w.stderr, "\r\x1b[K%s", line)
		return
	}
	if m.lines++; m.lines%quietLines == 1 {
		fmt.Fprintln(m.w.stderr, line)
	}
}

// end leaves the line as it is.
func (m *meter) end() {
	if m.active {
		fmt.Fprintln(m.w.stderr)
		m.active = false
	}
}

type benchLoad struct {
	where   `embed:""`
	what    `embed:""`
	outputs `embed:""`
}

// Run sends the load. It fails when a view was lost or counted twice.
func (c *benchLoad) Run(ctx context.Context, w *world) error {
	s, err := c.what.open()
	if err != nil {
		return err
	}
	a, err := c.where.open(ctx, w)
	if err != nil {
		return err
	}
	defer a.Close()
	number, err := newRun(w)
	if err != nil {
		return err
	}
	m := &meter{w: w}
	run, err := a.Measure(ctx, s, arena.Options{Commit: revision(), Run: number, Check: !c.NoCheck, Now: w.now, Progress: m.show})
	m.end()
	if run == nil {
		return err
	}
	failed := err
	if err := report.Markdown(w.stdout, run); err != nil {
		return err
	}
	if err := c.outputs.write(run, func(w io.Writer) error { return report.Markdown(w, run) }, func(w io.Writer) error { return report.HTML(w, run) }); err != nil {
		return err
	}
	return errors.Join(failed, conserved(run.Conservation))
}

// conserved is the error of a comparison that does not hold.
func conserved(c *results.Conservation) error {
	if c == nil || c.Holds() {
		return nil
	}
	return fmt.Errorf("acknowledged views are not the counted ones: %d lost, %d counted twice", c.Lost, c.Doubled)
}

type benchScenarios struct {
	Name string `arg:"" optional:"" help:"Scenario to print."`
}

// Run lists them, or prints the text of one to begin an own one with.
func (c *benchScenarios) Run(w *world) error {
	if c.Name != "" {
		text, err := scenarios.Open(c.Name)
		if err != nil {
			return withCode(exitUsage, err)
		}
		_, err = w.stdout.Write(text)
		return err
	}
	var rows [][]string
	for _, name := range scenarios.Names() {
		text, err := scenarios.Open(name)
		if err != nil {
			return err
		}
		s, err := scenario.Parse(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, []string{name, s.Mode, s.Length().String(), s.Description})
	}
	return printTable(w.stdout, []string{"NAME", "MODE", "LENGTH", "WHAT"}, rows)
}
