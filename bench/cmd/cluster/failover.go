package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"footfall/bench/fleet"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

// sitesMax is how many sites are made: enough for nearly every shard to have one.
const sitesMax = 1200

// failover measures how long writes to the shards of a node stop that dies.
func (r *report) failover() error {
	f, err := r.start()
	if err != nil {
		return err
	}
	defer f.stop()
	if err := f.Nodes[0].AddSites(sitesMax, traffic.Domain); err != nil {
		return err
	}
	for i := range sitesMax {
		if i%100 == 0 || i == sitesMax-1 {
			if err := f.knows(traffic.Domain(i)); err != nil {
				return err
			}
		}
	}
	sites, err := f.sitesByShard()
	if err != nil {
		return err
	}
	lb, err := f.balance()
	if err != nil {
		return err
	}
	defer lb.stop()
	r.printf("## Failover: a node with a third of the leaders, %d shards have a site that is written to\n\n", len(sites))
	r.printf("Time from the fault until a view of each affected shard, sent to a surviving node, is on a majority again (its answer carries a token).\n\n")
	r.printf("| fault | times | shards measured | median ms | p99 ms | max ms | goal | beacons at the balancer | failed | reads of standbys | failed |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, fault := range []struct {
		name, goal string
		times      int
		strike     func(*fleet.Node) error
		heal       func(*fleet.Node) error
	}{
		{"SIGKILL", "median < 100, p99 < 1,000", r.kills,
			func(m *fleet.Node) error { m.Kill(); return nil }, f.Begin},
		{"vanished (SIGSTOP: no connection ends)", "p99 < 1,500", r.hangs,
			func(m *fleet.Node) error { return send(m, syscall.SIGSTOP) },
			func(m *fleet.Node) error { return send(m, syscall.SIGCONT) }},
	} {
		if fault.times == 0 {
			continue
		}
		var all []time.Duration
		var load background
		for i := range fault.times {
			if err := f.Placed(r.ctx); err != nil {
				return err
			}
			times, err := f.round(f.Nodes[i%size], lb, sites, fault.strike, &load)
			if err != nil {
				return err
			}
			all = append(all, times...)
			if err := fault.heal(f.Nodes[i%size]); err != nil {
				return err
			}
		}
		slices.Sort(all)
		r.printf("| %s | %d | %d | %s | %s | %s | %s | %d | %d | %d | %d |\n", fault.name, fault.times, len(all), ms(quantile(all, 50)), ms(quantile(all, 99)), ms(quantile(all, 100)),
			fault.goal, load.views.Load(), load.viewsFailed.Load(), load.reads.Load(), load.readsFailed.Load())
		if text := load.first.Load(); text != nil {
			r.printf("\nThe first failure: %s\n\n", *text)
		}
	}
	r.printf("\nLoad of the machine after: %s\n\n", machineLoad())
	return nil
}

func send(m *fleet.Node, s syscall.Signal) error { return syscall.Kill(m.PID(), s) }

func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

// pause of a visitor or reader between two requests: the nodes are what is
// measured, not how many clients fit beside them.
const pause = 10 * time.Millisecond

// background counts what happens beside a fault.
type background struct {
	views, viewsFailed, reads, readsFailed atomic.Int64
	first                                  atomic.Pointer[string]
}

func (b *background) fail(failed *atomic.Int64, what string) {
	failed.Add(1)
	b.first.CompareAndSwap(nil, &what)
}

// round strikes one node and gives, for each shard that it led, how long it took
// until a view was on a majority again.
func (f *trio) round(victim *fleet.Node, lb *balancer, sites map[uint16]string, strike func(*fleet.Node) error, load *background) ([]time.Duration, error) {
	var rest []*fleet.Node
	for _, m := range f.Nodes {
		if m != victim {
			rest = append(rest, m)
		}
	}
	p, err := f.Picture(f.r.ctx, rest[0])
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); p, err = f.Picture(f.r.ctx, rest[0]) {
		if err := f.r.sleep(lookEvery); err != nil { // the control group may have no leader for a moment
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	var hit []string
	for _, s := range p.Shards {
		if site := sites[s.ID]; s.Leader == victim.Number && site != "" {
			hit = append(hit, site)
		}
	}
	beside, stop := context.WithCancel(f.r.ctx)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { f.visit(beside, lb, sites, load, i) })
	}
	for i := range 2 {
		wg.Go(func() { f.read(beside, rest[i], sites, load, i) })
	}
	times, errs := make([]time.Duration, len(hit)), make([]error, len(hit))
	var writers sync.WaitGroup
	start := time.Now()
	err = strike(victim)
	for i, site := range hit {
		writers.Go(func() { times[i], errs[i] = f.resume(rest[i%2], site, start) })
	}
	writers.Wait()
	stop()
	wg.Wait()
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	return times, err
}

// resumeMax ends a measurement that comes to nothing.
const resumeMax = time.Minute

