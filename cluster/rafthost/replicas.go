package rafthost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"footfall/persistence"
)

// establish finds the groups of the store and creates those of the config that
// it never had. It gives all, those of the config first.
func (h *Host) establish() ([]Group, error) {
	h.last = map[Group]uint64{}
	have := map[Group]bool{}
	var found []Group
	from := []byte{persistence.TableGroup}
	err := h.cfg.Store.Scan(from, persistence.After(from), func(k, v []byte) error {
		if len(k) != 4 {
			return nil
		}
		g := Group(binary.BigEndian.Uint16(k[1:]))
		switch k[3] {
		case keyConf:
			have[g] = true
			found = append(found, g)
			if c, err := decodeConf(v); err == nil { // Open of the group says what is wrong
				h.last[g] = max(h.last[g], c.replica)
			}
		case keyLast:
			r, err := decodeLast(v)
			if err != nil {
				return fmt.Errorf("raft group %d: newest replica: %w", g, err)
			}
			h.last[g] = max(h.last[g], r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find raft groups: %w", err)
	}
	var ids []Group
	b := h.cfg.Store.NewBatch()
	for _, g := range h.cfg.Groups {
		if slices.Contains(ids, g) {
			b.Discard()
			return nil, fmt.Errorf("raft host: group %d is listed twice", g)
		}
		if _, had := h.last[g]; !have[g] && had {
			continue // it was removed from here: only AddReplica brings it back
		}
		ids = append(ids, g)
		if !have[g] {
			h.last[g] = h.cfg.Replica
			create(b, g, conf{replica: h.cfg.Replica, voters: h.cfg.Voters}, firstPoint)
		}
	}
	if err := h.cfg.Store.Commit(b, true); err != nil {
		return nil, fmt.Errorf("create raft groups: %w", err)
	}
	listed := map[Group]bool{}
	for _, g := range ids {
		listed[g] = true
	}
	for _, g := range found {
		if !listed[g] {
			ids = append(ids, g)
		}
	}
	return ids, nil
}

// lastOf is the newest replica id that the store ever had for g.
func (h *Host) lastOf(g Group) uint64 {
	h.lastMu.RLock()
	defer h.lastMu.RUnlock()
	return h.last[g]
}

// AddReplica creates a member of g without log, records or knowledge of other
// members: the leader, which has to know it as a learner, sends it all that. A
// replica id must be above every one that this store had for the group; the one
// that is here already is no error. Any goroutine but those of the hooks called
// on a worker; it waits for a synced write.
func (h *Host) AddReplica(g Group, replica uint64) error {
	h.admin.Lock()
	defer h.admin.Unlock()
	switch gr := h.find(g); {
	case h.cfg.Transport == nil || h.stager == nil:
		return fmt.Errorf("add replica %d of raft group %d: this node has no way to get its state", replica, g)
	case gr != nil && gr.replica == replica:
		return nil
	case gr != nil:
		return fmt.Errorf("add replica %d of raft group %d: replica %d is here", replica, g, gr.replica)
	case replica == 0 || replica <= h.lastOf(g):
		return fmt.Errorf("add replica %d of raft group %d: this store had replica %d, and ids only rise", replica, g, h.lastOf(g))
	}
	b := h.cfg.Store.NewBatch()
	wipe(b, g)
	b.Set(groupKey(g, keyLast), encodeLast(replica))
	create(b, g, conf{replica: replica}, point{})
	if err := h.cfg.Store.Commit(b, true); err != nil {
		return h.fail(fmt.Errorf("add replica %d of raft group %d: %w", replica, g, err))
	}
	gr, err := openGroup(h, g)
	if err != nil {
		return fmt.Errorf("add replica %d of raft group %d: %w", replica, g, err)
	}
	gr.replayed = true
	w := h.workers[int(g)%len(h.workers)]
	gr.worker = w
	h.lastMu.Lock()
	h.last[g] = replica
	h.lastMu.Unlock()
	h.keep.groups.Add(1)
	groups := maps.Clone(*h.groups.Load())
	groups[g] = gr
	h.groups.Store(&groups)
	w.post(func() error {
		if gr.gone.Load() {
			return nil
		}
		w.groups = append(w.groups, gr)
		w.sort()
		w.visit(gr)
		return nil
	})
	return nil
}

// wipe adds the removal of everything about g to b.
func wipe(b persistence.Batch, g Group) {
	for _, k := range []byte{keyHardState, keyTruncated, keyConf, keyPersisted, keyMarker} {
		b.Delete(groupKey(g, k))
	}
	b.DeleteRange(persistence.LogSpan(uint16(g)))
	b.DeleteRange(persistence.StateSpan(uint16(g)))
}

// RemoveReplica ends this node's member of g and deletes its log and records.
// The caller knows that the group's members do not contain it any more: what
// only this member has is lost. A group that is not here is no error. It waits
// for what is being written, for Restorer.Remove and for a synced write. Any
// goroutine but those of the hooks and of the Applier's methods.
func (h *Host) RemoveReplica(g Group) error {
	h.admin.Lock()
	defer h.admin.Unlock()
	gr := h.find(g)
	if gr == nil {
		return nil
	}
	w := gr.worker
	w.drive.Lock()
	gr.gone.Store(true)
	err := w.writer.drain(w)
	if err == nil {
		_, err = w.collect()
	}
	gr.halt()
	w.groups = slices.DeleteFunc(w.groups, func(o *group) bool { return o == gr })
	if !gr.solo {
		h.keep.groups.Add(-1)
	}
	w.sort()
	if err == nil {
		err = w.writer.drain(w) // the stage that halt gave up
	}
	w.drive.Unlock()
	if err != nil {
		return fmt.Errorf("remove the replica of raft group %d: %w", g, err)
	}
	groups := maps.Clone(*h.groups.Load())
	delete(groups, g)
	h.groups.Store(&groups)
	gr.log.drop()
	if r, ok := h.cfg.Applier.(Restorer); ok {
		r.Remove(g)
	}
	stage := ""
	if raw, err := h.cfg.Store.Get(groupKey(g, keyMarker)); err == nil {
		if m, err := decodeMarker(raw); err == nil {
			stage = m.stage
		}
	}
	b := h.cfg.Store.NewBatch()
	wipe(b, g)
	b.Set(groupKey(g, keyLast), encodeLast(max(gr.replica, h.lastOf(g))))
	if err := h.cfg.Store.Commit(b, true); err != nil {
		return h.fail(fmt.Errorf("remove the replica of raft group %d: %w", g, err))
	}
	if stage != "" {
		if err := h.stager.Unstage(stage); err != nil {
			return fmt.Errorf("remove the snapshot of raft group %d: %w", g, err)
		}
	}
	return nil
}

// Fail makes the replica of g stand still, because its state machine cannot go
// on: it applies nothing, answers nobody and does not lead; the first reason is
// kept, see Status. The other groups, and other members of this one, go on. It
// stands until it is removed or the process restarts. Any goroutine, Apply's
// too; never blocks.
func (h *Host) Fail(g Group, err error) {
	if err == nil {
		err = errors.New("no reason was given")
	}
	if gr := h.find(g); gr != nil {
		gr.fail(err)
	}
}
