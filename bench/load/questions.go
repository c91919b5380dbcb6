package load

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"footfall/bench/dialect"
	"footfall/bench/visitors"
	"footfall/bench/zipf"
)

// panels are what a page of the dashboard asks for, one after the other.
var panels = []string{
	`"metrics":["visitors","visits","pageviews","views_per_visit","bounce_rate","visit_duration"],"date_range":"day"`,
	`"metrics":["visitors"],"dimensions":["time:hour"],"date_range":"day"`,
	`"metrics":["visitors"],"dimensions":["visit:source"],"pagination":{"limit":9},"date_range":"7d"`,
	`"metrics":["visitors"],"dimensions":["event:page"],"pagination":{"limit":9},"date_range":"7d"`,
	`"metrics":["visitors"],"dimensions":["visit:country"],"pagination":{"limit":9},"date_range":"7d"`,
	`"metrics":["visitors"],"dimensions":["visit:browser"],"pagination":{"limit":9},"date_range":"7d"`,
}

// questions are what partners ask the stats API.
var questions = []string{
	`"metrics":["visitors","pageviews"],"date_range":"30d"`,
	`"metrics":["visitors","visits","pageviews"],"dimensions":["time:day"],"date_range":"30d"`,
	`"metrics":["pageviews","visitors"],"dimensions":["event:page"],"pagination":{"limit":100},"date_range":"day"`,
	`"metrics":["visitors"],"dimensions":["visit:source"],"filters":[["is","visit:device",["Mobile"]]],"date_range":"7d"`,
	`"metrics":["visitors","bounce_rate"],"dimensions":["visit:entry_page"],"filters":[["contains","event:page",["category-1"]]],"pagination":{"limit":50},"date_range":"7d"`,
}

// asker is the source of questions of one connection.
type asker struct {
	w      *visitors.World
	random *rand.Rand
	sites  *zipf.Ranks
	texts  []string
	n      int
	site   int
	body   []byte
}

func newAsker(w *visitors.World, sites *zipf.Ranks, texts []string, n int) *asker {
	return &asker{w: w, random: rand.New(rand.NewPCG(w.Scenario.Seed, uint64(n)<<16|uint64(len(texts)))), sites: sites, texts: texts, n: n}
}

// Next turns to the next question; a dashboard stays with a site for a page.
func (a *asker) Next(time.Duration) {
	if a.n++; a.n%len(a.texts) == 0 || a.body == nil {
		a.site = a.sites.Draw(a.random)
	}
}

// Append writes POST /api/v2/query.
func (a *asker) Append(dst []byte, t *Target) []byte {
	a.body = fmt.Appendf(a.body[:0], `{"site_id":"%s",%s}`, a.w.Domains[a.site], a.texts[a.n%len(a.texts)])
	dst = append(dst, "POST "...)
	dst = append(append(dst, t.To.Base...), "/api/v2/query HTTP/1.1\r\nHost: "...)
	dst = append(append(dst, t.To.Host...), "\r\nUser-Agent: footfall-bench\r\nContent-Type: application/json\r\nAuthorization: Bearer "...)
	dst = append(append(dst, t.To.Bearer...), "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(a.body)), 10)
	return append(append(dst, "\r\n\r\n"...), a.body...)
}

// Done has nothing to note.
func (a *asker) Done(*Outcome) {}

// appendLive writes the request of somebody who watches a site.
func appendLive(dst []byte, to *dialect.To, domain, bearer string) []byte {
	return fmt.Appendf(dst, "GET %s/v1/sites/%s/live HTTP/1.1\r\nHost: %s\r\nUser-Agent: footfall-bench\r\nAccept: text/event-stream\r\nAuthorization: Bearer %s\r\n\r\n", to.Base, domain, to.Host, bearer)
}
