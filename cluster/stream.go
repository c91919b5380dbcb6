package cluster

import (
	"fmt"
	"time"

	"footfall/analytics/entry"
	"footfall/cluster/spool"
)

// Pauses before a batch is handed out again, and safety nets for answers that
// never come: a log that is led here loses nothing while it leads.
const (
	pauseShort  = 20 * time.Millisecond
	pauseLong   = 100 * time.Millisecond
	resendAfter = 5 * time.Second
	resendLocal = 10 * time.Second
	warnEvery   = time.Minute
)

// signal wakes a goroutine that takes from ch; one signal is enough.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// leaderLocked tells to whom batches of a shard go.
func (r *Router) leaderLocked(n uint16, sh *shard) (node uint16, local, ok bool) {
	if r.cfg.Local(n) {
		return 0, true, true
	}
	if node = sh.hint; node == 0 {
		if node, ok = r.cfg.Leader(n); !ok {
			return 0, false, false
		}
	}
	if r.cfg.Send == nil || node == 0 || node == r.cfg.Self() { // it does not lead, whatever is said
		return 0, false, false
	}
	return node, false, true
}

// wake sees to it that what can leave does.
func (r *Router) wake(n uint16) {
	if r.cfg.Local(n) {
		r.cfg.Notify(n)
		return
	}
	r.pump(n)
}

// pump sends what can be sent to another node, in order; one goroutine at a time.
func (r *Router) pump(n uint16) {
	sh := &r.shards[n]
	for {
		sh.mu.Lock()
		if sh.pumping {
			sh.mu.Unlock() // whoever does it looks again
			return
		}
		node, local, ok := r.leaderLocked(n, sh)
		if !ok {
			if r.cfg.Spool != nil && len(sh.queue) > 0 {
				sh.stalled = true
				signal(r.spooling)
			}
			sh.mu.Unlock()
			return
		}
		if local {
			sh.mu.Unlock()
			r.cfg.Notify(n)
			return
		}
		rd := r.takeLocked(sh)
		if rd == nil {
			sh.mu.Unlock()
			return
		}
		epoch, sequence, turn, buf := rd.epoch, rd.sequence, rd.turn, rd.buf
		sh.pumping = true
		sh.mu.Unlock()
		r.cfg.Send(node, n, buf, func(rp Reply) { r.answered(n, node, epoch, sequence, turn, rp) })
		sh.mu.Lock()
		sh.pumping = false
		sh.mu.Unlock()
	}
}

// takeLocked gives the next batch of the stream to hand out, nil if none can be
// now.
func (r *Router) takeLocked(sh *shard) *round {
	if sh.broken || !sh.pause.IsZero() && time.Now().Before(sh.pause) {
		return nil
	}
	for _, rd := range sh.flight {
		if rd.sent {
			continue
		}
		if rd.buf == nil {
			signal(r.loading)
			return nil
		}
		sh.handLocked(rd)
		return rd
	}
	switch {
	case len(sh.spans) > 0:
		signal(r.loading)
		return nil
	case sh.writing, len(sh.flight) >= windowRounds, len(sh.flight) > 0 && sh.flight[0].epoch != sh.epoch:
		return nil
	}
	var rd *round
	switch {
	case len(sh.queue) > 0:
		rd = sh.queue[0]
		sh.queue = sh.queue[1:]
		if len(sh.queue) == 0 {
			sh.queue = nil
		}
	case len(sh.drops) > 0:
		rd = newRound(256)
	default:
		return nil
	}
	for k, count := range sh.drops {
		rd.buf = entry.AppendDrop(rd.buf, k.site, k.reason, count, k.day)
	}
	clear(sh.drops)
	r.numberLocked(sh, rd)
	sh.enterLocked(rd)
	sh.handLocked(rd)
	return rd
}

// numberLocked gives a batch the next number of its stream.
func (r *Router) numberLocked(sh *shard, rd *round) {
	sh.sequence++
	rd.epoch, rd.sequence, rd.size = sh.epoch, sh.sequence, len(rd.buf)
	entry.PutHeader(rd.buf, r.cfg.Clock().UnixMilli(), r.cfg.Edge, rd.epoch, rd.sequence)
}

// enterLocked makes a numbered batch the last of flight.
func (sh *shard) enterLocked(rd *round) {
	if sh.ackedEpoch != rd.epoch { // all before it were acknowledged, or none was there
		sh.ackedEpoch, sh.acked, sh.ackedAt = rd.epoch, rd.sequence-1, 0
	}
	sh.flight = append(sh.flight, rd)
}

