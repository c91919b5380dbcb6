package diskguard_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"footfall/persistence/diskguard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

// disk is a file system whose free space the test sets.
type disk struct {
	free, total atomic.Uint64
	err         atomic.Pointer[error]
}

func (d *disk) space(string) (diskguard.Space, error) {
	if e := d.err.Load(); e != nil {
		return diskguard.Space{}, *e
	}
	return diskguard.Space{Free: d.free.Load(), Total: d.total.Load()}, nil
}

func (d *disk) guard(t *testing.T, cfg diskguard.Config) *diskguard.Guard {
	t.Helper()
	cfg.Dir, cfg.Space = "data", d.space
	g, err := diskguard.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestWritesStopBelowTheReserveAndStartAboveIt(t *testing.T) {
	var log bytes.Buffer
	d := &disk{}
	d.total.Store(10_000 * mib)
	d.free.Store(5000 * mib)
	g := d.guard(t, diskguard.Config{Reserve: 100 * mib, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i, c := range []struct {
		free     uint64
		writable bool
	}{
		{5000, true}, {100, true}, {99, false}, {0, false}, {100, false}, {119, false}, {120, true}, {101, true}, {50, false}, {5000, true},
	} {
		d.free.Store(c.free * mib)
		g.Poll()
		g.Poll()
		if g.Writable() != c.writable {
			t.Errorf("step %d: %d MiB free: writable %t", i, c.free, g.Writable())
		}
	}
	if s := g.Stats(); s.Changes != 4 || s.Free != 5000*mib || s.Total != 10_000*mib || s.Reserve != 100*mib || !s.Writable {
		t.Errorf("stats %+v", s)
	}
	if n := strings.Count(log.String(), "writes are"); n != 4 {
		t.Errorf("%d log lines about writes, want one per change:\n%s", n, log.String())
	}
}

func TestAFullDiskIsShedBeforeItStops(t *testing.T) {
	var log bytes.Buffer
	d := &disk{}
	d.total.Store(10_000 * mib)
	d.free.Store(5000 * mib)
	g := d.guard(t, diskguard.Config{Reserve: 100 * mib, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	changes := 0
	was := diskguard.Room
	for i, c := range []struct {
		free uint64
		want diskguard.State
	}{
		{5000, diskguard.Room}, {100, diskguard.Room}, {99, diskguard.Shed}, {50, diskguard.Shed}, {49, diskguard.Stop},
		{50, diskguard.Stop}, {59, diskguard.Stop}, {60, diskguard.Shed}, {51, diskguard.Shed}, {119, diskguard.Shed},
		{120, diskguard.Room}, {100, diskguard.Room}, {0, diskguard.Stop}, {120, diskguard.Room}, {0, diskguard.Stop}, {119, diskguard.Shed},
	} {
		d.free.Store(c.free * mib)
		g.Poll()
		g.Poll()
		if g.State() != c.want || g.Writable() != (c.want == diskguard.Room) || g.Stats().State != c.want {
			t.Errorf("step %d: %d MiB free: %v, writable %t, want %v", i, c.free, g.State(), g.Writable(), c.want)
		}
		if c.want != was {
			changes++
			was = c.want
		}
	}
	if n := strings.Count(log.String(), "\n"); n != changes {
		t.Errorf("%d log lines for %d changes:\n%s", n, changes, log.String())
	}
	if s := g.Stats(); s.Changes != 5 {
		t.Errorf("%d changes of Writable counted, want 5", s.Changes)
	}
}

func TestTheDefaultReserveFollowsTheDisk(t *testing.T) {
	for _, c := range []struct{ total, want uint64 }{
		{100 * mib, 64 * mib}, {640 * mib, 64 * mib}, {5000 * mib, 500 * mib}, {10_240 * mib, 1024 * mib}, {9_000_000 * mib, 1024 * mib},
	} {
		d := &disk{}
		d.total.Store(c.total)
		if r := d.guard(t, diskguard.Config{}).Stats().Reserve; r != c.want {
			t.Errorf("%d MiB in all: reserve %d MiB, want %d", c.total/mib, r/mib, c.want/mib)
		}
	}
}

func TestAFullDiskDoesNotStart(t *testing.T) {
	for _, c := range []struct {
		free uint64
		ok   bool
	}{{0, false}, {49, false}, {50, true}, {99, true}, {500, true}} {
		d := &disk{}
		d.free.Store(c.free * mib)
		err := d.guard(t, diskguard.Config{Reserve: 100 * mib}).Check()
		if (err == nil) != c.ok || err != nil && !errors.Is(err, diskguard.ErrFull) {
			t.Errorf("%d MiB free: %v", c.free, err)
		}
	}
}

func TestALookThatFailsLeavesTheAnswer(t *testing.T) {
	var log bytes.Buffer
	d := &disk{}
	d.free.Store(500 * mib)
	g := d.guard(t, diskguard.Config{Reserve: 100 * mib, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	broken := errors.New("stale handle")
	d.err.Store(&broken)
	g.Poll()
	g.Poll()
	if !g.Writable() || !g.Stats().Blind || strings.Count(log.String(), "stale handle") != 1 {
		t.Errorf("writable %t, stats %+v, log %s", g.Writable(), g.Stats(), log.String())
	}
	d.err.Store(nil)
	d.free.Store(1)
	g.Poll()
	if g.Writable() || g.Stats().Blind {
		t.Error("the guard does not see again")
	}
	d.err.Store(&broken)
	if _, err := diskguard.New(diskguard.Config{Dir: "data", Space: d.space}); !errors.Is(err, broken) {
		t.Errorf("a guard that cannot see starts: %v", err)
	}
}

func TestRunLooksByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		d.free.Store(500 * mib)
		g := d.guard(t, diskguard.Config{Reserve: 100 * mib})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		d.free.Store(1)
		time.Sleep(diskguard.DefaultInterval) // of the bubble's clock
		synctest.Wait()
		if g.Writable() {
			t.Error("a full disk is not seen within the interval")
		}
		d.free.Store(500 * mib)
		time.Sleep(diskguard.DefaultInterval)
		synctest.Wait()
		if !g.Writable() {
			t.Error("free space is not seen within the interval")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestARealDirectoryHasSpace(t *testing.T) {
	g, err := diskguard.New(diskguard.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if s := g.Stats(); s.Total == 0 || s.Free > s.Total {
		t.Errorf("stats %+v", s)
	}
	if _, err := diskguard.New(diskguard.Config{Dir: t.TempDir() + "/none"}); err == nil {
		t.Error("a directory that is not there has space")
	}
}

func TestWritableCostsNoAllocation(t *testing.T) {
	d := &disk{}
	g := d.guard(t, diskguard.Config{})
	if n := testing.AllocsPerRun(100, func() { g.Writable(); g.State() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
