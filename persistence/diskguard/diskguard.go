// Package diskguard watches the free space of the data directory and says when
// nothing more may be written.
//
// A full disk must never be met by the store: it hangs there, without an error
// (see fact P6 in package pebblestore's tests). A node alone asks Writable; a
// member of a cluster asks State, gives away its leaderships in Shed and takes
// part in nothing that writes in Stop. The guard must never wait on the hot path:
// both are one atomic load.
//
// Start at New; the owner runs Run and asks Check once before it opens the store.
package diskguard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrFull is returned by Check when the node must not even start.
var ErrFull = errors.New("disk is full")

const (
	// DefaultInterval is how often the space is looked at, unless there is plenty.
	DefaultInterval = 250 * time.Millisecond
	reserveMin      = 64 << 20
	reserveMax      = 1 << 30
)

// State is what the free space allows. The numbers rise as it shrinks.
type State int32

const (
	// Room: everything goes on.
	Room State = iota
	// Shed: the free space is below the reserve. No new work is accepted and
	// leaderships go to nodes that have room, since a leader must write; what
	// others lead is still written here.
	Shed
	// Stop: the free space is below half of the reserve. Nothing that can grow the
	// store is written any more, what others lead included: the store would hang,
	// and with it the node. Reads go on.
	Stop
)

func (s State) String() string {
	switch s {
	case Room:
		return "room"
	case Shed:
		return "shed"
	case Stop:
		return "stop"
	}
	return fmt.Sprintf("state %d", int32(s))
}

// Space is what a file system has, in bytes.
type Space struct {
	Free  uint64 // for this process: without what is kept for root
	Total uint64
}

// Config of a guard; Dir is required.
type Config struct {
	// Dir is the data directory, on the file system to watch.
	Dir string
	// Reserve is the space below which writes are refused. Default: a tenth of the
	// file system, at least 64 MiB, at most 1 GiB.
	Reserve uint64
	// Interval between looks; default DefaultInterval.
	Interval time.Duration
	// Space asks the file system; default statfs.
	Space  func(dir string) (Space, error)
	Logger *slog.Logger // default: discard
}

// Guard is the watch on one directory. Safe for concurrent use.
type Guard struct {
	cfg     Config
	state   atomic.Int32 // a State
	free    atomic.Uint64
	total   atomic.Uint64
	changes atomic.Uint64
	blind   atomic.Bool // the last look failed

	mu sync.Mutex // one look at a time
}

// New looks at the directory once.
func New(cfg Config) (*Guard, error) {
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Space == nil {
		cfg.Space = statfs
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Guard{cfg: cfg}
	s, err := cfg.Space(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("free space of %s: %w", cfg.Dir, err)
	}
	g.judge(s)
	return g, nil
}

// Writable tells whether there is room to write: State is Room. It is one atomic
// load.
func (g *Guard) Writable() bool { return g.State() == Room }

// State tells what the last look allows. It is one atomic load.
func (g *Guard) State() State { return State(g.state.Load()) }

// Check is asked before the store is opened: an error wrapping ErrFull means
// that there is too little room even to recover.
func (g *Guard) Check() error {
	if free, min := g.free.Load(), g.reserve()/2; free < min {
		return fmt.Errorf("%s has %d MiB free and needs %d MiB to start: %w", g.cfg.Dir, free>>20, min>>20, ErrFull)
	}
	return nil
}

// Run looks again and again until ctx ends; it returns nil.
func (g *Guard) Run(ctx context.Context) error {
	t := time.NewTicker(g.cfg.Interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			g.Poll()
			t.Reset(g.pause())
		}
	}
}

// plenty is more than a second of writing can fill.
const plenty = 8 << 30

// pause is the time to the next look: four intervals while there is plenty of
// room, so that an idle node sleeps longer.
func (g *Guard) pause() time.Duration {
	if g.free.Load() > g.reserve()+plenty {
		return 4 * g.cfg.Interval
	}
	return g.cfg.Interval
}

// Poll looks now. A look that fails leaves the last answer.
func (g *Guard) Poll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, err := g.cfg.Space(g.cfg.Dir)
	if err != nil {
		if !g.blind.Swap(true) {
			g.cfg.Logger.Error("the free space of the data directory cannot be seen; the last answer stands", "dir", g.cfg.Dir, "err", err)
		}
		return
	}
	g.blind.Store(false)
	g.judge(s)
}

// judge goes to Shed below the reserve and to Stop below half of it, and back
// above 1.2 times the same bound, so that what the pause frees does not stop and
// start in turns.
func (g *Guard) judge(s Space) {
	g.free.Store(s.Free)
	g.total.Store(s.Total)
	reserve := g.reserve()
	was := g.State()
	now := Room
	switch {
	case below(s.Free, reserve/2, was == Stop):
		now = Stop
	case below(s.Free, reserve, was != Room):
		now = Shed
	}
	if now == was {
		return
	}
	g.state.Store(int32(now))
	if (was == Room) != (now == Room) {
		g.changes.Add(1)
	}
	log := g.cfg.Logger.With("dir", g.cfg.Dir, "free", s.Free, "reserve", reserve)
	switch {
	case now == Room:
		log.Info("the disk has room again: writes are accepted")
	case now == Shed && was == Room:
		log.Error("the disk is nearly full: writes are refused")
	case now == Shed:
		log.Warn("the disk has a little room again: what other nodes lead is written")
	default:
		log.Error("the disk is full but for the last: nothing is written any more")
	}
}

// below compares with a bound that is a fifth higher on the way back.
func below(free, bound uint64, already bool) bool {
	if already {
		bound += bound / 5
	}
	return free < bound
}

func (g *Guard) reserve() uint64 {
	if g.cfg.Reserve > 0 {
		return g.cfg.Reserve
	}
	return min(max(g.total.Load()/10, reserveMin), reserveMax)
}

// Stats of a guard.
type Stats struct {
	Space
	Reserve  uint64
	State    State
	Writable bool   // State is Room
	Changes  uint64 // how often Writable changed
	Blind    bool   // the last look failed
}

// Stats gives what the last look saw.
func (g *Guard) Stats() Stats {
	return Stats{Space: Space{Free: g.free.Load(), Total: g.total.Load()}, Reserve: g.reserve(),
		State: g.State(), Writable: g.Writable(), Changes: g.changes.Load(), Blind: g.blind.Load()}
}

func statfs(dir string) (Space, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return Space{}, err
	}
	size := uint64(s.Bsize)
	return Space{Free: s.Bavail * size, Total: s.Blocks * size}, nil
}
