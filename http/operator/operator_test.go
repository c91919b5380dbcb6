package operator

import (
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

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

func TestOnlyMetricsNeedTheOperator(t *testing.T) {
	for _, r := range New(&status{}, nil).Routes() {
		want := door.Public
		if r.Path == "/metrics" {
			want = door.Operator
		}
		if r.Need != want || r.Method != "GET" {
			t.Errorf("%s %s needs %d", r.Method, r.Path, r.Need)
		}
	}
}
