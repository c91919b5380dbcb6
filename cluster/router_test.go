package cluster

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a router with a log that commits when the test says so.
type world struct {
	t        *testing.T
	router   *Router
	writable atomic.Bool

	mu       sync.Mutex
	notified map[uint16]int
	index    uint64
	applied  []entry.Item // all items, in order
	reason   func(entry.Item) analytics.Reason
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, notified: map[uint16]int{}, reason: func(entry.Item) analytics.Reason { return analytics.Counted }}
	w.writable.Store(true)
	w.router = NewRouter(Config{Sites: w, Notify: w.notify, Writable: w.writable.Load, Clock: time.Now, Edge: 77,
		Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	return w
}

func (w *world) notify(shard uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notified[shard]++
}

// Apply decides every item by w.reason.
func (w *world) Apply(_ uint16, _ uint64, data []byte, done func(delivery.Outcome)) error {
	rd, err := entry.Open(data)
	if err != nil {
		return err
	}
	var reasons []analytics.Reason
	for {
		var it entry.Item
		ok, err := rd.Next(&it)
		if err != nil || !ok {
			if done != nil {
				done(delivery.Outcome{Reasons: reasons})
			}
			return err
		}
		w.applied = append(w.applied, it)
		reasons = append(reasons, w.reason(it))
	}
}

// commit takes the next entry of a shard and applies it; false if there is none.
func (w *world) commit(shard uint16) bool {
	data := w.router.Next(shard)
	if data == nil {
		return false
	}
	w.index++
	w.router.Apply(shard, w.index, data)
	return true
}

// until lets the log of a shard turn until done is closed.
func (w *world) until(shard uint16, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
			w.commit(shard)
		}
	}
}

func event(id uint64) *analytics.Event {
	return &analytics.Event{Time: 1_772_353_800_000, ID: id, Visitor: 1, Page: "/", Host: "h"}
}

func TestAViewIsAnsweredWhenItsEntryIsApplied(t *testing.T) {
	w := newWorld(t)
	shard := ShardOf(5)
	w.reason = func(it entry.Item) analytics.Reason {
		if it.ID == 2 {
			return analytics.DropDuplicate
		}
		return analytics.Counted
	}
	for _, c := range []struct {
		id   uint64
		want analytics.Reason
	}{{1, analytics.Counted}, {2, analytics.DropDuplicate}} {
		done := make(chan struct{})
		var got analytics.Receipt
		var err error
		go func() {
			defer close(done)
			got, err = w.router.Record(5, event(c.id))
		}()
		w.until(shard, done)
		if err != nil || got.Reason != c.want || got.Token != (analytics.Token{Shard: shard, Index: w.index}) {
			t.Fatalf("view %d: got %+v %v, want %q at index %d", c.id, got, err, c.want, w.index)
		}
	}
	if n := w.router.Pending(); n != 0 {
		t.Fatalf("%d bytes are still pending", n)
	}
}

// TestACommandIsAloneInItsEntry: views before it are in an entry before, views
// after it in one after.
func TestACommandIsAloneInItsEntry(t *testing.T) {
	w := newWorld(t)
	shard := ShardOf(5)
	var entries [][]entry.Item
	w.reason = func(it entry.Item) analytics.Reason {
		if len(entries) < int(w.index) {
			entries = append(entries, nil)
		}
		entries[len(entries)-1] = append(entries[len(entries)-1], it)
		return analytics.Counted
	}
	record := func(id uint64) <-chan struct{} {
		before := w.router.Pending()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := w.router.Record(5, event(id)); err != nil {
				t.Error(err)
			}
		}()
		for w.router.Pending() == before {
			runtime.Gosched()
		}
		return done
	}
	first := record(1)
	var token analytics.Token
	second := make(chan struct{})
	before := w.router.Pending()
	go func() {
		defer close(second)
		var err error
		if token, err = w.router.Command(t.Context(), 5, entry.AppendErase(nil, 5, 77, 20_000)); err != nil {
			t.Error(err)
		}
	}()
	for w.router.Pending() == before {
		runtime.Gosched()
	}
	third := record(3)
	w.router.Drop(5, analytics.DropBot, 2, 1)
	for _, done := range []<-chan struct{}{first, second, third} {
		w.until(shard, done)
	}
	if len(entries) != 3 {
		t.Fatalf("%d entries, want 3: %+v", len(entries), entries)
	}
	for i, items := range entries {
		events, commands := 0, 0
		for _, it := range items {
			switch {
			case it.Command == entry.Erase && it.Visitor == 77:
				commands++
			case !it.Drop:
				events++
			}
		}
		if i == 1 && (commands != 1 || events != 0) || i != 1 && (commands != 0 || events != 1) {
			t.Errorf("entry %d holds %d commands and %d events", i, commands, events)
		}
	}
	if token != (analytics.Token{Shard: shard, Index: 2}) {
		t.Errorf("the command's token is %v", token)
	}
	if n := w.router.Pending(); n != 0 {
		t.Errorf("%d bytes are still pending", n)
	}
}

