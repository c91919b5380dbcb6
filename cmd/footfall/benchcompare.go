package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"footfall/bench/arena"
	"footfall/bench/bare"
	"footfall/bench/compare"
	"footfall/bench/dialect"
	"footfall/bench/machine"
	"footfall/bench/node"
	"footfall/bench/report"
	"footfall/bench/results"
	"footfall/bench/scenario"
)

type benchCompare struct {
	what    `embed:""`
	outputs `embed:""`

	Servers string        `default:"bare,one,three" help:"Which local servers take part: bare, one, three."`
	Also    []string      `sep:"none" placeholder:"NAME=DIALECT@URL" help:"Another product, as goat=goatcounter@http://127.0.0.1:8081; may be given several times."`
	At      []int         `default:"64,512" help:"Numbers of connections."`
	Rounds  int           `default:"3" help:"Measurements of each server, in turns."`
	Each    time.Duration `default:"4s" help:"Length of a measurement."`
}

// Run measures all in turns and prints the ratios.
func (c *benchCompare) Run(ctx context.Context, w *world) error {
	s, err := c.what.open()
	if err != nil {
		return err
	}
	s.Queries = scenario.Queries{Connections: 1}
	if c.Rounds < 1 || c.Each <= 0 || len(c.At) == 0 || slices.Min(c.At) < 1 {
		return withCode(exitUsage, errors.New("--rounds, --each and --at: must be above 0"))
	}
	group := &contenders{c: c, w: w, s: s}
	defer group.close()
	all, err := group.open(ctx)
	if err != nil {
		return err
	}
	out := &results.Comparison{Version: results.Version, Commit: revision(), Started: w.now().UTC(), Machine: machine.Look(), Rounds: c.Rounds, Seconds: c.Each.Seconds()}
	out.Rows, err = compare.Run(ctx, all, compare.Options{Connections: c.At, Rounds: c.Rounds, Told: func(connections, round int, name string) {
		fmt.Fprintf(w.stderr, "%d connections, round %d of %d: %s\n", connections, round+1, c.Rounds, name)
	}})
	if err != nil {
		return err
	}
	out.Notes = group.notes
	if err := report.Comparison(w.stdout, out); err != nil {
		return err
	}
	err = c.outputs.write(out, func(w io.Writer) error { return report.Comparison(w, out) }, func(w io.Writer) error { return report.ComparisonHTML(w, out) })
	return errors.Join(err, group.lost)
}

// contenders are the servers of a comparison.
type contenders struct {
	c      *benchCompare
	w      *world
	s      *scenario.Scenario
	closes []func()
	notes  []string
	lost   error // views that were acknowledged and are not counted
}

func (g *contenders) close() {
	for _, f := range slices.Backward(g.closes) {
		f()
	}
}

func (g *contenders) open(ctx context.Context) ([]compare.Contender, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	var out []compare.Contender
	for name := range strings.SplitSeq(g.c.Servers, ",") {
		var a *arena.Arena
		label := ""
		switch strings.TrimSpace(name) {
		case "":
			continue
		case "bare":
			p, err := startBare(binary)
			if err != nil {
				return nil, err
			}
			g.closes = append(g.closes, p.Stop)
			a, label = arena.Process(p, "bare fasthttp"), "bare fasthttp"
		case "one":
			a, err = arena.Local(ctx, binary, 1)
			label = "footfall, one node"
		case "three":
			a, err = arena.Local(ctx, binary, 3)
			label = "footfall, three nodes"
		default:
			return nil, withCode(exitUsage, fmt.Errorf("--servers: %q is not one of bare, one, three", name))
		}
		if err != nil {
			return nil, err
		}
		g.closes = append(g.closes, a.Close)
		out = append(out, g.contender(label, g.s.Dialect, a, name == "bare"))
	}
	for _, text := range g.c.Also {
		name, rest, ok1 := strings.Cut(text, "=")
		speaks, address, ok2 := strings.Cut(rest, "@")
		if !ok1 || !ok2 || name == "" || !dialect.Speaks(speaks) {
			return nil, withCode(exitUsage, fmt.Errorf("--also: %q is not like NAME=DIALECT@URL, with a dialect of %s", text, strings.Join(scenario.Dialects(), ", ")))
		}
		a, err := arena.Remote([]string{address}, arena.Keys{})
		if err != nil {
			return nil, withCode(exitUsage, fmt.Errorf("--also: %w", err))
		}
		g.closes = append(g.closes, a.Close)
		out = append(out, g.contender(name, speaks, a, false))
	}
	if len(out) == 0 {
		return nil, withCode(exitUsage, errors.New("--servers: names none, and there is no --also"))
	}
	return out, nil
}

func (g *contenders) contender(name, speaks string, a *arena.Arena, limit bool) compare.Contender {
	return compare.Contender{Name: name, Dialect: speaks, Limit: limit, Measure: func(ctx context.Context, connections int, seed uint64) (*results.Run, error) {
		number, err := newRun(g.w)
		if err != nil {
			return nil, err
		}
		s := g.s.WithRate(1, g.c.Each) // the rate is not used
		s.Connections, s.Dialect, s.Seed, s.Check.Pages = connections, speaks, g.s.Seed+seed, "never"
		if speaks != "native" {
			s.Array = 1
		}
		run, err := a.Measure(ctx, s, arena.Options{Commit: revision(), Run: number, Closed: true, Check: !g.c.NoCheck, Now: g.w.now})
		if err != nil {
			return nil, err
		}
		if err := conserved(run.Conservation); err != nil {
			g.lost = errors.Join(g.lost, fmt.Errorf("%s: %w", name, err))
			g.notes = append(g.notes, fmt.Sprintf("%s: %v", name, err))
		}
		return run, nil
	}}
}

func startBare(binary string) (*node.Process, error) {
	addr, err := node.FreeAddr()
	if err != nil {
		return nil, fmt.Errorf("start the bare server: %w", err)
	}
	p, err := node.Run(exec.Command(binary, "bench", "bare", "--listen", addr), addr, "/")
	if err != nil {
		return nil, fmt.Errorf("start the bare server: %w", err)
	}
	return p, nil
}

// benchBare is the server that a beacon's cost is compared with; it runs as a
// process of its own, so that its CPU can be told apart.
type benchBare struct {
	Listen string `required:"" help:"Address and port."`
}

// Run serves until it is told to stop. Ctrl-C is for the comparison, which then
// stops this process.
func (c *benchBare) Run(_ context.Context) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return bare.Serve(ctx, ln)
}
