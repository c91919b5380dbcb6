package control

import (
	"encoding/binary"
	"errors"
	"fmt"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cluster/placement"
	"footfall/persistence"
)

// What the store holds, in table 05:
//
//	05 00               version(1) applied(8): the index up to which the records hold the log
//	05 kind(1) id(8)    a record of the state: see accounts.Ref, placement.Ref for the
//	                    kinds 40 to 5f, and ring for the kind 70
//
// Numbers are big-endian.
const (
	storeVersion = 1
	refCommand   = 0x70
)

func headKey() []byte { return []byte{persistence.TableControl, 0} }

func recordKey(kind byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{persistence.TableControl, kind}, id)
}

// load reads the state and the index up to which it holds the log.
func load(store persistence.Store) (states, error) {
	s := states{accounts: accounts.NewState(), placement: placement.NewState(), ring: newRing()}
	head, err := store.Get(headKey())
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		return s, nil
	case err != nil:
		return s, fmt.Errorf("read the head: %w", err)
	case len(head) != 9 || head[0] != storeVersion:
		return s, fmt.Errorf("the stored format is not known to this release, which knows %d", storeVersion)
	}
	from := []byte{persistence.TableControl, 1}
	err = store.Scan(from, persistence.After([]byte{persistence.TableControl}), func(key, value []byte) error {
		if len(key) != 10 {
			return fmt.Errorf("key %x is not one of ours", key)
		}
		return s.restore(key[1], binary.BigEndian.Uint64(key[2:]), value)
	})
	if err != nil {
		return s, fmt.Errorf("read the records: %w", err)
	}
	s.accounts.TakeDirty() // what was read is not new
	s.applied = binary.BigEndian.Uint64(head[1:])
	return s, nil
}

func (s *states) restore(kind byte, id uint64, value []byte) error {
	switch {
	case kind >= placement.RefFirst && kind <= placement.RefLast:
		return s.placement.Restore(placement.Ref{Kind: kind, ID: id}, value)
	case kind == refCommand:
		return s.ring.restore(id, value)
	}
	return s.accounts.Restore(accounts.Ref{Kind: kind, ID: id}, value)
}

// Flush puts into b every record that changed since the last Flush, and the
// index up to which the records then hold the log; it returns that index. The
// caller commits b; a commit that fails must stop the process, because what b
// held is not handed out again. One Flush at a time, and none from before a
// snapshot replaces the records until Restore has returned.
func (c *Control) Flush(b persistence.Batch) (uint64, error) {
	c.mu.Lock()
	view, dirty := c.states.accounts.View(), c.states.accounts.TakeDirty()
	places, moved := c.states.placement.View(), c.states.placement.TakeDirty()
	commands, applied := c.states.ring.takeDirty(), c.states.applied
	c.mu.Unlock()
	for _, r := range dirty {
		value, err := view.Record(r)
		if err := put(b, r.Kind, r.ID, value, err); err != nil {
			return 0, fmt.Errorf("flush accounts: %w", err)
		}
	}
	for _, r := range moved {
		value, err := places.Record(r)
		if err := put(b, r.Kind, r.ID, value, err); err != nil {
			return 0, fmt.Errorf("flush placement: %w", err)
		}
	}
	for _, r := range commands {
		b.Set(recordKey(refCommand, r.slot), r.data)
	}
	b.Set(headKey(), binary.BigEndian.AppendUint64([]byte{storeVersion}, applied))
	return applied, nil
}

func put(b persistence.Batch, kind byte, id uint64, value []byte, err error) error {
	switch {
	case err != nil:
		return err
	case value == nil:
		b.Delete(recordKey(kind, id))
	default:
		b.Set(recordKey(kind, id), value)
	}
	return nil
}

// Restore loads everything anew, after a snapshot of the group as of index has
// replaced the records in the store. No Apply runs meanwhile. Whoever waits goes
// on waiting, except for commands that the snapshot includes: what became of
// those cannot be told.
func (c *Control) Restore(index uint64) error {
	fresh, err := load(c.cfg.Store)
	if err != nil {
		return fmt.Errorf("take over accounts as of %d: %w", index, err)
	}
	fresh.applied = max(fresh.applied, index)
	c.tell(c.takeOver(fresh), All)
	return nil
}

// takeOver makes fresh the state and gives the sites that are no more.
func (c *Control) takeOver(fresh states) (removed []analytics.SiteID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.states.accounts.View()
	c.states = fresh
	c.publish()
	for id, p := range c.waiting {
		if fresh.ring.has(id) {
			delete(c.waiting, id)
			c.unqueueLocked(id)
			p.done <- outcome{err: errUnconfirmed}
		}
	}
	now := c.view.Load()
	for site := range old.Sites(0) {
		if _, still := now.SiteByID(site.ID); !still {
			removed = append(removed, site.ID)
		}
	}
	return removed
}
