package source

import (
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"footfall/analytics"
)

var table = sync.OnceValue(func() *Table {
	t, err := New()
	if err != nil {
		panic(err)
	}
	return t
})

func TestTheFactsAreThere(t *testing.T) {
	tab, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if tab.Hosts() < 250 || tab.Spammers() < 150 {
		t.Errorf("%d hosts and %d spam domains", tab.Hosts(), tab.Spammers())
	}
	for h := range tab.hosts {
		if tab.Spam(h) {
			t.Errorf("%s is a source and on the spam list", h)
		}
	}
}

func TestAReferrerBecomesASource(t *testing.T) {
	for _, tt := range []struct{ referrer, text, source, channel string }{
		{"", "", "", Direct},
		{"https://www.google.com/", "google.com", "Google", OrganicSearch},
		{"https://www.google.co.uk/search?q=shoes#top", "google.co.uk/search", "Google", OrganicSearch},
		{"https://www.google.com.br", "google.com.br", "Google", OrganicSearch},
		{"http://google.de", "google.de", "Google", OrganicSearch},
		{"https://docs.google.com/document/d/1", "docs.google.com/document/d/1", "Google Docs", ReferralChannel},
		{"https://sites.google.com/x", "sites.google.com/x", "sites.google.com", ReferralChannel},
		{"https://google.com.evil.example/", "google.com.evil.example", "google.com.evil.example", ReferralChannel},
		{"https://notgoogle.com/", "notgoogle.com", "notgoogle.com", ReferralChannel},
		{"https://www.bing.com/search?q=x", "bing.com/search", "Bing", OrganicSearch},
		{"https://fr.search.yahoo.com/search?p=x", "fr.search.yahoo.com/search", "Yahoo!", OrganicSearch},
		{"https://duckduckgo.com/", "duckduckgo.com", "DuckDuckGo", OrganicSearch},
		{"https://yandex.ru/", "yandex.ru", "Yandex", OrganicSearch},
		{"https://search.brave.com/", "search.brave.com", "Brave", OrganicSearch},
		{"https://l.facebook.com/l.php?u=x", "l.facebook.com/l.php", "Facebook", OrganicSocial},
		{"https://m.facebook.com", "m.facebook.com", "Facebook", OrganicSocial},
		{"https://t.co/AbC", "t.co/AbC", "Twitter", OrganicSocial},
		{"https://x.com/", "x.com", "Twitter", OrganicSocial},
		{"https://l.instagram.com/", "l.instagram.com", "Instagram", OrganicSocial},
		{"https://lnkd.in/abc", "lnkd.in/abc", "LinkedIn", OrganicSocial},
		{"https://old.reddit.com/r/golang/", "old.reddit.com/r/golang", "Reddit", OrganicSocial},
		{"https://news.ycombinator.com/item?id=1", "news.ycombinator.com/item", "Hacker News", OrganicSocial},
		{"android-app://com.google.android.googlequicksearchbox/", "com.google.android.googlequicksearchbox", "Google", OrganicSearch},
		{"android-app://com.linkedin.android", "com.linkedin.android", "LinkedIn", OrganicSocial},
		{"android-app://org.telegram.messenger/", "org.telegram.messenger", "Telegram", OrganicSocial},
		{"https://www.youtube.com/watch?v=1", "youtube.com/watch", "YouTube", OrganicVideo},
		{"https://www.amazon.co.jp/dp/1", "amazon.co.jp/dp/1", "Amazon", OrganicShopping},
		{"https://aws.amazon.com/", "aws.amazon.com", "AWS", ReferralChannel},
		{"https://chatgpt.com/", "chatgpt.com", "ChatGPT", AIAssistants},
		{"https://www.perplexity.ai/search/x", "perplexity.ai/search/x", "Perplexity", AIAssistants},
		{"https://claude.ai/", "claude.ai", "Claude", AIAssistants},
		{"https://gemini.google.com/app", "gemini.google.com/app", "Gemini", AIAssistants},
		{"https://copilot.microsoft.com/", "copilot.microsoft.com", "Copilot", AIAssistants},
		{"https://mail.google.com/mail/u/0/", "mail.google.com/mail/u/0", "Gmail", EmailChannel},
		{"https://outlook.live.com/", "outlook.live.com", "Outlook.com", EmailChannel},
		{"https://open.spotify.com/", "open.spotify.com", "Spotify", AudioChannel},
		{"https://en.wikipedia.org/wiki/Shop", "en.wikipedia.org/wiki/Shop", "Wikipedia", ReferralChannel},
		{"https://WWW.Example.ORG:8443/Path/", "example.org/Path", "example.org", ReferralChannel},
		{"https://user:secret@example.org/a", "example.org/a", "example.org", ReferralChannel},
		{"//example.org/a", "example.org/a", "example.org", ReferralChannel},
		{"example.org", "example.org", "example.org", ReferralChannel},
		{"https://bücher.example/", "bücher.example", "bücher.example", ReferralChannel},
		{"https://[2001:db8::1]:80/x", "[2001:db8::1]/x", "[2001:db8::1]", ReferralChannel},
		{"https://localhost/x", "localhost/x", "localhost", ReferralChannel},
		{"about:blank", "", "", Direct},
		{"javascript:alert(1)", "", "", Direct},
		{"chrome-extension://abcdef/x", "", "", Direct},
		{"file:///etc/passwd", "", "", Direct},
		{"https://", "", "", Direct},
		{"https:///path", "", "", Direct},
		{"https://a b/", "", "", Direct},
		{"https://<script>/", "", "", Direct},
		{"nothing", "", "", Direct},
		{"https://shop.example/inside", "", "", Direct},
		{"http://www.shop.example:80/", "", "", Direct},
		{"https://blog.shop.example/", "blog.shop.example", "blog.shop.example", ReferralChannel},
		{"https://example.org/a\x00b\xff", "example.org/ab\uFFFD", "example.org", ReferralChannel},
	} {
		r := table().Read(tt.referrer)
		a := table().Acquire(&r, "shop.example", "")
		want := analytics.Acquisition{Source: tt.source, Referrer: tt.text, Channel: tt.channel}
		if a != want {
			t.Errorf("%q:\n got %+v\nwant %+v", tt.referrer, a, want)
		}
	}
}

