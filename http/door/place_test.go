package door

import (
	"context"
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
