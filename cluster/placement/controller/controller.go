// Package controller carries out what package placement plans. One loop runs on
// every node and acts only while its node leads the control group: it collects
// the reports of all nodes, plans, makes the commands and has the steps executed
// by the nodes they name. It is level-triggered: it remembers nothing that the
// table and the next reports do not tell again, so that another controller can
// take over at any moment. It must never act on a plan twice by itself, wait for
// a slow node before it serves others, or touch a group but through the
// Executor. Start at New and Controller.Run.
package controller

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"footfall/cluster/placement"
)

// Log makes changes of placement; control.Control is one.
type Log interface {
	Placement() *placement.View
	// DoPlacement returns when the change is applied here, or with its refusal.
	DoPlacement(ctx context.Context, change placement.Change) (placement.Result, error)
}

// Members is a joint change of a group's members, made for the configuration
// with index After and refused for any other.
type Members struct {
	After                   uint64
	Promote, Demote, Remove []uint64
}

// Executor has nodes do things, this one included. Every call returns when the
// thing is done or refused, and in any case when ctx ends; what was done
// already is no error. Calls are concurrent, one per group.
type Executor interface {
	// AddLearners has the leader add replicas as learners in one change made for
	// the configuration with index after, and their nodes make empty ones.
	AddLearners(ctx context.Context, leader, shard uint16, after uint64, replicas []uint64) error
	ChangeMembers(ctx context.Context, leader, shard uint16, change Members) error
	// RemoveReplica has a node destroy a replica, if it is that one it has.
	RemoveReplica(ctx context.Context, node, shard uint16, replica uint64) error
	Transfer(ctx context.Context, leader, shard uint16, to uint64) error
}

// Config of a Controller. Log, Executor and Leads are required.
type Config struct {
	Log      Log
	Executor Executor
	Leads    func() bool // whether this node leads the control group

	// Salts and Self are for choosing salts; without Salts none are chosen.
	Salts    SaltHolder
	Self     uint16
	Families func() []placement.Family // those in use; default the daily one

	Settings    placement.Settings
	Interval    time.Duration // between plans, at most; default 1 s
	IntervalMin time.Duration // between plans, at least; default 50 ms
	StepTimeout time.Duration // of a step or command; default 10 s
	StepsMax    int           // steps under way; default 32
	Clock       func() time.Time
	Logger      *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Log == nil || c.Executor == nil || c.Leads == nil {
		return c, errors.New("placement controller: Log, Executor and Leads are required")
	}
	for _, x := range []struct {
		to  *time.Duration
		def time.Duration
	}{{&c.Interval, time.Second}, {&c.IntervalMin, 50 * time.Millisecond}, {&c.StepTimeout, 10 * time.Second}} {
		if *x.to <= 0 {
			*x.to = x.def
		}
	}
	if c.StepsMax <= 0 {
		c.StepsMax = 32
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Families == nil {
		c.Families = func() []placement.Family { return []placement.Family{placement.Daily} }
	}
	return c, nil
}

// Controller is the controller of one node. Safe for concurrent use.
type Controller struct {
	cfg  Config
	wake chan struct{} // one place: something is new
	room chan struct{} // a token per step under way

	mu      sync.Mutex
	reports *placement.Reports // nil: this node does not lead
}

// New makes a Controller. Nothing happens before Run.
func New(cfg Config) (*Controller, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Controller{cfg: cfg, wake: make(chan struct{}, 1), room: make(chan struct{}, cfg.StepsMax)}, nil
}

func (c *Controller) now() int64 { return c.cfg.Clock().UnixMilli() }

// Report takes a node's report in; one that comes while this node does not lead
// is dropped. It does not block.
func (c *Controller) Report(r placement.NodeReport) {
	c.mu.Lock()
	if c.reports != nil {
		c.reports.Take(r, c.now())
	}
	c.mu.Unlock()
	c.Wake()
}

// Wake has the controller look soon, as after a change of leadership. It does not
// block.
func (c *Controller) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run controls until ctx ends; then every step under way has been given up and
// has returned.
func (c *Controller) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if c.cfg.Salts != nil {
		wg.Go(func() { newKeeper(c).run(ctx) })
	}
	for ctx.Err() == nil {
		if c.cfg.Leads() {
			c.lead(ctx)
			continue
		}
		c.pause(ctx, c.cfg.Interval, true)
	}
	return nil
}

