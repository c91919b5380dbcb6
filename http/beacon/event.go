package beacon

import (
	"encoding/json"
	"strconv"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

var (
	okBody    = []byte("ok")
	plainText = []byte("text/plain; charset=utf-8")

	headerType    = []byte("Content-Type")
	headerOrigins = []byte("Access-Control-Allow-Origin")
	headerExpose  = []byte("Access-Control-Expose-Headers")
	headerDropped = []byte("X-Plausible-Dropped")
	headerReason  = []byte("X-Footfall-Dropped")
	headerToken   = []byte("X-Footfall-Token")

	anyOrigin = []byte("*")
	exposed   = []byte("X-Plausible-Dropped, X-Footfall-Dropped, X-Footfall-Token")
)

// event answers POST /api/event. The content type does not matter: trackers
// send JSON as text/plain, which spares browsers a preflight.
func (d *Door) event(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	ctx.Response.Header.SetCanonical(headerOrigins, anyOrigin)
	r := d.requests.Get().(*request)
	defer d.release(r)
	r.reset()
	d.readHeaders(r, ctx)
	if string(ctx.Request.Header.PeekCanonical(headerDebug)) == "true" {
		ctx.Response.Header.SetCanonical(headerType, plainText)
		ctx.SetBodyString(r.addr.String())
		return nil
	}
	if !d.addresses.takeAddr(r.addr, r.nowMS) {
		d.drop(0, analytics.DropRateLimited, r.nowMS)
		return tooMany(ctx)
	}
	if !r.form.parse(ctx.Request.Body()) {
		d.drop(0, analytics.DropInvalid, r.nowMS)
		writeFaults(ctx, faultsBody{Request: list("Unable to parse request body as json")})
		return nil
	}
	r.read()
	if r.faults.any() {
		d.dropInvalid(r)
		writeFaults(ctx, r.faults.body())
		return nil
	}
	if err := d.recordAll(r, ctx); err != nil {
		return err
	}
	if len(r.reasons) == 1 && r.reasons[0] == analytics.DropRateLimited && r.token.Index == 0 {
		return tooMany(ctx)
	}
	r.answer(ctx)
	h := &ctx.Response.Header
	h.SetCanonical(headerType, plainText)
	ctx.SetStatusCode(fasthttp.StatusAccepted)
	ctx.Response.SetBodyRaw(okBody)
	return nil
}

// answer sets the headers that tell what became of the events.
func (r *request) answer(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	if r.token.Index != 0 {
		from := len(r.buf)
		r.buf = r.token.Append(r.buf)
		h.SetCanonical(headerToken, r.buf[from:])
	}
	if len(r.reasons) == 0 {
		return
	}
	if r.dropped > 0 {
		from := len(r.buf)
		r.buf = strconv.AppendInt(r.buf, int64(r.dropped), 10)
		h.SetCanonical(headerDropped, r.buf[from:])
	}
	from := len(r.buf)
	for i, reason := range r.reasons {
		if i > 0 {
			r.buf = append(r.buf, ',')
		}
		r.buf = append(r.buf, reason...)
	}
	h.SetCanonical(headerReason, r.buf[from:])
	h.SetCanonical(headerExpose, exposed)
}

// dropInvalid counts a refused body for the sites it names.
func (d *Door) dropInvalid(r *request) {
	named := false
	for list := r.hit.domains; len(list) > 0 && r.faults.domain == ""; {
		var domain []byte
		domain, list = nextDomain(list)
		if site, ok := d.opts.Directory.Site(domain); ok {
			d.drop(site.ID, analytics.DropInvalid, r.nowMS)
			d.noteInvalid(r, site)
			named = true
		}
	}
	if !named {
		d.drop(0, analytics.DropInvalid, r.nowMS)
	}
}

func tooMany(ctx *fasthttp.RequestCtx) error {
	ctx.Response.Header.Set("Retry-After", "1")
	return analytics.Errorf(analytics.TooMany, "rate: too many events, try again in a second")
}

// preflight lets pages of any origin send events with any content type.
func (d *Door) preflight(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	h := &ctx.Response.Header
	h.SetCanonical(headerOrigins, anyOrigin)
	h.Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Content-Type, X-Event-Id, Idempotency-Key")
	h.Set("Access-Control-Max-Age", "86400")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// faultsBody is the dialect's form of what is wrong with a body.
type faultsBody struct {
	Domain    []string `json:"domain,omitempty"`
	EventName []string `json:"event_name,omitempty"`
	ID        []string `json:"id,omitempty"`
	Props     []string `json:"props,omitempty"`
	Request   []string `json:"request,omitempty"`
	URL       []string `json:"url,omitempty"`
}

func (f *faults) body() faultsBody {
	return faultsBody{Domain: list(f.domain), EventName: list(f.eventName), ID: list(f.id), Props: list(f.props), URL: list(f.url)}
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

func writeFaults(ctx *fasthttp.RequestCtx, f faultsBody) {
	body, err := json.Marshal(struct {
		Errors faultsBody `json:"errors"`
	}{f})
	if err != nil {
		door.WriteError(ctx, err)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusBadRequest)
	ctx.SetContentType("application/json; charset=utf-8")
	ctx.SetBody(body)
}
