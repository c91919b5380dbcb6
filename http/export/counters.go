package export

import "github.com/VictoriaMetrics/metrics"

// counters tell operators what is exported.
type counters struct {
	whole, broken, left, refused *metrics.Counter
	rows                         *metrics.Counter
}

func (c *counters) init(set *metrics.Set, s *slots) {
	outcome := func(name string) *metrics.Counter {
		return set.GetOrCreateCounter(`footfall_exports_total{outcome="` + name + `"}`)
	}
	c.whole, c.broken, c.left, c.refused = outcome("whole"), outcome("broken"), outcome("client_left"), outcome("refused")
	c.rows = set.GetOrCreateCounter("footfall_export_rows_total")
	set.GetOrCreateGauge("footfall_exports_running", func() float64 { return float64(s.running()) })
}
