package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"

	"footfall/analytics/entry"
	"footfall/cluster/spool"
)

// Salvage delivers the batches of a spool whose node does not run and never will
// again, in order and under their own numbers, so that each counts once, however
// often this is done and whatever its node had sent before. edge is that of the
// spool's disk. send brings a batch to its shard and returns its decision:
// Applied, Duplicate, Gap or Fenced. Nothing is removed from the spool, and
// nothing is lost when Salvage fails: it can be called again, and the node be
// started. It gives the number of batches that the cluster has now.
func Salvage(ctx context.Context, sp *spool.Spool, edge uint64, send func(ctx context.Context, shard uint16, batch []byte) (Reply, error)) (batches int, err error) {
	s := salvage{sp: sp, edge: edge, send: send}
	spans := sp.Backlog()
	for len(spans) > 0 {
		end := 1
		for end < len(spans) && spans[end].Shard == spans[0].Shard {
			end++
		}
		if err := s.shard(ctx, spans[:end]); err != nil {
			return s.batches, fmt.Errorf("deliver what waits for shard %d: %w", spans[0].Shard, err)
		}
		spans = spans[end:]
	}
	return s.batches, nil
}

type salvage struct {
	sp      *spool.Spool
	edge    uint64
	send    func(ctx context.Context, shard uint16, batch []byte) (Reply, error)
	batches int
}

var (
	errForeign = errors.New("the batch is not the one that its key names")
	errInUse   = errors.New("the cluster knows a later epoch of this disk: a copy of it is in use, or it is an old copy")
)

// shard delivers what waits for one shard.
func (s *salvage) shard(ctx context.Context, spans []spool.Span) error {
	missing, err := s.each(spans, func(b spool.Batch) (bool, error) { return s.offer(ctx, b) })
	if err != nil || missing == nil {
		return err
	}
	again, err := s.renumber(spans, *missing)
	if err != nil {
		return fmt.Errorf("begin its stream anew: %w", err)
	}
	missing, err = s.each([]spool.Span{again}, func(b spool.Batch) (bool, error) { return s.offer(ctx, b) })
	if err == nil && missing != nil {
		err = fmt.Errorf("batch %d of the new epoch %d is refused for a missing one", missing.Sequence, missing.Epoch)
	}
	return err
}

// renumber puts what is left of a shard, from a batch on, into a new epoch. The
// shard has forgotten what came before, see Router.renumber: none of what is left
// counts there, and none can under its old number. All have new numbers before
// the first of them is sent, since what is of an older epoch counts no more then.
func (s *salvage) renumber(spans []spool.Span, from spool.Key) (again spool.Span, err error) {
	epoch, err := s.sp.NextEpoch()
	if err != nil {
		return again, err
	}
	again = spool.Span{Shard: from.Shard, Epoch: epoch, First: 1}
	_, err = s.each(spans, func(b spool.Batch) (bool, error) {
		if b.Epoch < from.Epoch || b.Epoch == from.Epoch && b.Sequence < from.Sequence {
			return true, nil
		}
		hd, err := entry.Open(b.Data)
		if err != nil {
			return false, err
		}
		again.Last++
		data := append([]byte(nil), b.Data...)
		entry.PutHeader(data, hd.Time, hd.Edge, epoch, again.Last)
		return true, s.sp.Rename(b.Key, spool.Batch{Key: spool.Key{Shard: b.Shard, Epoch: epoch, Sequence: again.Last}, Data: data})
	})
	return again, err
}

// each passes the batches of spans to f, in order, until f says false: of that
// batch it gives the key.
func (s *salvage) each(spans []spool.Span, f func(spool.Batch) (bool, error)) (stopped *spool.Key, err error) {
	for _, span := range spans {
		for at := (spool.Key{Shard: span.Shard, Epoch: span.Epoch, Sequence: span.First}); at.Sequence <= span.Last; {
			b, found, err := s.sp.Next(at)
			if err != nil {
				return nil, err
			}
			if !found || b.Sequence > span.Last {
				break
			}
			hd, err := entry.Check(b.Data)
			if err == nil && (hd.Edge != s.edge || hd.Epoch != b.Epoch || hd.Sequence != b.Sequence) {
				err = errForeign
			}
			if err != nil {
				return nil, fmt.Errorf("batch %d of epoch %d: %w", b.Sequence, b.Epoch, err)
			}
			if ok, err := f(b); err != nil || !ok {
				return &b.Key, err
			}
			at.Sequence = b.Sequence + 1
		}
	}
	return nil, nil
}

// offer sends a batch; false says that the shard misses one before it.
func (s *salvage) offer(ctx context.Context, b spool.Batch) (known bool, err error) {
	rp, err := s.send(ctx, b.Shard, b.Data)
	if err != nil {
		return false, err
	}
	switch {
	case rp.Verdict == Gap:
		return false, nil
	case rp.Verdict == Fenced && rp.Epoch > s.sp.Epoch():
		return false, errInUse
	case rp.Verdict == Applied || rp.Verdict == Duplicate || rp.Verdict == Fenced: // as Router.answered has it
		s.batches++
		return true, nil
	}
	return false, fmt.Errorf("batch %d of epoch %d: no decision, but %s", b.Sequence, b.Epoch, rp.Verdict)
}

// SalvageBytes is the bound of a spool that is opened to be salvaged.
const SalvageBytes = math.MaxInt64