func TestTagsOfTheLandingAddress(t *testing.T) {
	const google, bing, none = "https://www.google.com/", "https://www.bing.com/", ""
	for _, tt := range []struct {
		referrer, query string
		want            analytics.Acquisition
	}{
		{none, "ref=a", analytics.Acquisition{Source: "a", UTMSource: "a", Channel: ReferralChannel}},
		{none, "source=b&ref=a", analytics.Acquisition{Source: "b", UTMSource: "b", Channel: ReferralChannel}},
		{none, "ref=a&source=b&utm_source=c", analytics.Acquisition{Source: "c", UTMSource: "c", Channel: ReferralChannel}},
		{none, "utm_source=&source=b", analytics.Acquisition{Source: "b", UTMSource: "b", Channel: ReferralChannel}},
		{google, "utm_source=fb", analytics.Acquisition{Source: "Facebook", UTMSource: "fb", Referrer: "google.com", Channel: OrganicSocial}},
		{none, "utm_source=IG&utm_medium=cpc", analytics.Acquisition{Source: "Instagram", UTMSource: "IG", Medium: "cpc", Channel: PaidSocial}},
		{none, "utm_source=adwords&utm_medium=ppc", analytics.Acquisition{Source: "Google", UTMSource: "adwords", Medium: "ppc", Channel: PaidSearch}},
		{none, "utm_source=google", analytics.Acquisition{Source: "Google", UTMSource: "google", Channel: OrganicSearch}},
		{none, "utm_source=chatgpt.com", analytics.Acquisition{Source: "ChatGPT", UTMSource: "chatgpt.com", Channel: AIAssistants}},
		{none, "utm_source=www.linkedin.com", analytics.Acquisition{Source: "LinkedIn", UTMSource: "www.linkedin.com", Channel: OrganicSocial}},
		{none, "utm_source=free&utm_medium=Email", analytics.Acquisition{Source: "free", UTMSource: "free", Medium: "Email", Channel: EmailChannel}},
		{none, "utm_source=Weekly+Newsletter", analytics.Acquisition{Source: "Weekly Newsletter", UTMSource: "Weekly Newsletter", Channel: EmailChannel}},
		{none, "utm_source=a&utm_medium=b&utm_campaign=c&utm_content=d&utm_term=e",
			analytics.Acquisition{Source: "a", UTMSource: "a", Medium: "b", Campaign: "c", Content: "d", Term: "e", Channel: ReferralChannel}},
		{none, "utm_campaign=caf%C3%A9%20%26+co%", analytics.Acquisition{Campaign: "café & co%", Channel: Direct}},
		{google, "gclid=abc", analytics.Acquisition{Source: "Google", Referrer: "google.com", Medium: "(gclid)", ClickID: "gclid", Channel: PaidSearch}},
		{google, "gclid=abc&utm_medium=x", analytics.Acquisition{Source: "Google", Referrer: "google.com", Medium: "x", ClickID: "gclid", Channel: PaidSearch}},
		{bing, "msclkid=abc", analytics.Acquisition{Source: "Bing", Referrer: "bing.com", Medium: "(msclkid)", ClickID: "msclkid", Channel: PaidSearch}},
		{bing, "gclid=abc", analytics.Acquisition{Source: "Bing", Referrer: "bing.com", ClickID: "gclid", Channel: OrganicSearch}},
		{none, "gclid=", analytics.Acquisition{Channel: Direct}},
		{none, "fbclid=x", analytics.Acquisition{ClickID: "fbclid", Channel: Direct}},
		{none, "a=b&twclid=x&&=&utm_medium", analytics.Acquisition{ClickID: "twclid", Channel: Direct}},
		{none, "UTM_SOURCE=x&page=2", analytics.Acquisition{Channel: Direct}},
		{none, "utm_source=a%00b%0Ac%FF", analytics.Acquisition{Source: "abc\uFFFD", UTMSource: "abc\uFFFD", Channel: ReferralChannel}},
	} {
		r := table().Read(tt.referrer)
		if a := table().Acquire(&r, "shop.example", tt.query); a != tt.want {
			t.Errorf("%q ?%s:\n got %+v\nwant %+v", tt.referrer, tt.query, a, tt.want)
		}
	}
}

