package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/copies"
)

// repairTime is how long a request for missing content waits for the copies.
const repairTime = 10 * time.Minute

// repair fetches missing content from the first copy that has it; errMissing if none has. Requests for the same content share one fetch.
func (r *Registry) repair(d artifact.Digest) error {
	if len(r.mirrors.all) == 0 {
		return errMissing
	}
	_, err, _ := r.repairs.Do(d.Hex(), func() (any, error) {
		ctx, cancel := context.WithTimeout(r.life, repairTime)
		defer cancel()
		for _, m := range r.mirrors.all {
			err := r.repairFrom(ctx, m.store, d)
			if err == nil {
				r.stats.repaired.Add(1)
				r.opts.Logger.Warn("registry repaired content from a copy", "digest", d, "copy", m.store.Name())
				return nil, nil
			}
			if !errors.Is(err, copies.ErrMissing) {
				r.opts.Logger.Error("registry cannot repair content from a copy", "digest", d, "copy", m.store.Name(), "error", err)
			}
		}
		return nil, errMissing
	})
	return err
}

// repairFrom places what a copy has, if it has the digest; a corrupt copy is removed, so that a good one takes its place.
func (r *Registry) repairFrom(ctx context.Context, s copies.Store, d artifact.Digest) error {
	body, err := s.Get(ctx, contentKey(d))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(r.uploadDir(), "repair-*")
	if err != nil {
		return errors.Join(err, body.Close())
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(body, r.opts.MaxBlobBytes+1))
	if err == nil && artifact.Digest(h.Sum(nil)) != d {
		r.stats.copiesCorrupt.Add(1)
		err = errors.Join(artifact.ErrDigestMismatch, s.Delete(ctx, contentKey(d)))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close(), body.Close()); err == nil {
		err = r.placeContent(f.Name(), d)
	}
	if err != nil {
		return errors.Join(err, removeIfExists(f.Name()))
	}
	return nil
}
