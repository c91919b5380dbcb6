package beacon

import (
	"strings"
	"sync"
	"testing"

	"footfall/analytics"
)

// notebook is an Inspector that remembers what it was told of one site.
type notebook struct {
	site  analytics.SiteID
	mu    sync.Mutex
	lines []string
	last  analytics.Event
}

func (n *notebook) Watching(site analytics.SiteID, now int64) bool {
	return site == n.site && now == noon
}

func (n *notebook) Note(site analytics.SiteID, ev *analytics.Event, verdict analytics.Reason, rule string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if site != n.site {
		verdict = "another site's"
	}
	n.last = clone(*ev)
	n.lines = append(n.lines, strings.Join([]string{string(verdict), strings.Clone(ev.Page), strings.Clone(rule)}, "|"))
}

// take gives what was told since it was called last.
func (n *notebook) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := strings.Join(n.lines, "\n")
	n.lines = nil
	return out
}

func inspected(t *testing.T, site analytics.SiteID) (*fixture, *notebook) {
	n := &notebook{site: site}
	return newFixture(t, func(o *Options) { o.Inspector = n }), n
}

func TestTheInspectorIsToldWhatWasDecidedAndWhy(t *testing.T) {
	const open = "203.0.113.7"
	for _, c := range []struct {
		name, body, from string
		headers          []string
		want             string
	}{
		{"counted", `{"n":"pageview","u":"https://strict.dev/a","d":"strict.dev"}`, open, nil, "|/a|"},
		{"of another site", `{"n":"pageview","u":"https://example.com/a","d":"example.com"}`, open, nil, ""},
		{"of no site", `{"n":"pageview","u":"https://nobody.dev/a","d":"nobody.dev"}`, open, nil, ""},
		{"page", `{"n":"pageview","u":"https://strict.dev/admin/x","d":"strict.dev"}`, open, nil, "page_blocked|/admin/x|blocked_pages: /admin*"},
		{"host", `{"n":"pageview","u":"https://elsewhere.dev/x","d":"strict.dev"}`, open, nil, "hostname_blocked|/x|hostnames: elsewhere.dev is not among them"},
		{"address, which is not told", `{"n":"pageview","u":"https://strict.dev/x","d":"strict.dev"}`, "198.51.100.7", nil, "ip_blocked|/x|blocked_ips"},
		{"country", `{"n":"pageview","u":"https://strict.dev/x","d":"strict.dev"}`, "203.0.113.99", nil, "country_blocked|/x|blocked_countries: DE"},
		{"bot", `{"n":"pageview","u":"https://strict.dev/x","d":"strict.dev"}`, open, []string{"User-Agent", "a bot"}, "bot|/x|user_agent"},
		{"spam", `{"n":"pageview","u":"https://strict.dev/x","d":"strict.dev","r":"https://spam.example/"}`, open, nil, "spam_referrer|/x|referrer: https://spam.example/"},
		{"no visit", `{"n":"engagement","u":"https://strict.dev/x","d":"strict.dev","e":5}`, open, nil, "no_visit|/x|"},
		{"wrong", `{"n":"engagement","u":"https://strict.dev/x","d":"strict.dev"}`, open, nil, "invalid|/x|event_name: " + engagementText},
		{"several sites", `{"n":"pageview","u":"https://strict.dev/a","d":"example.com,strict.dev"}`, open, nil, "|/a|"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, n := inspected(t, 4)
			f.send("POST /api/event", c.body, append([]string{"X-Forwarded-For", c.from}, c.headers...)...)
			if got := n.take(); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheInspectorSeesTheSecondArrivalOfAnID(t *testing.T) {
	f, n := inspected(t, 1)
	const body = `{"n":"pageview","u":"https://example.com/a","d":"example.com","id":"1"}`
	f.send("POST /api/event", body)
	f.send("POST /api/event", body)
	if got := n.take(); got != "|/a|\nduplicate|/a|" {
		t.Errorf("told %q", got)
	}
	f.send("GET /pixel.gif?site=example.com&p=/mail", "")
	if got := n.take(); got != "|/mail|" {
		t.Errorf("told %q of a pixel", got)
	}
}

// What the way of a view spares itself once an event is dropped is found out for
// the inspector.
func TestTheInspectorKnowsTheAgentOfAnEventThatARuleBlocks(t *testing.T) {
	f, n := inspected(t, 4)
	f.send("POST /api/event", `{"n":"pageview","u":"https://strict.dev/secret","d":"strict.dev"}`)
	if n.take() == "" || n.last.Agent.Browser != "Chrome" || n.last.Visitor != 0 {
		t.Errorf("told of %+v", n.last)
	}
}

func TestTheInspectorIsToldOfBatches(t *testing.T) {
	f, n := inspected(t, 4)
	got := f.sendAs(writer, "POST /v1/events", `[
		{"site":"strict.dev","url":"https://strict.dev/a","visitor":"v","id":"1"},
		{"site":"strict.dev","url":"https://strict.dev/a","visitor":"v","id":"1"},
		{"site":"example.com","url":"https://example.com/x","visitor":"v"},
		{"site":"strict.dev","url":"https://strict.dev/admin","visitor":"v"},
		{"site":"strict.dev","url":"https://strict.dev/b","visitor":"v","ip":"no address"},
		{"site":"strict.dev","url":"https://strict.dev/c"}]`)
	if got.StatusCode() != 202 {
		t.Fatalf("%d %s", got.StatusCode(), got.Body())
	}
	want := "page_blocked|/admin|blocked_pages: /admin*\n" +
		"invalid|/b|events[4].ip: is not an IP address\n" +
		"invalid|/c|events[5].visitor: is required, or ip and user_agent\n" +
		"|/a|\nduplicate|/a|"
	if told := n.take(); told != want {
		t.Errorf("told\n%s\nwant\n%s", told, want)
	}
	f.sendAs(reader, "POST /v1/events", `{"site":"strict.dev","url":"https://strict.dev/a","visitor":"v"}`)
	if told := n.take(); told != "" {
		t.Errorf("told %q of a sender who may not write", told)
	}
}

func TestAWatchedViewAllocatesNothing(t *testing.T) {
	n := &tally{}
	run, s := hotWith(t, plainView, nil, func(o *Options) { o.Inspector = n })
	if got := testing.AllocsPerRun(1000, run); got != 0 {
		t.Errorf("%v allocations", got)
	}
	if n.noted != s.n || s.n == 0 {
		t.Errorf("told of %d of %d", n.noted, s.n)
	}
}

// tally is an Inspector that costs nothing.
type tally struct{ noted int }

func (t *tally) Watching(analytics.SiteID, int64) bool { return true }

func (t *tally) Note(analytics.SiteID, *analytics.Event, analytics.Reason, string) { t.noted++ }
