package enrich

import (
	"strings"
	"unicode/utf8"

	"footfall/analytics"
	"footfall/enrich/source"
)

// NoHost is the host of a page whose address names none.
const NoHost = "(none)"

// URL is a page's address as it is counted.
type URL struct {
	Host     string // lower case, without "www.", user and port; NoHost if there is none
	Page     string // path, percent-decoded, without trailing white space; at least "/"
	Query    string // as it came, without '?'
	Fragment string // as it came, without '#'
}

// SplitURL takes the address of a page apart. The error has code Invalid and
// names the field "url". The parts share raw's memory where nothing had to be
// decoded.
func SplitURL(raw string) (URL, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return URL{}, analytics.Errorf(analytics.Invalid, "url: is required")
	}
	if len(raw) > analytics.URLBytesMax {
		return URL{}, analytics.Errorf(analytics.Invalid, "url: is longer than %d bytes", analytics.URLBytesMax)
	}
	u := URL{Host: NoHost}
	rest := raw
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		rest, u.Fragment = rest[:i], rest[i+1:]
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		rest, u.Query = rest[:i], rest[i+1:]
	}
	if colon := strings.IndexByte(rest, ':'); colon >= 0 && isScheme(rest[:colon]) {
		if strings.EqualFold(rest[:colon], "data") {
			return URL{}, analytics.Errorf(analytics.Invalid, "url: scheme is not allowed")
		}
		rest = rest[colon+1:]
	}
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		path := ""
		if slash := strings.IndexByte(authority, '/'); slash >= 0 {
			authority, path = authority[:slash], authority[slash:]
		}
		if authority != "" {
			if u.Host = source.Host(authority); u.Host == "" {
				return URL{}, analytics.Errorf(analytics.Invalid, "url: must be a valid url")
			}
		}
		rest = path
	}
	u.Page = pagePath(rest)
	return u, nil
}

func isScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if letter := c >= 'a' && c <= 'z'; !letter && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '+' && s[i] != '-' && s[i] != '.') {
			return false
		}
	}
	return s != ""
}

// pagePath decodes a path. An escape that is none stays as it is.
func pagePath(path string) string {
	if strings.IndexByte(path, '%') >= 0 {
		path = unescape(path)
	}
	if !utf8.ValidString(path) {
		path = strings.ToValidUTF8(path, "\uFFFD")
	}
	path = strings.TrimRight(path, " \t\r\n\v\f")
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	return path
}

func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if high, low := hex(s[i+1]), hex(s[i+2]); high >= 0 && low >= 0 {
				b = append(b, byte(high<<4|low))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
