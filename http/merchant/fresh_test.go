package merchant

import (
	"context"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/http/door"
)

// standing says how the node stands to every site.
type standing struct {
	place  door.Place
	err    error
	within time.Duration
	after  analytics.Token
}

func (s *standing) Place(_ context.Context, _ analytics.SiteID, after analytics.Token, within time.Duration) (door.Place, error) {
	s.after, s.within = after, within
	return s.place, s.err
}

// TestWhatWasCountedComesWithItsAge: the dashboard shows it, and that new views
// are only kept for later while there is no majority.
func TestWhatWasCountedComesWithItsAge(t *testing.T) {
	s := &standing{}
	n := newNode(t, func(o *Options) { o.Placer = s })
	b := n.as(n.people(), Viewer)
	for _, path := range []string{"/v1/sites/shop.example/drops", "/v1/sites/shop.example/seals", "/v1/sites/shop.example/check",
		"/v1/sites/shop.example/live", "/v1/overview"} {
		ask := func(status int) answer {
			t.Helper()
			return b.do("GET", path, "").want(status)
		}
		fresh := func(want, readOnly string) {
			t.Helper()
			got := ask(200).header
			if got.Get("X-Footfall-Staleness") != want || got.Get("X-Footfall-Read-Only") != readOnly {
				t.Errorf("%s: staleness %q, read-only %q; want %q, %q", path, got.Get("X-Footfall-Staleness"), got.Get("X-Footfall-Read-Only"), want, readOnly)
			}
		}
		*s = standing{}
		fresh("", "")
		s.place = door.Place{Staleness: 1200 * time.Millisecond}
		fresh("1200", "")
		s.place.ReadOnly = true
		fresh("1200", "true")
		if path == "/v1/overview" { // of many sites, which are where they are
			continue
		}
		b.headers["X-Footfall-Max-Staleness"], b.headers["X-Footfall-Token"] = "300", "7-42"
		ask(200)
		if s.within != 300*time.Millisecond || s.after != (analytics.Token{Shard: 7, Index: 42}) {
			t.Errorf("%s: asked within %v after %v", path, s.within, s.after)
		}
		s.err = analytics.Errorf(analytics.Unavailable, "site: too old")
		ask(503)
		clear(b.headers)
	}
}
