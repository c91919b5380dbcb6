package partner

import (
	_ "embed"

	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
)

//go:embed schema.json
var schema []byte

// querySchema answers the JSON Schema of a query of v2.
func querySchema(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	ctx.Response.Header.SetContentType("application/schema+json; charset=utf-8")
	ctx.Response.Header.Set("Cache-Control", "public, max-age=3600")
	ctx.Response.SetBodyRaw(schema)
	return nil
}
