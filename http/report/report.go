// Package report is the door of the reports that are no table of metrics:
// funnels, journeys, retention, the hours of the week, realtime, one page, new
// and returning visitors. It takes ranges and filters in the words of the Stats
// API, through door.Dialect, and answers its own JSON; what the figures mean is
// written in docs/reference/reports.md, the shape of every route in openapi.yaml
// of package partner. It never counts, never writes, and knows no other door.
// Start at New.
package report

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/http/door"
)

// Goals lists what the merchant defined for a site. What it gives is not written
// to. Calls may be concurrent.
type Goals interface {
	Goals(site analytics.SiteID) []*analytics.Goal
}

// Cache keeps encoded reports: it gives what makeBody makes, or made before from
// the same data of [from, to) in Unix ms. key names everything else that a body
// depends on; it is not kept. The body includes everything up to index and must
// not be changed. makeBody may run on another goroutine, and for longer than the
// call.
type Cache interface {
	Bytes(ctx context.Context, site analytics.SiteID, from, to int64, after analytics.Token, key []byte,
		makeBody func(context.Context) ([]byte, error)) (body []byte, index uint64, hit bool, err error)
}

// Config is what the door needs. All but Cache and Timeout must be set.
type Config struct {
	Dialect  door.Dialect
	Looker   door.Looker
	Goals    Goals
	Clock    func() time.Time
	ServedBy string // name of the node
	Cache    Cache  // nil: every report is made anew
	// Timeout ends a report; 0 means 30 s.
	Timeout time.Duration
}

// Door answers the routes. Its methods may be called concurrently.
type Door struct{ cfg Config }

const (
	timeout      = 30 * time.Second
	bodyBytesMax = 256 << 10
)

// New makes the door.
func New(cfg Config) *Door {
	if cfg.Timeout == 0 {
		cfg.Timeout = timeout
	}
	return &Door{cfg: cfg}
}

// Routes lists the routes. They are Public because a site may be; the handlers
// ask who it is.
func (d *Door) Routes() []door.Route {
	var out []door.Route
	for _, r := range []struct {
		name   string
		report func(*request) (*report, error)
		get    bool
		post   bool
	}{
		{"funnel", d.funnel, false, true},
		{"journeys", d.journeys, false, true},
		{"retention", d.retention, true, true},
		{"heatmap", d.heatmap, true, true},
		{"realtime", d.realtime, true, false},
		{"page", d.page, true, true},
		{"returning", d.returning, true, true},
	} {
		route := door.Route{Path: "/v1/sites/{site}/" + r.name, Need: door.Public, Handler: d.cfg.limited(d.answer(r.name, r.report))}
		if r.get {
			route.Method = fasthttp.MethodGet
			out = append(out, route)
		}
		if r.post {
			route.Method, route.BodyMax = fasthttp.MethodPost, bodyBytesMax
			out = append(out, route)
		}
	}
	return out
}

// limited counts requests of keys; without a dialect, as when routes are only
// listed, it counts nothing.
func (c *Config) limited(h door.Handler) door.Handler {
	if c.Dialect == nil {
		return h
	}
	return c.Dialect.Limited(h)
}
