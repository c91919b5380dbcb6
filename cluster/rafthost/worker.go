package rafthost

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"footfall/persistence"
)

// yields is how often a round lets others run first: those that the round before
// has woken bring their next proposals, and the batch grows. It costs nothing
// when nobody waits; a pause of a fixed length made everything slower.
const yields = 4

// worker runs some of the groups: it collects what they want written, commits
// that in one synced batch, and applies what became durable. Each worker commits
// by itself; the store merges commits that meet into one sync, so there is one
// stream of syncs per process and no hand-off to a writing goroutine.
type worker struct {
	host   *Host
	groups []*group

	mu    sync.Mutex
	ready []*group // under mu: groups with something to do, each at most once
	spare []*group // the list that ready was swapped with
	wake  chan struct{}

	// Of the goroutine.
	active  []*group // to visit in this round, each at most once
	next    []*group
	b       persistence.Batch // of this round, or nil
	written []write           // what b holds, in order
	scratch []byte
	closing bool // no more proposals

	stats workerStats
}

// write is a storage request of a group whose answer waits for the commit.
type write struct {
	g *group
	m *raftpb.Message
}

// add puts g on the list and wakes the goroutine. Any goroutine.
func (w *worker) add(g *group) {
	w.mu.Lock()
	w.ready = append(w.ready, g)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake or will be
	}
}

// take moves the list to active.
func (w *worker) take() {
	w.mu.Lock()
	list := w.ready
	w.ready, w.spare = w.spare[:0], list
	w.mu.Unlock()
	for i, g := range list {
		g.queued.Store(false)
		w.visit(g)
		list[i] = nil
	}
}

// visit makes g part of the coming round.
func (w *worker) visit(g *group) {
	if !g.active {
		g.active = true
		w.active = append(w.active, g)
	}
}

func (w *worker) run(ctx context.Context) error {
	defer func() {
		if w.b != nil { // an error ended the round
			w.b.Discard()
		}
	}()
	var tick <-chan time.Time
	for _, g := range w.groups {
		w.visit(g)
		if g.solo {
			if err := g.rn.Campaign(); err != nil {
				return fmt.Errorf("raft group %d: campaign: %w", g.id, err)
			}
		} else if tick == nil {
			t := time.NewTicker(w.host.cfg.Tick)
			defer t.Stop()
			tick = t.C
		}
	}
	for {
		for range yields {
			runtime.Gosched()
		}
		w.take()
		if len(w.active) == 0 {
			if w.closing {
				return nil
			}
			select {
			case <-ctx.Done():
				w.closing = true
			case <-w.wake:
			case <-tick:
				w.tick()
			}
			continue
		}
		// Busy: look at the clock and the end without waiting.
		select {
		case <-tick:
			w.tick()
		case <-ctx.Done():
			w.closing = true
		default:
		}
		if err := w.round(); err != nil {
			return err
		}
	}
}

func (w *worker) tick() {
	for _, g := range w.groups {
		if !g.solo {
			g.rn.Tick()
			w.visit(g)
		}
	}
}

// batch is the round's batch.
func (w *worker) batch() persistence.Batch {
	if w.b == nil {
		w.b = w.host.cfg.Store.NewBatch()
	}
	return w.b
}

// round visits the active groups once, commits what they want written and gives
// them the answers; those that got some are active in the next round. Groups
// beyond RoundBytesMax wait for it too.
func (w *worker) round() error {
	visited := 0
	for _, g := range w.active {
		if w.b != nil && w.b.Size() >= w.host.cfg.RoundBytesMax {
			break
		}
		visited++
		g.active = false
		if err := g.pull(!w.closing); err != nil {
			return err
		}
		if err := g.step(); err != nil {
			return err
		}
	}
	// Those not visited come first next time.
	w.next = append(w.next[:0], w.active[visited:]...)
	clear(w.active)
	w.active, w.next = w.next, w.active[:0]
	return w.commit()
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
