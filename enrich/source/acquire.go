package source

import (
	"strings"

	"footfall/analytics"
)

// clickIDs are the parameters by which advertisers mark a click, in the order
// in which they are looked for.
var clickIDs = [...]string{"gclid", "gbraid", "wbraid", "msclkid", "fbclid", "twclid"}

// tags are the parameters of the landing address that count.
type tags struct {
	medium, utmSource, source, ref, campaign, content, term string
	clicks                                                  [len(clickIDs)]bool
}

// Acquire says how a visit came about. r is its referrer; pageHost the host of
// the page, without "www."; query the page's query, without '?'. A referrer
// from pageHost itself is none. The strings share memory with r and query, and
// are at most AttributeBytesMax long. No allocation when query holds nothing
// that needs decoding.
func (t *Table) Acquire(r *Referral, pageHost, query string) analytics.Acquisition {
	a := analytics.Acquisition{Channel: Direct}
	var from Source
	if r.Host != "" && r.Host != pageHost {
		from = Source{r.Name, r.Category}
		a.Source, a.Referrer, a.Channel = r.Name, r.Text, r.Channel
	}
	if strings.IndexByte(query, '=') < 0 {
		return a
	}
	var g tags
	if !g.read(query) {
		return a
	}
	if a.UTMSource = g.utmSource; a.UTMSource == "" {
		if a.UTMSource = g.source; a.UTMSource == "" {
			a.UTMSource = g.ref
		}
	}
	if a.UTMSource != "" {
		from = t.Tag(a.UTMSource)
		a.Source = cut(from.Name, analytics.AttributeBytesMax)
	}
	a.Medium, a.Campaign, a.Content, a.Term = g.medium, g.campaign, g.content, g.term
	for i, seen := range g.clicks {
		if seen {
			a.ClickID = clickIDs[i]
			break
		}
	}
	if a.Medium == "" {
		switch {
		case g.clicks[0] && from.Name == "Google":
			a.Medium, a.ClickID = "(gclid)", "gclid"
		case g.clicks[3] && from.Name == "Bing":
			a.Medium, a.ClickID = "(msclkid)", "msclkid"
		}
	}
	a.Channel = channel(from, a.Medium, a.Campaign, a.ClickID)
	return a
}

// read finds the tags in query and tells whether there are any. Of a parameter
// that stands there twice the first that is not blank counts.
func (g *tags) read(query string) (any bool) {
	for len(query) > 0 {
		part := query
		if end := strings.IndexByte(query, '&'); end >= 0 {
			part, query = query[:end], query[end+1:]
		} else {
			query = ""
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok || len(key) < 3 || len(key) > 12 {
			continue
		}
		var into *string
		switch key {
		case "utm_medium":
			into = &g.medium
		case "utm_source":
			into = &g.utmSource
		case "utm_campaign":
			into = &g.campaign
		case "utm_content":
			into = &g.content
		case "utm_term":
			into = &g.term
		case "source":
			into = &g.source
		case "ref":
			into = &g.ref
		default:
			for i, id := range clickIDs {
				if key == id && value != "" {
					g.clicks[i] = true
					any = true
				}
			}
			continue
		}
		if *into == "" {
			*into = tagValue(value)
			any = any || *into != ""
		}
	}
	return any
}

// tagValue decodes, cleans and cuts a value: from the wire to what is stored.
func tagValue(raw string) string {
	if len(raw) > 3*analytics.AttributeBytesMax {
		raw = raw[:3*analytics.AttributeBytesMax]
	}
	v := raw
	if strings.ContainsAny(raw, "%+") {
		v = unescape(raw)
	}
	return strings.TrimSpace(cut(strings.TrimSpace(clean(v)), analytics.AttributeBytesMax))
}

// unescape decodes %XX and '+'. A broken escape stays as it is: the value is
// shown to people, who know better what was meant.
func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2])))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
