package beacon

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/enrich"
	"footfall/http/door"
)

// dot is one transparent dot.
const dot = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" +
	"!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel answers GET /pixel.gif?site=&p=&r=, for pages without scripts and for
// mail: a page view of the path p, else of the page that embeds the picture,
// with the referrer r. The picture is always in the answer, and never cached.
// An id in the parameter id makes reloads of one picture count once.
func (d *Door) pixel(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	ctx.SetContentType("image/gif")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.SetBodyString(dot)
	if ctx.IsHead() {
		return nil
	}
	r := d.requests.Get().(*request)
	defer d.release(r)
	r.reset()
	d.readHeaders(r, ctx)
	switch {
	case !d.addresses.takeAddr(r.addr, r.nowMS):
		d.drop(0, analytics.DropRateLimited, r.nowMS)
		r.drop(analytics.DropRateLimited)
	case !r.readPixel(ctx):
		d.dropInvalid(r)
		r.drop(analytics.DropInvalid)
	default:
		if err := d.recordAll(r, ctx); err != nil {
			// Not 2xx, because nothing was counted; browsers show the picture anyway.
			ctx.SetStatusCode(door.Status(analytics.CodeOf(err)))
			ctx.Response.Header.Set("Retry-After", "2")
			return nil
		}
	}
	r.answer(ctx)
	return nil
}

// readPixel makes a page view of the query, false if it makes none.
func (r *request) readPixel(ctx *fasthttp.RequestCtx) bool {
	h, args := &r.hit, ctx.QueryArgs()
	h.kind, h.name, h.scroll = analytics.Pageview, pageview, analytics.ScrollNone
	h.domains, r.buf = lower(args.Peek("site"), r.buf)
	if bytes.IndexByte(h.domains, ',') >= 0 {
		r.faults.domain = "names one site"
		return false
	}
	if len(bytes.TrimSpace(h.domains)) == 0 {
		r.faults.domain = blankText
		return false
	}
	p := args.Peek("p")
	if len(p) > analytics.URLBytesMax {
		return false
	}
	embedding, wrong := parseURL(ctx.Request.Header.Referer())
	if wrong != "" {
		embedding = enrich.URL{Host: enrich.NoHost, Page: "/"}
	}
	h.page = embedding
	if len(p) > 0 {
		if h.page, wrong = parseURL(p); wrong != "" {
			return false
		}
		if h.page.Host == enrich.NoHost {
			h.page.Host = embedding.Host
		}
	}
	h.referrer, r.buf = valid(bytes.TrimSpace(args.Peek("r")), r.buf)
	h.referrer = cut(h.referrer, analytics.ReferrerBytesMax)
	if h.id = args.Peek("id"); len(h.id) > analytics.IDBytesMax {
		return false
	}
	return true
}
