package testcluster

import (
	"fmt"
	"strings"
	"time"

	"footfall/internal/testcluster/testproxy"
)

// network is all that nodes dial.
type network struct {
	addresses []string             // where the nodes listen
	links     [][]*testproxy.Proxy // links[a][b]: what a dials to reach b; nil for a == b
	consul    []*testproxy.Proxy   // consul[a]: what a dials to reach Consul; empty without
}

// via is the file of addresses that a node dials instead of those advertised.
func (w *network) via(a int) string {
	var text strings.Builder
	for b, link := range w.links[a] {
		if link != nil {
			fmt.Fprintln(&text, w.addresses[b], link.Address())
		}
	}
	return text.String()
}

// between changes what passes from a to b and from b to a, whoever dialled.
func (w *network) between(a, b int, change func(there, back *testproxy.Flow)) {
	w.links[a][b].Change(func(r *testproxy.Rule) { change(&r.Up, &r.Down) })
	w.links[b][a].Change(func(r *testproxy.Rule) { change(&r.Down, &r.Up) })
}

// breakable fails the test where there is nothing to break.
func (c *Cluster) breakable() *network {
	c.t.Helper()
	if c.net == nil {
		c.t.Fatal("the network of a released build cannot be broken")
	}
	return c.net
}

// LoseOneWay loses everything from node a to node b, and nothing from b to a;
// nobody is told, as by a firewall that drops.
func (c *Cluster) LoseOneWay(a, b int) {
	c.t.Helper()
	c.breakable().between(a, b, func(there, _ *testproxy.Flow) { there.Hole = true })
}

// Partition loses everything between nodes that are not in the same group. A
// node in no group is alone.
func (c *Cluster) Partition(groups ...[]int) {
	c.t.Helper()
	w := c.breakable()
	group := map[int]int{}
	for g, nodes := range groups {
		for _, n := range nodes {
			group[n] = g + 1
		}
	}
	for a := range w.links {
		for b := range a {
			if group[a] == 0 || group[b] == 0 || group[a] != group[b] {
				w.between(a, b, func(there, back *testproxy.Flow) { there.Hole, back.Hole = true, true })
			}
		}
	}
}

// Isolate loses everything between node a and all others, as when its cable is
// pulled: with Kill after it, a machine that vanishes.
func (c *Cluster) Isolate(a int) {
	c.t.Helper()
	var rest []int
	for b := range c.breakable().links {
		if b != a {
			rest = append(rest, b)
		}
	}
	c.Partition(rest)
}

// Cut resets all connections between nodes a and b, new ones too.
func (c *Cluster) Cut(a, b int) {
	c.t.Helper()
	w := c.breakable()
	w.links[a][b].Change(func(r *testproxy.Rule) { r.Cut = true })
	w.links[b][a].Change(func(r *testproxy.Rule) { r.Cut = true })
}

// Delay makes everything between nodes arrive d late, each way.
func (c *Cluster) Delay(d time.Duration) {
	c.t.Helper()
	w := c.breakable()
	for a := range w.links {
		for b := range a {
			w.between(a, b, func(there, back *testproxy.Flow) { there.Delay, back.Delay = d, d })
		}
	}
}

// LoseConsul cuts node a off from Consul.
func (c *Cluster) LoseConsul(a int) {
	c.t.Helper()
	w := c.breakable()
	if len(w.consul) == 0 {
		c.t.Fatal("the cluster has no Consul")
	}
	w.consul[a].Set(testproxy.Hole())
}

// Mend undoes what was done between nodes a and b.
func (c *Cluster) Mend(a, b int) {
	c.t.Helper()
	w := c.breakable()
	w.links[a][b].Set(testproxy.Rule{})
	w.links[b][a].Set(testproxy.Rule{})
}

// Heal undoes all that was done to the network.
func (c *Cluster) Heal() {
	c.t.Helper()
	w := c.breakable()
	for _, row := range w.links {
		for _, link := range row {
			if link != nil {
				link.Set(testproxy.Rule{})
			}
		}
	}
	for _, link := range w.consul {
		link.Set(testproxy.Rule{})
	}
}

// Hindered is how often so far something between nodes met a hole or a delay, or
// was reset by a cut.
func (c *Cluster) Hindered() (sum uint64) {
	c.t.Helper()
	for _, row := range c.breakable().links {
		for _, link := range row {
			if link != nil {
				sum += link.Hindered()
			}
		}
	}
	return sum
}
