package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/goleak"

	"footfall/cmd/internal/config"
	"footfall/cmd/internal/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call runs a command line as a shell would.
func call(t *testing.T, stdin string, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &world{
		stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs,
		environ: environ, random: rand.Reader, now: time.Now,
	})
	return code, out.String(), errs.String()
}

// accountsNode answers the account routes of a node from memory.
type accountsNode struct {
	*httptest.Server
	token string
	mu    sync.Mutex
	accountsState
}

type accountsState struct {
	requests []string // "POST /v1/sites {...}"
	sites    []map[string]any
	keys     []map[string]any
	users    []map[string]any
}

// now gives what the node knows at the moment.
func (n *accountsNode) now() accountsState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return accountsState{slices.Clone(n.requests), slices.Clone(n.sites), slices.Clone(n.keys), slices.Clone(n.users)}
}

func newAccountsNode(t *testing.T, token string) *accountsNode {
	n := &accountsNode{token: token}
	n.Server = httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(n.Close)
	return n
}

func (n *accountsNode) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests = append(n.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
	answer := func(status int, v any) {
		w.WriteHeader(status)
		if v != nil {
			json.NewEncoder(w).Encode(v)
		}
	}
	fail := func(status int, text string) { answer(status, map[string]string{"error": text}) }
	if r.Header.Get("Authorization") != "Bearer "+n.token {
		fail(401, "unauthorized")
		return
	}
	var in map[string]any
	if len(body) > 0 && r.URL.Path != "/v1/events" && json.Unmarshal(body, &in) != nil {
		fail(400, "body: is not JSON")
		return
	}
	find := func(list []map[string]any, key, value string) int {
		return slices.IndexFunc(list, func(m map[string]any) bool { return fmt.Sprint(m[key]) == value })
	}
	last := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch route := r.Method + " " + r.URL.Path; {
	case route == "POST /v1/sites":
		if in["timezone"] == "Mars/Olympus" {
			fail(400, `timezone: "Mars/Olympus" is not an IANA time zone`)
			return
		}
		in["created"] = "2026-01-02T03:04:05Z"
		n.sites = append(n.sites, in)
		answer(201, in)
	case route == "GET /v1/sites":
		after := find(n.sites, "domain", r.URL.Query().Get("after")) + 1 // one site a page
		page := map[string]any{"sites": n.sites[after:min(after+1, len(n.sites))]}
		if after+1 < len(n.sites) {
			page["next"] = n.sites[after]["domain"]
		}
		answer(200, page)
	case strings.HasPrefix(r.URL.Path, "/v1/sites/"):
		i := find(n.sites, "domain", last)
		if i < 0 {
			fail(404, "site: not known")
			return
		}
		if r.Method == http.MethodDelete {
			n.sites = slices.Delete(n.sites, i, i+1)
			answer(204, nil)
			return
		}
		site := map[string]any{"snippet": `<script defer data-domain="` + last + `" src="/js/script.js"></script>`}
		for k, v := range n.sites[i] {
			site[k] = v
		}
		answer(200, site)
	case route == "POST /v1/keys":
		in["id"], in["key"], in["prefix"] = len(n.keys)+1, fmt.Sprintf("ff_%dsecret", len(n.keys)), fmt.Sprintf("ff_%d", len(n.keys))
		in["created"], in["last_used"] = 1_767_323_045_000, nil
		n.keys = append(n.keys, in)
		answer(201, in)
	case route == "GET /v1/keys":
		answer(200, map[string]any{"keys": n.keys})
	case strings.HasPrefix(route, "DELETE /v1/keys/"):
		i := find(n.keys, "id", last)
		n.keys = slices.Delete(n.keys, i, i+1)
		answer(204, nil)
	case route == "POST /v1/users":
		in["id"] = "7"
		n.users = append(n.users, in)
		answer(201, map[string]any{"user": map[string]any{"id": 7, "email": in["email"]}})
	case route == "GET /v1/users":
		answer(200, map[string]any{"users": n.users})
	case strings.HasPrefix(route, "DELETE /v1/users/"):
		n.users = slices.Delete(n.users, 0, 1)
		answer(204, nil)
	default:
		fail(404, "no such route")
	}
}

