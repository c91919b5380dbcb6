package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkEvery is how often, at most, the files are looked at for a change.
const checkEvery = time.Second

// Options of Load. The zero value is fine.
type Options struct {
	Clock  func() time.Time // default time.Now
	Logger *slog.Logger     // default: discard
}

// Files is a node's certificate, its key and the authorities it trusts, as the
// files hold them now. It is safe for concurrent use.
type Files struct {
	paths  [3]string // authorities, certificate, key
	clock  func() time.Time
	logger *slog.Logger

	mu     sync.Mutex
	looked time.Time
	marks  [3]mark // of the files as last read, good or not
	now    *material
}

// material is one reading of the files; it is never changed.
type material struct {
	pool *x509.CertPool
	pair tls.Certificate
}

// mark tells one state of a file from another.
type mark struct {
	size     int64
	modified time.Time
	file     fs.FileInfo
}

func (m mark) same(o mark) bool {
	return m.size == o.size && m.modified.Equal(o.modified) && os.SameFile(m.file, o.file)
}

// Load reads the authorities (one or more, in PEM form), the node's certificate
// (with what is between it and the authority, if anything) and its key. It
// refuses a certificate that the authorities do not vouch for, that is out of
// its time, or that does not carry NodeName.
//
// The files are read again when a handshake finds them changed, looked at no
// more than once a second. What cannot be used then is logged once, and what
// was good before stays in use.
func Load(ca, cert, key string, opts Options) (*Files, error) {
	f := &Files{paths: [3]string{ca, cert, key}, clock: opts.Clock, logger: opts.Logger}
	if f.clock == nil {
		f.clock = time.Now
	}
	if f.logger == nil {
		f.logger = slog.New(slog.DiscardHandler)
	}
	f.looked = f.clock()
	marks, err := f.look()
	if err != nil {
		return nil, err
	}
	now, err := f.read()
	if err != nil {
		return nil, err
	}
	f.marks, f.now = marks, now
	return f, nil
}

// Config gives the settings for both ends of a connection between nodes: TLS
// 1.3, both sides with a certificate of the authorities that carries NodeName.
// It follows changes of the files. The caller may clone it, not change it.
func (f *Files) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: NodeName,
		ClientAuth: tls.RequireAnyClientCert,
		// Both checks that the library would make hold the authorities of the
		// moment at which a Config was built. VerifyConnection makes the same
		// ones, on both sides and for resumed connections too, with the
		// authorities that the files hold now.
		InsecureSkipVerify: true,
		VerifyConnection:   f.verify,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &f.current().pair, nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &f.current().pair, nil
		},
		Time: f.clock,
	}
}

// Expires tells when this node's own certificate ends.
func (f *Files) Expires() time.Time {
	return f.current().pair.Leaf.NotAfter
}

func (f *Files) verify(state tls.ConnectionState) error {
	return vouched(f.current().pool, state.PeerCertificates, f.clock())
}

// vouched tells whether a chain is a node's.
func vouched(pool *x509.CertPool, chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("the other side gave no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	// Each node is server and client; a certificate must be good for both.
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := chain[0].Verify(x509.VerifyOptions{
			DNSName: NodeName, Roots: pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// current gives the newest good reading of the files.
func (f *Files) current() *material {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.clock()
	if since := now.Sub(f.looked); since >= 0 && since < checkEvery {
		return f.now
	}
	f.looked = now
	marks, err := f.look()
	if err == nil {
		if marks[0].same(f.marks[0]) && marks[1].same(f.marks[1]) && marks[2].same(f.marks[2]) {
			return f.now
		}
		// Taken as read whether good or not: the next change is tried again. A
		// certificate and its key are two files, so between two writes they may
		// not fit; the second write is the next change.
		f.marks = marks
		var next *material
		if next, err = f.read(); err == nil {
			f.now = next
			f.logger.Info("certificates of the cluster read again", "expires", next.pair.Leaf.NotAfter)
			return f.now
		}
	} else if f.marks == ([3]mark{}) {
		return f.now // told already
	} else {
		f.marks = [3]mark{}
	}
	f.logger.Error("certificates of the cluster changed but cannot be used, the old ones stay", "error", err)
	return f.now
}

func (f *Files) look() (marks [3]mark, err error) {
	for i, path := range f.paths {
		info, err := os.Stat(path)
		if err != nil {
			return marks, err
		}
		marks[i] = mark{info.Size(), info.ModTime(), info}
	}
	return marks, nil
}

func (f *Files) read() (*material, error) {
	m := &material{}
	authorities, err := readCertificates(f.paths[0])
	if err != nil {
		return nil, err
	}
	m.pool = x509.NewCertPool()
	for _, c := range authorities {
		if !c.IsCA {
			return nil, fmt.Errorf("%s: %q is not the certificate of an authority", f.paths[0], c.Subject.CommonName)
		}
		m.pool.AddCert(c)
	}
	cert, err := readFile(f.paths[1])
	if err != nil {
		return nil, err
	}
	key, err := readFile(f.paths[2])
	if err != nil {
		return nil, err
	}
	if m.pair, err = tls.X509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("%s and %s: %w", f.paths[1], f.paths[2], err)
	}
	chain := make([]*x509.Certificate, len(m.pair.Certificate))
	for i, der := range m.pair.Certificate {
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("%s: %w", f.paths[1], err)
		}
	}
	m.pair.Leaf = chain[0]
	if err = vouched(m.pool, chain, f.clock()); err != nil {
		return nil, fmt.Errorf("%s is not a node's certificate of %s: %w", f.paths[1], f.paths[0], err)
	}
	return m, nil
}
