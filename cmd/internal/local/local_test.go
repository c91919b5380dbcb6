package local

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTokenIsMadeOnceAndReadBack(t *testing.T) {
	dir := t.TempDir()
	if _, err := Token(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("before the first start: got %v, want it not to exist", err)
	}
	first, err := EnsureToken(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	again, err := EnsureToken(dir, rand.Reader)
	if err != nil || again != first {
		t.Errorf("second start: got %q %v, want the same token", again, err)
	}
	read, err := Token(dir)
	if err != nil || read != first || len(first) < 40 {
		t.Errorf("read back %q %v, want %q", read, err, first)
	}
	info, err := os.Stat(filepath.Join(dir, "token"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v %v, want 0600", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files left %v, want the token alone", len(entries), err)
	}
}

func TestTokenThatCannotBeTrustedIsRefused(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"readable by others": func(path string) error { return os.Chmod(path, 0o644) },
		"empty":              func(path string) error { return os.Truncate(path, 0) },
		"cut":                func(path string) error { return os.Truncate(path, 20) },
	} {
		dir := t.TempDir()
		if _, err := EnsureToken(dir, rand.Reader); err != nil {
			t.Fatal(err)
		}
		if err := damage(filepath.Join(dir, "token")); err != nil {
			t.Fatal(err)
		}
		if token, err := EnsureToken(dir, rand.Reader); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: got %q %v, want an error that says what to do", name, token, err)
		}
	}
}

func TestTokenNeedsRandomness(t *testing.T) {
	dir := t.TempDir()
	if _, err := EnsureToken(dir, bytes.NewReader(make([]byte, 5))); err == nil {
		t.Error("made a token from five bytes")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files left", len(entries))
	}
}

func TestAddressIsOneThatCanBeCalled(t *testing.T) {
	for listening, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		"0.0.0.0:80":     "http://127.0.0.1:80",
		"[::]:81":        "http://[::1]:81",
		"10.1.2.3:82":    "http://10.1.2.3:82",
	} {
		dir := t.TempDir()
		addr, err := net.ResolveTCPAddr("tcp", listening)
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteAddress(dir, addr); err != nil {
			t.Fatal(err)
		}
		if got, ok := Address(dir); !ok || got != want {
			t.Errorf("%s: got %q %v, want %q", listening, got, ok, want)
		}
		if err := RemoveAddress(dir); err != nil {
			t.Error(err)
		}
		if err := RemoveAddress(dir); err != nil {
			t.Errorf("second time: %v", err)
		}
		if got, ok := Address(dir); ok {
			t.Errorf("removed, but got %q", got)
		}
	}
}

func TestNonsenseInTheAddressFileIsNoAddress(t *testing.T) {
	for _, text := range []string{"", "hello", "file:///etc/passwd", "http://"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "address"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, ok := Address(dir); ok {
			t.Errorf("%q: got %q", text, got)
		}
	}
}
