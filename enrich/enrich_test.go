package enrich

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
	"unsafe"

	"go.uber.org/goleak"

	"footfall/analytics"
)

const (
	chromeWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	chromeLinux   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	googlebot     = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func enricher(t testing.TB) *Enricher {
	t.Helper()
	e, err := New(Options{CacheSize: 256})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func TestAUserAgentIsReadOnceAndRemembered(t *testing.T) {
	e := enricher(t)
	buffer := []byte(chromeWindows)
	first := e.UserAgent(buffer, Hints{})
	want := UserAgent{Agent: analytics.Agent{Browser: "Chrome", BrowserVersion: "126.0", OS: "Windows", OSVersion: "10", Device: "Desktop"}}
	if *first != want {
		t.Fatalf("got %+v, want %+v", *first, want)
	}
	if e.UserAgent([]byte(chromeWindows), Hints{}) != first {
		t.Error("the second look did not come from memory")
	}
	copy(buffer, strings.Repeat("x", len(buffer)))
	if *first != want || *e.UserAgent([]byte(chromeWindows), Hints{}) != want {
		t.Errorf("the caller's buffer is still in use: %+v", *first)
	}
}

func TestHintsAreNotMixedUp(t *testing.T) {
	e := enricher(t)
	for range 2 {
		for _, tt := range []struct{ platform, mobile, os, device string }{
			{"", "", "GNU/Linux", "Desktop"}, {`"Android"`, "?1", "Android", "Mobile"}, {`"Android"`, "?0", "Android", "Tablet"},
			{`"Chrome OS"`, "?0", "Chrome OS", "Desktop"},
		} {
			got := e.UserAgent([]byte(chromeLinux), Hints{Platform: []byte(tt.platform), Mobile: []byte(tt.mobile)})
			if got.OS != tt.os || got.Device != tt.device {
				t.Errorf("%s %s: %s %s, want %s %s", tt.platform, tt.mobile, got.OS, got.Device, tt.os, tt.device)
			}
		}
	}
}

func TestBotsAreNamed(t *testing.T) {
	e := enricher(t)
	for ua, bot := range map[string]bool{"": true, googlebot: true, "curl/8.5.0": true, chromeWindows: false, "Mozilla/5.0 Umami/0.4.0": false} {
		got := e.UserAgent([]byte(ua), Hints{})
		if got.Bot != bot || bot == (got.BotRule == "") {
			t.Errorf("%q: bot %v by %q, want %v", ua, got.Bot, got.BotRule, bot)
		}
	}
	if got := e.UserAgent(nil, Hints{}); got.BotRule != "empty" {
		t.Errorf("no user agent: rule %q", got.BotRule)
	}
	if got := e.UserAgent([]byte(strings.Repeat("x", 100_000)), Hints{}); got.Bot || got.Browser != "" {
		t.Errorf("a very long user agent: %+v", got)
	}
}

func TestAcquisitionDoesNotKeepTheCallersBuffers(t *testing.T) {
	e := enricher(t)
	for _, referrer := range []string{"https://www.example.org/path", "https://www.example.org/" + strings.Repeat("p", 600)} {
		buffer := []byte(referrer)
		acq, spam := e.Acquisition(unsafe.String(&buffer[0], len(buffer)), "shop.example", "")
		before := strings.Clone(acq.Referrer) + " " + strings.Clone(acq.Source)
		copy(buffer, strings.Repeat("x", len(buffer)))
		if acq.Referrer+" "+acq.Source != before || spam || acq.Source != "example.org" {
			t.Errorf("%q became %q %q", before, acq.Referrer, acq.Source)
		}
		again, _ := e.Acquisition(referrer, "shop.example", "")
		if again != acq {
			t.Errorf("the second time: %+v, want %+v", again, acq)
		}
	}
}

func TestTheSameReferrerCountsDifferentlyOnItsOwnSite(t *testing.T) {
	e := enricher(t)
	for range 2 {
		for host, want := range map[string]string{"example.org": "Direct", "www.example.org": "Direct", "shop.example": "Referral"} {
			if acq, _ := e.Acquisition("https://www.example.org/a", host, ""); acq.Channel != want {
				t.Errorf("on %s: %s, want %s", host, acq.Channel, want)
			}
		}
	}
	if _, spam := e.Acquisition("http://semalt.com/x", "shop.example", ""); !spam {
		t.Error("a false referrer passes")
	}
}

func TestChannelOfFieldsThatAClientGave(t *testing.T) {
	e := enricher(t)
	if got := e.Channel(&analytics.Acquisition{Source: "Facebook", Medium: "cpc"}); got != "Paid Social" {
		t.Errorf("channel %q", got)
	}
}

func TestLanguage(t *testing.T) {
	for accept, want := range map[string]string{
		"": "", "*": "", "en": "en", "en-US,en;q=0.9": "en-US", "de-de": "de-DE", "PT_br": "pt-BR", "zh-hant-tw": "zh-Hant-TW", "es-419": "es-419",
		"fr;q=0.3, de;q=0.8, en;q=0.5": "de", "fr;q=0, en;q=0.1": "en", "fr;q=0": "", "en-US-u-hc-h12": "en-US", "sr-Latn": "sr-Latn",
		" da , en-gb;q=0.8": "da", "*, it;q=0.5": "it", "iw-IL": "he-IL", "x-pirate": "", "i-klingon": "", "e": "", "12": "", "english": "",
		"en-US-GB": "en-US", "en--US": "en", "gsw-CH": "gsw-CH", "abc-Abcd-123": "abc-Abcd-123", "en;q=banana, de;q=0.1": "de", "en;q=0.999": "en",
		"\xff\xfe": "", ",,,;;;": "", "en;level=1": "",
	} {
		if got := Language([]byte(accept)); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
}

func TestScreenClass(t *testing.T) {
	for width, want := range map[int]string{
		-1: "", 0: "", 1: "XS", 575: "XS", 576: "SM", 991: "SM", 992: "MD", 1439: "MD", 1440: "LG", 1919: "LG", 1920: "XL", 10_000: "XL",
	} {
		if got := ScreenClass(width); got != want {
			t.Errorf("%d: %q, want %q", width, got, want)
		}
	}
}

func TestSplitURL(t *testing.T) {
	for raw, want := range map[string]URL{
		"https://www.Example.org/a/b?x=1&y=2#top": {Host: "example.org", Page: "/a/b", Query: "x=1&y=2", Fragment: "top"},
		"https://example.org":                     {Host: "example.org", Page: "/"},
		"https://example.org?x":                   {Host: "example.org", Page: "/", Query: "x"},
		"http://user:pw@example.org:8080/":        {Host: "example.org", Page: "/"},
		"https://example.org/caf%C3%A9%20/%zz%":   {Host: "example.org", Page: "/café /%zz%"},
		"https://example.org/a%20%0A":             {Host: "example.org", Page: "/a"},
		"https://example.org/%ff":                 {Host: "example.org", Page: "/\uFFFD"},
		"https://[2001:db8::1]:443/x":             {Host: "[2001:db8::1]", Page: "/x"},
		"/only/a/path?q":                          {Host: NoHost, Page: "/only/a/path", Query: "q"},
		"app://settings":                          {Host: "settings", Page: "/"},
		"file:///index.html":                      {Host: NoHost, Page: "/index.html"},
		"//example.org/x":                         {Host: "example.org", Page: "/x"},
		"  https://example.org/x  ":               {Host: "example.org", Page: "/x"},
		"https://example.org//a":                  {Host: "example.org", Page: "//a"},
	} {
		got, err := SplitURL(raw)
		if err != nil || got != want {
			t.Errorf("%q:\n got %+v %v\nwant %+v", raw, got, err, want)
		}
	}
	for raw, want := range map[string]string{
		"": "url: is required", " ": "url: is required", "data:text/html,x": "url: scheme is not allowed", "https://a b/": "url: must be a valid url",
		"https://" + strings.Repeat("a", 300) + "/":        "url: must be a valid url",
		"https://example.org/" + strings.Repeat("a", 2000): fmt.Sprintf("url: is longer than %d bytes", analytics.URLBytesMax),
	} {
		if _, err := SplitURL(raw); err == nil || err.Error() != want || analytics.CodeOf(err) != analytics.Invalid {
			t.Errorf("%.40q: error %v, want %q", raw, err, want)
		}
	}
}

func TestExplainShowsTheWholeView(t *testing.T) {
	e := enricher(t)
	got := e.Explain(ExplainInput{
		UserAgent: chromeWindows, Referrer: "https://www.google.com/", URL: "https://www.shop.example/caf%C3%A9?gclid=1&utm_campaign=spring",
		IP: "192.0.2.1", AcceptLanguage: "de-AT,de;q=0.9", ScreenWidth: 1280,
	})
	want := Explanation{
		Browser: "Chrome", BrowserVersion: "126.0", OS: "Windows", OSVersion: "10", Device: "Desktop", Source: "Google", Referrer: "google.com",
		Channel: "Paid Search", UTMMedium: "(gclid)", UTMCampaign: "spring", ClickID: "gclid", Hostname: "shop.example", Page: "/café", Language: "de-AT", Screen: "MD",
	}
	if got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "192.0.2.1") {
		t.Errorf("the explanation holds the address: %s", text)
	}
	for name, tt := range map[string]struct {
		in               ExplainInput
		dropped, mistake string
	}{
		"bot":    {ExplainInput{UserAgent: googlebot}, "bot", ""},
		"none":   {ExplainInput{}, "bot", ""},
		"spam":   {ExplainInput{UserAgent: chromeWindows, Referrer: "http://semalt.com"}, "spam_referrer", ""},
		"url":    {ExplainInput{UserAgent: chromeWindows, URL: "data:x"}, "invalid", "url: scheme is not allowed"},
		"ip":     {ExplainInput{UserAgent: chromeWindows, IP: "nowhere"}, "invalid", "ip: is not an address"},
		"person": {ExplainInput{UserAgent: chromeWindows}, "", ""},
	} {
		if x := e.Explain(tt.in); x.Dropped != tt.dropped || x.Error != tt.mistake {
			t.Errorf("%s: dropped %q, error %q; want %q, %q", name, x.Dropped, x.Error, tt.dropped, tt.mistake)
		}
	}
}

func TestABadDatabaseIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.mmdb")
	_, err := New(Options{GeoPath: path})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.HasPrefix(err.Error(), "geoip-db: ") || analytics.CodeOf(err) != analytics.Invalid {
		t.Errorf("error %v", err)
	}
	e := enricher(t)
	if _, _, err := e.Database(); err != ErrNoDatabase {
		t.Errorf("without a database: %v", err)
	}
	if p := e.Place(netip.MustParseAddr("192.0.2.1")); p != (analytics.Place{}) {
		t.Errorf("without a database: %+v", p)
	}
}

func TestTheHotPathDoesNotAllocate(t *testing.T) {
	e := enricher(t)
	ua, hints := []byte(chromeWindows), Hints{Platform: []byte(`"Windows"`), Mobile: []byte("?0")}
	accept := []byte("en-US,en;q=0.9,de;q=0.8")
	for name, f := range map[string]func(){
		"user agent":           func() { e.UserAgent(ua, hints) },
		"direct":               func() { e.Acquisition("", "shop.example", "") },
		"known referrer":       func() { e.Acquisition("https://www.google.com/search?q=shoes", "shop.example", "") },
		"own parameters":       func() { e.Acquisition("https://t.co/abc", "shop.example", "page=2") },
		"utm without escapes":  func() { e.Acquisition("https://t.co/abc", "shop.example", "utm_source=newsletter&utm_medium=email") },
		"language":             func() { Language(accept) },
		"registrable domain":   func() { e.RegistrableDomain("www.shop.example.co.uk") },
		"address without file": func() { e.Place(netip.AddrFrom4([4]byte{192, 0, 2, 1})) },
		"plain address of a page": func() {
			if _, err := SplitURL("https://shop.example/shoes?page=2"); err != nil {
				t.Error(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestManyMayAskAtOnceAndAFloodStaysBounded(t *testing.T) {
	e := enricher(t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				ua := fmt.Appendf(nil, "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", w*1000+i)
				if got := e.UserAgent(ua, Hints{}); got.BrowserVersion != fmt.Sprintf("%d.0", w*1000+i) {
					t.Errorf("%s: %+v", ua, got)
					return
				}
				e.UserAgent([]byte(chromeWindows), Hints{})
				if acq, _ := e.Acquisition(fmt.Sprintf("https://site%d.example/", i), "shop.example", ""); acq.Source != fmt.Sprintf("site%d.example", i) {
					t.Errorf("source %q", acq.Source)
					return
				}
			}
		})
	}
	wg.Wait()
	if e.agents.Cap() != 256 || e.referrals.Cap() != 256 {
		t.Errorf("room for %d user agents and %d referrers, want 256", e.agents.Cap(), e.referrals.Cap())
	}
}

func FuzzLanguage(f *testing.F) {
	for _, s := range []string{"en-US,en;q=0.9", "zh-Hant-TW", "*;q=0.1", "iw", "en;q=1.0000", "a-b-c", "\x00", "abc-abcd-123-x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, accept []byte) {
		got := Language(accept)
		if len(got) > 12 || strings.Trim(got, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			t.Errorf("%q: %q", accept, got)
		}
		if again := Language([]byte(got)); again != got {
			t.Errorf("%q: %q becomes %q", accept, got, again)
		}
	})
}

func FuzzSplitURL(f *testing.F) {
	for _, s := range []string{"https://www.example.org/a?b#c", "//x", "a:b", "https://[::1", "/%2e%2e/%00", "http://@:80/", "x://\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := SplitURL(raw)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "url: ") {
				t.Errorf("%q: error %q does not name the field", raw, err)
			}
			return
		}
		if u.Host == "" || u.Page == "" || u.Page[0] != '/' || !utf8.ValidString(u.Page) || !utf8.ValidString(u.Host) {
			t.Errorf("%q: %+v", raw, u)
		}
	})
}