func TestACommandThatDoesNotFitIsAConflict(t *testing.T) {
	for _, c := range []struct {
		reason analytics.Reason
		code   analytics.Code
		ok     bool
	}{
		{analytics.Counted, 0, true},
		{analytics.DropDuplicate, 0, true},
		{analytics.DropInvalid, analytics.Conflict, false},
		{analytics.Undecided, analytics.Unavailable, false},
	} {
		w := newWorld(t)
		w.reason = func(entry.Item) analytics.Reason { return c.reason }
		done := make(chan struct{})
		var err error
		go func() {
			defer close(done)
			_, err = w.router.Command(t.Context(), 5, entry.AppendRetain(nil, 5, 1))
		}()
		w.until(ShardOf(5), done)
		if (err == nil) != c.ok || err != nil && analytics.CodeOf(err) != c.code {
			t.Errorf("%q: got %v", c.reason, err)
		}
	}
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.router.Command(ctx, 5, entry.AppendRetain(nil, 5, 1)); err != context.Canceled {
		t.Errorf("nobody commits and the caller left: %v", err)
	}
}

func TestViewsThatWaitLeaveTogetherInOrder(t *testing.T) {
	w := newWorld(t)
	shard := ShardOf(5)
	evs := make([]analytics.Event, 500)
	for i := range evs {
		evs[i] = *event(uint64(i + 1))
	}
	out := make([]analytics.Receipt, len(evs))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.router.RecordBatch(5, evs, out); err != nil {
			t.Error(err)
		}
	}()
	w.until(shard, done)
	if w.index != 1 {
		t.Fatalf("%d entries for one batch", w.index)
	}
	for i, it := range w.applied {
		if it.ID != uint64(i+1) {
			t.Fatalf("place %d holds view %d", i, it.ID)
		}
	}
}

func TestOnlyTwoBatchesOfAShardAreUnderWay(t *testing.T) {
	w := newWorld(t)
	shard := ShardOf(5)
	var all sync.WaitGroup
	send := func(id uint64) []byte {
		before := w.router.Pending()
		all.Go(func() {
			if _, err := w.router.Record(5, event(id)); err != nil {
				t.Error(err)
			}
		})
		for w.router.Pending() == before {
			runtime.Gosched() // the other goroutine has not added it yet
		}
		return w.router.Next(shard)
	}
	first, second := send(1), send(2)
	if first == nil || second == nil {
		t.Fatal("the window has room for two")
	}
	if third := send(3); third != nil {
		t.Fatal("a third batch left while two are under way")
	}
	w.index++
	w.router.Apply(shard, w.index, first)
	if w.notified[shard] < 3 {
		t.Fatal("the log was not told that there is room again")
	}
	third := w.router.Next(shard)
	if third == nil {
		t.Fatal("the third batch does not leave when there is room")
	}
	for _, data := range [][]byte{second, third} {
		w.index++
		w.router.Apply(shard, w.index, data)
	}
	all.Wait()
}

func TestWhatCannotBeTakenIsRefused(t *testing.T) {
	w := newWorld(t)
	w.writable.Store(false)
	if _, err := w.router.Record(5, event(1)); analytics.CodeOf(err) != analytics.Unavailable {
		t.Fatalf("full disk: %v", err)
	}
	w.writable.Store(true)
	w.router.pending.Store(pendingBytesMax + 1)
	if _, err := w.router.Record(5, event(1)); analytics.CodeOf(err) != analytics.Overloaded {
		t.Fatalf("too much waiting: %v", err)
	}
	w.router.pending.Store(0)
	w.reason = func(entry.Item) analytics.Reason { return analytics.Undecided }
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := w.router.Record(5, event(1)); analytics.CodeOf(err) != analytics.Unavailable {
			t.Errorf("quarantined site: %v", err)
		}
	}()
	w.until(ShardOf(5), done)
	if err := w.router.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.router.Record(5, event(2)); analytics.CodeOf(err) != analytics.Unavailable {
		t.Fatalf("after the drain: %v", err)
	}
}

func TestDropsAreWrittenBeforeADrainEnds(t *testing.T) {
	w := newWorld(t)
	shard := ShardOf(9)
	w.router.Drop(9, analytics.DropBot, 3, 1_772_353_800_000)
	w.router.Drop(9, analytics.DropBot, 2, 1_772_353_800_000)
	w.router.Drop(0, analytics.DropUnknownSite, 1, 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.router.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	w.until(shard, done)
	if len(w.applied) != 1 || !w.applied[0].Drop || w.applied[0].Count != 5 || analytics.Reasons[w.applied[0].Reason] != analytics.DropBot {
		t.Fatalf("written: %+v, want one count of five bots", w.applied)
	}
}

func TestEntriesOfAnEarlierLifeAreAppliedWithoutAnswer(t *testing.T) {
	w := newWorld(t)
	data := make([]byte, entry.HeaderLen)
	entry.PutHeader(data, 1, 99, 0, 1) // another edge's number
	w.router.Apply(ShardOf(5), 1, entry.AppendEvent(data, 5, event(1)))
	if len(w.applied) != 1 {
		t.Fatal("a replayed entry was not applied")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.router.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
