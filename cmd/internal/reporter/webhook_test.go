package reporter

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// hookServer is a merchant's server.
type hookServer struct {
	*httptest.Server
	mu     sync.Mutex
	got    []delivery
	status int
}

type delivery struct {
	header http.Header
	body   []byte
	path   string
}

func startHook(t *testing.T) *hookServer {
	h := &hookServer{status: 204}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err == nil && r.Method == "POST" {
			h.got = append(h.got, delivery{r.Header, body, r.URL.RequestURI()})
		}
		if h.status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(h.status)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hookServer) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *hookServer) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

func TestAWebhookIsSigned(t *testing.T) {
	s := startHook(t)
	at := time.Unix(1_800_000_000, 0)
	h := NewHooks(HooksConfig{Clock: func() time.Time { return at }, Private: true})
	if err := h.post(t.Context(), s.URL+"/hook?a=b", "the secret", aReport()); err != nil {
		t.Fatal(err)
	}
	d := s.got[0]
	if d.path != "/hook?a=b" || d.header.Get("Content-Type") != "application/json" || d.header.Get("X-Footfall-Delivery") != "0123456789abcdef" {
		t.Errorf("%+v", d)
	}
	signature := d.header.Get("X-Footfall-Signature")
	if signature != Sign("the secret", at, d.body) || !strings.HasPrefix(signature, "t=1800000000,v1=") {
		t.Errorf("signature %s", signature)
	}
	// Computed by another program: HMAC-SHA256 of "1800000000.{}" with the key "key".
	if got, want := Sign("key", at, []byte("{}")), "t=1800000000,v1=7321475872b03ff21bdc2dfd86ea2d99ec29c479fbe4a77aa6acf4509505493f"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, other := range map[string]string{"secret": Sign("another", at, d.body), "time": Sign("the secret", at.Add(time.Second), d.body), "body": Sign("the secret", at, append(d.body, ' '))} {
		if other == signature {
			t.Errorf("the signature does not depend on the %s", name)
		}
	}
	var report Report
	if err := json.Unmarshal(d.body, &report); err != nil || report.Site != "shop.example" || *report.Figures[0].Change != -12 || report.Pages[0].Visitors != 1000 {
		t.Errorf("%s: %v", d.body, err)
	}
}

func TestOnlySuccessIsSuccess(t *testing.T) {
	s := startHook(t)
	h := NewHooks(HooksConfig{Clock: time.Now, Private: true})
	for status, ok := range map[int]bool{200: true, 202: true, 204: true, 302: false, 400: false, 404: false, 500: false} {
		before := s.count()
		s.answer(status)
		if err := h.post(t.Context(), s.URL, "s", aReport()); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
		if got := s.count() - before; got != 1 {
			t.Errorf("%d: %d requests", status, got)
		}
	}
	s.Close()
	err := h.post(t.Context(), s.URL+"/private-token", "s", aReport())
	if err == nil || strings.Contains(err.Error(), "private-token") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("error %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.post(ended, s.URL, "s", aReport()); err == nil {
		t.Error("no error although it was called off")
	}
}

func TestWebhooksDoNotReachInside(t *testing.T) {
	s := startHook(t)
	h := NewHooks(HooksConfig{Clock: time.Now})
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	for _, url := range []string{s.URL, "http://localhost:" + port, "http://[::1]:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://0.0.0.0:" + port} {
		if err := h.post(t.Context(), url, "s", aReport()); err != errPrivate {
			t.Errorf("%s: %v", url, err)
		}
	}
	if s.count() != 0 {
		t.Error("something came through")
	}
	for _, inside := range []string{"10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "127.8.8.8", "0.0.0.0", "100.64.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::a00:1", "2002:a00:1::", "2001::1", "::ffff:10.0.0.1", "::10.0.0.1"} {
		if public(netip.MustParseAddr(inside)) {
			t.Errorf("%s is taken to be public", inside)
		}
	}
	for _, outside := range []string{"1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::5"} {
		if !public(netip.MustParseAddr(outside)) {
			t.Errorf("%s is taken to be private", outside)
		}
	}
}
