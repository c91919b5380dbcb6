package simulate

import (
	"footfall/analytics/entry"
	"footfall/cluster"
	"footfall/cluster/rafthost"
	"footfall/cluster/spool"
)

// check does what goes by time; it is called every 50 ms.
func (e *edge) check() {
	for _, g := range e.order {
		st := e.streams[g]
		if len(st.flight)+len(st.queue)+len(st.spans)+len(st.waiting) == 0 {
			continue
		}
		e.checkStream(st)
		if e.node.store.dead {
			return
		}
	}
}

func (e *edge) checkStream(st *stream) {
	now := e.node.sim.step
	for _, key := range sortedKeys(st.waiting) {
		of := st.waiting[key]
		if now-of.since < offerMax {
			continue
		}
		delete(st.waiting, key)
		if of.queued {
			st.unqueue(of)
		}
		of.reply(cluster.Reply{Verdict: cluster.Lost})
	}
	_, _, led := e.leader(st)
	if e.oldest(st) >= spoolAfter || !led && len(st.queue) > 0 {
		e.spoolAll(st)
	}
	for i, rd := range st.flight {
		if rd.sent && now-rd.sentAt >= resendAfter {
			e.rewind(st, i)
			break
		}
	}
	if !led {
		for _, rd := range st.flight {
			if rd.spooled && !rd.sent {
				rd.buf = nil
			}
		}
		st.tries++
	}
	for _, rd := range st.flight {
		if now-rd.since >= giveUpAfter {
			e.settle(rd, 0, false)
		}
	}
	e.wake(st)
}

// oldest is how long the longest wait of a view is that could be spooled.
func (e *edge) oldest(st *stream) (longest int64) {
	for _, rd := range st.flight {
		if !rd.spooled && !rd.settled {
			longest = max(longest, e.node.sim.step-rd.since)
		}
	}
	if len(st.queue) > 0 {
		longest = max(longest, e.node.sim.step-st.queue[0].since)
	}
	return longest
}

// spoolAll writes what stalls to the spool and answers those who wait.
func (e *edge) spoolAll(st *stream) {
	var list []spool.Batch
	var rounds []*round
	add := func(rd *round) {
		rounds = append(rounds, rd)
		list = append(list, spool.Batch{Key: spool.Key{Shard: uint16(st.group), Epoch: rd.epoch, Sequence: rd.sequence}, Data: rd.buf})
	}
	for _, rd := range st.flight {
		if !rd.spooled {
			add(rd)
		}
	}
	queued := len(rounds)
	for _, rd := range st.queue {
		e.number(st, rd)
		add(rd)
	}
	if len(list) == 0 {
		return
	}
	if e.spool.Write(list) != nil {
		return // the power is cut, and this process with it
	}
	st.queue = nil
	e.node.sim.stats.Spooled += len(list)
	e.node.sim.note(evSpool, uint64(e.node.number), uint64(st.group), uint64(len(list)))
	for i, rd := range rounds {
		rd.spooled, rd.buf = true, nil
		if i < queued {
			e.settle(rd, 0, true)
			continue
		}
		if l := len(st.spans); l > 0 && st.spans[l-1].Epoch == rd.epoch && st.spans[l-1].Last+1 == rd.sequence {
			st.spans[l-1].Last = rd.sequence
		} else {
			st.spans = append(st.spans, spool.Span{Shard: uint16(st.group), Epoch: rd.epoch, First: rd.sequence, Last: rd.sequence})
		}
		e.settle(rd, 0, true)
	}
}

// load reads back from the spool what can be sent.
func (e *edge) load(st *stream) {
	for _, rd := range st.flight {
		if rd.buf != nil || rd.sent {
			continue
		}
		b, found, err := e.spool.Next(spool.Key{Shard: uint16(st.group), Epoch: rd.epoch, Sequence: rd.sequence})
		if err != nil || !found || b.Sequence != rd.sequence {
			e.gone(rd.epoch, rd.sequence, st.group)
			return
		}
		rd.buf = b.Data
	}
	for len(st.spans) > 0 && len(st.flight) < loadedRounds && (len(st.flight) == 0 || st.flight[0].epoch == st.spans[0].Epoch) {
		span := &st.spans[0]
		from := span.First
		if e.node.sim.bug == SpoolBackwards && span.Epoch != e.epoch {
			from = span.Last
		}
		b, found, err := e.spool.Next(spool.Key{Shard: span.Shard, Epoch: span.Epoch, Sequence: from})
		if err != nil || !found && e.node.sim.bug == SpoolBackwards {
			st.spans = st.spans[1:]
			return
		}
		if !found || b.Sequence > span.Last {
			st.spans = st.spans[1:]
			continue
		}
		if from != span.First {
			if span.Last = b.Sequence - 1; span.Last < span.First {
				st.spans = st.spans[1:]
			}
		} else if span.First = b.Sequence + 1; span.First > span.Last {
			st.spans = st.spans[1:]
		}
		rd := &round{buf: b.Data, size: len(b.Data), epoch: b.Epoch, sequence: b.Sequence, spooled: true, settled: true, since: e.node.sim.step}
		e.enter(st, rd)
	}
}

func (e *edge) gone(epoch uint32, sequence uint64, g rafthost.Group) {
	e.node.sim.fail(InvariantStreams, "node %d shard %d: batch %d of epoch %d is gone from the spool", e.node.number, g, sequence, epoch)
}

// renumber begins the stream anew in another epoch, as the router does when a
// shard has forgotten it; here none ever has, so only a planted bug comes here.
func (e *edge) renumber(st *stream) {
	epoch, err := e.spool.NextEpoch()
	if err != nil {
		return // the power is cut
	}
	e.epoch = max(e.epoch, epoch)
	sequence := uint64(0)
	move := func(old spool.Key) bool {
		b, found, err := e.spool.Next(old)
		if err != nil || !found || b.Shard != old.Shard || b.Epoch != old.Epoch {
			return false
		}
		hd, err := entry.Open(b.Data)
		if err != nil {
			return false
		}
		sequence++
		entry.PutHeader(b.Data, hd.Time, hd.Edge, epoch, sequence)
		return e.spool.Rename(b.Key, spool.Batch{Key: spool.Key{Shard: old.Shard, Epoch: epoch, Sequence: sequence}, Data: b.Data}) == nil
	}
	for _, rd := range st.flight { // all are spooled: they came from there
		if !move(spool.Key{Shard: uint16(st.group), Epoch: rd.epoch, Sequence: rd.sequence}) {
			return
		}
	}
	for _, x := range st.spans {
		for at := x.First; at <= x.Last; at++ {
			move(spool.Key{Shard: x.Shard, Epoch: x.Epoch, Sequence: at})
		}
	}
	st.flight, st.spans = nil, nil
	if sequence > 0 {
		st.spans = []spool.Span{{Shard: uint16(st.group), Epoch: epoch, First: 1, Last: sequence}}
	}
	st.epoch, st.sequence, st.ackEpoch = epoch, sequence, 0
	st.turn++
	e.wake(st)
}
