package clustertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"footfall/cluster/transport/authority"
	"footfall/internal/testcluster"
	"footfall/internal/testnode"
)

// hearMax is how long a stranger listens; a node ends such a connection before.
const hearMax = time.Minute

// TestStrangersGetNothingFromTheClusterPort knocks on the cluster port without
// a certificate, with a foreign one, and in other protocols.
func TestStrangersGetNothingFromTheClusterPort(t *testing.T) {
	w := newWorld(t, testcluster.Options{}, 4)
	l := w.quiet()
	w.written(l, w.Nodes[0])
	foreign := filepath.Join(t.TempDir(), "ca")
	maker := authority.Maker{}
	if err := errors.Join(maker.InitCA(foreign), maker.Issue(foreign, "n9", "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(foreign, "n9.pem"), filepath.Join(foreign, "n9.key"))
	if err != nil {
		t.Fatal(err)
	}
	hello := "GET /v1/cluster HTTP/1.1\r\nHost: n1\r\n\r\n"
	for name, settings := range map[string]*tls.Config{
		"HTTP":                             nil,
		"TLS without a certificate":        {InsecureSkipVerify: true},
		"TLS with a foreign certificate":   {InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}},
		"an old TLS":                       {InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12},
		"TLS, and a certificate of nobody": {InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }},
	} {
		if heard := knock(t, w.Nodes[0].Cluster, settings, hello); len(heard) > 0 {
			t.Errorf("%s: the stranger hears %q", name, heard)
		}
	}
	// A whole node of another authority neither joins nor learns anything; it trusts
	// the cluster's as little as that trusts its.
	stranger := testnode.New(t, testnode.Options{Dev: true, Args: []string{"--cluster-listen", "127.0.0.1:0", "--discovery", "static", "--peers", w.Nodes[0].Cluster,
		"--cluster-ca", filepath.Join(foreign, "ca.pem"), "--cluster-cert", filepath.Join(foreign, "n9.pem"), "--cluster-key", filepath.Join(foreign, "n9.key"), "--log-level", "debug"}})
	stranger.Begin()
	eventually(t, "the stranger is refused", func() (bool, string) {
		text := string(stranger.Printed())
		return strings.Contains(text, "join by="), text
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if url, err := stranger.Wait(ctx); err == nil {
		t.Errorf("the stranger serves at %s", url)
	}
	stranger.Kill()
	if s, err := w.status(w.Nodes[0]); err != nil || len(s.Nodes) != 3 {
		t.Errorf("%d nodes, %v", len(s.Nodes), err)
	}
	if text := string(w.Nodes[0].Printed()); !strings.Contains(text, "connections to the cluster port were refused") {
		t.Error("the node does not say that strangers knocked")
	}
	w.written(l, w.Nodes[1])
	l.check(w.Nodes...)
}

// knock says something to addr and gives what was heard until the other side
// ended the connection.
func knock(t *testing.T, addr string, settings *tls.Config, say string) []byte {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(hearMax)); err != nil {
		t.Fatal(err)
	}
	conn := raw
	if settings != nil {
		// Who knocks looks at nothing that the node shows of itself.
		settings.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
		conn = tls.Client(raw, settings)
	}
	_, _ = io.WriteString(conn, say) // it may be refused already
	heard, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection of a stranger is open after %v", hearMax)
	}
	if settings == nil && len(heard) > 0 && heard[0] == 21 {
		return nil // an alert of TLS, which says no more than that it is TLS
	}
	return heard
}
