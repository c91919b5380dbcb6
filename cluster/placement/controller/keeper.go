package controller

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"footfall/cluster/placement"
)

// SaltHolder is where this node keeps salts, and the way to those of other
// nodes. Safe for concurrent use.
type SaltHolder interface {
	// Has tells whether the salt of that id is here.
	Has(family placement.Family, period uint32, id placement.ID) bool
	// Make makes a new salt, keeps it and gives its id.
	Make(family placement.Family, period uint32) (placement.ID, error)
	// Push brings a salt that is here to another node; no error means that it is
	// kept there.
	Push(ctx context.Context, node uint16, family placement.Family, period uint32, id placement.ID) error
}

// How long before a period its salt is chosen: long enough for every node to
// have it in time, short enough that it lives little longer than its use.
const (
	aheadDay  = 2 * time.Hour
	aheadLong = 24 * time.Hour

	keeperInterval = 10 * time.Second
	pushTimeout    = 5 * time.Second
)

func ahead(f placement.Family) time.Duration {
	if f == placement.Daily {
		return aheadDay
	}
	return aheadLong
}

// keeper has one salt chosen for each period, ahead of time, while this node
// leads. The salt is with a majority of the control group's voters before it is
// chosen: whatever the group survives, the chosen salt survives.
type keeper struct {
	c    *Controller
	made map[made]placement.ID // not chosen yet; made once, however often that is tried
}

type made struct {
	family placement.Family
	period uint32
}

func newKeeper(c *Controller) *keeper { return &keeper{c: c, made: map[made]placement.ID{}} }

func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		if k.c.cfg.Leads() {
			k.round(ctx)
		} else {
			clear(k.made)
		}
		k.c.pause(ctx, keeperInterval, false)
	}
}

// round does what is due now.
func (k *keeper) round(ctx context.Context) {
	if _, founded := k.c.cfg.Log.Placement().Cluster(); !founded {
		return
	}
	now := k.c.now()
	for _, f := range k.c.cfg.Families() {
		period := f.PeriodAt(now)
		due := []uint32{period}
		if next := f.Next(period); f.Begin(next)-now <= ahead(f).Milliseconds() {
			due = append(due, next)
		}
		for _, p := range due {
			if err := k.choose(ctx, f, p); err != nil && ctx.Err() == nil {
				k.c.cfg.Logger.Warn("choose the salt of a period", "family", f.String(), "period", p, "err", err)
			}
		}
		if err := k.retire(ctx, f, now); err != nil && ctx.Err() == nil {
			k.c.cfg.Logger.Warn("retire salts", "family", f.String(), "err", err)
		}
	}
}

func (k *keeper) choose(ctx context.Context, f placement.Family, period uint32) error {
	key := made{f, period}
	if _, done := k.c.cfg.Log.Placement().Salt(f, period); done {
		delete(k.made, key)
		return nil
	}
	holder := k.c.cfg.Salts
	id, ok := k.made[key]
	if !ok || !holder.Has(f, period, id) {
		var err error
		if id, err = holder.Make(f, period); err != nil {
			return fmt.Errorf("make it: %w", err)
		}
		k.made[key] = id
	}
	if err := k.push(ctx, f, period, id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, k.c.cfg.StepTimeout)
	defer cancel()
	_, err := k.c.cfg.Log.DoPlacement(ctx, &placement.ChooseSalt{Family: f, Period: period, ID: id, By: k.c.cfg.Self})
	if _, done := k.c.cfg.Log.Placement().Salt(f, period); done { // by us or by whoever led before
		delete(k.made, key)
		return nil
	}
	return err
}

// push brings a salt to all nodes; an error if too few voters have it then.
func (k *keeper) push(ctx context.Context, f placement.Family, period uint32, id placement.ID) error {
	view := k.c.cfg.Log.Placement()
	votes := map[uint16]bool{}
	if s, ok := view.Shard(placement.Control); ok {
		for _, m := range s.Voters() {
			votes[m.Node] = true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	var have atomic.Int64
	var last atomic.Pointer[error]
	var wg sync.WaitGroup
	for _, n := range view.Nodes() {
		if n.State == placement.Removed {
			continue
		}
		wg.Go(func() {
			if n.Number != k.c.cfg.Self {
				if err := k.c.cfg.Salts.Push(ctx, n.Number, f, period, id); err != nil {
					err = fmt.Errorf("push it to node %d: %w", n.Number, err)
					last.Store(&err)
					return
				}
			}
			if votes[n.Number] {
				have.Add(1)
			}
		})
	}
	wg.Wait()
	if int(have.Load()) > len(votes)/2 {
		return nil
	}
	if err := last.Load(); err != nil {
		return fmt.Errorf("%d of %d voters have it: %w", have.Load(), len(votes), *err)
	}
	return fmt.Errorf("%d of %d voters have it", have.Load(), len(votes))
}

// retire forgets the choices for periods that are over.
func (k *keeper) retire(ctx context.Context, f placement.Family, now int64) error {
	before := f.PeriodAt(now - placement.SaltGrace)
	old := false
	for _, s := range k.c.cfg.Log.Placement().Salts() {
		old = old || s.Family == f && s.Period < before && f.Begin(f.Next(s.Period))+placement.SaltGrace <= now
	}
	if !old {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, k.c.cfg.StepTimeout)
	defer cancel()
	_, err := k.c.cfg.Log.DoPlacement(ctx, &placement.RetireSalts{Family: f, Before: before})
	return err
}
