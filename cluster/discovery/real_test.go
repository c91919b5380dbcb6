package discovery

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"footfall/internal/testcluster/testconsul"
	"footfall/internal/testcluster/testproxy"
)

// brief lets a node vanish within a second or two.
func brief(address string) ConsulOptions {
	return ConsulOptions{Address: address, TTL: time.Second, Refresh: 200 * time.Millisecond, Wait: 2 * time.Second}
}

func TestRealConsul(t *testing.T) {
	server := testconsul.Start(t, testconsul.Options{})

	t.Run("joining and leaving is seen", func(t *testing.T) {
		a, b := open(t, brief(server.Address)), open(t, brief(server.Address))
		v := watch(t, a)
		v.await()
		register(t, a, member("a", 1))
		register(t, b, member("b", 2))
		if got := v.await("a", "b"); got[1] != member("b", 2) {
			t.Errorf("got %+v", got[1])
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		v.await("a")
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		v.await()
	})

	t.Run("a node that dies is noticed", func(t *testing.T) {
		a, b := open(t, brief(server.Address)), open(t, brief(server.Address))
		v := watch(t, b)
		register(t, a, member("a", 1))
		register(t, b, member("b", 2))
		v.await("a", "b")
		a.keeper.stop() // as kill -9 stops it: nothing is deregistered
		v.await("b")
	})

	t.Run("a node that was cut off comes back and kept its list", func(t *testing.T) {
		proxy := testproxy.New(t, server.Address)
		a, b := open(t, brief(proxy.Address())), open(t, brief(server.Address))
		va, vb := watch(t, a), watch(t, b)
		register(t, a, member("a", 1))
		register(t, b, member("b", 2))
		va.await("a", "b")
		vb.await("a", "b")
		for _, rule := range []testproxy.Rule{{Cut: true}, testproxy.Hole()} {
			before := va.count()
			proxy.Set(rule)
			vb.await("b")
			if va.count() != before {
				t.Errorf("%+v: who is cut off was told another list", rule)
			}
			proxy.Set(testproxy.Rule{})
			vb.await("a", "b")
			va.await("a", "b")
		}
	})

	t.Run("one of five founds", func(t *testing.T) {
		const contenders = 5
		var mu sync.Mutex
		var winners []uint64
		var racing sync.WaitGroup
		for ident := uint64(1); ident <= contenders; ident++ {
			c := open(t, brief(server.Address))
			racing.Go(func() {
				may, err := c.MayFound(t.Context(), "127.0.0.1:7001", ident)
				if err != nil {
					t.Error(err)
				}
				if may {
					mu.Lock()
					winners = append(winners, ident)
					mu.Unlock()
				}
			})
		}
		racing.Wait()
		if len(winners) != 1 {
			t.Fatalf("founders: %v", winners)
		}
		c := open(t, brief(server.Address))
		for ident := uint64(1); ident <= contenders; ident++ {
			may, err := c.MayFound(t.Context(), "127.0.0.1:7001", ident)
			if err != nil || may != (ident == winners[0]) {
				t.Errorf("asked again, %d: %v %v, the winner was %d", ident, may, err, winners[0])
			}
		}
	})

	t.Run("balancers see ready nodes alone", func(t *testing.T) {
		ready := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				w.WriteHeader(http.StatusNotFound)
			}
		})}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() { _ = ready.Serve(listener) })
		defer serving.Wait()
		defer ready.Close()
		o := brief(server.Address)
		o.Service = "shop"
		a, b := open(t, o), open(t, o)
		up, down := member("a", 1), member("b", 2)
		up.HTTP, down.HTTP = listener.Addr().String(), "127.0.0.1:1"
		register(t, a, up)
		register(t, b, down)
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", server.DNS)
		}}
		_, port, _ := net.SplitHostPort(up.HTTP)
		srv := func() []string {
			_, records, err := resolver.LookupSRV(t.Context(), "shop-edge", "tcp", "service.consul")
			if err != nil {
				return nil
			}
			var ports []string
			for _, r := range records {
				ports = append(ports, big.NewInt(int64(r.Port)).String())
			}
			return ports
		}
		eventually(t, "the ready one in DNS", func() bool { return slices.Equal(srv(), []string{port}) })
		if err := a.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "nobody in DNS", func() bool { return srv() == nil })
		watch(t, b).await("a", "b")
	})

	// The last two change the server for all.
	t.Run("a hanging server keeps nobody waiting", func(t *testing.T) {
		a := open(t, brief(server.Address))
		v := watch(t, a)
		register(t, a, member("a", 1))
		v.await("a")
		server.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := a.MayFound(ctx, "127.0.0.1:7001", 1); err == nil {
			t.Error("a paused server answered")
		}
		server.Continue()
		eventually(t, "answers again", func() bool {
			_, err := a.MayFound(t.Context(), "127.0.0.1:7001", 1)
			return err == nil
		})
		v.await("a")
	})

	t.Run("a server that forgot everything is told again", func(t *testing.T) {
		a, b := open(t, brief(server.Address)), open(t, brief(server.Address))
		v := watch(t, a)
		register(t, a, member("a", 1))
		register(t, b, member("b", 2))
		v.await("a", "b")
		server.Kill()
		server.Resume()
		status, body, err := server.Get("/v1/kv/" + a.FounderKey())
		if err != nil || status != http.StatusNotFound {
			t.Fatalf("it did not forget: %d %s %v", status, body, err)
		}
		late := watch(t, open(t, brief(server.Address)))
		late.await("a", "b")
		v.await("a", "b")
	})
}

