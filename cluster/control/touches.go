package control

import (
	"context"
	"sync"

	"footfall/analytics/accounts"
)

// touchAfter is how old a known time of last use must be, in milliseconds,
// before a newer one is noted.
const touchAfter = 60_000

// touchesMax bounds the commands that FlushTouches makes.
const touchesMax = 5000

// touches are times of last use that are not in the log yet. They are bounded
// by the number of sessions and keys that exist.
type touches struct {
	mu       sync.Mutex
	sessions map[uint64]int64
	keys     map[uint64]int64
}

func (t *touches) init() {
	t.sessions, t.keys = map[uint64]int64{}, map[uint64]int64{}
}

// SessionUsed tells whether n may be used at now, Unix ms, and notes that it
// was. Most calls take no lock.
func (c *Control) SessionUsed(n *accounts.Session, now int64) bool {
	if now-n.LastSeen < touchAfter {
		return n.Alive(now, n.LastSeen)
	}
	t := &c.touches
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := max(n.LastSeen, t.sessions[n.ID])
	if !n.Alive(now, seen) {
		return false
	}
	t.sessions[n.ID] = max(seen, now)
	return true
}

// KeyUsed notes that k was used at now, Unix ms. Most calls of a busy key take
// no lock.
func (c *Control) KeyUsed(k *accounts.Key, now int64) {
	if now-k.LastUsed < touchAfter {
		return
	}
	t := &c.touches
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys[k.ID] = max(t.keys[k.ID], now)
}

// FlushTouches brings the noted times into the log. Run does so regularly; it
// is worth a call before a clean shutdown as well.
func (c *Control) FlushTouches(ctx context.Context) error {
	t := &c.touches
	t.mu.Lock()
	var change accounts.Touch
	change.Sessions = takeSeen(t.sessions)
	change.Keys = takeSeen(t.keys)
	t.mu.Unlock()
	if len(change.Sessions)+len(change.Keys) == 0 {
		return nil
	}
	if _, err := c.Do(ctx, &change); err != nil {
		c.putBack(change)
		return err
	}
	return nil
}

func takeSeen(from map[uint64]int64) []accounts.Seen {
	var out []accounts.Seen
	for id, at := range from {
		if len(out) == touchesMax {
			break
		}
		out = append(out, accounts.Seen{ID: id, At: at})
		delete(from, id)
	}
	return out
}

func (c *Control) putBack(change accounts.Touch) {
	t := &c.touches
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range change.Sessions {
		t.sessions[s.ID] = max(t.sessions[s.ID], s.At)
	}
	for _, s := range change.Keys {
		t.keys[s.ID] = max(t.keys[s.ID], s.At)
	}
}
