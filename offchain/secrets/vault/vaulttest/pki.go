package vaulttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

type authority struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	issued  map[string]bool
	revoked []x509.RevocationListEntry
	// listed is the list as it was last signed: like the engine, this one does not sign it anew when it runs out.
	listed []byte
}

func (s *Server) pkiCall(r *request, at, rest string) (map[string]any, error) {
	ca := s.pki[at]
	switch {
	case rest == "root/generate/internal":
		made, err := newAuthority()
		s.pki[at] = made
		return map[string]any{"data": map[string]any{}}, err
	case strings.HasPrefix(rest, "config/"), strings.HasPrefix(rest, "roles/"):
		return s.object(r)
	case ca == nil:
		return nil, errNotFound
	case rest == "cert/ca":
		return map[string]any{"data": map[string]any{"certificate": pemText("CERTIFICATE", ca.cert.Raw)}}, nil
	case rest == "cert/crl":
		if ca.listed == nil {
			if err := ca.rotate(s.objects[at+"/config/crl"]); err != nil {
				return nil, err
			}
		}
		return map[string]any{"data": map[string]any{"certificate": pemText("X509 CRL", ca.listed)}}, nil
	case rest == "crl/rotate" && r.method == http.MethodGet:
		return map[string]any{"data": map[string]any{"success": true}}, ca.rotate(s.objects[at+"/config/crl"])
	case rest == "revoke":
		answer, err := ca.revoke(r)
		return answer, errors.Join(err, ca.rotate(s.objects[at+"/config/crl"]))
	case strings.HasPrefix(rest, "sign/"):
		role := s.objects[at+"/roles/"+strings.TrimPrefix(rest, "sign/")]
		if role == nil {
			return nil, fail(http.StatusBadRequest, "unknown role")
		}
		return ca.sign(r, role)
	}
	return nil, fail(http.StatusNotFound, "unsupported path")
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stand-in"}, NotBefore: time.Now().Add(-time.Minute),
		NotAfter: time.Now().AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert: cert, key: key, issued: map[string]bool{}}, err
}

// rotate signs the list.
func (ca *authority) rotate(config map[string]any) (err error) {
	ca.listed, err = x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Duration(seconds(config["expiry"])) * time.Second),
		RevokedCertificateEntries: ca.revoked,
	}, ca.cert, ca.key)
	return err
}

func (ca *authority) revoke(r *request) (map[string]any, error) {
	text, _ := r.data["serial_number"].(string)
	serial, ok := new(big.Int).SetString(strings.ReplaceAll(text, ":", ""), 16)
	if !ok || !ca.issued[serial.String()] {
		return nil, fail(http.StatusBadRequest, "certificate with serial %s not found", text)
	}
	ca.revoked = append(ca.revoked, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: time.Now()})
	return map[string]any{"data": map[string]any{"revocation_time": time.Now().Unix()}}, nil
}

// sign obeys the fields of a role that deploy/vault sets.
func (ca *authority) sign(r *request, role map[string]any) (map[string]any, error) {
	text, _ := r.data["csr"].(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fail(http.StatusBadRequest, "no CSR")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "%v", err)
	}
	life := min(seconds(r.data["ttl"]), seconds(role["max_ttl"]))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serialBytes()), NotBefore: time.Now().Add(-time.Minute),
		NotAfter: time.Now().Add(time.Duration(life) * time.Second), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if role["client_flag"] == true {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	if role["server_flag"] == true {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, uri := range split(r.data["uri_sans"]) {
		if !anyMatches(texts(role["allowed_uri_sans"]), uri) {
			return nil, fail(http.StatusBadRequest, "URI Subject Alternative Names %s not allowed by this role", uri)
		}
		u, err := url.Parse(uri)
		if err != nil {
			return nil, err
		}
		template.URIs = append(template.URIs, u)
	}
	names, addresses := split(r.data["alt_names"]), split(r.data["ip_sans"])
	if len(names) > 0 && role["allow_any_name"] != true || len(addresses) > 0 && role["allow_ip_sans"] != true {
		return nil, fail(http.StatusBadRequest, "subject alternate names not allowed by this role")
	}
	template.DNSNames = names
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	subject := csr.Subject.SerialNumber
	if given, _ := r.data["serial_number"].(string); given != "" {
		subject = given
	}
	if subject != "" && !anyMatches(texts(role["allowed_serial_numbers"]), subject) {
		return nil, fail(http.StatusBadRequest, "serial_number %s not allowed by this role", subject)
	}
	template.Subject.SerialNumber = subject
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, csr.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	ca.issued[template.SerialNumber.String()] = true
	return map[string]any{"data": map[string]any{
		"certificate": pemText("CERTIFICATE", der), "issuing_ca": pemText("CERTIFICATE", ca.cert.Raw),
		"serial_number": fmt.Sprintf("%x", template.SerialNumber),
	}}, nil
}

func serialBytes() []byte {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		panic(err) // crypto/rand does not fail
	}
	raw[0] |= 1
	return raw
}

func split(v any) []string {
	text, _ := v.(string)
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func anyMatches(patterns []string, text string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, text); err == nil && ok {
			return true
		}
	}
	return false
}
