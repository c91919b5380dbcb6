package accounts

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"footfall/analytics"
)

// Limits of what an account may hold. Bytes unless the name says otherwise.
const (
	EmailBytesMax    = 254
	NameRunesMax     = 100
	TimezoneBytesMax = 64
	HostnamesMax     = 500
	PagesMax         = 1000
	PageBytesMax     = 1000
	IPsMax           = 10_000
	CountriesMax     = 300
	agentBytesMax    = 200
)

func invalid(format string, args ...any) error {
	return analytics.Errorf(analytics.Invalid, format, args...)
}

// clip shortens text for use in a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// NormalizeDomain gives the form under which a site is known: lower case,
// without scheme, "www.", trailing slash and trailing dot. International names
// come as punycode. Anything else that is not a host name is Invalid.
func NormalizeDomain(s string) (string, error) {
	d := strings.ToLower(strings.TrimSpace(s))
	for _, scheme := range []string{"https://", "http://", "//"} {
		if rest, ok := strings.CutPrefix(d, scheme); ok {
			d = rest
			break
		}
	}
	d = strings.TrimSuffix(strings.TrimSuffix(d, "/"), ".")
	if rest := strings.TrimPrefix(d, "www."); strings.Contains(rest, ".") {
		d = rest
	}
	switch {
	case d == "":
		return "", invalid("domain: must not be empty")
	case len(d) > analytics.DomainBytesMax:
		return "", invalid("domain: longer than %d bytes", analytics.DomainBytesMax)
	case strings.ContainsAny(d, "/?#"):
		return "", invalid("domain: must be a host name without a path, like example.com")
	case strings.Contains(d, ":"):
		return "", invalid("domain: must be a host name without a port, like example.com")
	}
	for label := range strings.SplitSeq(d, ".") {
		if err := checkLabel(label); err != nil {
			return "", err
		}
	}
	return d, nil
}

func checkLabel(label string) error {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return invalid("domain: part %q must have 1 to 63 letters, digits or inner hyphens", clip(label))
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case c >= utf8.RuneSelf:
			return invalid("domain: write international names in punycode, like xn--bcher-kva.example")
		default:
			return invalid("domain: has a character that host names do not have: %q", string(rune(c)))
		}
	}
	return nil
}

// NormalizeEmail gives the form under which a user is known: lower case, one @
// with something on both sides.
func NormalizeEmail(s string) (string, error) {
	e := strings.ToLower(strings.TrimSpace(s))
	at := strings.LastIndexByte(e, '@')
	switch {
	case e == "":
		return "", invalid("email: must not be empty")
	case len(e) > EmailBytesMax:
		return "", invalid("email: longer than %d bytes", EmailBytesMax)
	case !utf8.ValidString(s) || strings.ContainsFunc(e, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return "", invalid("email: has a space or a control character")
	case at < 1 || at > 64 || at == len(e)-1 || strings.ContainsAny(e[at+1:], `"<>()[],;:\`) || strings.ContainsAny(e[:at], `<>()[],;:\"@`):
		return "", invalid("email: must look like name@example.com")
	}
	return e, nil
}

// cleanName trims a name and checks it; empty passes.
func cleanName(field, s string) (string, error) {
	n := strings.TrimSpace(s)
	switch {
	case !utf8.ValidString(n):
		return "", invalid("%s: is not valid UTF-8", field)
	case utf8.RuneCountInString(n) > NameRunesMax:
		return "", invalid("%s: longer than %d characters", field, NameRunesMax)
	case strings.ContainsFunc(n, unicode.IsControl):
		return "", invalid("%s: has a control character", field)
	}
	return n, nil
}

// checkTimezone checks the form only: whether the zone exists depends on the
// machine, so a replica must not decide it. KnownTimezone does, for whoever
// proposes a change.
func checkTimezone(tz string) error {
	if tz == "" {
		return invalid("timezone: must not be empty")
	}
	ok := len(tz) <= TimezoneBytesMax && 'A' <= tz[0] && tz[0] <= 'Z' && tz != "Local"
	for i := range len(tz) {
		c := tz[i]
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/_+-", c) >= 0)
	}
	if !ok {
		return invalid("timezone: %q is not an IANA time zone", clip(tz))
	}
	return nil
}

// KnownTimezone tells by an Invalid error that this machine does not know the
// zone.
func KnownTimezone(tz string) error {
	if err := checkTimezone(tz); err != nil {
		return err
	}
	_, err := analytics.Site{Timezone: tz}.WithZone()
	return err
}

// cleanList checks a list with one function, drops empty and double entries and
// keeps the order.
func cleanList(field string, in []string, most int, clean func(string) (string, error)) ([]string, error) {
	var out []string
	seen := make(map[string]bool, len(in))
	for i, s := range in {
		c, err := clean(strings.TrimSpace(s))
		if err != nil {
			return nil, invalid("%s[%d]: %w", field, i, err)
		}
		if c == "" || seen[c] {
			continue
		}
		seen[c] = true
		out = append(out, c)
	}
	if len(out) > most {
		return nil, invalid("%s: more than %d entries", field, most)
	}
	return out, nil
}

func cleanHostname(s string) (string, error) {
	h := strings.ToLower(s)
	if len(h) > analytics.DomainBytesMax {
		return "", invalid("longer than %d bytes", analytics.DomainBytesMax)
	}
	for i := range len(h) {
		c := h[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '*') {
			return "", invalid("must be a host name, * stands for anything")
		}
	}
	return h, nil
}

func cleanPage(s string) (string, error) {
	switch {
	case s == "":
		return "", nil
	case len(s) > PageBytesMax:
		return "", invalid("longer than %d bytes", PageBytesMax)
	case s[0] != '/' && s[0] != '*':
		return "", invalid("must begin with / or *")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return "", invalid("has a control character")
	}
	return s, nil
}

func cleanIP(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return addr.Unmap().String(), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return "", invalid("%q is neither an address nor a network like 192.0.2.0/24", clip(s))
	}
	return prefix.Masked().String(), nil
}

func cleanCountry(s string) (string, error) {
	c := strings.ToUpper(s)
	if c != "" && (len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z') {
		return "", invalid("%q is not a two-letter country code", clip(s))
	}
	return c, nil
}

// cleanAgent makes what a browser calls itself fit for keeping and showing.
func cleanAgent(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if len(s) > agentBytesMax {
		s = strings.ToValidUTF8(s[:agentBytesMax], "")
	}
	return s
}
