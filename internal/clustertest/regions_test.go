package clustertest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// TestEachRegionHasACopyAndAnyOneMayGo is a cluster over three regions: every
// shard has one replica in each, a node without one has the nearest answer, and
// with a region gone views go on to a majority.
func TestEachRegionHasACopyAndAnyOneMayGo(t *testing.T) {
	where := []struct{ region, zone string }{{"eu", "a"}, {"eu", "b"}, {"us", "a"}, {"us", "b"}, {"ap", "a"}}
	w := newWorld(t, testcluster.Options{Nodes: len(where), ArgsOf: func(n *testcluster.Node) []string {
		return []string{"--region", where[n.Index].region, "--zone", where[n.Index].zone}
	}}, 24)
	s, err := w.status(w.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	region := map[uint16]string{}
	for _, n := range s.Nodes {
		region[n.Number] = n.Region
	}
	for _, x := range s.Shards {
		if x.ID >= shardsMax {
			continue
		}
		var regions []string
		for _, m := range x.Members {
			regions = append(regions, region[m.Node])
		}
		slices.Sort(regions)
		if !slices.Equal(regions, []string{"ap", "eu", "us"}) {
			t.Errorf("shard %d has replicas in %v", x.ID, regions)
		}
	}

	l := w.quiet()
	w.written(l, w.Nodes[0])
	l.check(w.Nodes...)
	passed := 0
	for i, n := range w.Nodes {
		for _, site := range w.sites {
			by := servedBy(t, n, site)
			k := slices.IndexFunc(w.Nodes, func(n *testcluster.Node) bool { return n.Name == by })
			if k < 0 || where[k].region != where[i].region {
				t.Errorf("%s of region %s has %s answered by %q", n.Name, where[i].region, site, by)
			}
			if k != i {
				passed++
			}
		}
	}
	if passed == 0 {
		t.Error("every node has every site: nothing was passed on")
	}

	lost, rest := w.Nodes[:2], w.Nodes[2:]
	for _, n := range lost {
		n.Kill()
	}
	w.led(rest...)
	for _, n := range rest {
		w.written(l, n) // on a majority: with a token
		w.knows(n)
	}
	l.check(rest...)
	for _, n := range lost {
		n.Begin()
	}
	for _, n := range lost {
		n.AwaitReady()
	}
	w.placed(w.Nodes...)
	w.settled(w.Nodes...)
	l.check(w.Nodes...)
	w.verify(w.Nodes[0])
}

// servedBy names the node that answers when n is asked.
func servedBy(t *testing.T, n *testcluster.Node, site string) string {
	t.Helper()
	a := n.Call(t, http.StatusOK, testnode.Request{Path: fmt.Sprintf("/v1/sites/%s/months", url.PathEscape(site)), Key: testnode.AsOperator})
	var out struct {
		ServedBy string `json:"served_by"`
		Meta     struct {
			ServedBy string `json:"served_by"`
		}
	}
	a.JSON(t, &out)
	return out.ServedBy + out.Meta.ServedBy
}
