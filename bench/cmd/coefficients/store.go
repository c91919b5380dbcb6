package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"footfall/bench/datadir"
	"footfall/bench/driver"
	"footfall/bench/history"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

// Amounts that bytes are measured by.
const (
	knownSites    = 20_000
	activeSites   = 4_000
	fewVisitors   = 2_000
	manyVisitors  = 300_000
	viewsOfFew    = 300_000
	viewsOfMany   = 300_000
	sealedViews   = 1_000_000
	sealedDays    = 30
	questionsEach = 60
)

// memory measures what sites, visitors and views keep in memory. The figure
// that is compared is the collector's next goal: what lives and what may be left
// lying between two collections.
func (m *measurement) memory() error {
	dir, err := os.MkdirTemp("", "footfall-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n, err := m.start(1)
	if err != nil {
		return err
	}
	defer func() { n.Stop() }()
	rest, err := driver.Resident(n.PID())
	if err != nil {
		return err
	}
	m.c.Memory.RestBytes = float64(rest)
	goal := func() float64 {
		x, metricErr := n.Metric("go_memstats_next_gc_bytes")
		if metricErr != nil {
			err = metricErr
		}
		return x
	}
	empty := goal()
	if err := n.AddSites(knownSites, func(i int) string { return traffic.Domain(i + 1) }); err != nil {
		return err
	}
	known := goal()
	m.c.Memory.KnownSiteBytes = max(0, known-empty) / knownSites
	if err := n.VisitEach(activeSites, traffic.Domain); err != nil {
		return err
	}
	active := goal()
	m.c.Memory.ActiveSiteBytes = max(0, active-known) / activeSites
	n.Stop()

	again, err := node.Start(m.binary, dir)
	if err != nil {
		return err
	}
	n = again
	if err := n.AddSites(10, traffic.Domain); err != nil {
		return err
	}
	x0 := goal()
	if err := m.fill(n, viewsOfFew, fewVisitors, 1, nil); err != nil {
		return err
	}
	x1 := goal()
	if err := m.fill(n, viewsOfMany, manyVisitors, 2, nil); err != nil {
		return err
	}
	x2 := goal()
	visitors := distinct(viewsOfMany, manyVisitors)
	fresh := max(0, x1-x0) / viewsOfFew // its rows are still in memory
	m.c.Memory.VisitorBytes = max(0, x2-x1-viewsOfMany*fresh) / visitors
	// After a start, what records hold is on disk only.
	n.Stop()
	if again, err = node.Start(m.binary, dir); err != nil {
		return err
	}
	n = again
	if err := n.VisitEach(10, traffic.Domain); err != nil {
		return err
	}
	x3 := goal()
	m.c.Memory.ViewBytes = max(0, x3-x0-visitors*m.c.Memory.VisitorBytes) / (viewsOfFew + viewsOfMany)
	m.c.Memory.FreshViewBytes = max(0, fresh-m.c.Memory.ViewBytes)
	fmt.Fprintf(m.out, "Memory: %.0f MB at rest; %.0f bytes a known site, %.0f an active one, %.0f a visitor, %.0f a view and %.0f more before it is in the store.\n\n", m.c.Memory.RestBytes/(1<<20),
		m.c.Memory.KnownSiteBytes, m.c.Memory.ActiveSiteBytes, m.c.Memory.VisitorBytes, m.c.Memory.ViewBytes, m.c.Memory.FreshViewBytes)
	return err
}

// distinct is how many of n are drawn by so many draws.
func distinct(draws, n float64) float64 {
	left := 1.0
	for range int(draws) {
		left *= 1 - 1/n
	}
	return n * (1 - left)
}

// fill sends views of so many visitors as fast as they are taken; peek is called
// a few times a second.
func (m *measurement) fill(n *node.Process, views, visitors int, seed uint64, peek func()) error {
	mix := traffic.Usual()
	mix.Addresses, mix.Seed = visitors, seed
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if peek != nil {
					peek()
				}
			case <-done:
				return
			}
		}
	}()
	x, err := driver.Run(m.ctx, driver.Load{Addr: n.Addr, Mix: mix, Connections: connections, Duration: 10 * time.Minute, Requests: views, PID: n.PID()})
	close(done)
	<-watched
	if err == nil && x.Refused+x.Failed > 0 {
		err = fmt.Errorf("%d of %d views were refused or not answered", x.Refused+x.Failed, x.Answers)
	}
	return err
}

