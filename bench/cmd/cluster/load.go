package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"footfall/bench/driver"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

// idle measures what nodes cost that do nothing but keep 256 shards together.
func (r *report) idle() error {
	f, err := r.start()
	if err != nil {
		return err
	}
	defer f.stop()
	if err := r.sleep(5 * time.Second); err != nil { // the start is over
		return err
	}
	before, _, err := f.cpu()
	if err != nil {
		return err
	}
	const span = 30 * time.Second
	if err := r.sleep(span); err != nil {
		return err
	}
	after, _, err := f.cpu()
	if err != nil {
		return err
	}
	r.printf("## Idle: three nodes, 256 shards with three replicas each\n\n| node | CPU, %% of a core | resident MB | goal |\n|---|---|---|---|\n")
	for i, m := range f.Nodes {
		resident, err := driver.Resident(m.PID())
		if err != nil {
			return err
		}
		r.printf("| %s | %.2f | %d | < 5 %% |\n", m.Name, 100*float64(after[i]-before[i])/float64(span), resident>>20)
	}
	r.printf("\nLoad of the machine after: %s\n\n", machineLoad())
	return nil
}

// load measures views on three replicas beside views on one node, in turns.
func (r *report) load() error {
	f, err := r.start()
	if err != nil {
		return err
	}
	defer f.stop()
	alone, err := node.Start(r.binary, "")
	if err != nil {
		return err
	}
	defer alone.Stop()
	mix := traffic.Usual()
	for _, p := range []*node.Process{alone, f.Nodes[0].Process} {
		if err := p.AddSites(mix.Sites, traffic.Domain); err != nil {
			return err
		}
	}
	if err := f.knows(traffic.Domain(mix.Sites - 1)); err != nil {
		return err
	}
	r.printf("## Load: every view on a majority and applied before its 202\n\n")
	r.printf("| connections | servers | views/s | CPU ms per 1,000 | p50 ms | p99 ms | refused | ratio of CPU | goal |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, conns := range []int{48, 384} {
		var one, three []driver.Result
		for i := range r.rounds {
			m := mix
			m.Seed = uint64(1000*conns + i + 1)
			a, err := driver.Run(r.ctx, driver.Load{Addr: alone.Addr, Mix: m, Connections: conns, Duration: r.length, PID: alone.PID()})
			if err != nil {
				return err
			}
			b, err := f.drive(m, conns)
			if err != nil {
				return err
			}
			one, three = append(one, a), append(three, b)
		}
		x, y := middle(one), middle(three)
		r.row(conns, "one node", x, "", "")
		r.row(conns, "three nodes", y, fmt.Sprintf("%.2f", y.CPUPerThousand()/x.CPUPerThousand()), "≤ 3.5")
	}
	r.printf("\nLoad of the machine after: %s\n\n", machineLoad())
	return nil
}

// drive sends the same load to all nodes alike.
func (f *trio) drive(mix traffic.Mix, conns int) (driver.Result, error) {
	var results [size]driver.Result
	var errs [size]error
	_, before, err := f.cpu()
	if err != nil {
		return driver.Result{}, err
	}
	var wg sync.WaitGroup
	for i, m := range f.Nodes {
		mine := mix
		mine.Seed += uint64(i+1) * 100_000 // its events have ids of their own
		wg.Go(func() {
			results[i], errs[i] = driver.Run(f.r.ctx, driver.Load{Addr: m.Addr, Mix: mine, Connections: conns / size, Duration: f.r.length})
		})
	}
	wg.Wait()
	_, after, err := f.cpu()
	if err != nil {
		return driver.Result{}, err
	}
	total := results[0]
	total.CPU = after - before
	for i := 1; i < size; i++ {
		total.Answers += results[i].Answers
		total.Refused += results[i].Refused
		total.Failed += results[i].Failed
		total.Latencies.Merge(results[i].Latencies)
	}
	for _, err := range errs {
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (r *report) row(conns int, name string, x driver.Result, ratio, goal string) {
	r.printf("| %d | %s | %.0f | %.2f | %s | %s | %d | %s | %s |\n", conns, name, x.PerSecond(), x.CPUPerThousand(),
		ms(x.Quantile(50)), ms(x.Quantile(99)), x.Refused+x.Failed, ratio, goal)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }

// middle picks the result whose CPU per view is in the middle.
func middle(rs []driver.Result) driver.Result {
	slices.SortFunc(rs, func(a, b driver.Result) int {
		if a.CPUPerThousand() < b.CPUPerThousand() {
			return -1
		}
		return 1
	})
	return rs[len(rs)/2]
}
