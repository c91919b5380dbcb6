package export

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/http/partner"
)

// directory knows the sites of a world, and a segment.
type directory struct{ w *world }

func (d directory) Site(domain []byte) (*analytics.Site, bool) {
	s, ok := d.w.dialect.sites[string(domain)]
	return s, ok
}

func (directory) Goals(analytics.SiteID) []*analytics.Goal { return nil }

func (directory) Segment(site analytics.SiteID, id uint64) (*analytics.Segment, bool) {
	return &analytics.Segment{ID: id, Site: site, Name: "buyers", Data: `{"filters":[["is","event:page",["/buy"]]]}`}, site == 1 && id == 7
}

func (directory) FirstEvent(analytics.SiteID) (int64, bool, error) { return dayStart, true, nil }

// TestTheWordsAreThoseOfTheStatsAPI: the same ranges, filters, segments and
// errors as everywhere, on a real site.
func TestTheWordsAreThoseOfTheStatsAPI(t *testing.T) {
	s := newShop(t)
	s.visit()
	w := newWorld(t, Pictures(unbounded{s}))
	d := directory{w}
	w.door.cfg.Dialect = partner.New(partner.Config{Directory: d, First: d, Clock: func() time.Time { return time.UnixMilli(dayStart + 12*hour) }, RequestsPerHour: 100})
	for _, c := range []struct {
		target string
		status int
		text   string // the body, or a part of an error
	}{
		{"query?date_range=day&metrics=visitors,events&dimensions=event:page", 200, "event:page,visitors,events\r\n"},
		{"query?date_range=day&metrics=visitors&dimensions=visit:browser&order_by=[[\"visit:browser\",\"desc\"]]", 200, "visit:browser,visitors\r\nFirefox,1\r\n(not set),1\r\n"},
		{"query?date_range=day&metrics=visitors&filters=[[\"is\",\"visit:country\",[\"DE\"]]]", 200, "visitors\r\n1\r\n"},
		{"query?date_range=day&metrics=visitors,bogus", 400, "bogus"},
		{"query?date_range=2026-05-13,2026-05-12&metrics=visitors", 400, "date_range"},
		{"query?date_range=day&metrics=visitors&include={\"comparisons\":{\"mode\":\"previous_period\"}}", 400, "comparisons"},
		{"query?date_range=day&metrics=visitors&limit=0", 400, "limit"},
		{"events?date_range=day&format=ndjson&filters=[[\"is\",\"segment\",[7]]]", 200, `"name":"Purchase"`},
		{"events?date_range=day&filters=[[\"is\",\"segment\",[8]]]", 400, "segment"},
		{"events?date_range=2026-05-12,2026-05-12", 200, "time,kind,"},
		{"events?date_range=day&filters=[[\"is\"]]", 400, "filters"},
		{"events?date_range=never", 400, "date_range"},
	} {
		path, query, _ := strings.Cut(c.target, "?")
		var args []string
		for pair := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(pair, "=")
			args = append(args, name+"="+url.QueryEscape(value))
		}
		got := w.call("key", "GET", "/v1/sites/shop.example/export/"+path+"?"+strings.Join(args, "&"), "")
		if got.status != c.status || !strings.Contains(string(got.body), c.text) || got.err != nil {
			t.Errorf("%s: %d %q %v, want %d %q", c.target, got.status, got.body, got.err, c.status, c.text)
		}
		if c.status == 200 && got.header.Get("X-RateLimit-Limit") != "100" {
			t.Errorf("%s: not counted against the key's quota", c.target)
		}
	}
	if rows := objects(t, w.call("key", "GET", eventsTarget+"ndjson&filters="+url.QueryEscape(`[["is","segment",[7]]]`), "").body); len(rows) != 1 {
		t.Errorf("the segment leaves %d events, want 1", len(rows))
	}
	if got := w.call("key", "POST", "/v1/sites/shop.example/export/query", `{"site_id":"shop.example","metrics":["visitors"],"date_range":"day"}`); string(got.body) != "visitors\r\n2\r\n" {
		t.Errorf("%d %q", got.status, got.body)
	}
	if got := w.call("stranger", "GET", eventsTarget+"csv", ""); got.status != 401 {
		t.Errorf("a stranger got %d", got.status)
	}
}
