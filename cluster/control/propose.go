package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cluster/placement"
)

var (
	errUnconfirmed = &analytics.Error{Code: analytics.Unavailable, Text: "the change was not confirmed in time; it may have been made"}
	errClosed      = &analytics.Error{Code: analytics.Unavailable, Text: "the node is shutting down"}
	errQueueFull   = &analytics.Error{Code: analytics.Overloaded, Text: "too many changes are waiting"}
)

// What Forward says of a command that did not arrive, and Offer of one that it
// does not take.
var (
	ErrNotLeader = errors.New("the node does not lead the control group")
	ErrNotSent   = errors.New("the command was not sent")
)

// Do makes a change: it returns when the change is durable and applied here,
// with what became of it, or with the reason of its refusal. Overloaded and a
// ctx that ended before the change was on its way mean that nothing was done;
// Unavailable after that means that the change may still be made.
func (c *Control) Do(ctx context.Context, change accounts.Change) (accounts.Result, error) {
	if err := checkHere(change); err != nil {
		return accounts.Result{}, err
	}
	data, err := accounts.Command{At: c.now(), Change: change}.Append(nil)
	if err != nil {
		return accounts.Result{}, err
	}
	o, err := c.propose(ctx, data)
	return o.accounts, err
}

// DoPlacement makes a change of placement, as Do makes one of accounts. With an
// error the result may still tell what holds instead.
func (c *Control) DoPlacement(ctx context.Context, change placement.Change) (placement.Result, error) {
	if err := change.Check(); err != nil {
		return placement.Result{}, err
	}
	data, err := placement.Command{At: c.now(), Change: change}.Append(nil)
	if err != nil {
		return placement.Result{}, err
	}
	o, err := c.propose(ctx, data)
	return o.placement, err
}

// checkHere refuses what this machine can tell is wrong, which spares an entry
// in the log; a time zone is checked here only, see accounts.KnownTimezone.
func checkHere(change accounts.Change) error {
	if err := change.Check(); err != nil {
		return err
	}
	switch x := change.(type) {
	case *accounts.CreateSite:
		return accounts.KnownTimezone(x.Timezone)
	case *accounts.UpdateSite:
		if x.Timezone != nil {
			return accounts.KnownTimezone(*x.Timezone)
		}
	case *accounts.CompleteSetup:
		if x.Site != nil {
			return accounts.KnownTimezone(x.Site.Timezone)
		}
	}
	return nil
}

// How long a caller waits before it sends a command again: soon when it is known
// not to have arrived, later when it may only be slow.
const (
	retryMin   = 20 * time.Millisecond
	retryMax   = 500 * time.Millisecond
	resendMin  = 2 * time.Second
	resendMax  = 8 * time.Second
	forwardMax = 2 * time.Second // one attempt
)

// propose brings a command into the log and waits until it is applied here.
func (c *Control) propose(ctx context.Context, data []byte) (outcome, error) {
	p := &pending{done: make(chan outcome, 1)}
	if _, err := io.ReadFull(c.cfg.Random, p.id[:]); err != nil {
		return outcome{}, fmt.Errorf("make a command id: %w", err)
	}
	if err := c.register(p); err != nil {
		return outcome{}, err
	}
	retry, resend := retryMin, resendMin
	for {
		turn := c.currentTurn()
		var again <-chan time.Time
		stop := func() bool { return false }
		switch arrived, err := c.send(ctx, p, data); {
		case err != nil:
			return c.refuse(p, err)
		case c.cfg.Forward == nil: // what a node alone has taken is never lost
		case arrived:
			again, stop = after(resend)
			resend = min(2*resend, resendMax)
		default:
			again, stop = after(retry)
			retry = min(2*retry, retryMax)
		}
		select {
		case o := <-p.done:
			stop()
			return o, o.err
		case <-ctx.Done():
			stop()
			return c.abandon(p, ctx.Err())
		case <-turn:
			stop()
		case <-again:
		}
	}
}

func after(d time.Duration) (<-chan time.Time, func() bool) {
	t := time.NewTimer(d)
	return t.C, t.Stop
}

func (c *Control) register(p *pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return errClosed
	case len(c.waiting) >= queueMax:
		return errQueueFull
	}
	p.since = c.states.ring.count
	c.waiting[p.id] = p
	return nil
}

func (c *Control) currentTurn() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turn
}

func (c *Control) leads() bool { return c.cfg.Forward == nil || c.cfg.Leads() }

