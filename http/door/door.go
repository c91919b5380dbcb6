// Package door is what every http package shares: the form of a route, who is
// asking, error codes as statuses, JSON answers. It knows no door itself; doors
// import it and never one another. Start at Route.
package door

import (
	"encoding/json"
	"strconv"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

// Need says what a route asks of its caller before its handler runs. What
// depends on the site is checked by the handler through Identity's May…
// methods, because the site is named in paths, queries and bodies alike.
type Need uint8

const (
	Public   Need = iota // anyone
	Known                // a user, a key or the operator
	SignedIn             // a user with a session
	Operator             // the holder of the node's token, or a caller on the machine itself for GET
)

// Route is one method and path of a door. Path may hold {name} parts and end in
// {name:*}, as fasthttp/router reads them; a handler gets them by UserValue.
type Route struct {
	Method  string
	Path    string
	Need    Need
	Handler Handler
	// BodyMax is the longest body in bytes, before decompression; 0 means 64 KiB.
	BodyMax int
	// CrossOrigin marks routes that pages of other origins may call: no CSRF
	// check, Access-Control-Allow-Origin: *.
	CrossOrigin bool
}

// Handler answers a request; an error becomes an answer through WriteError.
// Nothing of ctx may be kept after it returns.
type Handler func(ctx *fasthttp.RequestCtx, who accounts.Identity) error

// Status maps a code to an HTTP status; the only such table.
func Status(c analytics.Code) int {
	switch c {
	case analytics.Invalid:
		return fasthttp.StatusBadRequest
	case analytics.Unauthorized:
		return fasthttp.StatusUnauthorized
	case analytics.Forbidden:
		return fasthttp.StatusForbidden
	case analytics.NotFound:
		return fasthttp.StatusNotFound
	case analytics.Conflict:
		return fasthttp.StatusConflict
	case analytics.TooLarge:
		return fasthttp.StatusRequestEntityTooLarge
	case analytics.TooMany:
		return fasthttp.StatusTooManyRequests
	case analytics.Overloaded, analytics.Unavailable:
		return fasthttp.StatusServiceUnavailable
	}
	return fasthttp.StatusInternalServerError
}

// WriteError answers {"error": text}. Internal errors show a request id only;
// refusals that pass by themselves carry Retry-After.
func WriteError(ctx *fasthttp.RequestCtx, err error) {
	code := analytics.CodeOf(err)
	text := err.Error()
	switch code {
	case analytics.Internal:
		text = "internal error, request " + strconv.FormatUint(ctx.ID(), 16)
	case analytics.Overloaded, analytics.Unavailable:
		ctx.Response.Header.Set("Retry-After", "2")
	}
	WriteJSON(ctx, Status(code), map[string]string{"error": text})
}

// WriteJSON answers v as JSON.
func WriteJSON(ctx *fasthttp.RequestCtx, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = fasthttp.StatusInternalServerError, []byte(`{"error":"internal error"}`)
	}
	ctx.Response.Header.SetContentType("application/json; charset=utf-8")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetStatusCode(status)
	ctx.SetBody(body)
}
