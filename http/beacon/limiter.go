package beacon

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
)

// limiter is a table of token buckets, bounded in memory: buckets live in small
// sets, and a new one takes the place of the one in its set that was idle
// longest, which then starts anew when it comes back. With 65,536 buckets that
// takes as many busy callers. Keys are hashed with a seed of the process, so
// nobody can aim at a set. It is safe for concurrent use and allocates nothing.
type limiter struct {
	rate  int64 // thousandths of a token per millisecond = tokens per second
	burst int64 // thousandths of a token
	seed  maphash.Seed
	sets  []bucketSet
}

const (
	bucketSets    = 8192
	bucketsPerSet = 8
)

type bucketSet struct {
	mu      sync.Mutex
	buckets [bucketsPerSet]bucket
}

type bucket struct {
	key    uint64
	tokens int64 // thousandths
	last   int64 // Unix ms
}

// newLimiter allows perSecond takes a second and burst at once; nil, which
// allows everything, for a perSecond of 0 or less.
func newLimiter(perSecond, burst int) *limiter {
	if perSecond <= 0 {
		return nil
	}
	return &limiter{rate: int64(perSecond), burst: int64(max(burst, 1)) * 1000, seed: maphash.MakeSeed(), sets: make([]bucketSet, bucketSets)}
}

// takeAddr is take for an address; an IPv6 network of 64 bits, which one
// subscriber has, counts as one.
func (l *limiter) takeAddr(addr netip.Addr, nowMS int64) bool {
	if l == nil || addr.Unmap().IsLoopback() { // the machine itself is nobody's flood
		return true
	}
	b := addr.As16()
	if addr.Is4() {
		return l.take(maphash.Bytes(l.seed, b[12:]), nowMS)
	}
	return l.take(maphash.Bytes(l.seed, b[:8]), nowMS)
}

// takeNumber is take for a number, as a site's.
func (l *limiter) takeNumber(n uint64, nowMS int64) bool {
	if l == nil {
		return true
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return l.take(maphash.Bytes(l.seed, b[:]), nowMS)
}

// take takes one token for key, false when there is none.
func (l *limiter) take(key uint64, nowMS int64) bool {
	key |= 1 // 0 is an empty bucket
	set := &l.sets[(key>>1)%bucketSets]
	set.mu.Lock()
	defer set.mu.Unlock()
	b := &set.buckets[0]
	for i := range set.buckets {
		c := &set.buckets[i]
		if c.key == key {
			b = c
			break
		}
		if c.last < b.last {
			b = c
		}
	}
	if b.key != key {
		*b = bucket{key: key, tokens: l.burst, last: nowMS}
	}
	if elapsed := nowMS - b.last; elapsed > 0 {
		// A long absence fills the bucket; the product must not overflow.
		if elapsed > l.burst/l.rate {
			b.tokens = l.burst
		} else {
			b.tokens = min(b.tokens+elapsed*l.rate, l.burst)
		}
		b.last = nowMS
	} else if elapsed < 0 {
		b.last = nowMS // the clock was set back
	}
	if b.tokens < 1000 {
		return false
	}
	b.tokens -= 1000
	return true
}
