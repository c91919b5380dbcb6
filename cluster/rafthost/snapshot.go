package rafthost

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"footfall/persistence"
)

// snapshotView is the state of a group as of a persisted index, kept open until
// it is sent.
type snapshotView struct {
	g    *group
	at   point
	view persistence.View
}

func (v snapshotView) close() {
	if err := v.view.Close(); err != nil {
		v.g.host.cfg.Logger.Warn("close the view of a snapshot", "group", int(v.g.id), "error", err)
	}
	v.g.log.unhold(v.at.index)
	v.g.host.sending.Add(-1)
}

// flushCall is a call of Config.Flush.
type flushCall struct{ persisted, tick uint64 }

// flushAgainTicks is when Config.Flush is called again if nothing has come of it.
const flushAgainTicks = 20

// snapshot makes what raft wants to send a member that is too far behind: the
// persisted index and the members as of it. The records follow by sendSnapshot.
func (g *group) snapshot() (*raftpb.Snapshot, error) {
	h := g.host
	if h.viewer == nil || h.cfg.Transport == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	c := g.log.conf
	_, p, _ := g.log.ends()
	if c.index > p.index && !g.bump(p) {
		return nil, g.flushFirst(p)
	}
	if h.sending.Add(1) > int64(h.cfg.SnapshotsMax) {
		h.sending.Add(-1)
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	view, err := h.viewer.View()
	if err != nil {
		h.sending.Add(-1)
		h.cfg.Logger.Warn("open a view for a snapshot", "group", int(g.id), "error", err)
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	raw, err := view.Get(groupKey(g.id, keyPersisted))
	if err == nil {
		p, err = decodePoint(raw)
	}
	g.log.hold(p.index)
	v := snapshotView{g, p, view}
	if err != nil || p.index == 0 || c.index > p.index {
		v.close()
		return nil, g.flushFirst(p)
	}
	g.views = append(g.views, v)
	return &raftpb.Snapshot{
		Data:     binary.BigEndian.AppendUint64(nil, c.index),
		Metadata: &raftpb.SnapshotMetadata{Index: new(p.index), Term: new(p.term), ConfState: c.state()},
	}, nil
}

// flushFirst has the owner write records, since the members have changed after
// the persisted index and a snapshot could not tell.
func (g *group) flushFirst(p point) error {
	call := flushCall{p.index, g.worker.ticks}
	if f := g.host.cfg.Flush; f != nil && (g.asked.persisted != call.persisted || call.tick-g.asked.tick >= flushAgainTicks) {
		g.asked = call
		f(g.id)
	}
	return raft.ErrSnapshotTemporarilyUnavailable
}

// bump moves the persisted index on to the newest applied entry when all between
// are raft's own, of which the owner knows nothing.
func (g *group) bump(p point) bool {
	to := g.applied.Load()
	if g.handed.Load() > p.index || to <= p.index || to < g.log.conf.index {
		return false
	}
	term, err := g.log.Term(to)
	if err != nil {
		return false
	}
	at := point{to, term}
	b := g.host.cfg.Store.NewBatch()
	g.log.bump(b, at)
	if err := g.host.cfg.Store.Commit(b, false); err != nil {
		g.fail(g.host.fail(fmt.Errorf("write persisted index of raft group %d: %w", g.id, err)))
		return false
	}
	g.log.bumped(at)
	return true
}

// Skipper may be implemented by the writer that a Transport gives to send: while
// Skips is true what is written does not leave the node, because the receiver has
// it from a connection that broke. It is not held to any rate.
type Skipper interface{ Skips() bool }

// sendSnapshot passes a snapshot to the transport, which reports back once.
func (g *group) sendSnapshot(m *raftpb.Message) {
	index, to := m.GetSnapshot().GetMetadata().GetIndex(), m.GetTo()
	report := func(err error) {
		status := raft.SnapshotFinish
		if err != nil {
			status = raft.SnapshotFailure
			g.host.snapshotsFailed.Add(1)
			g.host.cfg.Logger.Warn("send a snapshot", "group", int(g.id), "to", to, "index", index, "error", err)
		} else {
			g.host.snapshotsSent.Add(1)
		}
		g.worker.post(func() error {
			if g.stands() {
				return nil
			}
			return g.worker.guard(g, func() error {
				g.rn.ReportSnapshot(to, status)
				g.worker.visit(g)
				return nil
			})
		})
	}
	var v snapshotView
	for i := range g.views {
		if g.views[i].at.index == index {
			v = g.views[i]
			g.views = append(g.views[:i], g.views[i+1:]...)
			break
		}
	}
	if v.view == nil {
		report(errors.New("there is no view of it any more"))
		return
	}
	pace := &pacer{perSecond: g.host.cfg.SnapshotBytesPerSecond, now: g.host.cfg.Now}
	send := func(ctx context.Context, w io.Writer) error {
		skipper, _ := w.(Skipper)
		s, err := newStreamWriter(w, func(n int) error {
			if skipper != nil && skipper.Skips() { // it costs nobody anything
				return ctx.Err()
			}
			return pace.wait(ctx, n)
		})
		if err != nil {
			return err
		}
		from, end := persistence.StateSpan(uint16(g.id))
		if err := v.view.Scan(from, end, s.record); err != nil {
			return fmt.Errorf("send the state of raft group %d: %w", g.id, err)
		}
		return s.close()
	}
	var once sync.Once
	g.host.cfg.Transport.SendSnapshot(g.id, m, send, func(err error) {
		once.Do(func() {
			v.close()
			report(err)
		})
	})
}

// arrival is a snapshot whose records are staged.
type arrival struct {
	m     *raftpb.Message
	stage string // "": nothing was staged, raft is only to answer
	seen  bool   // given to raft
	used  bool   // raft wants it stored
}

var (
	errNotHere = errors.New("the replica is not here")
	errBusy    = errors.New("too much of that at once; try again")
)

// ReceiveSnapshot takes the snapshot that m, a message of another member of g,
// announces, and whose records r gives as the sender's send wrote them, up to
// io.EOF. It returns when they are staged and raft has the message, which makes
// it part of the log; nil does not say that raft wanted it. A refused or broken
// snapshot leaves nothing behind. No more than Config.SnapshotsMax are taken at
// once, and one per group. Any goroutine.
func (h *Host) ReceiveSnapshot(ctx context.Context, g Group, m *raftpb.Message, r io.Reader) error {
	fail := func(err error) error {
		h.snapshotsFailed.Add(1)
		return fmt.Errorf("take a snapshot of raft group %d: %w", g, err)
	}
	gr := h.find(g)
	at := m.GetSnapshot().GetMetadata()
	switch {
	case gr == nil || m.GetTo() != gr.replica || gr.stands():
		return fail(errNotHere)
	case m.GetType() != raftpb.MsgSnap || at.GetIndex() == 0:
		return fail(errors.New("the message announces none"))
	case h.stager == nil:
		return fail(errors.New("the store cannot stage records"))
	case !gr.taking.CompareAndSwap(false, true):
		return fail(errBusy)
	}
	given := false
	defer func() {
		if !given {
			gr.taking.Store(false)
		}
	}()
	if h.taking.Add(1) > int64(h.cfg.SnapshotsMax) {
		h.taking.Add(-1)
		return fail(errBusy)
	}
	defer h.taking.Add(-1)
	a := &arrival{m: m}
	if at.GetIndex() > gr.applied.Load() {
		a.stage = fmt.Sprintf("group-%d-%d-%d", g, at.GetIndex(), at.GetTerm())
		if err := h.stage(ctx, g, a.stage, r); err != nil {
			return fail(err)
		}
	}
	gr.inboxMu.Lock()
	gr.arrived = a
	gr.inboxMu.Unlock()
	given = true
	gr.enqueue()
	h.snapshotsTaken.Add(1)
	return nil
}

// stage collects the records of a stream.
func (h *Host) stage(ctx context.Context, g Group, name string, r io.Reader) error {
	s, err := h.stager.Stage(name)
	if err != nil {
		return err
	}
	from, to := persistence.StateSpan(uint16(g))
	if _, err = readStream(ctx, r, from, to, s.Put); err == nil {
		err = s.Finish()
	}
	if err != nil {
		return errors.Join(err, s.Discard())
	}
	return nil
}

// refuse removes a staged snapshot that raft did not want.
func (g *group) refuse() {
	a := g.taken
	if a == nil || !a.seen || a.used {
		return
	}
	g.taken = nil
	if a.stage != "" {
		g.worker.writer.put(&job{unstage: a.stage})
	}
	g.taking.Store(false)
}

// install is a snapshot on its way into the store.
type install struct {
	g    *group
	m    marker
	hard hardState
}

// install has the snapshot that raft took stored, after everything before it.
func (g *group) install(s *raftpb.Snapshot) error {
	a := g.taken
	at := point{s.GetMetadata().GetIndex(), s.GetMetadata().GetTerm()}
	if a == nil || a.stage == "" || a.used || a.m.GetSnapshot().GetMetadata().GetIndex() != at.index {
		return fmt.Errorf("raft group %d: the snapshot at %d was not staged", g.id, at.index)
	}
	a.used = true
	index := at.index
	if d := s.GetData(); len(d) == 8 {
		index = min(index, binary.BigEndian.Uint64(d))
	}
	w := g.worker
	w.submit()
	g.log.tail = at.index
	g.inFlight++
	w.writer.put(&job{install: &install{g, marker{at, a.stage, confOf(g.replica, index, s.GetMetadata().GetConfState())}, g.hard}})
	return nil
}

// do stores a snapshot. An error means that the store cannot write any more;
// what concerns the one replica stops that.
func (i *install) do(h *Host) error {
	g := i.g
	if g.stands() {
		if err := h.stager.Unstage(i.m.stage); err != nil {
			h.cfg.Logger.Warn("remove the stage of a snapshot", "stage", i.m.stage, "error", err)
		}
		return nil
	}
	if s, ok := h.cfg.Applier.(Suspender); ok {
		s.Suspend(g.id)
	}
	b := h.cfg.Store.NewBatch()
	b.Set(groupKey(g.id, keyHardState), i.hard.encode())
	b.Set(groupKey(g.id, keyMarker), i.m.encode())
	if err := h.cfg.Store.Commit(b, true); err != nil {
		return fmt.Errorf("announce a snapshot of raft group %d: %w", g.id, err)
	}
	from, to := persistence.StateSpan(uint16(g.id))
	if err := h.stager.Install(i.m.stage, from, to); err != nil {
		g.fail(fmt.Errorf("install a snapshot of raft group %d: %w", g.id, err))
		return nil
	}
	if err := finishInstall(h.cfg.Store, g.id, i.m, i.hard); err != nil {
		return err
	}
	g.log.installed(i.m.at)
	g.handed.Store(i.m.at.index) // raft hands out nothing meanwhile
	if r, ok := h.cfg.Applier.(Restorer); ok {
		if err := r.Restore(g.id, i.m.at.index); err != nil {
			g.fail(fmt.Errorf("load the snapshot of raft group %d: %w", g.id, err))
		}
	}
	return nil
}

// finishInstall makes the log begin where the installed snapshot ends.
func finishInstall(s persistence.Store, g Group, m marker, hard hardState) error {
	b := s.NewBatch()
	hard.commit = max(hard.commit, m.at.index)
	hard.term = max(hard.term, m.at.term)
	b.Set(groupKey(g, keyHardState), hard.encode())
	b.Set(groupKey(g, keyPersisted), m.at.encode())
	b.Delete(groupKey(g, keyTruncated))
	b.Set(groupKey(g, keyConf), m.conf.encode())
	b.DeleteRange(persistence.LogSpan(uint16(g)))
	b.Delete(groupKey(g, keyMarker))
	if err := s.Commit(b, true); err != nil {
		return fmt.Errorf("begin the log of raft group %d after a snapshot: %w", g, err)
	}
	return nil
}

// installed takes note of a stored snapshot.
func (g *group) installed(i *install) {
	g.taken = nil
	g.taking.Store(false)
	if g.stands() {
		return
	}
	g.log.conf = i.m.conf
	g.applied.Store(i.m.at.index)
	g.fresh.reached(i.m.at.index)
	g.belong()
	g.worker.sort()
}

// rollForward finishes, at Open, the installing of a snapshot that a crash cut
// off: once its marker is durable there is no way back. It tells whether there
// was one.
func rollForward(h *Host, g Group) (installed bool, err error) {
	s := h.cfg.Store
	raw, err := s.Get(groupKey(g, keyMarker))
	if errors.Is(err, persistence.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("snapshot marker: %w", err)
	}
	m, err := decodeMarker(raw)
	if err != nil {
		return false, fmt.Errorf("snapshot marker: %w", err)
	}
	if h.stager == nil {
		return false, errors.New("a snapshot was being installed, and the store cannot stage records")
	}
	from, to := persistence.StateSpan(uint16(g))
	if err := h.stager.Install(m.stage, from, to); err != nil {
		return false, fmt.Errorf("install the snapshot at %d: %w", m.at.index, err)
	}
	if raw, err = s.Get(groupKey(g, keyHardState)); err != nil {
		return false, fmt.Errorf("hard state: %w", err)
	}
	hard, err := decodeHardState(raw)
	if err != nil {
		return false, fmt.Errorf("hard state: %w", err)
	}
	return true, finishInstall(s, g, m, hard)
}

// sweepStages removes the stages that no marker names; Open has used those.
func (h *Host) sweepStages() error {
	if h.stager == nil {
		return nil
	}
	keep := map[string]bool{}
	for _, g := range *h.groups.Load() {
		raw, err := h.cfg.Store.Get(groupKey(g.id, keyMarker))
		if err == nil { // of a replica that stands still: only its removal ends that
			if m, err := decodeMarker(raw); err == nil {
				keep[m.stage] = true
			}
		} else if !errors.Is(err, persistence.ErrNotFound) {
			return err
		}
	}
	names, err := h.stager.Staged()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !keep[name] {
			if err := h.stager.Unstage(name); err != nil {
				return err
			}
		}
	}
	return nil
}
