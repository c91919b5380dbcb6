package bots

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
)

// lists gives the list as it is built here and the one without the crawlers.
var lists = sync.OnceValue(func() map[string]*List {
	whole, err := New()
	if err != nil {
		panic(err)
	}
	own, err := Parse(nil)
	if err != nil {
		panic(err)
	}
	return map[string]*List{"embedded": whole, "own marks": own}
})

func browsers(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("../agent/testdata/browsers.txt")
	if err != nil {
		t.Fatal(err)
	}
	var uas []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "Mozilla/") || strings.HasPrefix(line, "Opera/") {
			uas = append(uas, line)
		}
	}
	return uas
}

func TestNoBrowserOfPeopleIsABot(t *testing.T) {
	uas := browsers(t)
	if len(uas) < 80 {
		t.Fatalf("only %d browsers in the table", len(uas))
	}
	uas = append(uas,
		"Mozilla/5.0 (Linux; Android 12; Robotics Abbott K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
		"MyShop/4.2 (iPhone; iOS 17.5)",
	)
	for name, l := range lists() {
		for _, ua := range uas {
			if rule, bot := l.Match(ua); bot {
				t.Errorf("%s: %s is called a bot by %q", name, ua, rule)
			}
		}
	}
}

func TestProgramsAreBots(t *testing.T) {
	for _, tt := range []string{
		"curl/8.5.0", "Wget/1.21.4", "python-requests/2.32.3", "Python/3.12 aiohttp/3.9.5", "Go-http-client/2.0", "okhttp/4.12.0",
		"axios/1.7.2", "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "PostmanRuntime/7.39.0", "Java/17.0.11",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
		"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
		"Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
		"Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
		"Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
		"DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot",
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)",
		"Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)",
		"meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/534.34 (KHTML, like Gecko) PhantomJS/1.9.8 Safari/534.34",
		"Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
		"Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", "Mozilla/5.0 (compatible; StatusCake)",
		"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "Twitterbot/1.0", "WhatsApp/2.23.20.0",
		"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "TelegramBot (like TwitterBot)",
		"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
		"Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)", "UniversalFeedParser/4.2-pre-314-svn +http://feedparser.org/",
		"Tiny Tiny RSS/1.11 (http://tt-rss.org/)", "Chef Client/10.18.2 (ruby-1.9.3-p327; ohai-6.16.0; x86_64-linux; +http://opscode.com)",
		"SomethingNobodyHeardOfBot/0.1", "my-new-crawler 2", "", " ", "-",
	} {
		for name, l := range lists() {
			if rule, bot := l.Match(tt); !bot || rule == "" {
				t.Errorf("%s: %q passes as a person (rule %q)", name, tt, rule)
			}
		}
	}
}

func TestTheRuleIsNamed(t *testing.T) {
	own := lists()["own marks"]
	for ua, want := range map[string]string{
		"": Empty, "-": Empty, "curl/8.5.0": "curl", "Mozilla/5.0 (compatible; GPTBot/1.2)": "gptbot", "Mozilla/5.0 Firefox/127.0": "",
	} {
		if rule, _ := own.Match(ua); rule != want {
			t.Errorf("%q: rule %q, want %q", ua, rule, want)
		}
	}
}

func TestEveryExampleOfThePublicListIsRecognised(t *testing.T) {
	data, err := generated.ReadFile("generated/crawlers.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the list of crawlers is not here; enrich/bots/fetch.sh brings it")
	}
	if err != nil {
		t.Fatal(err)
	}
	var entries []struct {
		Pattern   string
		Instances []string
	}
	if err := json.Unmarshal(data, &entries); err != nil {
		t.Fatal(err)
	}
	l := lists()["embedded"]
	if l.Crawlers() != len(entries) || len(entries) < 1000 {
		t.Fatalf("%d crawlers known of %d", l.Crawlers(), len(entries))
	}
	n, missed, own := 0, 0, lists()["own marks"]
	for _, e := range entries {
		for _, ua := range e.Instances {
			n++
			if _, bot := l.Match(ua); !bot {
				t.Errorf("%q, an example of %q, passes as a person", ua, e.Pattern)
			}
			if _, bot := own.Match(ua); !bot {
				missed++
			}
		}
	}
	t.Logf("%d examples; the own marks alone recognise %.0f %%", n, 100*float64(n-missed)/float64(n))
	if missed*4 > n {
		t.Errorf("the own marks alone miss %d of %d examples", missed, n)
	}
}

func TestADamagedListIsAnError(t *testing.T) {
	for _, data := range []string{"{", `[{"pattern":"("}]`, `{"pattern":"x"}`} {
		if _, err := Parse([]byte(data)); err == nil {
			t.Errorf("Parse(%s) gave no error", data)
		}
	}
}

func TestPatternsAreFiledSoThatTheyStillMatch(t *testing.T) {
	l, err := Parse([]byte(`[{"pattern":"Zzz\\/"},{"pattern":"^Qqq"},{"pattern":"[xX]yz[vV]w"},{"pattern":"(^| )kkk\\/"}]`))
	if err != nil {
		t.Fatal(err)
	}
	if len(l.literals) != 1 || len(l.prefixes) != 1 || len(l.patterns) != 2 {
		t.Errorf("literals %q, prefixes %q, %d patterns", l.literals, l.prefixes, len(l.patterns))
	}
	for ua, want := range map[string]string{
		"a Zzz/1": "Zzz/", "a zzz/1": "", "Qqq 1": "Qqq", "a Qqq": "", "a xyzVw": "[xX]yz[vV]w", "a kkk/1": `(^| )kkk\/`, "akkk/1": "",
	} {
		if rule, bot := l.Match(ua); rule != want || bot != (want != "") {
			t.Errorf("%q: %q %v, want %q", ua, rule, bot, want)
		}
	}
}

func TestManyMayAskAtOnce(t *testing.T) {
	l := lists()["embedded"]
	uas := browsers(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, ua := range uas {
				l.Match(ua)
				l.Match(ua + " Googlebot/2.1")
			}
		})
	}
	wg.Wait()
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{"", "curl", "cubot bot", "a\x00bot/", "İbot", "BOT\xff", strings.Repeat("cubot", 40)} {
		f.Add(s)
	}
	l := lists()["embedded"]
	f.Fuzz(func(t *testing.T, ua string) {
		rule, bot := l.Match(ua)
		if bot == (rule == "") {
			t.Errorf("%q: rule %q, bot %v", ua, rule, bot)
		}
		if _, again := l.Match(ua + "; GPTBot/1.0"); !again {
			t.Errorf("%q with a crawler's name passes as a person", ua)
		}
	})
}

func BenchmarkMatchBrowser(b *testing.B) {
	l, uas := lists()["embedded"], browsers(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Match(uas[i%len(uas)])
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(); err != nil {
			b.Fatal(err)
		}
	}
}
