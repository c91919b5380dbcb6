package control

import (
	"encoding/binary"
	"fmt"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cluster/placement"
)

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
	for _, i := range c.queue {
		if taken == entryCmdsMax || taken > 0 && len(entry)+len(i.data) > entryBytesMax {
			break
		}
		if taken == 0 {
			entry = append(make([]byte, 0, 64+len(i.data)), entryVersion)
		}
		entry = append(entry, i.id[:]...)
		entry = binary.AppendUvarint(entry, uint64(len(i.data)))
		entry = append(entry, i.data...)
		delete(c.queued, i.id)
		if i.p != nil {
			i.p.maybe = true
		}
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
	removed, kinds, err := c.apply(index, data)
	if err != nil {
		c.cfg.Fatal(fmt.Errorf("apply accounts entry %d: %w", index, err))
		return
	}
	c.tell(removed, kinds)
}

func (c *Control) tell(removed []analytics.SiteID, kinds Kinds) {
	if c.cfg.Removed != nil {
		for _, id := range removed {
			c.cfg.Removed(id)
		}
	}
	if c.cfg.Changed != nil && kinds != 0 {
		c.cfg.Changed(kinds)
	}
}

func (c *Control) apply(index uint64, data []byte) (removed []analytics.SiteID, kinds Kinds, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index <= c.states.applied {
		return nil, 0, nil
	}
	cmds, err := parseEntry(data)
	if err != nil {
		return nil, 0, err // before anything was changed
	}
	outcomes := make([]outcome, len(cmds))
	for i, x := range cmds {
		if !c.states.ring.add(x.id) {
			continue // sent twice; its caller was answered the first time
		}
		outcomes[i] = c.states.execute(x)
		if outcomes[i].err != nil {
			continue
		}
		kinds |= changedBy(x)
		if _, gone := x.accounts.Change.(*accounts.DeleteSite); gone {
			removed = append(removed, outcomes[i].accounts.Site.ID)
		}
	}
	c.states.applied = index
	c.publish() // before the answers: whoever made a change sees it
	for i, x := range cmds {
		if p, ok := c.waiting[x.id]; ok {
			delete(c.waiting, x.id)
			c.unqueueLocked(x.id) // it was about to be sent again
			p.done <- outcomes[i]
		}
	}
	return removed, kinds, nil
}

func (s *states) execute(x command) outcome {
	if x.placement.Change != nil {
		r := s.placement.Apply(x.placement)
		return outcome{placement: r, err: r.Err}
	}
	r := s.accounts.Apply(x.accounts)
	return outcome{accounts: r, err: r.Err}
}

// command is a command of one of the two state machines.
type command struct {
	id        commandID
	accounts  accounts.Command
	placement placement.Command
}

// parseCommand reads a command without its id. The first byte tells whose it is:
// those of placement have the highest bit.
func parseCommand(b []byte) (x command, err error) {
	if placement.Mine(b) {
		x.placement, err = placement.DecodeCommand(b)
	} else {
		x.accounts, err = accounts.DecodeCommand(b)
	}
	return x, err
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
		var id commandID
		if copy(id[:], b) < len(id) {
			return nil, fmt.Errorf("entry is cut off after %d commands", len(out))
		}
		b = b[len(id):]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, fmt.Errorf("entry is cut off in command %d", len(out))
		}
		x, err := parseCommand(b[n : n+int(size)])
		if err != nil {
			return nil, err
		}
		x.id = id
		out = append(out, x)
		b = b[n+int(size):]
	}
	return out, nil
}
