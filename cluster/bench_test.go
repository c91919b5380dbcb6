package cluster

import (
	"log/slog"
	"runtime"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/delivery"
	"footfall/analytics/entry"
)

// BenchmarkRecord counts views of one site from many goroutines over a log that
// commits at once: what is left is the router's own cost.
func BenchmarkRecord(b *testing.B) {
	cfg := benchConfig(b)
	notified := make(chan struct{}, 1)
	cfg.Notify = func(uint16) {
		select {
		case notified <- struct{}{}:
		default:
		}
	}
	cfg.Clock = time.Now
	r := NewRouter(cfg)
	shard := ShardOf(5)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		index := uint64(0)
		for {
			select {
			case <-stop:
				return
			case <-notified:
			}
			for range 4 {
				runtime.Gosched()
			}
			for data := r.Next(shard); data != nil; data = r.Next(shard) {
				index++
				r.Apply(shard, index, data)
			}
		}
	}()
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		ev := event(1)
		for pb.Next() {
			if _, err := r.Record(5, ev); err != nil {
				b.Error(err)
			}
		}
	})
	close(stop)
	<-done
}

// benchSites decides and counts nothing.
type benchSites struct{ tables [Shards]delivery.Table }

func (s *benchSites) Apply(n uint16, index uint64, data []byte, done func(delivery.Outcome)) error {
	rd, err := entry.Open(data)
	if err != nil {
		return err
	}
	var it entry.Item
	o := delivery.Outcome{Decision: s.tables[n].Decide(delivery.Entry{Index: index, Edge: rd.Edge, Epoch: rd.Epoch, Sequence: rd.Sequence, Time: rd.Time})}
	for {
		ok, err := rd.Next(&it)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		o.Reasons = append(o.Reasons, analytics.Counted)
	}
	if done != nil {
		done(o)
	}
	return nil
}

func benchConfig(b *testing.B) Config {
	return Config{Sites: &benchSites{}, Writable: func() bool { return true }, Edge: 7, Epoch: 1,
		Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { b.Error(err) }}
}
