package mtls

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
)

// PEM writes certificates one after the other.
func PEM(certs []*x509.Certificate) []byte {
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// ParsePEM reads certificates and refuses text without any.
func ParsePEM(text []byte) (certs []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return certs, nil
}

// Pool reads a file with the certificates of authorities.
func Pool(path string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := ParsePEM(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pool(certs), nil
}

// FromFiles is the configuration of a side that dials and shows a certificate from files, which are read for each connection, so that they may be
// replaced. Without a certificate none is shown; without an authority's file the system's are trusted.
func FromFiles(cert, key, ca string) (*tls.Config, error) {
	var roots *x509.CertPool
	var err error
	if ca != "" {
		if roots, err = Pool(ca); err != nil {
			return nil, err
		}
	}
	config := new(Holder).Client(roots)
	if cert == "" && key == "" {
		return config, nil
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(cert, key)
		return &c, err
	}
	return config, nil
}

// Files are a certificate and its key, which may be replaced while they are in use.
type Files struct {
	cert, key string

	mu   sync.Mutex
	held tls.Certificate
	text []byte
}

// OpenFiles reads them, which must be a pair.
func OpenFiles(cert, key string) (*Files, error) {
	f := &Files{cert: cert, key: key}
	return f, f.read()
}

func (f *Files) read() error {
	text, err := os.ReadFile(f.cert)
	if err != nil {
		return err
	}
	if bytes.Equal(text, f.text) {
		return nil
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(text, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", f.cert, f.key, err)
	}
	f.held, f.text = pair, text
	return nil
}

// Certificate is the pair as it is on disk; while that cannot be read, or is being replaced, the one that was there before.
func (f *Files) Certificate() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.read(); err != nil && f.text == nil {
		return nil, err
	}
	held := f.held
	return &held, nil
}

// Pair is a certificate, with those above it, and its key.
func Pair(chain []*x509.Certificate, key crypto.Signer) tls.Certificate {
	c := tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, above := range chain {
		c.Certificate = append(c.Certificate, above.Raw)
	}
	return c
}
