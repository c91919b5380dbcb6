package discovery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"
)

// Watch asks Consul again and again, each time until something has changed.
// While Consul is away the last list stays.
func (c *Consul) Watch(ctx context.Context, changed func([]Member)) error {
	w := watcher{consul: c, pause: pauseMin}
	for ctx.Err() == nil {
		if members, fresh := w.ask(ctx); fresh {
			changed(members)
		}
		timer := time.NewTimer(w.pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// watcher is one Watch.
type watcher struct {
	consul *Consul
	index  uint64
	pause  time.Duration // before the next question
	failed bool
	warned bool // of an answer that the token made shorter
	told   bool
	last   []Member
}

// ask puts one question and tells whether its answer differs from the last.
func (w *watcher) ask(ctx context.Context) ([]Member, bool) {
	c := w.consul
	call, cancel := context.WithTimeout(ctx, c.opts.Wait+c.opts.Wait/16+callMax) // Consul adds up to a sixteenth
	defer cancel()
	entries, meta, err := c.client.Health().Service(c.opts.Service, "", true,
		(&api.QueryOptions{AllowStale: true, WaitIndex: w.index, WaitTime: c.opts.Wait}).WithContext(call))
	if err != nil {
		if ctx.Err() != nil {
			return nil, false
		}
		if !w.failed {
			c.logger.Warn("Consul does not tell the members; asking on, the last list stays", "err", err)
		}
		// A new start of Consul begins its index anew.
		w.failed, w.index, w.pause = true, 0, min(2*w.pause, pauseMax)
		return nil, false
	}
	if w.failed {
		c.logger.Info("Consul tells the members again")
	}
	w.failed, w.pause = false, pauseMin
	if meta.LastIndex < w.index {
		w.index = 0
	} else {
		w.index = meta.LastIndex
	}
	if meta.ResultsFilteredByACLs && !w.warned {
		w.warned = true
		c.logger.Warn("Consul hides members from this token; it needs service:read and node:read")
	}
	members := w.members(entries)
	if w.told && slices.Equal(members, w.last) {
		return nil, false
	}
	w.told, w.last = true, members
	return slices.Clone(members), true
}

// members reads what others registered; what is not a node's is left out.
func (w *watcher) members(entries []*api.ServiceEntry) []Member {
	var members []Member
	for _, e := range entries[:min(len(entries), membersMax)] {
		m, err := memberOf(e)
		if err != nil {
			w.consul.logger.Debug("Consul lists a service that is no node", "err", err)
			continue
		}
		members = append(members, m)
	}
	sortMembers(members)
	return members
}

func memberOf(e *api.ServiceEntry) (Member, error) {
	if e == nil || e.Service == nil {
		return Member{}, fmt.Errorf("an entry without a service")
	}
	meta := e.Service.Meta
	ident, ok := parseIdent(meta[metaIdent])
	if !ok {
		return Member{}, fmt.Errorf("service %.64q: ident: %.64q is none", e.Service.ID, meta[metaIdent])
	}
	m := Member{
		Ident: ident, Name: meta[metaName], Cluster: meta[metaCluster], HTTP: meta[metaHTTP],
		Zone: meta[metaZone], Region: meta[metaRegion],
	}
	if err := m.check(); err != nil {
		return Member{}, fmt.Errorf("service %.64q: %w", e.Service.ID, err)
	}
	return m, nil
}
