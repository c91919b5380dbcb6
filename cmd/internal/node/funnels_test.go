package node

import (
	"encoding/json"
	"fmt"
	"testing"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/merchant"
)

// TestASavedFunnelGoesIntoTheReportAsItIs makes funnels of every kind of step and
// asks the report what it was given back.
func TestASavedFunnelGoesIntoTheReportAsItIs(t *testing.T) {
	n := start(t)
	w := n.people()
	n.do(&accounts.PutGoal{Site: w.site.ID, Goal: accounts.GoalDef{Kind: analytics.GoalEvent, Event: "Purchase", Name: "Bought"}})
	for i, in := range []string{
		`"steps":[{"page":"/"},{"page":"/cart/**","scroll":100,"name":"Cart"}]`,
		`"steps":[{"event":"pageview"},{"event":"Signup","props":{"plan":"pro","age":""}}],"window":"90d"`,
		`"steps":[{"page":"*","props":{"a":"b"}},{"goal":"Bought"},{"goal":"Bought","name":"Again"}],"window":"2160h"`,
		`"steps":[{"page":"/****************"},{"page":"/"}],"window":"129600m"`,
	} {
		made := w.call(t, merchant.Owner, "POST", "/v1/sites/shop.example/funnels", fmt.Sprintf(`{"name":"F%d",%s}`, i, in), nil)
		if made.status != 201 {
			t.Errorf("%s: got %d %s", in, made.status, made.body)
			continue
		}
		var kept struct {
			Steps  json.RawMessage `json:"steps"`
			Window string          `json:"window"`
		}
		if err := json.Unmarshal([]byte(made.body), &kept); err != nil {
			t.Fatal(err)
		}
		if got := w.call(t, merchant.Owner, "POST", "/v1/sites/shop.example/funnel", fmt.Sprintf(`{"steps":%s,"window":%q}`, kept.Steps, kept.Window), nil); got.status != 200 {
			t.Errorf("%s: the report answers %d %s", in, got.status, got.body)
		}
	}
	for _, in := range []string{
		`"steps":[{"page":"/"},{"page":"x"}]`,
		`"steps":[{"page":"/"},{"page":"/*****************"}]`,
		`"steps":[{"page":"/"},{"goal":"None"}]`,
		`"steps":[{"page":"/"},{"event":"engagement"}]`,
		`"steps":[{"page":"/"},{"event":"a","scroll":5}]`,
		`"steps":[{"page":"/"},{"page":"/"}],"window":"91d"`,
		`"steps":[{"page":"/"}]`,
	} {
		saved := w.call(t, merchant.Owner, "POST", "/v1/sites/shop.example/funnels", `{"name":"No",`+in+`}`, nil)
		asked := w.call(t, merchant.Owner, "POST", "/v1/sites/shop.example/funnel", `{`+in+`}`, nil)
		if saved.status != 400 || asked.status != 400 {
			t.Errorf("%s: saving answers %d %s, asking %d %s", in, saved.status, saved.body, asked.status, asked.body)
		}
	}
}
