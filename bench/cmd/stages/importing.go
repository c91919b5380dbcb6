package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"footfall/bench/driver"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

// importing measures `footfall import` of a combined log into a node beside it,
// on the cores that both share.
func (r *report) importing(lines int) error {
	dir, err := os.MkdirTemp("", "footfall-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "access.log")
	if err := makeLog(name, lines); err != nil {
		return err
	}
	var walls, clients, nodes []float64
	for range r.rounds {
		wall, client, server, err := r.importOnce(name)
		if err != nil {
			return err
		}
		walls, clients, nodes = append(walls, wall), append(clients, client), append(nodes, server)
	}
	slices.Sort(walls)
	slices.Sort(clients)
	slices.Sort(nodes)
	mid := len(walls) / 2
	cpu := clients[mid] + nodes[mid]
	r.printf("## Import of a combined log of %d lines, node and importer on the same cores\n\n", lines)
	r.printf("| figure | value | goal |\n|---|---|---|\n")
	r.printf("| lines/s as they passed | %.0f | |\n", float64(lines)/walls[mid])
	r.printf("| µs of CPU per line, importer and node | %.2f + %.2f | |\n", 1e6*clients[mid]/float64(lines), 1e6*nodes[mid]/float64(lines))
	r.printf("| lines/s that the CPU of two cores suffices for | %.0f | ≥ 150,000 |\n\n", 2*float64(lines)/cpu)
	return nil
}

// importOnce gives seconds: passed, of the importer's CPU and of the node's.
func (r *report) importOnce(log string) (wall, client, server float64, err error) {
	n, err := node.Start(r.binary, "")
	if err != nil {
		return 0, 0, 0, err
	}
	defer n.Stop()
	if err := n.AddSites(1, traffic.Domain); err != nil {
		return 0, 0, 0, err
	}
	before, err := driver.CPU(n.PID())
	if err != nil {
		return 0, 0, 0, err
	}
	start := time.Now()
	cmd := exec.CommandContext(r.ctx, r.binary, "import", "--site", traffic.Domain(0), "--format", "combined", "--quiet", "--server", "http://"+n.Addr, "--key", n.Token, log)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, 0, 0, fmt.Errorf("%w: %s", err, out)
	}
	wall = time.Since(start).Seconds()
	after, err := driver.CPU(n.PID())
	if err != nil {
		return 0, 0, 0, err
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, 0, 0, fmt.Errorf("the importer's CPU is not known")
	}
	return wall, time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds(), (after - before).Seconds(), nil
}

// makeLog writes a log with what real ones have: a third of static files, a
// tenth of bots, redirects and errors, queries, referrers, a visitor's lines
// apart from each other, and lines in the order of time.
func makeLog(name string, lines int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	pages := rand.NewZipf(r, 1.1, 1, 20_000)
	agents := traffic.Agents(300, 1)
	bots := []string{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "curl/8.5.0"}
	referrers := []string{"-", "-", "-", "https://www.google.com/", "https://duckduckgo.com/", "https://news.example.org/a/b?c=1", "https://t.co/abc"}
	assets := []string{"/static/app.css", "/static/app.js", "/favicon.ico", "/images/logo.png"}
	start := time.Now().UTC().AddDate(0, 0, -20)
	var b bytes.Buffer
	for i := range lines {
		at := start.Add(time.Duration(i) * 400 * time.Millisecond) // a million lines are four days and a half
		who := r.IntN(40_000)
		agent := agents[who%len(agents)]
		target, status, method := "", 200, "GET"
		switch x := r.IntN(100); {
		case x < 30:
			target = assets[r.IntN(len(assets))]
		case x < 35:
			target = fmt.Sprintf("/shop/search?q=word%d&page=%d", r.IntN(500), r.IntN(5))
		case x < 38:
			method, target = "POST", "/cart"
		default:
			page := pages.Uint64()
			target = fmt.Sprintf("/shop/category-%d/product-%d", page%37, page)
			if x < 42 {
				target += "?utm_source=news&utm_campaign=spring"
			}
		}
		switch x := r.IntN(100); {
		case x < 3:
			status = 404
		case x < 6:
			status = 301
		case x < 10:
			status = 304
		}
		if r.IntN(10) == 0 {
			agent = bots[r.IntN(len(bots))]
		}
		ref := referrers[r.IntN(len(referrers))]
		if r.IntN(3) == 0 {
			ref = "https://" + traffic.Domain(0) + "/"
		}
		b.Reset()
		fmt.Fprintf(&b, "%d.%d.%d.%d - - [%s] \"%s %s HTTP/1.1\" %d %d \"%s\" \"%s\"\n", 80+who%40, who>>8&255, who&255, 1+who%250,
			at.Format("02/Jan/2006:15:04:05 -0700"), method, target, status, 200+r.IntN(90_000), ref, strings.ReplaceAll(agent, `"`, ""))
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