func FuzzExplain(f *testing.F) {
	f.Add(chromeWindows, "https://t.co/x", "https://shop.example/?ref=x", "192.0.2.1", "en")
	f.Add("", "", "", "", "")
	f.Add("\xff", "//\x00", "data:", "::ffff:1.2.3.4%x", ",;")
	e := enricher(f)
	f.Fuzz(func(t *testing.T, ua, referrer, url, ip, accept string) {
		x := e.Explain(ExplainInput{UserAgent: ua, Referrer: referrer, URL: url, IP: ip, AcceptLanguage: accept})
		if x.Channel == "" || x.Bot == (x.BotRule == "") {
			t.Errorf("%+v", x)
		}
	})
}

func BenchmarkUserAgent(b *testing.B) {
	e := enricher(b)
	ua, hints := []byte(chromeWindows), Hints{Platform: []byte(`"Windows"`), Mobile: []byte("?0")}
	b.ReportAllocs()
	for b.Loop() {
		e.UserAgent(ua, hints)
	}
}

func BenchmarkUserAgentFirstTime(b *testing.B) {
	e := enricher(b)
	uas := make([][]byte, 20_000)
	for i := range uas {
		uas[i] = fmt.Appendf(nil, "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.UserAgent(uas[i%len(uas)], Hints{})
	}
}

func BenchmarkAcquisition(b *testing.B) {
	e := enricher(b)
	for name, in := range map[string][2]string{
		"direct": {"", ""}, "referrer": {"https://www.google.com/search?q=shoes", ""},
		"tags": {"https://t.co/abc", "utm_source=newsletter&utm_medium=email&utm_campaign=spring"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.Acquisition(in[0], "shop.example", in[1])
			}
		})
	}
}

func BenchmarkLanguage(b *testing.B) {
	accept := []byte("en-US,en;q=0.9,de;q=0.8")
	b.ReportAllocs()
	for b.Loop() {
		Language(accept)
	}
}

func BenchmarkSplitURL(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SplitURL("https://www.shop.example/shoes/red?page=2"); err != nil {
			b.Fatal(err)
		}
	}
}
