package edge

import (
	"errors"
	"net"

	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
	"footfall/http/door"
)

// headerReceived sets the longest body before it is read. More than the
// default is read for callers only whom the route would serve: an unknown one
// must not be able to fill memory.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) (conf fasthttp.RequestConfig) {
	if n := h.ContentLength(); n >= 0 && n <= bodyBytesDefault || n == -2 || len(s.large) == 0 {
		return conf
	}
	if r := s.largeRoute(h); r != nil && (r.Need == door.Public || s.knownByHeader(h, r)) {
		conf.MaxRequestBodySize = r.BodyMax
	}
	return conf
}

func (s *Server) largeRoute(h *fasthttp.RequestHeader) *door.Route {
	path := h.RequestURI()
	for i, c := range path {
		if c == '?' || c == '#' {
			path = path[:i]
			break
		}
	}
	for i := range s.large {
		if r := &s.large[i]; r.Method == string(h.Method()) && matches(r.Path, string(path)) {
			return r
		}
	}
	return nil
}

func (s *Server) knownByHeader(h *fasthttp.RequestHeader, r *door.Route) bool {
	var req fasthttp.Request
	h.CopyTo(&req.Header)
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, nil, &s.count)
	who, err := s.opts.Auth.Authenticate(&ctx)
	return err == nil && satisfies(who, r.Need)
}

func satisfies(who accounts.Identity, need door.Need) bool {
	switch need {
	case door.Public:
		return true
	case door.Known:
		return !who.Anonymous()
	case door.SignedIn:
		return who.User != 0
	}
	return who.Operator
}

// refuse answers a request that could not be read; the connection is closed
// after it. Nothing of the request appears in the answer.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	status, code, msg := fasthttp.StatusBadRequest, "malformed", "request: not readable as HTTP/1.1"
	var small *fasthttp.ErrSmallBuffer
	var netErr net.Error
	switch {
	case errors.As(err, &small):
		status, code, msg = fasthttp.StatusRequestHeaderFieldsTooLarge, "header", "header: request line and headers are longer than 8192 bytes"
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		status, code, msg = fasthttp.StatusRequestEntityTooLarge, "body", errBody(bodyBytesDefault).Error()
		if r := s.largeRoute(&ctx.Request.Header); r != nil {
			msg = errBody(r.BodyMax).Error()
			if r.Need != door.Public && !s.knownByHeader(&ctx.Request.Header, r) {
				status, msg = fasthttp.StatusUnauthorized, unauthorized(ctx).Error()
			}
		}
	case errors.As(err, &netErr) && netErr.Timeout():
		status, code, msg = fasthttp.StatusRequestTimeout, "timeout", "request: not complete in time"
	}
	s.count.refused(code)
	door.WriteJSON(ctx, status, map[string]string{"error": msg})
	preset(ctx, "Access-Control-Allow-Origin", "*") // it may have been a beacon
	protect(ctx, false)
}
