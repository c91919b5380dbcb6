package nodetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"footfall/internal/testnode"
)

func TestSitesKeysAndUsersAreManagedByTheirCommands(t *testing.T) {
	n := testnode.Start(t, testnode.Options{})
	cli := func(args ...string) string { t.Helper(); return n.Footfall(t, args...) }
	want := func(out string, parts ...string) {
		t.Helper()
		if !holds(out, parts...) {
			t.Errorf("got %q, want all of %q", out, parts)
		}
	}
	want(cli("site", "add", "shop.example", "--timezone", "Europe/Berlin"), "shop.example", "Europe/Berlin", "<script", `data-domain="shop.example"`)
	want(cli("site", "add", "second.example", "--timezone", "Asia/Tokyo", "--public", "--json"), `"domain":"second.example"`, `"public":true`)
	want(cli("site", "list"), "shop.example", "second.example", "Asia/Tokyo")
	want(cli("site", "show", "shop.example"), "Europe/Berlin", n.URL()+"/js/")
	var list struct {
		Sites []struct{ Domain, Timezone string }
	}
	if err := json.Unmarshal([]byte(cli("site", "list", "--json")), &list); err != nil || len(list.Sites) < 2 {
		t.Errorf("the list as JSON: %v %+v", err, list)
	}

	read := strings.TrimSuffix(cli("key", "create", "--scope", "stats:read", "--site", "shop.example", "--name", "partner"), "\n")
	if !strings.HasPrefix(read, "ff_") || strings.ContainsAny(read, " \n") {
		t.Errorf("the key is not alone on standard output: %q", read)
	}
	n.Call(t, http.StatusAccepted, testnode.Request{Path: "/api/event", Body: `{"n":"pageview","u":"https://shop.example/","d":"shop.example"}`})
	question := testnode.Question{Site: "shop.example", Metrics: []string{"pageviews"}, Range: "day", Key: read}
	if r := n.MustAsk(t, question); r.Rows[0].Metrics[0] != 1 {
		t.Errorf("the key reads %+v", r.Rows)
	}
	listed := cli("key", "list")
	want(listed, "partner", "stats:read", "shop.example", read[:7])
	if strings.Contains(listed, read) {
		t.Error("the list of keys shows a whole key")
	}
	want(cli("key", "revoke", read), "revoked")
	if _, err := n.Ask(t.Context(), question); err == nil || !holds(err.Error(), "401") {
		t.Errorf("a revoked key: %v", err)
	}

	added := cli("user", "add", "owner@example.com", "--role", "owner", "--name", "Olga")
	want(added, "owner@example.com", "owner", "password: ")
	_, password, _ := strings.Cut(added, "password: ")
	n.Call(t, http.StatusOK, testnode.Request{Path: "/v1/session", Body: map[string]string{"email": "owner@example.com", "password": strings.TrimSpace(password)}})
	want(cli("user", "list"), "owner@example.com", "Olga")

	// All of it is still there after a kill, and gone when it is removed.
	n.Kill()
	n.Resume()
	want(cli("site", "list"), "shop.example", "second.example")
	n.Call(t, http.StatusOK, testnode.Request{Path: "/v1/session", Body: map[string]string{"email": "owner@example.com", "password": strings.TrimSpace(password)}})
	out := testnode.Run(t, testnode.Command{Args: []string{"user", "remove", "owner@example.com", "--data", n.Data}})
	if out.Code != 1 || !holds(out.Stderr, "only owner") {
		t.Errorf("the only owner: %+v", out)
	}
	cli("user", "add", "second@example.com", "--role", "owner")
	want(cli("user", "remove", "owner@example.com"), "removed")
	n.Call(t, http.StatusUnauthorized, testnode.Request{Path: "/v1/session", Body: map[string]string{"email": "owner@example.com", "password": strings.TrimSpace(password)}})
	want(cli("site", "remove", "shop.example", "--yes"), "shop.example")
	if strings.Contains(cli("site", "list"), "shop.example") {
		t.Error("a removed site is listed")
	}
	out = testnode.Run(t, testnode.Command{Args: []string{"site", "show", "shop.example", "--data", n.Data}})
	if out.Code != 1 || !holds(out.Stderr, "site") {
		t.Errorf("a removed site is shown: %+v", out)
	}
}

