package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"

	"footfall/persistence"
)

var (
	_ persistence.Store  = (*store)(nil)
	_ persistence.Viewer = (*store)(nil)
	_ persistence.Stager = (*store)(nil)
)

var errCut = errors.New("the power is cut")

// item is a record. Values are never changed in place.
type item struct {
	key   string
	value []byte
}

// undo takes one write back.
type undo struct {
	key  string
	old  []byte
	had  bool
	many []item // records that a DeleteRange took away
}

// store is a disk in memory: an ordered map that knows how to take back every
// commit since the last sync. A power cut takes back as many of the newest as
// the seed says. Not safe for concurrent use: a simulation has one goroutine.
type store struct {
	items    []item
	unsynced [][]undo
	stages   map[string]*stage
	steps    int
	cutAt    int // the step that loses power, 0: none
	dead     bool
	rng      *rand.Rand
	// rot is how a planted bug spoils a commit; nil: it does not.
	rot func(b *batch, sync bool) bool
	// hide names records that a planted bug keeps from snapshots.
	hide func(key []byte) bool
}

func newStore(rng *rand.Rand) *store { return &store{rng: rng, stages: map[string]*stage{}} }

// step counts one thing done to the disk. landed says whether it happened before
// the power went.
func (s *store) step() (landed bool, err error) {
	if s.dead {
		return false, errCut
	}
	if s.steps++; s.cutAt > 0 && s.steps >= s.cutAt {
		s.dead = true
		return s.rng.IntN(2) == 0, errCut
	}
	return true, nil
}

// cut turns the power off and gives the disk as the next start finds it.
func (s *store) cut() *store {
	s.dead = true
	keep := s.rng.IntN(len(s.unsynced) + 1)
	for i := len(s.unsynced) - 1; i >= keep; i-- {
		list := s.unsynced[i]
		for j := len(list) - 1; j >= 0; j-- {
			s.takeBack(list[j])
		}
	}
	out := newStore(s.rng)
	out.items, out.rot, out.hide = s.items, s.rot, s.hide
	for _, name := range s.stageNames() {
		if st := s.stages[name]; st.finished {
			out.stages[name] = &stage{store: out, name: name, records: st.records, finished: true}
		}
	}
	return out
}

func (s *store) takeBack(u undo) {
	switch {
	case u.many != nil:
		at, _ := s.find(u.many[0].key)
		s.items = slices.Insert(s.items, at, u.many...)
	case u.had:
		at, _ := s.find(u.key)
		s.items[at].value = u.old
	default:
		at, _ := s.find(u.key)
		s.items = slices.Delete(s.items, at, at+1)
	}
}

func (s *store) find(key string) (int, bool) {
	i := sort.Search(len(s.items), func(i int) bool { return s.items[i].key >= key })
	return i, i < len(s.items) && s.items[i].key == key
}

// span gives the places of [from, to).
func (s *store) span(from, to []byte) (int, int) {
	i, _ := s.find(string(from))
	j := len(s.items)
	if to != nil {
		j, _ = s.find(string(to))
	}
	return i, max(i, j)
}

func (s *store) Get(key []byte) ([]byte, error) {
	i, ok := s.find(string(key))
	if !ok {
		return nil, persistence.ErrNotFound
	}
	return slices.Clone(s.items[i].value), nil
}

func (s *store) Scan(from, to []byte, fn func(key, value []byte) error) error {
	// Nobody here writes while scanning; the length is fixed all the same.
	i, j := s.span(from, to)
	return scan(s.items[i:j:j], fn)
}

func scan(items []item, fn func(key, value []byte) error) error {
	for _, x := range items {
		if err := fn([]byte(x.key), x.value); err != nil {
			return err
		}
	}
	return nil
}

// op is one write of a batch.
type op struct {
	key   string
	value []byte
	to    []byte // of a DeleteRange
	kind  byte   // 's', 'd' or 'r'
}

type batch struct {
	ops  []op
	size int
}

func (b *batch) Set(key, value []byte) {
	b.ops = append(b.ops, op{key: string(key), value: slices.Clone(value), kind: 's'})
	b.size += len(key) + len(value)
}

