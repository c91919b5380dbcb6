package authority

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func maker(now *time.Time) Maker { return Maker{Clock: func() time.Time { return *now }} }

func made(t *testing.T, names ...string) (string, *time.Time) {
	t.Helper()
	dir, now := t.TempDir(), start
	m := maker(&now)
	if err := m.InitCA(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := m.Issue(dir, name, "127.0.0.1", "node.example"); err != nil {
			t.Fatal(err)
		}
	}
	return dir, &now
}

func load(t *testing.T, dir, name string, now *time.Time, logs *bytes.Buffer) (*Files, error) {
	t.Helper()
	opts := Options{Clock: func() time.Time { return *now }}
	if logs != nil {
		opts.Logger = slog.New(slog.NewTextHandler(logs, nil))
	}
	return Load(filepath.Join(dir, CAFile), filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), opts)
}

func must(t *testing.T, f *Files, err error) *Files {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// shake does one handshake over loopback and says what each side thinks of it.
func shake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	deadline := time.Now().Add(10 * time.Second)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		a.Close()
		done <- err
	}()
	c := tls.Client(b, client)
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1)) // a refused client learns it here
	}
	b.Close()
	return <-done, clientErr
}

func TestNodesOfOneAuthorityAcceptEachOther(t *testing.T) {
	dir, now := made(t, "a", "b")
	a, errA := load(t, dir, "a", now, nil)
	b, errB := load(t, dir, "b", now, nil)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if s, c := shake(t, a.Config(), b.Config()); s != nil || c != nil {
		t.Fatalf("server: %v, client: %v", s, c)
	}
	if want := start.AddDate(1, 0, 0); !a.Expires().Equal(want) {
		t.Errorf("the certificate ends %v, want %v", a.Expires(), want)
	}
}

func TestKeysAreReadableByTheirOwnerOnly(t *testing.T) {
	dir, _ := made(t, "a")
	for _, name := range []string{CAKeyFile, "a.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, info.Mode().Perm())
		}
	}
}

