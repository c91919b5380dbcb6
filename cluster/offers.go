package cluster

import (
	"time"

	"footfall/analytics/delivery"
	"footfall/analytics/entry"
)

// Bounds of what other nodes bring.
const (
	offeredBytesMax = 64 << 20
	offerBytesMax   = 4 << 20
	offerWaitMax    = 3 * time.Second // the sender has given up before
	clockAheadMax   = time.Hour       // a batch from a clock so far ahead is not taken
)

// offerKey names a batch of any edge.
type offerKey struct {
	edge     uint64
	epoch    uint32
	sequence uint64
}

// offer is a batch of another node that is to become an entry here. Fields are
// guarded by the shard's mu.
type offer struct {
	key    offerKey
	buf    []byte
	reply  func(Reply)
	since  time.Time
	queued bool // not handed out yet
}

// Offered takes a batch that another node's Send brings. reply is called exactly
// once, on any goroutine, perhaps before Offered returns: with what became of
// the batch when its entry is applied here, or why it is not taken. batch must
// not change any more. Bytes that are no batch, or one that this version cannot
// read, are not taken: Busy.
func (r *Router) Offered(n uint16, batch []byte, reply func(Reply)) {
	hd, err := entry.Check(batch)
	switch {
	case n >= Shards || len(batch) > offerBytesMax || err != nil || hd.Epoch == 0 || hd.Sequence == 0:
		r.cfg.Logger.Warn("a batch of another node is not taken: it cannot be read", "shard", n, "bytes", len(batch), "error", err)
		reply(Reply{Verdict: Busy})
		return
	case hd.Time > r.cfg.Clock().Add(clockAheadMax).UnixMilli():
		r.cfg.Logger.Warn("a batch of another node is not taken: its clock is ahead", "shard", n, "edge", hd.Edge)
		reply(Reply{Verdict: Busy})
		return
	case r.closed.Load() || r.fenced.Load() || !r.cfg.Writable():
		reply(Reply{Verdict: Busy})
		return
	}
	size := int64(len(batch))
	if r.offered.Add(size) > offeredBytesMax {
		r.offered.Add(-size)
		reply(Reply{Verdict: Busy})
		return
	}
	of := &offer{key: offerKey{hd.Edge, hd.Epoch, hd.Sequence}, buf: batch, reply: reply, since: time.Now(), queued: true}
	sh := &r.shards[n]
	sh.mu.Lock()
	if !r.cfg.Local(n) { // looked at under the lock: Led comes after
		sh.mu.Unlock()
		r.offered.Add(-size)
		leader, _ := r.cfg.Leader(n)
		reply(Reply{Verdict: NotLeader, Leader: leader})
		return
	}
	old := sh.waiting[of.key]
	if sh.waiting == nil {
		sh.waiting = make(map[offerKey]*offer)
	}
	sh.waiting[of.key] = of
	if old != nil && old.queued { // takes its place
		for i := range sh.offers {
			if sh.offers[i] == old {
				sh.offers[i] = of
			}
		}
	} else {
		sh.offers = append(sh.offers, of)
	}
	sh.mu.Unlock()
	if old != nil {
		r.offered.Add(-int64(len(old.buf)))
		old.reply(Reply{Verdict: Lost})
	}
	r.cfg.Notify(n)
}

// takeOfferLocked gives the next batch of another node, nil if there is none.
func (sh *shard) takeOfferLocked() []byte {
	if len(sh.offers) == 0 {
		return nil
	}
	of := sh.offers[0]
	sh.offers[0] = nil
	if sh.offers = sh.offers[1:]; len(sh.offers) == 0 {
		sh.offers = nil
	}
	of.queued = false
	return of.buf
}

// takeWaitingLocked gives the offer that waits for an entry, nil if there is
// none. One that was not handed out yet is not any more: its entry is here.
func (sh *shard) takeWaitingLocked(key offerKey) *offer {
	of := sh.waiting[key]
	if of == nil {
		return nil
	}
	delete(sh.waiting, key)
	if of.queued {
		sh.unqueueLocked(of)
	}
	return of
}

func (sh *shard) unqueueLocked(of *offer) {
	for i := range sh.offers {
		if sh.offers[i] == of {
			sh.offers = append(sh.offers[:i:i], sh.offers[i+1:]...)
			return
		}
	}
}

// refuseLocked takes all offers back; the caller answers them.
func (sh *shard) refuseLocked() (all []*offer) {
	for _, of := range sh.waiting {
		all = append(all, of)
	}
	sh.waiting, sh.offers = nil, nil
	return all
}

// expireLocked takes back offers whose senders do not wait any more.
func (sh *shard) expireLocked(now time.Time) (all []*offer) {
	for key, of := range sh.waiting {
		if now.Sub(of.since) < offerWaitMax {
			continue
		}
		delete(sh.waiting, key)
		if of.queued {
			sh.unqueueLocked(of)
		}
		all = append(all, of)
	}
	return all
}

// onApplied gives what is to be called when an entry has been applied, nil if
// nobody waits for it.
func (r *Router) onApplied(n uint16, index uint64, own bool, hd entry.Reader, turn uint64, of *offer) func(delivery.Outcome) {
	if !own && of == nil {
		return nil
	}
	epoch, sequence := hd.Epoch, hd.Sequence
	return func(o delivery.Outcome) {
		rp := replyOf(index, o)
		if own {
			r.answered(n, 0, epoch, sequence, turn, rp)
		}
		if of != nil {
			r.offered.Add(-int64(len(of.buf)))
			of.reply(rp)
		}
	}
}
