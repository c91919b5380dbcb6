package inspect

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"footfall/analytics"
)

// bench is a Watch with a clock of its own.
type bench struct {
	*Watch
	now time.Time
}

func newBench(change ...func(*Options)) *bench {
	b := &bench{now: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)}
	opts := Options{Edge: "a", Now: func() time.Time { return b.now }}
	for _, f := range change {
		f(&opts)
	}
	b.Watch = New(opts)
	return b
}

// see notes a page view if the site is watched, as the beacon does.
func (b *bench) see(site analytics.SiteID, page string, verdict analytics.Reason) {
	now := b.now.UnixMilli()
	if b.Watching(site, now) {
		b.Note(site, &analytics.Event{Time: now, Name: "pageview", Page: page}, verdict, "")
	}
}

func pages(events []Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Page)
	}
	return strings.Join(out, " ")
}

func TestASiteIsRememberedFromTheFirstLookOn(t *testing.T) {
	b := newBench()
	b.see(1, "/before", analytics.Counted)
	p := b.Look(1, Ask{Limit: 10})
	if len(p.Events) != 0 || !p.Since.Equal(b.now) || p.Edge != "a" {
		t.Errorf("the first look gives %+v", p)
	}
	began := b.now
	b.now = b.now.Add(30 * time.Minute)
	b.see(1, "/after", analytics.Counted)
	b.see(2, "/other", analytics.Counted)
	if p = b.Look(1, Ask{Limit: 10}); pages(p.Events) != "/after" || !p.Since.Equal(began) {
		t.Errorf("%+v", p)
	}
	b.now = b.now.Add(59 * time.Minute)
	b.see(1, "/within", analytics.Counted)
	b.now = b.now.Add(time.Minute)
	b.see(1, "/too-late", analytics.Counted)
	if p = b.Look(1, Ask{Limit: 10}); pages(p.Events) != "" || !p.Since.Equal(b.now) {
		t.Errorf("after an hour without a look it begins anew, got %+v", p)
	}
	if b.Sites() != 1 {
		t.Errorf("%d sites", b.Sites())
	}
}

func TestTheNewestEventsAreKept(t *testing.T) {
	b := newBench(func(o *Options) { o.EventsMax = 5 })
	b.Look(1, Ask{})
	for i := range 12 {
		b.see(1, fmt.Sprintf("/%d", i), analytics.Counted)
	}
	if p := b.Look(1, Ask{Limit: 100}); pages(p.Events) != "/7 /8 /9 /10 /11" {
		t.Errorf("got %s", pages(p.Events))
	}
	if p := b.Look(1, Ask{Limit: 2}); pages(p.Events) != "/10 /11" {
		t.Errorf("got %s", pages(p.Events))
	}
	seen := map[string]bool{}
	for _, e := range b.Look(1, Ask{Limit: 100}).Events {
		if seen[e.ID] || e.ID == "" {
			t.Errorf("id %q again", e.ID)
		}
		seen[e.ID] = true
	}
}

func TestAVerdictCanBeAskedFor(t *testing.T) {
	b := newBench()
	b.Look(1, Ask{})
	b.see(1, "/good", analytics.Counted)
	b.see(1, "/bot", analytics.DropBot)
	b.see(1, "/again", analytics.DropDuplicate)
	for verdict, want := range map[string]string{"": "/good /bot /again", Counted: "/good", "bot": "/bot", "duplicate": "/again", "no_visit": ""} {
		if got := pages(b.Look(1, Ask{Limit: 10, Verdict: verdict}).Events); got != want {
			t.Errorf("%q gives %s, want %s", verdict, got, want)
		}
	}
	for _, text := range []string{"", "undecided", "good"} {
		if _, ok := ParseVerdict(text); ok {
			t.Errorf("%q is a verdict", text)
		}
	}
}

