package control

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

var (
	errUnconfirmed = &analytics.Error{Code: analytics.Unavailable, Text: "the change was not confirmed in time; it may have been made"}
	errClosed      = &analytics.Error{Code: analytics.Unavailable, Text: "the node is shutting down"}
	errQueueFull   = &analytics.Error{Code: analytics.Overloaded, Text: "too many changes are waiting"}
)

// Do makes a change: it returns when the change is durable and applied, with
// what became of it, or with the reason of its refusal. Overloaded and a ctx
// that ended while the change was still queued mean that nothing was done;
// Unavailable after that means that the change may still be made.
func (c *Control) Do(ctx context.Context, change accounts.Change) (accounts.Result, error) {
	if err := checkHere(change); err != nil {
		return accounts.Result{}, err
	}
	p := &pending{queued: true, done: make(chan accounts.Result, 1)}
	if _, err := io.ReadFull(c.cfg.Random, p.id[:]); err != nil {
		return accounts.Result{}, fmt.Errorf("make a command id: %w", err)
	}
	data, err := accounts.Command{At: c.now(), Change: change}.Append(nil)
	if err != nil {
		return accounts.Result{}, err
	}
	p.data = data
	if err := c.enqueue(p); err != nil {
		return accounts.Result{}, err
	}
	c.cfg.Notify()
	select {
	case r := <-p.done:
		return r, r.Err
	case <-ctx.Done():
		return c.abandon(p, ctx.Err())
	}
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

func (c *Control) enqueue(p *pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return errClosed
	case len(c.waiting) >= queueMax:
		return errQueueFull
	}
	c.queue = append(c.queue, p)
	c.waiting[p.id] = p
	return nil
}

// abandon stops waiting for p.
func (c *Control) abandon(p *pending, cause error) (accounts.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case r := <-p.done: // applied just now
		return r, r.Err
	default:
	}
	delete(c.waiting, p.id)
	if !p.queued {
		return accounts.Result{}, errUnconfirmed
	}
	for i, q := range c.queue {
		if q == p {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			break
		}
	}
	return accounts.Result{}, analytics.Errorf(analytics.Unavailable, "the change could not be made in time: %w", cause)
}

// An entry of the log:
//
//	version(1) { id(16) length(uvarint) command }…
const entryVersion = 1

// Next gives the queued changes as one entry, nil if there are none. The host
// calls it after Notify, and again after each round while it gives something.
func (c *Control) Next() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var entry []byte
	taken := 0
	for _, p := range c.queue {
		if taken == entryCmdsMax || taken > 0 && len(entry)+len(p.data) > entryBytesMax {
			break
		}
		if taken == 0 {
			entry = append(make([]byte, 0, 64+len(p.data)), entryVersion)
		}
		entry = append(entry, p.id[:]...)
		entry = binary.AppendUvarint(entry, uint64(len(p.data)))
		entry = append(entry, p.data...)
		p.queued, p.data = false, nil
		taken++
	}
	if taken == len(c.queue) {
		c.queue = nil
	} else {
		c.queue = c.queue[taken:]
	}
	return entry
}

// Apply executes an entry. The host calls it in log order, once per entry and
// run; entries that the stored state includes are passed over.
func (c *Control) Apply(index uint64, data []byte) {
	removed, err := c.apply(index, data)
	if err != nil {
		c.cfg.Fatal(fmt.Errorf("apply accounts entry %d: %w", index, err))
		return
	}
	if c.cfg.Removed != nil {
		for _, id := range removed {
			c.cfg.Removed(id)
		}
	}
}

type command struct {
	id  commandID
	cmd accounts.Command
}

func (c *Control) apply(index uint64, data []byte) (removed []analytics.SiteID, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index <= c.applied {
		return nil, nil
	}
	cmds, err := parseEntry(data)
	if err != nil {
		return nil, err // before anything was changed
	}
	results := make([]accounts.Result, len(cmds))
	for i, x := range cmds {
		results[i] = c.state.Apply(x.cmd)
		if _, gone := x.cmd.Change.(*accounts.DeleteSite); gone && results[i].Err == nil {
			removed = append(removed, results[i].Site.ID)
		}
	}
	c.applied = index
	c.view.Store(c.state.View()) // before the answers: whoever made a change sees it
	for i, x := range cmds {
		if p, ok := c.waiting[x.id]; ok {
			delete(c.waiting, x.id)
			p.done <- results[i]
		}
	}
	return removed, nil
}

func parseEntry(b []byte) ([]command, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != entryVersion {
		return nil, fmt.Errorf("entry format %d is not known to this release, which knows %d", b[0], entryVersion)
	}
	var out []command
	for b = b[1:]; len(b) > 0; {
		var x command
		if copy(x.id[:], b) < len(x.id) {
			return nil, fmt.Errorf("entry is cut off after %d commands", len(out))
		}
		b = b[len(x.id):]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, fmt.Errorf("entry is cut off in command %d", len(out))
		}
		cmd, err := accounts.DecodeCommand(b[n : n+int(size)])
		if err != nil {
			return nil, err
		}
		x.cmd = cmd
		out = append(out, x)
		b = b[n+int(size):]
	}
	return out, nil
}
