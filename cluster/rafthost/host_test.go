package rafthost_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"footfall/cluster/rafthost"
	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type Group = rafthost.Group

type entry struct {
	index uint64
	data  string
}

// machine is source and applier of a host: it offers what was given to propose
// and remembers what was applied.
type machine struct {
	t    testing.TB
	mu   sync.Mutex
	cond sync.Cond
	todo map[Group][][]byte
	done map[Group][]entry
}

func newMachine(t testing.TB) *machine {
	m := &machine{t: t, todo: map[Group][][]byte{}, done: map[Group][]entry{}}
	m.cond.L = &m.mu
	return m
}

func (m *machine) Next(g Group) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.todo[g]
	if len(q) == 0 {
		return nil
	}
	m.todo[g] = q[1:]
	return q[0]
}

func (m *machine) Apply(g Group, index uint64, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.done[g]; len(d) > 0 && d[len(d)-1].index >= index {
		m.t.Errorf("group %d: entry %d applied after %d", g, index, d[len(d)-1].index)
	}
	m.done[g] = append(m.done[g], entry{index, string(data)})
	m.cond.Broadcast()
}

// offer queues proposals and tells the host.
func (m *machine) offer(h *rafthost.Host, g Group, data ...string) {
	m.mu.Lock()
	for _, d := range data {
		m.todo[g] = append(m.todo[g], []byte(d))
	}
	m.mu.Unlock()
	h.Notify(g)
}

// wait blocks until g has applied n entries.
func (m *machine) wait(g Group, n int) []entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.done[g]) < n {
		m.cond.Wait()
	}
	return slices.Clone(m.done[g])
}

func (m *machine) applied(g Group) []entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.done[g])
}

func texts(es []entry) []string {
	var out []string
	for _, e := range es {
		out = append(out, e.data)
	}
	return out
}

// node is a running host on a store.
type node struct {
	*rafthost.Host
	m     *machine
	store *pebblestore.Store
	stop  func() error // ends Run, keeps the store open
}

func groups(n int) []Group {
	var gs []Group
	for i := range n {
		gs = append(gs, Group(i))
	}
	return append(gs, rafthost.Control)
}

func start(t testing.TB, fs vfs.FS, cfg rafthost.Config) *node {
	t.Helper()
	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	cfg.Store, cfg.Source, cfg.Applier = s, m, m
	if cfg.Groups == nil {
		cfg.Groups = groups(3)
	}
	h, err := rafthost.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var runErr error
	wg.Go(func() { runErr = h.Run(ctx) })
	n := &node{Host: h, m: m, store: s}
	n.stop = func() error {
		cancel()
		wg.Wait()
		return runErr
	}
	<-h.Replayed()
	return n
}

// close ends Run and the store.
func (n *node) close(t testing.TB) {
	t.Helper()
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	if err := n.store.Close(); err != nil {
		t.Error(err)
	}
}

func TestEntriesAreAppliedInOrderAndReplayed(t *testing.T) {
	fs := vfs.NewMem()
	n := start(t, fs, rafthost.Config{})
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint("entry ", i))
	}
	n.m.offer(n.Host, 1, want...)
	n.m.offer(n.Host, rafthost.Control, "control")
	got := n.m.wait(1, 100)
	if !slices.Equal(texts(got), want) {
		t.Errorf("applied %q", texts(got))
	}
	n.m.wait(rafthost.Control, 1)
	if a := n.Applied(1); a < got[99].index {
		t.Errorf("applied index %d, newest entry %d", a, got[99].index)
	}
	n.close(t)

	for range 3 {
		n = start(t, fs, rafthost.Config{})
		if again := n.m.applied(1); !slices.Equal(again, got) {
			t.Errorf("replayed %v, want %v", again, got)
		}
		if again := texts(n.m.applied(rafthost.Control)); !slices.Equal(again, []string{"control"}) {
			t.Errorf("control replayed %q", again)
		}
		if len(n.m.applied(0)) != 0 {
			t.Error("an empty group replays something")
		}
		n.close(t)
	}
}

