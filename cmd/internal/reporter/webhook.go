package reporter

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

const (
	hookMax      = 10 * time.Second // one request, answer included
	hookBytesMax = 64 << 10         // of an answer are read
)

// HooksConfig is what Hooks are made of.
type HooksConfig struct {
	Clock   func() time.Time
	Private bool        // addresses of private networks may be reached
	TLS     *tls.Config // nil for the machine's authorities
}

// Hooks posts reports to webhooks. Safe for concurrent use.
type Hooks struct {
	clock  func() time.Time
	client http.Client
}

// NewHooks makes Hooks.
func NewHooks(cfg HooksConfig) *Hooks {
	dialer := &net.Dialer{Timeout: hookMax}
	if !cfg.Private {
		// Looked at after the name was resolved, so that no name can lead inside.
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !public(to.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	return &Hooks{clock: cfg.Clock, client: http.Client{
		Timeout: hookMax,
		// No proxy: it would be asked instead of the address that was looked at.
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: cfg.TLS, DisableKeepAlives: true, TLSHandshakeTimeout: hookMax,
			MaxResponseHeaderBytes: hookBytesMax},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var errPrivate = errors.New("the address is of a private network")

// notPublic are the networks that a server of a merchant cannot be in, besides
// those that netip knows.
var notPublic = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// public tells whether an address is one of the internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" || a.Is6() && a.As16()[0] == 0 {
		return false
	}
	for _, n := range notPublic {
		if n.Contains(a) {
			return false
		}
	}
	return true
}

// Sign gives the value of the header X-Footfall-Signature for a body sent at a
// time: the time in Unix seconds, and the HMAC-SHA256 of time, full stop and body.
func Sign(secret string, at time.Time, body []byte) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends a report to one webhook. Any status from 200 to 299 is a success.
func (h *Hooks) post(ctx context.Context, url, secret string, report *Report) error {
	body, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("write the body: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Footfall")
	req.Header.Set("X-Footfall-Delivery", report.ID)
	req.Header.Set("X-Footfall-Signature", Sign(secret, h.clock(), body))
	resp, err := h.client.Do(req)
	if err != nil {
		return withoutAddress(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, hookBytesMax)) // what it says is of no interest
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	return nil
}

// withoutAddress tells what went wrong without saying where: addresses of webhooks
// are often secrets.
func withoutAddress(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, errPrivate):
		return errPrivate
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &op) && op.Op == "dial":
		return errors.New("no connection")
	}
	return errors.New("no answer")
}
