package merchant

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

var script = strings.Repeat("export const answer = 42; ", 200)

func dist() fstest.MapFS {
	return fstest.MapFS{
		"index.html":           {Data: []byte("<!doctype html><title>Footfall</title>" + strings.Repeat(" ", 600))},
		"favicon.svg":          {Data: []byte("<svg/>")},
		"assets/app-1234.js":   {Data: []byte(script)},
		"assets/font-99.woff2": {Data: bytes.Repeat([]byte{0}, 2000)},
		".keep":                {Data: []byte("x")},
	}
}

// get asks a handler without a server.
func get(t *testing.T, h door.Handler, path string, headers ...string) *fasthttp.Response {
	t.Helper()
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.SetRequestURI(path)
	for i := 0; i < len(headers); i += 2 {
		ctx.Request.Header.Set(headers[i], headers[i+1])
	}
	if err := h(ctx, accounts.Identity{}); err != nil {
		door.WriteError(ctx, err)
	}
	return &ctx.Response
}

func TestDashboardFiles(t *testing.T) {
	f, err := NewFiles(dist())
	if err != nil {
		t.Fatal(err)
	}
	const html = "text/html,application/xhtml+xml"
	for _, c := range []struct {
		path, accept string
		status       int
		kind, cache  string
	}{
		{"/", "*/*", 200, "text/html; charset=utf-8", "no-cache"},
		{"/index.html", "*/*", 200, "text/html; charset=utf-8", "no-cache"},
		{"/sites/shop.example/months", html, 200, "text/html; charset=utf-8", "no-cache"},
		{"/setup/token", html, 200, "text/html; charset=utf-8", "no-cache"},
		{"/nothing", "application/json", 404, "application/json; charset=utf-8", "no-store"},
		{"/assets/app-1234.js", "*/*", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/old-0000.js", html, 404, "application/json; charset=utf-8", "no-store"},
		{"/favicon.svg", "*/*", 200, "image/svg+xml", "no-cache"},
		{"/.keep", "*/*", 404, "application/json; charset=utf-8", "no-store"},
		{"/assets/font-99.woff2", "*/*", 200, "font/woff2", "public, max-age=31536000, immutable"},
	} {
		r := get(t, f.Dashboard, c.path, "Accept", c.accept)
		if r.StatusCode() != c.status || string(r.Header.ContentType()) != c.kind || string(r.Header.Peek("Cache-Control")) != c.cache {
			t.Errorf("%s: got %d %s %s", c.path, r.StatusCode(), r.Header.ContentType(), r.Header.Peek("Cache-Control"))
		}
	}
}

func TestTheDemoShopIsFoundWithoutItsSlash(t *testing.T) {
	f, err := NewFiles(dist())
	if err != nil {
		t.Fatal(err)
	}
	if r := get(t, f.Dashboard, "/demo"); r.StatusCode() != 302 || string(r.Header.Peek("Location")) != "/demo/" {
		t.Errorf("got %d to %s", r.StatusCode(), r.Header.Peek("Location"))
	}
}

func TestFilesAreCompressedAsTheReaderLikes(t *testing.T) {
	f, err := NewFiles(dist())
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]string{
		"":                            "",
		"identity":                    "",
		"gzip, deflate, br, zstd":     "br",
		"gzip, deflate":               "gzip",
		"br;q=0, gzip;q=0.5":          "gzip",
		"br;q=0.0, gzip;q=0":          "",
		"GZIP":                        "gzip",
		"brotli, x-gzip, gzipped, br": "br",
	} {
		for range 2 { // made, then kept
			r := get(t, f.Dashboard, "/assets/app-1234.js", "Accept-Encoding", accept)
			body := r.Body()
			if got := string(r.Header.Peek("Content-Encoding")); got != want || string(r.Header.Peek("Vary")) != "Accept-Encoding" {
				t.Errorf("%q: coding %q, want %q", accept, got, want)
				continue
			}
			var err error
			switch want {
			case "br":
				body, err = fasthttp.AppendUnbrotliBytes(nil, body)
			case "gzip":
				body, err = fasthttp.AppendGunzipBytes(nil, body)
			}
			if err != nil || string(body) != script {
				t.Errorf("%q: %v, %d bytes", accept, err, len(body))
			}
			if want != "" && len(r.Body()) > len(script)/4 {
				t.Errorf("%q: %d bytes of %d", accept, len(r.Body()), len(script))
			}
		}
	}
	if r := get(t, f.Dashboard, "/assets/font-99.woff2", "Accept-Encoding", "br, gzip"); len(r.Header.Peek("Content-Encoding")) != 0 {
		t.Error("a font is compressed twice")
	}
}

func TestAFileThatDidNotChangeIsNotSentAgain(t *testing.T) {
	f, err := NewFiles(dist())
	if err != nil {
		t.Fatal(err)
	}
	etag := string(get(t, f.Dashboard, "/").Header.Peek("ETag"))
	for given, want := range map[string]int{etag: 304, `"x", ` + etag: 304, "*": 304, strings.TrimPrefix(etag, "W/"): 304, `W/"x"`: 200, "": 200} {
		r := get(t, f.Dashboard, "/", "If-None-Match", given)
		if r.StatusCode() != want || want == 304 && len(r.Body()) != 0 {
			t.Errorf("%q: %d, want %d", given, r.StatusCode(), want)
		}
	}
}

func TestABinaryWithoutDashboardSaysSo(t *testing.T) {
	f, err := NewFiles(fstest.MapFS{".keep": {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Dashboard(&fasthttp.RequestCtx{}, accounts.Identity{}); analytics.CodeOf(err) != analytics.Unavailable || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}

func TestDemoShop(t *testing.T) {
	routes, err := Demo(fstest.MapFS{"index.html": {Data: []byte("shop")}, "cart.html": {Data: []byte("cart")}, "img/a.png": {Data: []byte("png")}, "products/index.html": {Data: []byte("list")}})
	if err != nil {
		t.Fatal(err)
	}
	mounted := mount(routes, NewAuthenticator(newHouse(time.Now), accounts.Hash{}, nil))
	ask := func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error { mounted(ctx); return nil }
	for path, want := range map[string]string{"/demo/": "shop", "/demo/cart": "cart", "/demo/cart.html": "cart", "/demo/img/a.png": "png", "/demo/products/": "list", "/demo/products": "list"} {
		if r := get(t, ask, path); r.StatusCode() != 200 || string(r.Body()) != want {
			t.Errorf("%s: got %d %s", path, r.StatusCode(), r.Body())
		}
	}
	for _, path := range []string{"/demo/none", "/demolition", "/demo/../../etc/passwd", "/demo/%2e%2e/x"} {
		if r := get(t, ask, path); r.StatusCode() != 404 {
			t.Errorf("%s: got %d %s", path, r.StatusCode(), r.Body())
		}
	}
}
