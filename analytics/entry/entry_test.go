package entry

import (
	"reflect"
	"testing"

	"footfall/analytics"
)

func sample() analytics.Event {
	return analytics.Event{
		Kind: analytics.Custom, Explicit: true, Time: 1_772_353_800_123, ID: 7, Visitor: 8, Previous: 9, Name: "buy", Page: "/a b", Host: "example.com",
		NonInteractive: true, ScrollDepth: analytics.ScrollNone,
		Props:       []analytics.Prop{{Key: "plan", Value: "pro"}, {Key: "", Value: "odd"}},
		Revenue:     analytics.Revenue{Amount: -12_340_000, Currency: "EUR"},
		Agent:       analytics.Agent{Browser: "Chrome", BrowserVersion: "126.0", OS: "Mac", Device: "Desktop"},
		Place:       analytics.Place{Country: "DE", City: "Köln"},
		Acquisition: analytics.Acquisition{Source: "Google", Channel: "Organic Search", Term: "shoes", ClickID: "gclid"},
		Language:    "de", Screen: "LG",
	}
}

func encode(evs ...analytics.Event) []byte {
	b := make([]byte, HeaderLen)
	PutHeader(b, 42, 5, 7, 6)
	for i := range evs {
		b = AppendEvent(b, analytics.SiteID(i+1), &evs[i])
	}
	return AppendDrop(b, 9, 3, 1000, -5)
}

func TestAnEntryReadsBackAsItWasWritten(t *testing.T) {
	ev := sample()
	view := analytics.Event{Time: 1, ID: 2, Visitor: 3, Page: "/", Host: "h"}
	engagement := analytics.Event{Kind: analytics.Engagement, Time: 4, ID: 5, Visitor: 6, Page: "/p", Host: "h", ScrollDepth: 55, EngagedMS: 70_000}
	rd, err := Open(encode(ev, view, engagement))
	if err != nil {
		t.Fatal(err)
	}
	if rd.Time != 42 || rd.Edge != 5 || rd.Epoch != 7 || rd.Sequence != 6 {
		t.Fatalf("header: %+v", rd)
	}
	var it Item
	if ok, err := rd.Next(&it); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if it.Site != 1 || it.Kind != ev.Kind || !it.Explicit || !it.NonInteractive || it.Time != ev.Time || it.ID != 7 || it.Visitor != 8 || it.Previous != 9 ||
		string(it.Name) != "buy" || string(it.Page) != "/a b" || string(it.Host) != "example.com" {
		t.Fatalf("event: %+v", it)
	}
	if v, ok := Lookup(string(it.Props), "plan"); v != "pro" || !ok {
		t.Fatalf("prop plan: %q %v", v, ok)
	}
	if _, ok := Lookup(string(it.Props), "pla"); ok {
		t.Fatal("a property was found that is not there")
	}
	if c, n := Money(string(it.Revenue)); c != "EUR" || n != -12_340_000 {
		t.Fatalf("revenue: %s %d", c, n)
	}
	agent, place, acquisition, language, screen := it.Attributes()
	got := []string{Field(string(agent), 0), Field(string(agent), 1), Field(string(agent), 2), Field(string(agent), 3), Field(string(agent), 4),
		Field(string(place), 0), Field(string(place), 2), Field(string(acquisition), 0), Field(string(acquisition), 7), Field(string(acquisition), 8),
		Field(string(acquisition), 9), string(language), string(screen)}
	want := []string{"Chrome", "126.0", "Mac", "", "Desktop", "DE", "Köln", "Google", "shoes", "gclid", "", "de", "LG"}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("attributes: got %q, want %q", got, want)
	}
	if ok, err := rd.Next(&it); !ok || err != nil || it.Site != 2 || it.Kind != analytics.Pageview || it.Props != nil || it.Revenue != nil || it.Scroll != analytics.ScrollNone {
		t.Fatalf("view: %+v %v %v", it, ok, err)
	}
	if ok, err := rd.Next(&it); !ok || err != nil || it.Scroll != 55 || it.EngagedMS != 70_000 {
		t.Fatalf("engagement: %+v %v %v", it, ok, err)
	}
	if ok, err := rd.Next(&it); !ok || err != nil || !it.Drop || it.Site != 9 || it.Reason != 3 || it.Count != 1000 || it.Day != -5 {
		t.Fatalf("drop: %+v %v %v", it, ok, err)
	}
	if ok, err := rd.Next(&it); ok || err != nil {
		t.Fatal("there is something after the end", ok, err)
	}
}

func TestAnotherVersionIsRefused(t *testing.T) {
	b := encode(sample())
	b[0] = Version + 1
	if _, err := Open(b); err == nil {
		t.Fatal("an entry of an unknown version was opened")
	}
}

func TestEqualTuplesHaveEqualBytes(t *testing.T) {
	a, b := tuple(nil, "Chrome", "", ""), tuple(nil, "Chrome")
	if string(a) != string(b) {
		t.Fatalf("%q and %q", a, b)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(encode(sample()))
	f.Add(encode())
	f.Add(append(append([]byte{1}, encode()[1:17]...), encode()[21:]...)) // version 1
	f.Add(AppendErase(encode(), 1, 2, 3))
	f.Add(AppendRetain(encode(), 1, 3))
	f.Add(AppendSeal(encode(), 1, 24_315, []byte("{}")))
	f.Fuzz(func(t *testing.T, b []byte) {
		rd, err := Open(b)
		if err != nil {
			return
		}
		var it Item
		for {
			ok, err := rd.Next(&it)
			if !ok || err != nil {
				return
			}
			if len(it.Figures) > len(b) || it.Command >= commands {
				t.Fatalf("not a command: %+v", it)
			}
			a, _, c, _, _ := it.Attributes()
			v, _ := Lookup(string(it.Props), "x")
			currency, _ := Money(string(it.Revenue))
			if n := len(Field(string(a), 3)) + len(Field(string(c), 20)) + len(v) + len(currency); n > len(b) {
				t.Fatal("more text came out than went in")
			}
		}
	})
}