// resume sends views of a site until one is on a majority.
func (f *trio) resume(m *fleet.Node, site string, start time.Time) (time.Duration, error) {
	for time.Since(start) < resumeMax {
		status, header, err := f.view(f.r.ctx, "http://"+m.Addr, site)
		if err != nil {
			return 0, err
		}
		if status == http.StatusAccepted && header.Get("X-Footfall-Token") != "" {
			return time.Since(start), nil
		}
		<-time.After(pause) // what is spooled is delivered first: a loop without a rest measures its own backlog
	}
	return 0, fmt.Errorf("%s: no view reaches a majority in %v", site, resumeMax)
}

// view reports a page view.
func (f *trio) view(ctx context.Context, base, site string) (int, http.Header, error) {
	body := fmt.Sprintf(`{"n":"pageview","d":%q,"u":"https://%s/"}`, site, site)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/event", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	return f.do(req)
}

func (f *trio) do(req *http.Request) (int, http.Header, error) {
	res, err := f.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header, err
}

// visit goes through the balancer until ctx ends.
func (f *trio) visit(ctx context.Context, lb *balancer, sites map[uint16]string, load *background, n int) {
	for ctx.Err() == nil {
		for shard, site := range sites {
			if int(shard)%4 != n || ctx.Err() != nil {
				continue
			}
			<-time.After(pause)
			status, _, err := f.view(f.r.ctx, lb.url, site)
			load.views.Add(1)
			if err != nil || status != http.StatusAccepted {
				load.fail(&load.viewsFailed, fmt.Sprintf("a beacon: %d %v", status, err))
			}
		}
	}
}

// read asks one node about all sites until ctx ends.
func (f *trio) read(ctx context.Context, m *fleet.Node, sites map[uint16]string, load *background, n int) {
	for ctx.Err() == nil {
		for shard, site := range sites {
			if int(shard)%2 != n || ctx.Err() != nil {
				continue
			}
			<-time.After(pause)
			status, err := f.ask(m, site)
			load.reads.Add(1)
			if err != nil || status != http.StatusOK {
				load.fail(&load.readsFailed, fmt.Sprintf("a read: %d %v", status, err))
			}
		}
	}
}

func (f *trio) ask(m *fleet.Node, site string) (int, error) {
	body := fmt.Sprintf(`{"site_id":%q,"metrics":["pageviews"],"date_range":"all"}`, site)
	req, err := http.NewRequestWithContext(f.r.ctx, http.MethodPost, "http://"+m.Addr+"/api/v2/query", bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+m.Token)
	status, _, err := f.do(req)
	return status, err
}

// knows waits until every node answers about a site.
func (f *trio) knows(site string) error {
	for _, m := range f.Nodes {
		for end := time.Now().Add(time.Minute); ; {
			status, err := f.ask(m, site)
			if err == nil && status == http.StatusOK {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("%s does not know %s: %d %w", m.Name, site, status, err)
			}
			if err := f.r.sleep(lookEvery); err != nil {
				return err
			}
		}
	}
	return nil
}

// sitesByShard finds one site for each shard, which the token of a view names.
func (f *trio) sitesByShard() (map[uint16]string, error) {
	var mu sync.Mutex
	sites := map[uint16]string{}
	err := node.Each(sitesMax, func(_ *http.Client, i int) error {
		for range 100 {
			status, header, err := f.view(f.r.ctx, "http://"+f.Nodes[0].Addr, traffic.Domain(i))
			if err != nil || status != http.StatusAccepted {
				return fmt.Errorf("a view of %s: %d %w", traffic.Domain(i), status, err)
			}
			text, _, ok := strings.Cut(header.Get("X-Footfall-Token"), "-")
			if !ok {
				continue // it was spooled
			}
			shard, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			sites[uint16(shard)] = traffic.Domain(i)
			return nil
		}
		return fmt.Errorf("%s: no view of it reaches a majority", traffic.Domain(i))
	})
	return sites, err
}

// balancer is a running HAProxy.
type balancer struct {
	url string
	cmd *exec.Cmd
}

func (b *balancer) stop() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

// balance starts HAProxy in front of the nodes and waits until it serves.
func (f *trio) balance() (*balancer, error) {
	path := f.r.haproxy
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		return nil, fmt.Errorf("HAProxy is missing")
	}
	bind, err := node.FreeAddr()
	if err != nil {
		return nil, err
	}
	stats, err := node.FreeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "-db", "-f", f.r.settings)
	cmd.Env = append(os.Environ(), "FOOTFALL_BIND="+bind, "FOOTFALL_BIND_STATS="+stats, "FOOTFALL_SOCKET="+filepath.Join(f.Dir, "haproxy"))
	for i, m := range f.Nodes {
		cmd.Env = append(cmd.Env, fmt.Sprintf("FOOTFALL_NODE_%d=%s", i+1, m.Addr))
	}
	p, err := os.Create(filepath.Join(f.Dir, "haproxy.log"))
	if err != nil {
		return nil, err
	}
	defer p.Close()
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start HAProxy: %w", err)
	}
	b := &balancer{url: "http://" + bind, cmd: cmd}
	for end := time.Now().Add(30 * time.Second); ; {
		res, err := f.http.Get("http://" + stats + "/alive")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return b, nil
			}
		}
		if time.Now().After(end) {
			b.stop()
			return nil, fmt.Errorf("HAProxy finds no node: %w", err)
		}
		if err := f.r.sleep(lookEvery); err != nil {
			b.stop()
			return nil, err
		}
	}
}
