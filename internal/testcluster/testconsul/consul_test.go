package testconsul

import (
	"net/http"
	"strings"
	"testing"
)

func TestAServerKeepsOrForgetsAsAsked(t *testing.T) {
	for _, keep := range []bool{false, true} {
		s := Start(t, Options{Keep: keep})
		if status, _, err := s.Put("/v1/kv/x", []byte("kept")); err != nil || status != http.StatusOK {
			t.Fatalf("write: %d %v", status, err)
		}
		s.Kill()
		if _, _, err := s.Get("/v1/kv/x"); err == nil {
			t.Error("a killed server answers")
		}
		s.Resume()
		status, body, err := s.Get("/v1/kv/x?raw")
		if err != nil {
			t.Fatal(err)
		}
		if kept := status == http.StatusOK && string(body) == "kept"; kept != keep {
			t.Errorf("keep %v: got %d %s after a new start", keep, status, body)
		}
	}
}

func TestATokenIsNeeded(t *testing.T) {
	const token = "11111111-2222-3333-4444-555555555555"
	s := Start(t, Options{Token: token})
	if status, body, err := s.Put("/v1/kv/x", nil); err != nil || status != http.StatusOK {
		t.Fatalf("with the token: %d %s %v", status, body, err)
	}
	resp, err := http.Get("http://" + s.Address + "/v1/kv/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusNotFound {
		t.Errorf("without: %s", resp.Status)
	}
	if !strings.HasPrefix(s.DNS, "127.0.0.1:") {
		t.Errorf("DNS at %q", s.DNS)
	}
}
