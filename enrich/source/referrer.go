// Package source says where a visit comes from: the referrer's host and the
// tags of the landing address become a source's name, a channel, and the UTM
// fields; false referrers are told apart. It is pure: facts in, texts out, no
// network. It must never follow a link or ask a name server. Start at
// Table.Acquire.
//
// The facts are in hosts.txt (who sends visitors), tags.txt (what people write
// into utm_source) and spam.txt.
package source

import (
	"strings"
	"unicode/utf8"

	"footfall/analytics"
)

// Referral is a referrer, read. The zero value is no referrer.
type Referral struct {
	Host     string // lower case, without "www.", port and user; "" if there is no usable referrer
	Text     string // host and path, as it is shown: no scheme, query, fragment or trailing slash
	Name     string // the source's name, Host for an unknown one
	Category Category
	Known    bool   // the host is in the table
	Spam     bool   // the host is on the spam list
	Channel  string // of a visit with this referrer and no tags
}

// Read reads a referrer. http, https and android-app addresses count, and a bare
// host with a dot in it; anything else is no referrer. The result shares memory
// with referrer where it can: clone referrer first if its buffer is reused.
func (t *Table) Read(referrer string) Referral {
	if len(referrer) > analytics.ReferrerBytesMax {
		referrer = cut(referrer, analytics.ReferrerBytesMax)
	}
	host, path, ok := split(referrer)
	if !ok {
		return Referral{}
	}
	r := Referral{Host: host, Name: host, Spam: t.Spam(host)}
	if s, known := t.Lookup(host); known {
		r.Name, r.Category, r.Known = s.Name, s.Category, true
	}
	path = clean(strings.TrimRight(path, "/"))
	if path == "" {
		r.Text = host
	} else {
		r.Text = cut(host+path, analytics.AttributeBytesMax)
	}
	r.Channel = channel(Source{r.Name, r.Category}, "", "", "")
	return r
}

// split takes an address apart. host is valid, in lower case and without "www.".
func split(address string) (host, path string, ok bool) {
	address = strings.TrimSpace(address)
	scheme, rest, found := strings.Cut(address, "://")
	if found {
		if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "android-app") {
			return "", "", false
		}
	} else {
		rest = strings.TrimPrefix(address, "//")
	}
	if end := strings.IndexAny(rest, "?#"); end >= 0 {
		rest = rest[:end]
	}
	host, path = rest, ""
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		host, path = rest[:slash], rest[slash:]
	}
	host = Host(host)
	if host == "" || !found && strings.IndexByte(host, '.') <= 0 {
		return "", "", false
	}
	return host, path, true
}

// Host puts the authority of an address into the form that is counted: without
// user, port, trailing dots and "www.", in lower case. What cannot be a host
// gives "". No allocation for a host in lower case.
func Host(authority string) string {
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
	}
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return ""
		}
		authority = authority[:end+1]
	} else if colon := strings.IndexByte(authority, ':'); colon >= 0 {
		authority = authority[:colon]
	}
	authority = strings.TrimRight(authority, ".")
	if authority == "" || len(authority) > analytics.DomainBytesMax {
		return ""
	}
	lower := true
	for i := 0; i < len(authority); i++ {
		switch c := authority[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		case c >= 'A' && c <= 'Z':
			lower = false
		case c == '[' || c == ']' || c == ':':
			if authority[0] != '[' {
				return ""
			}
		case c >= utf8.RuneSelf:
			lower = false
		default:
			return ""
		}
	}
	if !lower {
		if !utf8.ValidString(authority) {
			return ""
		}
		authority = strings.ToLower(authority)
		if len(authority) > analytics.DomainBytesMax {
			return ""
		}
	}
	return strings.TrimPrefix(authority, "www.")
}

// cut shortens s to at most max bytes without breaking a character.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}

// clean makes s fit to be shown and stored: valid UTF-8 without control
// characters. s itself if it is.
func clean(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.Map(func(r rune) rune {
				if r < ' ' || r >= 0x7f && r < 0xa0 {
					return -1
				}
				return r
			}, strings.ToValidUTF8(s, "\uFFFD"))
		}
	}
	return s
}