// TestASiteThatIsMadeAgainBeginsAtZero: removing takes the numbers too.
func TestASiteThatIsMadeAgainBeginsAtZero(t *testing.T) {
	n := testnode.Start(t, testnode.Options{})
	view := testnode.View{Site: "shop.example", Page: "/", ID: "one"}
	for range 2 {
		n.AddSite(t, "shop.example", "UTC")
		a, err := n.Send(t.Context(), view)
		if err != nil || a.Dropped() != "" {
			t.Fatalf("%d %s %v", a.Status, a.Dropped(), err)
		}
		if got := n.Count(t, "shop.example", "pageviews"); got != 1 {
			t.Errorf("%d views, want 1", got)
		}
		n.Call(t, http.StatusNoContent, testnode.Request{Method: http.MethodDelete, Path: "/v1/sites/shop.example", Key: testnode.AsOperator})
		if a, err := n.Send(t.Context(), view); err != nil || a.Dropped() != "unknown_site" {
			t.Errorf("a view of a removed site: %s %v", a.Dropped(), err)
		}
		n.Kill()
		n.Resume()
	}
}

// logLines makes a log and counts it the plain way.
func logLines(random *rand.Rand, lines int) (text string, views int, byPage, byDay map[string]int) {
	byPage, byDay = map[string]int{}, map[string]int{}
	var log strings.Builder
	begin := time.Date(2025, 10, 20, 0, 0, 0, 0, time.UTC)
	for i := range lines {
		when := begin.Add(time.Duration(random.Int64N(int64(20 * 24 * time.Hour)))).Truncate(time.Second)
		page, method, status := fmt.Sprintf("/articles/%d", random.IntN(40)), "GET", 200
		counts := true
		switch random.IntN(12) {
		case 0:
			page, counts = fmt.Sprintf("/assets/%d.css", random.IntN(5)), false
		case 1:
			method, counts = "POST", false
		case 2:
			status, counts = 404, false
		case 3:
			status = 304
		}
		fmt.Fprintf(&log, "10.1.%d.%d - - [%s] \"%s %s?n=%d HTTP/1.1\" %d 77 \"https://www.google.com/\" \"%s\"\n",
			random.IntN(256), random.IntN(256), when.Format("02/Jan/2006:15:04:05 -0700"), method, page, i, status, testnode.Firefox)
		if counts {
			views++
			byPage[page]++
			byDay[when.Format(time.DateOnly)]++
		}
		if random.IntN(50) == 0 {
			log.WriteString("a line that is none\n")
		}
	}
	return log.String(), views, byPage, byDay
}

func TestAnImportCountsALogOnceHoweverOftenItIsRepeated(t *testing.T) {
	random := seeded(t)
	n := testnode.Start(t, testnode.Options{})
	const site = "shop.example"
	n.Footfall(t, "site", "add", site, "--timezone", "UTC")
	text, views, byPage, byDay := logLines(random, 4000)
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	compare := func(when string) {
		t.Helper()
		for _, c := range []struct {
			got, want map[string]int
		}{{n.Pages(t, site), byPage}, {n.By(t, site, "time:day"), byDay}} {
			for name, count := range c.want {
				if c.got[name] != count {
					t.Errorf("%s: %d views of %s, the log has %d", when, c.got[name], name, count)
				}
			}
			for name, count := range c.got {
				if count > 0 && c.want[name] == 0 {
					t.Errorf("%s: %d views of %s, the log has none", when, count, name)
				}
			}
		}
	}
	run := func() (counted int64, duplicates int64) {
		t.Helper()
		var out struct{ Lines, Views, Duplicates, Rejected int64 }
		if err := json.Unmarshal([]byte(n.Footfall(t, "import", "--site", site, "--json", path)), &out); err != nil {
			t.Fatal(err)
		}
		if out.Lines != int64(strings.Count(text, "\n")) || out.Rejected != int64(strings.Count(text, "a line that is none")) {
			t.Errorf("%d lines, %d rejected", out.Lines, out.Rejected)
		}
		return out.Views, out.Duplicates
	}
	if counted, duplicates := run(); counted != int64(views) || duplicates != 0 {
		t.Errorf("the first time %d views and %d duplicates, want %d and 0", counted, duplicates, views)
	}
	compare("after the first import")
	if counted, duplicates := run(); counted != 0 || duplicates != int64(views) {
		t.Errorf("the second time %d views and %d duplicates, want 0 and %d", counted, duplicates, views)
	}
	n.Kill()
	n.Resume()
	if counted, _ := run(); counted != 0 {
		t.Errorf("after a kill %d views", counted)
	}
	n.Stop()
	n.Resume()
	if counted, _ := run(); counted != 0 {
		t.Errorf("after an orderly end %d views", counted)
	}
	compare("after four imports")
	rejected, err := os.ReadFile(path + ".rejected")
	if err != nil || strings.Count(string(rejected), "a line that is none") != strings.Count(text, "a line that is none") {
		t.Errorf("the rejected lines: %v %q", err, rejected)
	}
}

