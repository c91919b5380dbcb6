// Package control is the shell around the two state machines of the control
// group, accounts and placement: it turns changes into entries of the group's
// log, applies the entries in log order, publishes views after each, and keeps
// the state in the node's store. It must never change the state except by an
// entry of the log, answer a change before its entry was applied here, or keep
// or log a secret. Start at Open, Control.Do and Control.DoPlacement.
//
// The way of a change: Do queues it and notifies the host; the host takes the
// queue as one entry through Next; when the entry is durable the host calls
// Apply, which finds the waiting callers by the random id of each command. The
// flush cycle calls Flush now and then, so that the log can be cut.
//
// On a node that does not lead the group, Do forwards the command to the leader,
// whose control takes it through Offer; the answer still comes from the local
// Apply, because every node has a replica. A command whose way was cut off is
// sent again under the same id; the state remembers the last ids, so it is
// executed once, see ring.
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
	"footfall/cluster/placement"
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
	// Changed is told after each entry and each Restore what it changed, when the
	// views already show it; on the host's worker, so it must not block. Nil is
	// fine.
	Changed func(Kinds)

	// Forward brings a command to the control of the node that leads the group,
	// for its Offer, and gives what Offer said. Errors that are ErrNotLeader or
	// ErrNotSent mean that it did not arrive; one with the code Invalid or
	// Overloaded that the leader refused it; any other that its fate is not known.
	// Nil on a node alone.
	Forward func(ctx context.Context, id [16]byte, command []byte) error
	// Leads tells whether this node takes proposals for the group. Required with
	// Forward.
	Leads func() bool

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
	cfg       Config
	view      atomic.Pointer[accounts.View]
	placement atomic.Pointer[placement.View]

	mu      sync.Mutex
	states  states
	queue   []item
	queued  map[commandID]struct{} // those in queue
	waiting map[commandID]*pending // whose callers wait here
	turn    chan struct{}          // closed and made anew when leadership changes
	closed  bool

	touches   touches
	passwords *passwords
}

// commandID tells a command from every other one in the log.
type commandID [16]byte

// states is all that the log makes.
type states struct {
	accounts  *accounts.State
	placement *placement.State
	ring      *ring
	applied   uint64 // index of the last entry in it
}

// item is a command that waits to become part of an entry.
type item struct {
	id   commandID
	data []byte
	p    *pending // nil: its caller waits at another node
}

// pending is a caller that waits for a command.
type pending struct {
	id    commandID
	since uint64 // commands applied when it came
	maybe bool   // it was taken or sent, so it may be executed; guarded by Control.mu
	done  chan outcome
}

// outcome is what became of a command; one of the results is set.
type outcome struct {
	accounts  accounts.Result
	placement placement.Result
	err       error
}

// Open loads the state from the store. Nothing runs yet: the host's replay
// brings the state to the end of the log.
func Open(cfg Config) (*Control, error) {
	if cfg.Store == nil || cfg.Notify == nil {
		return nil, fmt.Errorf("open accounts: Store and Notify are required")
	}
	if cfg.Forward != nil && cfg.Leads == nil {
		return nil, fmt.Errorf("open accounts: Leads is required with Forward")
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
	c := &Control{cfg: cfg, queued: map[commandID]struct{}{}, waiting: map[commandID]*pending{}, turn: make(chan struct{}),
		passwords: newPasswords(cfg.Passwords)}
	c.touches.init()
	var err error
	if c.states, err = load(cfg.Store); err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	c.publish()
	return c, nil
}

// publish shows the state; c.mu is held, or nobody else knows c yet.
func (c *Control) publish() {
	c.view.Store(c.states.accounts.View())
	c.placement.Store(c.states.placement.View())
}

// View gives the latest state. It costs one atomic load.
func (c *Control) View() *accounts.View { return c.view.Load() }

// Placement gives the latest state of the cluster. It costs one atomic load.
func (c *Control) Placement() *placement.View { return c.placement.Load() }

// Site finds a site by its normalised domain in the latest state, without
// allocating.
func (c *Control) Site(domain []byte) (*analytics.Site, bool) { return c.view.Load().Site(domain) }

// Applied is the index of the last entry that the state includes.
func (c *Control) Applied() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states.applied
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
	if !expire || !c.leads() || !c.View().DeadSessions(c.now()) {
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
	clear(c.queued)
	for id, p := range c.waiting {
		delete(c.waiting, id)
		p.done <- outcome{err: errUnconfirmed}
	}
}

func (c *Control) now() int64 { return c.cfg.Clock().UnixMilli() }
