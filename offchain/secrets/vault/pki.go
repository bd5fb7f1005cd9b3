package vault

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/foggrid/fogd/offchain/secrets"
)

// agentRole is the role of the PKI engine for agents; a server's is named after it.
const agentRole = "agent"

// Issue has the PKI engine sign. The key stays where it is.
func (s *Store) Issue(ctx context.Context, r secrets.CertificateRequest) ([]*x509.Certificate, error) {
	csr, err := r.Check()
	if err != nil {
		return nil, err
	}
	role, subject := agentRole, agentRole
	if r.Kind == secrets.ServerCertificate {
		role, subject = s.cfg.Role+"."+s.cfg.Name, ""
	}
	data := map[string]any{
		"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr.Raw})), "uri_sans": r.Identity,
		"ttl": fmt.Sprintf("%ds", int(r.Kind.Life().Seconds())), "exclude_cn_from_sans": true,
	}
	if subject != "" { // else it would be the nonce that an enrolment's CSR has there, which no role allows
		data["serial_number"] = subject
	}
	var names, addresses []string
	for _, host := range r.Hosts {
		if net.ParseIP(host) != nil {
			addresses = append(addresses, host)
		} else {
			names = append(names, host)
		}
	}
	data["alt_names"], data["ip_sans"] = strings.Join(names, ","), strings.Join(addresses, ",")
	var chain []*x509.Certificate
	err = s.do(ctx, "issue a certificate for "+r.Identity, func(ctx context.Context, current *session) error {
		secret, err := current.client.Logical().WriteWithContext(ctx, s.cfg.Mounts.PKI+"/sign/"+role, data)
		if err != nil {
			return err
		}
		if secret == nil {
			return errors.New("no certificate in the answer")
		}
		chain, err = parseIssued(secret.Data)
		return err
	})
	return chain, err
}

// parseIssued reads the leaf and what is above it.
func parseIssued(data map[string]any) ([]*x509.Certificate, error) {
	leaf, _ := data["certificate"].(string)
	chain, err := parsePEM(leaf)
	if err != nil {
		return nil, err
	}
	above, _ := data["ca_chain"].([]any)
	if len(above) == 0 {
		above = []any{data["issuing_ca"]}
	}
	for _, text := range above {
		text, _ := text.(string)
		certs, err := parsePEM(text)
		if err != nil {
			return nil, err
		}
		chain = append(chain, certs...)
	}
	return chain, nil
}

func parsePEM(text string) (certs []*x509.Certificate, err error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in the answer")
	}
	return certs, nil
}

// Revoke puts a certificate on the engine's list.
func (s *Store) Revoke(ctx context.Context, serial *big.Int) error {
	if serial == nil || serial.Sign() <= 0 {
		return fmt.Errorf("revoke: %w: no serial number", secrets.ErrRequest)
	}
	return s.do(ctx, "revoke certificate "+serial.Text(16), func(ctx context.Context, current *session) error {
		_, err := current.client.Logical().WriteWithContext(ctx, s.cfg.Mounts.PKI+"/revoke", map[string]any{"serial_number": colons(serial)})
		return err
	})
}

// colons writes a serial number as the engine does, in pairs of hex digits.
func colons(serial *big.Int) string {
	var pairs []string
	for _, b := range serial.Bytes() {
		pairs = append(pairs, fmt.Sprintf("%02x", b))
	}
	return strings.Join(pairs, ":")
}

// Trust reads the authority and its list, neither of which is secret. The engine signs the list when something is revoked and not by itself, so one
// whose life is half over is signed anew.
func (s *Store) Trust(ctx context.Context) (trust secrets.Trust, err error) {
	if trust, err = s.readTrust(ctx); err != nil {
		return trust, err
	}
	list := trust.Revoked
	if time.Now().Before(list.ThisUpdate.Add(list.NextUpdate.Sub(list.ThisUpdate) / 2)) {
		return trust, nil
	}
	err = s.do(ctx, "sign the list of revoked certificates", func(ctx context.Context, current *session) error {
		_, err := current.client.Logical().ReadWithContext(ctx, s.cfg.Mounts.PKI+"/crl/rotate")
		return err
	})
	switch {
	case err == nil:
		return s.readTrust(ctx)
	case time.Now().After(list.NextUpdate):
		return secrets.Trust{}, fmt.Errorf("the list of revoked certificates ran out %s, and a gateway that runs has it signed anew: %w", list.NextUpdate.UTC().Format(time.RFC3339), err)
	}
	s.cfg.Log.Debug("the list of revoked certificates is left to others", "error", err)
	return trust, nil
}

func (s *Store) readTrust(ctx context.Context) (trust secrets.Trust, err error) {
	err = s.do(ctx, "read the certificate authority", func(ctx context.Context, current *session) error {
		text, err := readCertificate(ctx, current.client, s.cfg.Mounts.PKI+"/cert/ca")
		if err != nil {
			return err
		}
		if trust.Roots, err = parsePEM(text); err != nil {
			return err
		}
		if text, err = readCertificate(ctx, current.client, s.cfg.Mounts.PKI+"/cert/crl"); err != nil {
			return err
		}
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return errors.New("no list of revoked certificates in the answer")
		}
		if trust.Revoked, err = x509.ParseRevocationList(block.Bytes); err != nil {
			return err
		}
		return trust.Revoked.CheckSignatureFrom(trust.Roots[0])
	})
	return trust, err
}

func readCertificate(ctx context.Context, client *api.Client, path string) (string, error) {
	secret, err := client.Logical().ReadWithContext(ctx, path)
	if err != nil {
		return "", err
	}
	if secret == nil {
		return "", secrets.ErrNotFound
	}
	text, _ := secret.Data["certificate"].(string)
	return text, nil
}
