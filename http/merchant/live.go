package merchant

import (
	"bufio"
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// stuckAfter ends a stream whose reader takes nothing for this long. It is
// longer than the ping interval, so a reader that is there never meets it.
const stuckAfter = 30 * time.Second

// live streams one event whenever the numbers of a site changed. The stream
// ends when the caller may not read the site any more, when the node stops, and
// when the reader goes away; browsers come back by themselves.
func (h *Handler) live(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.countedOf(ctx, who, read)
	if err != nil {
		return err
	}
	caller := h.callerKey(ctx, who)
	s := &stream{h: h, site: site, who: who, conn: ctx.Conn()}
	var cancel func()
	var p *place
	if !ctx.IsHead() {
		if s.changed, s.index, cancel, err = h.opts.Live.Subscribe(site.ID); err != nil {
			return err
		}
		if p, err = h.streams.open(caller, ctx.Conn()); err != nil {
			cancel()
			return err
		}
	}
	streamHeader(ctx)
	if ctx.IsHead() {
		return nil
	}
	s.pulse = h.pulses.join(site.ID)
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer h.streams.close(p)
		defer cancel()
		defer h.pulses.leave(site.ID)
		s.run(w)
	})
	return nil
}

// streamHeader begins the answer of a stream.
func streamHeader(ctx *fasthttp.RequestCtx) {
	header := &ctx.Response.Header
	header.SetContentType("text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-cache, no-transform")
	header.Set("X-Accel-Buffering", "no")
	if ctx.IsHead() {
		return
	}
	// The server's own deadline is for a whole answer. From here on each write
	// moves it, see stream.flush.
	_ = ctx.SetWriteDeadline(time.Now().Add(stuckAfter))
	ctx.SetConnectionClose()
}

// callerKey is under what name the streams of a caller are counted.
func (h *Handler) callerKey(ctx *fasthttp.RequestCtx, who accounts.Identity) string {
	switch {
	case who.User != 0:
		return "user " + strconv.FormatUint(who.User, 10)
	case who.Key != 0:
		return "key " + strconv.FormatUint(who.Key, 10)
	case who.Operator:
		return "operator"
	}
	return h.addressKey(ctx)
}

// stream is one open live stream. It runs on the goroutine that the server
// gives it and touches nothing of the request.
type stream struct {
	h       *Handler
	site    *analytics.Site
	who     accounts.Identity
	conn    net.Conn
	changed <-chan struct{}
	index   func() uint64
	pulse   *pulse
	out     []byte

	sent     bool
	lastSeen uint64 // index of the last event
	lastLive int
	behind   bool // there was more than it was given to tell
}

func (s *stream) run(w *bufio.Writer) {
	if !s.flush(w, []byte("retry: 2000\n\n")) || !s.push(w) {
		return
	}
	ping := time.NewTicker(s.h.opts.PingInterval)
	defer ping.Stop()
	for {
		select {
		case <-s.h.stop:
			return
		case <-ping.C:
			// Visitors leave without an event, so the count is looked at here too.
			if !s.allowed() || !s.flush(w, []byte(": ping\n\n")) || !s.push(w) {
				return
			}
		case <-s.changed:
			for again := true; again; again = s.behind {
				if !s.push(w) || !s.pause() {
					return
				}
			}
		}
	}
}

// pause keeps the events of a busy site apart; what changes meanwhile waits in
// the channel. False when the node stops. The more streams a site has, the
// further apart: what they cost together stays the same.
func (s *stream) pause() bool {
	t := time.NewTimer(s.h.beat(s.pulse))
	defer t.Stop()
	select {
	case <-s.h.stop:
		return false
	case <-t.C:
		return true
	}
}

// push sends the present numbers if they differ from those sent last. A count
// that cannot be had just now is left for the next time.
func (s *stream) push(w *bufio.Writer) bool {
	newest := s.index()
	index, live, err := s.pulse.count(s.h, s.site, newest)
	s.behind = err == nil && index < newest
	if err != nil || s.sent && index == s.lastSeen && live == s.lastLive {
		return true
	}
	s.sent, s.lastSeen, s.lastLive = true, index, live
	out := append(s.out[:0], "event: change\nid: "...)
	out = strconv.AppendUint(out, index, 10)
	out = append(out, "\ndata: {\"index\":"...)
	out = strconv.AppendUint(out, index, 10)
	out = append(out, ",\"live\":"...)
	out = strconv.AppendInt(out, int64(live), 10)
	s.out = append(out, "}\n\n"...)
	return s.flush(w, s.out)
}

func (s *stream) flush(w *bufio.Writer, b []byte) bool {
	if s.conn != nil {
		_ = s.conn.SetWriteDeadline(time.Now().Add(stuckAfter)) // a connection that is gone says so below
	}
	_, err := w.Write(b)
	return err == nil && w.Flush() == nil
}