func TestChannels(t *testing.T) {
	for _, tt := range []struct{ source, medium, campaign, click, want string }{
		{"Google", "cpc", "x Cross-Network y", "", CrossNetwork},
		{"Amazon", "cpc", "", "", PaidShopping},
		{"abc", "paidsocial", "spring shop", "", PaidShopping},
		{"Google", "cpc", "", "", PaidSearch},
		{"Google", "", "", "gclid", PaidSearch},
		{"Bing", "", "", "msclkid", PaidSearch},
		{"Google", "", "", "msclkid", OrganicSearch},
		{"Facebook", "retargeting", "", "", PaidSocial},
		{"YouTube", "cpv-cpm", "", "", PaidVideo},
		{"abc", "cpm", "", "", Display},
		{"abc", "Banner", "", "", Display},
		{"abc", "paid-thing", "", "", PaidOther},
		{"abc", "ppc", "", "", PaidOther},
		{"eBay", "", "", "", OrganicShopping},
		{"abc", "", "eshop", "", OrganicShopping},
		{"abc", "", "workshop", "", ReferralChannel},
		{"abc", "", "workshop shop", "", OrganicShopping},
		{"abc", "", "teleshopping", "", OrganicShopping},
		{"abc", "social media", "", "", OrganicSocial},
		{"abc", "my video", "", "", OrganicVideo},
		{"Claude", "", "", "", AIAssistants},
		{"Claude", "cpc", "", "", PaidOther},
		{"abc", "organic", "", "", OrganicSearch},
		{"abc", "e-mail", "", "", EmailChannel},
		{"newsletter 3", "", "", "", EmailChannel},
		{"abc", "affiliate", "", "", Affiliates},
		{"abc", "audio", "", "", AudioChannel},
		{"sms", "", "", "", SMS},
		{"abc", "web-push", "", "", Push},
		{"firebase", "", "", "", Push},
		{"", "referral", "", "", ReferralChannel},
		{"abc", "", "", "", ReferralChannel},
		{"", "", "", "", Direct},
		{"", "", "spring", "", Direct},
	} {
		if got := table().Channel(tt.source, tt.medium, tt.campaign, tt.click); got != tt.want {
			t.Errorf("source %q medium %q campaign %q click %q: %s, want %s", tt.source, tt.medium, tt.campaign, tt.click, got, tt.want)
		}
	}
}

