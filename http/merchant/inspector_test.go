package merchant

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/inspect"
)

const (
	inspectorPath = "/v1/sites/shop.example/inspector"
	feedPath      = "/v1/sites/shop.example/live/events"
)

// arrive is an event at the edge.
func (n *node) arrive(site analytics.SiteID, page string, verdict analytics.Reason) {
	now := n.now.Add(1)
	if n.watch.Watching(site, now) {
		n.watch.Note(site, &analytics.Event{Time: now, Name: "pageview", Page: page, Host: "shop.example",
			Place: analytics.Place{Country: "DE", City: "Berlin"}, Agent: analytics.Agent{Browser: "Firefox"}}, verdict, "a rule")
	}
}

type inspected struct {
	Events   []inspect.Event
	Since    time.Time `json:"recording_since"`
	Edges    []string
	Complete bool
}

func (i inspected) pages() string {
	var out []string
	for _, e := range i.Events {
		out = append(out, e.Page)
	}
	return strings.Join(out, " ")
}

func TestTheInspectorShowsTheNewestEventsWithTheirVerdicts(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Viewer)
	n.arrive(p.site.ID, "/unseen", analytics.Counted)
	b.do("GET", inspectorPath, "").want(200, `"events":[]`, `"recording_since":"2026-11-18T10:30:00Z"`, `"edges":["here"]`, `"complete":true`)
	n.arrive(p.site.ID, "/a", analytics.Counted)
	n.arrive(p.site.ID, "/b", analytics.DropBot)
	n.arrive(p.site.ID, "/c", analytics.Counted)
	for query, want := range map[string]string{"": "/c /b /a", "?limit=2": "/c /b", "?verdict=bot": "/b", "?verdict=counted&limit=1": "/c", "?verdict=duplicate": ""} {
		var got inspected
		b.do("GET", inspectorPath+query, "").want(200).read(&got)
		if got.pages() != want {
			t.Errorf("%q shows %s, want %s", query, got.pages(), want)
		}
	}
	var got inspected
	b.do("GET", inspectorPath+"?verdict=bot", "").want(200).read(&got)
	if e := got.Events[0]; e.Verdict != "bot" || e.Rule != "a rule" || e.Edge != "here" || e.City != "Berlin" || e.Browser != "Firefox" {
		t.Errorf("%+v", e)
	}
	for query, want := range map[string]string{"?limit=0": "limit: must be from 1 to 1000", "?limit=1001": "limit: ", "?limit=x": "limit: ", "?verdict=good": "verdict: "} {
		b.do("GET", inspectorPath+query, "").want(400, want)
	}
}

func TestTheInspectorOfAPublicSiteIsNotForStrangers(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	n.must(&accounts.UpdateSite{ID: p.site.ID, Public: new(true)})
	n.as(p, Stranger).do("GET", inspectorPath, "").want(403)
	n.as(p, Anonymous).do("GET", inspectorPath, "").want(401)
	n.as(p, Viewer).do("GET", inspectorPath, "").want(200)
}

// others are nodes of a cluster that took events, too.
type otherEdges struct {
	mu    sync.Mutex
	all   bool
	parts []inspect.Part
	asked inspect.Ask
}

func (o *otherEdges) Look(_ context.Context, _ analytics.SiteID, ask inspect.Ask) ([]inspect.Part, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = ask
	return append([]inspect.Part(nil), o.parts...), o.all
}

func (o *otherEdges) put(parts ...inspect.Part) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = parts
}

func there(edge string, at time.Time, pages ...string) inspect.Part {
	p := inspect.Part{Edge: edge, Since: begin}
	for i, page := range pages {
		p.Events = append(p.Events, inspect.Event{ID: edge + page, Edge: edge, Page: page, Time: at.Add(time.Duration(i) * time.Millisecond), Verdict: inspect.Counted, City: "Rome"})
	}
	return p
}

