package partner

import (
	"sync"
	"time"
)

// quota counts requests per key in windows that begin with a key's first
// request. It holds one entry per key that asked within the last window or
// two, so it is bounded by the number of keys. Safe for concurrent use.
type quota struct {
	limit  int
	window time.Duration

	mu    sync.Mutex
	keys  map[uint64]*allowance
	sweep int // sweep at this size
}

type allowance struct {
	until time.Time
	used  int
}

const sweepMin = 1024

func newQuota(limit int, window time.Duration) *quota {
	return &quota{limit: limit, window: window, keys: make(map[uint64]*allowance), sweep: sweepMin}
}

// take counts one request: how many are left, when the window ends, and
// whether this one may pass. One that may not costs nothing.
func (q *quota) take(key uint64, now time.Time) (left int, reset time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.keys[key]
	if a == nil {
		if len(q.keys) >= q.sweep {
			q.forgetLocked(now)
		}
		a = &allowance{}
		q.keys[key] = a
	}
	// A clock set far back must not lock a key out for longer than a window.
	if !now.Before(a.until) || a.until.Sub(now) > q.window {
		a.until, a.used = now.Add(q.window), 0
	}
	reset = a.until.Sub(now)
	if a.used >= q.limit {
		return 0, reset, false
	}
	a.used++
	return q.limit - a.used, reset, true
}

// forgetLocked drops ended windows; amortised constant work per new key.
func (q *quota) forgetLocked(now time.Time) {
	for key, a := range q.keys {
		if !now.Before(a.until) {
			delete(q.keys, key)
		}
	}
	q.sweep = max(sweepMin, 2*len(q.keys))
}