func (b *batch) Delete(key []byte) {
	b.ops = append(b.ops, op{key: string(key), kind: 'd'})
	b.size += len(key)
}

func (b *batch) DeleteRange(from, to []byte) {
	b.ops = append(b.ops, op{key: string(from), to: slices.Clone(to), kind: 'r'})
	b.size += len(from) + len(to)
}

func (b *batch) Size() int { return b.size }
func (b *batch) Discard()  {}

func (s *store) NewBatch() persistence.Batch { return &batch{} }

func (s *store) Commit(pb persistence.Batch, sync bool) error {
	landed, err := s.step()
	if !landed {
		return err
	}
	b := pb.(*batch)
	if s.rot != nil {
		sync = s.rot(b, sync)
	}
	var undos []undo
	for _, o := range b.ops {
		undos = s.apply(o, undos)
	}
	s.unsynced = append(s.unsynced, undos)
	if sync && err == nil {
		s.unsynced = nil
	}
	return err
}

func (s *store) apply(o op, undos []undo) []undo {
	i, ok := s.find(o.key)
	switch o.kind {
	case 's':
		if ok {
			undos = append(undos, undo{key: o.key, old: s.items[i].value, had: true})
			s.items[i].value = o.value
			return undos
		}
		s.items = slices.Insert(s.items, i, item{o.key, o.value})
		return append(undos, undo{key: o.key})
	case 'd':
		if !ok {
			return undos
		}
		undos = append(undos, undo{many: []item{s.items[i]}})
		s.items = slices.Delete(s.items, i, i+1)
	case 'r':
		i, j := s.span([]byte(o.key), o.to)
		if i == j {
			return undos
		}
		undos = append(undos, undo{many: slices.Clone(s.items[i:j])})
		s.items = slices.Delete(s.items, i, j)
	}
	return undos
}

func (s *store) Close() error { return nil }

// view is a picture of a store.
type view struct {
	store
}

func (s *store) View() (persistence.View, error) {
	v := &view{store{items: slices.Clone(s.items)}}
	if s.hide != nil {
		v.items = slices.DeleteFunc(v.items, func(x item) bool { return s.hide([]byte(x.key)) })
	}
	return v, nil
}

// stage collects records beside the store.
type stage struct {
	store    *store
	name     string
	records  []item
	finished bool
}

func (s *store) Stage(name string) (persistence.Stage, error) {
	if landed, err := s.step(); !landed || err != nil {
		return nil, err
	}
	st := &stage{store: s, name: name}
	s.stages[name] = st
	return st, nil
}

func (st *stage) Put(key, value []byte) error {
	if n := len(st.records); n > 0 && st.records[n-1].key >= string(key) {
		return fmt.Errorf("key %x does not rise", key)
	}
	st.records = append(st.records, item{string(key), slices.Clone(value)})
	return nil
}

func (st *stage) Finish() error {
	landed, err := st.store.step()
	st.finished = landed
	return err
}

func (st *stage) Discard() error { return st.store.Unstage(st.name) }

// Install is durable with everything committed before it, and takes two steps: a
// cut between them leaves the records installed and the stage there.
func (s *store) Install(name string, from, to []byte) error {
	landed, err := s.step()
	if !landed {
		return err
	}
	st := s.stages[name]
	if st == nil {
		return err
	}
	if !st.finished {
		return errors.New("the stage is not finished")
	}
	for _, r := range st.records {
		if bytes.Compare([]byte(r.key), from) < 0 || bytes.Compare([]byte(r.key), to) >= 0 {
			return errors.New("a record is out of the range")
		}
	}
	i, j := s.span(from, to)
	s.items = slices.Replace(s.items, i, j, st.records...)
	s.unsynced = nil
	if err != nil {
		return err
	}
	if _, err := s.step(); err != nil {
		return err
	}
	delete(s.stages, name)
	return nil
}

func (s *store) stageNames() []string {
	var names []string
	for name := range s.stages {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *store) Staged() ([]string, error) {
	return slices.DeleteFunc(s.stageNames(), func(n string) bool { return !s.stages[n].finished }), nil
}

func (s *store) Unstage(name string) error {
	if s.dead {
		return errCut
	}
	delete(s.stages, name)
	return nil
}
