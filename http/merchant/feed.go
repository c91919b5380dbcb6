package merchant

import (
	"bufio"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/inspect"
)

const (
	// feedMax is how many events one push of a feed carries, the newest.
	feedMax = 50
	// peersEvery is how often the other nodes are asked, however many feeds of a
	// site are open.
	peersEvery = time.Second
)

// feed streams the counted events of a site as they come. On opening it gives the
// newest that are known; of a site that is busier than a feed can carry, the
// newest, and says that it left others out.
func (h *Handler) feed(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, read)
	if err != nil {
		return err
	}
	caller := h.callerKey(ctx, who)
	f := &feed{stream: stream{h: h, site: site, who: who, conn: ctx.Conn()}, last: map[string]string{}}
	var p *place
	if !ctx.IsHead() {
		if p, err = h.streams.open(caller, ctx.Conn()); err != nil {
			return err
		}
	}
	streamHeader(ctx)
	if ctx.IsHead() {
		return nil
	}
	f.events = h.opts.Watch.Subscribe(site.ID)
	f.others = h.others.join(site.ID)
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer h.streams.close(p)
		defer f.events.Close()
		defer h.others.leave(site.ID)
		f.run(w)
	})
	return nil
}

// feed is one open stream of events.
type feed struct {
	stream
	events *inspect.Subscription
	others *others
	last   map[string]string // id of the last event sent, by edge
}

func (f *feed) run(w *bufio.Writer) {
	if !f.flush(w, []byte("retry: 2000\n\n")) || !f.push(w) {
		return
	}
	ping := time.NewTicker(f.h.opts.PingInterval)
	defer ping.Stop()
	var ask <-chan time.Time
	if f.h.opts.Peers != nil {
		tick := time.NewTicker(peersEvery)
		defer tick.Stop()
		ask = tick.C
	}
	for {
		select {
		case <-f.h.stop:
			return
		case <-ping.C:
			f.events.Keep()
			if !f.allowed() || !f.flush(w, []byte(": ping\n\n")) {
				return
			}
		case <-ask:
			if !f.push(w) {
				return
			}
		case <-f.events.C:
			f.events.Keep()
			if !f.push(w) || !f.pause() {
				return
			}
		}
	}
}

// push sends what came since the last push.
func (f *feed) push(w *bufio.Writer) bool {
	ask := inspect.Ask{Limit: feedMax, Verdict: inspect.Counted}
	parts := append([]inspect.Part{f.h.opts.Watch.Look(f.site.ID, ask)}, f.others.parts(f.h, f.site.ID, ask)...)
	out := struct {
		Events  []inspect.Event `json:"events"`            // newest first
		Skipped bool            `json:"skipped,omitempty"` // there were more
	}{}
	for i := range parts {
		var known bool
		if parts[i].Events, known = f.since(parts[i]); !known {
			out.Skipped = true
		}
	}
	all, _ := inspect.Merge(parts, feedMax*len(parts))
	if len(all) == 0 {
		return true
	}
	out.Events = all[:min(len(all), feedMax)]
	out.Skipped = out.Skipped || len(all) > feedMax
	if !f.who.Belongs(f.site) {
		for i := range out.Events {
			out.Events[i] = coarse(out.Events[i])
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		return false
	}
	f.out = append(append(append(f.out[:0], "event: events\ndata: "...), body...), "\n\n"...)
	return f.flush(w, f.out)
}

// since gives the events of a part after the last one sent; known is false when
// that is not among them any more.
func (f *feed) since(p inspect.Part) (fresh []inspect.Event, known bool) {
	fresh, known = p.Events, true
	if last := f.last[p.Edge]; last != "" {
		known = false
		for i := range fresh {
			if fresh[i].ID == last {
				fresh, known = fresh[i+1:], true
				break
			}
		}
	}
	if len(p.Events) > 0 {
		f.last[p.Edge] = p.Events[len(p.Events)-1].ID
	} else {
		known = true
	}
	return fresh, known
}

// coarse leaves out of an event what together could tell strangers who it was.
func coarse(e inspect.Event) inspect.Event {
	return inspect.Event{ID: e.ID, Time: e.Time, Kind: e.Kind, Name: e.Name, Page: e.Page, Source: e.Source, Country: e.Country, Device: e.Device, Verdict: e.Verdict}
}

// otherNodes let the feeds of a site share what the other nodes say.
type otherNodes struct {
	mu   sync.Mutex
	each map[analytics.SiteID]*others
}

type others struct {
	feeds int // guarded by otherNodes.mu

	mu    sync.Mutex
	at    time.Time
	known []inspect.Part
}

func newOtherNodes() *otherNodes { return &otherNodes{each: map[analytics.SiteID]*others{}} }

func (o *otherNodes) join(site analytics.SiteID) *others {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := o.each[site]
	if x == nil {
		x = &others{}
		o.each[site] = x
	}
	x.feeds++
	return x
}

func (o *otherNodes) leave(site analytics.SiteID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := o.each[site]
	if x.feeds--; x.feeds == 0 {
		delete(o.each, site)
	}
}

// parts gives what the other nodes have, as they said it within peersEvery. A
// caller may change the list, not the events.
func (o *others) parts(h *Handler, site analytics.SiteID, ask inspect.Ask) []inspect.Part {
	if h.opts.Peers == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.at) >= peersEvery {
		ctx, cancel := context.WithTimeout(context.Background(), peersWait)
		defer cancel()
		o.known, _ = h.opts.Peers.Look(ctx, site, ask)
		o.at = time.Now()
	}
	return append([]inspect.Part(nil), o.known...)
}
