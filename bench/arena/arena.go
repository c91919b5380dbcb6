// Package arena brings together what a measurement needs: servers, far ones or
// ones that it runs itself, their sites and keys, and the comparison of what
// they acknowledged with what they count. It must never load servers with
// anything but the scenario. Start at Local, Remote and Measure.
package arena

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"footfall/bench/api"
	"footfall/bench/conserve"
	"footfall/bench/dialect"
	"footfall/bench/fleet"
	"footfall/bench/ledger"
	"footfall/bench/load"
	"footfall/bench/node"
	"footfall/bench/probe"
	"footfall/bench/results"
	"footfall/bench/scenario"
)

// Arena is servers that are ready to be measured.
type Arena struct {
	Targets []*load.Target
	Servers []load.Server

	api      []*api.Client // one per target; none for servers that are no Footfall
	operator bool          // the key is an operator's
	fleet    *fleet.Fleet
	http     *http.Client
	made     map[string]bool // sites that are there
	viewers  []string        // keys of those who watch
	nodes    int
}

// Keys are the credentials for far servers.
type Keys struct {
	Main  string // the operator's token, or a key of scope sites:provision
	Stats string // a key of scope stats:read
	Write string // a key of scope events:write, for the native dialect
}

// Local runs nodes of a binary on this machine, which Close ends.
func Local(ctx context.Context, binary string, nodes int, flags ...string) (*Arena, error) {
	f, err := fleet.Start(ctx, binary, nodes, flags...)
	if err != nil {
		return nil, err
	}
	a := empty()
	a.fleet, a.operator, a.nodes = f, true, nodes
	for i, p := range f.Nodes {
		a.Targets = append(a.Targets, &load.Target{Addr: p.Addr, To: dialect.To{Host: p.Addr, Bearer: p.Token}})
		a.api = append(a.api, &api.Client{URL: "http://" + p.Addr, Key: p.Token, HTTP: a.http})
		a.Servers = append(a.Servers, load.Server{Name: fmt.Sprintf("node %d", i+1), Addr: p.Addr,
			Probe: &probe.Metrics{URL: "http://" + p.Addr + "/metrics", Bearer: p.Token, Client: a.http},
			Disk:  func() int64 { return node.DirSize(p.Dir) }})
	}
	return a, nil
}

func empty() *Arena { return &Arena{http: api.NewHTTP(), made: map[string]bool{}} }

// Remote takes servers at addresses, http://host:port/base. They are Footfall
// nodes if keys.Main is given; otherwise nothing is made and nothing compared.
func Remote(addresses []string, keys Keys) (*Arena, error) {
	a := empty()
	for i, text := range addresses {
		t, base, err := Target(text)
		if err != nil {
			return nil, err
		}
		t.To.Bearer = keys.Main
		if keys.Write != "" {
			t.To.Bearer = keys.Write
		}
		a.Targets = append(a.Targets, t)
		a.Servers = append(a.Servers, load.Server{Name: fmt.Sprintf("server %d", i+1), Addr: t.To.Host,
			Probe: &probe.Metrics{URL: base + "/metrics", Bearer: keys.Main, Client: a.http}})
		if keys.Main != "" {
			a.api = append(a.api, &api.Client{URL: base, Key: keys.Main, Stats: keys.Stats, HTTP: a.http})
		}
	}
	if len(a.Targets) == 0 {
		return nil, errors.New("--target: give at least one, or --local")
	}
	if keys.Stats != "" {
		a.viewers = []string{keys.Stats}
	}
	return a, nil
}

// Target understands an address, and gives it back as a URL without a slash at
// its end.
func Target(text string) (*load.Target, string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, "", fmt.Errorf("--target: %q is not like http://stats.example.com:8080", text)
	}
	t := &load.Target{Addr: u.Host, To: dialect.To{Host: u.Host, Base: strings.TrimRight(u.EscapedPath(), "/")}}
	if u.Port() == "" {
		t.Addr = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	if u.Scheme == "https" {
		t.TLS = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	}
	return t, u.Scheme + "://" + u.Host + t.To.Base, nil
}

// Close ends what Local started.
func (a *Arena) Close() {
	if a.fleet != nil {
		a.fleet.Stop()
	}
	a.http.CloseIdleConnections()
}

// Options are what one measurement may be told.
type Options struct {
	Commit   string
	Run      uint64 // no other run against the servers has it
	Closed   bool
	Check    bool // compare acknowledged and counted
	Drain    time.Duration
	Now      func() time.Time
	Progress func(load.Progress)
}

