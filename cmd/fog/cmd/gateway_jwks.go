package cmd

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/gateway/workload"
)

// jwksFlags say whose word a gateway takes for tasks on Nomad.
type jwksFlags struct{ access nomad.Access }

func (f *jwksFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&f.access.Addresses, "nomad-jwks", nil, "lend secrets to tasks in a Nomad region by its workload identities: REGION=URL of its servers, or of their keys; may be repeated")
	fl.StringSliceVar(&f.access.CAs, "nomad-jwks-ca", nil, "file with the CA of these servers, [REGION=]FILE (default: the system's)")
	fl.StringSliceVar(&f.access.Certs, "nomad-jwks-cert", nil, "file with a client certificate for them, [REGION=]FILE")
	fl.StringSliceVar(&f.access.Keys, "nomad-jwks-key", nil, "file with its key, [REGION=]FILE")
}

// verifier is nil if no region is named.
func (f jwksFlags) verifier(lends bool) (*workload.Verifier, error) {
	given, err := f.access.Regions(func(string) string { return "" })
	if err != nil {
		return nil, usagef("--nomad-jwks: %w", err)
	}
	if len(given) == 0 {
		return nil, nil
	}
	if !lends {
		return nil, usagef("--nomad-jwks goes with --job-secrets")
	}
	var regions []workload.Region
	for _, r := range given {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if r.CACert != "" {
			raw, err := os.ReadFile(r.CACert)
			if err != nil {
				return nil, usagef("--nomad-jwks-ca: %w", err)
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(raw) {
				return nil, usagef("--nomad-jwks-ca: %s holds no certificate in PEM", r.CACert)
			}
		}
		if r.ClientCert != "" {
			pair, err := tls.LoadX509KeyPair(r.ClientCert, r.ClientKey)
			if err != nil {
				return nil, usagef("--nomad-jwks-cert: %w", err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		regions = append(regions, workload.Region{Name: r.Name, URL: r.Address, TLS: config})
	}
	v, err := workload.New(regions, time.Now)
	if err != nil {
		return nil, usagef("--nomad-jwks: %w", err)
	}
	return v, nil
}
