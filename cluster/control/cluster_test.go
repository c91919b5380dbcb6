package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/cluster/placement"
	"footfall/persistence"
)

// several is a control group of several nodes in one process: one log, which the
// leader's proposals go to unless they are lost, and which every node applies.
type several struct {
	t     testing.TB
	mu    sync.Mutex
	rng   *rand.Rand
	nodes []*peer
	lead  int
	log   [][]byte
	loss  bool // proposals and forwards are lost, doubled and cut off now and then
	sent  atomic.Int64
}

type peer struct {
	*Control
	store *memory
	self  int
	turn  sync.Mutex // of applying
	next  int        // entry to apply
	wake  chan struct{}
}

func startSeveral(t testing.TB, n int, seed uint64) *several {
	t.Helper()
	s := &several{t: t, rng: rand.New(rand.NewPCG(seed, 1))}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	for i := range n {
		p := &peer{store: newMemory(), self: i, wake: make(chan struct{}, 1)}
		var err error
		p.Control, err = Open(Config{Store: p.store, Notify: p.notify, Forward: s.forward,
			Leads: func() bool { return s.leader() == i }})
		if err != nil {
			t.Fatal(err)
		}
		s.nodes = append(s.nodes, p)
	}
	for _, p := range s.nodes {
		wg.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() { s.serve(ctx, p) })
	}
	return s
}

func (p *peer) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (s *several) leader() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lead
}

func (s *several) chance(percent int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loss && s.rng.IntN(100) < percent
}

func (s *several) forward(_ context.Context, id [16]byte, command []byte) error {
	lead := s.leader()
	if lead < 0 || s.chance(20) {
		return fmt.Errorf("no way there: %w", ErrNotSent)
	}
	if s.chance(20) {
		return errors.New("connection lost before it arrived, which nobody knows")
	}
	s.sent.Add(1)
	err := s.nodes[lead].Offer(id, command)
	if err == nil && s.chance(20) {
		return errors.New("connection lost after it arrived")
	}
	return err
}

// serve is the host of one node.
func (s *several) serve(ctx context.Context, p *peer) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for s.leader() == p.self {
			entry := p.Next()
			if entry == nil {
				break
			}
			if s.chance(20) {
				continue // lost: leadership was about to move
			}
			s.mu.Lock()
			s.log = append(s.log, entry)
			s.mu.Unlock()
		}
		s.applyAll()
	}
}

func (s *several) applyAll() {
	for _, p := range s.nodes {
		p.applyTo(s, len(s.entries()))
	}
}

func (p *peer) applyTo(s *several, end int) {
	p.turn.Lock()
	defer p.turn.Unlock()
	log := s.entries()
	for ; p.next < end; p.next++ {
		p.Apply(indexOf(p.next), log[p.next])
	}
}

func (s *several) entries() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// elect makes a node lead, -1 for none; all hear of it.
func (s *several) elect(node int) {
	s.mu.Lock()
	s.lead = node
	s.mu.Unlock()
	for _, p := range s.nodes {
		p.Led(p.self == node)
		p.notify()
	}
}

func (s *several) agree() {
	s.t.Helper()
	s.applyAll()
	for _, p := range s.nodes[1:] {
		if !bytes.Equal(encode(s.t, p.Control), encode(s.t, s.nodes[0].Control)) {
			s.t.Errorf("node %d holds other accounts than node 0", p.self)
		}
	}
}

func TestAChangeOnAnyNodeGoesThroughTheLeader(t *testing.T) {
	s := startSeveral(t, 3, 1)
	for i, p := range s.nodes {
		r, err := p.Do(soon(t), site(fmt.Sprintf("s%d.example", i)))
		if err != nil || r.Site == nil {
			t.Fatalf("node %d: %+v, %v", i, r, err)
		}
		if _, ok := p.Site([]byte(r.Site.Domain)); !ok {
			t.Errorf("node %d answered before it knew", i)
		}
		if _, err := p.Do(soon(t), site("S0.example")); analytics.CodeOf(err) != analytics.Conflict {
			t.Errorf("node %d: %v, want the conflict that applying found", i, err)
		}
	}
	if s.sent.Load() != 4 {
		t.Errorf("%d commands were forwarded", s.sent.Load())
	}
	s.agree()
}