// allowed tells whether the caller may still read the site: rights, the session
// and the site itself can go while the stream is open.
func (s *stream) allowed() bool {
	view := s.h.view()
	site, ok := view.SiteByID(s.site.ID)
	if !ok {
		return false
	}
	s.site = site
	who, opened := s.who, view.StillOpen(s.who.Opened, s.h.now())
	switch {
	case who.User != 0:
		var hash accounts.Hash
		copy(hash[:], who.Session)
		session, alive := view.SessionByHash(&hash)
		user, ok := view.User(who.User)
		if !ok || !alive || !s.h.opts.Accounts.SessionUsed(session, s.h.now()) {
			who = accounts.Identity{}
			break
		}
		who.Role, who.Org = user.Role, user.Org
	case who.Key != 0:
		if _, ok := view.Key(who.Key); !ok {
			who = accounts.Identity{}
		}
	}
	who.Opened = opened
	return who.MayRead(site)
}

// streams counts the open streams, in all and per caller.
type streams struct {
	most, perCaller int

	mu   sync.Mutex
	all  int
	each map[string]map[*place]struct{}
}

// place is that of one stream.
type place struct {
	caller string
	conn   net.Conn
}

func newStreams(most, perCaller int) *streams {
	return &streams{most: most, perCaller: perCaller, each: map[string]map[*place]struct{}{}}
}

// open takes a place for a stream. A stream notices only when it next writes that
// its reader went to another page, so places of a caller who has too many are
// looked through for such.
func (s *streams) open(caller string, conn net.Conn) (*place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.each[caller]) >= s.perCaller {
		for p := range s.each[caller] {
			if door.PeerLeft(p.conn) {
				s.closeLocked(p)
			}
		}
	}
	switch {
	case s.all >= s.most:
		return nil, analytics.Errorf(analytics.Overloaded, "live: too many streams are open on this node")
	case len(s.each[caller]) >= s.perCaller:
		return nil, analytics.Errorf(analytics.TooMany, "live: you have %d streams open already", s.perCaller)
	}
	p := &place{caller, conn}
	if s.each[caller] == nil {
		s.each[caller] = map[*place]struct{}{}
	}
	s.each[caller][p] = struct{}{}
	s.all++
	return p, nil
}

func (s *streams) close(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked(p)
}

func (s *streams) closeLocked(p *place) {
	all := s.each[p.caller]
	if _, ok := all[p]; !ok {
		return
	}
	s.all--
	if delete(all, p); len(all) == 0 {
		delete(s.each, p.caller)
	}
}

// pulses let the streams of a site share what they tell: however many people
// look at a site, it is asked once per beat, and all hear the same index. So they
// ask the same next, and share the answers.
type pulses struct {
	mu   sync.Mutex
	each map[analytics.SiteID]*pulse
}

type pulse struct {
	streams atomic.Int64 // changed under pulses.mu

	mu    sync.Mutex
	index uint64
	at    time.Time
	live  int
}

// pulseLife is how long a count holds while no event comes.
const pulseLife = time.Second

func newPulses() *pulses { return &pulses{each: map[analytics.SiteID]*pulse{}} }

func (p *pulses) join(site analytics.SiteID) *pulse {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.each[site]
	if x == nil {
		x = &pulse{}
		p.each[site] = x
	}
	x.streams.Add(1)
	return x
}

func (p *pulses) leave(site analytics.SiteID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.each[site]
	if x.streams.Add(-1) == 0 {
		delete(p.each, site)
	}
}

// beatPerStream is how much each stream of a site adds to the time between two
// pushes.
const beatPerStream = 500 * time.Microsecond

// beat is the least time between two pushes of a stream, and between two counts.
func (h *Handler) beat(p *pulse) time.Duration {
	if p == nil { // a feed of events counts nobody
		return h.opts.PushInterval
	}
	return max(h.opts.PushInterval, time.Duration(p.streams.Load())*beatPerStream)
}

// count gives the live visitors and how far into the log they look: to index or
// further, or to where another stream looked within the beat. Streams that ask at
// the same time wait for the first one's answer.
func (p *pulse) count(h *Handler, site *analytics.Site, index uint64) (seen uint64, live int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := time.Since(p.at); !p.at.IsZero() && (p.index >= index && age < pulseLife || p.streams.Load() > 1 && age < h.beat(p)) {
		return p.index, p.live, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	live, err = h.liveVisitors(ctx, site)
	if err != nil {
		return 0, 0, err
	}
	p.index, p.at, p.live = index, time.Now(), live
	return index, live, nil
}
