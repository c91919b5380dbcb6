package testnode

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// AddSite makes a site with days of the time zone.
func (n *Node) AddSite(t testing.TB, domain, zone string) {
	t.Helper()
	n.Call(t, http.StatusCreated, Request{Path: "/v1/sites", Body: map[string]any{"domain": domain, "timezone": zone}, Key: AsOperator})
}

// AddKey makes an API key of the scope; site "" is every site of the operator's
// organisation.
func (n *Node) AddKey(t testing.TB, scope, site string) (key string) {
	t.Helper()
	in := map[string]string{"name": "test", "scope": scope}
	if site != "" {
		in["site"] = site
	}
	var out struct{ Key string }
	n.Call(t, http.StatusCreated, Request{Path: "/v1/keys", Body: in, Key: AsOperator}).JSON(t, &out)
	if out.Key == "" {
		t.Fatal("the answer holds no key")
	}
	return out.Key
}

// SetClock makes now the time of a development node; the zero time is the
// machine's again.
func (n *Node) SetClock(t testing.TB, now time.Time) {
	t.Helper()
	var in struct {
		Now *string `json:"now"`
	}
	if !now.IsZero() {
		in.Now = new(now.Format(time.RFC3339Nano))
	}
	n.Call(t, http.StatusOK, Request{Path: "/dev/clock", Body: in})
}

// RotateSalts makes a development node take a new salt.
func (n *Node) RotateSalts(t testing.TB) {
	t.Helper()
	n.Call(t, http.StatusOK, Request{Method: http.MethodPost, Path: "/dev/rotate-salts"})
}

// Drops gives how many events of a site were not counted, by reason, in the
// last 30 days.
func (n *Node) Drops(t testing.TB, site string) map[string]int {
	t.Helper()
	var out struct {
		Days []struct {
			Date    string
			Reasons map[string]int
		}
		Total map[string]int
	}
	n.Call(t, http.StatusOK, Request{Path: "/v1/sites/" + url.PathEscape(site) + "/drops", Key: AsOperator}).JSON(t, &out)
	sum := map[string]int{}
	for _, day := range out.Days {
		for reason, count := range day.Reasons {
			sum[reason] += count
		}
	}
	for reason, count := range out.Total {
		if sum[reason] != count {
			text, _ := json.Marshal(out)
			t.Fatalf("the days do not add up to the total: %s", text)
		}
	}
	return out.Total
}
