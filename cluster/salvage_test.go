package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"footfall/analytics/delivery"
	"footfall/analytics/entry"
	"footfall/cluster/spool"
	"footfall/persistence/pebblestore"
)

// table decides as a shard does and counts what it lets pass, by content.
type table struct {
	delivery.Table
	index   uint64
	counted map[int64]int // by time, which renumbering keeps
	failAt  int           // offers left until one is lost; 0: none
}

func (s *table) offer(_ context.Context, _ uint16, batch []byte) (Reply, error) {
	if s.failAt > 0 {
		if s.failAt--; s.failAt == 0 {
			return Reply{}, errors.New("the line is cut")
		}
	}
	hd, err := entry.Check(batch)
	if err != nil {
		return Reply{}, err
	}
	s.index++
	d := s.Decide(delivery.Entry{Index: s.index, Edge: hd.Edge, Epoch: hd.Epoch, Sequence: hd.Sequence, Time: hd.Time})
	if d.Verdict == delivery.Apply {
		s.counted[hd.Time]++
	}
	return replyOf(s.index, delivery.Outcome{Decision: d}), nil
}

func numbered(epoch uint32, sequence uint64) []byte {
	b := make([]byte, entry.HeaderLen)
	entry.PutHeader(b, timeOf(epoch, sequence), salvaged, epoch, sequence)
	return b
}

func timeOf(epoch uint32, sequence uint64) int64 { return int64(epoch)*1000 + int64(sequence) }

const salvaged = 77 // the edge

// TestASalvagedSpoolCountsOnce delivers spools that a node left in all states a
// shard can be in, with the way cut at every place and walked again.
func TestASalvagedSpoolCountsOnce(t *testing.T) {
	type key = spool.Key
	waiting := []key{{Shard: 3, Epoch: 1, Sequence: 4}, {Shard: 3, Epoch: 1, Sequence: 5}, {Shard: 3, Epoch: 2, Sequence: 1}, {Shard: 3, Epoch: 2, Sequence: 2}, {Shard: 9, Epoch: 2, Sequence: 1}}
	for name, before := range map[string][]key{
		"nothing of it is there": {{Shard: 3, Epoch: 1, Sequence: 1}, {Shard: 3, Epoch: 1, Sequence: 2}, {Shard: 3, Epoch: 1, Sequence: 3}},
		"some of it is there": {{Shard: 3, Epoch: 1, Sequence: 1}, {Shard: 3, Epoch: 1, Sequence: 2}, {Shard: 3, Epoch: 1, Sequence: 3}, {Shard: 3, Epoch: 1, Sequence: 4},
			{Shard: 9, Epoch: 2, Sequence: 1}},
		"the shard has forgotten the edge": nil,
		"the shard was set back":           {{Shard: 3, Epoch: 1, Sequence: 1}},
	} {
		for cut := range 8 {
			t.Run(fmt.Sprintf("%s, cut at %d", name, cut), func(t *testing.T) {
				store, err := pebblestore.Open(t.TempDir(), pebblestore.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				open := func() *spool.Spool {
					sp, err := spool.Open(store, SalvageBytes, func() int64 { return 1 })
					if err != nil {
						t.Fatal(err)
					}
					return sp
				}
				sp := open()
				var batches []spool.Batch
				for _, k := range waiting {
					batches = append(batches, spool.Batch{Key: k, Data: numbered(k.Epoch, k.Sequence)})
				}
				for range 2 {
					if _, err := sp.NextEpoch(); err != nil {
						t.Fatal(err)
					}
				}
				if err := sp.Write(batches); err != nil {
					t.Fatal(err)
				}
				shards := map[uint16]*table{3: {counted: map[int64]int{}}, 9: {counted: map[int64]int{}}}
				for _, k := range before {
					if rp, err := shards[k.Shard].offer(t.Context(), k.Shard, numbered(k.Epoch, k.Sequence)); err != nil || rp.Verdict != Applied {
						t.Fatalf("%+v: %+v %v", k, rp, err)
					}
				}
				shards[3].failAt = cut
				send := func(ctx context.Context, shard uint16, batch []byte) (Reply, error) {
					return shards[shard].offer(ctx, shard, batch)
				}
				n, err := Salvage(t.Context(), open(), salvaged, send)
				if err != nil { // only the cut; it is done again
					if cut == 0 {
						t.Fatal(err)
					}
					n, err = Salvage(t.Context(), open(), salvaged, send)
				}
				if err != nil || n != len(waiting) {
					t.Fatalf("%d batches, %v; want %d", n, err, len(waiting))
				}
				for _, k := range waiting {
					if got := shards[k.Shard].counted[timeOf(k.Epoch, k.Sequence)]; got != 1 {
						t.Errorf("%+v counts %d times", k, got)
					}
				}
			})
		}
	}
}

// TestASpoolOfACopiedDiskIsNotDelivered: what the copy has sent under the same
// numbers may be something else.
func TestASpoolOfACopiedDiskIsNotDelivered(t *testing.T) {
	store, err := pebblestore.Open(t.TempDir(), pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	write := func(edge uint64) *spool.Spool {
		sp, err := spool.Open(store, SalvageBytes, func() int64 { return 1 })
		if err != nil {
			t.Fatal(err)
		}
		epoch, err := sp.NextEpoch()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, entry.HeaderLen)
		entry.PutHeader(b, 1, edge, epoch, 1)
		if err := sp.Write([]spool.Batch{{Key: spool.Key{Shard: 1, Epoch: epoch, Sequence: 1}, Data: b}}); err != nil {
			t.Fatal(err)
		}
		if sp, err = spool.Open(store, SalvageBytes, func() int64 { return 1 }); err != nil {
			t.Fatal(err)
		}
		return sp
	}
	later := &table{counted: map[int64]int{}}
	if rp, err := later.offer(t.Context(), 1, numbered(9, 1)); err != nil || rp.Verdict != Applied {
		t.Fatal(rp, err)
	}
	if n, err := Salvage(t.Context(), write(salvaged), salvaged, later.offer); !errors.Is(err, errInUse) || n != 0 {
		t.Errorf("%d batches, %v", n, err)
	}
	if n, err := Salvage(t.Context(), write(salvaged+1), salvaged, (&table{counted: map[int64]int{}}).offer); !errors.Is(err, errForeign) || n != 1 {
		t.Errorf("%d batches, %v", n, err)
	}
}
