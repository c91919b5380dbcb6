package beacon

import (
	"strings"
	"testing"

	"footfall/enrich"
)

// TestWithTheRealEnricher sends views through the tables that production uses.
func TestWithTheRealEnricher(t *testing.T) {
	real, err := enrich.New(enrich.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	for _, c := range []struct {
		name, query, referrer, ua string
		reason                    string
		check                     func(t *testing.T, e recorded)
	}{
		{name: "18 utm_source before source and ref", query: "?ref=r&source=s&utm_source=u", check: func(t *testing.T, e recorded) { want(t, "utm_source", e.Acquisition.UTMSource, "u") }},
		{name: "18 source before ref", query: "?ref=r&source=s", check: func(t *testing.T, e recorded) { want(t, "utm_source", e.Acquisition.UTMSource, "s") }},
		{name: "18 ref", query: "?ref=r", check: func(t *testing.T, e recorded) { want(t, "utm_source", e.Acquisition.UTMSource, "r") }},
		{name: "19 gclid", query: "?gclid=abc", referrer: "https://www.google.com/", check: func(t *testing.T, e recorded) {
			want(t, "medium", e.Acquisition.Medium, "(gclid)")
			want(t, "channel", e.Acquisition.Channel, "Paid Search")
			want(t, "click id", e.Acquisition.ClickID, "gclid")
		}},
		{name: "19 msclkid", query: "?msclkid=abc", referrer: "https://www.bing.com/", check: func(t *testing.T, e recorded) { want(t, "medium", e.Acquisition.Medium, "(msclkid)") }},
		{name: "search", referrer: "https://www.google.de/", check: func(t *testing.T, e recorded) {
			want(t, "source", e.Acquisition.Source, "Google")
			want(t, "channel", e.Acquisition.Channel, "Organic Search")
		}},
		{name: "own page", referrer: "https://www.example.com/before", check: func(t *testing.T, e recorded) {
			want(t, "source", e.Acquisition.Source, "")
			want(t, "channel", e.Acquisition.Channel, "Direct")
		}},
		{name: "browser", check: func(t *testing.T, e recorded) {
			want(t, "browser", e.Agent.Browser+" "+e.Agent.BrowserVersion, "Chrome 126.0")
			want(t, "device", e.Agent.Device, "Desktop")
		}},
		{name: "headless", ua: strings.Replace(browser, "Chrome/", "HeadlessChrome/", 1), reason: "bot"},
		{name: "crawler", ua: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", reason: "bot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, func(o *Options) { o.Enricher = real })
			headers := []string{"User-Agent", browser}
			if c.ua != "" {
				headers[1] = c.ua
			}
			// Twice, because the second answer comes from the caches.
			for range 2 {
				resp := f.send("POST /api/event", `{"n":"pageview","u":"https://www.example.com/`+c.query+`","d":"example.com","r":"`+c.referrer+`"}`, headers...)
				want(t, "reason", string(resp.Header.Peek("x-footfall-dropped")), c.reason)
				if c.check != nil {
					c.check(t, f.last())
				}
			}
		})
	}
}

func TestNativeChannelFollowsTheGivenSource(t *testing.T) {
	real, err := enrich.New(enrich.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	f := newFixture(t, func(o *Options) { o.Enricher = real })
	for more, channel := range map[string]string{
		`"source":"Google"`:                              "Organic Search",
		`"source":"Google","utm_medium":"cpc"`:           "Paid Search",
		`"utm_source":"newsletter","utm_medium":"email"`: "Email",
		`"source":"Google","channel":"Mine"`:             "Mine",
		`"referrer":"https://chatgpt.com/"`:              "AI Assistants",
		`"utm_source":"a&b c"`:                           "Referral",
	} {
		f.post(writer, one(more))
		if got := f.last().Acquisition; got.Channel != channel {
			t.Errorf("%s: %+v, want %s", more, got, channel)
		}
		if strings.Contains(more, "a&b c") && f.last().Acquisition.UTMSource != "a&b c" {
			t.Errorf("%s: %q", more, f.last().Acquisition.UTMSource)
		}
	}
}

func TestAPlainViewAllocatesNothingWithTheRealEnricher(t *testing.T) {
	real, err := enrich.New(enrich.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	run, _ := hotWith(t, plainView, real)
	run() // fills the caches
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
