package beacon

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"

	"footfall/analytics"
)

// counters are the door's metrics.
type counters struct {
	accepted   *metrics.Counter
	duplicates *metrics.Counter
	failed     *metrics.Counter
	drops      map[analytics.Reason]*metrics.Counter // filled once, read only
}

func (c *counters) init(set *metrics.Set) {
	c.accepted = set.GetOrCreateCounter(`footfall_events_total{result="accepted"}`)
	c.duplicates = set.GetOrCreateCounter(`footfall_events_total{result="duplicate"}`)
	c.failed = set.GetOrCreateCounter(`footfall_events_total{result="unavailable"}`)
	c.drops = map[analytics.Reason]*metrics.Counter{}
	for _, r := range analytics.Reasons {
		if r != analytics.Counted && r != analytics.DropDuplicate {
			c.drops[r] = set.GetOrCreateCounter(fmt.Sprintf("footfall_events_dropped_total{reason=%q}", string(r)))
		}
	}
}

func (c *counters) dropped(r analytics.Reason) {
	if n := c.drops[r]; n != nil {
		n.Inc()
	}
}

// receipt counts what a Recorder decided.
func (c *counters) receipt(r analytics.Reason) {
	switch r {
	case analytics.Counted:
		c.accepted.Inc()
	case analytics.DropDuplicate:
		c.duplicates.Inc()
	default:
		c.dropped(r)
	}
}
