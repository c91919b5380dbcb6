package load

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"footfall/bench/results"
)

// counts is a histogram of µs that many record into without a lock. Values have
// a precision of 1 in 2^digits, as an HdrHistogram's.
type counts struct {
	digits int
	n      []atomic.Uint64
}

const (
	fine      = 10 // of totals
	coarse    = 6  // of intervals
	recordMax = int64(2 * time.Minute / time.Microsecond)
)

func newCounts(digits int) *counts {
	return &counts{digits, make([]atomic.Uint64, slot(recordMax, digits)+1)}
}

// slot numbers the ranges of values: one each below 2^(digits+1), from there
// 2^digits per power of two.
func slot(v int64, digits int) int {
	shift := max(0, bits.Len64(uint64(v))-digits-1)
	return shift<<digits + int(v>>shift)
}

// value is the middle of a range.
func value(i, digits int) int64 {
	if i < 2<<digits {
		return int64(i)
	}
	shift := i>>digits - 1
	low := int64(i-shift<<digits) << shift
	return low + 1<<shift/2
}

func (c *counts) record(d time.Duration) {
	c.n[slot(min(max(1, d.Microseconds()), recordMax), c.digits)].Add(1)
}

// histogram gives what was recorded as an HdrHistogram.
func (c *counts) histogram() *hdrhistogram.Histogram {
	h := results.NewHistogram()
	for i := range c.n {
		if n := c.n[i].Load(); n > 0 {
			_ = h.RecordValues(min(max(1, value(i, c.digits)), recordMax), int64(n)) // always in range
		}
	}
	return h
}

// quantiles gives values at shares in percent, in ascending order of these, and
// the highest.
func (c *counts) quantiles(shares ...float64) (out []int64, highest int64) {
	var total, seen uint64
	for i := range c.n {
		total += c.n[i].Load()
	}
	out = make([]int64, len(shares))
	if total == 0 {
		return out, 0
	}
	at := 0
	for i := range c.n {
		n := c.n[i].Load()
		if n == 0 {
			continue
		}
		seen += n
		highest = value(i, c.digits)
		for at < len(shares) && float64(seen) >= shares[at]/100*float64(total) {
			out[at] = highest
			at++
		}
	}
	return out, highest
}

// interval collects the requests that are due in a stretch of the run.
type interval struct {
	intended, sent, answered, refused, failed, views, others atomic.Int64

	latencies *counts
}

// intervalsMax bounds the memory of a long run; its intervals are longer then.
const intervalsMax = 3600

// recorder takes the results of one run. Its methods are safe for concurrent
// use.
type recorder struct {
	width     time.Duration
	intervals []interval
}

func newRecorder(length time.Duration) *recorder {
	r := &recorder{width: time.Second}
	for length > intervalsMax*r.width {
		r.width *= 2
	}
	r.intervals = make([]interval, max(1, int((length+r.width-1)/r.width)))
	for i := range r.intervals {
		r.intervals[i].latencies = newCounts(coarse)
	}
	return r
}

func (r *recorder) at(due time.Duration) *interval {
	return &r.intervals[min(len(r.intervals)-1, max(0, int(due/r.width)))]
}

// tally sums up one kind of requests.
type tally struct {
	intended, sent, answered, refused, failed, retried, views, dropped, bytes, received, messages atomic.Int64

	statuses       [600]atomic.Int64
	latencies, lag *counts
}

func newTally() *tally { return &tally{latencies: newCounts(fine), lag: newCounts(fine)} }
