package beacon

import (
	"bytes"
	"image/gif"
	"testing"

	"footfall/analytics"
)

func TestPixel(t *testing.T) {
	for _, c := range []struct {
		name, uri string
		headers   []string
		reason    string
		host      string
		page      string
		referrer  string
	}{
		{"path", "/pixel.gif?site=example.com&p=/a%20b&r=https://ref.example/", nil, "", "(none)", "/a b", "https://ref.example/"},
		{"page that embeds it", "/pixel.gif?site=www.Example.com", []string{"Referer", "https://www.example.com/blog?x=1"}, "", "example.com", "/blog", ""},
		{"path and page", "/pixel.gif?site=example.com&p=/own", []string{"Referer", "https://example.com/blog"}, "", "example.com", "/own", ""},
		{"whole URL", "/pixel.gif?site=example.com&p=https://shop.example.com/x", nil, "", "shop.example.com", "/x", ""},
		{"nothing but the site", "/pixel.gif?site=example.com", nil, "", "(none)", "/", ""},
		{"unknown site", "/pixel.gif?site=nobody.example", nil, "unknown_site", "", "", ""},
		{"no site", "/pixel.gif?p=/", nil, "invalid", "", "", ""},
		{"two sites", "/pixel.gif?site=example.com,shop.org", nil, "invalid", "", "", ""},
		{"refused URL", "/pixel.gif?site=example.com&p=data:x", nil, "invalid", "", "", ""},
		{"bot", "/pixel.gif?site=example.com", []string{"User-Agent", "a bot"}, "bot", "", "", ""},
		{"spam", "/pixel.gif?site=example.com&r=https://spam.example/", nil, "spam_referrer", "", "", ""},
	} {
		f := newFixture(t, nil)
		resp := f.send("GET "+c.uri, "", c.headers...)
		want(t, c.name+": status", resp.StatusCode(), 200)
		if _, err := gif.Decode(bytes.NewReader(resp.Body())); err != nil || len(resp.Body()) != 43 {
			t.Errorf("%s: %d bytes, %v", c.name, len(resp.Body()), err)
		}
		want(t, c.name+": type", string(resp.Header.ContentType()), "image/gif")
		want(t, c.name+": cache", string(resp.Header.Peek("Cache-Control")), "no-store")
		want(t, c.name+": reason", string(resp.Header.Peek("x-footfall-dropped")), c.reason)
		if c.reason != "" {
			want(t, c.name+": recorded", len(f.book.events), 0)
			want(t, c.name+": dropped", string(f.book.drops[0].reason), c.reason)
			want(t, c.name+": x-plausible-dropped", string(resp.Header.Peek("x-plausible-dropped")), "1")
			continue
		}
		e := f.last()
		want(t, c.name+": kind", e.Kind, analytics.Pageview)
		want(t, c.name+": name", e.Name, "pageview")
		want(t, c.name+": host", e.Host, c.host)
		want(t, c.name+": page", e.Page, c.page)
		want(t, c.name+": referrer", e.Acquisition.Referrer, c.referrer)
	}
}

func TestPixelWithAnIDCountsOnce(t *testing.T) {
	f := newFixture(t, nil)
	f.send("GET /pixel.gif?site=example.com&id=mail-7", "")
	resp := f.send("GET /pixel.gif?site=example.com&id=mail-7", "")
	want(t, "reason", string(resp.Header.Peek("x-footfall-dropped")), "duplicate")
	want(t, "recorded", len(f.book.events), 1)
}

func TestPixelSaysWhenNothingWasCounted(t *testing.T) {
	f := newFixture(t, nil)
	f.book.fail = errBusy
	resp := f.send("GET /pixel.gif?site=example.com", "")
	want(t, "status", resp.StatusCode(), 503)
	want(t, "picture", len(resp.Body()), 43)
	f = newFixture(t, func(o *Options) { o.PerAddress, o.PerAddressBurst = 1, 1 })
	f.send("GET /pixel.gif?site=example.com", "", "peer", "203.0.113.7:1")
	resp = f.send("GET /pixel.gif?site=example.com", "", "peer", "203.0.113.7:1")
	want(t, "limited", string(resp.Header.Peek("x-footfall-dropped")), "rate_limited")
	f.send("GET /pixel.gif?site=example.com", "")
	resp = f.send("GET /pixel.gif?site=example.com", "")
	want(t, "the machine itself", string(resp.Header.Peek("x-footfall-dropped")), "")
}
