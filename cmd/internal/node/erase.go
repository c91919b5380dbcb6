package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"footfall/analytics"
	"footfall/analytics/entry"
	"footfall/analytics/site"
	"footfall/cluster"
	"footfall/cluster/rafthost"
	"footfall/enrich/visitor"
	"footfall/persistence"
)

// eraser removes what is known of one visitor; see merchant.Eraser.
type eraser struct{ n *Node }

// EraseVisitor proposes one command for each day under which visits are filed,
// so that counting goes on in between, and then makes the bytes go: records and
// log are written anew without them.
func (e eraser) EraseVisitor(ctx context.Context, s *analytics.Site, name, by string) (visits, events uint64, err error) {
	// Where the shard is led: another replica may not have all of it yet.
	if err := e.n.here(s.ID, true); err != nil {
		return 0, 0, err
	}
	shard, id := cluster.ShardOf(s.ID), visitor.Named(&s.Secret, name)
	days, err := e.n.sites.VisitorDays(ctx, shard, s.ID, id)
	if err != nil {
		return 0, 0, fmt.Errorf("find a visitor of site %d: %w", s.ID, err)
	}
	for _, day := range days {
		token, err := e.n.router.Command(ctx, s.ID, entry.AppendErase(nil, s.ID, id, day))
		if err != nil {
			return visits, events, fmt.Errorf("erase a visitor of site %d: %w", s.ID, err)
		}
		o, err := e.n.sites.Outcome(ctx, shard, s.ID, token.Index)
		if err != nil {
			return visits, events, fmt.Errorf("erase a visitor of site %d: %w", s.ID, err)
		}
		visits, events = visits+o.Visits, events+o.Events
	}
	e.n.logger.Info("visitor erased", "site", uint64(s.ID), "visits", visits, "events", events, "by", by)
	// Also when there was nothing: what an earlier request left undone goes now.
	if err := e.n.scrub(ctx, shard, s.ID); err != nil {
		return visits, events, fmt.Errorf("erase a visitor of site %d from the disk: %w", s.ID, err)
	}
	return visits, events, nil
}

// erased notes that what a visitor left on this node's disk is to go. In a
// cluster every node does that for its own replicas.
func (n *Node) erased(shard uint16, id analytics.SiteID, index uint64) {
	n.host.Purge(rafthost.Group(shard), index)
	if !n.clustered() {
		return // whoever asked for it waits until it is done
	}
	select {
	case n.scrubs <- place{shard, id}:
	default:
		n.logger.Warn("too many visitors erased at once: their bytes go with later flushes", "site", uint64(id))
	}
}

// place names a site and its shard.
type place struct {
	shard uint16
	site  analytics.SiteID
}

// scrubRest lets the days of one visitor, which are erased one after the other,
// be scrubbed together.
const scrubRest = time.Second

// scrubErased makes the bytes of erased visitors go until ctx ends.
func (n *Node) scrubErased(ctx context.Context) error {
	for {
		wanted := map[place]bool{}
		select {
		case <-ctx.Done():
			return nil
		case p := <-n.scrubs:
			wanted[p] = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(scrubRest):
		}
		for len(n.scrubs) > 0 {
			wanted[<-n.scrubs] = true
		}
		for p := range wanted {
			if err := n.scrub(ctx, p.shard, p.site); err != nil && ctx.Err() == nil {
				n.logger.Error("erase a visitor from the disk", "site", uint64(p.site), "error", err)
			}
		}
	}
}

// scrub makes what was removed from a site go from the disk.
func (n *Node) scrub(ctx context.Context, shard uint16, id analytics.SiteID) error {
	if err := n.sites.Settle(ctx, shard, id); err != nil {
		return err
	}
	from, to := persistence.SiteSpan(shard, uint64(id))
	logFrom, logTo := persistence.LogSpan(uint16(rafthost.Group(shard)))
	return errors.Join(n.store.Compact(ctx, from, to), n.store.Compact(ctx, logFrom, logTo))
}

// seals gives the closed months of a site.
type seals struct{ n *Node }

func (s seals) Seals(ctx context.Context, id analytics.SiteID) ([]site.Seal, error) {
	if err := s.n.here(id, false); err != nil {
		return nil, err
	}
	v, err := s.n.sites.View(ctx, cluster.ShardOf(id), id)
	if err != nil {
		return nil, err
	}
	return v.Seals, nil
}