func TestEverythingOfAnEventIsShownButWhoItWas(t *testing.T) {
	b := newBench()
	b.Look(1, Ask{})
	ev := &analytics.Event{Kind: analytics.Custom, Time: b.now.UnixMilli() + 5, ID: 77, Visitor: 424242, Previous: 434343, Name: "Order", Page: "/p", Host: "h.example",
		Props:       []analytics.Prop{{Key: "secret-key", Value: "secret-value"}},
		Agent:       analytics.Agent{Browser: "Firefox", BrowserVersion: "1", OS: "Mac", Device: "Desktop"},
		Place:       analytics.Place{Country: "DE", Region: "DE-BE", City: "Berlin"},
		Acquisition: analytics.Acquisition{Source: "Google", Referrer: "google.com/x"}, Language: "de", Screen: "XL"}
	b.Note(1, ev, analytics.DropPage, "blocked_pages: /p*")
	got := b.Look(1, Ask{Limit: 1}).Events[0]
	want := Event{ID: got.ID, Time: b.now.Add(5 * time.Millisecond), Kind: "event", Name: "Order", Page: "/p", Host: "h.example", Referrer: "google.com/x", Source: "Google",
		Country: "DE", Region: "DE-BE", City: "Berlin", Browser: "Firefox", OS: "Mac", Device: "Desktop", Screen: "XL", Language: "de",
		Verdict: "page_blocked", Rule: "blocked_pages: /p*", Edge: "a"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"424242", "434343", "secret"} {
		if strings.Contains(string(text), not) {
			t.Errorf("%s shows %s", text, not)
		}
	}
	if kinds := kindWord(analytics.Pageview) + kindWord(analytics.Engagement); kinds != "pageviewengagement" {
		t.Error(kinds)
	}
}

// The texts of an event belong to a request whose memory is used again.
func TestNothingOfARequestIsKept(t *testing.T) {
	b := newBench()
	b.Look(1, Ask{})
	page, rule, reason := []byte("/page"), []byte("a rule"), []byte("bot")
	b.Note(1, &analytics.Event{Page: alias(page)}, analytics.Reason(alias(reason)), alias(rule))
	for _, x := range [][]byte{page, rule, reason} {
		for i := range x {
			x[i] = '#'
		}
	}
	if e := b.Look(1, Ask{Limit: 1}).Events[0]; e.Page != "/page" || e.Rule != "a rule" || e.Verdict != "bot" {
		t.Errorf("%+v", e)
	}
}

func TestLongAndBrokenTextsAreCutAndMended(t *testing.T) {
	b := newBench()
	b.Look(1, Ask{})
	b.Note(1, &analytics.Event{Page: "/" + strings.Repeat("é", 400), Name: "a\xffb", Host: "h"}, analytics.Counted, "")
	e := b.Look(1, Ask{Limit: 1}).Events[0]
	if want := "/" + strings.Repeat("é", 249) + "…"; e.Page != want {
		t.Errorf("%d bytes: %s", len(e.Page), e.Page)
	}
	if e.Name != "a\uFFFDb" || e.Host != "h" {
		t.Errorf("%+v", e)
	}
}

func TestTheSiteLookedAtLongestAgoMakesRoom(t *testing.T) {
	b := newBench(func(o *Options) { o.SitesMax = 2 })
	for site := range analytics.SiteID(3) {
		b.Look(site+1, Ask{})
		b.see(site+1, "/x", analytics.Counted)
		b.now = b.now.Add(time.Second)
	}
	now := b.now.UnixMilli()
	if b.Watching(1, now) || !b.Watching(2, now) || !b.Watching(3, now) {
		t.Error("not the first one went")
	}
	b.Look(2, Ask{})
	b.Look(4, Ask{})
	if now = b.now.UnixMilli(); !b.Watching(2, now) || b.Watching(3, now) || b.Sites() != 2 {
		t.Error("the one looked at last went")
	}
}

func TestMemoryIsBoundedAndGivenBack(t *testing.T) {
	const bytes = 100_000
	b := newBench(func(o *Options) { o.BytesMax = bytes })
	for site := analytics.SiteID(1); site <= 20; site++ {
		b.Look(site, Ask{})
		for range 100 {
			b.see(site, "/"+strings.Repeat("x", 300), analytics.Counted)
		}
		b.now = b.now.Add(time.Second)
		if b.Bytes() > bytes {
			t.Fatalf("%d bytes after site %d", b.Bytes(), site)
		}
	}
	if got := len(b.Look(20, Ask{Limit: 1000}).Events); got != 100 || b.Sites() < 2 {
		t.Errorf("the last site has %d events, %d sites are there", got, b.Sites())
	}
	b.now = b.now.Add(2 * time.Hour)
	b.Look(99, Ask{})
	if b.Bytes() != 0 {
		t.Errorf("%d bytes are held by nothing", b.Bytes())
	}
}

