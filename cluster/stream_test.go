package cluster

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/cluster/spool"
	"footfall/persistence/pebblestore"
)

// far is an edge whose shards are led by node 2, which the test plays.
type far struct {
	t      *testing.T
	router *Router
	spool  *spool.Spool
	led    atomic.Bool // node 2 leads; else nobody
	fatal  chan error
	sent   chan parcel
}

type parcel struct {
	node  uint16
	hd    entry.Reader
	batch []byte
	done  func(Reply)
}

func newFar(t *testing.T, bytesMax int64) *far { return newFarWith(t, bytesMax) }

// newFarWith makes an edge whose spool holds batches of an earlier process.
func newFarWith(t *testing.T, bytesMax int64, left ...spool.Batch) *far {
	f := &far{t: t, fatal: make(chan error, 1), sent: make(chan parcel, 1024)}
	f.led.Store(true)
	store, err := pebblestore.Open(t.TempDir(), pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f.spool, err = spool.Open(store, bytesMax, func() int64 { return 1 }); err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		if _, err := f.spool.NextEpoch(); err != nil {
			t.Fatal(err)
		}
		if err := f.spool.Write(left); err != nil {
			t.Fatal(err)
		}
		if f.spool, err = spool.Open(store, bytesMax, func() int64 { return 2 }); err != nil {
			t.Fatal(err)
		}
	}
	epoch, err := f.spool.NextEpoch()
	if err != nil {
		t.Fatal(err)
	}
	f.router = NewRouter(Config{Sites: newWorld(t), Notify: func(uint16) {}, Writable: func() bool { return true }, Clock: time.Now, Edge: 77,
		Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { f.fatal <- err }, Epoch: epoch,
		Self: func() uint16 { return 1 }, Local: func(uint16) bool { return false }, Leader: func(uint16) (uint16, bool) { return 2, f.led.Load() },
		Send: func(node, _ uint16, batch []byte, done func(Reply)) {
			hd, err := entry.Check(batch)
			if err != nil {
				t.Error(err)
			}
			f.sent <- parcel{node, hd, batch, done}
		},
		Spool: f.spool, SpoolAfter: time.Hour})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- f.router.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// record counts a view in the background.
func (f *far) record(id uint64) <-chan result {
	out := make(chan result, 1)
	go func() {
		receipt, err := f.router.Record(5, event(id))
		out <- result{receipt, err}
	}()
	return out
}

type result struct {
	receipt analytics.Receipt
	err     error
}

func TestAnswersOfALeader(t *testing.T) {
	f := newFar(t, 1<<20)
	shard := ShardOf(5)
	a := f.record(1)
	p := <-f.sent
	if p.node != 2 || p.hd.Epoch != 1 || p.hd.Sequence != 1 || p.hd.Edge != 77 {
		t.Fatalf("%+v", p)
	}
	p.done(Reply{Verdict: NotLeader, Leader: 3})
	if p = <-f.sent; p.node != 3 || p.hd.Sequence != 1 {
		t.Fatalf("the leader that was named is not asked: %+v", p)
	}
	p.done(Reply{Verdict: Busy})
	if p = <-f.sent; p.hd.Sequence != 1 {
		t.Fatalf("%+v", p)
	}
	p.done(Reply{Verdict: Applied, Index: 9, Reasons: []analytics.Reason{analytics.DropNoVisit}})
	if got := <-a; got.err != nil || got.receipt != (analytics.Receipt{Reason: analytics.DropNoVisit, Token: analytics.Token{Shard: shard, Index: 9}}) {
		t.Fatalf("%+v", got)
	}
	a = f.record(2)
	first := <-f.sent
	b := f.record(3)
	second := <-f.sent
	second.done(Reply{Verdict: Gap, Expected: 2, Index: 10}) // the first went missing
	again := []parcel{<-f.sent, <-f.sent}
	if again[0].hd.Sequence != 2 || again[1].hd.Sequence != 3 || !bytes.Equal(again[0].batch, first.batch) {
		t.Fatalf("after a gap %d and %d are sent", again[0].hd.Sequence, again[1].hd.Sequence)
	}
	first.done(Reply{Verdict: Lost}) // of the first sending: of no more use
	again[0].done(Reply{Verdict: Duplicate, Index: 11})
	again[1].done(Reply{Verdict: Applied, Index: 12, Reasons: []analytics.Reason{analytics.Counted}})
	for i, c := range []<-chan result{a, b} {
		if got := <-c; got.err != nil || got.receipt.Reason != analytics.Counted || got.receipt.Token.Index != uint64(11+i) {
			t.Fatalf("%+v", got)
		}
	}
	if len(f.sent) != 0 || f.router.Pending() != 0 {
		t.Fatal("something is sent once more")
	}
}

// TestWithoutALeaderViewsAreSpooled, and delivered in order under their numbers
// when there is one; a command waits.
func TestWithoutALeaderViewsAreSpooled(t *testing.T) {
	f := newFar(t, 1<<20)
	f.led.Store(false)
	ctx, cancel := context.WithCancel(t.Context())
	command := make(chan error, 1)
	go func() {
		_, err := f.router.Command(ctx, 5, entry.AppendRetain(nil, 5, 1))
		command <- err
	}()
	for id := range uint64(5) {
		if got := <-f.record(id + 1); got.err != nil || got.receipt != (analytics.Receipt{Reason: analytics.Counted}) {
			t.Fatalf("view %d: %+v", id, got)
		}
	}
	if f.spool.Bytes() == 0 || f.router.Pending() > 100 {
		t.Fatalf("%d bytes in the spool, %d pending", f.spool.Bytes(), f.router.Pending())
	}
	f.led.Store(true)
	f.router.Led(ShardOf(5), 2, false)
	for seq := uint64(1); seq <= 5; seq++ {
		p := <-f.sent
		if p.hd.Sequence != seq {
			t.Fatalf("sequence %d, want %d", p.hd.Sequence, seq)
		}
		p.done(Reply{Verdict: Applied, Index: seq})
	}
	p := <-f.sent
	if p.hd.Sequence != 6 {
		t.Fatalf("the command has number %d", p.hd.Sequence)
	}
	p.done(Reply{Verdict: Applied, Index: 6, Reasons: []analytics.Reason{analytics.Counted}})
	if err := <-command; err != nil {
		t.Fatal(err)
	}
	cancel()
	if n := f.spool.Bytes(); n != 0 {
		t.Fatalf("%d bytes stay in the spool", n)
	}
}

func TestAFullSpoolRefuses(t *testing.T) {
	f := newFar(t, 10)
	f.led.Store(false)
	if got := <-f.record(1); analytics.CodeOf(got.err) != analytics.Unavailable || !strings.Contains(got.err.Error(), "spool") {
		t.Fatalf("%+v", got)
	}
	f.led.Store(true)
	a := f.record(2)
	p := <-f.sent
	if p.hd.Sequence != 1 {
		t.Fatalf("what was refused took the number before %d", p.hd.Sequence)
	}
	p.done(Reply{Verdict: Applied, Index: 1, Reasons: []analytics.Reason{analytics.Counted}})
	if got := <-a; got.err != nil {
		t.Fatal(got.err)
	}
}

func TestAFencedProcessTakesNoMoreViews(t *testing.T) {
	f := newFar(t, 1<<20)
	a := f.record(1)
	(<-f.sent).done(Reply{Verdict: Fenced, Epoch: 5, Index: 3})
	if got := <-a; analytics.CodeOf(got.err) != analytics.Unavailable {
		t.Fatalf("%+v", got)
	}
	if err := <-f.fatal; !strings.Contains(err.Error(), "epoch 5") {
		t.Fatal(err)
	}
	if _, err := f.router.Record(5, event(2)); analytics.CodeOf(err) != analytics.Unavailable {
		t.Fatal(err)
	}
}

// TestAShardThatForgotIsToldAnew: the shard was set back to before what it had
// acknowledged; what is left comes in a new epoch, from 1, once.
func TestAShardThatForgotIsToldAnew(t *testing.T) {
	f := newFar(t, 1<<20)
	a := f.record(1)
	(<-f.sent).done(Reply{Verdict: Applied, Index: 5})
	<-a
	f.led.Store(false)
	for id := uint64(2); id <= 4; id++ {
		if got := <-f.record(id); got.err != nil {
			t.Fatal(got.err)
		}
	}
	f.led.Store(true)
	f.router.Led(ShardOf(5), 2, false)
	p := <-f.sent
	if p.hd.Epoch != 1 || p.hd.Sequence != 2 {
		t.Fatalf("%+v", p.hd)
	}
	p.done(Reply{Verdict: Gap, Expected: 1, Index: 6})
	var ids []uint64
	for seq := uint64(1); seq <= 3; {
		p := <-f.sent
		if p.hd.Epoch == 1 {
			continue // sent before the answer came
		}
		var it entry.Item
		if ok, err := p.hd.Next(&it); !ok || err != nil || p.hd.Epoch != 2 || p.hd.Sequence != seq {
			t.Fatalf("%+v %v %v", p.hd, ok, err)
		}
		ids = append(ids, it.ID)
		p.done(Reply{Verdict: Applied, Index: 6 + seq})
		seq++
	}
	if !reflect.DeepEqual(ids, []uint64{2, 3, 4}) {
		t.Fatalf("delivered %d", ids)
	}
	b := f.record(9)
	p = <-f.sent
	if p.hd.Epoch != 2 || p.hd.Sequence != 4 {
		t.Fatalf("the next view has %d of epoch %d", p.hd.Sequence, p.hd.Epoch)
	}
	p.done(Reply{Verdict: Applied, Index: 20})
	if got := <-b; got.err != nil || f.spool.Bytes() != 0 || f.router.Stats().Renumbered != 1 {
		t.Fatalf("%+v, %+v", got, f.router.Stats())
	}
}

// TestAnOldRefusalIsNoForgetting: the log can tell late that a copy of a batch,
// sent by the process before, came before its predecessor. The batch is under way
// again; in a new epoch it would count twice.
func TestAnOldRefusalIsNoForgetting(t *testing.T) {
	shard := ShardOf(5)
	data := entry.AppendEvent(make([]byte, entry.HeaderLen), 5, event(3))
	entry.PutHeader(data, 1, 77, 1, 12)
	f := newFarWith(t, 1<<20, spool.Batch{Key: spool.Key{Shard: shard, Epoch: 1, Sequence: 12}, Data: data})
	f.router.Led(shard, 2, false)
	for try := range uint64(20) {
		p := <-f.sent
		if p.hd.Epoch != 1 || p.hd.Sequence != 12 {
			t.Fatalf("try %d: sent as %d of epoch %d", try, p.hd.Sequence, p.hd.Epoch)
		}
		p.done(Reply{Verdict: Gap, Expected: 11, Index: 100 + try})
	}
	(<-f.sent).done(Reply{Verdict: Duplicate, Index: 99})
	a := f.record(9) // the stream goes on, in the epoch of this process
	for {
		p := <-f.sent
		if p.hd.Epoch == 1 {
			continue // sent before the answer came
		}
		if p.hd.Sequence != 1 {
			t.Fatalf("the next view has number %d", p.hd.Sequence)
		}
		p.done(Reply{Verdict: Applied, Index: 130, Reasons: []analytics.Reason{analytics.Counted}})
		break
	}
	if got := <-a; got.err != nil || f.router.Stats().Renumbered != 0 || f.spool.Bytes() != 0 {
		t.Fatalf("%+v, %+v, %d bytes in the spool", got, f.router.Stats(), f.spool.Bytes())
	}
}

func TestOffersAreAnsweredOnce(t *testing.T) {
	w := newWorld(t)
	shard := ShardOf(5)
	var local atomic.Bool
	local.Store(true)
	w.router = NewRouter(Config{Sites: w, Notify: w.notify, Writable: w.writable.Load, Clock: time.Now, Edge: 77, Logger: slog.New(slog.DiscardHandler),
		Fatal: func(err error) { t.Error(err) }, Local: func(uint16) bool { return local.Load() }, Leader: func(uint16) (uint16, bool) { return 3, true }})
	batch := func(edge, seq uint64, at time.Time) []byte {
		b := make([]byte, entry.HeaderLen)
		entry.PutHeader(b, at.UnixMilli(), edge, 1, seq)
		return entry.AppendEvent(b, 5, event(seq))
	}
	var mu sync.Mutex
	got := map[string][]Reply{}
	offer := func(name string, b []byte) {
		w.router.Offered(shard, b, func(rp Reply) {
			mu.Lock()
			defer mu.Unlock()
			got[name] = append(got[name], rp)
		})
	}
	now := time.Now()
	offer("first", batch(1, 1, now))
	offer("second", batch(2, 1, now))
	offer("second again", batch(2, 1, now)) // takes the place of the one that was not handed out
	offer("damaged", batch(1, 2, now)[:40])
	offer("ahead", batch(1, 2, now.Add(2*time.Hour)))
	for w.commit(shard) {
	}
	offer("third", batch(1, 2, now))
	local.Store(false)
	w.router.Led(shard, 4, false)
	offer("fourth", batch(1, 3, now))
	if data := w.router.Next(shard); data != nil {
		t.Error("what was refused is handed out")
	}
	counted := []analytics.Reason{analytics.Counted}
	want := map[string][]Reply{
		"first":        {{Verdict: Applied, Index: 1, Reasons: counted}},
		"second":       {{Verdict: Lost}},
		"second again": {{Verdict: Applied, Index: 2, Reasons: counted}},
		"damaged":      {{Verdict: Busy}},
		"ahead":        {{Verdict: Busy}},
		"third":        {{Verdict: NotLeader, Leader: 4}},
		"fourth":       {{Verdict: NotLeader, Leader: 3}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := w.router.offered.Load(); n != 0 {
		t.Errorf("%d bytes of offers are held", n)
	}
}

func TestRepliesReadBack(t *testing.T) {
	for _, rp := range []Reply{
		{},
		{Verdict: NotLeader, Leader: 7},
		{Verdict: Gap, Expected: 1 << 40, Index: 9, Epoch: 3},
		{Verdict: Applied, Index: 1, Reasons: []analytics.Reason{analytics.Counted, analytics.Counted, analytics.DropDuplicate, analytics.Undecided, analytics.Counted}},
	} {
		got, err := ParseReply(rp.Append([]byte("x"))[1:])
		if err != nil || !reflect.DeepEqual(got, rp) {
			t.Errorf("got %+v, %v, want %+v", got, err, rp)
		}
	}
	if rp := replyOf(3, delivery.Outcome{Decision: delivery.Decision{Verdict: delivery.Full}}); rp.Verdict != Busy {
		t.Errorf("a full table is %+v", rp)
	}
}

func FuzzReply(f *testing.F) {
	f.Add((&Reply{Verdict: Applied, Reasons: []analytics.Reason{analytics.Counted, analytics.Undecided}}).Append(nil))
	f.Add([]byte{replyVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		rp, err := ParseReply(b)
		if err != nil {
			return
		}
		if again, err := ParseReply(rp.Append(nil)); err != nil || !reflect.DeepEqual(again, rp) {
			t.Fatalf("%+v is read back as %+v, %v", rp, again, err)
		}
	})
}
