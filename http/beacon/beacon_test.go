package beacon

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/enrich"
	"footfall/http/door"
)

// book is a Recorder that remembers, and knows the ids it has seen.
type book struct {
	mu     sync.Mutex
	events []recorded
	drops  []drop
	seen   map[uint64]bool
	visits map[uint64]bool // visitors with a visit, for engagement
	fail   error
	index  uint64
}

type recorded struct {
	site analytics.SiteID
	analytics.Event
}

type drop struct {
	site   analytics.SiteID
	reason analytics.Reason
}

func (b *book) Record(site analytics.SiteID, ev *analytics.Event) (analytics.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return analytics.Receipt{}, b.fail
	}
	return b.decide(site, ev), nil
}

func (b *book) RecordBatch(site analytics.SiteID, evs []analytics.Event, out []analytics.Receipt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	for i := range evs {
		out[i] = b.decide(site, &evs[i])
	}
	return nil
}

func (b *book) decide(site analytics.SiteID, ev *analytics.Event) analytics.Receipt {
	if b.seen == nil {
		b.seen, b.visits = map[uint64]bool{}, map[uint64]bool{}
	}
	b.index++
	receipt := analytics.Receipt{Token: analytics.Token{Shard: 7, Index: b.index}}
	switch {
	case b.seen[ev.ID]:
		receipt.Reason = analytics.DropDuplicate
		return receipt
	case ev.Kind == analytics.Engagement && !b.visits[ev.Visitor]:
		receipt.Reason = analytics.DropNoVisit
		return receipt
	}
	b.seen[ev.ID], b.visits[ev.Visitor] = true, true
	b.events = append(b.events, recorded{site, clone(*ev)})
	return receipt
}

func (b *book) Drop(site analytics.SiteID, reason analytics.Reason, n int, nowMS int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range n {
		b.drops = append(b.drops, drop{site, reason})
	}
}

// clone copies an event with all its texts, which belong to the request.
func clone(ev analytics.Event) analytics.Event {
	ev.Props = append([]analytics.Prop(nil), ev.Props...)
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			v.SetString(strings.Clone(v.String()))
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		}
	}
	walk(reflect.ValueOf(&ev).Elem())
	return ev
}

type directory map[string]*analytics.Site

func (d directory) Site(domain []byte) (*analytics.Site, bool) {
	s, ok := d[string(domain)]
	return s, ok
}

type salts struct{ current, previous [16]byte }

func (s *salts) At(int64) (current, previous *[16]byte) { return &s.current, &s.previous }

func (s *salts) Weekly(int64) (current, previous *[16]byte) {
	return longer(s.current, 'w'), longer(s.previous, 'w')
}

func (s *salts) Monthly(int64) (current, previous *[16]byte) { return longer(s.current, 'm'), nil }

// longer gives the salt that stands for s in another family.
func longer(s [16]byte, family byte) *[16]byte {
	s[15] = family
	return &s
}

// plainEnricher knows very little, and says it plainly.
type plainEnricher struct{ agents map[string]*enrich.UserAgent }

func (p *plainEnricher) UserAgent(ua []byte, h enrich.Hints) *enrich.UserAgent {
	if a := p.agents[string(ua)]; a != nil {
		return a
	}
	return &enrich.UserAgent{Agent: analytics.Agent{Browser: "?", OS: string(h.Platform), Device: string(h.Mobile)}, Bot: len(ua) == 0 || bytes.Contains(ua, []byte("bot"))}
}

func (*plainEnricher) Acquisition(referrer, pageHost, query string) (analytics.Acquisition, bool) {
	acq := analytics.Acquisition{Referrer: referrer}
	for len(query) > 0 {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, val, _ := strings.Cut(pair, "=")
		switch {
		case key == "utm_source" && acq.UTMSource == "":
			acq.UTMSource = val
		case key == "utm_campaign" && acq.Campaign == "":
			acq.Campaign = val
		}
	}
	return acq, strings.Contains(referrer, "spam.example")
}

func (*plainEnricher) Channel(acq *analytics.Acquisition) string { return "by " + acq.Source }

func (*plainEnricher) Place(addr netip.Addr) analytics.Place {
	if addr == netip.MustParseAddr("203.0.113.99") {
		return analytics.Place{Country: "DE", Region: "DE-BE", City: "Berlin"}
	}
	return analytics.Place{}
}

func (*plainEnricher) RegistrableDomain(host string) string {
	if _, parent, _ := strings.Cut(host, "."); strings.Contains(parent, ".") {
		return parent
	}
	return host
}

const (
	browser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	noon    = int64(1_783_080_000_000) // 3 July 2026, 12:00 UTC
)

type fixture struct {
	t    *testing.T
	door *Door
	book *book
	now  time.Time
}

func newFixture(t *testing.T, change func(*Options)) *fixture {
	f := &fixture{t: t, book: &book{}, now: time.UnixMilli(noon)}
	opts := Options{
		Recorder: f.book,
		Directory: directory{
			"example.com": {ID: 1, Domain: "example.com", Org: 1, Secret: [16]byte{1}},
			"shop.org":    {ID: 2, Domain: "shop.org", Org: 1, Secret: [16]byte{2}},
			"other.net":   {ID: 3, Domain: "other.net", Org: 2, Secret: [16]byte{3}},
			"strict.dev": {ID: 4, Domain: "strict.dev", Org: 1, Secret: [16]byte{4}, Hostnames: []string{"*.strict.dev", "strict.dev"},
				Pages: []string{"/admin*", "/secret"}, IPs: []string{"198.51.100.0/24", "2001:db8::1", "rubbish"}, Countries: []string{"DE", "A1"}},
		},
		Salts:    &salts{current: [16]byte{1}, previous: [16]byte{2}},
		Enricher: &plainEnricher{agents: map[string]*enrich.UserAgent{browser: {Agent: analytics.Agent{Browser: "Chrome", BrowserVersion: "126.0", OS: "GNU/Linux", Device: "Desktop"}}}},
		Now:      func() time.Time { return f.now },
		Trusted:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	if change != nil {
		change(&opts)
	}
	f.door = New(opts)
	return f
}

// send calls the route as the edge would and gives the answer.
func (f *fixture) send(what, body string, headers ...string) *fasthttp.Response {
	f.t.Helper()
	return f.sendAs(accounts.Identity{}, what, body, headers...)
}

func (f *fixture) sendAs(who accounts.Identity, what, body string, headers ...string) *fasthttp.Response {
	f.t.Helper()
	method, uri, _ := strings.Cut(what, " ")
	var req fasthttp.Request
	req.Header.SetMethod(method)
	req.SetRequestURI(uri)
	req.Header.SetHost("stats.example")
	req.Header.SetUserAgent(browser)
	req.SetBodyString(body)
	peer := "127.0.0.1:1"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "peer" {
			peer = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(peer)), nil)
	path, _, _ := strings.Cut(uri, "?")
	for _, r := range f.door.Routes() {
		if r.Method == method && r.Path == path {
			if err := r.Handler(&ctx, who); err != nil {
				door.WriteError(&ctx, err)
			}
			return &ctx.Response
		}
	}
	f.t.Fatalf("no route %s", what)
	return nil
}

// last gives the event recorded last.
func (f *fixture) last() recorded {
	f.t.Helper()
	if len(f.book.events) == 0 {
		f.t.Fatal("nothing was recorded")
	}
	return f.book.events[len(f.book.events)-1]
}

var errBusy = analytics.Errorf(analytics.Overloaded, "shard 7: too much to do: %w", errors.New("queue is full"))
