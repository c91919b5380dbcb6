package nodetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"footfall/internal/testnode"
)

// indexOf is the position that a write token names.
func indexOf(t *testing.T, token string) uint64 {
	t.Helper()
	_, text, _ := strings.Cut(token, "-")
	index, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("write token %q: %v", token, err)
	}
	return index
}

// TestAnAcknowledgedViewIsInTheNextAnswer asks with the write token of each
// view, while others report views too.
func TestAnAcknowledgedViewIsInTheNextAnswer(t *testing.T) {
	random := seeded(t)
	n := testnode.Start(t, testnode.Options{Args: unlimited})
	sites := addSites(t, n, 3)
	l := startLoad(t, n, sites, 6, random)
	defer l.end()
	ask := func(site, page, token string) {
		t.Helper()
		r := n.MustAsk(t, testnode.Question{Site: site, Metrics: []string{"pageviews"}, Range: "day", Filters: []any{[]any{"is", "event:page", []string{page}}}, Token: token})
		if len(r.Rows) != 1 || r.Rows[0].Metrics[0] != 1 {
			t.Errorf("%s%s is not in the answer that follows its acknowledgement: %+v", site, page, r.Rows)
		}
		if r.Index < indexOf(t, token) {
			t.Errorf("the answer is as of %d, the view's token is %s", r.Index, token)
		}
	}
	for i := range 120 {
		site, page := sites[i%len(sites)], fmt.Sprintf("/fresh/%d", i)
		if i%3 == 2 { // by the native door
			ask(site, page, sendNative(t, n, site, []testnode.View{{Page: page, Addr: "192.0.2.1"}}).Token)
			continue
		}
		a, err := n.Send(t.Context(), testnode.View{Site: site, Page: page, Addr: "192.0.2.1"})
		if err != nil || a.Status != http.StatusAccepted {
			t.Fatalf("%d %s %v", a.Status, a.Body, err)
		}
		ask(site, page, a.Token())
		if i%10 == 0 { // the same by the older API, the token in the query
			b := n.Call(t, http.StatusOK, testnode.Request{Key: testnode.AsOperator,
				Path: "/api/v1/stats/aggregate?site_id=" + site + "&metrics=pageviews&period=day&filters=event:page%3D%3D" + page + "&token=" + a.Token()})
			if !strings.Contains(string(b.Body), `"pageviews":{"value":1}`) {
				t.Errorf("v1: %s", b.Body)
			}
		}
	}
}

// TestAnOpenDashboardHearsOfEveryView: after the acknowledgement of a view its
// site's stream tells of a state that holds it, and other sites' streams of
// nothing.
func TestAnOpenDashboardHearsOfEveryView(t *testing.T) {
	n := testnode.Start(t, testnode.Options{Args: unlimited})
	n.AddSite(t, "shop.example", "Europe/Berlin")
	n.AddSite(t, "quiet.example", "UTC")
	streams := []*testnode.Stream{n.Live(t, "shop.example"), n.Live(t, "shop.example")}
	quiet := n.Live(t, "quiet.example")
	for _, s := range append(streams, quiet) {
		if c := s.Next("the first event", func(testnode.Change) bool { return true }); c.Live != 0 {
			t.Errorf("%d visitors before the first view", c.Live)
		}
	}
	for i := range 12 {
		a, err := n.Send(t.Context(), testnode.View{Site: "shop.example", Page: "/", Addr: fmt.Sprintf("192.0.2.%d", 1+i/2)})
		if err != nil || a.Status != http.StatusAccepted {
			t.Fatalf("%d %s %v", a.Status, a.Body, err)
		}
		index, visitors := indexOf(t, a.Token()), 1+i/2
		for _, s := range streams {
			c := s.Next(fmt.Sprintf("%d visitors as of %d", visitors, index), func(c testnode.Change) bool { return c.Index >= index })
			if c.Live != visitors || c.ID != fmt.Sprint(c.Index) {
				t.Errorf("after view %d: %+v, want %d visitors", i, c, visitors)
			}
		}
	}
	a, err := n.Send(t.Context(), testnode.View{Site: "quiet.example", Page: "/", Addr: "192.0.2.1"})
	if err != nil || a.Status != http.StatusAccepted {
		t.Fatalf("%d %s %v", a.Status, a.Body, err)
	}
	if c := quiet.Next("the quiet site's first visitor", func(testnode.Change) bool { return true }); c.Live != 1 || c.Index < indexOf(t, a.Token()) {
		t.Errorf("the first event of the quiet site is %+v: it was told of another site's views", c)
	}
	n.Stop() // open streams must not hold it up
}
