package edge

import (
	"net"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// identify finds out who asks, where it can matter: always for routes that
// need somebody, for public ones only when credentials came along.
func (s *Server) identify(ctx *fasthttp.RequestCtx, r *door.Route) (accounts.Identity, error) {
	h := &ctx.Request.Header
	if door.Hops(ctx) > 0 && string(h.Peek(headerOperator)) == "true" {
		return accounts.Identity{Operator: true}, nil
	}
	if r.Need == door.Public && (r.CrossOrigin || len(h.Peek("Authorization")) == 0 && len(h.Peek("Cookie")) == 0) {
		return accounts.Identity{}, nil
	}
	return s.opts.Auth.Authenticate(ctx)
}

// permit refuses what r does not allow to who.
func (s *Server) permit(ctx *fasthttp.RequestCtx, r *door.Route, who accounts.Identity) error {
	if !r.CrossOrigin && who.Key == 0 && !who.Operator && unsafeMethod(ctx) && !sameOrigin(ctx) {
		return analytics.Errorf(analytics.Forbidden, "origin: this request came from another site's page")
	}
	switch r.Need {
	case door.Public:
		return nil
	case door.Known:
		if who.Anonymous() {
			return unauthorized(ctx)
		}
	case door.SignedIn:
		if who.Anonymous() {
			return unauthorized(ctx)
		}
		if who.User == 0 {
			return analytics.Errorf(analytics.Forbidden, "session: this needs a signed-in user")
		}
	default:
		if who.Operator || r.Method == "GET" && s.local(ctx) {
			return nil
		}
		if who.Anonymous() {
			return unauthorized(ctx)
		}
		return analytics.Errorf(analytics.Forbidden, "authorization: this is for the operator of the node")
	}
	return nil
}

func unauthorized(ctx *fasthttp.RequestCtx) error {
	ctx.Response.Header.Set("WWW-Authenticate", "Bearer")
	return analytics.Errorf(analytics.Unauthorized, "authorization: missing or unknown")
}

func unsafeMethod(ctx *fasthttp.RequestCtx) bool {
	switch string(ctx.Method()) {
	case "GET", "HEAD", "OPTIONS":
		return false
	}
	return true
}

// sameOrigin is the CSRF rule: browsers say by Sec-Fetch-Site whether one of
// our own pages asks; older ones send an Origin, whose host must be the one
// asked. A request with neither comes from no browser, so it has no victim.
func sameOrigin(ctx *fasthttp.RequestCtx) bool {
	switch string(ctx.Request.Header.Peek("Sec-Fetch-Site")) {
	case "same-origin", "none":
		return true
	case "":
	default:
		return false
	}
	origin := string(ctx.Request.Header.Peek("Origin"))
	if origin == "" {
		return true
	}
	_, host, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(host, string(ctx.Host()))
}

// local tells whether a program on this machine asks directly. Forwarding
// headers speak against it, whatever they say: a proxy passes a stranger on.
// So does a Host that is a name others may point at this machine.
func (s *Server) local(ctx *fasthttp.RequestCtx) bool {
	if !door.Peer(ctx).IsLoopback() {
		return false
	}
	if f := door.ReadForwarded(ctx); f.Any() {
		return false
	}
	host := string(ctx.Host())
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// secure tells whether the client speaks TLS, to us or to a trusted proxy.
func (s *Server) secure(ctx *fasthttp.RequestCtx) bool {
	return ctx.IsTLS() ||
		strings.EqualFold(string(ctx.Request.Header.Peek("X-Forwarded-Proto")), "https") && door.Trusts(s.opts.Trusted, door.Peer(ctx))
}

const (
	policyInFrames = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
	policy = policyInFrames + "'none'"
)

// letFrame lets pages of others show the fallback's page in a frame where
// Options.Framed allows it and the request asks for it. Sessions of users do not
// come along into frames: their cookies are for requests of our own pages.
func (s *Server) letFrame(ctx *fasthttp.RequestCtx) {
	if s.opts.Framed == "" || !strings.HasPrefix(text(ctx.Request.URI().PathOriginal()), s.opts.Framed) || string(ctx.QueryArgs().Peek("embed")) != "true" {
		return
	}
	ctx.Response.Header.Set("Content-Security-Policy", policyInFrames+"*")
	ctx.Response.Header.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// protect adds the security headers that the handler did not set itself.
func protect(ctx *fasthttp.RequestCtx, secure bool) {
	preset(ctx, "Content-Security-Policy", policy)
	preset(ctx, "X-Content-Type-Options", "nosniff")
	preset(ctx, "Referrer-Policy", "same-origin")
	preset(ctx, "Cross-Origin-Opener-Policy", "same-origin")
	preset(ctx, "Cross-Origin-Resource-Policy", "same-origin")
	if secure {
		preset(ctx, "Strict-Transport-Security", "max-age=31536000")
	}
}

// allowOrigins lets pages of any origin read the answer.
func allowOrigins(ctx *fasthttp.RequestCtx) {
	preset(ctx, "Access-Control-Allow-Origin", "*")
	preset(ctx, "Cross-Origin-Resource-Policy", "cross-origin")
	preset(ctx, "X-Content-Type-Options", "nosniff")
}

func preset(ctx *fasthttp.RequestCtx, name, value string) {
	if len(ctx.Response.Header.Peek(name)) == 0 {
		ctx.Response.Header.Set(name, value)
	}
}
