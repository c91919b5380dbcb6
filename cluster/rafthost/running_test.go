package rafthost_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/cluster/rafthost"
	"footfall/persistence"
)

// lan joins hosts that run, snapshots included.
type lan struct {
	mu    sync.Mutex
	hosts map[uint16]*rafthost.Host
	wg    sync.WaitGroup // snapshots under way
}

func (l *lan) host(id uint16) *rafthost.Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hosts[id]
}

func (l *lan) set(id uint16, h *rafthost.Host) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts[id] = h
}

func (l *lan) Send(to uint16, batch []rafthost.Outgoing) {
	if h := l.host(to); h != nil {
		for _, o := range batch {
			h.Deliver(o.Group, o.Message)
		}
	}
}

func (l *lan) SendSnapshot(g Group, m *raftpb.Message, send func(context.Context, io.Writer) error, done func(error)) {
	l.wg.Go(func() {
		to := l.host(uint16(m.GetTo()))
		if to == nil {
			done(errors.New("down"))
			return
		}
		r, w := io.Pipe()
		var wg sync.WaitGroup
		var sent error
		wg.Go(func() {
			sent = send(context.Background(), w)
			w.CloseWithError(sent) // nil reads as the end
		})
		err := to.ReceiveSnapshot(context.Background(), g, m, r)
		r.CloseWithError(errors.New("closed"))
		wg.Wait()
		done(errors.Join(sent, err))
	})
}

// runner is a node that runs.
type runner struct {
	*rafthost.Host
	m     *machine
	store *memStore
	stop  func()

	mu    sync.Mutex // guards state
	state map[Group]uint64
}

func (r *runner) Next(g Group) []byte { return r.m.Next(g) }

func (r *runner) Apply(g Group, index uint64, data []byte) {
	r.mu.Lock()
	r.state[g] = index
	r.mu.Unlock()
	r.m.Apply(g, index, data)
}

func (r *runner) Suspend(Group) {}

func (r *runner) Restore(g Group, index uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state[g] = index
	return nil
}

func (r *runner) Remove(g Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.state, g)
}

// flush writes records as of the newest entry, as the owner does.
func (r *runner) flush(g Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.store.NewBatch()
	from, _ := persistence.StateSpan(uint16(g))
	b.Set(append(from, 1), []byte(fmt.Sprint(r.state[g])))
	r.Persisted(b, g, r.state[g])
	if r.store.Commit(b, false) == nil {
		r.Truncated(g, r.state[g])
	}
}

func (l *lan) run(t *testing.T, id uint16, found ...Group) *runner {
	r := &runner{m: newMachine(t), store: newMemStore(), state: map[Group]uint64{}}
	var flushes sync.WaitGroup
	asked := make(chan Group, 1024)
	h, err := rafthost.Open(rafthost.Config{Store: r.store, Groups: found, Source: r, Applier: r, Transport: l, Workers: 2,
		Tick: 5 * time.Millisecond, SnapshotsMax: 4, SnapshotBytesPerSecond: 1 << 30,
		Flush: func(g Group) {
			select {
			case asked <- g:
			default:
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	r.Host = h
	l.set(id, h)
	ctx, cancel := context.WithCancel(context.Background())
	flushes.Go(func() {
		for {
			select {
			case g := <-asked:
				r.flush(g)
			case <-ctx.Done():
				return
			}
		}
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.Run(ctx); err != nil {
			t.Errorf("node %d: %v", id, err)
		}
	})
	r.stop = func() {
		l.set(id, nil)
		cancel()
		wg.Wait()
		flushes.Wait()
	}
	return r
}

// TestAClusterGrowsAndHandsOverWhileItRuns does with goroutines what the
// simulation does without: for the race detector.
func TestAClusterGrowsAndHandsOverWhileItRuns(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	l := &lan{hosts: map[uint16]*rafthost.Host{}}
	gs := []Group{0, 1, 2, 3, rafthost.Control}
	nodes := map[uint16]*runner{1: l.run(t, 1, gs...), 2: l.run(t, 2), 3: l.run(t, 3)}
	<-nodes[1].Replayed()
	var fill sync.WaitGroup
	for _, g := range gs {
		fill.Go(func() {
			for i := range 200 {
				nodes[1].m.offer(nodes[1].Host, g, fmt.Sprint(g, " ", i))
			}
			nodes[1].m.wait(g, 200)
			nodes[1].flush(g)
		})
	}
	fill.Wait()
	var grow sync.WaitGroup
	for _, g := range gs {
		grow.Go(func() {
			a, b := uint64(1<<16|2), uint64(2<<16|3)
			if err := errors.Join(nodes[2].AddReplica(g, a), nodes[3].AddReplica(g, b)); err != nil {
				t.Error(err)
				return
			}
			st := nodes[1].Status(g)
			if err := nodes[1].ChangeMembers(ctx, g, rafthost.Change{After: st.Conf.Index, AddLearners: []uint64{a, b}}); err != nil {
				t.Error(err)
				return
			}
			caughtUp(ctx, t, nodes[1].Host, g, a, b)
			st = nodes[1].Status(g)
			if err := nodes[1].ChangeMembers(ctx, g, rafthost.Change{After: st.Conf.Index, Promote: []uint64{a, b}}); err != nil {
				t.Error(err)
			}
			if c := nodes[1].Status(g).Conf; len(c.Voters) != 3 || len(c.Outgoing)+len(c.Learners) != 0 {
				t.Errorf("group %d: members %+v", g, c)
			}
		})
	}
	grow.Wait()
	if t.Failed() {
		t.FailNow()
	}
	// Work goes on while the lead is handed over.
	var work sync.WaitGroup
	work.Go(func() {
		for i := range 100 {
			for _, n := range nodes {
				n.m.offer(n.Host, 0, fmt.Sprint("more ", i))
				n.Status(0)
				n.Stats()
				n.Groups()
			}
		}
	})
	if err := nodes[1].HandOver(ctx); err != nil {
		t.Error(err)
	}
	for _, g := range gs {
		if nodes[1].Leads(g) {
			t.Errorf("group %d is still led from here", g)
		}
	}
	work.Wait()
	nodes[1].stop()
	for id := uint16(2); id <= 3; id++ {
		nodes[id].PeerDown(1)
	}
	for _, g := range gs {
		text := fmt.Sprint("last of ", g)
		for _, id := range []uint16{2, 3} {
			nodes[id].m.offer(nodes[id].Host, g, text)
		}
		hasLast(nodes[2], g, text)
		hasLast(nodes[3], g, text)
	}
	if err := nodes[3].RemoveReplica(3); err != nil {
		t.Error(err)
	}
	nodes[2].stop()
	nodes[3].stop()
	l.wg.Wait()
}

// caughtUp returns when the leader knows that members have everything.
func caughtUp(ctx context.Context, t *testing.T, h *rafthost.Host, g Group, ids ...uint64) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		st, n := h.Status(g), 0
		for _, m := range st.Members {
			for _, id := range ids {
				if m.Replica == id && m.Match == st.Commit {
					n++
				}
			}
		}
		if n == len(ids) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("group %d: never caught up: %+v", g, st)
			return
		}
	}
}

// hasLast returns when a node has applied a text.
func hasLast(r *runner, g Group, text string) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	for {
		for _, e := range r.m.done[g] {
			if e.data == text {
				return
			}
		}
		r.m.cond.Wait()
	}
}
