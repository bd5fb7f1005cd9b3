package cmd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/durable"
	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Names of the files that fog cert writes.
const (
	certFile = "cert.pem"
	keyFile  = "key.pem"
)

func newCertCmd(a *app) *cobra.Command {
	var out, identity, node, nonce, csr string
	var keep bool
	var hosts []string
	server := &cobra.Command{
		Use: "server", Short: "Get a certificate of 72 hours for a server, with a new key", Args: cobra.NoArgs,
		Long: `Get a certificate of 72 hours for a server, with a new key: an oracle, a gateway, a proxy before one, or Nomad. The authority is that of the
secrets: a local one, or Vault's. With --keep the command goes on until it is interrupted, and replaces cert.pem at two thirds of its life; the
key stays.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.serverCert(cmd.Context(), identity, hosts, out, keep)
		},
	}
	server.Flags().BoolVar(&keep, "keep", false, "go on, and replace the certificate before it ends")
	server.Flags().StringVar(&identity, "identity", "", "URI of the server, such as fog://oracle/main; with Vault that of vault.json's role and name")
	server.Flags().StringSliceVar(&hosts, "host", nil, "DNS names and IP addresses")
	request := &cobra.Command{
		Use: "request", Short: "Make an agent's request: proof of the key on chain over a nonce", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.requestCert(cmd.Context(), nonce, out) },
	}
	enrol := &cobra.Command{
		Use: "enrol", Short: "Give a node's agent a certificate of 24 hours, if its request proves the key on chain", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.enrolAgent(cmd.Context(), node, csr, nonce, out) },
	}
	enrol.Flags().StringVar(&node, "node", "", "id of the node (node1…)")
	enrol.Flags().StringVar(&csr, "csr", "", "file with the request, as fog cert request makes it")
	for _, c := range []*cobra.Command{request, enrol} {
		c.Flags().StringVar(&nonce, "nonce", "", "at least 16 bytes in hex, chosen by whoever enrols, for one request")
	}
	var t trustFlags
	trust := &cobra.Command{
		Use: "trust", Short: "Write the authority (ca.pem) and the list of revoked certificates (crl.pem)", Args: cobra.NoArgs,
		Long: `Write the authority (ca.pem) and the list of revoked certificates (crl.pem). With --keep the command goes on until it is interrupted: it looks every 20
seconds, writes both anew when a certificate was revoked, and every hour, and then runs what --run says, such as "nginx -s reload".`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t.out = out
			if t.keep {
				return a.keepTrust(cmd.Context(), t)
			}
			if t.run != "" {
				return usagef("--run goes with --keep")
			}
			return a.writeTrust(cmd.Context(), t)
		},
	}
	trust.Flags().BoolVar(&t.keep, "keep", false, "go on, and write the files anew when they change")
	trust.Flags().StringVar(&t.from, "from", "", "URL of a gateway to ask, on a machine without the secrets of the authority; a ca.pem that is there already must be the same")
	trust.Flags().StringVar(&t.run, "run", "", "program with arguments to run after that, without a shell")
	for _, c := range []*cobra.Command{server, request, enrol, trust} {
		c.Flags().StringVar(&out, "out", ".", "folder for the files")
	}
	revoke := &cobra.Command{
		Use: "revoke SERIAL", Short: "Revoke a certificate by its serial number in hex", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.revokeCert(cmd.Context(), args[0]) },
	}
	return group("cert", "Issue and revoke certificates of agents and servers", server, request, enrol, trust, revoke)
}

// issuer is the certificate authority of the secrets.
func (a *app) issuer() (secrets.Issuer, error) {
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	issuer, ok := store.(secrets.Issuer)
	if !ok {
		return nil, errors.New("these secrets have no certificate authority")
	}
	return issuer, nil
}

func (a *app) serverCert(ctx context.Context, identity string, hosts []string, out string, keep bool) error {
	if identity == "" || len(hosts) == 0 {
		return usagef("for which server? give --identity fog://ROLE/NAME and --host")
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	r := secrets.CertificateRequest{Kind: secrets.ServerCertificate, CSR: csr, Identity: identity, Hosts: hosts}
	text := pemBlock("PRIVATE KEY", der)
	if !keep {
		return a.issueCert(ctx, r, out, text)
	}
	authority, err := a.issuer()
	if err != nil {
		return err
	}
	return secrets.KeepCertificate(ctx, authority, r, a.log, func(chain []*x509.Certificate) error {
		if err := writePair(out, text, chain); err != nil {
			return err
		}
		text = nil // the key stays
		return nil
	})
}

// writePair writes a certificate, those above it, and its key if there is a new one: not before the certificate is there, since a server may read both at any time.
func writePair(out string, key []byte, chain []*x509.Certificate) error {
	if key != nil {
		if err := replaceFile(filepath.Join(out, keyFile), key, 0o600); err != nil {
			return err
		}
	}
	return replaceFile(filepath.Join(out, certFile), mtls.PEM(chain), 0o644)
}

// replaceFile writes it as a whole, into a folder that is made if there is none.
func replaceFile(path string, text []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return durable.Replace(path, text, mode)
}

// issued is a certificate as it is shown.
type issued struct {
	Identity string `json:"identity"`
	Serial   string `json:"serial"`
	Until    string `json:"until"`
	File     string `json:"file"`
}

// issueCert writes the certificate, those above it, and the key if it was made here.
func (a *app) issueCert(ctx context.Context, r secrets.CertificateRequest, out string, key []byte) error {
	authority, err := a.issuer()
	if err != nil {
		return err
	}
	chain, err := authority.Issue(ctx, r)
	if err != nil {
		return err
	}
	v := issued{r.Identity, chain[0].SerialNumber.Text(16), chain[0].NotAfter.UTC().Format(time.RFC3339), filepath.Join(out, certFile)}
	if err := writePair(out, key, chain); err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) error {
		return fields(w, "identity", v.Identity, "serial", v.Serial, "until", v.Until, "file", v.File)
	})
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func parseNonce(text string) ([]byte, error) {
	nonce, err := hex.DecodeString(text)
	if err != nil || len(nonce) < secrets.NonceSize {
		return nil, usagef("--nonce is %q; give at least %d bytes in hex", text, secrets.NonceSize)
	}
	return nonce, nil
}

func (a *app) requestCert(ctx context.Context, text, out string) error {
	nonce, err := parseNonce(text)
	if err != nil {
		return err
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	key, err := store.TransportKey(ctx, transportAgent)
	if err != nil {
		return hint(err, "the agent's key is made by `fog node register`")
	}
	der, err := secrets.NewEnrolment(key, nonce)
	if err != nil {
		return err
	}
	v := struct {
		File string `json:"file"`
	}{filepath.Join(out, "request.pem")}
	if err := replaceFile(v.File, pemBlock("CERTIFICATE REQUEST", der), 0o644); err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) error { return fields(w, "file", v.File) })
}

func (a *app) enrolAgent(ctx context.Context, node, csr, text, out string) error {
	if _, err := nodestypes.ParseNodeID(node); err != nil {
		return usagef("--node %q is not the id of a node (node1…): %w", node, err)
	}
	nonce, err := parseNonce(text)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(csr)
	if err != nil {
		return usagef("--csr: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return usagef("--csr %s holds no request; make it with `fog cert request`", csr)
	}
	c, err := a.chain(ctx)
	if err != nil {
		return err
	}
	resp, err := nodestypes.NewQueryClient(c.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: node})
	if err != nil {
		return err
	}
	if err := gateway.MayEnrol(resp.Node); err != nil {
		return err
	}
	if err := secrets.CheckEnrolment(block.Bytes, nonce, resp.Node.AgentKey); err != nil {
		return err
	}
	r := secrets.CertificateRequest{Kind: secrets.AgentCertificate, CSR: block.Bytes, Identity: secrets.NodeIdentity(node)}
	return a.issueCert(ctx, r, out, nil)
}

func (a *app) writeTrust(ctx context.Context, f trustFlags) error {
	authority, err := f.source(a)
	if err != nil {
		return err
	}
	trust, err := authority.Trust(ctx)
	if err != nil {
		return err
	}
	if err := writeTrustFiles(f.out, trust); err != nil {
		return err
	}
	v := struct {
		Revoked int    `json:"revoked"`
		Until   string `json:"until"`
	}{len(trust.Revoked.RevokedCertificateEntries), trust.Revoked.NextUpdate.UTC().Format(time.RFC3339)}
	return a.print(v, func(w io.Writer) error { return fields(w, "revoked", fmt.Sprint(v.Revoked), "until", v.Until) })
}

func (a *app) revokeCert(ctx context.Context, text string) error {
	serial, ok := new(big.Int).SetString(text, 16)
	if !ok || serial.Sign() <= 0 {
		return usagef("%q is no serial number in hex; fog cert shows it when it issues", text)
	}
	authority, err := a.issuer()
	if err != nil {
		return err
	}
	if err := authority.Revoke(ctx, serial); err != nil {
		return err
	}
	return a.print(map[string]string{"revoked": text}, func(w io.Writer) error { return fields(w, "revoked", text) })
}
