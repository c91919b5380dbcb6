// Package schedule says when the requests of an open-loop load are due: at a
// rate that follows straight lines over time, evenly or as strangers arrive
// (Poisson). It computes only; it must never look at a clock, because what is
// due does not depend on what was answered. Start at New.
package schedule

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Piece is a part of the load over which the rate changes linearly.
type Piece struct {
	Length   time.Duration // above 0
	From, To float64       // requests per second, not negative
}

// Schedule gives out due times in order. Safe for concurrent use.
type Schedule struct {
	pieces []piece
	total  float64 // requests over all pieces
	length time.Duration

	mu      sync.Mutex
	random  *rand.Rand // nil: evenly
	at      float64    // requests that are due before the next one
	index   int64
	current int // piece of the one before
}

type piece struct {
	begin  float64 // s
	before float64 // requests due before it
	from   float64
	slope  float64 // requests per second, per second
	length float64 // s
}

// New makes a schedule. With poisson the gaps are random by seed, and the
// number of requests only close to the one that the rates give.
func New(pieces []Piece, poisson bool, seed uint64) (*Schedule, error) {
	s := &Schedule{}
	begin := 0.0
	for i, p := range pieces {
		if p.Length <= 0 || !(p.From >= 0) || !(p.To >= 0) || math.IsInf(p.From+p.To, 0) {
			return nil, fmt.Errorf("rate: piece %d of the load has length %v and rates %v to %v", i, p.Length, p.From, p.To)
		}
		l := p.Length.Seconds()
		s.pieces = append(s.pieces, piece{begin, s.total, p.From, (p.To - p.From) / l, l})
		begin += l
		s.total += (p.From + p.To) / 2 * l
		s.length += p.Length
	}
	if poisson {
		s.random = rand.New(rand.NewPCG(seed, 0x5c4ed))
		s.at = s.random.ExpFloat64()
	}
	return s, nil
}

// Length is the time from the start to the end of the last piece.
func (s *Schedule) Length() time.Duration { return s.length }

// Total is the number of requests that the rates give.
func (s *Schedule) Total() float64 { return s.total }

// Next gives the number of the next request, from 0, and when it is due, from
// the start; false when there are no more.
func (s *Schedule) Next() (index int64, due time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at >= s.total-1e-9 {
		return 0, 0, false
	}
	for s.current+1 < len(s.pieces) && s.at >= s.pieces[s.current+1].before {
		s.current++
	}
	due = s.pieces[s.current].when(s.at)
	index = s.index
	s.index++
	if s.random != nil {
		s.at += s.random.ExpFloat64()
	} else {
		s.at++
	}
	return index, due, true
}

// when inverts n = before + from·t + slope·t²/2.
func (p *piece) when(n float64) time.Duration {
	n -= p.before
	t := 0.0
	if root := p.from*p.from + 2*p.slope*n; n > 0 {
		// The form without a difference of near numbers.
		t = 2 * n / (p.from + math.Sqrt(max(0, root)))
	}
	return time.Duration((p.begin + min(t, p.length)) * float64(time.Second))
}

// Rate is the rate at a time from the start, 0 outside.
func (s *Schedule) Rate(at time.Duration) float64 {
	t := at.Seconds()
	for _, p := range s.pieces {
		if t >= p.begin && t < p.begin+p.length {
			return p.from + p.slope*(t-p.begin)
		}
	}
	return 0
}

// Join adds two loads that begin together, piece by piece.
func Join(a, b []Piece) []Piece {
	var out []Piece
	i, j := 0, 0
	var a0, b0 time.Duration // how much of the present pieces is used
	rate := func(p []Piece, i int, at time.Duration) float64 {
		if i >= len(p) {
			return 0
		}
		return p[i].From + (p[i].To-p[i].From)*float64(at)/float64(p[i].Length)
	}
	for i < len(a) || j < len(b) {
		step := time.Duration(math.MaxInt64)
		if i < len(a) {
			step = min(step, a[i].Length-a0)
		}
		if j < len(b) {
			step = min(step, b[j].Length-b0)
		}
		out = append(out, Piece{step, rate(a, i, a0) + rate(b, j, b0), rate(a, i, a0+step) + rate(b, j, b0+step)})
		if a0 += step; i < len(a) && a0 >= a[i].Length {
			i, a0 = i+1, 0
		}
		if b0 += step; j < len(b) && b0 >= b[j].Length {
			j, b0 = j+1, 0
		}
	}
	return out
}
