package beacon

import (
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
)

// keeper is a Recorder that remembers pages by site, copied.
type keeper struct {
	sink
	pages map[analytics.SiteID][]string
}

func (k *keeper) RecordBatch(site analytics.SiteID, evs []analytics.Event, out []analytics.Receipt) error {
	if len(evs) != len(out) {
		return fmt.Errorf("%d events, %d receipts", len(evs), len(out))
	}
	for i := range evs {
		if out[i] != (analytics.Receipt{}) {
			return fmt.Errorf("receipt %d holds what an earlier request got: %+v", i, out[i])
		}
		out[i].Token.Index = 7
		k.pages[site] = append(k.pages[site], strings.Clone(evs[i].Page)+" "+strings.Clone(evs[i].Revenue.Currency)+fmt.Sprint(len(evs[i].Props)))
	}
	return nil
}

func TestARequestHoldsNothingOfTheOneBefore(t *testing.T) {
	k := &keeper{pages: map[analytics.SiteID][]string{}}
	f := newFixture(nil, func(o *Options) { o.Recorder = k })
	post := func(body string) (int, string) {
		var req fasthttp.Request
		req.Header.SetMethod("POST")
		req.SetRequestURI("/v1/events")
		req.SetBodyString(body)
		var ctx fasthttp.RequestCtx
		ctx.Init(&req, nil, nil)
		if err := f.door.events(&ctx, writer); err != nil {
			t.Fatal(err)
		}
		return ctx.Response.StatusCode(), string(ctx.Response.Body())
	}
	rich := `{"site":"example.com","url":"https://example.com/%s","ip":"203.0.113.9","user_agent":"` + browser + `","name":"buy","props":{"a":"b"},"revenue":{"amount":"3.50","currency":"EUR"}}`
	plain := `{"site":"example.com","url":"https://example.com/%s","visitor":"v"}`
	for round := range 3 {
		for _, n := range []int{5, 2, 9} {
			clear(k.pages)
			var events []string
			for i := range n {
				form := rich
				if n != 5 {
					form = plain
				}
				events = append(events, fmt.Sprintf(form, fmt.Sprintf("r%d-%d-%d", round, n, i)))
			}
			events = append(events, `{"site":"nowhere.example","url":"https://nowhere.example/","visitor":"v"}`)
			status, answer := post("[" + strings.Join(events, ",") + "]")
			if status != fasthttp.StatusAccepted || strings.Count(answer, `"status":"accepted"`) != n || strings.Count(answer, `"status":"rejected"`) != 1 {
				t.Fatalf("%d events: %d %s", n, status, answer)
			}
			if len(k.pages) != 1 {
				t.Fatalf("%d events of one site went to %d", n, len(k.pages))
			}
			for _, got := range k.pages {
				for i, page := range got {
					want := fmt.Sprintf("/r%d-%d-%d 0", round, n, i)
					if n == 5 {
						want = fmt.Sprintf("/r%d-%d-%d EUR1", round, n, i)
					}
					if page != want {
						t.Errorf("event %d of %d: got %q, want %q", i, n, page, want)
					}
				}
				if len(got) != n {
					t.Errorf("%d events recorded, %d sent", len(got), n)
				}
			}
		}
	}
}

func TestAnArrayOfAThousandCostsNoMemoryPerEvent(t *testing.T) {
	f := newFixture(nil, func(o *Options) { o.Recorder = &sink{} })
	event := `{"site":"example.com","url":"https://example.com/a/b?c=d","ip":"203.0.113.9","referrer":"https://www.google.com/","user_agent":"` + browser + `"}`
	var req fasthttp.Request
	req.Header.SetMethod("POST")
	req.SetRequestURI("/v1/events")
	req.SetBodyString("[" + strings.Repeat(event+",", 999) + event + "]")
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, nil, nil)
	n := testing.AllocsPerRun(50, func() {
		ctx.Response.Reset()
		if err := f.door.events(&ctx, writer); err != nil || ctx.Response.StatusCode() != fasthttp.StatusAccepted {
			t.Fatal(err, ctx.Response.StatusCode())
		}
	})
	if n > 100 {
		t.Errorf("%v allocations for a thousand events", n)
	}
}