// send brings a command to where the log is written. arrived tells that it may
// be on its way; an error is the end of it.
func (c *Control) send(ctx context.Context, p *pending, data []byte) (arrived bool, err error) {
	if c.leads() {
		taken, err := c.enqueue(p, data)
		if err == nil && taken {
			c.cfg.Notify()
		}
		return true, err
	}
	if !c.withdraw(p) {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, forwardMax)
	defer cancel()
	err = c.cfg.Forward(ctx, p.id, data)
	switch code := analytics.CodeOf(err); {
	case errors.Is(err, ErrNotLeader) || errors.Is(err, ErrNotSent):
		return false, nil
	case err != nil && (code == analytics.Invalid || code == analytics.Overloaded):
		return c.refusal(p, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.maybe = true // taken by the leader, or lost on a way of which nothing is known
	return true, nil
}

// refusal tells what a refusal by the leader means: the end, unless the command
// may have arrived before.
func (c *Control) refusal(p *pending, err error) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.maybe {
		return true, nil
	}
	return false, err
}

// enqueue puts a command into the queue of this node; false if nothing is to be
// done.
func (c *Control) enqueue(p *pending, data []byte) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.waiting[p.id]; !waits {
		return false, nil // was answered, by close or by Apply
	}
	if _, is := c.queued[p.id]; is || !c.mayRepeatLocked(p) {
		return false, nil
	}
	if len(c.queue) >= queueMax {
		if p.maybe {
			return false, nil
		}
		return false, errQueueFull
	}
	c.queue = append(c.queue, item{p.id, data, p})
	c.queued[p.id] = struct{}{}
	return true, nil
}

// mayRepeatLocked tells whether the state still remembers p's id for sure, if it
// was executed: only then may it be sent again.
func (c *Control) mayRepeatLocked(p *pending) bool {
	return !p.maybe || c.states.ring.count-p.since < ringMax/2
}

// withdraw takes a command back from the queue of this node, which does not lead
// any more; false if it must not be sent elsewhere.
func (c *Control) withdraw(p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unqueueLocked(p.id)
	_, waits := c.waiting[p.id]
	return waits && c.mayRepeatLocked(p)
}

func (c *Control) unqueueLocked(id commandID) {
	if _, is := c.queued[id]; !is {
		return
	}
	delete(c.queued, id)
	c.queue = slices.DeleteFunc(c.queue, func(i item) bool { return i.id == id })
}

// refuse stops waiting for p, whose command went nowhere.
func (c *Control) refuse(p *pending, err error) (outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, p.id)
	return outcome{}, err
}

// abandon stops waiting for p.
func (c *Control) abandon(p *pending, cause error) (outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case o := <-p.done: // applied just now
		return o, o.err
	default:
	}
	delete(c.waiting, p.id)
	c.unqueueLocked(p.id)
	if p.maybe {
		return outcome{}, errUnconfirmed
	}
	return outcome{}, analytics.Errorf(analytics.Unavailable, "the change could not be made in time: %w", cause)
}

// Offer takes a command that another node forwards; nobody waits for it here. A
// nil error means that it is in the queue or was executed. ErrNotLeader when
// this node does not lead, Invalid for bytes that are no command this release
// knows, Overloaded when too many wait.
func (c *Control) Offer(id [16]byte, data []byte) error {
	if _, err := parseCommand(data); err != nil {
		return &analytics.Error{Code: analytics.Invalid, Text: "command: is not known to the leader's release", Err: err}
	}
	if !c.leads() {
		return ErrNotLeader
	}
	if taken, err := c.offer(id, data); err != nil || !taken {
		return err
	}
	c.cfg.Notify()
	return nil
}

func (c *Control) offer(id commandID, data []byte) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, ErrNotLeader
	}
	if _, is := c.queued[id]; is || c.states.ring.has(id) {
		return false, nil
	}
	if len(c.queue) >= queueMax {
		return false, errQueueFull
	}
	c.queue = append(c.queue, item{id: id, data: bytes.Clone(data)})
	c.queued[id] = struct{}{}
	return true, nil
}

// Led tells that this node began or ended to lead the group, or that another
// node leads it now: whoever waits looks again where to go. It does not block.
func (c *Control) Led(self bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !self { // their callers, at other nodes, send them to the new leader
		c.queue = slices.DeleteFunc(c.queue, func(i item) bool {
			if i.p == nil {
				delete(c.queued, i.id)
			}
			return i.p == nil
		})
	}
	close(c.turn)
	c.turn = make(chan struct{})
}
