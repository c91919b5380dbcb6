package merchant

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Files serves a fixed set of files from memory. Safe for concurrent use.
type Files struct {
	files map[string]*file
}

// file is one file with its compressed forms, which are made when somebody asks
// for them first. Their number and size are bounded by the files' own.
type file struct {
	body      []byte
	kind      string // content type
	etag      string
	immutable bool // its name has a hash of its content

	gzipOnce, brotliOnce sync.Once
	gzip, brotli         []byte // nil when not worth it
}

// compressBytesMin is below what compressing is not worth the header.
const compressBytesMin = 512

// NewFiles reads all files of fsys. Those below assets/ are taken to have a
// hash in their names.
func NewFiles(fsys fs.FS) (*Files, error) {
	f := &Files{files: map[string]*file{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		f.files[name] = &file{
			body:      body,
			kind:      contentType(name),
			etag:      `W/"` + hex.EncodeToString(sum[:12]) + `"`,
			immutable: strings.HasPrefix(name, "assets/"),
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the files to serve: %w", err)
	}
	return f, nil
}

// Dashboard answers what no route answers: the dashboard's files, and its page
// for every path that a person opens in a browser, because the page finds out
// by itself what to show. It has the form of a door.Handler.
func (f *Files) Dashboard(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	name := strings.TrimPrefix(string(ctx.Path()), "/")
	if name == "demo" { // a route /demo would make the router take /demo/ for it
		ctx.Response.Header.Set("Location", "/demo/")
		ctx.SetStatusCode(fasthttp.StatusFound)
		return nil
	}
	if x, ok := f.files[name]; ok && name != "index.html" {
		x.serve(ctx)
		return nil
	}
	if name != "" && name != "index.html" && (strings.HasPrefix(name, "assets/") || !wantsHTML(ctx)) {
		return analytics.Errorf(analytics.NotFound, "path: there is nothing here")
	}
	page, ok := f.files["index.html"]
	if !ok {
		return analytics.Errorf(analytics.Unavailable, "dashboard: is not built into this binary; run make build")
	}
	page.serve(ctx)
	return nil
}

// Demo gives the routes of the demo shop, a folder of pages served below /demo/.
func Demo(fsys fs.FS) ([]door.Route, error) {
	f, err := NewFiles(fsys)
	if err != nil {
		return nil, err
	}
	return []door.Route{{Method: "GET", Path: "/demo/{path:*}", Need: door.Public, Handler: f.demo}}, nil
}

func (f *Files) demo(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	name, below := strings.CutPrefix(string(ctx.Path()), "/demo/")
	for _, try := range []string{name, name + ".html", path.Join(name, "index.html")} {
		if x, ok := f.files[try]; ok && below {
			x.serve(ctx)
			return nil
		}
	}
	return analytics.Errorf(analytics.NotFound, "path: the demo shop has no such page")
}

func (x *file) serve(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetContentType(x.kind)
	h.Set("ETag", x.etag)
	h.Set("X-Content-Type-Options", "nosniff")
	if x.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if compressible(x.kind) {
		h.Set("Vary", "Accept-Encoding")
	}
	if sameTag(string(ctx.Request.Header.Peek("If-None-Match")), x.etag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	body, coding := x.encoded(string(ctx.Request.Header.Peek("Accept-Encoding")))
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	ctx.SetStatusCode(fasthttp.StatusOK)
	ctx.Response.SetBodyRaw(body) // never changed after it was made
}

// encoded gives the smallest form that the reader understands.
func (x *file) encoded(accept string) (body []byte, coding string) {
	if len(x.body) < compressBytesMin || !compressible(x.kind) {
		return x.body, ""
	}
	if accepts(accept, "br") {
		x.brotliOnce.Do(func() { x.brotli = smaller(fasthttp.AppendBrotliBytesLevel(nil, x.body, brotliLevel), x.body) })
		if x.brotli != nil {
			return x.brotli, "br"
		}
	}
	if accepts(accept, "gzip") {
		x.gzipOnce.Do(func() {
			x.gzip = smaller(fasthttp.AppendGzipBytesLevel(nil, x.body, fasthttp.CompressBestCompression), x.body)
		})
		if x.gzip != nil {
			return x.gzip, "gzip"
		}
	}
	return x.body, ""
}

// brotliLevel is what a first visitor waits for: some ten milliseconds for the
// largest file, and within a few percent of the best.
const brotliLevel = 8

func smaller(packed, plain []byte) []byte {
	if len(packed) >= len(plain) {
		return nil
	}
	return append([]byte(nil), packed...) // without the spare room
}

// accepts tells whether an Accept-Encoding header allows coding.
func accepts(header, coding string) bool {
	for item := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		q, _ := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
		return strings.Trim(q, "0.") != "" || q == ""
	}
	return false
}

// sameTag tells whether an If-None-Match header names tag.
func sameTag(header, tag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		item = strings.TrimSpace(item)
		if item == "*" || strings.TrimPrefix(item, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

func wantsHTML(ctx *fasthttp.RequestCtx) bool {
	return strings.Contains(strings.ToLower(string(ctx.Request.Header.Peek("Accept"))), "text/html")
}

// contentType goes by the name alone; what the machine has installed must not
// change what is served.
func contentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json; charset=utf-8"
	case ".webmanifest":
		return "application/manifest+json; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".webp":
		return "image/webp"
	case ".avif":
		return "image/avif"
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	}
	return "application/octet-stream"
}

func compressible(kind string) bool {
	return strings.HasPrefix(kind, "text/") || strings.HasPrefix(kind, "application/json") ||
		strings.HasPrefix(kind, "application/manifest") || kind == "image/svg+xml"
}
