package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/cluster/spool"
	"footfall/persistence"
	"footfall/persistence/pebblestore"
)

// fabric is three nodes with one replicated log for each shard. Its network
// loses, doubles and reorders batches and answers; its leaders change and take
// proposals with them.
type fabric struct {
	t      *testing.T
	nodes  [4]*member // from 1
	leader [Shards]atomic.Uint32
	wrong  atomic.Bool // the network misbehaves
	wake   chan struct{}
	shards []uint16
	sends  sync.WaitGroup

	mu   sync.Mutex // guards all below
	r    *rand.Rand
	logs map[uint16][][]byte
}

// member is a node: its state outlives its router.
type member struct {
	f      *fabric
	node   uint16
	store  persistence.Store
	router atomic.Pointer[Router]
	life   atomic.Uint64
	stop   context.CancelFunc
	ran    chan struct{}

	mu      sync.Mutex // guards all below
	tables  map[uint16]*delivery.Table
	counted map[uint64]int // by event
	applied map[uint16]int
}

// forgetful loses some of what is not synced, as a crash does.
type forgetful struct {
	persistence.Store
	f *fabric
}

func (s forgetful) Commit(b persistence.Batch, sync bool) error {
	if !sync && s.f.chance(2) {
		b.Discard()
		return nil
	}
	return s.Store.Commit(b, sync)
}

func (f *fabric) chance(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.r.IntN(n) == 0
}