// disk measures views of a running day in a node that was stopped in order, and
// views of sealed days in a directory that is filled as a node would.
func (m *measurement) disk() error {
	dir, err := os.MkdirTemp("", "footfall-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n, err := node.Start(m.binary, dir)
	if err != nil {
		return err
	}
	stop := func() { n.Stop() }
	defer func() { stop() }()
	if err := n.AddSites(10, traffic.Domain); err != nil {
		return err
	}
	peak := int64(0)
	if err := m.fill(n, viewsOfMany, 50_000, 3, func() { peak = max(peak, node.DirSize(dir)) }); err != nil {
		return err
	}
	n.Stop()
	if n, err = node.Start(m.binary, dir); err != nil { // what the log holds leaves it
		stop = func() {}
		return err
	}
	n.Settle()
	n.Stop()
	stop = func() {}
	settled := node.DirSize(dir)
	m.c.Disk.UnsealedBytes = float64(settled) / viewsOfMany
	// The log is cut when records hold it, 64 MiB at most, and the store rewrites
	// as much at a time.
	m.c.Disk.LogBytes = max(float64(peak-settled), 2*64<<20)

	d, err := datadir.Open(dir + "-sealed")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir + "-sealed")
	today := time.Now().UTC().Truncate(24 * time.Hour)
	id, err := d.CreateSite(traffic.Domain(0))
	if err == nil {
		g := history.NewWorld(1).Generator(history.Options{Seed: 1, Views: sealedViews, Days: sealedDays, End: today.AddDate(0, 0, -2), Host: traffic.Domain(0)})
		err = d.Fill(m.ctx, id, g, func(int) {})
	}
	if closed := d.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if n, err = node.Start(m.binary, dir+"-sealed"); err != nil { // what was written last leaves the store's log
		return err
	}
	n.Settle()
	n.Stop()
	m.c.Disk.SealedBytes = float64(node.DirSize(dir+"-sealed")) / sealedViews
	fmt.Fprintf(m.out, "Disk: %.1f bytes a view of a running day, %.1f of a sealed one, %.0f MB of log.\n\n", m.c.Disk.UnsealedBytes, m.c.Disk.SealedBytes, m.c.Disk.LogBytes/(1<<20))
	return nil
}

// network measures a request as browsers send it, its answer, and what a view
// takes up in the log, which is what nodes send each other.
func (m *measurement) network() error {
	n, err := m.start(10)
	if err != nil {
		return err
	}
	defer n.Stop()
	src, sent := traffic.New(traffic.Usual(), 1), 0
	const views = 2000
	c, err := net.Dial("tcp", n.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	received := 0
	var buf, in []byte
	in = make([]byte, 4096)
	before, err := n.Metric("footfall_log_unflushed_bytes")
	if err != nil {
		return err
	}
	for range views {
		buf = src.Append(buf[:0])
		sent += len(buf)
		if _, err := c.Write(buf); err != nil {
			return err
		}
		got := 0
		for !bytes.Contains(in[:got], []byte("\r\n\r\n")) { // answers have no body beyond a few bytes, which come with their head
			k, err := c.Read(in[got:])
			if err != nil {
				return err
			}
			got += k
		}
		received += got
	}
	after, err := n.Metric("footfall_log_unflushed_bytes")
	if err != nil {
		return err
	}
	m.c.Network.RequestBytes, m.c.Network.AnswerBytes, m.c.Network.EntryBytes = float64(sent)/views, float64(received)/views, (after-before)/views
	fmt.Fprintf(m.out, "Network: %.0f bytes a request, %.0f its answer, %.0f a view from node to node.\n\n", m.c.Network.RequestBytes, m.c.Network.AnswerBytes, m.c.Network.EntryBytes)
	return nil
}

// questions measures what a dashboard's questions cost beside views: none is
// answered from memory, because a view comes in before each.
func (m *measurement) questions() error {
	n, err := m.start(1)
	if err != nil {
		return err
	}
	defer n.Stop()
	if err := m.fillOne(n); err != nil {
		return err
	}
	before, err := driver.CPU(n.PID())
	if err != nil {
		return err
	}
	asked := 0
	for range questionsEach {
		for _, dimensions := range [][]string{{}, {"event:page"}, {"visit:source"}, {"visit:country"}, {"visit:browser"}} {
			if err := n.VisitEach(1, traffic.Domain); err != nil {
				return err
			}
			if err := ask(n, dimensions); err != nil {
				return err
			}
			asked++
		}
	}
	after, err := driver.CPU(n.PID())
	if err != nil {
		return err
	}
	m.c.CPU.QuestionMillis = 1e3 * (after - before).Seconds() / float64(asked)
	fmt.Fprintf(m.out, "A question costs %.2f ms of CPU on a site of %d views today.\n\n", m.c.CPU.QuestionMillis, viewsOfMany/10)
	return nil
}

func (m *measurement) fillOne(n *node.Process) error {
	mix := traffic.Usual()
	mix.Sites, mix.Addresses = 1, 10_000
	_, err := driver.Run(m.ctx, driver.Load{Addr: n.Addr, Mix: mix, Connections: connections, Duration: time.Minute, Requests: viewsOfMany / 10, PID: n.PID()})
	return err
}

func ask(n *node.Process, dimensions []string) error {
	body, err := json.Marshal(map[string]any{"site_id": traffic.Domain(0), "metrics": []string{"visitors", "pageviews"}, "date_range": "day", "dimensions": dimensions})
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+n.Addr+"/api/v2/query", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+n.Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var text bytes.Buffer
		_, _ = text.ReadFrom(res.Body)
		return fmt.Errorf("POST /api/v2/query: %s: %s", res.Status, text.String())
	}
	return nil
}
