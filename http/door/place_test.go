package door

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
)

type placer struct {
	after  analytics.Token
	within time.Duration
	place  Place
	err    error
}

func (p *placer) Place(_ context.Context, _ analytics.SiteID, after analytics.Token, within time.Duration) (Place, error) {
	p.after, p.within = after, within
	return p.place, p.err
}

func TestAnAnswerSaysHowFreshItIs(t *testing.T) {
	ctx := request("127.0.0.1:9", "X-Footfall-Token", "7-42", "X-Footfall-Max-Staleness", "1500")
	p := &placer{place: Place{Staleness: 90 * time.Millisecond, ReadOnly: true}}
	if err := Find(ctx, p, 1); err != nil {
		t.Fatal(err)
	}
	if p.after != (analytics.Token{Shard: 7, Index: 42}) || p.within != 1500*time.Millisecond {
		t.Errorf("asked for %v within %v", p.after, p.within)
	}
	h := &ctx.Response.Header
	if string(h.Peek("X-Footfall-Staleness")) != "90" || string(h.Peek("X-Footfall-Read-Only")) != "true" {
		t.Errorf("headers of the answer:\n%s", h)
	}
	ctx = request("127.0.0.1:9")
	ctx.Request.SetRequestURI("/?token=3-4")
	if err := Find(ctx, &placer{}, 1); err != nil || len(ctx.Response.Header.Peek("X-Footfall-Staleness")) > 0 {
		t.Errorf("an answer of the leader looks stale, or %v", err)
	}
	if after, err := After(ctx); after != (analytics.Token{Shard: 3, Index: 4}) || err != nil {
		t.Errorf("token of the query: %v %v", after, err)
	}
}

func TestAStalenessThatMeansNothingIsRefused(t *testing.T) {
	for _, text := range []string{"0", "-1", "soon", "86400001", "1.5"} {
		err := Find(request("127.0.0.1:9", "X-Footfall-Max-Staleness", text), &placer{}, 1)
		if analytics.CodeOf(err) != analytics.Invalid || err == nil || !strings.Contains(err.Error(), "X-Footfall-Max-Staleness") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestASiteThatIsElsewhereIsSaidToBe(t *testing.T) {
	want := &Elsewhere{Node: 3}
	if err := Find(&fasthttp.RequestCtx{}, &placer{err: want}, 1); err != want {
		t.Errorf("%v", err)
	}
	if err := Find(&fasthttp.RequestCtx{}, nil, 1); err != nil {
		t.Errorf("a node alone: %v", err)
	}
}

// placers has a place, or none, for each site.
type placers map[analytics.SiteID]*placer

func (p placers) Place(ctx context.Context, site analytics.SiteID, after analytics.Token, within time.Duration) (Place, error) {
	x := p[site]
	if elsewhere := (*Elsewhere)(nil); within > 0 && errors.As(x.err, &elsewhere) && x.place != (Place{}) {
		return x.place, nil // it is here, and too old for who did not say
	}
	return x.Place(ctx, site, after, within)
}

func TestAnAnswerAboutManySitesSaysHowFreshTheWorstIs(t *testing.T) {
	led := &placer{}
	follows := &placer{place: Place{Staleness: 90 * time.Millisecond}}
	behind := &placer{place: Place{Staleness: 7 * time.Second}, err: &Elsewhere{Node: 2}}
	away := &placer{err: &Elsewhere{Node: 2}}
	alone := &placer{place: Place{Staleness: time.Second, ReadOnly: true}}
	nowhere := &placer{err: errors.New("nowhere")}
	for name, c := range map[string]struct {
		sites               placers
		staleness, readOnly string
	}{
		"none":                      {nil, "", ""},
		"led here":                  {placers{1: led}, "", ""},
		"one is older":              {placers{1: led, 2: follows, 3: away, 4: nowhere}, "90", ""},
		"one is far behind":         {placers{1: led, 2: behind, 3: follows}, "7000", ""},
		"one has lost its majority": {placers{1: led, 2: follows, 3: alone}, "1000", "true"},
	} {
		ctx := request("127.0.0.1:9")
		var sites []*analytics.Site
		for id := range c.sites {
			sites = append(sites, &analytics.Site{ID: id})
		}
		FindAll(ctx, c.sites, sites)
		h := &ctx.Response.Header
		if got := string(h.Peek("X-Footfall-Staleness")); got != c.staleness {
			t.Errorf("%s: staleness %q, want %q", name, got, c.staleness)
		}
		if got := string(h.Peek("X-Footfall-Read-Only")); got != c.readOnly {
			t.Errorf("%s: read-only %q, want %q", name, got, c.readOnly)
		}
	}
	FindAll(request("127.0.0.1:9"), nil, []*analytics.Site{{ID: 1}})
}