func TestRestartReplaysExactlyWhatIsNotPersisted(t *testing.T) {
	fs := vfs.NewMem()
	n := start(t, fs, rafthost.Config{})
	for i := range 10 {
		n.m.offer(n.Host, 0, fmt.Sprint(i))
	}
	got := n.m.wait(0, 10)
	before := n.LogBytes(0)
	persist(t, n, 0, got[5].index, true)
	if after := n.LogBytes(0); after > before {
		t.Errorf("log grew from %d to %d bytes by truncation", before, after)
	}
	n.m.offer(n.Host, 0, "10")
	got = n.m.wait(0, 11)
	n.close(t)

	n = start(t, fs, rafthost.Config{})
	if again := n.m.applied(0); !slices.Equal(again, got[6:]) {
		t.Errorf("replayed %v, want %v", again, got[6:])
	}
	persist(t, n, 0, n.Applied(0), true)
	if b := n.LogBytes(0); b != 0 {
		t.Errorf("%d bytes of log after everything is persisted", b)
	}
	if n.TotalLogBytes() <= 0 {
		t.Error("the other groups' logs are not counted")
	}
	n.close(t)

	n = start(t, fs, rafthost.Config{})
	if again := n.m.applied(0); len(again) != 0 {
		t.Errorf("replayed %v after everything was persisted", again)
	}
	n.m.offer(n.Host, 0, "11")
	if e := n.m.wait(0, 1)[0]; e.data != "11" || e.index <= got[10].index {
		t.Errorf("entry %v after %v", e, got[10])
	}
	n.close(t)
}

// persist writes P as the lead does.
func persist(t testing.TB, n *node, g Group, index uint64, truncate bool) {
	t.Helper()
	b := n.store.NewBatch()
	b.Set(persistence.SiteKey(uint16(g), 1, 0, 0, 0), binary.BigEndian.AppendUint64(nil, index))
	n.Persisted(b, g, index)
	if err := n.store.Commit(b, false); err != nil {
		t.Fatal(err)
	}
	if truncate {
		n.Truncated(g, index)
	}
}

func TestBigEntriesPass(t *testing.T) {
	fs := vfs.NewMem()
	// A cache smaller than one entry: entries are read back to be applied.
	for _, cache := range []int64{0, 1 << 10} {
		n := start(t, fs, rafthost.Config{CacheBytesMax: cache})
		have := len(n.m.applied(0))
		var want []string
		for i, size := range []int{20 << 20, 1, 5 << 20, 100, 17 << 20, 3 << 20} {
			want = append(want, string(bytes.Repeat([]byte{byte('a' + i)}, size)))
		}
		n.m.offer(n.Host, 0, want...)
		got := texts(n.m.wait(0, have+len(want)))[have:]
		if !slices.Equal(got, want) {
			t.Errorf("cache %d: big entries come out changed", cache)
		}
		if c := n.Stats().CacheBytes; c != 0 {
			t.Errorf("cache %d: %d bytes kept after everything is applied", cache, c)
		}
		n.close(t)
	}
	n := start(t, fs, rafthost.Config{})
	if got := n.m.applied(0); len(got) != 12 || len(got[6].data) != 20<<20 {
		t.Errorf("replay gives %d entries", len(got))
	}
	n.close(t)
}

// counter is a source that never ends and counts how far it is ahead of apply.
type counter struct {
	*machine
	inFlight, most int
	limit          int
	given          int
}

func (c *counter) Next(Group) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.given == c.limit {
		return nil
	}
	c.given++
	c.inFlight++
	c.most = max(c.most, c.inFlight)
	return []byte("x")
}

func (c *counter) Apply(g Group, index uint64, data []byte) {
	c.mu.Lock()
	c.inFlight--
	c.mu.Unlock()
	c.machine.Apply(g, index, data)
}

