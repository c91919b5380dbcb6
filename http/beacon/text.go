package beacon

import (
	"bytes"
	"strings"
	"unicode/utf8"
	"unsafe"

	"footfall/analytics"
	"footfall/enrich"
)

// parseURL takes the address of a page apart as the whole of Footfall does. The
// text says, as trackers' authors know it, what is wrong with u, "" nothing. The
// parts point into u where nothing had to be decoded.
func parseURL(u []byte) (page enrich.URL, wrong string) {
	for _, c := range u {
		if c < 0x20 || c == 0x7f {
			return page, "must be a valid url"
		}
	}
	page, err := enrich.SplitURL(text(u))
	if err != nil {
		return page, strings.TrimPrefix(err.Error(), "url: ")
	}
	page.Page = text(cut(bytesOf(page.Page), analytics.URLBytesMax))
	return page, ""
}

// pageOf makes a page of a path that is decoded already.
func pageOf(path string) string {
	path = strings.TrimRight(strings.ToValidUTF8(path, "\uFFFD"), " \t\r\n\v\f")
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	return path
}

// trimHost cuts what makes no difference: a dot at the end, "www." in front.
func trimHost(host []byte) []byte {
	if n := len(host); n > 1 && host[n-1] == '.' {
		host = host[:n-1]
	}
	if len(host) > 4 && hasPrefix(host, "www.") {
		host = host[4:]
	}
	return host
}

// lower gives b with ASCII letters in lower case, in buf if that changes it.
func lower(b, buf []byte) (_, _ []byte) {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			from := len(buf)
			buf = append(buf, b...)
			out := buf[from:len(buf):len(buf)]
			for j := i; j < len(out); j++ {
				if c := out[j]; c >= 'A' && c <= 'Z' {
					out[j] = c + 'a' - 'A'
				}
			}
			return out, buf
		}
	}
	return b, buf
}

// decode undoes percent-encoding once; what is no encoding stays as it is.
func decode(raw, buf []byte) (_, _ []byte) {
	if bytes.IndexByte(raw, '%') < 0 {
		return raw, buf
	}
	from := len(buf)
	for i := 0; i < len(raw); i++ {
		if raw[i] == '%' && i+2 < len(raw) {
			if hi, lo := unhex(raw[i+1]), unhex(raw[i+2]); hi <= 15 && lo <= 15 {
				buf = append(buf, hi<<4|lo)
				i += 2
				continue
			}
		}
		buf = append(buf, raw[i])
	}
	return buf[from:len(buf):len(buf)], buf
}

// valid replaces bytes that are no UTF-8 by U+FFFD.
func valid(b, buf []byte) (_, _ []byte) {
	if utf8.Valid(b) {
		return b, buf
	}
	from := len(buf)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		buf = utf8.AppendRune(buf, r)
		b = b[n:]
	}
	return buf[from:len(buf):len(buf)], buf
}

// cut shortens b to at most n bytes at a rune's border.
func cut(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return b[:n]
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

// text views b as a string for as long as b is not changed.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf views s as bytes, which must not be changed.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
