package simulate

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"footfall/analytics/delivery"
)

var (
	flagSeeds  = flag.Int("seeds", 0, "how many seeds TestSeeds runs; 0: the short set")
	flagSeed   = flag.Uint64("seed", 0, "the first seed of TestSeeds")
	flagSize   = flag.String("size", "3x8", "nodes x shards of TestSeeds")
	flagActors = flag.Bool("actors", false, "TestSeeds keeps shards in actors.Sites")
	flagSteps  = flag.Int("steps", 0, "steps of trouble of TestSeeds; 0: 2000")
)

// several runs seeds on all cores and gives what happened.
func several(t *testing.T, cfg Config, seeds int) Stats {
	t.Helper()
	var total Stats
	var mu sync.Mutex
	var next atomic.Uint64
	var failed atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for failed.Load() < 5 {
				i := next.Add(1) - 1
				if i >= uint64(seeds) {
					return
				}
				c := cfg
				c.Seed += i
				r := Run(c)
				mu.Lock()
				total.Add(r.Stats)
				mu.Unlock()
				if r.Violation != nil {
					failed.Add(1)
					t.Errorf("%v\nseed %d: %v\nto repeat it: make simulate SEEDS=1 SEED=%d SIZE=%dx%d\n%s", r.Violation.Invariant, c.Seed, r.Violation, c.Seed, c.Nodes, c.Shards, r.Violation.Trace)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	t.Logf("%d nodes × %d shards: %d seeds in %s, %.1f/s; %+v", cfg.Nodes, cfg.Shards, seeds, took.Round(time.Millisecond), float64(seeds)/took.Seconds(), total)
	return total
}

// TestSeeds is the long simulation, see `make simulate`; without flags a short one.
func TestSeeds(t *testing.T) {
	if *flagSeeds > 0 {
		cfg := Config{Seed: *flagSeed, Steps: *flagSteps, Actors: *flagActors}
		if _, err := fmt.Sscanf(*flagSize, "%dx%d", &cfg.Nodes, &cfg.Shards); err != nil {
			t.Fatalf("size %q is not like 3x8", *flagSize)
		}
		several(t, cfg, *flagSeeds)
		return
	}
	s := several(t, Config{Seed: 1, Nodes: 3, Shards: 4}, 10)
	s.Add(several(t, Config{Seed: 1, Nodes: 3, Shards: 8}, 3))
	s.Add(several(t, Config{Seed: 1, Nodes: 9, Shards: 64, Steps: 1000}, 1))
	s.Add(several(t, Config{Seed: 1, Nodes: 3, Shards: 4, Steps: 1000, Actors: true}, 2))
	if s.Acked < 3000 || s.Crashes < 100 || s.Restored < 100 || s.Spooled < 2000 || s.Wiped < 1 || s.Removed < 10 || s.Retried < 10 ||
		s.Verdicts[delivery.Duplicate] < 1000 || s.Verdicts[delivery.Gap] < 1000 || s.Verdicts[delivery.Fenced] < 10 || s.Reads < 5000 {
		t.Errorf("too little happened to prove anything: %+v", s)
	}
}

// TestASeedRepeatsItself: the same seed gives the same events, another gives
// others.
func TestASeedRepeatsItself(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(4) {
		cfg := Config{Seed: seed, Nodes: 3, Shards: 4, Steps: 1500}
		a, b := Run(cfg), Run(cfg)
		if a.Hash != b.Hash || a.Stats != b.Stats {
			t.Errorf("seed %d: %x %+v, again %x %+v", seed, a.Hash, a.Stats, b.Hash, b.Stats)
		}
		if seen[a.Hash] {
			t.Errorf("seed %d: the events of another seed", seed)
		}
		seen[a.Hash] = true
	}
	cfg := Config{Seed: 3, Nodes: 3, Shards: 4, Bug: TableTooOld}
	a, b := Run(cfg), Run(cfg)
	if a.Violation == nil || b.Violation == nil || *a.Violation != *b.Violation {
		t.Errorf("a failing seed does not fail again in the same way: %v, %v", a.Violation, b.Violation)
	}
}
