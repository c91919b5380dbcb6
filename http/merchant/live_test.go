package merchant

import (
	"context"
	"strings"
	"testing"
	"time"

	"footfall/analytics/accounts"
)

const livePath = "/v1/sites/shop.example/live"

func TestTheStreamTellsTheNumbersOnOpeningAndAtEachChange(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PushInterval = time.Millisecond })
	p := n.people()
	n.pulse.index.Store(41)
	n.count.add(p.site.ID, begin.Add(-time.Minute), 1)
	lines := n.as(p, Viewer).events(t.Context(), livePath)
	for _, want := range []string{"retry: 2000", "event: change", "id: 41", `data: {"index":41,"live":1}`} {
		if got := line(t, lines, ""); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	n.count.add(p.site.ID, begin, 2)
	n.pulse.publish()
	if got := line(t, lines, "data: "); got != `data: {"index":42,"live":2}` {
		t.Fatalf("got %q", got)
	}
}

func TestManyChangesBecomeFewEvents(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PushInterval = time.Hour })
	p := n.people()
	n.pulse.index.Store(1)
	lines := n.as(p, Viewer).events(t.Context(), livePath)
	line(t, lines, "data: ")
	n.pulse.publish()
	line(t, lines, "data: ")
	for range 1000 { // within the hour of the pause: none of them is pushed
		n.pulse.publish()
	}
	n.handler.CloseStreams()
	for l := range lines {
		if strings.HasPrefix(l, "data: ") {
			t.Errorf("one more event: %s", l)
		}
	}
	if n.pulse.size() != 0 {
		t.Errorf("%d subscriptions left", n.pulse.size())
	}
}

func TestVisitorsWhoLeaveAreNoticedWithoutAnEvent(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PingInterval = 5 * time.Millisecond })
	p := n.people()
	n.count.add(p.site.ID, begin, 1)
	lines := n.as(p, ReadKey).events(t.Context(), livePath)
	if got := line(t, lines, "data: "); !strings.HasSuffix(got, `"live":1}`) {
		t.Fatalf("got %q", got)
	}
	n.now.Add(liveMS + 1)
	if got := line(t, lines, "data: "); !strings.HasSuffix(got, `"live":0}`) {
		t.Fatalf("got %q", got)
	}
	line(t, lines, ": ping")
}

func TestStreamEndsWhenItsReaderMayReadNoMore(t *testing.T) {
	for name, c := range map[string]struct {
		caller Caller
		end    func(n *node, p people)
	}{
		"signed out":  {Viewer, func(n *node, p people) { n.must(&accounts.CloseSessions{User: p.user[Viewer].ID}) }},
		"removed":     {Viewer, func(n *node, p people) { n.must(&accounts.DeleteUser{Org: p.site.Org, ID: p.user[Viewer].ID}) }},
		"too old":     {Viewer, func(n *node, p people) { n.now.Add(15 * 24 * 3600_000) }},
		"key revoked": {ReadKey, func(n *node, p people) { n.must(&accounts.RevokeKey{Org: p.site.Org, ID: keyNamed(n, p, ReadKey)}) }},
		"site gone":   {Operator, func(n *node, p people) { n.must(&accounts.DeleteSite{ID: p.site.ID}) }},
		"node stops":  {Operator, func(n *node, p people) { n.handler.CloseStreams() }},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, func(o *Options) { o.PingInterval = 5 * time.Millisecond })
			p := n.people()
			lines := n.as(p, c.caller).events(t.Context(), livePath)
			line(t, lines, ": ping")
			c.end(n, p)
			until(t, "the stream is closed", func() bool {
				for {
					select {
					case _, open := <-lines:
						if !open {
							return true
						}
					default:
						return false
					}
				}
			})
			until(t, "the subscription is cancelled", func() bool { return n.pulse.size() == 0 })
		})
	}
}

func keyNamed(n *node, p people, c Caller) uint64 {
	for k := range n.house.View().KeysOf(p.site.Org) {
		if k.Name == string(c) {
			return k.ID
		}
	}
	n.t.Fatal("no such key")
	return 0
}

func TestStreamsAreBoundedPerCallerAndFreedWhenTheReaderGoes(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PingInterval = 5 * time.Millisecond; o.StreamsPerCaller = 2; o.StreamsMax = 3 })
	p := n.people()
	viewer := n.as(p, Viewer)
	ctx, leave := context.WithCancel(t.Context())
	line(t, viewer.events(ctx, livePath), "data: ")
	line(t, viewer.events(ctx, livePath), "data: ")
	viewer.do("GET", livePath, "").want(429, "live: ")
	line(t, n.as(p, Admin).events(t.Context(), livePath), "data: ")
	n.as(p, Owner).do("GET", livePath, "").want(503, "live: ")
	leave()
	until(t, "the places are free", func() bool { return n.pulse.size() == 1 })
	line(t, viewer.events(t.Context(), livePath), "data: ")
}

