package beacon

import (
	"bytes"
	"net/netip"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/enrich"
	"footfall/enrich/visitor"
	"footfall/http/door"
)

// request is the working memory of one request of the public doors, pooled.
// Everything in it is valid until the handler returns.
type request struct {
	form   form
	hit    hit
	faults faults
	props  []analytics.Prop
	buf    []byte // decoded texts
	event  analytics.Event

	addr      netip.Addr
	ua        []byte
	headerID  []byte
	addrClass []byte // what a trusted proxy says of the address
	nowMS     int64

	dropped int                // events not counted
	reasons []analytics.Reason // of those, each once
	token   analytics.Token    // of the last event counted
}

func (r *request) reset() {
	r.hit, r.faults, r.event = hit{}, faults{}, analytics.Event{}
	r.props, r.buf, r.reasons = r.props[:0], r.buf[:0], r.reasons[:0]
	r.addr, r.ua, r.headerID, r.addrClass = netip.Addr{}, nil, nil, nil
	r.dropped, r.token = 0, analytics.Token{}
}

// release gives r back, unless it has grown out of proportion.
func (d *Door) release(r *request) {
	if !r.form.bulky {
		d.requests.Put(r)
	}
}

// userAgentBytesMax is how much of a user agent is looked at.
const userAgentBytesMax = 1024

var (
	headerEventID        = []byte("X-Event-Id")
	headerIdempotencyKey = []byte("Idempotency-Key")
	headerDebug          = []byte("X-Debug-Request")
	headerAddrClass      = []byte("X-Plausible-Ip-Type")
	headerPlatform       = []byte("Sec-Ch-Ua-Platform")
	headerMobile         = []byte("Sec-Ch-Ua-Mobile")
	headerLanguage       = []byte("Accept-Language")
)

// readHeaders takes who asks, and when.
func (d *Door) readHeaders(r *request, ctx *fasthttp.RequestCtx) {
	h := &ctx.Request.Header
	r.nowMS = d.opts.Now().UnixMilli()
	r.ua = h.UserAgent()
	if len(r.ua) > userAgentBytesMax {
		r.ua = r.ua[:userAgentBytesMax]
	}
	if r.headerID = h.PeekCanonical(headerEventID); len(r.headerID) == 0 {
		r.headerID = h.PeekCanonical(headerIdempotencyKey)
	}
	r.addr = door.Peer(ctx)
	if door.Trusts(d.opts.Trusted, r.addr) {
		f := door.ReadForwarded(ctx)
		r.addr, _ = f.Client(r.addr, d.opts.Trusted)
		r.addrClass = h.PeekCanonical(headerAddrClass)
	}
}

// recordAll judges the hit for every site it names and records it where
// nothing speaks against it. An error means that a recorder cannot count now;
// what was recorded before it stays.
func (d *Door) recordAll(r *request, ctx *fasthttp.RequestCtx) error {
	h := &r.hit
	acq, spam := d.opts.Enricher.Acquisition(text(h.referrer), h.page.Host, h.page.Query)
	r.prepare(d, ctx, acq)
	for list := h.domains; len(list) > 0; {
		var domain []byte
		domain, list = nextDomain(list)
		if len(domain) == 0 {
			continue
		}
		site, reason := d.gate(r, domain, spam)
		if reason == analytics.Counted {
			reason = d.judge(r, ctx, site)
		}
		if reason != analytics.Counted {
			var id analytics.SiteID
			if site != nil {
				id = site.ID
			}
			d.drop(id, reason, r.nowMS)
			r.drop(reason)
			if site != nil && d.opts.Inspector.Watching(id, r.nowMS) {
				d.noteDrop(r, ctx, site, reason)
			}
			continue
		}
		if err := d.record(r, site); err != nil {
			return err
		}
	}
	return nil
}

// gate finds the site and asks what does not depend on the page: first whether
// the referrer is spam, then whether the site exists and has not had too much.
func (d *Door) gate(r *request, domain []byte, spam bool) (*analytics.Site, analytics.Reason) {
	site, known := d.opts.Directory.Site(domain)
	switch {
	case spam:
		return site, analytics.DropSpam
	case !known:
		return nil, analytics.DropUnknownSite
	case !d.sites.takeNumber(uint64(site.ID), r.nowMS):
		return site, analytics.DropRateLimited
	}
	return site, analytics.Counted
}

