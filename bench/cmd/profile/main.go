// Command profile takes profiles of a development build under load: CPU,
// allocations, mutexes, blocking and the scheduler's trace, of the beacon's way
// at 64 and 512 connections and of heavy questions. It prints where the CPU of a
// view goes by stage, beside the budget. It must never be used on a node that
// serves anybody. Start at main.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"footfall/bench/driver"
	"footfall/bench/node"
	"footfall/bench/traffic"
)

func main() {
	log.SetFlags(0)
	binary := flag.String("binary", "bin/footfall-dev", "the development build to profile")
	out := flag.String("out", "bench/out/profiles", "directory for the profiles")
	seconds := flag.Int("seconds", 5, "length of one profile")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binary, *out, *seconds); err != nil {
		log.Fatal(err)
	}
}

// kinds of profiles, taken one after the other: each disturbs what it measures.
var kinds = []string{"cpu", "allocs", "mutex", "block", "trace"}

func run(ctx context.Context, binary, dir string, seconds int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	n, err := node.Start(binary, "")
	if err != nil {
		return err
	}
	defer n.Stop()
	mix := traffic.Usual()
	if err := n.AddSites(mix.Sites, traffic.Domain); err != nil {
		return err
	}
	var text strings.Builder
	to := io.MultiWriter(os.Stdout, &text)
	fmt.Fprint(to, "# Where the CPU of a view goes\n\n")
	var tables []column
	for _, conns := range []int{64, 512} {
		c, err := beacons(ctx, n, binary, dir, conns, seconds)
		if err != nil {
			return fmt.Errorf("beacons over %d connections: %w", conns, err)
		}
		tables = append(tables, c)
	}
	table(to, tables)
	if err := questions(ctx, n, dir, seconds); err != nil {
		return fmt.Errorf("questions: %w", err)
	}
	fmt.Fprintf(to, "Profiles are in %s: look at them with `go tool pprof -http :0 FILE` and `go tool trace FILE`.\n", dir)
	return os.WriteFile(filepath.Join(dir, "stages.md"), []byte(text.String()), 0o644)
}

// column is a table of stages for a number of connections.
type column struct {
	conns int
	rate  float64 // views a second
	ns    map[string]float64
}

// beacons profiles the beacon's way under a closed loop.
func beacons(ctx context.Context, n *node.Process, binary, dir string, conns, seconds int) (column, error) {
	c := column{conns: conns}
	for i, kind := range kinds {
		mix := traffic.Usual()
		mix.Seed = uint64(100*conns + i)
		length := time.Duration(seconds+2) * time.Second
		if kind == "trace" {
			length = 3 * time.Second // traces are large
		}
		var res driver.Result
		var loadErr error
		var wg sync.WaitGroup
		wg.Go(func() {
			res, loadErr = driver.Run(ctx, driver.Load{Addr: n.Addr, Mix: mix, Connections: conns, Duration: length, PID: n.PID()})
		})
		b, err := fetch(n, kind, int(length/time.Second)-2)
		wg.Wait()
		if err != nil || loadErr != nil {
			return c, fmt.Errorf("%s: %w", kind, firstOf(err, loadErr))
		}
		name := filepath.Join(dir, fmt.Sprintf("beacon-%d.%s", conns, kind))
		if err := os.WriteFile(name, b, 0o644); err != nil {
			return c, err
		}
		if kind != "cpu" {
			continue
		}
		spent, err := stagesOf(ctx, binary, name)
		if err != nil {
			return c, err
		}
		c.rate = res.PerSecond()
		views := c.rate * float64(seconds)
		for k, v := range spent {
			spent[k] = v / views
		}
		c.ns = spent
	}
	return c, nil
}

// questions profiles heavy questions on what the beacons left.
func questions(ctx context.Context, n *node.Process, dir string, seconds int) error {
	bodies := [][]byte{}
	for _, dimensions := range [][]string{{"event:page"}, {"visit:source"}, {"visit:browser", "visit:os"}, {"visit:entry_page"}} {
		b, err := json.Marshal(map[string]any{"site_id": traffic.Domain(0), "metrics": []string{"visitors", "pageviews", "bounce_rate", "visit_duration"},
			"date_range": "day", "dimensions": dimensions, "filters": []any{[]any{"contains", "event:page", []string{"category"}}}})
		if err != nil {
			return err
		}
		bodies = append(bodies, b)
	}
	for _, kind := range kinds {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			wg.Go(func() {
				for k := i; ctx.Err() == nil; k++ {
					if err := ask(ctx, n, bodies[k%len(bodies)]); err != nil && ctx.Err() == nil {
						errs[i] = err
						return
					}
					// A view comes in, so that no answer is taken from memory.
					if err := n.VisitEach(1, traffic.Domain); err != nil && ctx.Err() == nil {
						errs[i] = err
						return
					}
				}
			})
		}
		span := seconds
		if kind == "trace" {
			span = 1
		}
		b, err := fetch(n, kind, span)
		cancel()
		wg.Wait()
		if err := firstOf(err, errs[0], errs[1]); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "questions."+kind), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func ask(ctx context.Context, n *node.Process, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.Addr+"/api/v2/query", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+n.Token)
	req.Header.Set("Content-Type", "application/json")
	return do(req, io.Discard)
}

func fetch(n *node.Process, kind string, seconds int) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/dev/profile?kind=%s&seconds=%d", n.Addr, kind, seconds), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+n.Token)
	var b bytes.Buffer
	err = do(req, &b)
	return b.Bytes(), err
}

func do(req *http.Request, to io.Writer) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return fmt.Errorf("%s %s: %s: %.200s", req.Method, req.URL.Path, res.Status, text)
	}
	_, err = io.Copy(to, res.Body)
	return err
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// traces gives a CPU profile as text: stacks, each with its time.
func traces(ctx context.Context, binary, profile string) ([]byte, error) {
	b, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", "-unit=ns", binary, profile).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool pprof: %w", err)
	}
	return b, nil
}