func (sh *shard) handLocked(rd *round) {
	rd.sent, rd.sentAt, rd.turn, rd.after = true, time.Now(), sh.turn, sh.acked
}

// rewindLocked makes the batches of flight from place i on be handed out again.
// Batches without numbers are not: they would count twice.
func (r *Router) rewindLocked(sh *shard, i int) {
	if r.cfg.Epoch == 0 {
		return
	}
	sh.turn++
	for _, rd := range sh.flight[i:] {
		if rd.sent {
			rd.sent = false
			r.counts.resent.Add(1)
		}
	}
}

func (sh *shard) findLocked(epoch uint32, sequence uint64) int {
	for i, rd := range sh.flight {
		if rd.sequence == sequence && rd.epoch == epoch {
			return i
		}
	}
	return -1
}

// answered takes the answer to a batch as it was handed out in a turn. node is
// who gave it, 0 for this node's own log.
func (r *Router) answered(n, node uint16, epoch uint32, sequence, turn uint64, rp Reply) {
	sh := &r.shards[n]
	sh.mu.Lock()
	i := sh.findLocked(epoch, sequence)
	if i < 0 || sh.broken {
		sh.mu.Unlock()
		return
	}
	rd := sh.flight[i]
	switch {
	case rp.Verdict == Fenced && rp.Epoch > r.epoch.Load():
		sh.mu.Unlock()
		r.fence(n, rp.Epoch)
		return
	case rp.Verdict == Fenced, rp.Verdict == Duplicate:
		// A later epoch of this disk begins when all before is acknowledged; what is
		// left of an earlier one came back with a crash.
		r.counts.duplicates.Add(1)
		rp.Reasons = nil
		r.landLocked(n, sh, i, rp)
		return
	case rp.Verdict == Applied:
		r.landLocked(n, sh, i, rp)
		return
	case turn != rd.turn || !rd.sent:
		// Handed out again since: this answer is of no more use.
	case rp.Verdict == Gap:
		r.counts.gaps.Add(1)
		r.gapLocked(n, sh, i, rp)
	case rp.Verdict == NotLeader:
		r.rewindLocked(sh, 0)
		old := sh.hint
		sh.hint = 0
		if rp.Leader != 0 && rp.Leader != node && rp.Leader != old && rp.Leader != r.cfg.Self() {
			sh.hint = rp.Leader // ask there at once
		} else {
			sh.pause = time.Now().Add(pauseShort)
		}
	case rp.Verdict == Busy:
		r.rewindLocked(sh, i)
		sh.pause = time.Now().Add(pauseLong)
	default: // Lost
		r.rewindLocked(sh, i)
		sh.hint = 0
		sh.pause = time.Now().Add(pauseShort)
	}
	sh.mu.Unlock()
	r.wake(n)
}

// gapLocked goes back to the batch that the shard expects. One that was
// acknowledged before the refused one left is a contradiction: either the answer
// is about an older copy of the batch, decided on before that acknowledgement,
// or the shard has forgotten this stream.
func (r *Router) gapLocked(n uint16, sh *shard, i int, rp Reply) {
	rd := sh.flight[i]
	if rp.Expected > rd.after {
		from := 0
		for from < i && sh.flight[from].sequence < rp.Expected {
			from++
		}
		r.rewindLocked(sh, from)
		return
	}
	// Only an acknowledgement that this process has seen proves anything: what was
	// acknowledged before it began can have been refused before that, and the log
	// may tell so only now.
	if sh.ackedAt > 0 && rp.Index > sh.ackedAt {
		sh.broken, sh.stalled = true, true
		signal(r.spooling)
		return
	}
	r.rewindLocked(sh, i)
	now := time.Now()
	sh.pause = now.Add(pauseLong)
	if now.Sub(sh.warned) >= warnEvery {
		sh.warned = now
		r.cfg.Logger.Warn("a shard expects an earlier batch than the spool holds; what is spooled waits", "shard", n,
			"epoch", rd.epoch, "sequence", rd.sequence, "expected", rp.Expected)
	}
}

