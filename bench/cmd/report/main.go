// Command report measures one node beside a bare fasthttp server on the same
// machine and in the same run, and what a view and a site cost on disk and in
// memory. It prints ratios: the absolute figures belong to the machine. It must
// never judge; goals stand beside the figures. Start at main.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/bench/driver"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

func main() {
	log.SetFlags(0)
	bare := flag.String("bare", "", "serve as the bare server on this address")
	binary := flag.String("binary", "bin/footfall", "the binary to measure")
	out := flag.String("out", "", "also write the report to this file")
	seconds := flag.Int("seconds", 4, "length of one measurement")
	rounds := flag.Int("rounds", 3, "measurements of each kind, interleaved")
	views := flag.Int("views", 1_000_000, "views for the disk and memory figures")
	sites := flag.Int("sites", 100_000, "sites with one view each")
	only := flag.String("only", "", "comma list of: beacon, disk, sites, idle")
	flag.Parse()
	if *bare != "" {
		if err := serveBare(*bare); err != nil {
			log.Fatal(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var text strings.Builder
	r := &report{ctx: ctx, out: io.MultiWriter(os.Stdout, &text), binary: *binary,
		length: time.Duration(*seconds) * time.Second, rounds: *rounds}
	r.head()
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"beacon", r.beacon},
		{"disk", func() error { return r.disk(*views) }},
		{"sites", func() error { return r.sites(*sites) }},
		{"idle", r.idle},
	} {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), part.name) {
			continue
		}
		if err := part.run(); err != nil {
			log.Fatalf("%s: %v", part.name, err)
		}
	}
	if *out != "" {
		if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(*out, []byte(text.String()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// serveBare is the limit: a server that reads the body and answers 204.
func serveBare(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	n := 0
	s := fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			n += len(ctx.PostBody())
			ctx.SetStatusCode(fasthttp.StatusNoContent)
		},
		NoDefaultServerHeader: true, NoDefaultDate: true, NoDefaultContentType: true, ReduceMemoryUsage: true,
	}
	return s.Serve(ln)
}

type report struct {
	ctx    context.Context
	out    io.Writer
	binary string
	length time.Duration
	rounds int
}

func (r *report) printf(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

func (r *report) head() {
	commit, _ := output("git", "rev-parse", "--short", "HEAD")
	model := "unknown CPU"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimLeft(name, "\t :")
				break
			}
		}
	}
	r.printf("# Footfall measured\n\n%s · commit %s · %d cores, %s · %s/%s, %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		strings.TrimSpace(commit), runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
	r.printf("Generator and server share the machine. Read the ratios.\n\n")
}

// beacon measures the bare server and the beacon, durable and with everything
// on, in turns.
func (r *report) beacon() error {
	bare, err := startBare()
	if err != nil {
		return err
	}
	defer bare.Stop()
	server, err := node.Start(r.binary, "")
	if err != nil {
		return err
	}
	defer server.Stop()
	mix := traffic.Usual()
	if err := server.AddSites(mix.Sites, traffic.Domain); err != nil {
		return err
	}
	r.printf("## Beacon: every view counted and on disk before its 202\n\n")
	r.printf("| connections | server | views/s | CPU ms per 1,000 | p50 ms | p99 ms | refused | ratio of CPU | goal |\n|---|---|---|---|---|---|---|---|---|\n")
	peak := 0.0
	for _, c := range []struct {
		conns int
		goal  float64
	}{{64, 2.0}, {512, 1.6}} {
		var a, b []driver.Result
		for i := range r.rounds {
			for _, s := range []struct {
				p   *node.Process
				dst *[]driver.Result
			}{{bare, &a}, {server, &b}} {
				m := mix
				m.Seed = uint64(100*c.conns + i + 1)
				res, err := driver.Run(r.ctx, driver.Load{Addr: s.p.Addr, Mix: m, Connections: c.conns, Duration: r.length, PID: s.p.PID()})
				if err != nil {
					return err
				}
				*s.dst = append(*s.dst, res)
			}
		}
		x, y := median(a), median(b)
		peak = max(peak, y.PerSecond())
		r.row(c.conns, "bare fasthttp", x, "", "")
		r.row(c.conns, "footfall", y, fmt.Sprintf("%.2f", y.CPUPerThousand()/x.CPUPerThousand()), fmt.Sprintf("≤ %.1f", c.goal))
	}
	m := mix
	m.Seed = 999
	half, err := driver.Run(r.ctx, driver.Load{Addr: server.Addr, Mix: m, Connections: 256, Duration: 2 * r.length, Rate: peak / 2, PID: server.PID()})
	if err != nil {
		return err
	}
	r.printf("\nAt half of the peak rate (%.0f views/s, open loop): p50 %s ms, p99 %s ms (goal: under 20), %d refused.\n\n",
		peak/2, ms(half.Quantile(50)), ms(half.Quantile(99)), half.Refused+half.Failed)
	return nil
}

