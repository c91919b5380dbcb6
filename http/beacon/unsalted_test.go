package beacon

import (
	"strings"
	"testing"

	"footfall/analytics/accounts"
)

// noSalts is a node that has not been told today's salt.
type noSalts struct{}

func (noSalts) At(int64) (current, previous *[16]byte)      { return nil, nil }
func (noSalts) Weekly(int64) (current, previous *[16]byte)  { return nil, nil }
func (noSalts) Monthly(int64) (current, previous *[16]byte) { return nil, nil }

func TestWithoutASaltEventsAreRefusedAndNotLost(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Salts = noSalts{} })
	writer := accounts.Identity{Operator: true}
	for what, body := range map[string]string{
		"POST /api/event": `{"n":"pageview","u":"https://example.com/","d":"example.com"}`,
		"POST /v1/events": `[{"site":"example.com","url":"https://example.com/","ip":"203.0.113.1","user_agent":"x"},{"site":"example.com","url":"https://example.com/2","ip":"203.0.113.1","user_agent":"x"}]`,
	} {
		resp := f.sendAs(writer, what, body)
		if resp.StatusCode() != 503 || !strings.Contains(string(resp.Body()), "no salt") {
			t.Errorf("%s: %d %s", what, resp.StatusCode(), resp.Body())
		}
	}
	if n := len(f.book.events); n != 0 {
		t.Errorf("%d events were recorded without a visitor", n)
	}
}