func TestTheInspectorAsksTheOtherNodes(t *testing.T) {
	peers := &otherEdges{}
	n := newNode(t, func(o *Options) { o.Peers = peers })
	p := n.people()
	b := n.as(p, Viewer)
	b.do("GET", inspectorPath, "").want(200, `"complete":false`)
	n.arrive(p.site.ID, "/here", analytics.Counted)
	peers.put(there("there", begin, "/0", "/2", "/3"))
	peers.all = true
	var got inspected
	b.do("GET", inspectorPath+"?limit=3&verdict=counted", "").want(200).read(&got)
	if got.pages() != "/3 /here /2" || !got.Complete || strings.Join(got.Edges, " ") != "here there" || peers.asked != (inspect.Ask{Limit: 3, Verdict: "counted"}) {
		t.Errorf("%+v", got)
	}
}

// pushed reads the next push of a feed.
func pushed(t *testing.T, lines <-chan string) (pages string, events []inspect.Event, skipped bool) {
	t.Helper()
	var out struct {
		Events  []inspect.Event
		Skipped bool
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line(t, lines, "data: "), "data: ")), &out); err != nil {
		t.Fatal(err)
	}
	return inspected{Events: out.Events}.pages(), out.Events, out.Skipped
}

func TestTheFeedTellsOfCountedEventsAsTheyCome(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PushInterval = time.Millisecond })
	p := n.people()
	b := n.as(p, Viewer)
	b.do("GET", inspectorPath, "") // somebody looks
	n.arrive(p.site.ID, "/before", analytics.Counted)
	n.arrive(p.site.ID, "/bot", analytics.DropBot)
	lines := b.events(t.Context(), feedPath)
	if got := line(t, lines, "event: "); got != "event: events" {
		t.Errorf("got %q", got)
	}
	if got, events, _ := pushed(t, lines); got != "/before" || events[0].City != "Berlin" {
		t.Errorf("on opening: %s %+v", got, events)
	}
	n.arrive(p.site.ID, "/bot", analytics.DropBot)
	for i := range 3 {
		page := fmt.Sprintf("/%d", i)
		n.arrive(p.site.ID, page, analytics.Counted)
		if got, _, skipped := pushed(t, lines); got != page || skipped {
			t.Errorf("got %s %v, want %s", got, skipped, page)
		}
	}
}

func TestABusyFeedSaysThatItLeavesEventsOut(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PushInterval = time.Hour })
	p := n.people()
	n.watch.Look(p.site.ID, inspect.Ask{})
	n.arrive(p.site.ID, "/first", analytics.Counted)
	f := &feed{stream: stream{h: n.handler, site: p.site, who: accounts.Identity{Operator: true}}, last: map[string]string{}, others: &others{}}
	push := func() string {
		t.Helper()
		var out strings.Builder
		if !f.push(bufio.NewWriter(&out)) {
			t.Fatal("the push failed")
		}
		return out.String()
	}
	if got := push(); strings.Contains(got, "skipped") {
		t.Errorf("got %s", got)
	}
	if got := push(); got != "" {
		t.Errorf("nothing came, and it says %s", got)
	}
	for range feedMax {
		n.arrive(p.site.ID, "/x", analytics.Counted)
	}
	if got := push(); strings.Count(got, `"/x"`) != feedMax || !strings.Contains(got, `"skipped":true`) {
		t.Errorf("%d events: %.300s", strings.Count(got, `"/x"`), got)
	}
}

func TestTheFeedHasTheEventsOfOtherNodes(t *testing.T) {
	peers := &otherEdges{all: true}
	n := newNode(t, func(o *Options) { o.Peers, o.PushInterval = peers, time.Millisecond })
	p := n.people()
	peers.put(there("there", begin, "/1"))
	lines := n.as(p, Viewer).events(t.Context(), feedPath)
	if got, _, _ := pushed(t, lines); got != "/1" {
		t.Errorf("got %s", got)
	}
	peers.put(there("there", begin, "/1", "/2"), there("third", begin.Add(time.Second), "/3"))
	if got, _, skipped := pushed(t, lines); got != "/3 /2" || skipped {
		t.Errorf("got %s %v", got, skipped)
	}
}

