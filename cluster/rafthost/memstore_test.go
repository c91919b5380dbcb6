package rafthost_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"

	"footfall/persistence"
)

var (
	_ persistence.Store  = (*memStore)(nil)
	_ persistence.Viewer = (*memStore)(nil)
	_ persistence.Stager = (*memStore)(nil)
)

var errCut = errors.New("the power is cut")

// memStore is a store in memory that can lose power: what was not synced is lost
// from a random commit on. It can be told to lose power at its n-th step.
type memStore struct {
	mu      sync.Mutex
	now     kvs   // what readers see
	durable kvs   // what a cut leaves for certain
	tail    []kvs // states after each unsynced commit
	stages  map[string]*memStage
	views   int
	steps   int
	cutAt   int // 0: never
	dead    bool
}

type kv struct {
	k string
	v []byte
}

// kvs is sorted and never changed in place.
type kvs []kv

func (s kvs) find(k []byte) (int, bool) {
	i := sort.Search(len(s), func(i int) bool { return s[i].k >= string(k) })
	return i, i < len(s) && s[i].k == string(k)
}

func (s kvs) with(k string, v []byte) kvs {
	i, ok := s.find([]byte(k))
	out := append(make(kvs, 0, len(s)+1), s[:i]...)
	out = append(out, kv{k, v})
	if ok {
		i++
	}
	return append(out, s[i:]...)
}

func (s kvs) without(from, to []byte) kvs {
	i, _ := s.find(from)
	j := len(s)
	if to != nil {
		j, _ = s.find(to)
	}
	if j <= i {
		return s
	}
	return append(append(make(kvs, 0, len(s)), s[:i]...), s[j:]...)
}

func (s kvs) get(k []byte) ([]byte, error) {
	i, ok := s.find(k)
	if !ok {
		return nil, persistence.ErrNotFound
	}
	return slices.Clone(s[i].v), nil
}

func (s kvs) scan(from, to []byte, fn func(k, v []byte) error) error {
	i, _ := s.find(from)
	for ; i < len(s) && (to == nil || s[i].k < string(to)); i++ {
		if err := fn([]byte(s[i].k), s[i].v); err != nil {
			return err
		}
	}
	return nil
}

func newMemStore() *memStore { return &memStore{stages: map[string]*memStage{}} }

// step counts one durable step; the caller holds mu.
func (s *memStore) step() error {
	if s.steps++; s.cutAt > 0 && s.steps >= s.cutAt {
		s.dead = true
	}
	if s.dead {
		return errCut
	}
	return nil
}

// cut gives what a machine finds after a power cut.
func (s *memStore) cut(rng *rand.Rand) *memStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	out := newMemStore()
	out.durable = s.durable
	if n := rng.IntN(len(s.tail) + 1); n > 0 {
		out.durable = s.tail[n-1]
	}
	out.now = out.durable
	for name, st := range s.stages {
		if st.finished { // what was not finished may be there too, but is not named
			out.stages[name] = &memStage{store: out, name: name, records: st.records, finished: true}
		}
	}
	return out
}

func (s *memStore) Get(k []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.get(k)
}

func (s *memStore) Scan(from, to []byte, fn func(k, v []byte) error) error {
	s.mu.Lock()
	now := s.now
	s.mu.Unlock()
	return now.scan(from, to, fn)
}

func (s *memStore) NewBatch() persistence.Batch { return &memBatch{} }

func (s *memStore) Commit(b persistence.Batch, sync bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.step(); err != nil {
		return err
	}
	for _, f := range b.(*memBatch).ops {
		s.now = f(s.now)
	}
	if s.tail = append(s.tail, s.now); sync {
		s.durable, s.tail = s.now, nil
	}
	return nil
}

func (s *memStore) Close() error { return nil }

type memBatch struct {
	ops  []func(kvs) kvs
	size int
}

func (b *memBatch) Set(k, v []byte) {
	key, value := string(k), slices.Clone(v)
	b.ops = append(b.ops, func(s kvs) kvs { return s.with(key, value) })
	b.size += len(k) + len(v)
}

func (b *memBatch) Delete(k []byte) { b.DeleteRange(k, append(slices.Clone(k), 0)) }

func (b *memBatch) DeleteRange(from, to []byte) {
	from, to = slices.Clone(from), slices.Clone(to)
	b.ops = append(b.ops, func(s kvs) kvs { return s.without(from, to) })
	b.size += len(from) + len(to)
}

func (b *memBatch) Size() int { return b.size }
func (b *memBatch) Discard()  {}

type memView struct {
	s    *memStore
	data kvs
}

func (s *memStore) View() (persistence.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views++
	return &memView{s, s.now}, nil
}

func (v *memView) Get(k []byte) ([]byte, error) { return v.data.get(k) }

func (v *memView) Scan(from, to []byte, fn func(k, v []byte) error) error {
	return v.data.scan(from, to, fn)
}

func (v *memView) Close() error {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.s.views--
	return nil
}

type memStage struct {
	store    *memStore
	name     string
	records  kvs
	finished bool
}

func (s *memStore) Stage(name string) (persistence.Stage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.step(); err != nil {
		return nil, err
	}
	st := &memStage{store: s, name: name}
	s.stages[name] = st
	return st, nil
}

func (st *memStage) Put(k, v []byte) error {
	if n := len(st.records); n > 0 && st.records[n-1].k >= string(k) {
		return fmt.Errorf("key %x does not rise", k)
	}
	st.records = append(st.records, kv{string(k), slices.Clone(v)})
	return nil
}

func (st *memStage) Finish() error {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	if err := st.store.step(); err != nil {
		return err
	}
	st.finished = true
	return nil
}

func (st *memStage) Discard() error { return st.store.Unstage(st.name) }

// Install is durable with everything committed before it, and takes two steps:
// a cut between them leaves the records installed and the stage there.
func (s *memStore) Install(name string, from, to []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.step(); err != nil {
		return err
	}
	st := s.stages[name]
	if st == nil {
		return nil
	}
	if !st.finished {
		return errors.New("the stage is not finished")
	}
	next := s.now.without(from, to)
	for _, r := range st.records {
		if bytes.Compare([]byte(r.k), from) < 0 || bytes.Compare([]byte(r.k), to) >= 0 {
			return errors.New("a record is out of the range")
		}
		next = next.with(r.k, r.v)
	}
	s.now, s.durable, s.tail = next, next, nil
	if err := s.step(); err != nil {
		return err
	}
	delete(s.stages, name)
	return nil
}

func (s *memStore) Staged() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, st := range s.stages {
		if st.finished {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s *memStore) Unstage(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errCut
	}
	delete(s.stages, name)
	return nil
}

// left counts the keys of [from, to).
func (s *memStore) left(from, to []byte) int {
	n := 0
	_ = s.Scan(from, to, func(_, _ []byte) error { n++; return nil })
	return n
}