func TestFalseReferrersAreSpam(t *testing.T) {
	for referrer, want := range map[string]bool{
		"http://semalt.com/crawler.php?u=x": true, "http://a.b.semalt.com": true, "https://WWW.Darodar.com/": true,
		"http://notsemalt.com/": false, "http://com/": false, "https://www.google.com/": false, "": false,
	} {
		if got := table().Read(referrer).Spam; got != want {
			t.Errorf("%q: spam %v, want %v", referrer, got, want)
		}
	}
}

func TestLongTextsAreCutBetweenCharacters(t *testing.T) {
	long := strings.Repeat("é", 2000)
	r := table().Read("https://example.org/" + long)
	a := table().Acquire(&r, "", "utm_source="+long+"&utm_term="+strings.Repeat("%C3%A9", 1000))
	for name, s := range map[string]string{"referrer": a.Referrer, "source": a.Source, "utm_source": a.UTMSource, "utm_term": a.Term} {
		if len(s) > analytics.AttributeBytesMax || len(s) < analytics.AttributeBytesMax-12 || !utf8.ValidString(s) {
			t.Errorf("%s has %d bytes, valid %v", name, len(s), utf8.ValidString(s))
		}
	}
}

func TestTheCommonCasesDoNotAllocate(t *testing.T) {
	direct, known := table().Read(""), table().Read("https://www.google.com/")
	for name, f := range map[string]func(){
		"direct":              func() { table().Acquire(&direct, "shop.example", "") },
		"referrer":            func() { table().Acquire(&known, "shop.example", "") },
		"own parameters":      func() { table().Acquire(&known, "shop.example", "page=2&colour=red") },
		"unencoded utm":       func() { table().Acquire(&known, "shop.example", "utm_source=newsletter&utm_medium=email") },
		"look-up of a host":   func() { table().Lookup("www2.some.unknown.example") },
		"spam check":          func() { table().Spam("www2.some.unknown.example") },
		"host in lower case":  func() { Host("www.example.org:443") },
		"a referrer's origin": func() { table().Read("https://www.google.co.uk/") },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzAcquire(f *testing.F) {
	f.Add("https://www.google.com/search?q=x", "shop.example", "utm_source=a&gclid=b")
	f.Add("android-app://com.slack/", "", "ref=%zz%&source=+%20")
	f.Add("https://[::1", "x", "utm_campaign=%F0%9F%8D&utm_campaign=x")
	f.Add("//\xff.é/\x00", "é", "=&=&utm_term")
	f.Add("http://user@WWW.WWW.example.:99/", "example", "")
	f.Fuzz(func(t *testing.T, referrer, host, query string) {
		r := table().Read(referrer)
		a := table().Acquire(&r, host, query)
		for _, s := range []string{a.Source, a.Referrer, a.Channel, a.Medium, a.UTMSource, a.Campaign, a.Content, a.Term, a.ClickID} {
			if len(s) > analytics.AttributeBytesMax || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n\r\x7f") {
				t.Fatalf("%q %q ?%q gives %q", referrer, host, query, s)
			}
		}
		if a.Channel == "" {
			t.Fatalf("%q %q ?%q has no channel", referrer, host, query)
		}
		if strings.Contains(a.Referrer, "?") || strings.Contains(a.Referrer, "#") {
			t.Fatalf("referrer %q keeps its query", a.Referrer)
		}
		if again := table().Read("https://" + r.Host); r.Host != "" && !strings.HasPrefix(r.Host, "www.") && again.Host != r.Host {
			t.Fatalf("host %q reads as %q the second time", r.Host, again.Host)
		}
	})
}

func BenchmarkReadReferrer(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		table().Read("https://www.google.co.uk/search?q=shoes")
	}
}

func BenchmarkAcquireTags(b *testing.B) {
	r := table().Read("https://www.google.com/")
	b.ReportAllocs()
	for b.Loop() {
		table().Acquire(&r, "shop.example", "utm_source=newsletter&utm_medium=email&utm_campaign=spring")
	}
}
