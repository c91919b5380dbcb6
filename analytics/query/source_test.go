package query_test

import (
	"context"
	"math/rand/v2"
	"sync"

	"footfall/analytics/session"
	"footfall/analytics/site"
)

// fickle is a source of days that does at random whatever one may do: it makes a
// day anew, goes on from any earlier state of it, gives what it has, remembers and
// forgets. What it remembers outlives questions, traffic, flushes and restarts, so
// that something stale would come out in an answer. Safe for concurrent use.
type fickle struct {
	blocks  session.Blocks
	lexicon *session.Lexicon

	mu     sync.Mutex // guards the rest
	r      *rand.Rand
	memory map[string]any
	past   map[int32][]pastDay
	did    deeds
}

// deeds counts what a source did.
type deeds struct{ built, advanced, given, recalled, concurrent int }

func (d *deeds) add(o deeds) {
	d.built += o.built
	d.advanced += o.advanced
	d.given += o.given
	d.recalled += o.recalled
	d.concurrent += o.concurrent
}

type pastDay struct {
	view *site.View
	day  *session.Day
}

const pastMax = 4 // states kept of a day

func newFickle(blocks session.Blocks, seed uint64) *fickle {
	return &fickle{blocks: blocks, lexicon: session.NewLexicon(), r: rand.New(rand.NewPCG(seed, 11)), memory: map[string]any{}, past: map[int32][]pastDay{}}
}

// anew is the source after everything was let go of, texts included.
func (s *fickle) anew() *fickle {
	n := newFickle(s.blocks, s.r.Uint64())
	n.did = s.did
	return n
}

func (s *fickle) Lexicon() *session.Lexicon { return s.lexicon }

func (s *fickle) Day(ctx context.Context, view *site.View, day int32) (*session.Day, error) {
	d, err := s.make(ctx, view, day)
	if err == nil {
		s.keep(pastDay{view, d}, day)
	}
	return d, err
}

func (s *fickle) make(ctx context.Context, view *site.View, day int32) (*session.Day, error) {
	s.mu.Lock()
	past := s.past[day]
	luck := s.r.IntN(4)
	if len(past) == 0 || luck == 0 {
		s.did.built++
		s.mu.Unlock()
		return session.Build(ctx, view, day, s.blocks, s.lexicon)
	}
	from := past[len(past)-1]
	if luck == 1 {
		from = pick(s.r, past)
	}
	same := version(from.view, day) == version(view, day)
	if same {
		s.did.given++
	} else {
		s.did.advanced++
	}
	s.mu.Unlock()
	if same {
		return from.day, nil
	}
	return session.Advance(ctx, from.day, from.view, view, s.blocks)
}

func version(view *site.View, day int32) uint64 {
	const ms = 24 * 60 * 60 * 1000
	return view.Version(int64(day)*ms, int64(day+1)*ms)
}

func (s *fickle) keep(p pastDay, day int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.past[day]) == pastMax {
		i := s.r.IntN(pastMax)
		s.past[day] = append(s.past[day][:i:i], s.past[day][i+1:]...)
	}
	s.past[day] = append(s.past[day], p)
}

func (s *fickle) Recall(key string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.memory[key]
	if ok && s.r.IntN(10) == 0 {
		delete(s.memory, key)
		return nil, false
	}
	if ok {
		s.did.recalled++
	}
	return v, ok
}

func (s *fickle) Remember(key string, v any, _ int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory[key] = v
}

// together is a Fan that runs all tasks at the same time.
func (s *fickle) together(_ context.Context, n int, task func(i int)) error {
	if n > 1 {
		s.mu.Lock()
		s.did.concurrent++
		s.mu.Unlock()
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { task(i) })
	}
	all.Wait()
	return nil
}
