package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/copies"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

// maxIndexBytes bounds the index of a repository in a copy.
const maxIndexBytes = 1 << 30

// RestoreReport counts what came back.
type RestoreReport struct {
	Repositories, Contents int
	// Lost is named by a repository but is not in the copy, or is corrupt there.
	Lost []artifact.Digest
}

// Restore makes an empty root what the copy holds: repositories, tags and content, each checked against its digest. From then on the
// root goes by the copy's identity.
func (r *Registry) Restore(ctx context.Context, s copies.Store, progress func(repo string)) (RestoreReport, error) {
	var report RestoreReport
	repos, err := r.repos()
	if err != nil {
		return report, err
	}
	if len(repos) > 0 {
		return report, errors.New("this root holds repositories; restore into an empty one")
	}
	id, err := readIdentity(ctx, s)
	if errors.Is(err, copies.ErrMissing) {
		return report, fmt.Errorf("%s is no copy of a registry: it has no %s", s.Name(), identityKey)
	}
	if err != nil {
		return report, err
	}
	var keys []string
	if err := s.List(ctx, repoPrefix, func(o copies.Object) error {
		keys = append(keys, o.Key)
		return nil
	}); err != nil {
		return report, err
	}
	for _, key := range keys {
		repo := strings.TrimSuffix(strings.TrimPrefix(key, repoPrefix), repoSuffix)
		if err := ref.CheckRepo(repo); err != nil {
			return report, fmt.Errorf("%s has an index of no repository, %q: %w", s.Name(), key, err)
		}
		progress(repo)
		if err := r.restoreRepo(ctx, s, repo, key, &report); err != nil {
			return report, fmt.Errorf("repository %s: %w", repo, err)
		}
	}
	return report, writeFile(r.uploadDir(), r.identityPath(), []byte(id))
}

func (r *Registry) restoreRepo(ctx context.Context, s copies.Store, repo, key string, report *RestoreReport) error {
	body, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(body, maxIndexBytes))
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	var x repoIndex
	if err := json.Unmarshal(data, &x); err != nil {
		return fmt.Errorf("its index in the copy cannot be read: %w", err)
	}
	x.holds(func(d artifact.Digest) {
		if err != nil {
			return
		}
		if err = r.restoreContent(ctx, s, d, report); err != nil {
			err = fmt.Errorf("content %s: %w", d, err)
		}
	})
	if err != nil {
		return err
	}
	for _, d := range x.Blobs {
		if err := mark(r.blobMark(repo, d)); err != nil {
			return err
		}
	}
	for d, link := range x.Manifests {
		if err := r.writeJSON(r.manifestMark(repo, d), link); err != nil {
			return err
		}
		if link.Subject.IsZero() {
			continue
		}
		if err := mark(r.referrerMark(repo, link.Subject, d)); err != nil {
			return err
		}
	}
	for _, t := range x.Tags {
		if err := r.writeJSON(r.tagPath(repo, t.Tag), t); err != nil {
			return err
		}
	}
	report.Repositories++
	return nil
}

func (r *Registry) restoreContent(ctx context.Context, s copies.Store, d artifact.Digest, report *RestoreReport) error {
	there, err := exists(r.blobPath(d))
	if err != nil || there {
		return err
	}
	err = r.repairFrom(ctx, s, d)
	if errors.Is(err, copies.ErrMissing) || errors.Is(err, artifact.ErrDigestMismatch) {
		report.Lost = append(report.Lost, d)
		return nil
	}
	if err == nil {
		report.Contents++
	}
	return err
}