// judge tells why the hit is not counted for site. The order is that of
// Plausible, so that the same input is dropped for the same reason.
func (d *Door) judge(r *request, ctx *fasthttp.RequestCtx, site *analytics.Site) analytics.Reason {
	rules := d.rules.of(site)
	switch {
	case verification(r.ua):
		return analytics.DropVerification
	case string(r.addrClass) == "dc_ip":
		return analytics.DropDatacenter
	case !rules.allowsHost(r.event.Host):
		return analytics.DropHostname
	case rules.blocksPage(r.event.Page):
		return analytics.DropPage
	case rules.blocksAddr(r.addr):
		return analytics.DropIP
	case rules.blocksCountry(r.event.Place.Country):
		return analytics.DropCountry
	}
	h := &ctx.Request.Header
	agent := d.opts.Enricher.UserAgent(r.ua, enrich.Hints{Platform: h.PeekCanonical(headerPlatform), Mobile: h.PeekCanonical(headerMobile)})
	if agent.Bot {
		return analytics.DropBot
	}
	r.event.Agent = agent.Agent
	return analytics.Counted
}

// verification recognises the agents that check an installation.
func verification(ua []byte) bool { return bytes.Contains(ua, verificationAgent) }

var verificationAgent = []byte("Verification Agent")

// prepare fills in what is the same for every site.
func (r *request) prepare(d *Door, ctx *fasthttp.RequestCtx, acq analytics.Acquisition) {
	h, e := &r.hit, &r.event
	e.Kind, e.Time = h.kind, r.nowMS
	e.Name, e.Page, e.Host = text(h.name), h.page.Page, h.page.Host
	e.NonInteractive, e.ScrollDepth, e.EngagedMS = h.nonInteractive, h.scroll, h.engagedMS
	e.Props, e.Revenue = h.props, h.revenue
	e.Acquisition = acq
	e.Place = d.opts.Enricher.Place(r.addr)
	if string(r.addrClass) == "anonymous_vpn_ip" {
		e.Place = analytics.Place{Country: "A1"}
	}
	e.Screen = enrich.ScreenClass(h.screenWidth)
	language := h.language
	if len(language) == 0 {
		language = ctx.Request.Header.PeekCanonical(headerLanguage)
	}
	e.Language = enrich.Language(language)
}

var errNoSalt = &analytics.Error{Code: analytics.Unavailable, Text: "visitors cannot be told apart yet: this node has no salt for today"}

// record gives the event its identity within site and hands it on.
func (d *Door) record(r *request, site *analytics.Site) error {
	e := &r.event
	if len(r.hit.id) > 0 {
		e.ID = visitor.EventID(&site.Secret, text(r.hit.id))
	} else {
		e.ID = d.randomID()
	}
	current, previous := d.salts(site, r.nowMS)
	if current == nil {
		d.count.failed.Inc()
		return errNoSalt
	}
	root := ""
	if e.Host != enrich.NoHost {
		root = d.opts.Enricher.RegistrableDomain(e.Host)
	}
	e.Visitor, e.Previous = visitor.ID(current, site.ID, r.addr, r.ua, root), 0
	if previous != nil {
		e.Previous = visitor.ID(previous, site.ID, r.addr, r.ua, root)
	}
	receipt, err := d.opts.Recorder.Record(site.ID, e)
	if err != nil {
		d.count.failed.Inc()
		return err
	}
	d.count.receipt(receipt.Reason)
	if d.opts.Inspector.Watching(site.ID, r.nowMS) {
		d.opts.Inspector.Note(site.ID, e, receipt.Reason, "")
	}
	if receipt.Token.Index != 0 {
		r.token = receipt.Token
	}
	if receipt.Reason != analytics.Counted {
		r.drop(receipt.Reason)
	}
	return nil
}

// drop notes for the answer that an event was not counted. A duplicate was,
// when it came first.
func (r *request) drop(reason analytics.Reason) {
	if reason != analytics.DropDuplicate {
		r.dropped++
	}
	for _, known := range r.reasons {
		if known == reason {
			return
		}
	}
	r.reasons = append(r.reasons, reason)
}
