package client

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"footfall/cmd/internal/local"
)

func nodeDirectory(t *testing.T) (dir, token string) {
	t.Helper()
	dir = t.TempDir()
	token, err := local.EnsureToken(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return dir, token
}

func TestCredentialGoesToTheRightNodeOnly(t *testing.T) {
	dir, token := nodeDirectory(t)
	empty := t.TempDir()
	recorded := t.TempDir()
	if err := local.WriteAddress(dir, &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 80}); err != nil {
		t.Fatal(err)
	}
	if err := local.WriteAddress(recorded, &net.TCPAddr{IP: net.IPv4zero, Port: 81}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options        Options
		server, bearer string
		wrong          string
	}{
		{Options{Data: dir}, "http://10.1.2.3:80", token, ""},
		{Options{Data: dir, Server: "http://127.0.0.1:9/"}, "http://127.0.0.1:9", token, ""},
		{Options{Data: dir, Server: "http://localhost:9"}, "http://localhost:9", token, ""},
		{Options{Data: dir, Server: "http://[::1]:9"}, "http://[::1]:9", token, ""},
		{Options{Data: dir, Server: "http://10.1.2.3:80"}, "http://10.1.2.3:80", token, ""},
		{Options{Data: dir, Server: "http://10.1.2.3:81"}, "", "", "never sent to another machine"},
		{Options{Data: dir, Server: "https://stats.example.com"}, "", "", "never sent to another machine"},
		{Options{Data: dir, Server: "https://127.0.0.1.example.com"}, "", "", "never sent to another machine"},
		{Options{Data: dir, Server: "https://stats.example.com", Key: "ff_x"}, "https://stats.example.com", "ff_x", ""},
		{Options{Data: recorded, Key: "ff_x"}, "http://127.0.0.1:81", "ff_x", ""},
		{Options{Data: empty, Key: "ff_x"}, DefaultServer, "ff_x", ""},
		{Options{Data: empty}, "", "", "holds no token"},
		{Options{Data: empty, Server: "stats.example.com", Key: "ff_x"}, "", "", "--server"},
		{Options{Data: empty, Server: "http://u:p@x", Key: "ff_x"}, "", "", "--server"},
		{Options{Data: empty, Key: "ff_x\r\nX: y"}, "", "", "--key"},
	} {
		got, err := Open(c.options)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%+v: got error %v, want %q in it", c.options, err, c.wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c.options, err)
			continue
		}
		if got.Server() != c.server || got.bearer != c.bearer {
			t.Errorf("%+v: got %s with %q, want %s with %q", c.options, got.Server(), got.bearer, c.server, c.bearer)
		}
	}
}

func TestTokenOthersCouldReadIsNotUsed(t *testing.T) {
	dir, _ := nodeDirectory(t)
	if err := os.Chmod(filepath.Join(dir, "token"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Data: dir}); err == nil {
		t.Error("a token file with mode 0640 was used")
	}
}

func TestAnswersAndRefusals(t *testing.T) {
	dir, token := nodeDirectory(t)
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("credential %q", r.Header.Get("Authorization"))
		}
		switch r.URL.Path {
		case "/echo":
			w.WriteHeader(http.StatusCreated)
			io.Copy(w, r.Body)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/page":
			io.WriteString(w, "<html>")
		case "/wrong":
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":"timezone: is missing"}`)
		case "/legacy":
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"errors":{"name":["is missing"]}}`)
		case "/busy":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/who":
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"unauthorized"}`)
		case "/away":
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}
	}))
	defer node.Close()
	c, err := Open(Options{Server: node.URL, Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, x := range []struct {
		path   string
		in     any
		out    string
		wrong  string
		status int
		wait   time.Duration
	}{
		{"/echo", map[string]int{"a": 1}, `{"a":1}`, "", 0, 0},
		{"/empty", nil, "", "", 0, 0},
		{"/page", nil, "", "not JSON", 0, 0},
		{"/wrong", nil, "", "timezone: is missing", 400, 0},
		{"/legacy", nil, "", `"is missing"`, 400, 0},
		{"/busy", nil, "", "503", 503, 7 * time.Second},
		{"/who", nil, "", "does not know this key", 401, 0},
		{"/away", nil, "", "302", 302, 0},
	} {
		out, err := c.Call(context.Background(), http.MethodPost, x.path, x.in)
		if x.wrong == "" {
			if err != nil || string(out) != x.out {
				t.Errorf("%s: got %q %v, want %q", x.path, out, err, x.out)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), x.wrong) || StatusOf(err) != x.status {
			t.Errorf("%s: got %v with status %d, want %q with %d", x.path, err, StatusOf(err), x.wrong, x.status)
		}
		var e *Error
		if errors.As(err, &e) && e.RetryAfter != x.wait {
			t.Errorf("%s: asks to wait %v, want %v", x.path, e.RetryAfter, x.wait)
		}
	}
}

func TestNobodyThereIsSaidPlainly(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c, err := Open(Options{Server: "http://" + address, Key: "ff_x"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Call(context.Background(), http.MethodGet, "/v1/sites", nil)
	var u *Unreachable
	if !errors.As(err, &u) {
		t.Fatalf("got %v, want Unreachable", err)
	}
	if text := err.Error(); !strings.Contains(text, "cannot reach the node at http://"+address) || !strings.Contains(text, "is `footfall serve` running?") {
		t.Errorf("got %q", text)
	}
}

func TestEndedContextIsNotAnUnreachableNode(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c, err := Open(Options{Server: "http://127.0.0.1:1", Key: "ff_x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call(ctx, http.MethodGet, "/", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}
