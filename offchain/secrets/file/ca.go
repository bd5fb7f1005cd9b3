package file

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/durable"
	"github.com/foggrid/fogd/offchain/secrets"
)

const (
	rootName   = "root"
	revokedDir = "revoked"
	rootLife   = 10 * 365 * 24 * time.Hour
	crlLife    = 24 * time.Hour
	// clockSkew is how far behind the clock of a verifier may be.
	clockSkew = 5 * time.Minute
)

// authority is the local certificate authority.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// authority reads ca/root.age, makes it if there is none, and holds it in memory.
func (s *Store) authority() (*authority, error) {
	s.caMu.Lock()
	defer s.caMu.Unlock()
	if s.ca != nil {
		return s.ca, nil
	}
	raw, err := s.read(caDir, rootName)
	if errors.Is(err, secrets.ErrNotFound) {
		if raw, err = newRoot(); err != nil {
			return nil, err
		}
		err = s.write(caDir, rootName, raw, os.Link)
		if errors.Is(err, secrets.ErrExists) { // another process was faster
			raw, err = s.read(caDir, rootName)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("local authority: %w", err)
	}
	a, err := parseRoot(raw)
	if err != nil {
		return nil, fmt.Errorf("local authority: %w; restore ca/root.age from a backup", err)
	}
	s.ca = a
	return a, nil
}

func newRoot() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "fog local authority"}, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	return append(raw, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...), nil
}

func parseRoot(raw []byte) (*authority, error) {
	cert, rest := pem.Decode(raw)
	key, _ := pem.Decode(rest)
	if cert == nil || key == nil {
		return nil, errors.New("no certificate and key in it")
	}
	var a authority
	var err error
	if a.cert, err = x509.ParseCertificate(cert.Bytes); err != nil {
		return nil, err
	}
	a.key, err = x509.ParseECPrivateKey(key.Bytes)
	return &a, err
}

// Issue signs with the local authority.
func (s *Store) Issue(_ context.Context, r secrets.CertificateRequest) ([]*x509.Certificate, error) {
	csr, err := r.Check()
	if err != nil {
		return nil, err
	}
	a, err := s.authority()
	if err != nil {
		return nil, err
	}
	identity, err := url.Parse(r.Identity)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(r.Kind.Life()), URIs: []*url.URL{identity},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if r.Kind == secrets.ServerCertificate {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range r.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, csr.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", r.Identity, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return []*x509.Certificate{leaf, a.cert}, nil
}

// Revoke makes ca/revoked/SERIAL.
func (s *Store) Revoke(_ context.Context, serial *big.Int) error {
	if serial == nil || serial.Sign() <= 0 {
		return fmt.Errorf("revoke: %w: no serial number", secrets.ErrRequest)
	}
	dir := filepath.Join(s.dir, caDir, revokedDir)
	f, err := os.OpenFile(filepath.Join(dir, serial.Text(16)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // a number in hex
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), durable.SyncDir(dir))
	}
	if err != nil {
		return fmt.Errorf("revoke %s: %w", serial.Text(16), err)
	}
	return nil
}

// Trust signs the list of what was revoked in the last days: what was revoked before has run out.
func (s *Store) Trust(context.Context) (secrets.Trust, error) {
	a, err := s.authority()
	if err != nil {
		return secrets.Trust{}, err
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, caDir, revokedDir))
	if err != nil {
		return secrets.Trust{}, fmt.Errorf("revoked certificates: %w", err)
	}
	now := time.Now()
	list := &x509.RevocationList{Number: big.NewInt(now.Unix()), ThisUpdate: now.Add(-clockSkew), NextUpdate: now.Add(crlLife)}
	for _, e := range entries {
		serial, ok := new(big.Int).SetString(e.Name(), 16)
		if !ok {
			return secrets.Trust{}, fmt.Errorf("revoked certificates: %q is no serial number; remove the file", e.Name())
		}
		info, err := e.Info()
		if err != nil {
			return secrets.Trust{}, fmt.Errorf("revoked certificates: %w", err)
		}
		if now.Sub(info.ModTime()) > secrets.ServerCertificate.Life()+clockSkew {
			continue
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: info.ModTime()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		return secrets.Trust{}, fmt.Errorf("sign the revocation list: %w", err)
	}
	revoked, err := x509.ParseRevocationList(der)
	return secrets.Trust{Roots: []*x509.Certificate{a.cert}, Revoked: revoked}, err
}
