package edge

import (
	"bytes"
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"unsafe"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// handle answers one request. The beacon is recognised by its bare request
// line, before the router; everything about it is public and cross-origin, so
// nothing else of this package runs for it.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	defer s.answered(ctx)
	h := &ctx.Request.Header
	if h.ContentLength() == chunked && twoLengths(h.RawHeaders()) {
		s.refuse(ctx, errTwoLengths)
		ctx.SetConnectionClose()
		return
	}
	if s.beacon != nil && string(h.RequestURI()) == beaconPath && string(h.Method()) == beaconMethod {
		if err := s.beacon(ctx, accounts.Identity{}); err != nil {
			allowOrigins(ctx)
			door.WriteError(ctx, err)
		}
		return
	}
	s.route(ctx)
}

// chunked is what fasthttp gives as the length of a chunked body.
const chunked = -1

var errTwoLengths = errors.New("both Content-Length and Transfer-Encoding")

// twoLengths tells whether the headers of a chunked body also give its length.
// Readers differ on what such a request means, so it is refused.
func twoLengths(raw []byte) bool {
	const name = "content-length:"
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		if len(line) >= len(name) && strings.EqualFold(text(line[:len(name)]), name) {
			return true
		}
		raw = rest
	}
	return false
}

// answered counts the answer and turns a panic into a 500. fasthttp recovers
// nothing by itself: one panic would end the process.
func (s *Server) answered(ctx *fasthttp.RequestCtx) {
	if p := recover(); p != nil {
		s.count.panics.Inc()
		s.opts.Logger.Error("panic in a handler", "request", ctx.ID(), "panic", p, "stack", string(debug.Stack()))
		ctx.Response.Reset()
		door.WriteError(ctx, analytics.Errorf(analytics.Internal, "internal error"))
		protect(ctx, s.secure(ctx))
		ctx.SetConnectionClose()
	}
	s.count.answer(ctx.Response.StatusCode())
}

func (s *Server) route(ctx *fasthttp.RequestCtx) {
	path := text(ctx.Request.URI().PathOriginal())
	method := text(ctx.Request.Header.Method())
	switch {
	case !knownMethod(method):
		s.notAllowed(ctx, path)
	case crooked(path):
		s.notFound(ctx)
	case len(ctx.Request.Header.RequestURI()) > urlBytesMax:
		door.WriteJSON(ctx, fasthttp.StatusRequestURITooLong, map[string]string{"error": "url: longer than 4096 bytes"})
		protect(ctx, s.secure(ctx))
	default:
		s.dispatch(ctx, method, path)
	}
}

func (s *Server) dispatch(ctx *fasthttp.RequestCtx, method, path string) {
	handler, _ := s.router.Lookup(method, path, ctx)
	switch {
	case handler != nil:
		if !decodeValues(ctx) {
			s.notFound(ctx)
			return
		}
		handler(ctx)
	case s.has(path) && method == "OPTIONS":
		ctx.Response.Header.Set("Allow", s.allow(path))
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		protect(ctx, s.secure(ctx))
	case s.has(path):
		s.notAllowed(ctx, path)
	case (method == "GET" || method == "HEAD") && s.hasFallback(path):
		s.serve(ctx, &s.fallback)
	default:
		s.notFound(ctx)
	}
}

// has tells whether any method of path has a route.
func (s *Server) has(path string) bool {
	for _, m := range methods {
		if h, _ := s.router.Lookup(m, path, nil); h != nil {
			return true
		}
	}
	return false
}

// serve runs the handler of r after what r needs has been checked.
func (s *Server) serve(ctx *fasthttp.RequestCtx, r *door.Route) {
	if who, err := s.run(ctx, r); err != nil {
		s.answerError(ctx, who, err)
	}
	if r.CrossOrigin {
		allowOrigins(ctx)
		return
	}
	if r == &s.fallback {
		s.letFrame(ctx)
	}
	protect(ctx, s.secure(ctx))
}

