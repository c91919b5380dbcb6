package actors

import (
	"sync"
	"sync/atomic"

	"footfall/analytics"
)

// topics tells viewers that a site changed. A slow viewer misses nothing but
// intermediate states: its channel holds one signal.
type topics struct {
	count atomic.Int64
	mu    sync.RWMutex // guards sites
	sites map[analytics.SiteID]*topic
}

type topic struct {
	index   atomic.Uint64
	viewers map[chan struct{}]bool // guarded by topics.mu
}

func (t *topics) signal(id analytics.SiteID, index uint64) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.sites[id]
	if s == nil {
		return
	}
	s.index.Store(index)
	for ch := range s.viewers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// wake signals every viewer, without saying that anything changed: whoever looks
// again sees what there is.
func (t *topics) wake() {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, s := range t.sites {
		for ch := range s.viewers {
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}
}

// Subscribe gives a channel that gets a signal after each change of the site,
// the index of the last change seen, and the end of the subscription, which
// must be called once.
func (s *Sites) Subscribe(id analytics.SiteID) (changes <-chan struct{}, index func() uint64, cancel func()) {
	t := &s.live
	ch := make(chan struct{}, 1)
	t.count.Add(1) // before it is listed, so that no change passes by
	t.mu.Lock()
	if t.sites == nil {
		t.sites = make(map[analytics.SiteID]*topic)
	}
	top := t.sites[id]
	if top == nil {
		top = &topic{viewers: make(map[chan struct{}]bool)}
		t.sites[id] = top
	}
	top.viewers[ch] = true
	t.mu.Unlock()
	return ch, top.index.Load, func() {
		t.mu.Lock()
		delete(top.viewers, ch)
		if len(top.viewers) == 0 && t.sites[id] == top {
			delete(t.sites, id)
		}
		t.mu.Unlock()
		t.count.Add(-1)
	}
}
