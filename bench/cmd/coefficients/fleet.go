package main

import (
	"fmt"
	"math"
	"time"

	"footfall/bench/capacity"
	"footfall/bench/driver"
	"footfall/bench/fleet"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

const (
	fleetNodes = 3
	fleetSites = 1000 // enough for each node to lead a third of what comes in
)

// fleetRates are what one node of the cluster takes, the others nothing.
var fleetRates = []rate{
	{500, fleetSites, true}, {700, fleetSites, false}, {1000, fleetSites, true}, {1400, fleetSites, false},
	{2000, fleetSites, true}, {2800, fleetSites, false}, {4000, fleetSites, true},
}

// cluster fits the model to members of a cluster of which one takes all views:
// it differs from the others by the edge only.
func (m *measurement) cluster() error {
	f, err := fleet.Start(m.ctx, m.binary, fleetNodes)
	if err != nil {
		return err
	}
	defer f.Stop()
	if err := f.Nodes[0].AddSites(fleetSites, traffic.Domain); err != nil {
		return err
	}
	if err := m.sleep(3 * time.Second); err != nil { // what came with the start is over
		return err
	}
	rest, err := m.fleetRest(f)
	if err != nil {
		return err
	}
	samples := make([][fleetNodes][]capacity.Sample, len(fleetRates))
	for round := range m.rounds {
		for i, r := range fleetRates {
			got, err := m.fleetRun(f, r, uint64(500+round*len(fleetRates)+i))
			if err != nil {
				return err
			}
			for k := range got {
				samples[i][k] = append(samples[i][k], got[k])
			}
			m.note("%6.0f/s at one of %d: %.3f, %.3f, %.3f cores", got[0].PerSecond, fleetNodes, got[0].Cores, got[1].Cores, got[2].Cores)
		}
	}
	m.c.Members, m.c.MemberChecks = nil, nil
	for i, r := range fleetRates {
		for k := range fleetNodes {
			if s := mean(samples[i][k]); r.fitted {
				m.c.Members = append(m.c.Members, s)
			} else {
				m.c.MemberChecks = append(m.c.MemberChecks, s)
			}
		}
	}
	fit, err := capacity.Fit(rest, m.c.Members)
	if err != nil {
		return err
	}
	m.c.CPU.Member = fit
	m.say("Of three nodes", fit)
	m.fleetTable()
	return nil
}

// fleetTable prints what is predicted for all three nodes together beside what
// was measured.
func (m *measurement) fleetTable() {
	fmt.Fprint(m.out, "| views/s, three nodes | CPU µs per view on all measured | predicted | off by | syncs/s of the first measured | predicted | used for the fit |\n|---|---|---|---|---|---|---|\n")
	worst := 0.0
	for _, t := range []struct {
		samples []capacity.Sample
		fitted  string
	}{{m.c.Members, "yes"}, {m.c.MemberChecks, "no"}} {
		for i := 0; i+fleetNodes <= len(t.samples); i += fleetNodes {
			measured, predicted, perSecond := 0.0, 0.0, t.samples[i].PerSecond
			for _, s := range t.samples[i : i+fleetNodes] {
				measured += s.Cores
				predicted += m.c.Node(capacity.Member(s.Edge, s.PerSecond, fleetSites, fleetNodes, fleetNodes)).Cores()
			}
			if t.fitted == "no" {
				worst = max(worst, math.Abs(predicted/measured-1))
			}
			first := m.c.Node(capacity.Member(perSecond, perSecond, fleetSites, fleetNodes, fleetNodes))
			fmt.Fprintf(m.out, "| %.0f | %.1f | %.1f | %+.1f %% | %.0f | %.0f | %s |\n", perSecond, 1e6*measured/perSecond, 1e6*predicted/perSecond,
				100*(predicted/measured-1), t.samples[i].Syncs, first.SyncsPerSecond, t.fitted)
		}
	}
	fmt.Fprintf(m.out, "\nPredicted and measured CPU of three nodes differ by %.1f %% at most at rates that the model was not fitted to (goal: 15 %%).\n\n", 100*worst)
}

// fleetRest is the CPU of a member at rest, in cores.
func (m *measurement) fleetRest(f *fleet.Fleet) (float64, error) {
	before, err := cpuOf(f.Nodes)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := m.sleep(2 * m.length); err != nil {
		return 0, err
	}
	after, err := cpuOf(f.Nodes)
	sum := 0.0
	for i := range after {
		sum += (after[i] - before[i]).Seconds()
	}
	return sum / fleetNodes / time.Since(start).Seconds(), err
}

func cpuOf(nodes []*fleet.Node) (x [fleetNodes]time.Duration, err error) {
	for i, n := range nodes {
		if x[i], err = driver.CPU(n.PID()); err != nil {
			return x, err
		}
	}
	return x, nil
}

func allCounts(nodes []*fleet.Node) (x [fleetNodes]counts, err error) {
	for i, n := range nodes {
		if x[i], err = countsOf(n.Process); err != nil {
			return x, err
		}
	}
	return x, nil
}

// fleetRun gives what each node spends while the first takes all views.
func (m *measurement) fleetRun(f *fleet.Fleet, r rate, seed uint64) (out [fleetNodes]capacity.Sample, err error) {
	logBefore, err := allCounts(f.Nodes)
	if err != nil {
		return out, err
	}
	before, err := cpuOf(f.Nodes)
	if err != nil {
		return out, err
	}
	x, err := m.drive(f.Nodes[0].Process, r.perSecond, seed)
	if err != nil {
		return out, err
	}
	after, err := cpuOf(f.Nodes)
	if err != nil {
		return out, err
	}
	logAfter, err := allCounts(f.Nodes)
	if err != nil {
		return out, err
	}
	seconds := x.Elapsed.Seconds()
	for i := range out {
		out[i] = capacity.Sample{PerSecond: x.PerSecond(), Sites: r.sites, Seconds: seconds, Cores: (after[i] - before[i]).Seconds() / seconds,
			Syncs: (logAfter[i].syncs - logBefore[i].syncs) / seconds, Entries: (logAfter[i].entries - logBefore[i].entries) / seconds}
	}
	out[0].Edge = x.PerSecond()
	return out, nil
}

func (m *measurement) drive(n *node.Process, perSecond float64, seed uint64) (driver.Result, error) {
	mix := traffic.Usual()
	mix.Sites, mix.Seed = fleetSites, seed
	x, err := driver.Run(m.ctx, driver.Load{Addr: n.Addr, Mix: mix, Connections: connections, Duration: m.length, Rate: perSecond, PID: n.PID()})
	if err == nil && x.Refused+x.Failed > 0 {
		err = fmt.Errorf("%d of %d views were refused or not answered", x.Refused+x.Failed, x.Answers)
	}
	return x, err
}
