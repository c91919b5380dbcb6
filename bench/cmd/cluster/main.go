// Command cluster measures three nodes on one machine, with certificates between
// them and HAProxy in front: what they cost when nothing happens, what
// replication costs beside one node in the same run, and how long writes stop
// when a node dies. It prints figures with goals beside them and must never
// judge. Start at main.
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
	"slices"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	binary := flag.String("binary", "bin/footfall", "the binary to measure")
	balancer := flag.String("haproxy", "", "HAProxy; looked for when empty")
	settings := flag.String("haproxy-file", "deploy/haproxy/static.cfg", "its settings")
	out := flag.String("out", "", "also write the report to this file")
	seconds := flag.Int("seconds", 5, "length of one measurement of load")
	rounds := flag.Int("rounds", 3, "measurements of each kind, interleaved")
	kills := flag.Int("kills", 20, "nodes killed")
	hangs := flag.Int("hangs", 10, "nodes that vanish without closing a connection")
	only := flag.String("only", "", "comma list of: idle, load, failover")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var text strings.Builder
	r := &report{ctx: ctx, out: io.MultiWriter(os.Stdout, &text), binary: *binary, haproxy: *balancer, settings: *settings,
		length: time.Duration(*seconds) * time.Second, rounds: *rounds, kills: *kills, hangs: *hangs}
	r.head()
	for _, part := range []struct {
		name string
		run  func() error
	}{{"idle", r.idle}, {"load", r.load}, {"failover", r.failover}} {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), part.name) {
			continue
		}
		if err := part.run(); err != nil {
			log.Fatalf("%s: %v", part.name, err)
		}
	}
	if *out == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, []byte(text.String()), 0o644); err != nil {
		log.Fatal(err)
	}
}

type report struct {
	ctx               context.Context
	out               io.Writer
	binary            string
	haproxy, settings string
	length            time.Duration
	rounds            int
	kills, hangs      int
}

func (r *report) printf(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

func (r *report) head() {
	r.printf("# A cluster measured\n\n%s · %d cores · %s/%s, %s · load of the machine before: %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), machineLoad())
	r.printf("Three nodes, HAProxy and the clients share the machine. Read the ratios.\n\n")
}

// machineLoad is the average of a minute, as Linux tells it.
func machineLoad() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "not known"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// sleep waits unless the run is broken off.
func (r *report) sleep(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}
