package operator

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

type status struct {
	ok      bool
	reasons map[string]string
}

func (s *status) Ready() (bool, map[string]string) { return s.ok, s.reasons }

func get(t *testing.T, d *Door, path string) (int, string) {
	t.Helper()
	for _, r := range d.Routes() {
		if r.Path == path {
			var ctx fasthttp.RequestCtx
			if err := r.Handler(&ctx, accounts.Identity{}); err != nil {
				t.Fatal(err)
			}
			return ctx.Response.StatusCode(), string(ctx.Response.Body())
		}
	}
	t.Fatalf("no route %s", path)
	return 0, ""
}

func TestHealthFollowsTheNode(t *testing.T) {
	node := &status{ok: true}
	d := New(node, nil)
	for _, c := range []struct {
		path     string
		up, down int
		body     string // while down
	}{
		{"/healthz", 200, 200, `"alive"`},
		{"/readyz", 200, 503, `{"ready":false,"reasons":{"disk":"nearly full"}}`},
		{"/api/health", 200, 500, `"sites_cache":"error"`},
		{"/api/system/health/live", 200, 200, `"ok":true`},
		{"/api/system/health/ready", 200, 500, `"clickhouse":"error"`},
	} {
		node.ok, node.reasons = true, nil
		if code, body := get(t, d, c.path); code != c.up || strings.Contains(body, "error") {
			t.Errorf("%s up: %d %s", c.path, code, body)
		}
		node.ok, node.reasons = false, map[string]string{"disk": "nearly full"}
		if code, body := get(t, d, c.path); code != c.down || !strings.Contains(body, c.body) {
			t.Errorf("%s down: %d %s", c.path, code, body)
		}
	}
}

func TestMetricsShowTheSetsAndTheProcess(t *testing.T) {
	one, two := metrics.NewSet(), metrics.NewSet()
	one.NewCounter("views_total").Add(7)
	two.NewCounter(`drops_total{reason="bot"}`).Add(3)
	_, body := get(t, New(&status{ok: true}, nil, one, two), "/metrics")
	for _, want := range []string{"views_total 7\n", "drops_total{reason=\"bot\"} 3\n", "go_goroutines"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing in\n%s", want, body)
		}
	}
}

func TestWhatIsTheOperatorsNeedsTheOperator(t *testing.T) {
	for _, r := range New(&status{}, nil).Routes() {
		want := door.Public
		if r.Path == "/metrics" || strings.HasPrefix(r.Path, "/v1/cluster") {
			want = door.Operator
		}
		if r.Need != want {
			t.Errorf("%s %s needs %d", r.Method, r.Path, r.Need)
		}
	}
}

// cluster notes what it is told to do.
type cluster struct{ told []string }

func (c *cluster) Status(context.Context) (any, error) { return map[string]int{"nodes": 3}, nil }
func (c *cluster) Verify(context.Context) (any, error) { return map[string]int{"equal": 256}, nil }
func (c *cluster) Drain(_ context.Context, n uint16) error {
	c.told = append(c.told, fmt.Sprintf("drain %d", n))
	return nil
}
func (c *cluster) Undrain(_ context.Context, n uint16) error {
	c.told = append(c.told, fmt.Sprintf("undrain %d", n))
	return nil
}
func (c *cluster) Remove(_ context.Context, n uint16, force bool) error {
	c.told = append(c.told, fmt.Sprintf("remove %d %t", n, force))
	return nil
}
func (c *cluster) Move(_ context.Context, shard, from, to uint16) error {
	c.told = append(c.told, fmt.Sprintf("move %d %d %d", shard, from, to))
	return nil
}

func (c *cluster) RaiseGate(context.Context) error {
	c.told = append(c.told, "raise")
	return nil
}

func (c *cluster) Deliver(_ context.Context, shard uint16, batch []byte) (any, error) {
	c.told = append(c.told, fmt.Sprintf("deliver %d %s", shard, batch))
	return map[string]string{"verdict": "applied"}, nil
}

func TestOrdersReachTheCluster(t *testing.T) {
	c := &cluster{}
	ask := func(d *Door, path, node, query, body string) error {
		for _, r := range d.Routes() {
			if r.Path != path {
				continue
			}
			var ctx fasthttp.RequestCtx
			ctx.SetUserValue("node", node)
			ctx.SetUserValue("shard", node)
			ctx.Request.SetRequestURI("/?" + query)
			ctx.Request.SetBodyString(body)
			return r.Handler(&ctx, accounts.Identity{Operator: true})
		}
		return fmt.Errorf("no route %s", path)
	}
	d := New(&status{}, c)
	for _, x := range []struct{ path, node, query, body, told, fault string }{
		{path: "/v1/cluster/nodes/{node}/drain", node: "2", told: "drain 2"},
		{path: "/v1/cluster/nodes/{node}/undrain", node: "65535", told: "undrain 65535"},
		{path: "/v1/cluster/nodes/{node}/remove", node: "3", told: "remove 3 false"},
		{path: "/v1/cluster/nodes/{node}/remove", node: "3", query: "force=true", told: "remove 3 true"},
		{path: "/v1/cluster/move", body: `{"shard":0,"from":1,"to":2}`, told: "move 0 1 2"},
		{path: "/v1/cluster/gate", told: "raise"},
		{path: "/v1/cluster/shards/{shard}/batches", node: "0", body: "views", told: "deliver 0 views"},
		{path: "/v1/cluster/shards/{shard}/batches", node: "65536", fault: "shard:"},
		{path: "/v1/cluster/shards/{shard}/batches", node: "one", fault: "shard:"},
		{path: "/v1/cluster/nodes/{node}/drain", node: "0", fault: "node:"},
		{path: "/v1/cluster/nodes/{node}/remove", node: "65536", fault: "node:"},
		{path: "/v1/cluster/move", body: `{"from":1,"to":2}`, fault: "shard:"},
		{path: "/v1/cluster/move", body: `{"shard":1,"from":1}`, fault: "from, to:"},
		{path: "/v1/cluster/move", body: `{"shard":"x"}`, fault: "body:"},
	} {
		c.told = nil
		err := ask(d, x.path, x.node, x.query, x.body)
		switch {
		case x.fault != "":
			if analytics.CodeOf(err) != analytics.Invalid || !strings.HasPrefix(err.Error(), x.fault) || c.told != nil {
				t.Errorf("%s %s %s: %v, told %q; want an error of %s", x.path, x.node, x.body, err, c.told, x.fault)
			}
		case err != nil || len(c.told) != 1 || c.told[0] != x.told:
			t.Errorf("%s %s %s: %v, told %q; want %q", x.path, x.node, x.body, err, c.told, x.told)
		}
		if err := ask(New(&status{}, nil), x.path, x.node, x.query, x.body); analytics.CodeOf(err) != analytics.NotFound {
			t.Errorf("%s on a node alone: %v", x.path, err)
		}
	}
	for path, want := range map[string]string{"/v1/cluster": `{"nodes":3}`, "/v1/cluster/verify": `{"equal":256}`} {
		if code, body := get(t, d, path); code != 200 || body != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
