package edge

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"
)

// counters replace a log: what happens on connections is counted, and nothing
// of it is written down. It is the fasthttp logger too, whose messages carry
// addresses and request bytes; it keeps only that there was one.
type counters struct {
	answers  [6]*metrics.Counter // by hundreds of the status
	refusals map[string]*metrics.Counter
	panics   *metrics.Counter
	left     *metrics.Counter // requests given up because the client was gone
	messages *metrics.Counter

	forwarded *metrics.Counter // requests that another node answered
}

func (c *counters) init(set *metrics.Set, s *Server) {
	for i := range c.answers {
		c.answers[i] = set.GetOrCreateCounter(fmt.Sprintf(`footfall_http_answers_total{status="%dxx"}`, i))
	}
	c.refusals = map[string]*metrics.Counter{}
	for _, code := range []string{"malformed", "header", "body", "timeout"} {
		c.refusals[code] = set.GetOrCreateCounter(fmt.Sprintf(`footfall_http_refused_total{reason=%q}`, code))
	}
	c.panics = set.GetOrCreateCounter("footfall_http_panics_total")
	c.left = set.GetOrCreateCounter("footfall_http_clients_left_total")
	c.forwarded = set.GetOrCreateCounter("footfall_http_forwarded_total")
	c.messages = set.GetOrCreateCounter("footfall_http_connection_errors_total")
	set.GetOrCreateGauge("footfall_http_connections", func() float64 { return float64(s.conns.size()) })
	set.GetOrCreateGauge("footfall_http_rejected_connections", func() float64 { return float64(s.http.GetRejectedConnectionsCount()) })
}

func (c *counters) answer(status int) {
	if i := status / 100; i < len(c.answers) {
		c.answers[i].Inc()
	}
}

func (c *counters) refused(code string) { c.refusals[code].Inc() }

// Printf implements fasthttp.Logger.
func (c *counters) Printf(string, ...any) { c.messages.Inc() }
