package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"footfall/analytics/site"
)

// answering is a node that gives one answer to everything and remembers the
// last request.
func answering(t *testing.T, answer func() string) (flags []string, last func() string) {
	t.Helper()
	request := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request <- strings.TrimSpace(r.Method + " " + r.URL.Path + " " + string(body))
		io.WriteString(w, answer())
	}))
	t.Cleanup(server.Close)
	return []string{"--server", server.URL, "--key", "k"}, func() string { return <-request }
}

func TestSiteEraseSaysWhatWent(t *testing.T) {
	answer := ""
	flags, last := answering(t, func() string { return answer })
	for _, c := range []struct{ answer, want string }{
		{`{"visits":2,"events":1}`, "Erased from shop.example: 2 visits, 1 event.\n"},
		{`{"visits":0,"events":0}`, "shop.example has no visits of this visitor.\n"},
	} {
		answer = c.answer
		code, stdout, stderr := call(t, "", nil, append([]string{"site", "erase", "shop.example", "--visitor", "anna@example.com"}, flags...)...)
		if code != exitOK || stdout != c.want {
			t.Errorf("%s: exit %d, %q %q, want %q", c.answer, code, stdout, stderr, c.want)
		}
		if got := last(); got != `POST /v1/sites/shop.example/erase {"visitor":"anna@example.com"}` {
			t.Errorf("the node heard %s", got)
		}
	}
	answer = `{"visits":2,"events":1}`
	if code, stdout, _ := call(t, "", nil, append([]string{"site", "erase", "shop.example", "--visitor", "a", "--json"}, flags...)...); code != exitOK || stdout != answer+"\n" {
		t.Errorf("JSON: exit %d, %q", code, stdout)
	}
	last()
	if code, _, stderr := call(t, "", nil, append([]string{"site", "erase", "shop.example"}, flags...)...); code != exitUsage || !strings.Contains(stderr, "--visitor") {
		t.Errorf("without a visitor: exit %d, %s", code, stderr)
	}
}

func TestDoctorSealsFindsABrokenChain(t *testing.T) {
	var before [32]byte
	var months []string
	for i := range int32(3) {
		figures := fmt.Sprintf(`{"visits":%d,"best_pages":[{"page":"/\u003c"}]}`, i)
		before = site.SealDigest(before, 7, site.MonthNumber(2026, 11)+i, []byte(figures))
		months = append(months, fmt.Sprintf(`{"month":%q,"sealed_at":"2027-03-04T00:00:00Z","index":9,"figures":%s,"digest":%q}`,
			site.MonthLabel(site.MonthNumber(2026, 11)+i), figures, hex.EncodeToString(before[:])))
	}
	whole := `{"site":"shop.example","site_id":"7","seals":[` + strings.Join(months, ",") + `]}`
	answer := ""
	flags, last := answering(t, func() string { return answer })
	for _, c := range []struct {
		what, answer string
		code         int
		stdout       string
		stderr       string
	}{
		{"intact", whole, exitOK, "The chain of 3 months is intact.", ""},
		{"none yet", `{"site":"shop.example","site_id":"7","seals":[]}`, exitOK, "shop.example has no closed months yet.", ""},
		{"other figures", strings.Replace(whole, `"visits":1`, `"visits":8`, 1), exitError, "", "seal of 2026-12: the digest does not fit"},
		{"a month is missing", `{"site_id":"7","seals":[` + months[0] + "," + months[2] + `]}`, exitError, "", "seal of 2027-01: comes after that of 2026-11"},
		{"another site", strings.Replace(whole, `"site_id":"7"`, `"site_id":"8"`, 1), exitError, "", "seal of 2026-11: the digest does not fit"},
		{"no digest", strings.Replace(whole, hex.EncodeToString(before[:]), "00", 1), exitError, "", "seal of 2027-01: the digest is not one"},
		{"nonsense", `[]`, exitError, "", "not understood"},
	} {
		answer = c.answer
		code, stdout, stderr := call(t, "", nil, append([]string{"doctor", "seals", "shop.example"}, flags...)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%s: exit %d, %q %q", c.what, code, stdout, stderr)
		}
		if got := last(); got != "GET /v1/sites/shop.example/seals" {
			t.Errorf("the node heard %s", got)
		}
	}
	answer = strings.Replace(whole, `"visits":1`, `"visits":8`, 1)
	if code, stdout, _ := call(t, "", nil, append([]string{"doctor", "seals", "shop.example", "--json"}, flags...)...); code != exitError || !strings.Contains(stdout, `"intact":false`) {
		t.Errorf("JSON: exit %d, %s", code, stdout)
	}
	last()
}