// localNode makes a node and the data directory it would have.
func localNode(t *testing.T) (n *accountsNode, dir string) {
	t.Helper()
	dir = t.TempDir()
	token, err := local.EnsureToken(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n = newAccountsNode(t, token)
	if err := local.WriteAddress(dir, n.Listener.Addr()); err != nil {
		t.Fatal(err)
	}
	return n, dir
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(file, []byte("listn: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args    []string
		environ []string
		code    int
		stderr  string
	}{
		{[]string{"--version"}, nil, exitOK, ""},
		{[]string{"version"}, nil, exitOK, ""},
		{[]string{"serve", "--version"}, nil, exitOK, ""},
		{[]string{"help"}, nil, exitOK, ""},
		{[]string{"help", "serve"}, nil, exitOK, ""},
		{[]string{"help", "site", "add"}, nil, exitOK, ""},
		{[]string{"import", "--help"}, nil, exitOK, ""},
		{nil, nil, exitUsage, "expected one of"},
		{[]string{"help", "bogus"}, nil, exitUsage, "bogus"},
		{[]string{"sit"}, nil, exitUsage, `did you mean "site"`},
		{[]string{"site"}, nil, exitUsage, "expected one of"},
		{[]string{"site", "add"}, nil, exitUsage, "<domain>"},
		{[]string{"serve", "--listn", "x"}, nil, exitUsage, `did you mean "--listen"`},
		{[]string{"serve", "--listen", "x"}, nil, exitUsage, "--listen"},
		{[]string{"serve", "--found"}, nil, exitUsage, "--found: needs cluster-listen"},
		{[]string{"serve", "--found=perhaps"}, nil, exitUsage, `--found: "perhaps" is neither`},
		{[]string{"serve", "--found", "--listen", "x"}, nil, exitUsage, "--listen"},
		{[]string{"serve", "--log-level=loud"}, nil, exitUsage, "--log-level"},
		{[]string{"key", "create", "--scope", "all"}, nil, exitUsage, "--scope"},
		{[]string{"import", "--site", "x", "--format", "csv", "-"}, nil, exitUsage, "--format"},
		{[]string{"import", "--site", "x", "--timezone-of-log", "Mars/Olympus", "-"}, nil, exitUsage, "--timezone-of-log"},
		{[]string{"import", "x.log"}, nil, exitUsage, "--site"},
		{[]string{"serve", "--config", file}, nil, exitConfig, "did you mean listen?"},
		{[]string{"serve", "--config", file + "x"}, nil, exitConfig, "--config: open"},
		{[]string{"serve"}, []string{"FOOTFALL_LISTEN=x"}, exitConfig, "FOOTFALL_LISTEN"},
		{[]string{"serve"}, []string{"FOOTFALL_LISTN=:1"}, exitConfig, "FOOTFALL_LISTN: unknown"},
		{[]string{"site", "list", "--data", dir}, nil, exitError, "--key: needed"},
		{[]string{"site", "list", "--server", "http://127.0.0.1:1", "--key", "ff_x"}, nil, exitError, "is `footfall serve` running?"},
	} {
		code, _, stderr := call(t, "", c.environ, c.args...)
		if code != c.code || !strings.Contains(stderr, c.stderr) || (stderr == "") != (c.stderr == "") {
			t.Errorf("footfall %s with %v: got %d %q, want %d %q", strings.Join(c.args, " "), c.environ, code, stderr, c.code, c.stderr)
		}
	}
	if code := codeOf(fmt.Errorf("start: %w", withCode(exitDiskFull, io.ErrShortWrite))); code != 10 {
		t.Errorf("disk full: got %d, want 10", code)
	}
}

func TestVersionIsOneLine(t *testing.T) {
	_, out, _ := call(t, "", nil, "--version")
	if !strings.HasPrefix(out, "footfall ") || strings.Count(out, "\n") != 1 || !strings.Contains(out, "(") {
		t.Errorf("got %q", out)
	}
}

func TestServeHasAFlagForEverySetting(t *testing.T) {
	c := serveCommand{}
	v := reflect.ValueOf(&c).Elem()
	var names []string
	for i := range v.NumField() {
		names = append(names, flagName(v.Type().Field(i)))
		text := "value"
		v.Field(i).Set(reflect.ValueOf(&text))
	}
	slices.Sort(names)
	if !slices.Equal(names, config.Flags()) {
		t.Errorf("flags %v\nsettings %v", names, config.Flags())
	}
	if given := c.given(); len(given) != len(names) {
		t.Errorf("given %v", given)
	}
	var all commands
	k, err := kong.New(&all)
	if err != nil {
		t.Fatal(err)
	}
	var parsed []string
	for _, node := range k.Model.Children {
		if node.Name == "serve" {
			for _, f := range node.Flags {
				parsed = append(parsed, f.Name)
			}
		}
	}
	slices.Sort(parsed)
	if !slices.Equal(parsed, names) {
		t.Errorf("the parser's flags %v\nours %v", parsed, names)
	}
	_, help, _ := call(t, "", nil, "help", "serve")
	for _, name := range names {
		if !strings.Contains(strings.Join(strings.Fields(help), " "), config.Env(name)) {
			t.Errorf("help of serve does not name %s", config.Env(name))
		}
	}
}

func TestSites(t *testing.T) {
	n, dir := localNode(t)
	code, out, stderr := call(t, "", nil, "site", "add", "example.com", "--timezone", "Europe/Berlin", "--data", dir)
	if code != 0 || !strings.Contains(out, `<script defer data-domain="example.com"`) || !strings.Contains(out, "Europe/Berlin") {
		t.Fatalf("add: %d %q %q", code, out, stderr)
	}
	if code, out, _ = call(t, "", []string{"FOOTFALL_DATA=" + dir}, "site", "add", "b.example", "--json"); code != 0 {
		t.Fatalf("add as JSON: %d", code)
	}
	var site map[string]any
	if err := json.Unmarshal([]byte(out), &site); err != nil || site["domain"] != "b.example" || site["timezone"] != "UTC" || site["snippet"] == nil {
		t.Errorf("add as JSON: %q %v", out, err)
	}
	code, out, _ = call(t, "", nil, "site", "list", "--data", dir)
	if want := "DOMAIN       TIME ZONE      CREATED           PUBLIC\nexample.com  Europe/Berlin  2026-01-02 03:04  no\nb.example    UTC            2026-01-02 03:04  no\n"; code != 0 || out != want {
		t.Errorf("list: %d\n%s\nwant\n%s", code, out, want)
	}
	var list struct{ Sites []map[string]any }
	if _, out, _ = call(t, "", nil, "site", "list", "--json", "--data", dir); json.Unmarshal([]byte(out), &list) != nil || len(list.Sites) != 2 {
		t.Errorf("list as JSON: %s", out)
	}
	if _, out, _ = call(t, "", nil, "site", "show", "b.example", "--data", dir); !strings.Contains(out, "b.example") || !strings.Contains(out, "<script") {
		t.Errorf("show: %q", out)
	}
	if code, _, stderr = call(t, "", nil, "site", "show", "c.example", "--data", dir); code != 1 || stderr != "footfall: site: not known\n" {
		t.Errorf("show a missing one: %d %q", code, stderr)
	}
	if code, _, stderr = call(t, "", nil, "site", "add", "x", "--timezone", "Mars/Olympus", "--data", dir); code != 1 || !strings.Contains(stderr, "timezone: ") {
		t.Errorf("wrong zone: %d %q", code, stderr)
	}
	if code, out, _ = call(t, "", nil, "site", "remove", "b.example", "--data", dir); code != 0 || out != "b.example removed.\n" || len(n.now().sites) != 1 {
		t.Errorf("remove: %d %q, %d left", code, out, len(n.now().sites))
	}
	if code, out, _ = call(t, "", nil, "site", "remove", "example.com", "--json", "--data", dir); code != 0 || out != `{"removed":"example.com"}`+"\n" {
		t.Errorf("remove as JSON: %d %q", code, out)
	}
}

func TestPersonIsAskedBeforeASiteGoes(t *testing.T) {
	for typed, left := range map[string]int{"no\n": 1, "": 1, "example.com\n": 0} {
		n, dir := localNode(t)
		n.sites = []map[string]any{{"domain": "example.com"}}
		var out, errs bytes.Buffer
		run(context.Background(), []string{"site", "remove", "example.com", "--data", dir},
			&world{stdin: strings.NewReader(typed), stdout: &out, stderr: &errs, stdinIsTerminal: true, now: time.Now})
		if len(n.now().sites) != left || !strings.Contains(errs.String(), "Type the domain") {
			t.Errorf("%q: %d sites left, want %d; %q", typed, len(n.now().sites), left, errs.String())
		}
	}
}

func TestKeys(t *testing.T) {
	n, dir := localNode(t)
	code, out, stderr := call(t, "", nil, "key", "create", "--scope", "stats:read,events:write", "--site", "example.com", "--name", "ci", "--data", dir)
	if code != 0 || out != "ff_0secret\n" || stderr != "" {
		t.Fatalf("create: %d %q %q, want the key alone", code, out, stderr)
	}
	if want := `POST /v1/keys {"name":"ci","scopes":["stats:read","events:write"],"site":"example.com"}`; n.now().requests[0] != want {
		t.Errorf("asked %s\nwant  %s", n.now().requests[0], want)
	}
	if code, out, _ = call(t, "", nil, "key", "create", "--scope", "stats:read", "--json", "--data", dir); code != 0 || !strings.Contains(out, `"key":"ff_1secret"`) {
		t.Errorf("create as JSON: %d %q", code, out)
	}
	if _, out, _ = call(t, "", nil, "key", "list", "--data", dir); !strings.Contains(out, "1   ff_0    ci    stats:read,events:write  example.com  2026-01-02 03:04  -") {
		t.Errorf("list:\n%s", out)
	}
	if code, _, stderr = call(t, "", nil, "key", "revoke", "ff_", "--data", dir); code != 1 || !strings.Contains(stderr, "2 keys begin with") {
		t.Errorf("revoke what is not clear: %d %q", code, stderr)
	}
	if code, _, stderr = call(t, "", nil, "key", "revoke", "ff_9", "--data", dir); code != 1 || !strings.Contains(stderr, "no key") {
		t.Errorf("revoke nothing: %d %q", code, stderr)
	}
	if code, out, _ = call(t, "", nil, "key", "revoke", "ff_0secret", "--data", dir); code != 0 || out != "ff_0 (ci) revoked.\n" || len(n.now().keys) != 1 {
		t.Errorf("revoke by key: %d %q", code, out)
	}
	if code, _, _ = call(t, "", nil, "key", "revoke", "2", "--data", dir); code != 0 || len(n.now().keys) != 0 {
		t.Errorf("revoke by id: %d, %d left", code, len(n.now().keys))
	}
}

func TestUsers(t *testing.T) {
	n, dir := localNode(t)
	code, out, _ := call(t, "", nil, "user", "add", "ada@example.com", "--data", dir)
	_, password, found := strings.Cut(out, "password: ")
	password = strings.TrimSpace(password)
	if code != 0 || !found || len(password) != passwordLength || n.now().users[0]["password"] != password || n.now().users[0]["name"] != "ada" || n.now().users[0]["role"] != "viewer" {
		t.Fatalf("add: %d %q, the node got %v", code, out, n.now().users)
	}
	code, out, _ = call(t, "hunter2hunter2\nrest\n", nil, "user", "add", "bob@example.com", "--name", "Bob", "--role", "admin", "--password-stdin", "--data", dir)
	if code != 0 || strings.Contains(out, "hunter2") || n.now().users[1]["password"] != "hunter2hunter2" || n.now().users[1]["name"] != "Bob" || n.now().users[1]["role"] != "admin" {
		t.Errorf("add with a password: %d %q, the node got %v", code, out, n.now().users[1])
	}
	if code, _, stderr := call(t, "", nil, "user", "add", "c@example.com", "--password-stdin", "--data", dir); code != 1 || !strings.Contains(stderr, "password: standard input is empty") {
		t.Errorf("add without the password: %d %q", code, stderr)
	}
	var made map[string]any
	if _, out, _ = call(t, "", nil, "user", "add", "d@example.com", "--json", "--data", dir); json.Unmarshal([]byte(out), &made) != nil || made["user"] == nil || len(made["password"].(string)) != passwordLength {
		t.Errorf("add as JSON: %q", out)
	}
	if _, out, _ = call(t, "", nil, "user", "list", "--data", dir); !strings.Contains(out, "7   ada@example.com  ada   viewer") {
		t.Errorf("list:\n%s", out)
	}
	if code, _, stderr := call(t, "", nil, "user", "remove", "nobody@example.com", "--data", dir); code != 1 || !strings.Contains(stderr, "no user") {
		t.Errorf("remove nobody: %d %q", code, stderr)
	}
	if code, out, _ = call(t, "", nil, "user", "remove", "ADA@example.com", "--data", dir); code != 0 || out != "ada@example.com removed.\n" {
		t.Errorf("remove: %d %q", code, out)
	}
}

func TestKeyAndServerFromTheEnvironment(t *testing.T) {
	n := newAccountsNode(t, "ff_env")
	environ := []string{"FOOTFALL_SERVER=" + n.URL, "FOOTFALL_KEY=ff_env", "FOOTFALL_DATA=" + t.TempDir()}
	if code, _, stderr := call(t, "", environ, "site", "list"); code != 0 {
		t.Errorf("got %d %q", code, stderr)
	}
	if code, _, stderr := call(t, "", environ, "site", "list", "--key", "ff_other"); code != 1 || !strings.Contains(stderr, "does not know this key") {
		t.Errorf("with another key: %d %q", code, stderr)
	}
}

func TestGeneratedPasswordsUseEveryLetterAndNothingElse(t *testing.T) {
	seen := map[rune]bool{}
	for range 200 {
		p, err := makePassword(rand.Reader)
		if err != nil || len(p) != passwordLength {
			t.Fatalf("%q %v", p, err)
		}
		for _, r := range p {
			seen[r] = true
			if !strings.ContainsRune(passwordLetters, r) {
				t.Fatalf("%q in %q", r, p)
			}
		}
	}
	if len(seen) != len(passwordLetters) {
		t.Errorf("%d letters of %d came up", len(seen), len(passwordLetters))
	}
	if _, err := makePassword(bytes.NewReader(nil)); err == nil {
		t.Error("a password without randomness")
	}
}
