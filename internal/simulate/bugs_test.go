package simulate

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var flagBug = flag.String("bug", "", "the only planted bug that TestPlantedBugsAreFound looks for")

// bugSeedsMax is how many seeds a planted bug may take to be found.
const bugSeedsMax = 100

// firstSeeds lets the test begin near the seed that finds a rare bug.
var firstSeeds = map[Bug]int64{FollowerAcksEarly: 1, ReplicaReused: 28, ReportsNeedReplica: 24, OldGapTrusted: 9}

// TestPlantedBugsAreFound plants each bug and runs seeds until an invariant
// fails. A bug that is not found says that the simulation does not see enough.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, bug := range Bugs() {
		if *flagBug != "" && string(bug) != *flagBug {
			continue
		}
		t.Run(string(bug), func(t *testing.T) {
			v, seeds := find(bug)
			if v == nil {
				t.Fatalf("not found in %d seeds", seeds)
			}
			t.Logf("%-20s seed %3d  %s", bug, seeds, v)
		})
	}
}

// find gives the violation of the lowest seed that has one, and that seed.
func find(bug Bug) (*Violation, int) {
	var next atomic.Int64
	from := firstSeeds[bug]
	next.Store(from)
	var mu sync.Mutex
	var found *Violation
	first := from + bugSeedsMax
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				seed := next.Add(1)
				mu.Lock()
				over := seed > first
				mu.Unlock()
				if over {
					return
				}
				if r := Run(Config{Seed: uint64(seed), Nodes: 3, Shards: 4, Bug: bug}); r.Violation != nil {
					mu.Lock()
					if seed <= first {
						first, found = seed, r.Violation
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return found, int(first)
}
