package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

// trustFlags of `fog cert trust`.
type trustFlags struct {
	keep           bool
	run, out, from string
}

// truster knows an authority and its list.
type truster interface {
	Trust(ctx context.Context) (secrets.Trust, error)
}

// source is the authority of the secrets, or what a gateway says of its own.
func (f trustFlags) source(a *app) (truster, error) {
	if f.from == "" {
		return a.issuer()
	}
	config, err := a.tlsConfig()
	if err != nil {
		return nil, err
	}
	g, err := gwclient.New(f.from, config)
	if err != nil {
		return nil, usagef("--from: %w", err)
	}
	return pinned{g, filepath.Join(f.out, mtls.RootFile)}, nil
}

// pinned refuses another authority than the one that is in a file already.
type pinned struct {
	truster
	file string
}

// Trust implements truster.
func (p pinned) Trust(ctx context.Context) (secrets.Trust, error) {
	t, err := p.truster.Trust(ctx)
	if err != nil {
		return t, err
	}
	known, err := os.ReadFile(p.file)
	if err == nil && !bytes.Equal(known, mtls.PEM(t.Roots)) {
		return t, hint(fmt.Errorf("the gateway names another authority than %s has", p.file), "remove the file if that is as it should be")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t, err
	}
	return t, nil
}

const (
	// trustLook is how often a proxy's list is compared with the authority's, trustAge how old it gets otherwise.
	trustLook = 20 * time.Second
	trustAge  = time.Hour
)

func writeTrustFiles(out string, trust secrets.Trust) error {
	return errors.Join(
		replaceFile(filepath.Join(out, mtls.RootFile), mtls.PEM(trust.Roots), 0o644),
		replaceFile(filepath.Join(out, mtls.ListFile), pemBlock("X509 CRL", trust.Revoked.Raw), 0o644),
	)
}

// keepTrust keeps the files of a proxy fresh until the context ends. What fails is tried again with the next look.
func (a *app) keepTrust(ctx context.Context, f trustFlags) error {
	authority, err := f.source(a)
	if err != nil {
		return err
	}
	var said string
	var written time.Time
	ticker := time.NewTicker(trustLook)
	defer ticker.Stop()
	for first := true; ; first = false {
		trust, err := authority.Trust(ctx)
		if err == nil {
			if says := contents(trust); says != said || time.Since(written) >= trustAge {
				if err = a.publish(ctx, f, trust); err == nil {
					said, written = says, time.Now()
				}
			}
		}
		if err != nil && first {
			return err
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("the list of revoked certificates is not fresh; trying again", "error", err, "pause", trustLook)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// contents are what a verifier reads out of it, without when it was signed.
func contents(t secrets.Trust) string {
	text := string(mtls.PEM(t.Roots))
	for _, e := range t.Revoked.RevokedCertificateEntries {
		text += e.SerialNumber.Text(16) + "\n"
	}
	return text
}

func (a *app) publish(ctx context.Context, f trustFlags, trust secrets.Trust) error {
	if err := writeTrustFiles(f.out, trust); err != nil {
		return err
	}
	a.log.Info("wrote the list of revoked certificates", "revoked", len(trust.Revoked.RevokedCertificateEntries), "until", trust.Revoked.NextUpdate.UTC().Format(time.RFC3339))
	words := strings.Fields(f.run)
	if len(words) == 0 {
		return nil
	}
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput() //nolint:gosec // it is the operator's own command
	if err != nil {
		return fmt.Errorf("--run %s: %w: %s", f.run, err, bytes.TrimSpace(out))
	}
	return nil
}
