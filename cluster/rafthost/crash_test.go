package rafthost_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"footfall/cluster/rafthost"
	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

// TestWhatWasAppliedSurvivesAnyPowerCut runs a host through many lives. In each
// one several groups take entries and persist from time to time; the power is
// cut at a random moment while they do, with any part of the unsynced bytes
// kept. The next life must replay every entry that was applied before the cut
// and not persisted, in order, each once, at the same index.
func TestWhatWasAppliedSurvivesAnyPowerCut(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { cutOften(t, seed, 35) })
	}
}

func cutOften(t *testing.T, seed uint64, lives int) {
	rng := rand.New(rand.NewPCG(seed, seed))
	fs := vfs.NewCrashableMem()
	gs := groups(4)
	// What each group must hold, from the life before: entries above floor; those
	// in want are certain, more may follow.
	type memory struct {
		want  []entry
		floor uint64 // lower bound of the persisted index
	}
	past := map[Group]*memory{}
	for _, g := range gs {
		past[g] = &memory{}
	}
	next := map[Group]int{} // text of the next entry of a group
	for life := range lives {
		n := start(t, fs, rafthost.Config{Groups: gs, WindowMax: 1 + rng.IntN(4), RoundBytesMax: 1 << (8 + rng.IntN(10))})
		for _, g := range gs {
			got := n.m.applied(g)
			i := 0
			for _, w := range past[g].want {
				for i < len(got) && got[i].index < w.index {
					i++
				}
				if i == len(got) || got[i] != w {
					if w.index > persistedIndex(t, n, g) {
						t.Fatalf("seed %d life %d group %d: entry %v is lost; replayed %v", seed, life, g, w, got)
					}
				}
			}
			seen := map[string]bool{}
			for k, e := range got {
				if seen[e.data] || k > 0 && e.index <= got[k-1].index {
					t.Fatalf("seed %d life %d group %d: entry %v twice or out of order in %v", seed, life, g, e, got)
				}
				seen[e.data] = true
				if e.index <= past[g].floor {
					t.Fatalf("seed %d life %d group %d: entry %v is replayed, %d was persisted", seed, life, g, e, past[g].floor)
				}
			}
		}
		// Work from several goroutines, then cut.
		target := 1 + rng.IntN(30)
		cutGroup := gs[rng.IntN(len(gs))]
		have := len(n.m.applied(cutGroup))
		for _, g := range gs {
			count := target
			if g != cutGroup {
				count = rng.IntN(60)
			}
			for range count {
				n.m.offer(n.Host, g, fmt.Sprintf("g%d-%d-%s", g, next[g], strings.Repeat("x", rng.IntN(300))))
				next[g]++
			}
		}
		if life%2 == 0 { // with a flush of state going on
			g := gs[rng.IntN(len(gs))]
			persist(t, n, g, n.Applied(g), rng.IntN(2) == 0)
		}
		n.m.wait(cutGroup, have+rng.IntN(target+1))
		for _, g := range gs {
			past[g] = &memory{want: n.m.applied(g)}
		}
		crash := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 30, 100}[life%3], RNG: rand.New(rand.NewPCG(seed, uint64(life)))})
		n.close(t)
		fs = crashable(t, crash)
		s, err := pebblestore.Open("db", pebblestore.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range gs {
			past[g].floor = diskPersisted(t, s, g)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// crashable copies the files into a new file system that can be cut again.
func crashable(t *testing.T, from vfs.FS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewCrashableMem()
	if _, err := vfs.Clone(from, to, "db", "db", vfs.CloneSync); err != nil {
		t.Fatal(err)
	}
	return to
}

func diskPersisted(t *testing.T, s persistence.Store, g Group) uint64 {
	t.Helper()
	v, err := s.Get([]byte{persistence.TableGroup, byte(g >> 8), byte(g), 4})
	if err != nil || len(v) != 20 {
		t.Fatalf("persisted record of group %d: %x, %v", g, v, err)
	}
	n := uint64(0)
	for _, b := range v[:8] {
		n = n<<8 | uint64(b)
	}
	return n
}

func persistedIndex(t *testing.T, n *node, g Group) uint64 { return diskPersisted(t, n.store, g) }

// TestAFailedWriteAcknowledgesNothing cuts the store off under a running host.
func TestAFailedWriteAcknowledgesNothing(t *testing.T) {
	s, err := pebblestore.Open("db", pebblestore.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	broken := &breaking{Store: s}
	m := newMachine(t)
	var fatals []error
	var mu sync.Mutex
	h, err := rafthost.Open(rafthost.Config{Store: broken, Source: m, Applier: m, Groups: groups(8), Workers: 3, Fatal: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		fatals = append(fatals, err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- h.Run(context.Background()) }()
	<-h.Replayed()
	m.offer(h, 1, "good")
	m.wait(1, 1)
	broken.set(errNoDisk)
	for _, g := range groups(8) {
		m.offer(h, g, "lost")
	}
	if err := <-done; !errors.Is(err, errNoDisk) {
		t.Errorf("run ends with %v", err)
	}
	for _, g := range groups(8) {
		for _, e := range m.applied(g) {
			if e.data == "lost" {
				t.Errorf("group %d applied an entry that was not written", g)
			}
		}
	}
	if len(fatals) != 1 || !errors.Is(fatals[0], errNoDisk) {
		t.Errorf("fatal was told %v", fatals)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

var errNoDisk = errors.New("no disk")

// breaking is a store whose commits fail on demand.
type breaking struct {
	persistence.Store
	mu  sync.Mutex
	err error
}

func (b *breaking) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *breaking) Commit(batch persistence.Batch, sync bool) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		batch.Discard()
		return err
	}
	return b.Store.Commit(batch, sync)
}

// TestADamagedLogIsNamedAtStart damages records one by one.
func TestADamagedLogIsNamedAtStart(t *testing.T) {
	base := vfs.NewMem()
	n := start(t, base, rafthost.Config{})
	n.m.offer(n.Host, 2, "one", "two", "three")
	es := n.m.wait(2, 3)
	n.close(t)
	logKey := func(i uint64) []byte {
		k := []byte{persistence.TableLog, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0}
		k[10] = byte(i)
		return k
	}
	flip := func(at int) func(v []byte) []byte {
		return func(v []byte) []byte { v[at] ^= 4; return v }
	}
	second := es[1].index
	for _, c := range []struct {
		name string
		key  []byte
		edit func(v []byte) []byte // nil result deletes
		want string
	}{
		{"data", logKey(second), func(v []byte) []byte { v[len(v)-1] ^= 1; return v }, fmt.Sprintf("group 2: entry %d: damaged", second)},
		{"term", logKey(second), flip(7), fmt.Sprintf("group 2: entry %d: damaged", second)},
		{"type", logKey(second), flip(8), fmt.Sprintf("group 2: entry %d: damaged", second)},
		{"short", logKey(second), func(v []byte) []byte { return v[:5] }, fmt.Sprintf("group 2: entry %d: damaged", second)},
		{"missing", logKey(second), func([]byte) []byte { return nil }, fmt.Sprintf("group 2: entry %d is missing, %d follows", second, second+1)},
		{"end missing", logKey(es[2].index), func([]byte) []byte { return nil }, "the store lost entries"},
		{"hard state", []byte{1, 0, 2, 1}, flip(7), "group 2: hard state: damaged"},
		{"hard state missing", []byte{1, 0, 2, 1}, func([]byte) []byte { return nil }, "group 2: hard state"},
		{"members", []byte{1, 0, 2, 3}, flip(8), "group 2: members: damaged"},
		{"members newer", []byte{1, 0, 2, 3}, func(v []byte) []byte { v[0] = 9; return v }, "newer version"},
		{"persisted", []byte{1, 0, 2, 4}, flip(3), "group 2: persisted index: damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := crashable(t, base)
			s, err := pebblestore.Open("db", pebblestore.Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			v, err := s.Get(c.key)
			if err != nil {
				t.Fatal(err)
			}
			b := s.NewBatch()
			if v = c.edit(v); v == nil {
				b.Delete(c.key)
			} else {
				b.Set(c.key, v)
			}
			if err := s.Commit(b, true); err != nil {
				t.Fatal(err)
			}
			m := newMachine(t)
			_, err = rafthost.Open(rafthost.Config{Store: s, Source: m, Applier: m, Groups: groups(3)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("open gives %v, want an error with %q", err, c.want)
			}
		})
	}
}
