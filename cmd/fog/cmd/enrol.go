package cmd

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"os"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

// tlsConfig is how gateway and registry are called; nil if nothing was said of it.
func (a *app) tlsConfig() (*tls.Config, error) {
	f := a.tlsFiles
	if a.tls != nil || f.ca == "" && f.cert == "" && f.key == "" {
		return a.tls, nil
	}
	if (f.cert == "") != (f.key == "") {
		return nil, usagef("--tls-cert and --tls-key go together")
	}
	config, err := mtls.FromFiles(f.cert, f.key, f.ca)
	if err != nil {
		return nil, usagef("--tls-ca, --tls-cert, --tls-key: %w", err)
	}
	a.tls = config
	return config, nil
}

// authorities is the text of --tls-ca, for programs that call the gateway elsewhere; empty: the public authorities.
func (a *app) authorities() (string, error) {
	if a.tlsFiles.ca == "" {
		return "", nil
	}
	raw, err := os.ReadFile(a.tlsFiles.ca)
	if err != nil {
		return "", usagef("--tls-ca: %w", err)
	}
	return string(raw), nil
}

// barredPause is waited when the gateway gives a node no certificate: it may be let out of jail.
const barredPause = time.Minute

// enrol has this program show a certificate of the node that a gateway gives it, and the next one when that is due. The caller calls the end.
// The agent does not wait for the first: its links to the oracles do without.
func (a *app) enrol(ctx context.Context, gateway, node string, key ed25519.PrivateKey) (end func(), err error) {
	if node == "" {
		return nil, usagef("--enrol: a node enrols by its id, and none is known here; give --node node1…")
	}
	if a.tlsFiles.cert != "" || a.tlsFiles.key != "" {
		return nil, usagef("--enrol gets a certificate; leave --tls-cert and --tls-key away")
	}
	door, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	g, err := gwclient.New(gateway, door)
	if err != nil {
		return nil, usagef("--enrol: %w", err)
	}
	holder := &mtls.Holder{}
	config := holder.Client(nil)
	if door != nil {
		config.RootCAs = door.RootCAs
	}
	a.tls = config
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() {
		for ctx.Err() == nil {
			err := secrets.KeepCertificate(ctx, g.Enrolment(node, key), secrets.CertificateRequest{Identity: secrets.NodeIdentity(node)}, a.log,
				func(chain []*x509.Certificate) error {
					holder.Set(mtls.Pair(chain, key))
					return nil
				})
			if ctx.Err() != nil {
				return
			}
			a.log.Warn("the gateway gives no certificate; asking again", "error", err, "pause", barredPause)
			timer := time.NewTimer(barredPause)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	})
	return func() { cancel(); keeping.Wait() }, nil
}