// TestWhoTurnsPagesFastIsNotRefused: the streams of the pages before have not
// written since their reader went.
func TestWhoTurnsPagesFastIsNotRefused(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PingInterval = time.Hour; o.StreamsPerCaller = 2; o.StreamsMax = 3 })
	p := n.people()
	viewer := n.as(p, Viewer)
	staying := viewer.events(t.Context(), livePath)
	line(t, staying, "data: ")
	for range 10 {
		ctx, leave := context.WithCancel(t.Context())
		var lines <-chan string
		until(t, "there is a place", func() bool { // the end of the connection before may be on its way
			lines, _ = viewer.tryEvents(ctx, livePath)
			return lines != nil
		})
		line(t, lines, "data: ")
		if viewer.do("GET", livePath, "").want(429, "live: "); t.Failed() {
			leave()
			return
		}
		leave()
	}
}

func TestViewersOfASiteShareOneCount(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	lines := n.as(p, Viewer).events(t.Context(), livePath)
	line(t, lines, "data: ")
	x := n.handler.pulses.join(p.site.ID)
	defer n.handler.pulses.leave(p.site.ID)
	x.at = time.Time{} // as if the stream had not looked
	if _, _, err := x.count(n.handler, p.site, 7); err != nil {
		t.Fatal(err)
	}
	x.at = x.at.Add(time.Hour) // does not grow old during the test
	asked := n.count.asked
	for index := range uint64(100) { // newer ones among them: they wait for the next beat
		if seen, _, err := x.count(n.handler, p.site, index); err != nil || seen != 7 {
			t.Fatalf("looked to %d: %v", seen, err)
		}
	}
	if n.count.asked != asked {
		t.Errorf("asked %d times more", n.count.asked-asked)
	}
	x.at = x.at.Add(-2 * time.Hour)
	if seen, _, err := x.count(n.handler, p.site, 8); err != nil || seen != 8 || n.count.asked != asked+1 {
		t.Errorf("a change is not asked for: looked to %d, %v", seen, err)
	}
}

func TestAViewerWhoWasToldLessHearsTheRestByItself(t *testing.T) {
	n := newNode(t, func(o *Options) { o.PushInterval = 20 * time.Millisecond })
	p := n.people()
	n.pulse.index.Store(1)
	first, second := n.as(p, Viewer).events(t.Context(), livePath), n.as(p, Admin).events(t.Context(), livePath)
	line(t, first, "data: ")
	line(t, second, "data: ")
	for range 50 { // some of them within the beat of the other stream
		n.pulse.publish()
	}
	for _, lines := range []<-chan string{first, second} {
		for line(t, lines, "data: ") != `data: {"index":51,"live":0}` {
			continue
		}
	}
}

func TestTheMoreStreamsASiteHasTheFurtherApartArePushes(t *testing.T) {
	h := New(Options{PushInterval: 250 * time.Millisecond})
	x := h.pulses.join(1)
	if got := h.beat(x); got != 250*time.Millisecond {
		t.Errorf("one stream: %v", got)
	}
	for range 1999 {
		h.pulses.join(1)
	}
	if got := h.beat(x); got != time.Second {
		t.Errorf("2,000 streams: %v", got)
	}
}

func TestHeadOpensNoStream(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	ctx := request()
	ctx.Request.Header.SetMethod("HEAD")
	ctx.SetUserValue("site", p.site.Domain)
	if err := n.handler.live(ctx, accounts.Identity{Operator: true}); err != nil {
		t.Fatal(err)
	}
	if ctx.Response.IsBodyStream() || n.pulse.size() != 0 || n.handler.streams.all != 0 {
		t.Errorf("%d subscriptions, %d streams", n.pulse.size(), n.handler.streams.all)
	}
}

func TestAStreamOutlivesTheTimeoutOfPlainAnswers(t *testing.T) {
	const writeTimeout, ping, pings = 20 * time.Millisecond, 5 * time.Millisecond, 20
	n := newNodeWith(t, writeTimeout, func(o *Options) { o.PingInterval = ping })
	p := n.people()
	lines := n.as(p, Viewer).events(t.Context(), livePath)
	for range pings { // they are at least ping apart, so the last is long after the timeout
		line(t, lines, ": ping")
	}
}