// landLocked takes an acknowledged batch out of flight and answers those who
// wait. It unlocks sh.
func (r *Router) landLocked(n uint16, sh *shard, i int, rp Reply) {
	rd := sh.flight[i]
	sh.flight = append(sh.flight[:i], sh.flight[i+1:]...)
	if len(sh.flight) == 0 {
		sh.flight = nil
	}
	sh.acked, sh.ackedAt = max(sh.acked, rd.sequence), max(sh.ackedAt, rp.Index)
	rd.landed = true
	spooled, key, size := rd.spooled, spool.Key{Shard: n, Epoch: rd.epoch, Sequence: rd.sequence}, rd.size
	r.releaseLocked(rd)
	more := len(sh.queue) > 0 || len(sh.spans) > 0 || len(sh.flight) > 0
	sh.mu.Unlock()
	rd.settle(rp.Reasons, rp.Index, nil)
	if spooled {
		r.unspool(key, size)
	}
	if more {
		r.wake(n)
	}
}

// releaseLocked forgets the bytes of a batch.
func (r *Router) releaseLocked(rd *round) {
	r.pending.Add(-rd.weight)
	r.loaded.Add(-int64(rd.loaded))
	rd.weight, rd.loaded, rd.buf = 0, 0, nil
}

func (r *Router) unspool(key spool.Key, size int) {
	if err := r.cfg.Spool.Remove(key, size); err != nil {
		r.cfg.Logger.Error("an acknowledged batch stays in the spool", "error", err)
	}
}

// fence ends this process's service: its disk, or a copy of it, is in use by a
// later one.
func (r *Router) fence(n uint16, epoch uint32) {
	if r.fenced.Swap(true) {
		return
	}
	r.settleAll(errFenced, false)
	r.cfg.Fatal(fmt.Errorf("shard %d knows epoch %d of this node's disk, but this process began %d: a copy of the disk is in use elsewhere, or this disk is an old copy",
		n, epoch, r.epoch.Load()))
}

// settleAll gives all who wait an error, and forgets what has no number. With end
// nobody may wait after.
func (r *Router) settleAll(err error, end bool) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		for _, rd := range sh.flight {
			rd.settle(nil, 0, err)
		}
		for _, rd := range sh.queue {
			r.releaseLocked(rd)
			rd.settle(nil, 0, err)
		}
		sh.queue, sh.ended = nil, end
		sh.mu.Unlock()
	}
}

// Next gives the next entry of a shard that this node leads, or nil; the log
// calls it. Batches of this node and of others take turns.
func (r *Router) Next(n uint16) []byte {
	sh := &r.shards[n]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.turnover {
		if sh.turnover = false; len(sh.offers) > 0 {
			return sh.takeOfferLocked()
		}
	}
	if rd := r.takeLocked(sh); rd != nil {
		sh.turnover = len(sh.offers) > 0
		return rd.buf
	}
	return sh.takeOfferLocked()
}

// Apply takes a committed entry, in log order for each shard, on every node that
// keeps the shard.
func (r *Router) Apply(n uint16, index uint64, data []byte) {
	hd, err := entry.Open(data)
	if err != nil {
		r.cfg.Fatal(fmt.Errorf("shard %d entry %d: %w", n, index, err))
		return
	}
	own, turn := false, uint64(0)
	sh := &r.shards[n]
	sh.mu.Lock()
	if hd.Edge == r.cfg.Edge {
		if i := sh.findLocked(hd.Epoch, hd.Sequence); i >= 0 {
			own, turn = true, sh.flight[i].turn
		}
	}
	of := sh.takeWaitingLocked(offerKey{hd.Edge, hd.Epoch, hd.Sequence})
	sh.mu.Unlock()
	if err := r.cfg.Sites.Apply(n, index, data, r.onApplied(n, index, own, hd, turn, of)); err != nil {
		r.cfg.Fatal(err)
	}
}

// Led tells that another node leads a shard now, or this one, or none that is
// known (0): what is under way may be lost and is handed out again, and other
// nodes are told to ask elsewhere. It does not wait.
func (r *Router) Led(n, leader uint16, self bool) {
	sh := &r.shards[n]
	sh.mu.Lock()
	sh.hint, sh.pause = 0, time.Time{}
	r.rewindLocked(sh, 0)
	var refused []*offer
	if !self {
		refused = sh.refuseLocked()
	}
	sh.mu.Unlock()
	for _, of := range refused {
		r.offered.Add(-int64(len(of.buf)))
		of.reply(Reply{Verdict: NotLeader, Leader: leader})
	}
	r.wake(n)
}
