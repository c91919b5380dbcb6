package beacon

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

const (
	// batchesMax is how many large requests are worked on at a time; one more is
	// refused with 503. It bounds memory at about batchesMax × 64 MiB.
	batchesMax = 8
	// largeBytes makes a request a large one.
	largeBytes = 256 << 10
)

// events answers POST /v1/events for senders with a key of scope events:write:
// one event, an array of them, or {"events": […], "keep_bots": true}, at most
// BatchEventsMax, plain or compressed by gzip or zstd. Unknown fields are
// ignored, so that newer senders work with older nodes. Each event is judged by
// itself; the answer tells of each what became of it, in order.
//
// The status is 202 if anything was accepted, a duplicate, or dropped by a
// rule; 403 if the key may write to none of the sites, 400 if nothing was
// right, 503 if nothing could be recorded now.
func (d *Door) events(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	body, encoding := ctx.Request.Body(), string(ctx.Request.Header.Peek("Content-Encoding"))
	if len(body) > largeBytes || encoding != "" {
		select {
		case d.batches <- struct{}{}:
			defer func() { <-d.batches }()
		default:
			return analytics.Errorf(analytics.Overloaded, "events: too many large requests at a time")
		}
	}
	body, err := decompress(encoding, body)
	if err != nil {
		return err
	}
	spans, keepBots, err := split(body)
	if err != nil {
		return err
	}
	b := d.newBatch(who, len(spans))
	defer d.reuse(b)
	b.keepBots = keepBots || ctx.QueryArgs().GetBool("keep_bots")
	for i, span := range spans {
		b.take(i, span)
		if b.unsalted {
			d.count.failed.Inc()
			return errNoSalt // before anything is recorded
		}
	}
	if err := b.record(); err != nil {
		return err
	}
	b.answer(ctx)
	return nil
}

// batch is one request of many events.
type batch struct {
	door     *Door
	who      accounts.Identity
	nowMS    int64
	keepBots bool
	unsalted bool // there is no salt to tell visitors apart with
	parser   fastjson.Parser
	arena    arena
	entry    entry
	made     analytics.Event // of entry

	results []result
	groups  []*group // in the order in which their sites first occur
	bySite  map[analytics.SiteID]*group
	spare   []*group // of earlier requests, empty
	out     []byte   // the answer
}

// Batches that are larger are not kept for the next request.
const (
	reusedEventsMax = 4096
	reusedGroupsMax = 256
)

// newBatch gives the batch of a request of n events, one of an earlier request
// if there is one: a large part of what an event costs is memory for it.
func (d *Door) newBatch(who accounts.Identity, n int) *batch {
	b, ok := d.used.Get().(*batch)
	if !ok {
		b = &batch{bySite: map[analytics.SiteID]*group{}}
	}
	b.door, b.who, b.nowMS = d, who, d.opts.Now().UnixMilli()
	if cap(b.results) < n {
		b.results = make([]result, n)
	}
	b.results = b.results[:n]
	return b
}

// reuse keeps the memory of a batch for another. Nothing of it may be in use:
// the Recorder and the Inspector keep nothing, and the answer was copied.
func (d *Door) reuse(b *batch) {
	if len(b.results) > reusedEventsMax || len(b.groups)+len(b.spare) > reusedGroupsMax {
		return
	}
	for _, g := range b.groups {
		clear(g.events)
		g.site, g.events, g.index, g.token = nil, g.events[:0], g.index[:0], analytics.Token{}
		b.spare = append(b.spare, g)
	}
	clear(b.groups)
	clear(b.bySite)
	clear(b.results)
	b.arena.reset()
	b.entry, b.made = entry{}, analytics.Event{}
	b.groups, b.who, b.keepBots, b.unsalted = b.groups[:0], accounts.Identity{}, false, false
	d.used.Put(b)
}

// group gives the group of a site, making it.
func (b *batch) group(site *analytics.Site) *group {
	if g := b.bySite[site.ID]; g != nil {
		return g
	}
	g := &group{}
	if n := len(b.spare); n > 0 {
		g, b.spare = b.spare[n-1], b.spare[:n-1]
	}
	g.site = site
	b.bySite[site.ID], b.groups = g, append(b.groups, g)
	return g
}

// result is what became of one event.
type result struct {
	status status
	reason string // of a rejected one
}

type status uint8

const (
	accepted  status = iota
	duplicate        // its id was seen before
	invalid          // the event is wrong
	forbidden        // the key may not write to its site
	refused          // by a rule of the site
	failed           // could not be recorded now
)

// word is how the answer says it; whatever is not counted is rejected.
func (s status) word() string {
	switch s {
	case accepted:
		return "accepted"
	case duplicate:
		return "duplicate"
	}
	return "rejected"
}

// group is the events of one site.
type group struct {
	site   *analytics.Site
	events []analytics.Event
	index  []int // of each in the request
	token  analytics.Token

	receipts []analytics.Receipt
}

const notAllowed = "site: not allowed"

