// Command stages measures parts of a view's way that have goals of their own:
// counting alone, events sent in arrays beside single beacons, and the import of
// a log. It prints ratios and rates per core with the goals beside them. It must
// never judge. Start at main.
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
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"footfall/bench/driver"
)

func main() {
	log.SetFlags(0)
	binary := flag.String("binary", "bin/footfall", "the binary to measure")
	out := flag.String("out", "", "also write the report to this file")
	only := flag.String("only", "", "comma list of: apply, arrays, import")
	seconds := flag.Float64("seconds", 4, "length of one measurement of arrays and beacons")
	rounds := flag.Int("rounds", 3, "measurements of each kind, interleaved")
	lines := flag.Int("lines", 1_000_000, "lines of the imported log")
	views := flag.Int("views", 1_000_000, "views counted for each number of paths")
	profile := flag.String("cpuprofile", "", "write a CPU profile of this process: of counting alone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			log.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	var text strings.Builder
	r := &report{ctx: ctx, out: io.MultiWriter(os.Stdout, &text), binary: *binary, length: time.Duration(*seconds * float64(time.Second)), rounds: *rounds}
	r.printf("# Stages measured\n\n%s · %d cores · %s/%s, %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"apply", func() error { return driver.Locked(func() error { return r.apply(*views) }) }},
		{"arrays", r.arrays},
		{"import", func() error { return r.importing(*lines) }},
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

type report struct {
	ctx    context.Context
	out    io.Writer
	binary string
	length time.Duration
	rounds int
}

func (r *report) printf(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }
