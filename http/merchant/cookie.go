package merchant

import (
	"bytes"
	"net/netip"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/http/door"
)

// Names of the session cookie. Browsers take the first only over https, for the
// whole host and from the host itself; over plain http on this machine they
// would not take it at all.
const (
	secureCookie = "__Host-footfall"
	plainCookie  = "footfall"
)

// overTLS tells whether the client speaks TLS, to us or to a trusted proxy.
func (h *Handler) overTLS(ctx *fasthttp.RequestCtx) bool {
	return ctx.IsTLS() || bytes.EqualFold(ctx.Request.Header.Peek("X-Forwarded-Proto"), []byte("https")) &&
		door.Trusts(h.opts.Trusted, door.Peer(ctx))
}

// loopbackHost tells whether the request names this machine itself.
func loopbackHost(ctx *fasthttp.RequestCtx) bool {
	host := ctx.Host()
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	if bytes.EqualFold(host, []byte("localhost")) || len(host) > 10 && bytes.EqualFold(host[len(host)-10:], []byte(".localhost")) {
		return true
	}
	if len(host) < 2 || len(host) > 45 || host[0] != '[' && (host[0] < '0' || host[0] > '9') {
		return false
	}
	addr, err := netip.ParseAddr(string(bytes.Trim(host, "[]")))
	return err == nil && addr.Unmap().IsLoopback()
}

// cookieName chooses the cookie for a sign-in, or refuses: over plain http to
// another machine the session could be read on the way.
func (h *Handler) cookieName(ctx *fasthttp.RequestCtx) (string, error) {
	switch {
	case h.overTLS(ctx):
		return secureCookie, nil
	case loopbackHost(ctx):
		return plainCookie, nil
	}
	return "", analytics.Errorf(analytics.Forbidden, "https: signing in needs https, or the address 127.0.0.1 or localhost; a proxy that speaks https must be named as a trusted proxy")
}

// setCookie hands out a session id, or with an empty one takes it back.
func setCookie(ctx *fasthttp.RequestCtx, name, id string) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(name)
	c.SetValue(id)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSecure(name == secureCookie)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	if id == "" {
		c.SetExpire(fasthttp.CookieExpireDelete)
	} else {
		c.SetMaxAge(int(sessionLife.Seconds()))
	}
	ctx.Response.Header.SetCookie(c)
}