func TestAChangeWaitsForALeader(t *testing.T) {
	s := startSeveral(t, 3, 2)
	s.elect(-1)
	got := make(chan error, 1)
	go func() {
		_, err := s.nodes[2].Do(soon(t), site("a.example"))
		got <- err
	}()
	until(t, "it waits", func() bool { return s.nodes[2].waits() == 1 })
	s.elect(1)
	if err := <-got; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.elect(-1)
	if _, err := s.nodes[0].Do(ctx, site("b.example")); analytics.CodeOf(err) != analytics.Unavailable || errors.Is(err, errUnconfirmed) {
		t.Errorf("%v, want certainty that nothing was done", err)
	}
}

func (p *peer) waits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}

func TestWhatALeaderDidNotTakeGoesToTheNextOne(t *testing.T) {
	s := startSeveral(t, 3, 3)
	old := s.nodes[0]
	old.cfg.Notify = func() {} // it is about to lose leadership and takes nothing
	got := make(chan error, 1)
	go func() {
		_, err := old.Do(soon(t), site("a.example"))
		got <- err
	}()
	until(t, "it is queued", func() bool { old.mu.Lock(); defer old.mu.Unlock(); return len(old.queue) == 1 })
	if err := old.Offer([16]byte{9}, mustCommand(t, "b.example")); err != nil {
		t.Fatal(err)
	}
	s.elect(1)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if old.Next() != nil {
		t.Error("the old leader still proposes")
	}
	if err := old.Offer([16]byte{10}, mustCommand(t, "c.example")); !errors.Is(err, ErrNotLeader) {
		t.Errorf("offered to a node that does not lead: %v", err)
	}
	if n := len(s.entries()); n != 1 {
		t.Errorf("%d entries", n)
	}
}

