// Command dashboards measures open dashboards on a real binary: how long it
// takes from a view's 202 until the figure on an open page has changed, and what
// many open pages of one busy site cost the server. A page is an HTTP client
// that does what the dashboard's page of a site does: it follows the stream of
// changes and asks again at the same pace. It must never judge; goals stand
// beside the figures. Start at main.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"footfall/bench/driver"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

type run struct {
	ctx     context.Context
	binary  string
	history int           // views before the measurement
	views   int           // of the first part
	pages   int           // of the second part
	rate    float64       // views per second beside them
	span    time.Duration // of the second part
	pace    pace
	out     io.Writer
}

func (r *run) printf(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

func main() {
	log.SetFlags(log.Ltime)
	r := &run{}
	flag.StringVar(&r.binary, "binary", "bin/footfall", "the binary to measure")
	flag.IntVar(&r.history, "history", 50_000, "views of the last seven days that are there before")
	flag.IntVar(&r.views, "views", 150, "views whose way onto the page is measured")
	flag.IntVar(&r.pages, "pages", 1000, "open pages of the busy site; 0 leaves them out")
	flag.Float64Var(&r.rate, "rate", 100, "views per second of the busy site")
	flag.DurationVar(&r.span, "span", 30*time.Second, "how long the busy site is measured")
	flag.DurationVar(&r.pace.figures, "figures", usual.figures, "least time between two askings for the figures, as the page has it")
	flag.DurationVar(&r.pace.rest, "rest", usual.rest, "least time between two askings for chart and panels, as the page has it")
	out := flag.String("out", "", "also write the report to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r.ctx = ctx
	var text strings.Builder
	r.out = io.MultiWriter(os.Stdout, &text)
	err := r.all()
	if *out != "" && text.Len() > 0 {
		if made := os.MkdirAll(filepath.Dir(*out), 0o755); made != nil && err == nil {
			err = made
		}
		if wrote := os.WriteFile(*out, []byte(text.String()), 0o644); wrote != nil && err == nil {
			err = wrote
		}
	}
	if err != nil {
		stop()
		log.Fatal(err)
	}
}

func (r *run) all() error {
	n, err := node.Start(r.binary, "")
	if err != nil {
		return err
	}
	defer n.Stop()
	s, err := prepare(n, (r.pages+pagesPerReader-1)/pagesPerReader+1, r.history)
	if err != nil {
		return err
	}
	r.printf("# Open dashboards\n\n%d CPUs, %s, %s/%s; client and server share the machine.\n\n", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if err := r.oneView(s); err != nil || r.pages == 0 {
		return err
	}
	return r.manyPages(s)
}

// oneView measures the way of single views onto an open page.
func (r *run) oneView(s *scene) error {
	log.Printf("%d views, one page", r.views)
	took, err := s.follow(r.ctx, r.pace, r.views)
	if err != nil {
		return err
	}
	r.printf("## From a view's 202 to the changed figure\n\n%d views on a quiet site, one open page\n\n", r.views)
	r.printf("| p50 ms | p95 ms | p99 ms | goal |\n|---|---|---|---|\n| %.0f | %.0f | %.0f | p95 < 1,000 |\n\n", ms(took, 50), ms(took, 95), ms(took, 99))
	return nil
}

// manyPages measures the server with views alone, then with the pages open.
func (r *run) manyPages(s *scene) error {
	mix := traffic.Mix{Sites: 1, Pages: 200, Agents: 100, Addresses: 5000, Seed: 7, Host: s.node.Addr, Path: "/api/event"}
	load := driver.Load{Addr: s.node.Addr, Mix: mix, Connections: 8, Duration: r.span, Rate: r.rate, PID: s.node.PID()}
	log.Print("views alone")
	alone, err := driver.Run(r.ctx, load)
	if err != nil {
		return err
	}
	log.Printf("%d pages", r.pages)
	open, err := s.open(r.ctx, r.pace, r.pages)
	if err != nil {
		return err
	}
	defer open.close()
	load.Mix.Seed++
	warm := load
	warm.Duration = 5 * time.Second
	if _, err := driver.Run(r.ctx, warm); err != nil {
		return err
	}
	asked, pushed := open.asked.Load(), open.pushed.Load()
	load.Mix.Seed++
	probe := open.probe(r.ctx, s)
	result, err := driver.Run(r.ctx, load)
	took, failed := probe.end()
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	seconds := result.Elapsed.Seconds()
	r.printf("## %d open pages of one site, %.0f views a second\n\n", r.pages, r.rate)
	r.printf("| pages | views/s | pushes/s | questions/s | refused | server's CPU, cores | goal | view's 202 to a page's figures, p50 / p95 ms |\n|---|---|---|---|---|---|---|---|\n")
	r.printf("| 0 | %.0f | 0 | 0 | 0 | %.3f | | |\n", alone.PerSecond(), alone.CPU.Seconds()/alone.Elapsed.Seconds())
	r.printf("| %d | %.0f | %.0f | %.0f | %d | %.3f | < 0.5 | %.0f / %.0f |\n\n", r.pages, result.PerSecond(), float64(open.pushed.Load()-pushed)/seconds,
		float64(open.asked.Load()-asked)/seconds, open.refused.Load(), result.CPU.Seconds()/seconds, ms(took, 50), ms(took, 95))
	return open.failure()
}
