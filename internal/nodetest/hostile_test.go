package nodetest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"footfall/internal/testnode"
)

// memoryMax is what a node may take while somebody reports distinct paths
// without end, in bytes.
const memoryMax = 400 << 20

// TestPathsWithoutEndBoundMemoryAndKeepTotalsExact sends 300,000 distinct paths
// to one site, in batches as large as may be.
func TestPathsWithoutEndBoundMemoryAndKeepTotalsExact(t *testing.T) {
	const batches, each = 30, 10_000
	n := testnode.Start(t, testnode.Options{})
	const site = "shop.example"
	n.AddSite(t, site, "UTC")
	n.AddSite(t, "other.example", "UTC")
	key := n.AddKey(t, "events:write", site)
	var body strings.Builder
	for b := range batches {
		body.Reset()
		body.WriteByte('[')
		for i := range each {
			if i > 0 {
				body.WriteByte(',')
			}
			fmt.Fprintf(&body, `{"url":"https://%s/wp-content/%08x/%d?x=1","visitor":"v%d","id":"%d-%d"}`, site, 2654435761*uint32(b*each+i), b*each+i, i%500, b, i)
		}
		body.WriteByte(']')
		var out nativeAnswer
		n.Call(t, http.StatusAccepted, testnode.Request{Path: "/v1/events", Body: body.String(), Key: key}).JSON(t, &out)
		if out.Accepted != each || out.Rejected != 0 {
			t.Fatalf("batch %d: %d accepted, %d rejected", b, out.Accepted, out.Rejected)
		}
	}
	check := func(when string) {
		t.Helper()
		for metric, want := range map[string]int{"pageviews": batches * each, "visitors": 500} {
			if got := n.Count(t, site, metric); got != want {
				t.Errorf("%s: %d %s, want %d", when, got, metric, want)
			}
		}
		r := n.MustAsk(t, testnode.Question{Site: site, Metrics: []string{"pageviews"}, Range: "all", Dimensions: []string{"event:page"},
			Include: map[string]any{"total_rows": true}, Page: map[string]int{"limit": 10}})
		if r.Total != batches*each || len(r.Rows) != 10 {
			t.Errorf("%s: %d distinct pages in all, %d in the answer, want %d and 10", when, r.Total, len(r.Rows), batches*each)
		}
		// Others are served meanwhile.
		if a, err := n.Send(t.Context(), testnode.View{Site: "other.example", Page: "/"}); err != nil || a.Status != http.StatusAccepted {
			t.Errorf("%s: another site: %d %v", when, a.Status, err)
		}
		if got := n.MemoryPeak(t); got > memoryMax {
			t.Errorf("%s: the node took %d MiB, at most %d are allowed", when, got>>20, memoryMax>>20)
		} else {
			t.Logf("%s: at most %d MiB", when, got>>20)
		}
	}
	check("live")
	n.Kill()
	n.Resume()
	check("after a kill")
	n.Stop()
	n.Resume()
	check("from its records")
}

// TestWhatIsNotCountedIsSaidAndCountedByReason sends views that no one wants.
func TestWhatIsNotCountedIsSaidAndCountedByReason(t *testing.T) {
	n := testnode.Start(t, testnode.Options{})
	const site = "shop.example"
	n.AddSite(t, site, "UTC")
	n.Call(t, http.StatusOK, testnode.Request{Method: http.MethodPut, Path: "/v1/sites/" + site, Key: testnode.AsOperator,
		Body: map[string]any{"blocked_pages": []string{"/secret/*"}, "blocked_ips": []string{"192.0.2.66", "2001:db8:66::/48"}, "hostnames": []string{site, "*." + site}}})
	good := testnode.View{Site: site, Page: "/", Addr: "192.0.2.1"}
	with := func(change func(*testnode.View)) testnode.View {
		v := good
		change(&v)
		return v
	}
	reasons := map[string]int{}
	for _, c := range []struct {
		reason string
		times  int
		view   testnode.View
	}{
		{"bot", 3, with(func(v *testnode.View) { v.UserAgent = bot })},
		{"bot", 1, with(func(v *testnode.View) { v.UserAgent = "curl/8.5.0" })},
		{"spam_referrer", 2, with(func(v *testnode.View) { v.Referrer = spam })},
		{"page_blocked", 2, with(func(v *testnode.View) { v.Page = "/secret/plans" })},
		{"ip_blocked", 1, with(func(v *testnode.View) { v.Addr = "192.0.2.66" })},
		{"ip_blocked", 1, with(func(v *testnode.View) { v.Addr = "2001:db8:66:1::9" })},
		{"unknown_site", 4, with(func(v *testnode.View) { v.Site = "nobody.example" })},
		{"", 5, good},
	} {
		for range c.times {
			a, err := n.Send(t.Context(), c.view)
			if err != nil || a.Status != http.StatusAccepted {
				t.Fatalf("%+v: %d %s %v", c.view, a.Status, a.Body, err)
			}
			plausible := ""
			if c.reason != "" {
				plausible = "1"
				reasons[c.reason]++
			}
			if a.Dropped() != c.reason || a.Header.Get("X-Plausible-Dropped") != plausible {
				t.Errorf("%+v: dropped for %q, told Plausible's way %q, want %q", c.view, a.Dropped(), a.Header.Get("X-Plausible-Dropped"), c.reason)
			}
		}
	}
	wrongHost := testnode.Request{Path: "/api/event", Body: `{"n":"pageview","u":"https://thief.example/","d":"` + site + `"}`}
	if a := n.Call(t, http.StatusAccepted, wrongHost); a.Dropped() != "hostname_blocked" {
		t.Errorf("a foreign host: dropped for %q", a.Dropped())
	}
	if a := n.Call(t, http.StatusBadRequest, testnode.Request{Path: "/api/event", Body: `{"n":"pageview","d":"` + site + `"}`}); !holds(string(a.Body), `"url"`) {
		t.Errorf("a view of no page: %s", a.Body)
	}
	reasons["hostname_blocked"], reasons["invalid"] = 1, 1
	if got := n.Count(t, site, "pageviews"); got != 5 {
		t.Errorf("%d views were counted, 5 are good", got)
	}
	for reason, count := range reasons {
		if got := n.Metric(t, `footfall_events_dropped_total{reason="`+reason+`"}`); int(got) != count {
			t.Errorf("/metrics has %v of %s, want %d", got, reason, count)
		}
	}
	delete(reasons, "unknown_site") // of no site, so only the node counts it
	same := func() bool { return maps.Equal(n.Drops(t, site), reasons) }
	testnode.Until(t, fmt.Sprintf("the site's drops are %v", reasons), same)
	n.Stop()
	n.Resume()
	if !same() {
		t.Errorf("after a restart the site's drops are %v, want %v, of the kinds %v", n.Drops(t, site), reasons, slices.Sorted(maps.Keys(reasons)))
	}
}
