package partner

import (
	_ "embed"

	"github.com/valyala/fasthttp"

	"footfall/analytics/accounts"
)

//go:embed openapi.yaml
var openapi []byte

// document answers the OpenAPI document.
func document(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	ctx.Response.Header.SetContentType("application/yaml; charset=utf-8")
	ctx.Response.Header.Set("Cache-Control", "public, max-age=3600")
	ctx.Response.SetBodyRaw(openapi)
	return nil
}
