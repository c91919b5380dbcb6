package pebblestore

import (
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"footfall/persistence"
)

var _ persistence.Viewer = (*Store)(nil)

// view is an iterator that is never moved, only cloned. A snapshot of the
// database would not do: Install takes the records that it replaces out of every
// snapshot (see "a view survives an installation" in package storetest), while
// an iterator keeps the tables and memtables that it was made on.
type view struct {
	s  *Store
	it *pebble.Iterator
}

// views knows the views that are open. Safe for concurrent use.
type views struct {
	mu    sync.Mutex
	since map[*view]time.Time
}

func (v *views) add(w *view, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.since == nil {
		v.since = map[*view]time.Time{}
	}
	v.since[w] = now
}

func (v *views) remove(w *view) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.since, w)
}

// oldest gives the number of open views and the age of the oldest.
func (v *views) oldest(now time.Time) (n int, age time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.since {
		age = max(age, now.Sub(t))
	}
	return len(v.since), age
}

// View implements persistence.Viewer. A view costs little to make and holds what
// is deleted or compacted after it on disk, and up to the memtables of its
// moment in memory, until it is closed: minutes are well, hours are not.
// Stats.Views and Stats.ViewAgeMax tell.
func (s *Store) View() (persistence.View, error) {
	if err := s.events.failed(); err != nil {
		return nil, err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{})
	if err != nil {
		return nil, fmt.Errorf("make view: %w", damaged(err))
	}
	v := &view{s: s, it: it}
	s.views.add(v, s.now())
	return v, nil
}

// Get implements persistence.View.
func (v *view) Get(key []byte) ([]byte, error) {
	if err := v.s.events.failed(); err != nil {
		return nil, err
	}
	it, err := v.it.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{}})
	if err != nil {
		return nil, fmt.Errorf("get key %x from view: %w", key, damaged(err))
	}
	var value []byte
	found := it.SeekPrefixGE(key) // the whole key is its prefix
	if found {
		var b []byte
		if b, err = it.ValueAndErr(); err == nil {
			value = append(make([]byte, 0, len(b)), b...)
		}
	}
	if e := it.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("get key %x from view: %w", key, damaged(err))
	}
	if !found {
		return nil, persistence.ErrNotFound
	}
	return value, nil
}

// Scan implements persistence.View. A nil from starts at the first key, a nil to
// ends after the last.
func (v *view) Scan(from, to []byte, fn func(key, value []byte) error) error {
	if err := v.s.events.failed(); err != nil {
		return err
	}
	it, err := v.it.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{LowerBound: from, UpperBound: to}})
	if err != nil {
		return fmt.Errorf("scan view from %x: %w", from, damaged(err))
	}
	return scan(it, from, fn)
}

// Close implements persistence.View.
func (v *view) Close() error {
	if v.it == nil {
		return nil
	}
	v.s.views.remove(v)
	it := v.it
	v.it = nil
	if err := it.Close(); err != nil {
		return fmt.Errorf("close view: %w", damaged(err))
	}
	return nil
}
