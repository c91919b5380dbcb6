package cluster

import (
	"errors"
	"fmt"

	"footfall/analytics/entry"
	"footfall/cluster/spool"
)

var errForgotten = errors.New("the shard has forgotten what this node sent to it, and there is no spool to begin an epoch with")

// renumber begins the stream of a shard anew, in an epoch never used before. The
// shard has said that it knows nothing of batches that it had acknowledged: it
// was set back, or this edge was silent for so long that it was forgotten. So
// none of the batches that are left counts there, and none can any more under
// its old number: what comes before it is gone. Answers are ignored meanwhile.
func (r *Router) renumber(n uint16) error {
	if r.cfg.Spool == nil {
		r.cfg.Fatal(fmt.Errorf("shard %d: %w", n, errForgotten))
		return errForgotten
	}
	epoch, err := r.cfg.Spool.NextEpoch()
	if err != nil {
		return err
	}
	r.epoch.Store(max(r.epoch.Load(), epoch))
	sh := &r.shards[n]
	sh.mu.Lock()
	sh.writing = true
	flight := append([]*round(nil), sh.flight...)
	spans := append([]spool.Span(nil), sh.spans...)
	sh.mu.Unlock()
	r.counts.renumbered.Add(1)
	r.cfg.Logger.Warn("a shard has forgotten this node's stream: what is left of it is sent in a new epoch", "shard", n, "epoch", epoch, "batches", len(flight))
	sequence := uint64(0)
	rename := func(b spool.Batch) error {
		sequence++
		return r.cfg.Spool.Rename(b.Key, spool.Batch{Key: spool.Key{Shard: n, Epoch: epoch, Sequence: sequence}, Data: r.renamed(b.Data, epoch, sequence)})
	}
	bufs := make([][]byte, len(flight))
	err = func() error {
		for i, rd := range flight {
			if !rd.spooled {
				sequence++
				bufs[i] = r.renamed(rd.buf, epoch, sequence)
				continue
			}
			key := spool.Key{Shard: n, Epoch: rd.epoch, Sequence: rd.sequence}
			b, found, err := r.cfg.Spool.Next(key)
			if err != nil || !found || b.Key != key {
				return errors.Join(fmt.Errorf("batch %d of epoch %d is gone from the spool", key.Sequence, key.Epoch), err)
			}
			if err := rename(b); err != nil {
				return err
			}
		}
		for _, s := range spans {
			for at := (spool.Key{Shard: n, Epoch: s.Epoch, Sequence: s.First}); at.Sequence <= s.Last; {
				b, found, err := r.cfg.Spool.Next(at)
				if err != nil {
					return err
				}
				if !found || b.Sequence > s.Last {
					break
				}
				if err := rename(b); err != nil {
					return err
				}
				at.Sequence = b.Sequence + 1
			}
		}
		return nil
	}()
	if err != nil { // half of it has new numbers: only a start sorts that out
		err = fmt.Errorf("shard %d: %w", n, err)
		r.cfg.Fatal(err)
		return err
	}
	sh.mu.Lock()
	for i, rd := range flight {
		r.loaded.Add(-int64(rd.loaded))
		rd.epoch, rd.sequence, rd.buf, rd.loaded, rd.sent = epoch, uint64(i+1), bufs[i], 0, false
	}
	sh.spans = nil
	if k := uint64(len(flight)); sequence > k {
		sh.spans = []spool.Span{{Shard: n, Epoch: epoch, First: k + 1, Last: sequence}}
	}
	sh.epoch, sh.sequence = epoch, sequence
	sh.ackedEpoch, sh.acked, sh.ackedAt = epoch, 0, 0
	sh.turn++
	sh.broken, sh.writing = false, false
	sh.mu.Unlock()
	r.wake(n)
	return nil
}

// renamed is a copy of a batch under another number; its time stays.
func (r *Router) renamed(data []byte, epoch uint32, sequence uint64) []byte {
	hd, err := entry.Open(data)
	if err != nil {
		panic(fmt.Sprintf("a batch that was numbered before cannot be read: %v", err))
	}
	out := append([]byte(nil), data...)
	entry.PutHeader(out, hd.Time, hd.Edge, epoch, sequence)
	return out
}
