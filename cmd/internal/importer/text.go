package importer

import (
	"bytes"
	"unicode/utf8"

	"footfall/analytics"
)

const hexDigits = "0123456789ABCDEF"

// appendString appends s, which is UTF-8, as a JSON string.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// appendURL makes an absolute URL within the limit of one. The path is page
// percent-encoded; one that is too long becomes "/", since the event tells the
// page by itself. Of a query that is too long the last parameters are left out.
func appendURL(dst, prefix, page, query []byte) []byte {
	dst = append(dst, prefix...)
	start := len(dst)
	if len(page) == 0 || page[0] != '/' {
		dst = append(dst, '/')
	}
	dst = appendEscaped(dst, page, false)
	if len(dst) > analytics.URLBytesMax {
		dst = append(dst[:start], '/')
	}
	if len(query) == 0 {
		return dst
	}
	path := len(dst)
	dst = append(dst, '?')
	dst = appendEscaped(dst, query, true)
	if len(dst) > analytics.URLBytesMax {
		amp := bytes.LastIndexByte(dst[path:analytics.URLBytesMax+1], '&')
		dst = dst[:path+max(amp, 0)]
	}
	return dst
}

// appendEscaped percent-encodes what may not stand in a path or a query. Text
// of a query is encoded already: its '%' stay.
func appendEscaped(dst, text []byte, query bool) []byte {
	for _, c := range text {
		if plainInURL(c) || query && (c == '%' || c == '?') {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

func plainInURL(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return bytes.IndexByte([]byte("-._~/!$&'()*+,;=:@"), c) >= 0
}

// cut shortens UTF-8 to max bytes at the border of a character.
func cut(text []byte, max int) []byte {
	if len(text) <= max {
		return text
	}
	for max > 0 && !utf8.RuneStart(text[max]) {
		max--
	}
	return text[:max]
}

// shortened cuts a URL to max bytes, its query first.
func shortened(url []byte, max int) []byte {
	if len(url) <= max {
		return url
	}
	if i := bytes.IndexByte(url, '?'); i >= 0 {
		url = url[:i]
	}
	return cut(url, max)
}
