package script

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"
)

// answer is one script ready to be sent, or why there is none. It is never
// changed.
type answer struct {
	err    error
	plain  []byte
	zipped []byte
	etag   string // weak: the same for both forms
}

func newAnswer(text []byte) *answer {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant and valid
	}
	// Writing to a bytes.Buffer cannot fail.
	_, _ = w.Write(text)
	_ = w.Close()
	return &answer{plain: text, zipped: zipped.Bytes(), etag: `W/"` + strconv.FormatUint(xxhash.Sum64(text), 16) + `"`}
}

// write answers with the script, or with 304 when the caller has it.
func (a *answer) write(ctx *fasthttp.RequestCtx) error {
	if a.err != nil {
		return a.err
	}
	h := &ctx.Response.Header
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("ETag", a.etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.matches(string(ctx.Request.Header.Peek("If-None-Match"))) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	h.SetContentType("text/javascript; charset=utf-8")
	if acceptsGzip(string(ctx.Request.Header.Peek("Accept-Encoding"))) {
		h.Set("Content-Encoding", "gzip")
		ctx.SetBody(a.zipped)
		return nil
	}
	ctx.SetBody(a.plain)
	return nil
}

// matches tells whether an If-None-Match header names this script. Tags are
// compared weakly, as RFC 9110 asks for here.
func (a *answer) matches(header string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(a.etag, "W/") {
			return true
		}
	}
	return false
}

// acceptsGzip tells whether an Accept-Encoding header allows gzip: by its name,
// or by * when its name is missing, with a weight above zero.
func acceptsGzip(header string) bool {
	any := false
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "gzip", "x-gzip":
			return weighs(parameters)
		case "*":
			any = weighs(parameters)
		}
	}
	return any
}

// weighs tells whether the parameters of a coding leave its weight above zero.
func weighs(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && q > 0
		}
	}
	return true
}