// statusClientLeft is nobody's to read; it keeps clients who leave out of the
// count of our own faults.
const statusClientLeft = 499

// answerError answers err, unless the request was given up because its client is
// gone.
func (s *Server) answerError(ctx *fasthttp.RequestCtx, who accounts.Identity, err error) {
	if errors.Is(err, context.Canceled) && door.ClientLeft(ctx) {
		s.count.left.Inc()
		ctx.Response.Reset()
		ctx.SetStatusCode(statusClientLeft)
		ctx.SetConnectionClose()
		return
	}
	if where := (*door.Elsewhere)(nil); errors.As(err, &where) {
		if err = s.forward(ctx, where.Node, who); err == nil {
			return
		}
	}
	door.WriteError(ctx, err)
}

func (s *Server) run(ctx *fasthttp.RequestCtx, r *door.Route) (who accounts.Identity, err error) {
	if r.BodyMax > 0 && len(ctx.Request.Body()) > r.BodyMax {
		return who, errBody(r.BodyMax)
	}
	if who, err = s.identify(ctx, r); err != nil {
		return who, err
	}
	if err := s.permit(ctx, r, who); err != nil {
		return who, err
	}
	return who, r.Handler(ctx, who)
}

func errBody(limit int) error {
	return analytics.Errorf(analytics.TooLarge, "body: longer than %d bytes", limit)
}

func (s *Server) notFound(ctx *fasthttp.RequestCtx) {
	door.WriteError(ctx, analytics.Errorf(analytics.NotFound, "path: there is nothing here"))
	protect(ctx, s.secure(ctx))
}

func (s *Server) notAllowed(ctx *fasthttp.RequestCtx, path string) {
	allow := s.allow(path)
	if allow == "" {
		allow = allMethods
	}
	door.WriteJSON(ctx, fasthttp.StatusMethodNotAllowed, map[string]string{"error": "method: not allowed here"})
	ctx.Response.Header.Set("Allow", allow)
	protect(ctx, s.secure(ctx))
}

// preflight answers OPTIONS for routes that other origins may call.
func (s *Server) preflight(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	h := &ctx.Response.Header
	h.Set("Access-Control-Allow-Methods", s.allow(text(ctx.Request.URI().PathOriginal())))
	h.Set("Access-Control-Allow-Headers", "Content-Type, Authorization, X-Event-Id, Idempotency-Key, X-Footfall-Token")
	h.Set("Access-Control-Max-Age", "86400")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// crooked tells whether path tries to mean another path: dot segments, back
// slashes, or encoded separators, dots, NULs and percent signs. Such paths have
// no honest use here and are refused before they are compared with anything.
func crooked(path string) bool {
	if path == "" || path[0] != '/' || strings.Contains(path, "/./") || strings.Contains(path, "/../") ||
		strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..") {
		return true
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' || c < 0x20 || c == 0x7f:
			return true
		case c == '%':
			if i+2 >= len(path) {
				return true
			}
			switch strings.ToLower(path[i+1 : i+3]) {
			case "2f", "5c", "2e", "25", "00":
				return true
			}
		}
	}
	return false
}

// decodeValues percent-decodes, once, what the router cut out of the path.
func decodeValues(ctx *fasthttp.RequestCtx) bool {
	type change struct{ key, value any }
	var changes []change
	ok := true
	ctx.VisitUserValuesAll(func(key, value any) {
		raw, isText := value.(string)
		if !isText || !strings.Contains(raw, "%") {
			return
		}
		plain, err := unescape(raw)
		if err {
			ok = false
			return
		}
		changes = append(changes, change{key, plain})
	})
	for _, c := range changes {
		ctx.SetUserValue(c.key, c.value)
	}
	return ok
}

func unescape(s string) (plain string, bad bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", true
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi > 15 || lo > 15 {
			return "", true
		}
		c := hi<<4 | lo
		if c < 0x20 || c == 0x7f {
			return "", true
		}
		out = append(out, c)
		i += 2
	}
	return string(out), false
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// text views b as a string for as long as the request lives.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