const (
	viewersPerKey = 24 // live streams that a node gives one key
	pagesMax      = 1_000_000
	viewsMax      = 500_000 // expected, for pages to be compared by themselves
	seenMax       = time.Minute
	endMax        = 5 * time.Minute
)

// Measure makes the sites that are missing, runs the scenario and compares. The
// results of an interrupted run are compared, too.
func (a *Arena) Measure(ctx context.Context, s *scenario.Scenario, o Options) (*results.Run, error) {
	domains := make([]string, s.Sites.Count)
	for i := range domains {
		domains[i] = s.Domain(i)
	}
	if err := a.prepare(ctx, s, domains); err != nil {
		return nil, err
	}
	pages := 0
	if s.Check.Pages == "always" || s.Check.Pages == "auto" && s.Pages.Count*s.Sites.Count <= pagesMax && expected(s) <= viewsMax && !o.Closed {
		pages = s.Pages.Count
	}
	plan := load.Plan{Scenario: s, Targets: a.Targets, Servers: a.Servers, Run: o.Run, Closed: o.Closed, Commit: o.Commit, Drain: o.Drain,
		Progress: o.Progress, ViewerKeys: a.viewers}
	var check *conserve.Check
	asker := a.asker()
	if o.Check = o.Check && !s.Check.Off && asker != nil; o.Check {
		plan.Ledger = ledger.New(s.Sites.Count, pages)
		asker.From, asker.To = o.Now().AddDate(0, 0, -1), o.Now().AddDate(0, 0, 1)
		var err error
		if check, err = conserve.Begin(ctx, asker, domains, pages); err != nil {
			return nil, err
		}
	}
	run, err := load.Run(ctx, plan)
	if err != nil {
		return nil, err
	}
	run.Nodes = a.nodes
	if a.nodes > 0 {
		run.Replicas = min(3, a.nodes)
	}
	if check != nil {
		// Also after Ctrl-C: what was acknowledged until then has to be there.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Check.Wait+endMax)
		defer cancel()
		if run.Conservation, err = check.End(limit, plan.Ledger, s.Check.Wait); err != nil {
			run.Notes = append(run.Notes, "Acknowledged and counted views were not compared: "+err.Error())
			return run, err
		}
	}
	return run, nil
}

// expected is about how many events the scenario sends.
func expected(s *scenario.Scenario) (sum float64) {
	for _, p := range append(s.Pieces(), s.FloodPieces()...) {
		sum += (p.From + p.To) / 2 * p.Length.Seconds()
	}
	return sum * float64(s.Array)
}

func (a *Arena) asker() *api.Client {
	if len(a.api) == 0 {
		return nil
	}
	return a.api[0]
}

// prepare makes sites and keys.
func (a *Arena) prepare(ctx context.Context, s *scenario.Scenario, domains []string) error {
	if len(a.api) == 0 {
		if s.Queries.Dashboard+s.Queries.API+float64(s.Queries.Viewers) > 0 {
			return errors.New("--key: needed for a scenario with queries")
		}
		return nil
	}
	var missing []string
	for _, d := range domains {
		if !a.made[d] {
			missing = append(missing, d)
		}
	}
	if len(missing) > 0 {
		if err := a.api[0].AddSites(ctx, missing); err != nil {
			return err
		}
		if err := a.seen(ctx, missing[len(missing)-1]); err != nil {
			return err
		}
		for _, d := range missing {
			a.made[d] = true
		}
	}
	if a.operator {
		for len(a.viewers)*viewersPerKey < s.Queries.Viewers {
			key, err := a.api[0].NewKey(ctx, "bench viewers", "stats:read")
			if err != nil {
				return err
			}
			a.viewers = append(a.viewers, key)
		}
	}
	return nil
}

// seen waits until all nodes know a site.
func (a *Arena) seen(ctx context.Context, domain string) error {
	limit, cancel := context.WithTimeout(ctx, seenMax)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, c := range a.api {
		for {
			err := c.Knows(limit, domain)
			if err == nil {
				break
			}
			select {
			case <-tick.C:
			case <-limit.Done():
				return fmt.Errorf("%s does not know the sites: %w", c.URL, err)
			}
		}
	}
	return nil
}

// Process takes a server that runs on this machine and is no Footfall: its CPU
// and memory are read from the system, nothing is made and nothing compared.
func Process(p *node.Process, name string) *Arena {
	a := empty()
	a.Targets = []*load.Target{{Addr: p.Addr, To: dialect.To{Host: p.Addr}}}
	a.Servers = []load.Server{{Name: name, Addr: p.Addr, Probe: probe.Process{PID: p.PID()}}}
	return a
}
