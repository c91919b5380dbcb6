package control

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"footfall/persistence"
)

// memory is a Store in memory that counts its writes.
type memory struct {
	mu   sync.Mutex
	data map[string][]byte
	sets int
}

func newMemory() *memory { return &memory{data: map[string][]byte{}} }

type memoryBatch struct{ ops []func(*memory) }

func (m *memory) Get(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.data[string(key)]
	if !ok {
		return nil, persistence.ErrNotFound
	}
	return bytes.Clone(v), nil
}

func (m *memory) Scan(from, to []byte, fn func(key, value []byte) error) error {
	m.mu.Lock()
	var keys []string
	for k := range m.data {
		if k >= string(from) && k < string(to) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	values := make([][]byte, len(keys))
	for i, k := range keys {
		values[i] = m.data[k]
	}
	m.mu.Unlock()
	for i, k := range keys {
		if err := fn([]byte(k), values[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) NewBatch() persistence.Batch { return &memoryBatch{} }

func (m *memory) Commit(b persistence.Batch, _ bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range b.(*memoryBatch).ops {
		op(m)
	}
	return nil
}

func (m *memory) Close() error { return nil }

func (b *memoryBatch) Set(key, value []byte) {
	k, v := string(key), bytes.Clone(value)
	b.ops = append(b.ops, func(m *memory) { m.data[k] = v; m.sets++ })
}

func (b *memoryBatch) Delete(key []byte) {
	k := string(key)
	b.ops = append(b.ops, func(m *memory) { delete(m.data, k) })
}

func (b *memoryBatch) DeleteRange(from, to []byte) {
	f, t := string(from), string(to)
	b.ops = append(b.ops, func(m *memory) {
		for k := range m.data {
			if k >= f && k < t {
				delete(m.data, k)
			}
		}
	})
}

func (b *memoryBatch) Size() int { return len(b.ops) }
func (b *memoryBatch) Discard()  {}

// loopback is a host of one voter: it takes proposals when told, keeps them as
// the log, and applies them. While held it leaves them in the queue.
type loopback struct {
	t     testing.TB
	wake  chan struct{}
	hold  sync.Mutex // held: nothing is taken
	mu    sync.Mutex
	log   [][]byte // entry i has index 10 + 2i, as raft leaves gaps
	ended chan struct{}
}

func indexOf(i int) uint64 { return uint64(10 + 2*i) }

// start opens a Control over store, replays what the log has, and serves it
// until the test ends.
func start(t testing.TB, store persistence.Store, log [][]byte, cfg Config) (*Control, *loopback) {
	t.Helper()
	l := &loopback{t: t, wake: make(chan struct{}, 1), log: slices.Clone(log), ended: make(chan struct{})}
	cfg.Store = store
	cfg.Notify = func() {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	cfg.Passwords = PasswordCost{MemoryKiB: 64, Passes: 1, Lanes: 1, Parallel: cfg.Passwords.Parallel, WaitingMax: cfg.Passwords.WaitingMax}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, entry := range log {
		c.Apply(indexOf(i), entry)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() { l.run(ctx, c) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c, l
}

func (l *loopback) run(ctx context.Context, c *Control) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		l.hold.Lock()
		for {
			entry := c.Next()
			if entry == nil {
				break
			}
			l.mu.Lock()
			l.log = append(l.log, entry)
			index := indexOf(len(l.log) - 1)
			l.mu.Unlock()
			c.Apply(index, entry)
		}
		l.hold.Unlock()
	}
}

func (l *loopback) entries() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.log)
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// until waits for something that another goroutine is about to bring about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx := soon(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
