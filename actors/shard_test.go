package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/persistence"
)

// replica is a node's copy of shard 0: a store and sites.
type replica struct {
	t     *testing.T
	store *memoryStore
	log   *keptLog
	sites *Sites
}

func newReplica(t *testing.T) *replica {
	r := &replica{t: t, store: newMemoryStore(), log: &keptLog{}}
	r.start(nil)
	t.Cleanup(func() {
		if err := r.sites.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *replica) start(present func(uint16) bool) {
	r.sites = New(Config{Store: r.store, Log: r.log, Shards: 2, Logger: slog.New(slog.DiscardHandler), Clock: time.Now, CacheBytes: 1 << 20, Present: present})
}

func (r *replica) apply(index uint64, data []byte) delivery.Outcome {
	r.t.Helper()
	done := make(chan delivery.Outcome, 1)
	if err := r.sites.Apply(0, index, data, func(o delivery.Outcome) { done <- o }); err != nil {
		r.t.Fatal(err)
	}
	return <-done
}

// batch is one of edge 9 with views of so many sites.
func batch(seq uint64, at int64, sites ...analytics.SiteID) []byte {
	buf := make([]byte, entry.HeaderLen)
	entry.PutHeader(buf, at, 9, 1, seq)
	for i, id := range sites {
		sid, ev := view(id, seq*100+uint64(i), seq%7, at, fmt.Sprintf("/%d", seq%5))
		buf = entry.AppendEvent(buf, sid, ev)
	}
	return buf
}

// copyState is what a snapshot does.
func (r *replica) copyState(from *replica) {
	a, b := persistence.StateSpan(0)
	w := r.store.NewBatch()
	w.DeleteRange(a, b)
	if err := from.store.Scan(a, b, func(k, v []byte) error { w.Set(k, v); return nil }); err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.Commit(w, true); err != nil {
		r.t.Fatal(err)
	}
}

func TestOnlyWhatIsNextReachesTheSites(t *testing.T) {
	r := newReplica(t)
	for i, c := range []struct {
		seq  uint64
		want delivery.Decision
	}{
		{1, delivery.Decision{}},
		{3, delivery.Decision{Verdict: delivery.Gap, Expected: 2, Epoch: 1}},
		{1, delivery.Decision{Verdict: delivery.Duplicate}},
		{2, delivery.Decision{}},
	} {
		o := r.apply(uint64(i+1), batch(c.seq, morning, 5))
		if o.Decision != c.want || (len(o.Reasons) == 1) != (c.want.Verdict == delivery.Apply) {
			t.Fatalf("sequence %d: got %+v, want %+v", c.seq, o, c.want)
		}
	}
	if n := pageviews(t, r.sites, 0, 5); n != 2 {
		t.Fatalf("%d page views, want 2", n)
	}
	if got := r.sites.Applied(0); got != 4 {
		t.Fatalf("applied %d, want 4: refused entries are applied too", got)
	}
}

func TestClocksOfEdgesDoNotTurnASiteBack(t *testing.T) {
	r := newReplica(t)
	r.apply(1, batch(1, morning+3_600_000, 5))
	r.apply(2, batch(2, morning, 6)) // another site, an edge whose clock is behind
	v, err := r.sites.View(t.Context(), 0, 6)
	if err != nil || v.Now != morning+3_600_000 {
		t.Fatalf("the site's time is %d, %v, want the shard's %d", v.Now, err, morning+3_600_000)
	}
}

// TestAFlushThatHasOnlyRefusalsLetsTheLogGo, and one that has nothing new writes
// nothing.
func TestAFlushThatHasOnlyRefusalsLetsTheLogGo(t *testing.T) {
	r := newReplica(t)
	r.apply(1, batch(1, morning, 5))
	if err := r.sites.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.apply(2, batch(1, morning, 5))
	if err := r.sites.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := r.store.Get(persistedKey); err != nil || string(b) != "2" {
		t.Fatalf("persisted %q, %v, want 2", b, err)
	}
	commits := len(r.store.commits)
	if err := r.sites.FlushAll(t.Context()); err != nil || len(r.store.commits) != commits {
		t.Fatalf("an idle flush writes: %v", err)
	}
}

func TestAShardThatIsNotHereAnswersSo(t *testing.T) {
	r := newReplica(t)
	r.apply(1, batch(1, morning, 5))
	if _, err := r.sites.View(t.Context(), 0, 5); err != nil {
		t.Fatal(err)
	}
	r.sites.Drop(0)
	if r.sites.Present(0) || r.sites.Resident() != 0 {
		t.Fatalf("present %v, %d sites in memory", r.sites.Present(0), r.sites.Resident())
	}
	if _, err := r.sites.View(t.Context(), 0, 5); !errors.Is(err, ErrElsewhere) {
		t.Fatalf("a question gives %v", err)
	}
	if _, _, err := r.sites.Summary(0, 5); !errors.Is(err, ErrElsewhere) {
		t.Fatalf("a summary gives %v", err)
	}
	if err := r.sites.Erase(t.Context(), 0, 5); !errors.Is(err, ErrElsewhere) {
		t.Fatalf("an erase gives %v", err)
	}
	if _, _, err := r.sites.DeepDigest(t.Context(), 0); !errors.Is(err, ErrElsewhere) {
		t.Fatalf("a digest gives %v", err)
	}
	if !r.sites.Present(1) {
		t.Fatal("the other shard went too")
	}
	if err := r.sites.Add(0); err != nil || !r.sites.Present(0) {
		t.Fatal(err)
	}
	r.start(func(n uint16) bool { return n == 1 })
	if r.sites.Present(0) || !r.sites.Present(1) {
		t.Fatal("Config.Present says otherwise")
	}
}

// TestASnapshotReplacesWhatIsInMemory: old actors write nothing any more, and
// nothing of the old state is seen.
func TestASnapshotReplacesWhatIsInMemory(t *testing.T) {
	leader, r := newReplica(t), newReplica(t)
	for i := uint64(1); i <= 40; i++ {
		leader.apply(i, batch(i, morning+int64(i)*60_000, 5, 6))
		if i <= 10 {
			r.apply(i, batch(i, morning+int64(i)*60_000, 5, 6))
		}
	}
	if err := leader.sites.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := pageviews(t, r.sites, 0, 5); n != 10 {
		t.Fatal(n)
	}
	changes, _, cancel := r.sites.Subscribe(5)
	defer cancel()
	// A flush is under way when the snapshot comes: its site has not written yet.
	written := make(chan struct{})
	r.store.hook = func(*memoryBatch) {}
	sh := &r.sites.shards[0]
	sh.mu.Lock()
	old := sh.sites[5]
	sh.mu.Unlock()
	r.sites.Drop(0)
	r.copyState(leader)
	r.store.hook = func(b *memoryBatch) { close(written) }
	replies := make(chan flushResult, 1)
	r.sites.system.Root.Send(old.pid, &flushRequest{replies})
	if err := r.sites.Reset(0, 40); err != nil {
		t.Fatal(err)
	}
	select {
	case <-written:
		t.Fatal("the old state wrote over the new one")
	default:
	}
	r.store.hook = nil
	<-changes
	for id := analytics.SiteID(5); id <= 6; id++ {
		if n := pageviews(t, r.sites, 0, id); n != 40 {
			t.Fatalf("site %d has %d page views after the snapshot, want 40", id, n)
		}
	}
	if o := r.apply(41, batch(40, morning, 5)); o.Decision.Verdict != delivery.Duplicate {
		t.Fatalf("the table did not come with the snapshot: %+v", o)
	}
	if o := r.apply(42, batch(41, morning, 5)); o.Decision.Verdict != delivery.Apply {
		t.Fatalf("%+v", o)
	}
	if err := r.sites.Reset(0, 3); err == nil {
		t.Fatal("records of a later index than the snapshot's were taken")
	}
}

// TestAFlushUnderWayIsAbandoned when its shard is dropped in the midst of it.
func TestAFlushUnderWayIsAbandoned(t *testing.T) {
	r := newReplica(t)
	for i := uint64(1); i <= 3; i++ {
		r.apply(i, batch(i, morning, 5, 6, 7))
	}
	var once sync.Once
	flushed := make(chan error, 1)
	inside, resume := make(chan struct{}), make(chan struct{})
	r.store.hook = func(*memoryBatch) {
		once.Do(func() {
			close(inside)
			<-resume
		})
	}
	go func() { flushed <- r.sites.FlushAll(context.Background()) }()
	<-inside
	done := make(chan struct{})
	go func() { r.sites.Drop(0); close(done) }()
	for w := &r.sites.shards[0].writes; w.TryRLock(); runtime.Gosched() {
		w.RUnlock() // Drop does not wait yet for the write that is under way
	}
	close(resume)
	<-done
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Get(persistedKey); !errors.Is(err, persistence.ErrNotFound) {
		t.Fatal("an abandoned flush says that records hold the log")
	}
	if _, err := r.store.Get(tableKey(0)); !errors.Is(err, persistence.ErrNotFound) {
		t.Fatal("an abandoned flush writes the table")
	}
}

// TestReplicasHaveOneDigest whenever they flush, seal, let sites leave memory or
// start again; and another when one has counted something else.
func TestReplicasHaveOneDigest(t *testing.T) {
	a, b := newReplica(t), newReplica(t)
	at := morning
	for i := uint64(1); i <= 400; i++ {
		at += 20 * 60_000
		data := batch(i, at, analytics.SiteID(1+i%3), analytics.SiteID(1+i%5))
		a.apply(i, data)
		b.apply(i, data)
		switch i % 100 {
		case 30:
			if err := errors.Join(a.sites.SealAll(t.Context()), a.sites.FlushAll(t.Context())); err != nil {
				t.Fatal(err)
			}
		case 60:
			sh := &a.sites.shards[0]
			sh.mu.Lock()
			for _, r := range sh.sites {
				r.used = time.Time{}
			}
			sh.mu.Unlock()
			a.sites.passivate()
		}
		if i%50 == 0 {
			ai, as, err1 := a.sites.DeepDigest(t.Context(), 0)
			bi, bs, err2 := b.sites.DeepDigest(t.Context(), 0)
			if err := errors.Join(err1, err2); err != nil || ai != i || bi != i || as != bs {
				t.Fatalf("entry %d: %d %x and %d %x, %v", i, ai, as, bi, bs, err)
			}
			x, xs := a.sites.Digest(0)
			y, ys := b.sites.Digest(0)
			if x != y || xs != ys || x != i {
				t.Fatalf("entry %d: the running digests are %d %x and %d %x", i, x, xs, y, ys)
			}
		}
	}
	_, want := a.sites.Digest(0)
	if err := a.sites.FlushAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.sites.Drop(0)
	if err := a.sites.Add(0); err != nil {
		t.Fatal(err)
	}
	if _, got := a.sites.Digest(0); got != want {
		t.Fatalf("the digest after a restart is %x, want %x", got, want)
	}
	if got, ok := b.sites.DigestAt(0, 390); !ok || got == want {
		t.Fatalf("as of ten entries ago: %x %v", got, ok)
	}
	_, before, err := a.sites.DeepDigest(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	a.apply(401, batch(401, at, 2))
	b.apply(401, batch(401, at, 3))
	_, as, err1 := a.sites.DeepDigest(t.Context(), 0)
	_, bs, err2 := b.sites.DeepDigest(t.Context(), 0)
	if err := errors.Join(err1, err2); err != nil || as == bs || as == before {
		t.Fatalf("another view, the same digest: %v", err)
	}
}

func TestADamagedTableIsNoEmptyOne(t *testing.T) {
	r := newReplica(t)
	b := r.store.NewBatch()
	b.Set(tableKey(0), []byte("x"))
	if err := r.store.Commit(b, true); err != nil {
		t.Fatal(err)
	}
	if err := r.sites.Apply(0, 1, batch(1, morning, 5), nil); !errors.Is(err, delivery.ErrFormat) {
		t.Fatalf("an entry is applied over a damaged table: %v", err)
	}
}
