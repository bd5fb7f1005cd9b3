package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// Life is how long a token is good.
const Life = 5 * time.Minute

// backdate forgives registries whose clock is a little behind.
const backdate = 10 * time.Second

// Claims are what a token says.
type Claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Expires  int64    `json:"exp"`
	From     int64    `json:"nbf"`
	Issued   int64    `json:"iat"`
	ID       string   `json:"jti"`
	Access   []Access `json:"access"`
	// DigestOnly forbids to find content by tag; a registry that does not know it ignores it.
	DigestOnly bool `json:"fog_digest_only,omitempty"`
}

// ErrToken is wrapped by the errors of Verify.
var ErrToken = errors.New("the registry token is not good")

// Issuer signs tokens; it is safe for concurrent use.
type Issuer struct {
	name, service string
	certificate   *x509.Certificate
	signer        jose.Signer
	now           func() time.Time
}

const (
	keyFile  = "token-key.pem"
	certFile = "token-cert.pem"
)

// CertPath is the certificate of the key that OpenIssuer keeps in a folder; registries need it.
func CertPath(dir string) string { return filepath.Join(dir, certFile) }

// OpenIssuer signs with the key in a folder, which it makes if there is none, as the named issuer for a service.
func OpenIssuer(dir, name, service string, now func() time.Time) (*Issuer, error) {
	key, cert, err := loadKey(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createKey(dir, name, now()); err == nil {
			key, cert, err = loadKey(dir)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the key of registry tokens in %s: %w", dir, err)
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5c", []string{base64.StdEncoding.EncodeToString(cert.Raw)})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		return nil, err
	}
	return &Issuer{name: name, service: service, certificate: cert, signer: signer, now: now}, nil
}

// certificateLife is long because only the key counts; whoever wants a new key removes both files.
const certificateLife = 20 * 365 * 24 * time.Hour

func createKey(dir, name string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name + " registry tokens"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	rawCert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	// The key last: without it both are made again.
	if err := writePEM(CertPath(dir), "CERTIFICATE", rawCert, 0o644); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, keyFile), "PRIVATE KEY", rawKey, 0o600)
}

func writePEM(path, kind string, raw []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".pem-*")
	if err != nil {
		return err
	}
	err = errors.Join(pem.Encode(temp, &pem.Block{Type: kind, Bytes: raw}), temp.Chmod(mode), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

func loadKey(dir string) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	path := filepath.Join(dir, keyFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, nil, fmt.Errorf("%s has mode %04o, so others can use it; run: chmod 0600 %s", path, mode, path)
	}
	raw, err := readPEM(path)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return nil, nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, errors.New("it is no ECDSA key of curve P-256")
	}
	cert, err := LoadCertificate(CertPath(dir))
	if err != nil {
		return nil, nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, errors.New("key and certificate do not belong together; remove both, and give registries the new certificate")
	}
	return key, cert, nil
}

// LoadCertificate reads the first certificate of a PEM file.
func LoadCertificate(path string) (*x509.Certificate, error) {
	raw, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(raw)
}

func readPEM(path string) ([]byte, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the path that the operator chose
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", path)
	}
	return block.Bytes, nil
}

// Certificate is that of the issuer's key.
func (i *Issuer) Certificate() *x509.Certificate { return i.certificate }

// Issue signs what a subject may do until an end, at most Life from now.
func (i *Issuer) Issue(subject string, access []Access, digestOnly bool, end time.Time) (string, Claims, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return "", Claims{}, err
	}
	now := i.now()
	if latest := now.Add(Life); end.IsZero() || end.After(latest) {
		end = latest
	}
	if access == nil {
		access = []Access{}
	}
	c := Claims{
		Issuer: i.name, Subject: subject, Audience: i.service, Expires: end.Unix(), From: now.Add(-backdate).Unix(), Issued: now.Unix(),
		ID: hex.EncodeToString(id), Access: access, DigestOnly: digestOnly,
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", Claims{}, err
	}
	signed, err := i.signer.Sign(payload)
	if err != nil {
		return "", Claims{}, fmt.Errorf("sign a registry token: %w", err)
	}
	text, err := signed.CompactSerialize()
	return text, c, err
}

// Verifier checks tokens of one issuer for one service.
type Verifier struct {
	issuer, service string
	key             *ecdsa.PublicKey
	now             func() time.Time
}

// NewVerifier trusts the key of a certificate, and no other: what a token says of its key is not read.
func NewVerifier(cert *x509.Certificate, issuer, service string, now func() time.Time) (*Verifier, error) {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the certificate of registry tokens has no ECDSA key of curve P-256; take token-cert.pem of the gateway")
	}
	return &Verifier{issuer: issuer, service: service, key: key, now: now}, nil
}

// maxToken bounds what is parsed.
const maxToken = 32 << 10

// Verify returns what a token says, if it is the issuer's, for this service, and good now.
func (v *Verifier) Verify(text string) (Claims, error) {
	bad := func(format string, args ...any) (Claims, error) {
		return Claims{}, fmt.Errorf("%w: %s", ErrToken, fmt.Sprintf(format, args...))
	}
	if len(text) > maxToken {
		return bad("it has over %d bytes", maxToken)
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return bad("it is no signed token")
	}
	payload, err := signed.Verify(v.key)
	if err != nil {
		return bad("its signature is not the gateway's")
	}
	var c Claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return bad("its claims cannot be read")
	}
	now := v.now().Unix()
	switch {
	case c.Issuer != v.issuer:
		return bad("it is of another issuer")
	case c.Audience != v.service:
		return bad("it is for another service")
	case now >= c.Expires:
		return bad("it has expired")
	case now < c.From:
		return bad("it is not valid yet")
	}
	return c, nil
}
