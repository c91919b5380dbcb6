// Package control is the shell around the accounts state machine: it turns
// changes into entries of the control group's log, applies the entries in log
// order, publishes a view after each, and keeps the state in the node's store.
// It must never change the state except by an entry of the log, answer a change
// before its entry was applied, or keep or log a secret. Start at Open and
// Control.Do.
//
// The way of a change: Do queues it and notifies the host; the host takes the
// queue as one entry through Next; when the entry is durable the host calls
// Apply, which finds the waiting callers by the random id of each command. The
// flush cycle calls Flush now and then, so that the log can be cut.
package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/persistence"
)

// Config of a Control. Store and Notify are required; the zero value of the
// rest is sound.
type Config struct {
	Store persistence.Store
	// Notify tells the host that Next has something. It is called from any
	// goroutine and must not block.
	Notify func()
	// Fatal is called for an entry that cannot be understood: going on would make
	// this replica differ from the others. It must not return to serving; the
	// default panics.
	Fatal func(error)
	// Removed is told of every site that was removed, also while the log is
	// replayed; on the host's worker, so it must not block. Nil is fine.
	Removed func(analytics.SiteID)

	Clock     func() time.Time // default time.Now
	Random    io.Reader        // default crypto/rand
	Logger    *slog.Logger
	Passwords PasswordCost
	// TouchInterval is how often the times of last use are written to the log, at
	// most; default 3 minutes.
	TouchInterval time.Duration
}

// Bounds of the queue of changes.
const (
	queueMax      = 4096      // changes waiting; more are refused with Overloaded
	entryCmdsMax  = 256       // changes of one entry
	entryBytesMax = 512 << 10 // bytes of one entry that holds several changes
)

// Control is the control group of one node. Safe for concurrent use, except
// that Next and Apply are called by one goroutine at a time each.
type Control struct {
	cfg  Config
	view atomic.Pointer[accounts.View]

	mu      sync.Mutex
	state   *accounts.State
	applied uint64 // index of the last entry in state
	queue   []*pending
	waiting map[commandID]*pending // queued or under way
	closed  bool

	touches   touches
	passwords *passwords
}

// commandID tells a command from every other one in the log.
type commandID [16]byte

// pending is a command whose caller waits.
type pending struct {
	id     commandID
	data   []byte
	queued bool // not yet taken by Next
	done   chan accounts.Result
}

// Open loads the state from the store. Nothing runs yet: the host's replay
// brings the state to the end of the log.
func Open(cfg Config) (*Control, error) {
	if cfg.Store == nil || cfg.Notify == nil {
		return nil, fmt.Errorf("open accounts: Store and Notify are required")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Fatal == nil {
		cfg.Fatal = func(err error) { panic(err) }
	}
	if cfg.TouchInterval <= 0 {
		cfg.TouchInterval = 3 * time.Minute
	}
	c := &Control{cfg: cfg, waiting: map[commandID]*pending{}, passwords: newPasswords(cfg.Passwords)}
	c.touches.init()
	state, applied, err := load(cfg.Store)
	if err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	c.state, c.applied = state, applied
	c.view.Store(state.View())
	return c, nil
}

// View gives the latest state. It costs one atomic load.
func (c *Control) View() *accounts.View { return c.view.Load() }

// Site finds a site by its normalised domain in the latest state, without
// allocating.
func (c *Control) Site(domain []byte) (*analytics.Site, bool) { return c.view.Load().Site(domain) }

// Applied is the index of the last entry that the state includes.
func (c *Control) Applied() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applied
}

// upkeepEvery is how often Run looks whether sessions are to be cleared away, in
// touch intervals.
const upkeepEvery = 20

// Run does the upkeep until ctx ends: it writes down when sessions and keys were
// last used and clears dead sessions away. When it returns, Do refuses and every
// caller that still waits has been answered.
func (c *Control) Run(ctx context.Context) error {
	defer c.close()
	ticker := time.NewTicker(c.cfg.TouchInterval)
	defer ticker.Stop()
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := c.upkeep(ctx, round%upkeepEvery == 0); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("accounts upkeep", "err", err)
		}
	}
}

func (c *Control) upkeep(ctx context.Context, expire bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.FlushTouches(ctx); err != nil {
		return fmt.Errorf("note last uses: %w", err)
	}
	if !expire || !c.View().DeadSessions(c.now()) {
		return nil
	}
	if _, err := c.Do(ctx, &accounts.Expire{}); err != nil {
		return fmt.Errorf("clear dead sessions: %w", err)
	}
	return nil
}

// close answers everybody who waits and refuses whoever comes.
func (c *Control) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.queue = nil
	for id, p := range c.waiting {
		delete(c.waiting, id)
		p.done <- accounts.Result{Err: errUnconfirmed}
	}
}

func (c *Control) now() int64 { return c.cfg.Clock().UnixMilli() }
