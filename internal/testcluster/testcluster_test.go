package testcluster

import (
	"net/http"
	"testing"

	"footfall/internal/testnode"
)

// A cluster of either kind comes up, loses a node and gets it back, and the
// balancer answers all the time.
func TestNodesComeAndGo(t *testing.T) {
	for name, o := range map[string]Options{
		"consul": {Consul: true, HAProxy: true, Zones: []string{"a", "b", "c"}},
		"static": {HAProxy: true, Insecure: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := Start(t, o)
			answers := func(when string) {
				t.Helper()
				for range 20 {
					a, err := c.Do(t.Context(), testnode.Request{Path: "/healthz"})
					if err != nil || a.Status != http.StatusOK {
						t.Fatalf("%s: got %d %v", when, a.Status, err)
					}
				}
			}
			up := func(n int) {
				t.Helper()
				testnode.Until(t, "the balancer sees who is there", func() bool { return c.Balancer.Sees(n) })
			}
			answers("at first")
			c.Nodes[1].Kill()
			answers("after a kill")
			up(2)
			c.Nodes[1].Resume()
			up(3)
			c.Nodes[2].Pause()
			up(2)
			answers("while one hangs")
			c.Nodes[2].Continue()
			up(3)
			c.Nodes[0].Stop()
			up(2)
			answers("after a graceful stop")
			c.Nodes[0].Resume()
			up(3)
			if c.Consul != nil {
				c.Consul.Kill()
				answers("without Consul")
				c.Consul.Resume()
			}
		})
	}
}
