package rafthost

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/persistence"
)

// yields is how often a round lets others run first: those that the round before
// has woken bring their next proposals, and the batch grows. It costs nothing
// when nobody waits; a pause of a fixed length made everything slower.
const yields = 4

// worker runs some of the groups: it collects what they want written, has that
// committed in synced batches, and applies what became durable. What groups
// without other members write it commits by itself, at the end of a round; the
// rest goes through its writer, so that messages are answered during a sync.
// The store merges commits that meet into one sync.
type worker struct {
	host   *Host
	writer writer

	// drive is held by whoever drives the groups: Run's goroutine for a round, a
	// caller of Turn, or a call from outside that needs a group to itself. Order
	// of locks: Host.admin, drive, all others.
	drive  sync.Mutex
	groups []*group // under drive

	mu     sync.Mutex
	ready  []*group       // under mu: groups with something to do, each at most once
	spare  []*group       // the list that ready was swapped with
	events []func() error // under mu: to be done before the next round
	wake   chan struct{}

	// Under drive.
	ticking []*group // groups with other members
	ticks   uint64
	active  []*group // to visit in this round, each at most once
	next    []*group
	b       persistence.Batch // of this round, or nil
	written []write           // what b holds, in order
	job     *job              // of this round for the writer, or nil
	out     []outbox          // messages of this round
	scratch []byte
	rounds  uint64 // begins at 1
	begun   bool
	closing bool // no more proposals

	stats workerStats
}

// write is a storage request of a group whose answer waits for the commit.
type write struct {
	g *group
	m *raftpb.Message
}

// outbox holds the messages of a round for one node.
type outbox struct {
	node  uint16
	batch []Outgoing
}

// add puts g on the list and wakes the goroutine. Any goroutine.
func (w *worker) add(g *group) {
	w.mu.Lock()
	w.ready = append(w.ready, g)
	w.mu.Unlock()
	w.rouse()
}

// post has f done before the next round. Any goroutine; f must not block.
func (w *worker) post(f func() error) {
	w.mu.Lock()
	w.events = append(w.events, f)
	w.mu.Unlock()
	w.rouse()
}

func (w *worker) rouse() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake or will be
	}
}

