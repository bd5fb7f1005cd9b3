package lend

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/foggrid/fogd/offchain/secrets/envelope"
)

const (
	// folder lies in the one that the tasks of an allocation share.
	folder                         = "lend"
	endAsk, endSealed, endRefused  = ".ask", ".sealed", ".refused"
	lookEvery                      = 200 * time.Millisecond
	maxFile                        = 2 << 20
	folderMode, fileMode, nameSize = 0o700, 0o600, 16
)

// ErrRefused says that the gateway has nothing to lend, and will not have by itself.
var ErrRefused = errors.New("the gateway lends no secrets")

// Terms are what a task is to be lent, and where.
type Terms struct {
	// Gateway is the URL of the gateway, CA the authority of its certificate in PEM; empty: the public ones.
	Gateway string `json:"gateway"`
	CA      string `json:"ca,omitempty"`
	// Owner is that of the job, Paths are its secrets in the order of the assignment's.
	Owner string   `json:"owner"`
	Paths []string `json:"paths"`
}

// Ask gets the values of the terms' paths for an attempt, by the helper that shares a folder, until ctx ends. The key is in memory only, and for this one time.
func Ask(ctx context.Context, shared, attempt string, t Terms) (_ [][]byte, err error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, nameSize)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	dir := filepath.Join(shared, folder)
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, hex.EncodeToString(raw))
	if err := leave(name+endAsk, []byte(key.Recipient().String())); err != nil {
		return nil, err
	}
	defer func() {
		for _, end := range []string{endAsk, endSealed, endRefused} {
			if e := os.Remove(name + end); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if why, err := os.ReadFile(name + endRefused); err == nil {
			return nil, fmt.Errorf("%w: %.300s", ErrRefused, why)
		}
		sealed, err := os.ReadFile(name + endSealed)
		switch {
		case err == nil:
			content, err := envelope.Open(sealed, key)
			if err != nil {
				return nil, fmt.Errorf("what was lent: %w", err)
			}
			return content.For(attempt, t.Owner, t.Paths)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// leave makes a file appear whole or not at all.
func leave(path string, raw []byte) error {
	if err := os.WriteFile(path+".part", raw, fileMode); err != nil { //nolint:gosec // names out of a folder of this package's own
		return err
	}
	return os.Rename(path+".part", path)
}