func newFabric(t *testing.T, seed uint64, sites []analytics.SiteID) *fabric {
	f := &fabric{t: t, wake: make(chan struct{}, 1), r: rand.New(rand.NewPCG(seed, 7)), logs: map[uint16][][]byte{}}
	for _, id := range sites {
		n := ShardOf(id)
		f.shards = append(f.shards, n)
		f.leader[n].Store(uint32(1 + f.r.IntN(3)))
	}
	for i := uint16(1); i <= 3; i++ {
		store, err := pebblestore.Open(t.TempDir(), pebblestore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := &member{f: f, node: i, store: forgetful{store, f}, tables: map[uint16]*delivery.Table{}, counted: map[uint64]int{}, applied: map[uint16]int{}}
		f.nodes[i] = m
		m.start()
	}
	return f
}

// start begins a process of the node.
func (m *member) start() {
	f := m.f
	sp, err := spool.Open(m.store, 64<<20, func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		f.t.Fatal(err)
	}
	epoch, err := sp.NextEpoch()
	if err != nil {
		f.t.Fatal(err)
	}
	life := m.life.Add(1)
	r := NewRouter(Config{
		Sites: m, Notify: func(uint16) { signal(f.wake) }, Writable: func() bool { return true }, Clock: time.Now, Edge: 100 + uint64(m.node),
		Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { f.t.Errorf("node %d: %v", m.node, err) },
		Epoch: epoch, Self: func() uint16 { return m.node },
		Local: func(n uint16) bool { return f.leader[n].Load() == uint32(m.node) },
		Leader: func(n uint16) (uint16, bool) {
			l := f.leader[n].Load()
			return uint16(l), l != 0
		},
		Send: func(to, n uint16, batch []byte, done func(Reply)) {
			if m.life.Load() != life { // a dead process sends nothing
				done(Reply{Verdict: Lost})
				return
			}
			f.send(to, n, batch, done)
		},
		Spool: sp, SpoolAfter: 5 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.ran = cancel, make(chan struct{})
	m.router.Store(r)
	go func() {
		defer close(m.ran)
		if err := r.Run(ctx); err != nil {
			f.t.Error(err)
		}
	}()
}

// kill ends the process without a farewell; what waits there gets an error.
func (m *member) kill() {
	m.life.Add(1)
	m.stop()
	<-m.ran
}

// send is the network.
func (f *fabric) send(to, n uint16, batch []byte, done func(Reply)) {
	var once sync.Once
	answer := func(rp Reply) {
		b := rp.Append(nil) // over the wire
		got, err := ParseReply(b)
		if err != nil {
			f.t.Error(err)
		}
		once.Do(func() { done(got) })
	}
	fate := 9
	if f.wrong.Load() {
		f.mu.Lock()
		fate = f.r.IntN(10)
		f.mu.Unlock()
	}
	f.sends.Go(func() {
		offer := func(reply func(Reply)) { f.nodes[to].router.Load().Offered(n, append([]byte(nil), batch...), reply) }
		switch fate {
		case 0: // lost on the way
			answer(Reply{Verdict: Lost})
		case 1: // the answer is lost
			offer(func(Reply) { answer(Reply{Verdict: Lost}) })
		case 2: // twice
			offer(answer)
			offer(answer)
		default:
			offer(answer)
		}
	})
}

// Apply implements Sites: it counts what the table lets pass.
func (m *member) Apply(n uint16, index uint64, data []byte, done func(delivery.Outcome)) error {
	rd, err := entry.Open(data)
	if err != nil {
		return err
	}
	m.mu.Lock()
	if m.tables[n] == nil {
		m.tables[n] = &delivery.Table{}
	}
	o := delivery.Outcome{Decision: m.tables[n].Decide(delivery.Entry{Index: index, Edge: rd.Edge, Epoch: rd.Epoch, Sequence: rd.Sequence, Time: rd.Time})}
	if o.Decision.Verdict == delivery.Apply {
		var it entry.Item
		for {
			ok, err := rd.Next(&it)
			if err != nil {
				m.mu.Unlock()
				return err
			}
			if !ok {
				break
			}
			m.counted[it.ID]++
			o.Reasons = append(o.Reasons, analytics.Counted)
		}
	}
	m.mu.Unlock()
	if done != nil {
		done(o)
	}
	return nil
}

// drive is the replicated log of all shards, until ctx ends.
func (f *fabric) drive(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		for busy := true; busy; {
			busy = false
			for _, n := range f.shards {
				if l := f.leader[n].Load(); l != 0 {
					if data := f.nodes[l].router.Load().Next(n); data != nil {
						busy = true
						if f.leader[n].Load() == l { // else the proposal went with the leader
							f.mu.Lock()
							f.logs[n] = append(f.logs[n], data)
							f.mu.Unlock()
						}
					}
				}
				for _, m := range f.nodes[1:] {
					busy = m.catchUp(n) || busy
				}
			}
		}
	}
}

// catchUp applies the next entry of a shard; false if there is none. Only drive
// calls it.
func (m *member) catchUp(n uint16) bool {
	m.f.mu.Lock()
	at := m.applied[n]
	if at == len(m.f.logs[n]) {
		m.f.mu.Unlock()
		return false
	}
	data := m.f.logs[n][at]
	m.f.mu.Unlock()
	m.router.Load().Apply(n, uint64(at+1), data)
	m.applied[n] = at + 1
	return true
}

// lead makes another node, or none, the leader of a shard. Some of what the old
// one was about to append is lost.
func (f *fabric) lead(n uint16, to uint32) {
	old := f.leader[n].Swap(to)
	if old != 0 && old != to {
		f.nodes[old].router.Load().Next(n) // taken, and gone
	}
	for _, m := range f.nodes[1:] {
		m.router.Load().Led(n, uint16(to), to == uint32(m.node))
	}
	signal(f.wake)
}

// TestNothingIsLostOrDoubled: sixty clients on three nodes count views while
// leaders change or are missing, the network misbehaves, and processes die.
// Whatever a client was told is counted is counted once at the end, and nothing
// twice.
func TestNothingIsLostOrDoubled(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	sites := []analytics.SiteID{5, 6, 7}
	f := newFabric(t, seed, sites)
	f.wrong.Store(true)
	ctx, stop := context.WithCancel(context.Background())
	var driver sync.WaitGroup
	driver.Go(func() { f.drive(ctx) })

	var clients sync.WaitGroup
	var mu sync.Mutex
	accepted, refused := map[uint64]bool{}, 0
	answers := make(chan struct{}, 1<<16)
	const clientsCount, each = 60, 20
	for c := range clientsCount {
		clients.Go(func() {
			for i := range each {
				id := uint64(c*each + i + 1)
				router := f.nodes[1+c%3].router.Load()
				_, err := router.Record(sites[id%3], event(id))
				mu.Lock()
				if err == nil {
					accepted[id] = true
				} else {
					refused++
				}
				mu.Unlock()
				for err != nil && router.closed.Load() && f.nodes[1+c%3].router.Load() == router {
					runtime.Gosched() // the process is dead: its successor comes
				}
				answers <- struct{}{}
			}
		})
	}
	r := rand.New(rand.NewPCG(seed, 8))
	for range clientsCount * each / 30 { // something happens after each thirty answers
		for range 30 {
			<-answers
		}
		n := ShardOf(sites[r.IntN(3)])
		switch r.IntN(6) {
		case 0:
			f.lead(n, 0)
		case 1:
			m := f.nodes[1+r.IntN(3)]
			m.kill()
			m.start()
		default:
			f.lead(n, uint32(1+r.IntN(3)))
		}
	}
	clients.Wait() // every waiter was answered
	f.wrong.Store(false)
	for _, n := range f.shards {
		f.lead(n, 2)
	}
	for _, m := range f.nodes[1:] {
		m.quiet()
	}
	stop()
	driver.Wait()
	f.sends.Wait()
	mu.Lock()
	defer mu.Unlock()
	if refused > clientsCount*each/2 { // who waits while a process dies is refused

		t.Errorf("%d of %d views were refused", refused, clientsCount*each)
	}
	total := Stats{}
	for _, m := range f.nodes[1:] {
		for id := range accepted {
			if got := m.counted[id]; got != 1 {
				t.Errorf("node %d: view %d was accepted and is counted %d times", m.node, id, got)
			}
		}
		for id, got := range m.counted {
			if got > 1 {
				t.Errorf("node %d: view %d is counted %d times", m.node, id, got)
			}
		}
		s := m.router.Load().Stats()
		total.Spooled, total.Resent, total.Gaps, total.Duplicates = total.Spooled+s.Spooled, total.Resent+s.Resent, total.Gaps+s.Gaps, total.Duplicates+s.Duplicates
		if n := m.router.Load().Pending(); n != 0 {
			t.Errorf("node %d: %d bytes are still pending", m.node, n)
		}
		m.kill()
		if err := m.store.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("accepted %d, refused %d; last processes: %+v", len(accepted), refused, total)
}

// quiet waits until the node has delivered everything.
func (m *member) quiet() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r := m.router.Load()
	if err := r.Drain(ctx); err != nil {
		m.f.t.Fatalf("node %d: %v", m.node, err)
	}
	r.closed.Store(false) // for the batches that others bring
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.left() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.f.t.Fatalf("node %d: %d batches are left, %+v", m.node, r.left(), r.Stats())
		}
	}
}

// left is how many batches and runs of them are not acknowledged.
func (r *Router) left() (n int) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		n += len(sh.flight) + len(sh.spans) + len(sh.queue)
		sh.mu.Unlock()
	}
	return n
}
