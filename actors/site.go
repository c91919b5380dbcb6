package actors

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"

	"footfall/analytics"
	"footfall/analytics/entry"
	"footfall/analytics/site"
	"footfall/persistence"
)

type viewRequest struct{ reply chan<- viewed }

type viewed struct {
	view *site.View
	err  error
}

type dropsRequest struct {
	reply chan<- map[int32]map[analytics.Reason]uint64
}

// flushRequest asks for the site's records to be brought up to date.
type flushRequest struct{ reply chan<- flushResult }

type flushResult struct {
	id      analytics.SiteID
	applied uint64
	err     error
}

// siteActor is the shell of one site.Machine. A fault quarantines it: it stops
// counting, answers with the error, and keeps its shard's log from being
// truncated, so that nothing is lost.
type siteActor struct {
	sites   *Sites
	shard   uint16
	id      analytics.SiteID
	life    uint64 // of the shard, to which all that it knows belongs
	machine *site.Machine
	fault   error
	counted bool // among Sites.failed
	reasons []analytics.Reason
}

// Receive handles one message.
func (a *siteActor) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		a.guard(a.load)
	case *apply:
		a.guard(func() error { return a.apply(msg) })
		if a.fault != nil {
			msg.undecided()
		}
		msg.round.finish()
		a.sites.live.signal(a.id, msg.index)
	case *viewRequest:
		v := viewed{err: a.fault}
		if a.fault == nil {
			a.guard(func() error { v.view = a.machine.View(); return nil })
			v.err = a.fault
		}
		if a.gone() { // what was loaded lately may be of the new state
			v = viewed{err: errReplaced}
		}
		msg.reply <- v
	case *dropsRequest:
		if a.fault != nil {
			msg.reply <- nil
		} else {
			msg.reply <- a.machine.Drops()
		}
	case *digestRequest:
		msg.reply <- a.content()
	case *outcomeRequest:
		msg.reply <- a.outcome(msg.index)
	case *sealRequest:
		a.guard(func() error { return a.sealAll(msg.ctx) })
		msg.reply <- a.fault
	case *actor.Stopped:
		if a.counted {
			a.sites.failed.Add(-1)
		}
	case *flushRequest:
		a.guard(a.flush)
		r := flushResult{id: a.id, err: a.fault}
		if a.machine != nil {
			r.applied = a.machine.Applied()
		}
		msg.reply <- r
	}
}

// guard runs f unless the site is quarantined, and quarantines it if f fails or
// panics.
func (a *siteActor) guard(f func() error) {
	if a.fault != nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			a.quarantine(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if err := f(); err != nil {
		a.quarantine(err)
	}
}

// gone tells whether the shard's records were taken away or replaced since.
func (a *siteActor) gone() bool { return a.sites.shards[a.shard].life.Load() != a.life }

func (a *siteActor) quarantine(err error) {
	if a.gone() { // it has read records of another state; nobody asks it any more
		a.fault = errReplaced
		return
	}
	a.counted = true
	a.fault = analytics.Errorf(analytics.Unavailable, "site %d is quarantined: its state cannot be read or stepped", a.id)
	a.sites.failed.Add(1)
	a.sites.cfg.Logger.Error("site quarantined", "site", uint64(a.id), "shard", a.shard, "error", err)
}

// undecided says of all items that they are not counted.
func (msg *apply) undecided() {
	for i := range msg.items {
		p := int32(i)
		if msg.at != nil {
			p = msg.at[i]
		}
		msg.round.reasons[p] = analytics.Undecided
	}
}

func (a *siteActor) key(r site.Ref) []byte {
	return persistence.SiteKey(a.shard, uint64(a.id), r.Kind, r.Period, r.Chunk)
}

func (a *siteActor) load() error {
	header, err := a.sites.cfg.Store.Get(a.key(site.Ref{Kind: site.KindHeader}))
	if errors.Is(err, persistence.ErrNotFound) {
		a.machine = site.New(a.id)
		a.machine.SetPacker(a.sites.squeeze)
		return nil
	}
	if err != nil {
		return fmt.Errorf("load header of site %d: %w", a.id, err)
	}
	m, records, err := site.Restore(a.id, header)
	if err != nil {
		return fmt.Errorf("restore site %d: %w", a.id, err)
	}
	m.SetPacker(a.sites.squeeze)
	for _, r := range records {
		value, err := a.sites.cfg.Store.Get(a.key(r))
		if err != nil {
			return fmt.Errorf("load record %v of site %d: %w", r, a.id, err)
		}
		if err := m.ProvideWindow(r, value); err != nil {
			return fmt.Errorf("restore record %v of site %d: %w", r, a.id, err)
		}
	}
	a.machine = m
	return nil
}

func (a *siteActor) apply(msg *apply) error {
	if msg.index <= a.machine.Applied() {
		return nil
	}
	for need := a.machine.Need(msg.now, msg.items); len(need) > 0; need = a.machine.Need(msg.now, msg.items) {
		if err := a.provide(need); err != nil {
			return err
		}
	}
	out := msg.round.reasons
	if msg.at != nil {
		a.reasons = append(a.reasons[:0], make([]analytics.Reason, len(msg.items))...)
		out = a.reasons
	}
	a.machine.Step(msg.index, msg.now, msg.items, out)
	if len(msg.items) == 1 && msg.items[0].Command == entry.Erase && a.sites.cfg.Erased != nil {
		a.sites.cfg.Erased(a.shard, a.id, msg.index)
	}
	for i, p := range msg.at {
		msg.round.reasons[p] = out[i]
	}
	return nil
}

// provide gives the machine the records that it asks for, one at a time.
func (a *siteActor) provide(need []site.Ref) error {
	for _, r := range need {
		value, err := a.sites.cfg.Store.Get(a.key(r))
		if err != nil && !errors.Is(err, persistence.ErrNotFound) { // a block not yet written is at hand
			return fmt.Errorf("load record %v of site %d: %w", r, a.id, err)
		}
		if err := a.machine.Provide(r, value); err != nil {
			return fmt.Errorf("restore record %v of site %d: %w", r, a.id, err)
		}
	}
	return nil
}

// flush writes what changed, and seals some of what is over before.
func (a *siteActor) flush() error {
	if !a.machine.Dirty() {
		return nil
	}
	if _, err := a.seal(false, sealPartsMax); err != nil {
		return err
	}
	return a.write()
}

// write writes what changed. The batch is not synced: the log holds everything
// until a later sync covers both.
func (a *siteActor) write() error {
	b := a.sites.cfg.Store.NewBatch()
	writes := a.machine.Flush()
	for _, w := range writes {
		if w.Value == nil {
			b.Delete(a.key(w.Ref))
		} else {
			b.Set(a.key(w.Ref), w.Value)
		}
	}
	switch err := a.sites.commit(a.shard, a.life, b, false); {
	case errors.Is(err, errReplaced):
		return err
	case err != nil:
		return fmt.Errorf("write records of site %d: %w", a.id, err)
	}
	a.sites.blocks.keep(a.id, a.life, writes)
	a.sites.blocks.forget(a.id, a.life, writes)
	return nil
}