func TestNothingIsWrittenOver(t *testing.T) {
	dir, now := made(t, "a")
	read := func() (all []byte) {
		for _, name := range []string{CAFile, CAKeyFile, "a.pem", "a.key"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	before := read()
	if err := maker(now).InitCA(dir); err == nil || !strings.Contains(err.Error(), "ca.pem: is there already") {
		t.Errorf("a second InitCA said %v", err)
	}
	if err := maker(now).Issue(dir, "a"); err == nil || !strings.Contains(err.Error(), "a.pem: is there already") {
		t.Errorf("a second Issue said %v", err)
	}
	if !bytes.Equal(before, read()) {
		t.Error("files changed")
	}
}

func TestWhatCannotBeIssuedIsNamed(t *testing.T) {
	dir, now := made(t)
	other, _ := made(t)
	swapped := t.TempDir()
	copyFile(t, filepath.Join(dir, CAFile), filepath.Join(swapped, CAFile))
	copyFile(t, filepath.Join(other, CAKeyFile), filepath.Join(swapped, CAKeyFile))
	for _, c := range []struct {
		dir, name, host, want string
	}{
		{dir, "", "", "name"},
		{dir, "../a", "", "name"},
		{dir, "ca", "", "not for a node"},
		{dir, "a", "host:80", "host"},
		{t.TempDir(), "a", "h", "there is no authority here"},
		{swapped, "a", "h", "is not the key of"},
	} {
		if err := maker(now).Issue(c.dir, c.name, c.host); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Issue(%q, %q) said %v, want it to name %q", c.name, c.host, err, c.want)
		}
	}
	*now = start.AddDate(11, 0, 0)
	if err := maker(now).Issue(dir, "a"); err == nil || !strings.Contains(err.Error(), "ended on 2036-03-01") {
		t.Errorf("an authority past its end said %v", err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	// Moved into place, as whoever renews a certificate does.
	if err := os.WriteFile(to+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

func TestLoadRefusesWhatNoNodeMayShow(t *testing.T) {
	dir, now := made(t, "a", "b")
	other, _ := made(t, "a")
	path := func(dir, name string) string { return filepath.Join(dir, name) }
	opts := Options{Clock: func() time.Time { return *now }}
	for _, c := range []struct {
		what, ca, cert, key, want string
	}{
		{"a missing file", path(dir, CAFile), path(dir, "none.pem"), path(dir, "a.key"), "none.pem"},
		{"no PEM", path(dir, "a.key"), path(dir, "a.pem"), path(dir, "a.key"), "no certificate in PEM form"},
		{"another authority", path(other, CAFile), path(dir, "a.pem"), path(dir, "a.key"), "unknown authority"},
		{"another node's key", path(dir, CAFile), path(dir, "a.pem"), path(dir, "b.key"), "does not match"},
		{"a node as authority", path(dir, "b.pem"), path(dir, "a.pem"), path(dir, "a.key"), "not the certificate of an authority"},
		{"the authority as node", path(dir, CAFile), path(dir, CAFile), path(dir, CAKeyFile), "footfall-node"},
	} {
		if _, err := Load(c.ca, c.cert, c.key, opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Load said %v, want it to name %q", c.what, err, c.want)
		}
	}
	*now = start.AddDate(1, 0, 1)
	if _, err := load(t, dir, "a", now, nil); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired certificate: Load said %v", err)
	}
}

func TestStrangersAreRefusedByBothSides(t *testing.T) {
	dir, now := made(t, "a")
	other, _ := made(t, "a")
	f, err := load(t, dir, "a", now, nil)
	node := must(t, f, err).Config()
	f, err = load(t, other, "a", now, nil)
	foreign := must(t, f, err).Config()
	bare := &tls.Config{InsecureSkipVerify: true}
	old := node.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12

	if s, c := shake(t, node, foreign); s == nil || c == nil {
		t.Errorf("a foreign client: server %v, client %v", s, c)
	}
	if s, c := shake(t, foreign, node); s == nil || c == nil {
		t.Errorf("a foreign server: server %v, client %v", s, c)
	}
	if s, c := shake(t, node, bare); s == nil || c == nil {
		t.Errorf("a client without a certificate: server %v, client %v", s, c)
	}
	if s, c := shake(t, node, old); s == nil || c == nil {
		t.Errorf("TLS 1.2: server %v, client %v", s, c)
	}
	*now = start.AddDate(1, 0, 1)
	if s, c := shake(t, node, node); s == nil || c == nil {
		t.Errorf("expired: server %v, client %v", s, c)
	}
}

func TestChangedFilesAreUsedWithoutARestart(t *testing.T) {
	dir, now := made(t, "a", "b")
	var logs bytes.Buffer
	f, err := load(t, dir, "a", now, &logs)
	a := must(t, f, err)
	f, err = load(t, dir, "b", now, nil)
	b := must(t, f, err)

	*now = now.AddDate(0, 6, 0)
	if err := maker(now).Issue(dir, "a2"); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(dir, "a2.key"), filepath.Join(dir, "a.key"))
	old := a.Expires() // between the two writes: the old one stays
	if want := start.AddDate(1, 0, 0); !old.Equal(want) {
		t.Fatalf("half changed: ends %v, want %v", old, want)
	}
	if !strings.Contains(logs.String(), "cannot be used") {
		t.Errorf("nothing was logged of a key that does not fit: %s", logs.String())
	}
	copyFile(t, filepath.Join(dir, "a2.pem"), filepath.Join(dir, "a.pem"))
	if got := a.Expires(); !got.Equal(old) {
		t.Errorf("the files were looked at again within a second")
	}
	*now = now.Add(2 * time.Second)
	if got := a.Expires(); got.Equal(old) {
		t.Fatalf("the new certificate is not used: %s", logs.String())
	}
	*now = start.AddDate(1, 0, 1) // past the end of the first ones
	if s, c := shake(t, b.Config(), b.Config()); s == nil || c == nil {
		t.Errorf("b's certificate is over but was accepted: server %v, client %v", s, c)
	}
	if s, c := shake(t, a.Config(), a.Config()); s != nil || c != nil {
		t.Errorf("the renewed certificate: server %v, client %v", s, c)
	}
}

func TestAnAuthorityIsReplacedByTrustingBothForAWhile(t *testing.T) {
	dir, now := made(t, "a")
	other, _ := made(t, "b")
	f, err := load(t, dir, "a", now, nil)
	a := must(t, f, err)
	f, err = load(t, other, "b", now, nil)
	b := must(t, f, err)
	if s, _ := shake(t, a.Config(), b.Config()); s == nil {
		t.Fatal("two authorities accept each other")
	}
	both := append(read(t, filepath.Join(dir, CAFile)), read(t, filepath.Join(other, CAFile))...)
	for _, d := range []string{dir, other} {
		if err := os.WriteFile(filepath.Join(d, CAFile), both, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	*now = now.Add(2 * time.Second)
	if s, c := shake(t, a.Config(), b.Config()); s != nil || c != nil {
		t.Errorf("server: %v, client: %v", s, c)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A certificate of the right authority is not enough: other things may be
// signed by it.
func TestTheNameIsDemandedByBothSides(t *testing.T) {
	dir, now := made(t, "a")
	ca, caKey, err := readCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"db.example"}, NotBefore: start, NotAfter: start.AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca, public, caKey)
	if err != nil {
		t.Fatal(err)
	}
	f, err := load(t, dir, "a", now, nil)
	node := must(t, f, err).Config()
	other := node.Clone()
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
	other.VerifyConnection = nil
	other.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
	other.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	if s, _ := shake(t, node, other); s == nil || !strings.Contains(s.Error(), NodeName) {
		t.Errorf("the server said %v", s)
	}
	if _, c := shake(t, other, node); c == nil || !strings.Contains(c.Error(), NodeName) {
		t.Errorf("the client said %v", c)
	}
}