func (r *report) row(conns int, name string, x driver.Result, ratio, goal string) {
	r.printf("| %d | %s | %.0f | %.2f | %s | %s | %d | %s | %s |\n", conns, name, x.PerSecond(), x.CPUPerThousand(),
		ms(x.Quantile(50)), ms(x.Quantile(99)), x.Refused+x.Failed, ratio, goal)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }

// median picks the result whose CPU per view is in the middle.
func median(rs []driver.Result) driver.Result {
	slices.SortFunc(rs, func(a, b driver.Result) int {
		if a.CPUPerThousand() < b.CPUPerThousand() {
			return -1
		}
		return 1
	})
	return rs[len(rs)/2]
}

// disk sends views and measures what they cost once settled, and how long a
// restart takes.
func (r *report) disk(views int) error {
	dir, err := os.MkdirTemp("", "footfall-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := node.Start(r.binary, dir)
	if err != nil {
		return err
	}
	mix := traffic.Usual()
	mix.Addresses = 200_000
	if err := server.AddSites(mix.Sites, traffic.Domain); err != nil {
		server.Stop()
		return err
	}
	res, err := driver.Run(r.ctx, driver.Load{Addr: server.Addr, Mix: mix, Connections: 256, Duration: 10 * time.Minute, Requests: views, PID: server.PID()})
	if err != nil {
		server.Stop()
		return err
	}
	rss, _ := driver.Resident(server.PID())
	heap, _ := server.Metric("go_memstats_heap_inuse_bytes")
	server.Stop() // flushes
	start := time.Now()
	server, err = node.Start(r.binary, dir)
	if err != nil {
		return err
	}
	ready := time.Since(start)
	server.Settle()
	server.Stop()
	size := node.DirSize(dir)
	r.printf("## Disk and memory\n\n| figure | value | goal |\n|---|---|---|\n")
	r.printf("| views sent, on %d sites | %d | |\n", mix.Sites, res.Answers)
	r.printf("| bytes on disk per view, settled | %.1f | ≤ 12 once the day is sealed |\n", float64(size)/float64(max(1, res.Answers)))
	r.printf("| resident memory after them | %d MB | ≤ 250 MB |\n| heap in use | %.0f MB | |\n", rss>>20, heap/(1<<20))
	r.printf("| restart until ready | %d ms | < 3,000 ms with 5 million |\n\n", ready.Milliseconds())
	return nil
}

// sites measures what sites cost that have had one view each.
func (r *report) sites(n int) error {
	server, err := node.Start(r.binary, "")
	if err != nil {
		return err
	}
	defer server.Stop()
	before, err := server.Metric("go_memstats_heap_inuse_bytes")
	if err != nil {
		return err
	}
	start := time.Now()
	if err := server.AddSites(n, traffic.Domain); err != nil {
		return err
	}
	made := time.Since(start)
	known, err := server.Metric("go_memstats_heap_inuse_bytes")
	if err != nil {
		return err
	}
	few := min(n, 4000) // as many as stay in memory
	if err := server.VisitEach(few, traffic.Domain); err != nil {
		return err
	}
	active, _ := server.Metric("go_memstats_heap_inuse_bytes")
	if err := server.VisitEach(n, traffic.Domain); err != nil {
		return err
	}
	rss, _ := driver.Resident(server.PID())
	resident, _ := server.Metric("footfall_sites_resident")
	r.printf("## Sites\n\n| figure | value | goal |\n|---|---|---|\n")
	r.printf("| sites made, each with a view | %d (made in %.1f s) | |\n", n, made.Seconds())
	r.printf("| heap per known site, idle | %.0f bytes | |\n", (known-before)/float64(n))
	r.printf("| heap per active site, what is not yet collected included | %.0f bytes | |\n", (active-known)/float64(few))
	r.printf("| sites in memory at the end | %.0f | |\n", resident)
	r.printf("| resident memory of the node | %d MB | ≤ 1,024 MB for 100,000 sites |\n\n", rss>>20)
	return nil
}

// idle measures what a node costs that does nothing.
func (r *report) idle() error {
	server, err := node.Start(r.binary, "")
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.AddSites(1, traffic.Domain); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // the start itself is over
	before, err := driver.CPU(server.PID())
	if err != nil {
		return err
	}
	const span = 20 * time.Second
	time.Sleep(span)
	after, err := driver.CPU(server.PID())
	if err != nil {
		return err
	}
	rss, _ := driver.Resident(server.PID())
	r.printf("## Idle\n\n| figure | value | goal |\n|---|---|---|\n")
	r.printf("| CPU | %.2f %% of a core | < 0.5 %% |\n| resident memory | %d MB | < 60 MB |\n\n", 100*float64(after-before)/float64(span), rss>>20)
	return nil
}