// take moves the list to active and does what was posted.
func (w *worker) take() error {
	w.mu.Lock()
	list, events := w.ready, w.events
	w.ready, w.spare, w.events = w.spare[:0], list, nil
	w.mu.Unlock()
	for i, g := range list {
		g.queued.Store(false)
		w.visit(g)
		list[i] = nil
	}
	for _, f := range events {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// visit makes g part of the coming round.
func (w *worker) visit(g *group) {
	if !g.active {
		g.active = true
		w.active = append(w.active, g)
	}
}

// begin starts the groups that were opened before the worker.
func (w *worker) begin() error {
	w.begun = true
	for _, g := range w.groups {
		if err := w.start(g); err != nil {
			return err
		}
	}
	w.sort()
	return nil
}

// start brings a group in. One whose log may hold a change of members that was
// not applied campaigns when it has applied it; raft refuses before.
func (w *worker) start(g *group) error {
	w.visit(g)
	if !g.sole || g.stands() {
		return nil
	}
	if g.log.conf.index > 0 {
		g.eager = true
		return nil
	}
	return g.campaign()
}

// sort lists the groups that need ticks anew.
func (w *worker) sort() {
	w.ticking = w.ticking[:0]
	for _, g := range w.groups {
		if !g.solo && !g.stands() {
			w.ticking = append(w.ticking, g)
		}
	}
}

// run is the goroutine of a worker.
func (w *worker) run(ctx context.Context) error {
	var tick <-chan time.Time
	if w.host.cfg.Transport != nil {
		stop := w.writer.start(w)
		defer stop()
		t := time.NewTicker(w.host.cfg.Tick)
		defer t.Stop()
		tick = t.C
	}
	defer w.abandon()
	for {
		for range yields {
			runtime.Gosched()
		}
		worked, settled, err := w.turn()
		if err != nil {
			return err
		}
		if worked { // look at the clock and the end without waiting
			select {
			case <-tick:
				err = w.tick()
			case <-ctx.Done():
				w.close()
			default:
			}
		} else if w.closing {
			if settled {
				return nil
			}
			<-w.wake // the writer's
		} else {
			select {
			case <-ctx.Done():
				w.close()
			case <-w.wake:
			case <-tick:
				err = w.tick()
			}
		}
		if err != nil {
			return err
		}
	}
}

// close ends the taking of proposals and messages.
func (w *worker) close() {
	w.drive.Lock()
	defer w.drive.Unlock()
	w.closing = true
}

// abandon drops what an error left of a round.
func (w *worker) abandon() {
	w.drive.Lock()
	defer w.drive.Unlock()
	if w.b != nil {
		w.b.Discard()
		w.b = nil
	}
	if w.job != nil {
		w.job.discard()
		w.job = nil
	}
}

// turn does one round if there is something to do. settled: nothing is under way.
func (w *worker) turn() (worked, settled bool, err error) {
	w.drive.Lock()
	defer w.drive.Unlock()
	if !w.begun {
		if err := w.begin(); err != nil {
			return false, false, err
		}
	}
	settled, err = w.collect()
	if err == nil {
		err = w.take()
	}
	if err != nil || len(w.active) == 0 {
		w.transmit()
		return false, settled, err
	}
	return true, false, w.round()
}

func (w *worker) tick() error {
	w.drive.Lock()
	defer w.drive.Unlock()
	w.ticks++
	if w.closing || !w.begun {
		return nil
	}
	for _, g := range w.ticking {
		if g.stands() {
			continue
		}
		visit, err := g.tick()
		if err != nil {
			return err
		}
		if visit {
			w.visit(g)
		}
	}
	return nil
}

// batch is where g's writes of this round go.
func (w *worker) batch(g *group) persistence.Batch {
	if g.async {
		return w.asyncJob().open(w.host.cfg.Store)
	}
	g.wroteIn = w.rounds
	if w.b == nil {
		w.b = w.host.cfg.Store.NewBatch()
	}
	return w.b
}

// asyncJob is what this round has for the writer.
func (w *worker) asyncJob() *job {
	if w.job == nil {
		w.job = &job{}
	}
	return w.job
}

// wrote says that m is answered when what g has written is committed, and with
// sync durable.
func (w *worker) wrote(g *group, m *raftpb.Message, sync bool) {
	if g.async {
		g.inFlight++
		j := w.asyncJob()
		j.written = append(j.written, write{g, m})
		j.sync = j.sync || sync
	} else if sync {
		w.written = append(w.written, write{g, m})
	}
}

// submit passes what the round has so far to the writer.
func (w *worker) submit() {
	if w.job != nil {
		w.writer.put(w.job)
		w.job = nil
	}
}

// send puts a message into the round's batch for its node.
func (w *worker) send(g Group, m *raftpb.Message) {
	node := nodeOf(m.GetTo())
	i := slices.IndexFunc(w.out, func(o outbox) bool { return o.node == node })
	if i < 0 {
		i = len(w.out)
		w.out = append(w.out, outbox{node: node})
	}
	w.out[i].batch = append(w.out[i].batch, Outgoing{g, m})
}

// transmit passes the collected messages on.
func (w *worker) transmit() {
	for i := range w.out {
		o := &w.out[i]
		if len(o.batch) > 0 {
			w.host.cfg.Transport.Send(o.node, o.batch)
			clear(o.batch)
			o.batch = o.batch[:0]
		}
	}
}

// round visits the active groups once, commits what they want written and gives
// them the answers; those that got some are active in the next round. Groups
// beyond RoundBytesMax wait for it too.
func (w *worker) round() error {
	visited := 0
	for _, g := range w.active {
		if w.b != nil && w.b.Size() >= w.host.cfg.RoundBytesMax || w.job != nil && w.job.size() >= w.host.cfg.RoundBytesMax {
			break
		}
		visited++
		g.active = false
		if err := w.serve(g); err != nil {
			return err
		}
	}
	// Those not visited come first next time.
	w.next = append(w.next[:0], w.active[visited:]...)
	clear(w.active)
	w.active, w.next = w.next, w.active[:0]
	w.transmit() // before the own sync: other members write at the same time
	w.submit()
	err := w.commit()
	w.rounds++
	return err
}

// serve lets one group do what it has to.
func (w *worker) serve(g *group) error {
	if g.stands() {
		g.halt()
		return nil
	}
	if g.inFlight == 0 && g.wroteIn != w.rounds { // otherwise writes could overtake one another
		g.async = !g.solo
	}
	if !g.async {
		if err := g.pull(w.closing); err != nil {
			return err
		}
		return g.step()
	}
	return w.guard(g, func() error {
		if err := g.pull(w.closing); err != nil {
			return err
		}
		if err := g.step(); err != nil {
			return err
		}
		g.refuse()
		return nil
	})
}

// guard does f for a group with other members. What raft panics about there, a
// damaged entry or a message that cannot be, stops the one replica.
func (w *worker) guard(g *group, f func() error) (err error) {
	defer func() {
		if g.applying { // the state machine's own: not for us to hide
			return
		}
		if r := recover(); r != nil {
			g.fail(fmt.Errorf("raft group %d: %v", g.id, r))
		}
		if g.stands() {
			g.halt()
		}
	}()
	return f()
}

// commit writes the round and passes the answers on.
func (w *worker) commit() error {
	if w.b != nil {
		if err := w.save(); err != nil {
			return err
		}
	}
	for i, wr := range w.written {
		w.written[i] = write{}
		if err := wr.g.respond(wr.m.Responses); err != nil {
			return err
		}
		w.visit(wr.g)
	}
	w.written = w.written[:0]
	w.transmit()
	return nil
}

// save commits the batch, synced when an answer depends on it.
func (w *worker) save() error {
	b, bytes, sync := w.b, w.b.Size(), len(w.written) > 0
	w.b = nil
	begin := w.host.cfg.Now()
	if err := w.host.cfg.Store.Commit(b, sync); err != nil {
		return w.host.fail(fmt.Errorf("write raft log: %w", err))
	}
	entries := 0
	for _, wr := range w.written {
		if len(wr.m.Entries) > 0 {
			wr.g.log.appended(wr.m.Entries)
			entries += len(wr.m.Entries)
		}
	}
	if sync {
		w.stats.note(entries, bytes, w.host.cfg.Now().Sub(begin))
	}
	return nil
}

// collect takes back what the writer has done. settled: it has nothing to do.
func (w *worker) collect() (settled bool, err error) {
	if w.host.cfg.Transport == nil {
		return true, nil
	}
	done, settled, err := w.writer.take()
	if err != nil {
		return false, err
	}
	for _, j := range done {
		for _, wr := range j.written {
			wr.g.inFlight--
			if wr.g.stands() {
				w.visit(wr.g)
				continue
			}
			if err := w.guard(wr.g, func() error { return wr.g.respond(wr.m.Responses) }); err != nil {
				return false, err
			}
			w.visit(wr.g)
		}
		if i := j.install; i != nil {
			i.g.inFlight--
			i.g.installed(i)
			w.visit(i.g)
		}
	}
	return settled, nil
}
