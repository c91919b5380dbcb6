package merchant

import (
	"hash/maphash"
	"sync"
	"time"
)

// throttle is a token bucket per key in memory of a fixed size. When a place is
// needed, the fullest bucket of its row makes room, so that a flood of keys
// pushes out each other before those that are being held back.
type throttle struct {
	seed  maphash.Seed
	burst float64
	every float64 // ms for one token to come back

	mu   sync.Mutex
	rows [throttleRows][throttleWays]bucket
}

const (
	throttleRows = 1024
	throttleWays = 4
)

// bucket counts what was taken, so that the zero value is full.
type bucket struct {
	key   uint64
	taken float64
	at    int64 // Unix ms
}

func newThrottle(burst int, every time.Duration) *throttle {
	return &throttle{seed: maphash.MakeSeed(), burst: float64(burst), every: float64(every.Milliseconds())}
}

// take takes one token of key at now, Unix ms. When there is none it tells how
// long to wait.
func (t *throttle) take(key string, now int64) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucketLocked(key, now)
	if over := b.taken + 1 - t.burst; over > 0 {
		return time.Duration(over*t.every) * time.Millisecond, false
	}
	b.taken++
	return 0, true
}

// giveBack returns a token that take took.
func (t *throttle) giveBack(key string, now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucketLocked(key, now)
	b.taken = max(0, b.taken-1)
}

func (t *throttle) bucketLocked(key string, now int64) *bucket {
	h := maphash.String(t.seed, key)
	row := &t.rows[h%throttleRows]
	fullest := &row[0]
	for i := range row {
		b := &row[i]
		b.taken = max(0, b.taken-float64(max(0, now-b.at))/t.every)
		b.at = max(b.at, now)
		if b.key == h {
			return b
		}
		if b.taken < fullest.taken {
			fullest = b
		}
	}
	*fullest = bucket{key: h, at: now}
	return fullest
}
