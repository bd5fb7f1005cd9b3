package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/foggrid/fogd/offchain/registry/copies"
)

// identityKey is where a copy says whose it is.
const identityKey = "registry.id"

// ErrOtherRegistry says that the copy is not of this root.
var ErrOtherRegistry = errors.New("the copy belongs to another registry")

func (r *Registry) identityPath() string { return filepath.Join(r.root, "id") }

// identity of the root: a random name, made once. A root that was lost and made anew has another one, so it does not empty the copies.
func (r *Registry) identity() (string, error) {
	data, err := os.ReadFile(r.identityPath())
	if err == nil {
		return string(data), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	id := hex.EncodeToString(raw)
	return id, writeFile(r.uploadDir(), r.identityPath(), []byte(id))
}

func readIdentity(ctx context.Context, s copies.Store) (string, error) {
	body, err := s.Get(ctx, identityKey)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(body, 100))
	return string(data), errors.Join(err, body.Close())
}

// claim makes the copy this root's if it is nobody's, and refuses another's.
func (r *Registry) claim(ctx context.Context, s copies.Store) error {
	own, err := r.identity()
	if err != nil {
		return err
	}
	id, err := readIdentity(ctx, s)
	if errors.Is(err, copies.ErrMissing) {
		return s.Put(ctx, identityKey, strings.NewReader(own), int64(len(own)))
	}
	if err != nil {
		return err
	}
	if id != own {
		return fmt.Errorf("%s: %w; restore this root from it (fog registry restore), or name an empty place", s.Name(), ErrOtherRegistry)
	}
	return nil
}
