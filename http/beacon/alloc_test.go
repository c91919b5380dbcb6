package beacon

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/enrich"
)

// sink is a Recorder that costs nothing.
type sink struct{ n int }

func (s *sink) Record(analytics.SiteID, *analytics.Event) (analytics.Receipt, error) {
	s.n++
	return analytics.Receipt{Token: analytics.Token{Shard: 3, Index: uint64(s.n)}}, nil
}

func (s *sink) RecordBatch(analytics.SiteID, []analytics.Event, []analytics.Receipt) error {
	return nil
}

func (s *sink) Drop(analytics.SiteID, analytics.Reason, int, int64) {}

// hot gives a request as browsers send it behind a proxy, and what handles it.
func hot(t testing.TB, body string) (run func(), s *sink) {
	return hotWith(t, body, nil)
}

func hotWith(t testing.TB, body string, e Enricher, change ...func(*Options)) (run func(), s *sink) {
	s = &sink{}
	f := newFixture(nil, func(o *Options) {
		o.Recorder, o.PerAddress, o.PerAddressBurst = s, 1<<30, 1<<30
		if e != nil {
			o.Enricher = e
		}
		for _, c := range change {
			c(o)
		}
	})
	var req fasthttp.Request
	req.Header.SetMethod("POST")
	req.SetRequestURI("/api/event")
	req.Header.SetHost("stats.example")
	req.Header.SetUserAgent(browser)
	for _, h := range [][2]string{{"X-Forwarded-For", "203.0.113.99"}, {"Accept-Language", "en,de;q=0.5"}, {"Sec-CH-UA-Platform", `"Linux"`}, {"Sec-CH-UA-Mobile", "?0"},
		{"Origin", "https://example.com"}, {"Sec-Fetch-Site", "cross-site"}, {"Accept", "*/*"}, {"Content-Type", "text/plain"}} {
		req.Header.Set(h[0], h[1])
	}
	req.SetBodyString(body)
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:1")), nil)
	return func() {
		ctx.Response.Reset()
		if err := f.door.event(&ctx, accounts.Identity{}); err != nil || ctx.Response.StatusCode() != 202 {
			t.Fatalf("%d %v", ctx.Response.StatusCode(), err)
		}
	}, s
}

const plainView = `{"n":"pageview","v":36,"u":"https://www.example.com/products/12?utm_source=news","d":"example.com","r":"https://www.google.com/"}`

func TestAPlainViewAllocatesNothing(t *testing.T) {
	run, s := hot(t, plainView)
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s.n == 0 {
		t.Error("nothing was recorded")
	}
}

func BenchmarkPlainView(b *testing.B) {
	e, err := enrich.New(enrich.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	run, _ := hotWith(b, plainView, e)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func BenchmarkEscapedView(b *testing.B) {
	run, _ := hot(b, `{"n":"buy","u":"https:\/\/example.com\/caf%C3%A9","d":"example.com","p":"{\"plan\":\"pro\"}"}`)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func BenchmarkScan(b *testing.B) {
	var f form
	body := []byte(plainView)
	for b.Loop() {
		f.scan(body)
	}
}

func BenchmarkFallback(b *testing.B) {
	var f form
	body := []byte(plainView)
	for b.Loop() {
		f.fallback(body)
	}
}

func BenchmarkBatchOfThousand(b *testing.B) {
	e, err := enrich.New(enrich.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	f := newFixture(nil, func(o *Options) { o.Recorder, o.Enricher = &sink{}, e })
	event := `{"id":"0123456789abcdef","timestamp":"2026-01-02T03:04:05Z","site":"example.com","url":"https://example.com/a/b?c=d","ip":"203.0.113.9","referrer":"https://www.google.com/","user_agent":"` + browser + `"}`
	var req fasthttp.Request
	req.Header.SetMethod("POST")
	req.SetRequestURI("/v1/events")
	req.SetBodyString("[" + strings.Repeat(event+",", 999) + event + "]")
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Reset()
		if err := f.door.events(&ctx, writer); err != nil || ctx.Response.StatusCode() != 202 {
			b.Fatal(err, ctx.Response.StatusCode())
		}
	}
}
