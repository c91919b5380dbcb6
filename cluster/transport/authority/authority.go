// Package authority makes and reads the certificates by which the nodes of a
// cluster know one another: an authority of the cluster's own, one certificate
// for each node, and the TLS settings that accept nothing else.
//
// It must never write over a key, never leave a private key readable by other
// users, and never trust the system's authorities: only what the given files
// name. It opens no connection.
//
// Start at InitCA and Issue for making, at Load for using.
package authority

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// NodeName is the DNS name that every node's certificate must carry. A
// certificate of the right authority without it is not a node's.
const NodeName = "footfall-node"

// Names of the files of the authority in its directory.
const (
	CAFile    = "ca.pem"
	CAKeyFile = "ca.key"
)

const (
	caYears   = 10
	nodeYears = 1
	// Clocks of nodes differ; a certificate is valid from a little before it
	// was made.
	skew = time.Hour
	// fileBytesMax bounds what is read of a file named by the user.
	fileBytesMax = 1 << 20
)

// Maker makes certificates. The zero value uses the system's randomness and
// clock.
type Maker struct {
	Random io.Reader
	Clock  func() time.Time
}

func (m Maker) withDefaults() Maker {
	if m.Random == nil {
		m.Random = rand.Reader
	}
	if m.Clock == nil {
		m.Clock = time.Now
	}
	return m
}

// InitCA writes a new authority into dir, made if it is not there: ca.pem for
// every node, ca.key (mode 0600) for whoever issues certificates, which is no
// node. It lasts ten years. It fails, changing nothing, if one of the files is
// there already.
func (m Maker) InitCA(dir string) error {
	m = m.withDefaults()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of the authority: %w", err)
	}
	public, private, err := ed25519.GenerateKey(m.Random)
	if err != nil {
		return fmt.Errorf("making the authority's key: %w", err)
	}
	template, err := m.template("Footfall cluster authority", caYears)
	if err != nil {
		return err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.MaxPathLenZero = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(m.Random, template, template, public, private)
	if err != nil {
		return fmt.Errorf("signing the authority's certificate: %w", err)
	}
	return writePair(filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile), der, private)
}

// Issue writes NAME.pem and NAME.key (mode 0600) into dir, signed by the
// authority there, for a node to be reached at the hosts given (DNS names or
// addresses; they inform, since nodes know one another by NodeName). It lasts a
// year. name is of lower-case letters, digits, dots and hyphens. It fails,
// changing nothing, if one of the files is there already: to renew, issue under
// another name or into another place and move the files over the old ones, the
// key first; running nodes notice.
func (m Maker) Issue(dir, name string, hosts ...string) error {
	m = m.withDefaults()
	if err := checkName(name); err != nil {
		return err
	}
	ca, caKey, err := readCA(dir)
	if err != nil {
		return err
	}
	now := m.Clock()
	if now.After(ca.NotAfter) {
		return fmt.Errorf("%s: the authority ended on %s; make a new one", filepath.Join(dir, CAFile), ca.NotAfter.Format(time.DateOnly))
	}
	public, private, err := ed25519.GenerateKey(m.Random)
	if err != nil {
		return fmt.Errorf("making the key of %s: %w", name, err)
	}
	template, err := m.template(name, nodeYears)
	if err != nil {
		return err
	}
	if template.NotAfter.After(ca.NotAfter) {
		template.NotAfter = ca.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames = []string{NodeName}
	for _, host := range hosts {
		switch ip := net.ParseIP(host); {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case host == "" || strings.ContainsAny(host, " :/\\"):
			return fmt.Errorf("host %q: give a name or an address without a port", host)
		case host != NodeName:
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(m.Random, template, ca, public, caKey)
	if err != nil {
		return fmt.Errorf("signing the certificate of %s: %w", name, err)
	}
	return writePair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), der, private)
}

func (m Maker) template(name string, years int) (*x509.Certificate, error) {
	serial := make([]byte, 16)
	if _, err := io.ReadFull(m.Random, serial); err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	serial[0] = serial[0]&0x7F | 0x40 // positive, and always of the same length
	now := m.Clock()
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Footfall"}},
		NotBefore:    now.Add(-skew),
		NotAfter:     now.AddDate(years, 0, 0),
	}, nil
}

func checkName(name string) error {
	if name == "" || len(name) > 63 {
		return fmt.Errorf("name %q: give 1 to 63 characters", name)
	}
	for _, r := range name {
		if r != '-' && r != '.' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return fmt.Errorf("name %q: use lower-case letters, digits, dots and hyphens", name)
		}
	}
	if name[0] == '.' || name == "ca" {
		return fmt.Errorf("name %q: not for a node", name)
	}
	return nil
}

func readCA(dir string) (*x509.Certificate, crypto.Signer, error) {
	certPath, keyPath := filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile)
	certs, err := readCertificates(certPath)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%s: there is no authority here; make it with `footfall cluster init-ca`: %w", dir, err)
		}
		return nil, nil, err
	}
	ca := certs[0]
	if !ca.IsCA {
		return nil, nil, fmt.Errorf("%s: not the certificate of an authority", certPath)
	}
	raw, err := readFile(keyPath)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, nil, fmt.Errorf("%s: no PKCS #8 private key in PEM form", keyPath)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keyPath, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%s: a key of type %T cannot sign", keyPath, key)
	}
	if public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(ca.PublicKey) {
		return nil, nil, fmt.Errorf("%s is not the key of %s", keyPath, certPath)
	}
	return ca, signer, nil
}

// readFile reads a file of at most fileBytesMax.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the path
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(b) > fileBytesMax {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, fileBytesMax)
	}
	return b, nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	rest, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no certificate in PEM form", path)
	}
	return out, nil
}

// writePair writes a certificate and its key, neither over an existing file.
func writePair(certPath, keyPath string, der []byte, key crypto.Signer) error {
	for _, path := range []string{certPath, keyPath} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s: is there already; nothing was changed", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", keyPath, err)
	}
	if err := writeNew(keyPath, 0o600, "PRIVATE KEY", pkcs8); err != nil {
		return err
	}
	if err := writeNew(certPath, 0o644, "CERTIFICATE", der); err != nil {
		return errors.Join(err, os.Remove(keyPath))
	}
	return nil
}

func writeNew(path string, mode fs.FileMode, kind string, der []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(path))
	}
	return nil
}
