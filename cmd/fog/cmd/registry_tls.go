package cmd

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/spf13/pflag"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/mtls"
)

// serverFiles are the certificate of a server, and whom it lets in.
type serverFiles struct{ cert, key, trust string }

func (s *serverFiles) register(fs *pflag.FlagSet) {
	fs.StringVar(&s.cert, "certificate", "", "PEM file of the certificate, to end TLS here; it may be replaced at any time")
	fs.StringVar(&s.key, "certificate-key", "", "PEM file of its key")
	fs.StringVar(&s.trust, "trust", "", "folder that `fog cert trust --keep` writes: let in only those with a certificate of that authority")
}

// trustTick is how often the list of revoked certificates is read.
const trustTick = 5 * time.Second

// config is nil for a server that speaks plain HTTP. The list of revoked certificates is followed until the context ends.
func (s serverFiles) config(ctx context.Context, a *app) (*tls.Config, error) {
	if s.cert == "" && s.key == "" && s.trust == "" {
		return nil, nil
	}
	if s.cert == "" || s.key == "" {
		return nil, usagef("--certificate and --certificate-key go together, and --trust with them")
	}
	files, err := mtls.OpenFiles(s.cert, s.key)
	if err != nil {
		return nil, usagef("--certificate, --certificate-key: %w", err)
	}
	if s.trust == "" {
		return mtls.Server(files.Certificate), nil
	}
	if _, err := mtls.ReadTrust(s.trust); err != nil {
		return nil, hint(err, "--trust is a folder that `fog cert trust --keep` writes")
	}
	verifier, ticker := mtls.NewVerifier(time.Now), time.NewTicker(trustTick)
	go func() {
		defer ticker.Stop()
		verifier.Follow(ctx, s.trust, ticker.C, a.log)
	}()
	return mtls.Demand(files.Certificate, verifier), nil
}

// mayListen refuses to take tokens in the clear, and says if everybody is let in.
func (f registryFlags) mayListen(a *app) error {
	switch {
	case gateway.IsLoopback(f.listen):
	case f.tokenCert != "" && f.cert == "":
		return usagef("--listen %s would take tokens in the clear; give --certificate and --certificate-key, or listen on this machine and put a proxy with TLS in front", f.listen)
	case f.tokenCert == "" && f.trust == "":
		a.log.Warn("whoever reaches this registry can push and pull; give --trust or --token-cert, or keep strangers off the network", "listen", f.listen)
	}
	return nil
}