// pause waits until d is over, with wakeful also until something is new.
func (c *Controller) pause(ctx context.Context, d time.Duration, wakeful bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	wake := c.wake
	if !wakeful {
		wake = nil
	}
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wake:
	}
}

// lead controls as long as this node leads.
func (c *Controller) lead(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var steps sync.WaitGroup
	defer steps.Wait()
	defer cancel()
	reports := placement.NewReports(c.now())
	c.setReports(reports)
	defer c.setReports(nil)
	for ctx.Err() == nil && c.cfg.Leads() {
		c.turn(ctx, reports, &steps)
		c.pause(ctx, c.cfg.IntervalMin, false)
		c.pause(ctx, c.cfg.Interval, true)
	}
}

func (c *Controller) setReports(r *placement.Reports) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = r
}

// turn plans once, makes the commands and begins the steps that there is room
// for.
func (c *Controller) turn(ctx context.Context, reports *placement.Reports, steps *sync.WaitGroup) {
	view := c.cfg.Log.Placement()
	c.mu.Lock()
	plan := placement.Plan(view, reports, c.now(), c.cfg.Settings)
	c.mu.Unlock()
	for _, s := range plan {
		if s.Kind != placement.StepCommand {
			c.begin(ctx, reports, s, steps)
		}
	}
	var commands sync.WaitGroup
	for _, s := range plan {
		if s.Kind == placement.StepCommand {
			commands.Go(func() { c.command(ctx, s.Change) })
		}
	}
	commands.Wait()
}

func (c *Controller) command(ctx context.Context, change placement.Change) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.StepTimeout)
	defer cancel()
	r, err := c.cfg.Log.DoPlacement(ctx, change)
	if err != nil && ctx.Err() == nil { // what was wrong is planned anew
		c.cfg.Logger.Info("placement command refused", "err", err)
	}
	for _, x := range r.Refused {
		c.cfg.Logger.Info("placement plan refused", "shard", x.Shard, "err", x.Err)
	}
	if n, ok := change.(*placement.SetNodeState); ok && err == nil {
		c.cfg.Logger.Info("node changed", "node", n.Number, "state", n.To)
	}
	c.Wake() // what was planned can be begun
}

// begin executes a step on a goroutine of its own, if there is room.
func (c *Controller) begin(ctx context.Context, reports *placement.Reports, s placement.Step, steps *sync.WaitGroup) {
	select {
	case c.room <- struct{}{}:
	default:
		return // it is planned again
	}
	c.mu.Lock()
	reports.Begin(s)
	c.mu.Unlock()
	steps.Go(func() {
		defer func() { <-c.room }()
		err := c.execute(ctx, s)
		c.mu.Lock()
		reports.End(s)
		c.mu.Unlock()
		if ctx.Err() == nil {
			c.cfg.Logger.Debug("placement step", "step", s.Kind.String(), "shard", s.Shard, "node", s.Node, "err", err)
		}
	})
}

func (c *Controller) execute(ctx context.Context, s placement.Step) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.StepTimeout)
	defer cancel()
	x := c.cfg.Executor
	switch s.Kind {
	case placement.StepAddLearners:
		return x.AddLearners(ctx, s.Node, s.Shard, s.After, s.Replicas)
	case placement.StepChange:
		return x.ChangeMembers(ctx, s.Node, s.Shard, Members{After: s.After, Promote: s.Promote, Demote: s.Demote, Remove: s.Remove})
	case placement.StepRemove:
		return x.RemoveReplica(ctx, s.Node, s.Shard, s.Replica)
	case placement.StepTransfer:
		return x.Transfer(ctx, s.Node, s.Shard, s.Replica)
	}
	return errors.New("a step of this kind is not known")
}