func TestStrangersSeeLessInTheFeedOfAPublicSite(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	n.must(&accounts.UpdateSite{ID: p.site.ID, Public: new(true)})
	n.watch.Look(p.site.ID, inspect.Ask{})
	n.arrive(p.site.ID, "/a", analytics.Counted)
	_, events, _ := pushed(t, n.browser().events(t.Context(), feedPath))
	if e := events[0]; e.Page != "/a" || e.Country != "DE" || e.City != "" || e.Browser != "" || e.Edge != "" || e.Host != "" {
		t.Errorf("%+v", e)
	}
}

func TestAFeedThatEndsLeavesNothingBehind(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PingInterval = 5 * time.Millisecond })
	p := n.people()
	lines := n.as(p, Viewer).events(t.Context(), feedPath)
	line(t, lines, ": ping")
	n.must(&accounts.DeleteUser{Org: p.site.Org, ID: p.user[Viewer].ID})
	until(t, "the stream ends", func() bool {
		n.handler.others.mu.Lock()
		defer n.handler.others.mu.Unlock()
		return len(n.handler.others.each) == 0
	})
	until(t, "its place is free", func() bool {
		n.handler.streams.mu.Lock()
		defer n.handler.streams.mu.Unlock()
		return n.handler.streams.all == 0
	})
}

func TestTheCheckTellsWhatCameIn(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Viewer)
	const path = "/v1/sites/shop.example/check"
	if got := b.do("GET", path, "").want(200).body; got != `{"first_event":null,"last_event":null,"events_today":0,"dropped_today":{}}` {
		t.Errorf("got %s", got)
	}
	n.signs = [2]int64{begin.Add(-48 * time.Hour).UnixMilli(), begin.Add(-time.Minute).UnixMilli()}
	n.count.add(p.site.ID, begin.Add(-11*time.Hour), 1) // 00:30 in Berlin
	n.count.add(p.site.ID, begin.Add(-12*time.Hour), 1) // yesterday
	n.dropped[int32(begin.Unix()/86400)] = map[analytics.Reason]uint64{analytics.DropBot: 3}
	n.dropped[int32(begin.Unix()/86400)-1] = map[analytics.Reason]uint64{analytics.DropBot: 9}
	if got := b.do("GET", path, "").want(200).body; got != `{"first_event":"2026-11-16T10:30:00Z","last_event":"2026-11-18T10:29:00Z","events_today":1,"dropped_today":{"bot":3}}` {
		t.Errorf("got %s", got)
	}
}

func TestReportsOfASiteAreSetUp(t *testing.T) {
	n := newNode(t, func(o *Options) { o.SendsMail = true })
	p := n.people()
	b := n.as(p, Admin)
	const path = "/v1/sites/shop.example/reports"
	if got := b.do("GET", path, "").want(200).body; got != `{"weekly":{"emails":[],"webhooks":[]},"monthly":{"emails":[],"webhooks":[]},"secret":"","mail":true}` {
		t.Errorf("got %s", got)
	}
	var first, second reportsBody
	b.do("PUT", path, `{"weekly":{"emails":["A@b.example"],"webhooks":["https://a.example/hook"]},"monthly":{}}`).
		want(200, `"weekly":{"emails":["a@b.example"],"webhooks":["https://a.example/hook"]}`).read(&first)
	b.do("PUT", path, `{"monthly":{"emails":["c@d.example"]}}`).want(200, `"weekly":{"emails":[],`).read(&second)
	if len(first.Secret) != 43 || second.Secret != first.Secret {
		t.Errorf("secrets %q and %q", first.Secret, second.Secret)
	}
	n.must(&accounts.ClaimReport{Site: p.site.ID, Cadence: accounts.Monthly, Period: "2026-10-01", By: 1})
	b.do("GET", path, "").want(200, `"monthly":{"emails":["c@d.example"],"webhooks":[],"last_period":"2026-10-01"}`)
	b.do("PUT", path, `{"weekly":{"emails":["nobody"]},"monthly":{}}`).want(400, "weekly.emails[0]: ")
	b.do("PUT", path, `{"weekly":{"webhooks":["gopher://x"]},"monthly":{}}`).want(400, "weekly.webhooks[0]: ")
	b.do("PUT", path, `{"daily":{}}`).want(400, "daily: is not a field")
}