// take reads and judges event i.
func (b *batch) take(i int, span []byte) {
	e := &b.entry
	*e = entry{index: i, arena: &b.arena, props: nil}
	if len(span) > analytics.BeaconBodyBytesMax {
		e.fail("", "longer than "+strconv.Itoa(analytics.BeaconBodyBytesMax)+" bytes")
	} else if v, err := b.parser.ParseBytes(span); err != nil {
		e.fail("", "not readable as JSON")
	} else {
		e.read(v)
	}
	site, found := b.site(e)
	if site != nil && !b.who.MayWriteEvents(site) {
		b.door.count.dropped(analytics.DropInvalid)
		b.results[i] = result{forbidden, notAllowed}
		return
	}
	if e.wrong == "" && !found {
		b.door.drop(0, analytics.DropUnknownSite, b.nowMS)
		b.results[i] = result{invalid, string(analytics.DropUnknownSite)}
		return
	}
	ev := &b.made
	*ev = analytics.Event{}
	if e.wrong == "" {
		if reason := b.event(e, site, ev); reason != analytics.Counted && e.wrong == "" {
			b.noteDrop(site, ev, e, reason)
			b.refuse(i, site, reason)
			return
		}
	}
	if e.wrong != "" {
		var id analytics.SiteID
		if site != nil {
			id = site.ID
			b.noteDrop(site, ev, e, e.wrongReason)
		}
		b.door.drop(id, e.wrongReason, b.nowMS)
		b.results[i] = result{invalid, e.wrong}
		return
	}
	g := b.group(site)
	g.events, g.index = append(g.events, *ev), append(g.index, i)
}

// site finds the site that e names, or that its URL's host is.
func (b *batch) site(e *entry) (*analytics.Site, bool) {
	name := e.site
	if name == "" {
		name = e.target.Host
	}
	if name == "" {
		if e.wrong == "" {
			e.fail("site", "is required")
		}
		return nil, false
	}
	domain, _ := lower(bytesOf(name), nil)
	return b.door.opts.Directory.Site(trimHost(domain))
}

func (b *batch) refuse(i int, site *analytics.Site, reason analytics.Reason) {
	b.door.drop(site.ID, reason, b.nowMS)
	b.results[i] = result{refused, string(reason)}
}

// record hands the events on, site by site. A site that cannot record rejects
// its events; the error is given back only if nothing at all was recorded, so
// that the whole request can be sent again.
func (b *batch) record() error {
	var failure error
	recorded := false
	for _, g := range b.groups {
		receipts := slices.Grow(g.receipts[:0], len(g.events))[:len(g.events)]
		clear(receipts)
		g.receipts = receipts
		if err := b.door.opts.Recorder.RecordBatch(g.site.ID, g.events, receipts); err != nil {
			failure = err
			b.door.count.failed.Add(len(g.events))
			for _, i := range g.index {
				b.results[i] = result{failed, "unavailable: send it again"}
			}
			continue
		}
		recorded = true
		watching := b.door.opts.Inspector.Watching(g.site.ID, b.nowMS)
		for k, receipt := range receipts {
			if watching {
				b.door.opts.Inspector.Note(g.site.ID, &g.events[k], receipt.Reason, "")
			}
			if receipt.Token.Index > g.token.Index {
				g.token = receipt.Token
			}
			b.door.count.receipt(receipt.Reason)
			switch receipt.Reason {
			case analytics.Counted:
			case analytics.DropDuplicate:
				b.results[g.index[k]] = result{status: duplicate}
			default:
				b.results[g.index[k]] = result{refused, string(receipt.Reason)}
			}
		}
	}
	if recorded {
		return nil
	}
	return failure
}

// answer writes what became of each event.
func (b *batch) answer(ctx *fasthttp.RequestCtx) {
	var count [failed + 1]int
	out := append(b.out[:0], `{"results":[`...)
	for i, r := range b.results {
		if i > 0 {
			out = append(out, ',')
		}
		count[r.status]++
		out = append(append(append(out, `{"status":"`...), r.status.word()...), '"')
		if r.reason != "" {
			out = append(append(out, `,"reason":`...), quote(r.reason)...)
		}
		out = append(out, '}')
	}
	rejected := len(b.results) - count[accepted] - count[duplicate]
	out = strconv.AppendInt(append(out, `],"accepted":`...), int64(count[accepted]), 10)
	out = strconv.AppendInt(append(out, `,"duplicates":`...), int64(count[duplicate]), 10)
	out = strconv.AppendInt(append(out, `,"rejected":`...), int64(rejected), 10)
	out, token := b.appendTokens(out)
	out = append(out, '}')

	switch {
	case rejected < len(b.results) || count[refused]+count[failed] > 0:
		ctx.SetStatusCode(fasthttp.StatusAccepted)
	case count[forbidden] == rejected:
		ctx.SetStatusCode(fasthttp.StatusForbidden)
	default:
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
	}
	if token.Index != 0 {
		ctx.Response.Header.Set("X-Footfall-Token", token.String())
	}
	ctx.SetContentType("application/json; charset=utf-8")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetBody(out)
	b.out = out
}

// appendTokens writes the write token: that of the last site written to, and,
// where there are several sites, each one's by its domain.
func (b *batch) appendTokens(out []byte) ([]byte, analytics.Token) {
	var token analytics.Token
	for _, g := range b.groups {
		if g.token.Index != 0 {
			token = g.token
		}
	}
	out = append(token.Append(append(out, `,"token":"`...)), '"')
	if len(b.groups) < 2 {
		return out, token
	}
	out = append(out, `,"tokens":{`...)
	for i, g := range b.groups {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, quote(g.site.Domain)...), `:"`...)
		out = append(g.token.Append(out), '"')
	}
	return append(out, '}'), token
}

func quote(s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // cannot happen: texts always encode
	}
	return q
}