// token makes a token for a policy and gives its secret.
func token(t *testing.T, s *testconsul.Server, name, rules string) string {
	t.Helper()
	policy, err := json.Marshal(map[string]string{"Name": name, "Rules": rules})
	if err != nil {
		t.Fatal(err)
	}
	if status, body, err := s.Put("/v1/acl/policy", policy); err != nil || status != http.StatusOK {
		t.Fatalf("make a policy: %d %s %v", status, body, err)
	}
	status, body, err := s.Put("/v1/acl/token", []byte(`{"Policies": [{"Name": "`+name+`"}]}`))
	var out struct{ SecretID string }
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &out) != nil || out.SecretID == "" {
		t.Fatalf("make a token: %d %s %v", status, body, err)
	}
	return out.SecretID
}

// policy is what docs/how-to/cluster.md tells to grant.
const policy = `
service_prefix "footfall" { policy = "write" }
node_prefix "" { policy = "read" }
key_prefix "footfall/" { policy = "write" }
`

func TestRealConsulThatDeniesByDefault(t *testing.T) {
	server := testconsul.Start(t, testconsul.Options{Token: "11111111-2222-3333-4444-555555555555"})
	good, poor := brief(server.Address), brief(server.Address)
	good.Token = token(t, server, "footfall", policy)
	a := open(t, good)
	v := watch(t, a)
	register(t, a, member("a", 1))
	v.await("a")
	if may, err := a.MayFound(t.Context(), "127.0.0.1:7001", 1); err != nil || !may {
		t.Errorf("found: %v %v", may, err)
	}

	// With the wrong token nothing is seen, the operator is told why, and a
	// registration does not come through. (Consul tells strangers without any
	// token nothing at all.)
	poor.Token = token(t, server, "other", `service_prefix "other" { policy = "write" }`)
	var log syncBuffer
	stranger, err := NewConsul(poor, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	register(t, stranger, member("b", 2))
	watch(t, stranger).await()
	eventually(t, "both warnings", func() bool {
		text := log.String()
		return strings.Contains(text, "does not take the registration") && strings.Contains(text, "hides members from this token")
	})
	if may, err := stranger.MayFound(t.Context(), "127.0.0.1:7002", 2); err == nil || may {
		t.Errorf("a stranger may found: %v %v", may, err)
	}
	_ = stranger.Close(t.Context()) // it is not allowed to deregister either
	if got := v.await("a"); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// certificates writes a CA and a pair for loopback, for servers and clients.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sign := func(template, parent *x509.Certificate, public any, signer *ecdsa.PrivateKey) []byte {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootKey, leafKey := newKey(), newKey()
	ca = write("ca.pem", "CERTIFICATE", sign(root, root, &rootKey.PublicKey, rootKey))
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server.dc1.consul"},
		DNSNames: []string{"localhost", "server.dc1.consul"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	cert = write("leaf.pem", "CERTIFICATE", sign(leaf, root, &leafKey.PublicKey, rootKey))
	der, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return ca, cert, write("key.pem", "EC PRIVATE KEY", der)
}

func TestRealConsulWithTLS(t *testing.T) {
	ca, cert, key := certificates(t)
	server := testconsul.Start(t, testconsul.Options{CA: ca, Cert: cert, Key: key})
	o := brief(server.Address)
	o.CA, o.Cert, o.Key = ca, cert, key
	a := open(t, o)
	v := watch(t, a)
	register(t, a, member("a", 1))
	v.await("a")

	otherCA, otherCert, otherKey := certificates(t)
	for what, bad := range map[string]ConsulOptions{
		"a server of another CA": {CA: otherCA, Cert: cert, Key: key},
		"a client of another CA": {CA: ca, Cert: otherCert, Key: otherKey},
		"no certificate":         {CA: ca},
	} {
		bad.Address = server.Address
		if may, err := open(t, bad).MayFound(t.Context(), "127.0.0.1:7001", 1); err == nil || may {
			t.Errorf("%s: got %v %v", what, may, err)
		}
	}
}
