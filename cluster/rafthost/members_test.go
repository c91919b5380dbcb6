package rafthost_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.etcd.io/raft/v3/raftpb"

	"footfall/cluster/rafthost"
	"footfall/persistence/pebblestore"
)

// network joins hosts of one process; a host that is nil is down.
type network struct {
	mu    sync.Mutex
	hosts [4]*rafthost.Host // by replica
}

func (n *network) set(replica uint64, h *rafthost.Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[replica] = h
}

func (n *network) Send(to uint16, batch []rafthost.Outgoing) {
	n.mu.Lock()
	h := n.hosts[to]
	n.mu.Unlock()
	if h == nil {
		return
	}
	for _, o := range batch {
		h.Deliver(o.Group, o.Message)
	}
}

func (n *network) SendSnapshot(_ Group, _ *raftpb.Message, _ func(context.Context, io.Writer) error, done func(error)) {
	done(errors.New("no snapshots here"))
}

// member is one of three hosts. All of them take proposals from one machine,
// whichever leads, and apply to their own.
type member struct {
	host  *rafthost.Host
	state *machine
	stop  func()
}

func join(t *testing.T, net *network, shared *machine, fs vfs.FS, replica uint64) *member {
	t.Helper()
	s, err := pebblestore.Open("db", pebblestore.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{state: newMachine(t)}
	m.host, err = rafthost.Open(rafthost.Config{Store: s, Source: shared, Applier: m.state, Transport: net,
		Groups: groups(2), Replica: replica, Voters: []uint64{1, 2, 3}, Tick: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	net.set(replica, m.host)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := m.host.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	m.stop = func() {
		net.set(replica, nil)
		cancel()
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	return m
}

// TestThreeMembersAgree shows that groups with other members need nothing from
// the host but a transport: the log is replicated, a member that leaves is
// replaced as leader, and one that returns catches up.
func TestThreeMembersAgree(t *testing.T) {
	net, shared := &network{}, newMachine(t)
	var fs [4]vfs.FS
	var ms [4]*member
	for r := uint64(1); r <= 3; r++ {
		fs[r] = vfs.NewMem()
		ms[r] = join(t, net, shared, fs[r], r)
	}
	offer := func(data ...string) {
		for _, g := range groups(2) {
			shared.mu.Lock()
			for _, d := range data {
				shared.todo[g] = append(shared.todo[g], []byte(d))
			}
			shared.mu.Unlock()
			for _, m := range ms[1:] {
				if m != nil {
					m.host.Notify(g)
				}
			}
		}
	}
	agree := func(n int) {
		t.Helper()
		for _, g := range groups(2) {
			var first []entry
			for _, m := range ms[1:] {
				if m == nil {
					continue
				}
				got := m.state.wait(g, n)
				if first == nil {
					first = got
				}
				if !slices.Equal(got, first) {
					t.Errorf("group %d: members hold %v and %v", g, first, got)
				}
			}
		}
	}
	offer("a", "b", "c")
	agree(3)

	lost := uint64(0)
	for r := uint64(1); r <= 3; r++ {
		if ms[r].host.Leads(0) {
			lost = r
		}
	}
	if lost == 0 {
		t.Fatal("nobody leads group 0 after it took entries")
	}
	ms[lost].stop()
	ms[lost] = nil
	offer("d", "e")
	agree(5)

	ms[lost] = join(t, net, shared, fs[lost], lost)
	<-ms[lost].host.Replayed()
	agree(5)
	offer("f")
	agree(6)
	for _, m := range ms[1:] {
		m.stop()
	}
}

func TestAGroupWithOthersNeedsATransport(t *testing.T) {
	s, err := pebblestore.Open("db", pebblestore.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	if _, err := rafthost.Open(rafthost.Config{Store: s, Source: m, Applier: m, Groups: groups(1), Voters: []uint64{1, 2}}); err == nil {
		t.Error("a group with members out of reach opens")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
