// Package operator is the door of those who run a node: is it alive, is it
// ready, how is it doing. It must never show anything of a merchant's data and
// never wait for anything. Start at New.
package operator

import (
	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Status tells whether the node can take part. Calls are concurrent and must
// not block.
type Status interface {
	// Ready is false while the node must not get traffic, with a short reason
	// for each part that is not ready, keyed by the part's name. The reasons are
	// public.
	Ready() (bool, map[string]string)
}

// Door answers the operator's questions.
type Door struct {
	status  Status
	cluster Cluster // nil on a node alone
	sets    []*metrics.Set
}

// New makes the door; /metrics shows sets and the figures of the process. cluster
// is nil on a node alone, whose routes for it answer NotFound.
func New(status Status, cluster Cluster, sets ...*metrics.Set) *Door {
	return &Door{status: status, cluster: cluster, sets: sets}
}

// Routes gives the door's routes: health for everybody, because balancers have
// no credentials, and metrics for the operator or a caller on the machine.
func (d *Door) Routes() []door.Route {
	return append([]door.Route{
		{Method: "GET", Path: "/healthz", Handler: d.alive},
		{Method: "GET", Path: "/readyz", Handler: d.ready},
		{Method: "GET", Path: "/metrics", Need: door.Operator, Handler: d.metrics},
		// The names that monitors of Plausible know.
		{Method: "GET", Path: "/api/health", Handler: d.plausibleHealth},
		{Method: "GET", Path: "/api/system/health/live", Handler: d.plausibleLive},
		{Method: "GET", Path: "/api/system/health/ready", Handler: d.plausibleHealth},
	}, d.clusterRoutes()...)
}

func (d *Door) alive(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string]string{"status": "alive"})
	return nil
}

func (d *Door) ready(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	ok, reasons := d.status.Ready()
	if reasons == nil {
		reasons = map[string]string{}
	}
	door.WriteJSON(ctx, statusOf(ok, fasthttp.StatusServiceUnavailable), struct {
		Ready   bool              `json:"ready"`
		Reasons map[string]string `json:"reasons"`
	}{ok, reasons})
	return nil
}

func (d *Door) plausibleHealth(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	ok, _ := d.status.Ready()
	word := "ok"
	if !ok {
		word = "error"
	}
	door.WriteJSON(ctx, statusOf(ok, fasthttp.StatusInternalServerError), struct {
		Clickhouse string `json:"clickhouse"`
		Postgres   string `json:"postgres"`
		SitesCache string `json:"sites_cache"`
	}{word, word, word})
	return nil
}

func (d *Door) plausibleLive(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string]bool{"ok": true})
	return nil
}

func (d *Door) metrics(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	for _, set := range d.sets {
		set.WritePrometheus(ctx)
	}
	metrics.WriteProcessMetrics(ctx)
	return nil
}

func statusOf(ok bool, otherwise int) int {
	if ok {
		return fasthttp.StatusOK
	}
	return otherwise
}