func TestASubscriptionIsToldOfCountedEvents(t *testing.T) {
	b := newBench(func(o *Options) { o.SitesMax = 1 })
	s := b.Subscribe(1)
	told := func() bool {
		select {
		case <-s.C:
			return true
		default:
			return false
		}
	}
	b.see(1, "/bot", analytics.DropBot)
	if told() {
		t.Error("told of a bot")
	}
	b.see(1, "/x", analytics.Counted)
	b.see(1, "/y", analytics.Counted)
	if !told() || told() {
		t.Error("not told once of two")
	}
	b.Look(2, Ask{}) // pushes the site out
	if !told() {
		t.Error("not told that the site made room")
	}
	s.Keep()
	b.see(1, "/z", analytics.Counted)
	if !told() || pages(b.Look(1, Ask{Limit: 9}).Events) != "/z" {
		t.Error("it did not begin anew")
	}
	s.Keep()
	s.Close()
	b.see(1, "/z", analytics.Counted)
	if told() {
		t.Error("told after its end")
	}
}

func TestPartsOfNodesAreMerged(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0).UTC() }
	a := Part{Edge: "a", Since: at(1), Events: []Event{{Page: "1", Time: at(1), Edge: "a"}, {Page: "3", Time: at(3), Edge: "a"}, {Page: "4", Time: at(3), Edge: "a"}}}
	c := Part{Edge: "c", Since: at(2), Events: []Event{{Page: "2", Time: at(2), Edge: "c"}, {Page: "5", Time: at(3), Edge: "c"}}}
	events, since := Merge([]Part{c, a}, 4)
	if pages(events) != "4 3 5 2" || !since.Equal(at(2)) {
		t.Errorf("%s since %v", pages(events), since)
	}
	var wire Part
	text, err := json.Marshal(a)
	if err != nil || json.Unmarshal(text, &wire) != nil || !reflect.DeepEqual(wire, a) {
		t.Errorf("over the wire it is %+v, %v", wire, err)
	}
}

func TestTheWayOfAViewAllocatesNothing(t *testing.T) {
	b := newBench()
	ev := &analytics.Event{Time: b.now.UnixMilli(), Name: "pageview", Page: "/products/12", Host: "example.com"}
	now := b.now.UnixMilli()
	idle := func() {
		if b.Watching(1, now) {
			b.Note(1, ev, analytics.Counted, "")
		}
	}
	if n := testing.AllocsPerRun(100, idle); n != 0 {
		t.Errorf("%v allocations while nobody looks", n)
	}
	b.Look(1, Ask{})
	for range EventsMax { // every place was used once
		idle()
	}
	if n := testing.AllocsPerRun(100, idle); n != 0 {
		t.Errorf("%v allocations while somebody looks", n)
	}
}

func TestManyLookWhileEventsCome(t *testing.T) {
	b := newBench(func(o *Options) { o.SitesMax, o.BytesMax, o.EventsMax = 3, 20_000, 50 })
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 3000 {
				site := analytics.SiteID(r.IntN(6))
				switch r.IntN(8) {
				case 0:
					for _, e := range b.Look(site, Ask{Limit: 50}).Events {
						if !utf8.ValidString(e.Page) || !strings.HasPrefix(e.Page, "/") {
							t.Errorf("page %q", e.Page)
						}
					}
				case 1:
					s := b.Subscribe(site)
					s.Keep()
					s.Close()
				default:
					b.see(site, "/"+strings.Repeat("x", r.IntN(400)), analytics.Counted)
				}
			}
		})
	}
	wg.Wait()
	b.now = b.now.Add(2 * time.Hour)
	b.Look(99, Ask{})
	if b.Bytes() != 0 {
		t.Errorf("%d bytes are held by nothing", b.Bytes())
	}
}

// alias gives a text that changes with b, as those of a request do.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func BenchmarkWatching(b *testing.B) {
	w := newBench()
	w.Look(2, Ask{})
	ev := &analytics.Event{Name: "pageview", Page: "/products/12", Host: "example.com", Place: analytics.Place{Country: "DE"}}
	for _, c := range []struct {
		name string
		site analytics.SiteID
	}{{"nobody looks", 1}, {"somebody looks", 2}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			now := w.now.UnixMilli()
			for b.Loop() {
				if w.Watching(c.site, now) {
					w.Note(c.site, ev, analytics.Counted, "")
				}
			}
		})
	}
}
