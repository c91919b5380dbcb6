// Command queries measures questions: it starts the real binary on a site of
// many views over twelve months, asks it over HTTP on one connection, quiet and
// while views come in, asks SQLite and DuckDB the same about the same events,
// and prints Markdown tables. Ratios travel, absolute figures belong to the
// machine. It must never judge; goals stand beside the figures. Start at main.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// run is one measurement.
type run struct {
	ctx     context.Context
	out     io.Writer // the report
	binary  string
	peers   string
	keep    string
	seed    uint64
	fresh   bool
	made    map[string]bool // directories of the histories that this run has made
	each    time.Duration   // for the warm asking of a question
	asksMax int             // warm askings of a question
	rate    float64         // views per second while questions are asked
	pause   time.Duration   // after each question while views come in
	parts   string          // comma list of what is measured of the one site
}

// wants tells whether a part of the one site is to be measured.
func (r *run) wants(part string) bool { return slices.Contains(strings.Split(r.parts, ","), part) }

func (r *run) printf(format string, args ...any) { fmt.Fprintf(r.out, format, args...) }

// note tells on stderr how far it is.
func (r *run) note(format string, args ...any) { log.Printf(format, args...) }

func main() {
	log.SetFlags(log.Ltime)
	r := &run{made: map[string]bool{}}
	flag.StringVar(&r.binary, "binary", "bin/footfall", "the binary to measure")
	flag.StringVar(&r.peers, "peers", "bin/peers", "the program of bench/peers; without it no peer is asked")
	flag.StringVar(&r.keep, "keep", filepath.Join(os.TempDir(), "footfall-histories"), "where histories are kept between runs")
	flag.BoolVar(&r.fresh, "fresh", false, "load the node's data anew, as after a change of its format; the peers' files stay")
	flag.Uint64Var(&r.seed, "seed", 1, "of the histories")
	flag.DurationVar(&r.each, "each", 3*time.Second, "how long a question is asked warm")
	flag.IntVar(&r.asksMax, "asks", 200, "how often a question is asked warm at most")
	flag.Float64Var(&r.rate, "rate", 10_000, "views per second that come in beside questions")
	flag.DurationVar(&r.pause, "pause", 0, "rest after each question while views come in")
	flag.StringVar(&r.parts, "parts", "cold,warm,ingest,peers", "what is measured of that site")
	views := flag.Int("views", 10_000_000, "of the site that is asked about; 0 leaves it out")
	sizes := flag.String("sizes", "1,10", "millions of views of the sites that are compared; 50 takes long")
	sites := flag.Int("sites", 0, "sites of the last part, for example 1000000; 0 leaves it out")
	active := flag.Int("active", 1000, "how many of them have views")
	activeViews := flag.Int("active-views", 1000, "views of each of these")
	out := flag.String("out", "", "also write the report to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r.ctx = ctx
	var text strings.Builder
	r.out = io.MultiWriter(os.Stdout, &text)
	err := r.all(*views, *sizes, *sites, *active, *activeViews)
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

func (r *run) all(views int, sizes string, sites, active, activeViews int) error {
	if err := os.MkdirAll(r.keep, 0o755); err != nil {
		return err
	}
	r.head()
	if views > 0 {
		if err := r.site(views); err != nil {
			return err
		}
	}
	counts, err := millions(sizes)
	if err != nil {
		return err
	}
	if len(counts) > 0 {
		if err := r.growth(counts); err != nil {
			return err
		}
	}
	if sites > 0 {
		return r.many(sites, min(active, sites), activeViews)
	}
	return nil
}

// millions reads "1,10" as numbers of views.
func millions(list string) ([]int, error) {
	var out []int
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		x, err := strconv.ParseFloat(item, 64)
		if err != nil || x <= 0 {
			return nil, fmt.Errorf("--sizes: %q is no number of millions", item)
		}
		out = append(out, int(x*1e6))
	}
	return out, nil
}

func (r *run) head() {
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	r.printf("# Questions measured\n\n%s · commit %s · %d cores · %s/%s, %s · seed %d\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		strings.TrimSpace(string(commit)), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), r.seed)
	r.printf("One keep-alive connection over HTTP, asker and node on one machine. Times in ms. Every asking differs in range, value or limit, so that no cache of answers has it; \"cold\" is the first asking after a start of the process, the files being in the system's cache.\n\n")
}
