package readcache

import (
	"github.com/VictoriaMetrics/fastcache"
	"github.com/VictoriaMetrics/metrics"
)

// counters tell how well the cache does. Every question is a hit, a miss or
// shared: hits / (hits + misses + shared) is the hit rate.
type counters struct {
	hits, misses, shared *metrics.Counter
	// Of the misses: not kept, because the numbers changed meanwhile, or because
	// the answer is longer than entryBytesMax.
	unsettled, tooLarge *metrics.Counter
	panics              *metrics.Counter
}

func (c *counters) init(set *metrics.Set, s *store) {
	c.hits = set.GetOrCreateCounter("footfall_read_cache_hits_total")
	c.misses = set.GetOrCreateCounter("footfall_read_cache_misses_total")
	c.shared = set.GetOrCreateCounter("footfall_read_cache_shared_total")
	c.unsettled = set.GetOrCreateCounter(`footfall_read_cache_not_kept_total{reason="changed"}`)
	c.tooLarge = set.GetOrCreateCounter(`footfall_read_cache_not_kept_total{reason="too_large"}`)
	c.panics = set.GetOrCreateCounter("footfall_read_cache_panics_total")
	gauge := func(name string, of func(*fastcache.Stats) uint64) {
		set.GetOrCreateGauge(name, func() float64 {
			stats := s.stats()
			return float64(of(&stats))
		})
	}
	gauge("footfall_read_cache_bytes", func(s *fastcache.Stats) uint64 { return s.BytesSize })
	gauge("footfall_read_cache_bytes_max", func(s *fastcache.Stats) uint64 { return s.MaxBytesSize })
	gauge("footfall_read_cache_entries", func(s *fastcache.Stats) uint64 { return s.EntriesCount })
	gauge("footfall_read_cache_evicted_bytes_total", func(s *fastcache.Stats) uint64 { return s.EvictedBytes })
}