func TestExitCodesTellWhoseFaultItIs(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	serve := func(more ...string) []string {
		return append([]string{"serve", "--data", filepath.Join(dir, "data")}, more...)
	}
	for _, c := range []struct {
		name string
		args []string
		env  []string
		code int
		text string // of standard error
	}{
		{"help", []string{"help"}, nil, 0, ""},
		{"version", []string{"--version"}, nil, 0, ""},
		{"an unknown command", []string{"sreve"}, nil, 2, "sreve"},
		{"an unknown flag", serve("--lisen", "127.0.0.1:0"), nil, 2, "--lisen"},
		{"a wrong flag", serve("--listen", "nonsense"), nil, 2, "--listen"},
		{"a missing flag", []string{"key", "create", "--name", "n"}, nil, 2, "--scope"},
		{"a wrong scope", []string{"key", "create", "--scope", "all"}, nil, 2, "scope"},
		{"a wrong variable", serve(), []string{"FOOTFALL_LISTEN=nonsense"}, 3, "FOOTFALL_LISTEN"},
		{"an unknown variable", serve(), []string{"FOOTFALL_LISEN=127.0.0.1:0"}, 3, "FOOTFALL_LISEN"},
		{"an unknown key in the file", serve("--config", file("unknown.yaml", "lisen: 127.0.0.1:0\n")), nil, 3, "lisen"},
		{"a wrong value in the file", serve("--config", file("wrong.yaml", "log-format: xml\n")), nil, 3, "log-format"},
		{"a file that is missing", serve(), []string{"FOOTFALL_CONFIG=" + filepath.Join(dir, "missing.yaml")}, 3, "missing.yaml"},
		{"no node", []string{"site", "list", "--data", filepath.Join(dir, "nowhere")}, nil, 1, "nowhere"},
		{"a node that does not answer", []string{"site", "list", "--server", "http://127.0.0.1:1", "--key", "ff_x"}, nil, 1, "127.0.0.1:1"},
		{"an address in use elsewhere", serve("--listen", "192.0.2.1:80"), nil, 1, "192.0.2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := testnode.Run(t, testnode.Command{Args: c.args, Env: c.env})
			if out.Code != c.code || !holds(out.Stderr, c.text) {
				t.Errorf("got code %d, %q, want code %d and %q", out.Code, out.Stderr, c.code, c.text)
			}
			if c.code == 0 && !strings.Contains(strings.ToLower(out.Stdout), "footfall") {
				t.Errorf("printed %q", out.Stdout)
			}
		})
	}
}

// TestAFlagBeatsTheEnvironmentBeatsTheFile asks a node how many requests a key
// has, which each source says differently.
func TestAFlagBeatsTheEnvironmentBeatsTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "footfall.yaml")
	if err := os.WriteFile(file, []byte("api-keys-per-hour: 11\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		args  []string
		env   []string
		limit string
	}{
		{"nothing", nil, nil, "600"},
		{"the file", []string{"--config", file}, nil, "11"},
		{"the file named by the environment", nil, []string{"FOOTFALL_CONFIG=" + file}, "11"},
		{"the environment too", []string{"--config", file}, []string{"FOOTFALL_API_KEYS_PER_HOUR=12"}, "12"},
		{"the flag too", []string{"--config", file, "--api-keys-per-hour", "13"}, []string{"FOOTFALL_API_KEYS_PER_HOUR=12"}, "13"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := testnode.Start(t, testnode.Options{Args: c.args, Env: c.env})
			n.AddSite(t, "shop.example", "UTC")
			a := n.Call(t, http.StatusOK, testnode.Request{Path: "/api/v1/stats/realtime/visitors?site_id=shop.example", Key: n.AddKey(t, "stats:read", "")})
			if got := a.Header.Get("X-RateLimit-Limit"); got != c.limit {
				t.Errorf("a key has %s requests, want %s", got, c.limit)
			}
			// The commands of the machine find their node by the environment.
			out := testnode.Run(t, testnode.Command{Args: []string{"site", "list"}, Env: []string{"FOOTFALL_DATA=" + n.Data}})
			if out.Code != 0 || !holds(out.Stdout, "shop.example") {
				t.Errorf("site list: %+v", out)
			}
		})
	}
}
