package mtls

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/secrets"
)

// Names of the files of an authority in a folder.
const (
	RootFile = "ca.pem"
	ListFile = "crl.pem"
)

// ReadTrust reads the authority and its list of revoked certificates out of a folder, as `fog cert trust` writes them.
func ReadTrust(dir string) (secrets.Trust, error) {
	t, _, err := readTrust(dir)
	return t, err
}

func readTrust(dir string) (t secrets.Trust, text []byte, err error) {
	roots, err := os.ReadFile(filepath.Join(dir, RootFile))
	if err != nil {
		return t, nil, err
	}
	list, err := os.ReadFile(filepath.Join(dir, ListFile))
	if err != nil {
		return t, nil, err
	}
	if t, err = ParseTrust(roots, list); err != nil {
		return t, nil, fmt.Errorf("%s and %s in %s: %w", RootFile, ListFile, dir, err)
	}
	return t, append(roots, list...), nil
}

// ParseTrust reads an authority's certificates and its list of revoked ones, in PEM, and makes sure that the list is theirs.
func ParseTrust(roots, list []byte) (t secrets.Trust, err error) {
	if t.Roots, err = ParsePEM(roots); err != nil {
		return t, err
	}
	block, _ := pem.Decode(list)
	if block == nil {
		return t, errors.New("no list of revoked certificates in PEM")
	}
	if t.Revoked, err = x509.ParseRevocationList(block.Bytes); err != nil {
		return t, err
	}
	signed := errors.New("there is no authority")
	for _, root := range t.Roots {
		if signed = t.Revoked.CheckSignatureFrom(root); signed == nil {
			return t, nil
		}
	}
	return t, fmt.Errorf("the list is not of the authority: %w", signed)
}

// Follow has the verifier trust what a folder says, and looks again at each tick, until the context ends. What cannot be read changes nothing: a list that nobody
// replaces runs out, and then nobody is let in.
func (v *Verifier) Follow(ctx context.Context, dir string, ticks <-chan time.Time, log *slog.Logger) {
	var before []byte
	var failed string
	for {
		trust, text, err := readTrust(dir)
		switch {
		case err != nil:
			if err.Error() != failed {
				log.Warn("the list of revoked certificates cannot be read; that of before counts until it runs out", "error", err)
			}
			failed = err.Error()
		case !bytes.Equal(text, before):
			v.Set(trust)
			before, failed = text, ""
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
	}
}