func mustCommand(t testing.TB, domain string) []byte {
	b, err := accounts.Command{At: 1, Change: site(domain)}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOfferTakesNothingThatWouldStopTheGroup(t *testing.T) {
	c, _ := start(t, newMemory(), nil, Config{})
	for _, bad := range [][]byte{nil, {1}, {0x81, 200, 0, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, {0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, append(mustCommand(t, "a.example"), '!')} {
		if err := c.Offer([16]byte{1}, bad); analytics.CodeOf(err) != analytics.Invalid {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func TestACommandSentTwiceIsExecutedOnce(t *testing.T) {
	c, l := start(t, newMemory(), nil, Config{})
	org, err := accounts.Command{At: 1, Change: &accounts.CreateOrg{Name: "o"}}.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.Offer([16]byte{7}, org); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "it is applied", func() bool { return c.Applied() > 0 })
	one := encode(t, c)
	entry := l.entries()[0]
	c.Apply(1000, entry) // once more in the log: it was proposed by two leaders
	if got := encode(t, c); !bytes.Equal(got, one) {
		t.Errorf("executed twice:\n%q", got)
	}
	// After a flush and a restart it is still known; after many others no more.
	b := c.cfg.Store.NewBatch()
	if _, err := c.Flush(b); err != nil {
		t.Fatal(err)
	}
	if err := c.cfg.Store.Commit(b, true); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Config{Store: c.cfg.Store, Notify: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	again.Apply(2000, entry)
	if got := encode(t, again); !bytes.Equal(got, one) {
		t.Errorf("executed again after a restart:\n%q", got)
	}
}

func TestRingRemembersTheLastCommandsAndNoMore(t *testing.T) {
	r := newRing()
	id := func(i int) commandID { return commandID{byte(i), byte(i >> 8), byte(i >> 16), 1} }
	records := map[uint64][]byte{}
	for i := range ringMax + 500 {
		if !r.add(id(i)) || r.add(id(i)) {
			t.Fatalf("command %d", i)
		}
		if i%777 == 0 || i == ringMax+499 {
			for _, x := range r.takeDirty() {
				records[x.slot] = x.data
			}
		}
	}
	back := newRing()
	for slot := range uint64(len(records)) {
		if err := back.restore(slot, records[slot]); err != nil {
			t.Fatal(err)
		}
	}
	if back.count != r.count || len(back.known) != ringMax || len(r.known) != ringMax {
		t.Errorf("%d commands, %d known, %d before; want %d", back.count, len(back.known), len(r.known), ringMax)
	}
	for _, x := range []*ring{r, back} {
		if x.has(id(499)) || !x.has(id(500)) || !x.has(id(ringMax+499)) {
			t.Error("the ring does not hold the last commands")
		}
	}
	for i := range 50 { // both go on alike
		r.add(id(ringMax + 500 + i))
		back.add(id(ringMax + 500 + i))
	}
	if !slices.Equal(r.slots, back.slots) {
		t.Error("a restored ring goes on differently")
	}
}

// With leaders that change and a network that loses and doubles, every change
// that was answered is there once, and no other twice.
func TestChangesSurviveChangesOfLeaders(t *testing.T) {
	for seed := range uint64(6) {
		s := startSeveral(t, 3, seed)
		s.mu.Lock()
		s.loss = true
		s.mu.Unlock()
		const each = 25
		var wg sync.WaitGroup
		var running atomic.Int64
		for _, p := range s.nodes {
			running.Add(1)
			wg.Go(func() {
				defer running.Add(-1)
				for i := range each {
					name := fmt.Sprintf("n%d-%d", p.self, i)
					r, err := p.Do(soon(t), &accounts.CreateOrg{Name: name})
					if err != nil || r.Org.Name != name {
						t.Errorf("%s: %+v, %v", name, r.Org, err)
					}
				}
			})
		}
		for i := 0; running.Load() > 0; i++ {
			before := len(s.entries())
			until(t, "something happens", func() bool {
				s.mu.Lock()
				quiet := s.loss && s.rng.IntN(20) > 0
				s.mu.Unlock()
				return !quiet || len(s.entries()) > before || running.Load() == 0
			})
			s.elect([]int{0, 1, -1, 2}[i%4])
		}
		wg.Wait()
		s.elect(0)
		s.agree()
		names := map[string]int{}
		for org := range s.nodes[0].View().Orgs() {
			names[org.Name]++
		}
		for name, n := range names {
			if n != 1 {
				t.Errorf("seed %d: %s is there %d times", seed, name, n)
			}
		}
		if len(names) != 3*each {
			t.Errorf("seed %d: %d organisations, want %d", seed, len(names), 3*each)
		}
	}
}

func found(id byte) *placement.Found {
	return &placement.Found{ID: placement.ID{id}, Shards: 4, Replicas: 3, Gate: 1,
		Node: placement.NodeInfo{Ident: 11, Name: "a", Roles: placement.RoleEdge | placement.RoleData, GateMax: 1}}
}

func TestPlacementSharesLogAndStoreWithAccounts(t *testing.T) {
	store := newMemory()
	told := make(chan Kinds, 10)
	c, l := start(t, store, nil, Config{Changed: func(k Kinds) { told <- k }})
	if _, err := c.DoPlacement(soon(t), &placement.SetReplicas{Replicas: 1}); analytics.CodeOf(err) != analytics.Unavailable {
		t.Errorf("before the cluster is founded: %v", err)
	}
	r, err := c.DoPlacement(soon(t), found(1))
	if err != nil || r.Node.Number != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := c.DoPlacement(soon(t), found(2)); analytics.CodeOf(err) != analytics.Conflict {
		t.Errorf("founded twice: %v", err)
	}
	if _, err := c.Do(soon(t), site("a.example")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DoPlacement(soon(t), &placement.ChooseSalt{Period: placement.Daily.PeriodAt(c.now()), ID: placement.ID{3}, By: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(soon(t), &accounts.CreateKey{Name: "k", Scopes: accounts.Scopes()[:1], Hash: accounts.Hash{2}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []Kinds{Nodes | Shards, Sites, Salts, Keys} {
		if got := <-told; got != want {
			t.Errorf("told %b, want %b", got, want)
		}
	}
	check := func(c *Control, how string) {
		t.Helper()
		cl, ok := c.Placement().Cluster()
		if !ok || cl.ID != (placement.ID{1}) || len(c.Placement().Shards()) != 5 || len(c.Placement().Salts()) != 1 || c.View().SitesCount() != 1 {
			t.Errorf("%s: %+v, %d shards, %d sites", how, cl, len(c.Placement().Shards()), c.View().SitesCount())
		}
	}
	check(c, "live")
	replayed, _ := start(t, newMemory(), l.entries(), Config{})
	check(replayed, "replayed")
	flushTo(t, c, store)
	stored, err := Open(Config{Store: store, Notify: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	check(stored, "stored")
}

func flushTo(t testing.TB, c *Control, store persistence.Store) uint64 {
	t.Helper()
	b := store.NewBatch()
	index, err := c.Flush(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(b, true); err != nil {
		t.Fatal(err)
	}
	return index
}

func TestASnapshotReplacesEverything(t *testing.T) {
	lead, l := start(t, newMemory(), nil, Config{})
	for _, change := range []accounts.Change{site("a.example"), site("b.example")} {
		if _, err := lead.Do(soon(t), change); err != nil {
			t.Fatal(err)
		}
	}
	early := l.entries()
	var gone []analytics.SiteID
	var kinds Kinds
	store := newMemory()
	c, err := Open(Config{Store: store, Notify: func() {}, Removed: func(id analytics.SiteID) { gone = append(gone, id) },
		Changed: func(k Kinds) { kinds |= k }})
	if err != nil {
		t.Fatal(err)
	}
	for i, entry := range early {
		c.Apply(indexOf(i), entry)
	}
	flushTo(t, c, store)
	// Two callers wait here; the command of one gets into the log that the
	// snapshot stands for.
	inside, outside := make(chan error, 1), make(chan error, 1)
	go func() { _, err := c.Do(soon(t), site("inside.example")); inside <- err }()
	until(t, "it is queued", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queue) == 1 })
	entry := c.Next()
	go func() { _, err := c.Do(soon(t), site("outside.example")); outside <- err }()
	until(t, "it is queued", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queue) == 1 })
	cmds, err := parseEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	if err := lead.Offer(cmds[0].id, mustCommand(t, "inside.example")); err != nil {
		t.Fatal(err)
	}
	if _, err := lead.Do(soon(t), &accounts.DeleteSite{ID: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := lead.DoPlacement(soon(t), found(1)); err != nil {
		t.Fatal(err)
	}
	snapshot := newMemory()
	index := flushAll(t, lead, snapshot)
	store.mu.Lock()
	store.data = snapshot.data
	store.mu.Unlock()
	if err := c.Restore(index + 1); err != nil {
		t.Fatal(err)
	}
	if err := <-inside; !errors.Is(err, errUnconfirmed) {
		t.Errorf("the one inside: %v", err)
	}
	if !bytes.Equal(encode(t, c), encode(t, lead)) || c.Applied() != index+1 || !slices.Equal(gone, []analytics.SiteID{1}) || kinds != All {
		t.Errorf("applied %d of %d, gone %v, changed %b", c.Applied(), index, gone, kinds)
	}
	if _, ok := c.Placement().Cluster(); !ok {
		t.Error("placement was not restored")
	}
	c.Apply(index+2, c.Next())
	if err := <-outside; err != nil {
		t.Errorf("the one outside: %v", err)
	}
}

// flushAll writes the whole state of c into an empty store.
func flushAll(t testing.TB, c *Control, to *memory) uint64 {
	t.Helper()
	index := flushTo(t, c, c.cfg.Store)
	from := c.cfg.Store.(*memory)
	from.mu.Lock()
	defer from.mu.Unlock()
	for k, v := range from.data {
		to.data[k] = v
	}
	return index
}