func TestTheWindowBoundsWhatIsInFlight(t *testing.T) {
	for _, window := range []int{1, 2, 5} {
		s, err := pebblestore.Open("db", pebblestore.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		c := &counter{machine: newMachine(t), limit: 100}
		h, err := rafthost.Open(rafthost.Config{Store: s, Source: c, Applier: c, Groups: []Group{7}, WindowMax: window})
		if err != nil {
			t.Fatal(err)
		}
		h.Notify(7) // one notice is enough for all, and it may come before Run
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		c.wait(7, 100)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		// The next entries are taken when the ones before are durable, which is a
		// moment before they are applied.
		if c.most < window || c.most > 2*window {
			t.Errorf("window %d: up to %d entries in flight", window, c.most)
		}
		if err := h.Run(context.Background()); err == nil {
			t.Error("a host runs twice")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestManyGroupsShareASync(t *testing.T) {
	n := start(t, vfs.NewMem(), rafthost.Config{Groups: groups(256), Workers: 1})
	defer n.close(t)
	// 257 groups were created, led and brought up to date with a few writes.
	if st := n.Stats(); st.Leading != 257 || st.Entries != 257 || st.Syncs > 10 {
		t.Errorf("stats after start %+v", st)
	}
	before := n.Stats()
	for _, g := range groups(256) {
		n.m.mu.Lock()
		n.m.todo[g] = append(n.m.todo[g], []byte("x"))
		n.m.mu.Unlock()
	}
	for _, g := range groups(256) {
		n.Notify(g)
	}
	for _, g := range groups(256) {
		n.m.wait(g, 1)
	}
	after := n.Stats()
	if e, s := after.Entries-before.Entries, after.Syncs-before.Syncs; e != 257 || s > 200 {
		t.Errorf("%d entries in %d syncs", e, s)
	}
	sum := uint64(0)
	for _, b := range after.Batches {
		sum += b
	}
	if sum != after.Syncs || after.Bytes == 0 || after.LogBytes != n.TotalLogBytes() {
		t.Errorf("stats do not add up: %+v", after)
	}
}

func TestIdleGroupsDoNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, vfs.NewMem(), rafthost.Config{Groups: groups(256)})
		defer n.close(t)
		before := n.Stats()
		synctest.Wait()
		time.Sleep(24 * time.Hour) // of the bubble's clock
		synctest.Wait()
		if after := n.Stats(); after != before {
			t.Errorf("a day of nothing: %+v became %+v", before, after)
		}
	})
}

func TestLogBytesFollowTheLog(t *testing.T) {
	n := start(t, vfs.NewMem(), rafthost.Config{})
	defer n.close(t)
	const size, count = 1000, 200
	data := strings.Repeat("x", size)
	for range count {
		n.m.offer(n.Host, 0, data)
	}
	es := n.m.wait(0, count)
	about := func(want int64) {
		t.Helper()
		if got := n.LogBytes(0); got < want || got > want+40<<10+count*24 {
			t.Errorf("log of %d bytes, want about %d", got, want)
		}
	}
	about(size * count)
	persist(t, n, 0, es[99].index, true)
	about(size * (count - 100))
	persist(t, n, 0, es[49].index, true) // older: changes nothing
	about(size * (count - 100))
	persist(t, n, 0, es[count-1].index, true)
	about(0)
	if n.LogBytes(1)+n.LogBytes(2)+n.LogBytes(0)+n.LogBytes(rafthost.Control) != n.TotalLogBytes() {
		t.Error("the total is not the sum")
	}
	// What is gone from the log is gone from the store.
	left := 0
	if err := n.store.Scan([]byte{persistence.TableLog, 0, 0}, []byte{persistence.TableLog, 0, 1}, func(_, _ []byte) error { left++; return nil }); err != nil || left != 0 {
		t.Errorf("%d entries left in the store, %v", left, err)
	}
}

func TestPersistingWhatIsNotAppliedIsABug(t *testing.T) {
	n := start(t, vfs.NewMem(), rafthost.Config{})
	defer n.close(t)
	b := n.store.NewBatch()
	defer b.Discard()
	defer func() {
		if recover() == nil {
			t.Error("an index beyond the applied one can be persisted")
		}
	}()
	n.Persisted(b, 0, n.Applied(0)+1)
}

func TestAPendingNoticeCostsNothing(t *testing.T) {
	s, err := pebblestore.Open("db", pebblestore.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	h, err := rafthost.Open(rafthost.Config{Store: s, Source: m, Applier: m, Groups: groups(4)})
	if err != nil {
		t.Fatal(err)
	}
	h.Notify(1)
	if n := testing.AllocsPerRun(100, func() { h.Notify(1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAWrongConfigIsRefused(t *testing.T) {
	s, err := pebblestore.Open("db", pebblestore.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	for name, c := range map[string]rafthost.Config{
		"no store":   {Source: m, Applier: m, Groups: groups(1)},
		"no source":  {Store: s, Applier: m, Groups: groups(1)},
		"no applier": {Store: s, Source: m, Groups: groups(1)},
		"no groups":  {Store: s, Source: m, Applier: m},
		"twice":      {Store: s, Source: m, Applier: m, Groups: []Group{1, 2, 1}},
	} {
		if _, err := rafthost.Open(c); err == nil {
			t.Errorf("%s: opens", name)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
